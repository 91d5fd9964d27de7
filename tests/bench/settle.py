"""How fast a settlement pass is against bare inserts of the very rows that it writes, and whom it keeps waiting."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import text

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows import settle_orders
from marketplace.flows.settle_orders import settle_through
from tests.bench.market import CURRENCY, LAST_DAY, build_market
from tests.bench.scratch import ACTOR, Stopwatch, as_owner, ask_owner, at_least, at_most, main, note, scratch_database
from tests.builders import PROCESSOR

PLACEMENT_EVERY_S = 0.02
_FIRST_PLACEMENT = 10**12


async def measure(orders: int, merchants: int) -> dict[str, Any]:
    async with scratch_database() as db:
        watch = Stopwatch()
        await build_market(db, merchants=merchants, orders=orders, exponent=0.78)
        await as_owner(db, "CHECKPOINT")
        note(f"market built in {watch.seconds} s")
        done, seconds, rolled, waits = await _pass(db, merchants)
        note(f"settled in {seconds} s, of which {rolled} s for the roll-up")
        bare, bytes_written = await _bare(db, _INSERTED)
        note(f"bare inserts in {bare} s")
        every, _ = await _bare(db, tuple(_ROWS))
        note(f"bare inserts of every row version in {every} s")
        biggest = await ask_owner(db, "SELECT max(orders) FROM bench.size")
    return {
        "orders": done,
        "merchants": merchants,
        "largest_merchant_orders": biggest,
        "orders_per_bucket": settle_orders.ORDERS_PER_BUCKET,
        "pass": {"seconds": seconds, "orders_per_second": round(done / seconds), "roll_up_seconds": rolled},
        "bare": {"seconds": bare, "orders_per_second": round(done / bare)},
        "connections": settle_orders.CONNECTIONS,
        "beside_the_bar": {
            "bare_against_the_pass_without_roll_up": round(bare / (seconds - rolled), 3),
            "every_row_version_seconds": every,
            "every_row_version_against_the_pass": round(every / seconds, 3),
        },
        "bytes": bytes_written,
        "placements": {"count": len(waits), "longest_wait_seconds": round(max(waits), 3)},
        "bars": {
            "speed_against_bare_inserts": at_least(bare / seconds, 0.4),
            "longest_placement_wait_seconds": at_most(max(waits), 2.0),
        },
        "aim": {"orders_per_second": 40_000, "reached": done / seconds >= 40_000},
    }


async def _pass(db: Database, merchants: int) -> tuple[int, float, float, list[float]]:
    """Settle everything while orders are placed; the roll-up that ends a pass is also timed by itself."""
    stop = asyncio.Event()
    placing = asyncio.create_task(_place(db, merchants, stop))
    watch = Stopwatch()
    before_roll = [0.0]

    def on_progress(done: int, total: int) -> None:
        if done == total:
            before_roll[0] = watch.seconds

    settled = await settle_through(db, ACTOR, LAST_DAY.replace(month=6, day=30), on_progress)
    seconds = watch.seconds
    stop.set()
    return settled.orders, seconds, round(seconds - before_roll[0], 3), await placing


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
# the pass against the rows it inserts. The day rows of its roll-up and the orders whose state it updates are measured
# beside it: inserting those orders also fills indexes that their update leaves alone, which flatters the pass.
_ROWS = {
    "entry": ("billing", "SELECT e.* FROM billing.entry e WHERE e.kind = 'order_settled'"),
    "commission_line": ("billing", "SELECT c.* FROM billing.commission_line c"),
    "commission_month": ("billing", "SELECT m.* FROM billing.commission_month m"),
    "account_day": ("billing", "SELECT d.* FROM billing.account_day d WHERE d.account IN (2000, 2005, 2300, 4000)"),
    "merchant_order": ("demand", "SELECT o.* FROM demand.merchant_order o WHERE o.state = 'settled'"),
}
_INSERTED = ("entry", "commission_line", "commission_month")
_KEYS = {
    "entry": "merchant_id, entry_no",
    "commission_line": "merchant_id, entry_no, contract_id",
    "commission_month": "merchant_id, month, contract_id",
    "account_day": "merchant_id, account, dimension, currency, effective_on",
    "merchant_order": "merchant_id, order_id",
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
    main(measure, orders=1_000_000, merchants=2_000)
