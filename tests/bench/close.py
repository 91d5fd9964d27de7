"""How long it takes to close a month of many entries and to prove its seal, and what exporting them needs of memory."""

import asyncio
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from billing.exports.model import JournalFormat
from billing.periods import store
from billing.periods.model import BookPeriod, PeriodState
from billing.periods.seal_sql import BROKEN_SEALS, CHANGED
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.months import first_of_month
from marketplace.flows.books.export_journal import export_journal
from marketplace.flows.commission.settle_orders import settle_through
from tests.bench.market import LAST_DAY, build_market
from tests.bench.scratch import ACTOR, ask_owner, at_most, main, note, scratch_database

MEMORY_MIB = 500


async def measure(entries: int, merchants: int, workbook: int) -> dict[str, Any]:
    async with scratch_database() as db:
        await build_market(db, merchants=merchants, orders=entries // 2, exponent=0.78)
        began = time.perf_counter()
        await settle_through(db, ACTOR, LAST_DAY)
        settled_s = time.perf_counter() - began
        stored = await ask_owner(db, "SELECT count(*) FROM billing.entry")
        began = time.perf_counter()
        sealed = await db.write(WORKER, ACTOR, _seal)
        sealed_s = time.perf_counter() - began
        began = time.perf_counter()
        async with db.read(STAFF) as tx:
            await tx.plan_in_bulk()
            if await tx.rows(CHANGED) or await tx.rows(BROKEN_SEALS):
                raise SystemExit("the seal does not hold")
        proved_s = time.perf_counter() - began
        note(f"settled {settled_s:.1f} s, sealed {sealed} in {sealed_s:.1f} s, proved in {proved_s:.1f} s")
        before = _rss_mib()
        exports = {}
        for one in (JournalFormat.CSV, JournalFormat.HLEDGER, JournalFormat.PARQUET, JournalFormat.BEANCOUNT):
            exports[one.value] = await _export(db, one)
            note(f"{one.value}: {exports[one.value]}")
        if workbook:
            exports["xlsx"] = await _export(db, JournalFormat.XLSX)
        blocks = await ask_owner(db, "SELECT pg_total_relation_size('billing.period_block')")
    return {
        "entries": stored,
        "sealed_entries": sealed,
        "settling, s": round(settled_s, 1),
        "sealing, s": round(sealed_s, 1),
        "proving the seal, s": round(proved_s, 1),
        "hashes, MiB": round(int(blocks) / 2**20),
        "process before exports, MiB": before,
        "exports": exports,
        "bars": {"highest memory, MiB": at_most(_rss_mib(), MEMORY_MIB)},
    }


async def _seal(tx: Tx) -> int:
    month_on = first_of_month(local_date(tx.now, "UTC"))
    held = BookPeriod(entity_id=1, month_on=month_on, state=PeriodState.SOFT_CLOSED)
    await store.save(tx, held, state=PeriodState.CLOSED, seal_no=1)
    return (await store.seal(tx, held, None, single=True)).entries


async def _export(db: Database, file_format: JournalFormat) -> dict[str, float]:
    """Seconds, size, and the process's highest memory so far: the formats come in order, so a jump is that format's."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journal"
        began = time.perf_counter()
        rows = await export_journal(db, file_format, file)
        taken = time.perf_counter() - began
        size = await asyncio.to_thread(lambda: file.stat().st_size)
    return {"rows": rows, "s": round(taken, 1), "MiB": round(size / 2**20), "highest memory, MiB": _rss_mib()}


def _rss_mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main(measure, entries=1_000_000, merchants=2_000, workbook=1)
