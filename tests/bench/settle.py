"""How fast a settlement pass is against bare inserts of the very rows that it writes, and whom it keeps waiting."""

import asyncio
import random
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import text

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission import settle_orders
from marketplace.flows.commission.settle_orders import settle_through
from tests.bench.market import CURRENCY, LAST_DAY, build_market
from tests.bench.scratch import (
    ACTOR,
    Stopwatch,
    as_owner,
    ask_owner,
    at_least,
    at_most,
    copy_of,
    main,
    note,
    scratch_database,
)
from tests.builders import PROCESSOR

PLACEMENT_EVERY_S = 0.02
_FIRST_PLACEMENT = 10**12


async def measure(orders: int, merchants: int, repeats: int) -> dict[str, Any]:
    async with scratch_database() as db:
        watch = Stopwatch()
        await build_market(db, merchants=merchants, orders=orders, exponent=0.78)
        note(f"market built in {watch.seconds} s")
        passes, bares = [], []
        for _ in range(repeats):
            async with copy_of(db) as copy:
                done, seconds, rolled = await _pass(copy)
                note(f"settled in {seconds} s, then rolled up in {rolled} s")
                bare, sizes = await _bare(copy, _INSERTED)
                every, _ = await _bare(copy, tuple(_ROWS))
                note(f"bare inserts in {bare} s, with the days of the roll-up in {every} s")
            passes.append((seconds, rolled))
            bares.append((bare, every))
        async with copy_of(db) as copy:
            waits = await _place_while_settling(copy, merchants)
        biggest = await ask_owner(db, "SELECT max(orders) FROM bench.size")
    seconds, rolled = (statistics.median(column) for column in zip(*passes, strict=True))
    bare, every = (statistics.median(column) for column in zip(*bares, strict=True))
    return {
        "orders": done,
        "merchants": merchants,
        "largest_merchant_orders": biggest,
        "parts_per_bucket": settle_orders.PARTS_PER_BUCKET,
        "connections": settle_orders.CONNECTIONS,
        "pass": {"seconds": seconds, "orders_per_second": round(done / seconds), "all": [p for p, _ in passes]},
        "with_roll_up": {"seconds": seconds + rolled, "orders_per_second": round(done / (seconds + rolled))},
        "bare": {"seconds": bare, "orders_per_second": round(done / bare), "all": [b for b, _ in bares]},
        "bytes": sizes,
        "beside_the_bar": {
            "slowest_pass_against_fastest_bare": round(min(bares)[0] / max(passes)[0], 3),
            "bare_against_the_pass_and_its_roll_up": round(bare / (seconds + rolled), 3),
            "bare_with_the_days_against_the_pass_and_its_roll_up": round(every / (seconds + rolled), 3),
        },
        "placements": {"count": len(waits), "longest_wait_seconds": round(max(waits), 3)},
        "bars": {
            "speed_against_bare_inserts": at_least(bare / seconds, 0.4),
            "longest_placement_wait_seconds": at_most(max(waits), 2.0),
        },
        "aim": {"orders_per_second": 40_000, "reached": done / (seconds + rolled) >= 40_000},
    }


async def _pass(db: Database) -> tuple[int, float, float]:
    """Settle everything. Returns the orders, the seconds until the last was settled, and those that the roll-up behind
    the heads and new statistics took after it.
    """
    watch = Stopwatch()
    settled_after = 0.0

    def on_progress(done: int, total: int) -> None:
        nonlocal settled_after
        if done == total:
            settled_after = watch.seconds

    settled = await settle_through(db, ACTOR, LAST_DAY.replace(month=6, day=30), on_progress)
    return settled.orders, settled_after, round(watch.seconds - settled_after, 3)


async def _place_while_settling(db: Database, merchants: int) -> list[float]:
    """How long each placement took that was made while everything was settled."""
    stop = asyncio.Event()
    placing = asyncio.create_task(_place(db, merchants, stop))
    await _pass(db)
    stop.set()
    return await placing


async def _place(db: Database, merchants: int, stop: asyncio.Event) -> list[float]:
    """Book one paid order after another to merchants at random; returns how long each took."""
    choice = random.Random(1)
    waits: list[float] = []
    while not stop.is_set():
        watch = Stopwatch()
        await db.write(WORKER, ACTOR, _one_placement, choice.randint(1, merchants), _FIRST_PLACEMENT + len(waits))
        waits.append(watch.seconds)
        await asyncio.sleep(PLACEMENT_EVERY_S)
    return waits


async def _one_placement(tx: Tx, merchant_id: int, source_id: int) -> None:
    paid = legs(
        {Account.PROCESSOR_CLEARING: 1_000, Account.PENDING: -1_000}, dimensions={Account.PROCESSOR_CLEARING: PROCESSOR}
    )
    new = NewEntry(
        merchant_id=merchant_id,
        kind="order_paid",
        source_id=source_id,
        currency=CURRENCY,
        occurred_at=tx.now,
        effective_on=tx.now.date(),
        legs=paid,
    )
    await ledger.post(tx, [new])


# What the pass wrote, in copies with the bucket of each row, and empty tables built like the real ones. The bar holds
# the pass against the rows it inserts; that it also deletes the queue's rows and updates the heads is left to the pass
# alone. The day rows that the roll-up adds behind the heads (decision D3: readers add the tail) are measured beside it.
_ROWS = {
    "entry": ("billing", "SELECT e.* FROM billing.entry e WHERE e.kind = 'order_settled'"),
    "commission_line": ("billing", "SELECT c.* FROM billing.commission_line c"),
    "commission_month": ("billing", "SELECT m.* FROM billing.commission_month m"),
    "account_day": ("billing", "SELECT d.* FROM billing.account_day d WHERE d.account IN (2000, 2005, 2300, 4000)"),
}
_INSERTED = ("entry", "commission_line", "commission_month")
_KEYS = {
    "entry": "merchant_id, entry_no",
    "commission_line": "merchant_id, entry_no, contract_id",
    "commission_month": "merchant_id, month, contract_id",
    "account_day": "merchant_id, account, dimension, currency, effective_on",
}


async def _bare(db: Database, tables: Sequence[str]) -> tuple[float, dict[str, int]]:
    """Insert the rows of these tables again, bucket by bucket, by INSERT…SELECT over as many connections as the pass.

    Returns the seconds and the sizes of the tables.
    """
    await as_owner(db, *(f"DROP TABLE IF EXISTS bench.{table}, bench.{table}_copy" for table in tables))
    buckets = await ask_owner(db, "SELECT count(*) FROM core.work_item WHERE state = 'done'")
    for table in tables:
        schema, rows = _ROWS[table]
        await as_owner(
            db,
            f"""
            CREATE UNLOGGED TABLE bench.{table}_copy AS
            SELECT ntile({buckets}) OVER (ORDER BY {_KEYS[table]}) AS bucket, row_.* FROM ({rows}) AS row_
            ORDER BY {_KEYS[table]}
            """,
            f"CREATE INDEX ON bench.{table}_copy (bucket)",
            f"ANALYZE bench.{table}_copy",
            f"CREATE TABLE bench.{table} (LIKE {schema}.{table} INCLUDING ALL)",
        )
    await as_owner(db, "CHECKPOINT")
    columns = {
        table: await ask_owner(
            db,
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            f" WHERE attrelid = '{_ROWS[table][0]}.{table}'::regclass AND attnum > 0 AND NOT attisdropped",
        )
        for table in tables
    }
    waiting = iter(range(1, buckets + 1))
    watch = Stopwatch()
    await asyncio.gather(*(_insert(db, columns, waiting) for _ in range(settle_orders.CONNECTIONS)))
    seconds = watch.seconds
    sizes = {table: await ask_owner(db, f"SELECT pg_total_relation_size('bench.{table}')") for table in tables}
    return seconds, sizes


async def _insert(db: Database, columns: dict[str, str], waiting: Iterator[int]) -> None:
    """One connection's share of the buckets, a commit each."""
    async with db.engine.connect() as connection:
        for bucket in waiting:
            await connection.execute(text("BEGIN"))
            for table, names in columns.items():
                insert = f"INSERT INTO bench.{table} ({names}) SELECT {names} FROM bench.{table}_copy"
                await connection.execute(text(f"{insert} WHERE bucket = :bucket"), {"bucket": bucket})
            await connection.execute(text("COMMIT"))


if __name__ == "__main__":
    main(measure, orders=1_000_000, merchants=2_000, repeats=3)
