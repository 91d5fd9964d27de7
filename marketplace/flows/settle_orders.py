"""Settle delivered orders: rate the commission, release the money to the merchant's payable balance.

A pass is planned as buckets of merchants, about a second of work each, and every bucket is one commit; a merchant with
very many orders is cut along the settlement instant. Interrupted passes are resumed, by any process.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from marketplace.core import audit, outbox, work
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows import settle_orders_sql as sql
from marketplace.flows.freeze_contracts import freeze_at_settlement
from marketplace.flows.roll_ledger import batches, roll_ledger

KIND = "settle_orders"
ORDERS_PER_BUCKET = 20_000
MOSTLY_DUE = 10
"""A bucket is worked on as a whole when at least one of so many entries of its merchants' books is an order due."""
CONNECTIONS = 2
_PASSES_MAX = 100  # interrupted passes that one call finishes before its own
_ANALYZED_FROM = 2_000  # orders; a run over tables without statistics is planned as if they were small
_WRITTEN = (
    "demand.merchant_order",
    "demand.order_due",
    "billing.entry",
    "billing.commission_line",
    "billing.commission_month",
    "billing.account_day",
    "billing.ledger_head",
    "billing.ledger_roll",
)
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class Bucket(msgspec.Struct, frozen=True):
    """Merchants to settle in one commit; or one of very many orders, in several: up to each instant of `cuts`, in turn.

    earned: what the commits so far have earned.
    """

    merchants: list[int]
    cuts: list[datetime] = []
    earned: list["Earned"] = []


class Earned(msgspec.Struct, frozen=True):
    """Orders settled in a currency, and the commission and VAT that they earned, in minor units."""

    currency: str
    orders: int = 0
    commission_minor: int = 0
    vat_minor: int = 0

    def __add__(self, other: "Earned") -> "Earned":
        return Earned(
            self.currency,
            self.orders + other.orders,
            self.commission_minor + other.commission_minor,
            self.vat_minor + other.vat_minor,
        )


class Parked(msgspec.Struct, frozen=True):
    """An order that stays due, and why."""

    order_ref: str
    reason: str


class Settled(msgspec.Struct, frozen=True):
    """What a pass did: orders settled by it, and those it had to leave, by name."""

    orders: int
    earned: list[Earned]
    parked: int
    parked_orders: list[Parked]


async def settle_through(
    db: Database, actor: str, through: date, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Settled:
    """Settle every delivered order up to the local date `through`; resumes a pass that was interrupted.

    Orders of a merchant are taken by (settlement instant, order ref). An order with a line that no contract covers is
    parked by name and stays due; the rest settle. Raises BatchFailed when a bucket could not be settled: its orders
    are still due, and the next pass takes them.
    """
    batches_done: list[int] = []
    for _ in range(_PASSES_MAX):
        batch_id, fresh = await db.write(WORKER, actor, _plan, through)
        crash_point("settle.planned")
        if batch_id is None:
            break
        await _drain(db, batch_id, actor, on_progress)
        batches_done.append(batch_id)
        if fresh:
            break
    await roll_ledger(db, actor)
    settled = await _result(db, through, batches_done)
    if settled.orders >= _ANALYZED_FROM:
        await db.analyze(*_WRITTEN)
    return settled


async def _drain(db: Database, batch_id: int, actor: str, on_progress: Callable[[int, int], None]) -> None:
    """Work on the batch over several connections, so that the server's cores share the buckets."""
    drains = (
        work.drain(
            db,
            batch_id,
            actor,
            HANDLERS[KIND],
            on_progress=lambda state: on_progress(state.done + state.parked, state.total),
            on_commit=lambda: crash_point("settle.committed"),
        )
        for _ in range(CONNECTIONS)
    )
    for ended in await asyncio.gather(*drains):
        work.check_done(batch_id, ended)


async def _plan(tx: Tx, through: date) -> tuple[int | None, bool]:
    """The batch to work on and whether it is new: an interrupted one first, then one over everything that is due."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('settle_orders'))")
    interrupted = await work.open_batch(tx, KIND)
    if interrupted is not None:
        return interrupted, False
    due = await tx.rows(_DUE, through=through)
    if not due:
        return None, True
    small = [(row.merchant_id, row.orders) for row in due if row.orders <= ORDERS_PER_BUCKET]
    buckets = [Bucket(merchants) for merchants in batches(small, ORDERS_PER_BUCKET)]
    for row in due:
        if row.orders > ORDERS_PER_BUCKET:
            cuts = await tx.rows(_CUTS, merchant=row.merchant_id, through=through, every=ORDERS_PER_BUCKET)
            buckets.append(Bucket([row.merchant_id], [cut.settles_at for cut in cuts]))
    batch_id = await work.plan(tx, KIND, {"through": through}, [{"through": through, "bucket": b} for b in buckets])
    await audit.record(tx, "settlement planned", f"work_batch:{batch_id}", through=through, buckets=len(buckets))
    return batch_id, True


_DUE = """
SELECT merchant_id, count(*) AS orders FROM demand.order_due WHERE settles_on <= :through
GROUP BY merchant_id ORDER BY merchant_id
"""
_CUTS = """
SELECT settles_at FROM (
    SELECT settles_at, row_number() OVER (ORDER BY settles_at) AS position
    FROM demand.order_due WHERE merchant_id = :merchant AND settles_on <= :through
) AS due
WHERE position % :every = 0 ORDER BY settles_at
"""


async def settle_bucket(tx: Tx, merchants: Sequence[int], through: date, until: datetime = _FOREVER) -> list[Earned]:
    """Settle what is due of these merchants through a local date; returns what that earned, by currency.

    One order is settled by the same statements as a million. The caller's transaction makes it all or nothing.
    """
    await tx.plan_in_bulk()
    # Terms that are being rated under do not change meanwhile: applying contracts waits for this commit.
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('billing.contract'))")
    bound = {"merchants": sorted(merchants)}
    due = {**bound, "through": through, "until": until}
    await tx.execute(sql.LOCK_HEADS, bound)
    counted = await tx.row(sql.COUNTED, **due)
    assert counted is not None
    whole = counted.due * MOSTLY_DUE > counted.booked
    # A merge join on the merchant alone looks cheap to the planner and is quadratic in a large merchant's orders.
    await tx.execute("SET LOCAL enable_mergejoin = off")
    await freeze_at_settlement(tx, merchants, through)
    if whole:
        await tx.execute("SET LOCAL enable_nestloop = off")
    await tx.execute(sql.RATE[whole], due)
    crash_point("settle.rated")
    await tx.execute(sql.POST[whole], {**bound, "now": tx.now, "actor": tx.actor})
    crash_point("settle.posted")
    for statement in (sql.ADD_TO_MONTH, sql.MARK_ORDERS, sql.UNPARK):
        await tx.execute(statement[whole], bound)
    settled = (await tx.execute(sql.EMPTY_QUEUE[whole], bound)).rowcount
    earned = [Earned(*row) for row in (await tx.execute(sql.EARNED[whole], bound)).all()]
    await tx.execute(sql.ADVANCE_HEADS[whole], bound)
    if settled < counted.due:
        await tx.execute("SET LOCAL enable_nestloop = on")
        if (await tx.execute(sql.CLOSE_EMPTY, due)).rowcount:
            await tx.execute(sql.DROP_EMPTY, bound)
        await tx.execute(sql.PARK, {**due, "now": tx.now})
    crash_point("settle.before-commit")
    return earned


async def _handle(tx: Tx, payload: Any) -> list[Earned] | work.More:
    bucket = msgspec.convert(payload["bucket"], Bucket)
    until, *later = [*bucket.cuts, _FOREVER]
    earned = await settle_bucket(tx, bucket.merchants, date.fromisoformat(payload["through"]), until)
    if earned:
        await outbox.emit(tx, "billing.orders_settled.v1", {"merchants": bucket.merchants, "earned": earned})
    so_far = [*bucket.earned, *earned]
    if later:
        return work.More({**payload, "bucket": Bucket(bucket.merchants, later[:-1], so_far)})
    return so_far


HANDLERS: dict[str, work.Handle] = {KIND: _handle}
"""What a worker process does with the items of a pass."""


async def _result(db: Database, through: date, batch_ids: Sequence[int]) -> Settled:
    """The sum over the batches' items, whoever did them, and what is parked now."""
    totals: dict[str, Earned] = {}
    async with db.read(WORKER) as tx:
        for batch_id in batch_ids:
            for result in await work.results(tx, batch_id):
                for earned in msgspec.convert(result, list[Earned]):
                    totals[earned.currency] = totals.get(earned.currency, Earned(earned.currency)) + earned
        parked = await tx.rows(
            """
            SELECT p.order_ref, p.reason FROM billing.parked_order p
            JOIN demand.order_due d ON d.merchant_id = p.merchant_id AND d.order_id = p.order_id
            WHERE d.settles_on <= :through ORDER BY p.order_ref, p.merchant_id
            """,
            through=through,
        )
    return Settled(
        orders=sum(earned.orders for earned in totals.values()),
        earned=[totals[currency] for currency in sorted(totals)],
        parked=len(parked),
        parked_orders=[Parked(row.order_ref, row.reason) for row in parked],
    )
