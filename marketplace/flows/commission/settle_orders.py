"""Settle delivered orders: rate the commission, release the money to the merchant's payable balance.

A pass is planned as buckets of merchants, about a second of work each, and every bucket is one commit; a merchant with
very many orders is cut along the settlement instant. Interrupted passes are resumed, by any process.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import msgspec

from marketplace.core import audit, outbox, work
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.together import together
from marketplace.flows.books.roll_ledger import batches, roll_ledger
from marketplace.flows.commission import settle_orders_sql as sql
from marketplace.flows.orders.freeze_contracts import freeze_at_settlement
from marketplace.flows.payers.book_share import settle_shares

KIND = "settle_orders"
PARTS_PER_BUCKET = 40_000
"""About a second of work on one connection; a part is what an order has under one contract."""
CONNECTIONS = 2
_PASSES_MAX = 100  # interrupted passes that one call finishes before its own
_ANALYZED_FROM = 2_000  # orders; a run over tables without statistics is planned as if they were small
_WRITTEN = (
    "demand.order_due",
    "billing.entry",
    "billing.commission_line",
    "billing.commission_month",
    "billing.account_day",
    "billing.ledger_head",
    "billing.ledger_roll",
)
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class Earned(msgspec.Struct, frozen=True):
    """The commission and VAT that settled orders of a currency earned, in minor units."""

    currency: str
    commission_minor: int
    vat_minor: int


class Done(msgspec.Struct, frozen=True):
    """How many orders were settled, and what that earned by currency."""

    orders: int = 0
    earned: tuple[Earned, ...] = ()

    def __add__(self, other: "Done") -> "Done":
        sums: dict[str, tuple[int, int]] = {}
        for each in (*self.earned, *other.earned):
            commission, vat = sums.get(each.currency, (0, 0))
            sums[each.currency] = commission + each.commission_minor, vat + each.vat_minor
        return Done(self.orders + other.orders, tuple(Earned(currency, *sums[currency]) for currency in sorted(sums)))


class Bucket(msgspec.Struct, frozen=True):
    """Merchants to settle in one commit; or one of very many orders, in several: up to each instant of `cuts`, in turn.

    done: what the commits so far have settled.
    """

    merchants: list[int]
    cuts: list[datetime] = []
    done: Done = Done()


class Parked(msgspec.Struct, frozen=True):
    """A merchant's order that stays due, and why. order_ref is the purchase's, which several merchants may share."""

    order_ref: str
    merchant_ref: str
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
    for ended in await together(*drains):
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
    buckets = []
    for row in due:
        if row.parts > PARTS_PER_BUCKET:
            cuts = await tx.rows(_CUTS, merchant=row.merchant_id, through=through, every=PARTS_PER_BUCKET)
            buckets.append(Bucket([row.merchant_id], [cut.settles_at for cut in cuts]))
    # The longest first, so that nobody waits at the end for the one who began it last.
    small = [(row.merchant_id, row.parts) for row in due if row.parts <= PARTS_PER_BUCKET]
    buckets += [Bucket(merchants) for merchants in batches(small, PARTS_PER_BUCKET)]
    items = [{"through": through, "bucket": bucket} for bucket in buckets]
    batch_id = await work.plan(tx, KIND, {"through": through}, items)
    await audit.record(tx, "settlement planned", f"work_batch:{batch_id}", through=through, buckets=len(buckets))
    return batch_id, True


_DUE = """
SELECT merchant_id, count(*) AS parts FROM demand.order_due WHERE settles_on <= :through
GROUP BY merchant_id ORDER BY merchant_id
"""
_CUTS = """
SELECT settles_at FROM (
    SELECT settles_at, row_number() OVER (ORDER BY settles_at) AS position
    FROM demand.order_due WHERE merchant_id = :merchant AND settles_on <= :through
) AS due
WHERE position % :every = 0 ORDER BY settles_at
"""


async def settle_bucket(tx: Tx, merchants: Sequence[int], through: date, until: datetime = _FOREVER) -> Done:
    """Settle what is due of these merchants through a local date, up to an instant; returns what that was.

    One order is settled by the same statements as a million. The caller's transaction makes it all or nothing.
    """
    await tx.plan_in_bulk()
    # A merge join on the merchant alone looks cheap to the planner and is quadratic in a large merchant's orders.
    await tx.execute("SET LOCAL enable_mergejoin = off")
    # Terms that are being rated under do not change meanwhile: applying contracts waits for this commit.
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('billing.contract'))")
    bound = {"merchants": sorted(merchants)}
    await tx.execute(sql.LOCK_HEADS, bound)
    first = (await tx.execute(sql.FIRST_DUE, {**bound, "through": through, "until": until})).one()
    if first.since is None:
        return Done()
    due = {**bound, "since": first.since, "through": through, "until": until}
    before = await _month_totals(tx, merchants, first.since)
    if first.uncovered:
        await freeze_at_settlement(tx, merchants, through)
    async with _joining_by_hash(tx):
        rated = (await tx.execute(sql.RATE, due)).rowcount
    crash_point("settle.rated")
    orders = (await tx.execute(sql.POST, {**bound, "now": tx.now, "actor": tx.actor})).rowcount
    crash_point("settle.posted")
    await tx.execute(sql.ADD_TO_MONTH, bound)
    async with _joining_by_hash(tx):
        if (await tx.execute(sql.EMPTY_QUEUE, due)).rowcount != rated:
            # Seen by one statement and not by the other; the caller's transaction starts again.
            raise asyncpg.SerializationError("orders became due while the bucket was being settled")
        await tx.execute(sql.DROP_WORTHLESS, due)
    if first.uncovered:
        await tx.execute(sql.PARK, {**due, "now": tx.now})
    await tx.execute(sql.UNPARK, bound)
    await tx.execute(sql.ADVANCE_HEADS, bound)
    await settle_shares(tx, merchants)
    crash_point("settle.before-commit")
    return Done(orders, _difference(before, await _month_totals(tx, merchants, first.since)))


@asynccontextmanager
async def _joining_by_hash(tx: Tx) -> AsyncIterator[None]:
    """Against an index probe or a scan for every order, which the planner takes for cheap when statistics are old."""
    await tx.execute("SET LOCAL enable_nestloop = off")
    yield
    await tx.execute("SET LOCAL enable_nestloop = on")


def _difference(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> tuple[Earned, ...]:
    """What was earned in the currencies in which anything was."""
    changes = {
        currency: tuple(now - was for now, was in zip(totals, before.get(currency, (0, 0)), strict=True))
        for currency, totals in after.items()
    }
    return tuple(Earned(currency, *changes[currency]) for currency in sorted(changes) if any(changes[currency]))


async def _month_totals(tx: Tx, merchants: Sequence[int], since: date) -> dict[str, tuple[int, int]]:
    """Commission and VAT that these merchants' months since then have come to, by currency."""
    rows = (await tx.execute(sql.MONTH_TOTALS, {"merchants": list(merchants), "since": since})).all()
    return {row.currency: (row.commission_minor, row.vat_minor) for row in rows}


async def _handle(tx: Tx, payload: Any) -> Done | work.More:
    bucket = msgspec.convert(payload["bucket"], Bucket)
    until, *later = [*bucket.cuts, _FOREVER]
    done = await settle_bucket(tx, bucket.merchants, date.fromisoformat(payload["through"]), until)
    if done.orders:
        event = {"merchants": bucket.merchants, "orders": done.orders, "earned": done.earned}
        await outbox.emit(tx, "billing.orders_settled.v1", event)
    so_far = bucket.done + done
    if later:
        return work.More({**payload, "bucket": Bucket(bucket.merchants, later[:-1], so_far)})
    return so_far


HANDLERS: dict[str, work.Handle] = {KIND: _handle}
"""What a worker process does with the items of a pass."""


async def _result(db: Database, through: date, batch_ids: Sequence[int]) -> Settled:
    """The sum over the batches' items, whoever did them, and what is parked now."""
    done = Done()
    async with db.read(WORKER) as tx:
        for batch_id in batch_ids:
            for result in await work.results(tx, batch_id):
                done += msgspec.convert(result, Done)
        parked = await tx.rows(
            """
            SELECT p.order_ref, m.merchant_ref, p.reason FROM billing.parked_order p
            JOIN demand.order_due d ON d.merchant_id = p.merchant_id AND d.order_id = p.order_id
            JOIN supply.merchant m ON m.merchant_id = p.merchant_id
            WHERE d.contract_id = 0 AND d.settles_on <= :through ORDER BY p.order_ref, m.merchant_ref
            """,
            through=through,
        )
    return Settled(
        orders=done.orders,
        earned=list(done.earned),
        parked=len(parked),
        parked_orders=[Parked(*row) for row in parked],
    )
