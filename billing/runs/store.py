"""Every statement on runs, statements and payouts that is not part of a bucket's work."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, update

from billing.ledger.tables import entity
from billing.runs.model import AT_WORK, COLUMNS, Parked, Payout, Period, Run, RunState, Statement, Totals, check_move
from billing.runs.tables import run_charge
from billing.tables import billing_run, payout, payout_item, statement
from marketplace.core.blocks import reserve
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

PAGE_MAX = 200
PAYOUTS_PER_RUN = 100
"""Numbers of a merchant's payouts of one run: run_id * PAYOUTS_PER_RUN and what follows."""
NO_BANK_ACCOUNT = "no bank account"
"""Why a payout is held."""

_LIVE = billing_run.c.state.not_in([RunState.REVERSED, RunState.ABORTED])

StatementKey = tuple[date, int, int, str]
"""(from_on, run_id, merchant_id, currency)."""

PayoutKey = tuple[date, int, int]
"""(instructed_on, merchant_id, payout_id)."""


async def get_run(tx: Tx, run_id: int) -> Run:
    """One run. Raises NotFound."""
    return await _only(tx, run_id, _of(run_id))


async def lock_run(tx: Tx, run_id: int) -> Run:
    """One run, locked until the transaction ends, so that what is decided on its state still holds. Raises NotFound."""
    return await _only(tx, run_id, _of(run_id).with_for_update())


async def share_run(tx: Tx, run_id: int) -> Run:
    """One run, kept in its state until the transaction ends, by any number of transactions at once."""
    return await _only(tx, run_id, _of(run_id).with_for_update(read=True))


def _of(run_id: int) -> Select[Any]:
    return select(billing_run).where(billing_run.c.run_id == run_id)


async def _only(tx: Tx, run_id: int, query: Select[Any]) -> Run:
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"there is no billing run {run_id}")
    return _run(row)


async def list_runs(tx: Tx, *, limit: int = 50, before_id: int | None = None) -> list[Run]:
    """Runs, the newest first."""
    query = select(billing_run).order_by(billing_run.c.run_id.desc()).limit(min(limit, PAGE_MAX))
    if before_id is not None:
        query = query.where(billing_run.c.run_id < before_id)
    return [_run(row) for row in await tx.rows(query)]


async def find_live_run(tx: Tx, entity_id: int, period: Period) -> Run | None:
    """The run from this period's first day that is neither reversed nor aborted, if there is one."""
    of_period = (billing_run.c.entity_id == entity_id, billing_run.c.from_on == period.from_on)
    row = await tx.row(select(billing_run).where(*of_period, billing_run.c.parent_run_id.is_(None), _LIVE))
    return _run(row) if row is not None else None


async def find_child(tx: Tx, run_id: int) -> Run | None:
    """The live run that bills the merchants parked by this one, if there is one."""
    row = await tx.row(select(billing_run).where(billing_run.c.parent_run_id == run_id, _LIVE))
    return _run(row) if row is not None else None


async def find_newest_run(tx: Tx, entity_id: int) -> Run | None:
    """The live run of the latest period, if there is one; a child after its parent."""
    query = select(billing_run).where(billing_run.c.entity_id == entity_id, _LIVE)
    row = await tx.row(query.order_by(billing_run.c.from_on.desc(), billing_run.c.run_id.desc()).limit(1))
    return _run(row) if row is not None else None


async def find_run_at_work(tx: Tx, entity_id: int) -> Run | None:
    """The run of this entity that is neither final nor given up, if there is one."""
    query = select(billing_run).where(billing_run.c.entity_id == entity_id, _LIVE)
    row = await tx.row(query.where(billing_run.c.state != RunState.FINALISED).order_by("run_id").limit(1))
    return _run(row) if row is not None else None


async def runs_at_work(tx: Tx) -> list[Run]:
    """The runs of all entities whose buckets are worked on, or were when a process died, the oldest first."""
    rows = await tx.rows(select(billing_run).where(billing_run.c.state.in_(AT_WORK)).order_by(billing_run.c.run_id))
    return [_run(row) for row in rows]


async def was_given_up(tx: Tx, entity_id: int, period: Period) -> bool:
    """Whether a run from this period's first day was aborted or reversed."""
    of_period = (billing_run.c.entity_id == entity_id, billing_run.c.from_on == period.from_on)
    return int(await tx.scalar(select(func.count()).where(*of_period, ~_LIVE))) > 0


async def runs_of_period(tx: Tx, run: Run) -> list[Run]:
    """The live runs that bill the same days: the first, and those of what it parked."""
    return await _live_runs(tx, run.entity_id, billing_run.c.from_on == run.from_on)


async def runs_before(tx: Tx, run: Run) -> list[Run]:
    """The live runs of the period that ends where this run's begins."""
    return await _live_runs(tx, run.entity_id, billing_run.c.to_on == run.from_on)


async def _live_runs(tx: Tx, entity_id: int, of_period: ColumnElement[bool]) -> list[Run]:
    query = select(billing_run).where(billing_run.c.entity_id == entity_id, of_period, _LIVE)
    return [_run(row) for row in await tx.rows(query.order_by(billing_run.c.run_id))]


def _run(row: Any) -> Run:
    values = dict(row._mapping)  # SQLAlchemy's documented way to a row as a mapping
    return Run(**{**values, "state": RunState(values["state"])})


async def has_closed(tx: Tx, entity_id: int, last_on: date) -> bool:
    """Whether any books of the entity are closed through a day, also those of merchants without a statement."""
    found = await tx.scalar(
        "SELECT 1 FROM billing.ledger_head WHERE entity_id = :entity AND closed_through >= :last_on LIMIT 1",
        entity=entity_id,
        last_on=last_on,
    )
    return found is not None


async def insert_run(tx: Tx, entity_id: int, period: Period, payout_on: date) -> Run:
    """Draft a run; the unique index keeps a period to one live run."""
    closed_before = await tx.scalar(select(entity.c.closed_through).where(entity.c.entity_id == entity_id))
    return await _insert(tx, entity_id, period, payout_on, closed_before, None)


async def insert_child(tx: Tx, parent: Run, payout_on: date) -> Run:
    """Draft a run of what another one parked: its merchants' books stand where the parent's period found them."""
    return await _insert(tx, parent.entity_id, parent.period, payout_on, parent.closed_before, parent.run_id)


async def _insert(
    tx: Tx, entity_id: int, period: Period, payout_on: date, closed_before: date | None, parent_run_id: int | None
) -> Run:
    run_id = await reserve(tx, "billing_run", 1) + 1
    row = {
        "run_id": run_id,
        "entity_id": entity_id,
        "from_on": period.from_on,
        "to_on": period.to_on,
        "payout_on": payout_on,
        "state": RunState.DRAFT,
        "made_by": tx.actor,
        "made_at": tx.now,
        "closed_before": closed_before,
        "parent_run_id": parent_run_id,
    }
    await tx.execute(insert(billing_run), row)
    return await get_run(tx, run_id)


async def move_run(tx: Tx, run_id: int, then: RunState, **values: Any) -> Run:
    """Take a run to another state, under its row lock. Raises Conflict when the move is not allowed."""
    check_move(run_id, (await lock_run(tx, run_id)).state, then)
    await tx.execute(update(billing_run).where(billing_run.c.run_id == run_id).values(state=then, **values))
    return await get_run(tx, run_id)


async def set_batch(tx: Tx, run_id: int, batch_id: int) -> None:
    """Note which work batch carries the run's present step."""
    await tx.execute(update(billing_run).where(billing_run.c.run_id == run_id).values(batch_id=batch_id))


async def set_payout_day(tx: Tx, run_id: int, payout_on: date) -> Run:
    """Book the payouts on another day. Raises Conflict once the run is approved."""
    run = await lock_run(tx, run_id)
    if run.state not in {RunState.DRAFT, RunState.PREVIEWED}:
        raise Conflict(f"run {run_id} is {run.state}: its payouts are booked on {run.payout_on}")
    await tx.execute(update(billing_run).where(billing_run.c.run_id == run_id).values(payout_on=payout_on))
    return await get_run(tx, run_id)


async def local_today(tx: Tx, entity_id: int) -> date:
    """Today in the entity's market."""
    zone: str = await tx.scalar(select(entity.c.zone).where(entity.c.entity_id == entity_id))
    return local_date(tx.now, zone)


async def count_statements(tx: Tx, run_id: int, state: str) -> int:
    query = select(func.count()).where(statement.c.run_id == run_id, statement.c.state == state)
    return int(await tx.scalar(query))


async def drop_previews(tx: Tx, run_id: int) -> None:
    """Forget the statements and charges of a run that is given up."""
    await tx.execute(
        delete(statement).where(statement.c.run_id == run_id, statement.c.state.in_(["preview", "parked"]))
    )
    await tx.execute(delete(run_charge).where(run_charge.c.run_id == run_id, run_charge.c.state == "due"))


async def list_parked(tx: Tx, run_id: int, *, limit: int, after: tuple[int, str] | None = None) -> Sequence[Parked]:
    """At most `limit` of what a run leaves out, by merchant, behind the key (merchant_id, currency)."""
    key = (statement.c.merchant_id, statement.c.currency)
    query = select(*key, statement.c.reason).where(statement.c.run_id == run_id, statement.c.state == "parked")
    if after is not None:
        query = query.where(func.row(*key) > func.row(*after))
    return [Parked(**row._mapping) for row in await tx.rows(query.order_by(*key).limit(limit))]


async def get_statement(
    tx: Tx, merchant_id: int, run_id: int, currency: str | None = None, *, only_final: bool = False
) -> Statement:
    """A statement, in its first currency unless one is named. Raises NotFound."""
    query = select(statement).where(statement.c.merchant_id == merchant_id, statement.c.run_id == run_id)
    if currency is not None:
        query = query.where(statement.c.currency == currency)
    if only_final:
        query = query.where(statement.c.state == "final")
    row = await tx.row(query.order_by(statement.c.currency).limit(1))
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no statement in run {run_id}")
    return Statement(**row._mapping)


async def list_statements(
    tx: Tx,
    *,
    merchant_id: int | None = None,
    run_id: int | None = None,
    only_final: bool = False,
    limit: int = 50,
    after: StatementKey | None = None,
) -> Sequence[Statement]:
    """At most `limit` statements, the newest period first, those behind the key `after`.

    Reversed ones come only when a run is named.
    """
    key = [statement.c[name] for name in ("from_on", "run_id", "merchant_id", "currency")]
    query = select(statement).order_by(*(column.desc() for column in key)).limit(limit)
    if merchant_id is not None:
        query = query.where(statement.c.merchant_id == merchant_id)
    if run_id is not None:
        query = query.where(statement.c.run_id == run_id)
    else:
        query = query.where(statement.c.state != "reversed")
    if only_final:
        query = query.where(statement.c.state == "final")
    if after is not None:
        query = query.where(func.row(*key) < func.row(*after))
    return [Statement(**row._mapping) for row in await tx.rows(query)]


async def list_payouts(
    tx: Tx,
    *,
    merchant_id: int | None = None,
    run_id: int | None = None,
    state: str | None = None,
    limit: int = 50,
    after: PayoutKey | None = None,
) -> Sequence[Payout]:
    """At most `limit` payouts, the newest first, those behind the key `after`."""
    key: list[Any] = [payout.c[name] for name in ("instructed_on", "merchant_id", "payout_id")]
    query = select(payout).order_by(*(column.desc() for column in key)).limit(limit)
    if merchant_id is not None:
        query = query.where(payout.c.merchant_id == merchant_id)
    if run_id is not None:
        query = query.where(payout.c.run_id == run_id)
    if state is not None:
        query = query.where(payout.c.state == state)
    if after is not None:
        query = query.where(func.row(*key) < func.row(*after))
    return [_payout(row) for row in await tx.rows(query)]


async def get_payout(tx: Tx, merchant_id: int, payout_id: int) -> Payout:
    """One payout. Raises NotFound."""
    return await _only_payout(tx, merchant_id, payout_id, _payout_of(merchant_id, payout_id))


async def lock_payout(tx: Tx, merchant_id: int, payout_id: int) -> Payout:
    """One payout, held until the transaction ends. Raises NotFound."""
    return await _only_payout(tx, merchant_id, payout_id, _payout_of(merchant_id, payout_id).with_for_update())


def _payout_of(merchant_id: int, payout_id: int) -> Select[Any]:
    return select(payout).where(payout.c.merchant_id == merchant_id, payout.c.payout_id == payout_id)


async def _only_payout(tx: Tx, merchant_id: int, payout_id: int, query: Select[Any]) -> Payout:
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no payout {payout_id}")
    return _payout(row)


def _payout(row: Any) -> Payout:
    held = NO_BANK_ACCOUNT if row.state == "instructed" and row.bank_account_id is None else None
    return Payout(**row._mapping, held=held)


async def set_payout(tx: Tx, merchant_id: int, payout_id: int, **values: Any) -> Payout:
    """Note on a locked payout what the bank did to it."""
    own = (payout.c.merchant_id == merchant_id, payout.c.payout_id == payout_id)
    await tx.execute(update(payout).where(*own).values(values))
    return await get_payout(tx, merchant_id, payout_id)


async def paid_since(tx: Tx, returned: Payout) -> int | None:
    """The payout that pays what this one brought back, if there is one: its retry, or that of a later run."""
    found: int | None = await tx.scalar(
        """
        SELECT p.payout_id
        FROM billing.payout p
        JOIN billing.entry e ON e.merchant_id = p.merchant_id AND e.kind = 'payout_instructed'
         AND e.source_id = p.payout_id
        JOIN billing.entry back ON back.merchant_id = p.merchant_id AND back.kind = 'payout_returned'
         AND back.source_id = :payout
        JOIN billing.statement s
          ON s.merchant_id = p.merchant_id AND s.run_id = p.run_id AND s.currency = p.currency
        WHERE p.merchant_id = :merchant AND p.currency = :currency
          AND (p.retry_of = :payout
               OR (p.retry_of IS NULL AND p.state <> 'cancelled' AND e.entry_no > back.entry_no
                   AND back.effective_on < s.to_on))
        ORDER BY p.payout_id LIMIT 1
        """,
        merchant=returned.merchant_id,
        payout=returned.payout_id,
        currency=returned.currency,
    )
    return found


async def insert_retry(tx: Tx, returned: Payout, account_id: int, on: date) -> Payout:
    """A payout like one that came back, to another account; under the merchant's books."""
    key = {"merchant": returned.merchant_id, "run": returned.run_id}
    last = await tx.scalar(
        "SELECT max(payout_id) FROM billing.payout WHERE merchant_id = :merchant AND run_id = :run", **key
    )
    payout_id = int(last) + 1
    if payout_id // PAYOUTS_PER_RUN != returned.run_id:
        raise Conflict(f"payout {returned.payout_id}: its run has no number left for another try")
    own = {"merchant_id": returned.merchant_id, "payout_id": payout_id, "run_id": returned.run_id}
    own |= {"amount_minor": returned.amount_minor}
    noted = {"currency": returned.currency, "instructed_on": on, "state": "instructed", "bank_account_id": account_id}
    await tx.execute(insert(payout), {**own, **noted, "retry_of": returned.payout_id})
    await tx.execute(insert(payout_item), own)
    return await get_payout(tx, returned.merchant_id, payout_id)


async def totals(tx: Tx, run_id: int) -> list[Totals]:
    """A run's statements and payouts summed by currency."""
    sums = ", ".join(f"sum({column})::bigint AS {column}" for column in ("opening_minor", *COLUMNS, "closing_minor"))
    rows = await tx.rows(
        f"""
        SELECT s.*, coalesce(p.payouts, 0) AS payouts, coalesce(p.payouts_minor, 0) AS payouts_minor
        FROM (
            SELECT currency, count(*) AS statements, sum(orders)::bigint AS orders, {sums}
            FROM billing.statement WHERE run_id = :run_id AND state <> 'parked' GROUP BY currency
        ) AS s
        LEFT JOIN (
            SELECT currency, count(*) AS payouts, sum(amount_minor)::bigint AS payouts_minor
            FROM billing.payout WHERE run_id = :run_id AND state <> 'cancelled' AND retry_of IS NULL GROUP BY currency
        ) AS p ON p.currency = s.currency
        ORDER BY s.currency
        """,
        run_id=run_id,
    )
    return [Totals(**row._mapping) for row in rows]


async def only_entity(tx: Tx, entity_id: int | None) -> int:
    """The entity asked for, or the only one there is. Raises Conflict when that is not clear, NotFound for none."""
    known: Sequence[int] = [row.entity_id for row in await tx.rows(select(entity.c.entity_id).order_by("entity_id"))]
    if entity_id is None:
        if len(known) == 1:
            return known[0]
        if known:
            raise Conflict(f"which entity? there are {', '.join(map(str, known))}")
    elif entity_id in known:
        return entity_id
    raise NotFound("there is no such legal entity: import orders first")
