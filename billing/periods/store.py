"""Every statement on periods. Whoever moves a month holds its entity (`hold_entity`), and so does a journal by hand
that is posted into one that is soft-closed: it is either part of what is sealed, or refused.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from billing.periods.model import (
    TAKES_JOURNALS,
    BookPeriod,
    BreakApproval,
    PeriodState,
    Seal,
    check_move,
    month_of,
)
from billing.periods.seal_sql import CHAINED, KEEP_BLOCKS, ROOT
from billing.periods.tables import period, period_approval, period_seal
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.ids import time_ordered_id

_KEY = ("entity_id", "month_on")
_APPROVAL = [period_approval.c[name] for name in BreakApproval.__struct_fields__]


class Entity(msgspec.Struct, frozen=True):
    """A legal entity: the zone of its days, and through which day its books are closed to all but journals by hand,
    and sealed.
    """

    entity_id: int
    zone: str
    closed_through: date | None
    sealed_through: date | None


async def get_entity(tx: Tx, entity_id: int, *, hold: bool = False) -> Entity:
    """A legal entity, with `hold` until the transaction ends. Raises NotFound."""
    row = await tx.row(
        "SELECT entity_id, zone, closed_through, sealed_through FROM billing.entity WHERE entity_id = :entity"
        + (" FOR UPDATE" if hold else ""),
        entity=entity_id,
    )
    if row is None:
        raise NotFound(f"there is no legal entity {entity_id}")
    return Entity(*row)


async def get_period(tx: Tx, entity_id: int, month_on: date) -> BookPeriod:
    """A month; open when nobody has moved it."""
    found = await list_periods(tx, entity_id, limit=1, month_on=month_on)
    return found[0] if found else BookPeriod(entity_id=entity_id, month_on=month_on)


async def list_periods(
    tx: Tx, entity_id: int, *, limit: int, month_on: date | None = None, before: date | None = None
) -> list[BookPeriod]:
    """At most `limit` months that were moved, the newest first, those before `before`; or only `month_on`."""
    query = select(period).where(period.c.entity_id == entity_id).order_by(period.c.month_on.desc()).limit(limit)
    if month_on is not None:
        query = query.where(period.c.month_on == month_on)
    if before is not None:
        query = query.where(period.c.month_on < before)
    return [BookPeriod(**{**row._mapping, "state": PeriodState(row.state)}) for row in await tx.rows(query)]


async def open_months(tx: Tx, entity_id: int, last: date, *, limit: int) -> list[date]:
    """The first days of at most `limit` months up to that of `last`, the newest first, that have something in the books
    of an entity, or lie between such months, and are not closed.
    """
    rows = await tx.rows(
        """
        SELECT CAST(month AS date) AS month_on
        FROM (SELECT least(min(d.effective_on), (SELECT min(r.from_on) FROM billing.billing_run r
                                                 WHERE r.entity_id = :entity))
              FROM billing.book_day d WHERE d.entity_id = :entity) AS known (first_on),
             generate_series(date_trunc('month', known.first_on), CAST(:last AS date), interval '1 month') AS month
        WHERE NOT EXISTS (SELECT FROM billing.period p
                          WHERE p.entity_id = :entity AND p.month_on = CAST(month AS date) AND p.state = 'closed')
        ORDER BY month DESC LIMIT :limit
        """,
        entity=entity_id,
        last=last,
        limit=limit,
    )
    return [row.month_on for row in rows]


async def save(tx: Tx, was: BookPeriod, **values: Any) -> BookPeriod:
    """Move a month of an entity that is held, or note something about it."""
    row: dict[str, Any] = {name: getattr(was, name) for name in BookPeriod.__struct_fields__}
    row |= {**values, "moved_by": tx.actor, "moved_at": tx.now}
    if row["state"] != was.state:
        check_move(was, row["state"])
    row["state"] = row["state"].value
    await tx.execute(upsert(period).values(row).on_conflict_do_update(index_elements=list(_KEY), set_=row))
    return await get_period(tx, was.entity_id, was.month_on)


async def takes_journals(tx: Tx, entity_id: int, on: date) -> bool:
    """Whether a day's month is soft-closed or reopened: and it stays so until this transaction ends."""
    return (await hold_month(tx, entity_id, on)).state in TAKES_JOURNALS


async def hold_month(tx: Tx, entity_id: int, on: date) -> BookPeriod:
    """A day's month, which stays as it is until this transaction ends."""
    await tx.execute("SELECT entity_id FROM billing.entity WHERE entity_id = :entity FOR SHARE", {"entity": entity_id})
    return await get_period(tx, entity_id, month_of(on).from_on)


async def close_heads(tx: Tx, entity_id: int, last_on: date) -> None:
    """Close an entity's books through a day to everything but journals by hand; those that are closed further stay."""
    bound = {"entity": entity_id, "last_on": last_on}
    await tx.execute(
        """
        UPDATE billing.ledger_head SET closed_through = :last_on
        WHERE entity_id = :entity AND (closed_through IS NULL OR closed_through < :last_on)
        """,
        bound,
    )
    await tx.execute(
        """
        UPDATE billing.entity SET closed_through = :last_on
        WHERE entity_id = :entity AND (closed_through IS NULL OR closed_through < :last_on)
        """,
        bound,
    )


async def count_open_heads(tx: Tx, entity_id: int, last_on: date) -> int:
    """The books that a run has left open before the end of a day."""
    return int(
        await tx.scalar(
            """
            SELECT count(*) FROM billing.ledger_head
            WHERE entity_id = :entity AND (closed_through IS NULL OR closed_through < :last_on)
            """,
            entity=entity_id,
            last_on=last_on,
        )
    )


async def count_merchants_with_entries(tx: Tx, entity_id: int) -> int:
    """The entity's merchants, its house apart, whose books have anything in them."""
    query = (
        "SELECT count(*) FROM billing.ledger_head WHERE entity_id = :entity AND merchant_id > 0 AND last_entry_no > 0"
    )
    return int(await tx.scalar(query, entity=entity_id))


async def set_sealed(tx: Tx, entity_id: int, sealed_through: date | None) -> None:
    """Let the database refuse entries on days up to this one (see the policy of billing.entry)."""
    await tx.execute(
        text("UPDATE billing.entity SET sealed_through = :through WHERE entity_id = :entity").bindparams(
            entity=entity_id, through=sealed_through
        )
    )


async def seal(tx: Tx, held: BookPeriod, from_on: date | None, *, single: bool) -> Seal:
    """Seal the entries of a month, and of all days before it that no seal covers, behind the seal before."""
    await tx.plan_in_bulk()
    key = {"month_on": held.month_on, "seal_no": held.seal_no + 1}
    bound = {"entity": held.entity_id, **key}
    await tx.execute(KEEP_BLOCKS, {**bound, "from_on": from_on, "last_on": held.period.last_on})
    found = await tx.row(ROOT, **bound)
    previous = await tx.scalar(
        """
        SELECT s.digest FROM billing.period_seal s
        JOIN billing.period p ON p.entity_id = s.entity_id AND p.month_on = s.month_on AND p.seal_no = s.seal_no
        WHERE p.entity_id = :entity AND p.state = 'closed' AND p.month_on < :month_on
        ORDER BY p.month_on DESC LIMIT 1
        """,
        entity=held.entity_id,
        month_on=held.month_on,
    )
    row = {"entity_id": held.entity_id, **key, "entries": found.entries if found is not None else 0}
    row |= {"previous": previous or b"", "root": found.root if found is not None else b""}
    digest = await tx.scalar(_CHAIN, **row)
    del row["root"]
    row |= {"digest": digest, "from_on": from_on, "sealed_at": tx.now, "sealed_by": tx.actor}
    await tx.execute(insert(period_seal), {**row, "single_operator": single})
    newest = await get_seal(tx, held.entity_id, held.month_on)
    assert newest is not None
    return newest


_CHAIN = text(f"""
SELECT {CHAINED} FROM (SELECT CAST(:previous AS bytea) AS previous, CAST(:entity_id AS integer) AS entity_id,
    CAST(:month_on AS date) AS month_on, CAST(:entries AS bigint) AS entries, CAST(:root AS bytea) AS root) AS new
""")


async def get_seal(tx: Tx, entity_id: int, month_on: date) -> Seal | None:
    """A month's newest seal, if it has one."""
    found = await list_seals(tx, entity_id, month_on)
    return found[-1] if found else None


async def list_seals(tx: Tx, entity_id: int, month_on: date) -> list[Seal]:
    """Every seal that a month ever had, the oldest first."""
    query = select(period_seal).where(period_seal.c.entity_id == entity_id, period_seal.c.month_on == month_on)
    rows = await tx.rows(query.order_by(period_seal.c.seal_no))
    return [Seal(**{**row._mapping, "previous": row.previous.hex(), "digest": row.digest.hex()}) for row in rows]


async def add_approval(tx: Tx, held: BookPeriod, check: str, fingerprint: str, reason: str) -> BreakApproval:
    approval_id = time_ordered_id(tx.now)
    row = {"approval_id": approval_id, "entity_id": held.entity_id, "month_on": held.month_on, "check": check}
    row |= {"fingerprint": fingerprint, "reason": reason, "asked_by": tx.actor, "asked_at": tx.now}
    await tx.execute(insert(period_approval), {**row, "single_operator": False})
    return await get_approval(tx, held, approval_id)


async def approve(tx: Tx, held: BookPeriod, approval_id: int, *, single: bool) -> BreakApproval:
    """Note who accepts a break, of an entity that is held."""
    await tx.execute(
        period_approval.update()
        .where(period_approval.c.approval_id == approval_id)
        .values(approved_by=tx.actor, approved_at=tx.now, single_operator=single)
    )
    return await get_approval(tx, held, approval_id)


async def get_approval(tx: Tx, held: BookPeriod, approval_id: int) -> BreakApproval:
    """Raises NotFound."""
    for one in await list_approvals(tx, held):
        if one.approval_id == approval_id:
            return one
    raise NotFound(f"{held.period.name} has no break {approval_id} to approve")


async def list_approvals(tx: Tx, held: BookPeriod) -> Sequence[BreakApproval]:
    """What was asked for a month, the oldest first."""
    query = select(*_APPROVAL).where(
        period_approval.c.entity_id == held.entity_id, period_approval.c.month_on == held.month_on
    )
    return [BreakApproval(**row._mapping) for row in await tx.rows(query.order_by(period_approval.c.approval_id))]
