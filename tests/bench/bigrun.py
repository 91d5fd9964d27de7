"""A billing run over 100,000 merchants and 10,000,000 entries: what it takes, and that it may be killed on the way.

Every command is a process of its own. The run is done twice over the same market, undisturbed and killed; both must
leave the same rows. A market of a tenth of the size before it shows whether the cost is linear. Beside the clock stands
what the command and the database's processes have computed, which other work on the machine changes less.
"""

import asyncio
import os
import re
import sys
from typing import Any

from marketplace.core.db import Database
from marketplace.flows.books.roll_ledger import roll_ledger
from tests.bench.scratch import (
    ACTOR,
    Stopwatch,
    as_maintenance,
    as_owner,
    ask_owner,
    at_most,
    main,
    note,
    scratch_database,
)
from tests.bench.serving import cpu_s, postmaster_of
from tests.builders import HOUSE

PROCESSORS = 2
BAR_SECONDS, BAR_MIB, BAR_GROWTH = 120.0, 300.0, 1.25
RUN = ("billing", "run", "--period", "2018-05", "--finalise")
_NOW = "2018-06-03T12:00:00+00:00"


async def measure(entries: int, merchants: int) -> dict[str, Any]:
    """Half of the entries are orders paid, half the same orders settled; all of one month, in the order of time."""
    small = await _whole(entries // 10, merchants // 10, kill=False)
    large = await _whole(entries, merchants, kill=True)
    cpu = [sum(market["run"]["cpu_seconds"].values()) for market in (small, large)]
    return {
        "small": small,
        "large": large,
        "bars": {
            "seconds": at_most(large["run"]["seconds"], BAR_SECONDS),
            "seconds_by_cpu": at_most(cpu[1] / PROCESSORS, BAR_SECONDS),
            "peak_memory_mib": at_most(large["run"]["peak_memory_mib"], BAR_MIB),
            "killed_differs": at_most(len(large["killed"]["differing"]), 0),
            "cpu_per_entry_against_a_tenth": at_most(cpu[1] / cpu[0] * small["entries"] / large["entries"], BAR_GROWTH),
        },
    }


async def _whole(entries: int, merchants: int, *, kill: bool) -> dict[str, Any]:
    async with scratch_database() as db:
        watch = Stopwatch()
        await as_owner(db, *(statement.format(merchants=merchants, orders=entries // 2) for statement in _FILL))
        await db.analyze(*_ANALYZED)
        await roll_ledger(db, ACTOR)
        await db.analyze("billing.account_day")  # as a settlement pass does behind it
        stored = await ask_owner(db, "SELECT count(*) FROM billing.entry")
        size = await ask_owner(db, "SELECT pg_database_size(current_database())")
        note(f"{stored} entries of {merchants} merchants made in {watch.seconds} s")
        url = db.url
        server = postmaster_of(await ask_owner(db, "SHOW data_directory"))
        if kill:  # on a copy, so that both runs find the very same market
            await db.disconnect()
            await as_maintenance(db, "CREATE DATABASE bench_killed TEMPLATE marketplace STRATEGY file_copy")
        await as_maintenance(db, "CHECKPOINT")
        load = os.getloadavg()[0]
        computed = cpu_s(server)
        done = await _command(url, *RUN)
        done["cpu_seconds"]["database"] = round(cpu_s(server) - computed, 2)
        note(f"run in {done['seconds']} s, {done['cpu_seconds']} of processors, {done['peak_memory_mib']} MiB")
        answer = {
            "entries": stored,
            "merchants": merchants,
            "bytes": size,
            "load_1min_before": round(load, 1),
            "run": done,
        }
        rows = await _digests(db)
        answer["rows"] = {table: count for table, (count, _) in rows.items()}
        if kill:
            answer["killed"] = await _killed(url.replace("/marketplace?", "/bench_killed?"), db, rows)
    return answer


async def _killed(url: str, db: Database, expected: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The same run on the copy, killed in its preview and while it is finalised, then started once more."""
    watch = Stopwatch()
    for point in ("run.previewing:3", "payout.posted:3"):
        await _command(url, *RUN, crash_at=point)
    await _command(url, *RUN)
    copy = Database(url, db.clock)
    found = await _digests(copy)
    await copy.close()
    differing = sorted(table for table in expected if expected[table] != found[table])
    note(f"killed twice and ended after {watch.seconds} s; differing: {differing}")
    return {"seconds": watch.seconds, "differing": differing}


async def _command(url: str, *arguments: str, crash_at: str | None = None) -> dict[str, Any]:
    """Run a command; its duration, and what its process computed and took of memory. With crash_at it must die."""
    watch = Stopwatch()
    env = {**os.environ, "MARKETPLACE_DATABASE_URL": url, "MARKETPLACE_USER": ACTOR, "MARKETPLACE_CLOCK_AT": _NOW}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.measured", *arguments, "--json",
        env=env | ({"MARKETPLACE_CRASH_AT": crash_at} if crash_at else {}),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer, errors = await process.communicate()
    if crash_at:
        if process.returncode != -9:
            raise SystemExit(f"{crash_at}: not reached: {answer.decode()} {errors.decode()}")
        return {}
    if process.returncode:
        raise SystemExit(f"{arguments}: {answer.decode()} {errors.decode()}")
    [(computed, peak)] = re.findall(r"^cpu_s=(.+)\npeak_memory_kib=(\d+)$", errors.decode(), re.MULTILINE)
    return {
        "seconds": watch.seconds,
        "cpu_seconds": {"command": float(computed)},
        "peak_memory_mib": round(int(peak) / 1024, 1),
    }


async def _digests(db: Database) -> dict[str, tuple[int, int]]:
    """The number of rows that a run writes to each table, and a sum of their hashes, whatever their order."""
    found = {}
    for table, rows in _WRITTEN.items():
        query = f"SELECT count(*) AS rows, coalesce(sum(hashtextextended(r::text, 0)), 0) AS digest FROM ({rows}) AS r"
        async with db.engine.connect() as connection:
            row = (await connection.exec_driver_sql(query)).mappings().one()
        found[table] = (int(row["rows"]), int(row["digest"]))
    return found


_WRITTEN = {
    "statement": "SELECT * FROM billing.statement",
    "billing_window": "SELECT * FROM billing.billing_window",
    "payout": "SELECT * FROM billing.payout",
    "payout_item": "SELECT * FROM billing.payout_item",
    "entry": "SELECT * FROM billing.entry WHERE kind NOT IN ('order_paid', 'order_settled')",
    # Which number a document has depends on which bucket was numbered first.
    "document": "SELECT (to_jsonb(d) - 'serial') FROM billing.document d",
    "document_line": "SELECT * FROM billing.document_line",
    "document_tax": "SELECT * FROM billing.document_tax",
    "ledger_head": "SELECT * FROM billing.ledger_head",
    "account_day": "SELECT * FROM billing.account_day",
    "entity": "SELECT * FROM billing.entity",
}
_ANALYZED = ("billing.ledger_head", "billing.ledger_roll", "billing.entry", "billing.commission_line")

# Merchants of Zipf-like sizes, their orders of 120.00 and less at 10 % and 20 % VAT on it, written as time went by.
_FILL = (
    "CREATE SCHEMA bench",
    f"""
INSERT INTO billing.entity (entity_id, name, currency, zone, house_merchant_id)
VALUES (1, 'Bench', 'EUR', 'UTC', {HOUSE})
""",
    """
INSERT INTO billing.contract (contract_id, name, currency, valid_from, negotiated, base, rate_ppm, fixed_minor, vat_ppm,
    applied_at, applied_by)
VALUES (1, 'bench', 'EUR', '2018-01-01', false, 'goods', 100000, 0, 200000, '2018-01-01', 'bench')
""",
    """
INSERT INTO supply.merchant_ref (merchant_id, merchant_ref)
SELECT m, 'm' || m FROM generate_series(1, {merchants}) AS m
""",
    """
INSERT INTO supply.merchant (merchant_id, merchant_ref, name, entity_id, created_at)
SELECT m, 'm' || m, 'm' || m, 1, '2018-04-01' FROM generate_series(1, {merchants}) AS m
""",
    """
CREATE UNLOGGED TABLE bench.size AS
SELECT merchant_id, greatest(1, round({orders} * share))::int AS orders
FROM (SELECT merchant_id, power(merchant_id, -0.5) / sum(power(merchant_id, -0.5)) OVER () AS share
      FROM generate_series(1, {merchants}) AS merchant_id) AS ranked
""",
    """
CREATE UNLOGGED TABLE bench.sale AS
SELECT s.merchant_id, n AS position, 500 + (hashint8extended(s.merchant_id::bigint * 1000003 + n, 3) & 8191) AS minor,
       DATE '2018-05-01' + (n * 30 / s.orders) AS on_day
FROM bench.size s, generate_series(1, s.orders) AS n
""",
    f"""
INSERT INTO billing.ledger_head (merchant_id, entity_id, last_entry_no)
SELECT merchant_id, 1, 2 * orders FROM bench.size UNION ALL SELECT {HOUSE}, 1, 0
""",
    """
INSERT INTO billing.ledger_roll (merchant_id, rolled_no, rolling_no)
SELECT merchant_id, 0, 0 FROM billing.ledger_head
""",
    """
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT merchant_id, 2 * position - 1 + half, CASE half WHEN 0 THEN 'order_paid' ELSE 'order_settled' END,
       position, 1, 'EUR', on_day, on_day, false,
       CASE half WHEN 0 THEN ARRAY[1020, 2005] ELSE ARRAY[2005, 2000, 4000, 2300] END,
       CASE half WHEN 0 THEN ARRAY[1, 0]::bigint[] ELSE ARRAY[0, 0, 0, 0]::bigint[] END,
       CASE half WHEN 0 THEN ARRAY[minor, -minor]
            ELSE ARRAY[minor, -(minor - minor / 10 - minor / 50), -(minor / 10), -(minor / 50)] END, on_day, 'bench'
FROM bench.sale, generate_series(0, 1) AS half ORDER BY on_day, position, merchant_id
""",
    """
INSERT INTO billing.commission_line (merchant_id, entry_no, contract_id, order_id, kind, occurred_at, occurred_on,
    effective_on, currency, goods_minor, freight_minor, discount_minor, base_minor, commission_minor, vat_minor)
SELECT merchant_id, 2 * position, 1, position, 'sale', on_day, on_day, on_day, 'EUR', minor, 0, 0, minor,
       minor / 10, minor / 50
FROM bench.sale ORDER BY on_day, position, merchant_id
""",
    "DROP SCHEMA bench CASCADE",
)


if __name__ == "__main__":
    main(measure, entries=10_000_000, merchants=100_000)
