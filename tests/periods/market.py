"""A small market whose months are billed and closed."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from billing.periods.model import CheckState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.books.close_period import (
    ApproveBreak,
    Month,
    PeriodView,
    approve_break,
    ask_break,
    close_period,
    read_period,
    soft_close,
)
from tests.billing.market import CHECKER, MAKER, MAY, billed, order, settled_market

MAY_CLOSE, JUNE_CLOSE = Month(month="2018-05"), Month(month="2018-06")
EPOCH_DAY, EPOCH = date(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)


async def may_billed(db: Database) -> None:
    """Two merchants with an order each, settled and billed in May; one that is delivered in June."""
    await settled_market(db, [order(1, 1, date(2018, 5, 10)), order(2, 2, date(2018, 5, 20), 6000)])
    await billed(db, MAY)


async def accept_breaks(db: Database, month: Month) -> None:
    """What does not hold is named by the maker and approved by the checker."""
    async with db.read(WORKER) as tx:
        checks = (await read_period(tx, month)).checks
    for check in checks:
        if check.state is CheckState.RED:
            cmd = ApproveBreak(month=month, check=check.name, reason="known")
            asked = await db.write(WORKER, MAKER, ask_break, cmd)
            await db.write(WORKER, CHECKER, approve_break, month, asked.approval_id)


async def closed(db: Database, month: Month = MAY_CLOSE) -> PeriodView:
    """Soft-closed by the maker, closed by the checker."""
    await db.write(WORKER, MAKER, soft_close, month)
    await accept_breaks(db, month)
    return await db.write(WORKER, CHECKER, close_period, month)


async def entries(db: Database) -> list[Any]:
    async with db.read(WORKER) as tx:
        return list(await tx.rows("SELECT * FROM billing.entry ORDER BY merchant_id, entry_no"))


def hash_of(entry: Any) -> bytes:
    """SHA-256 of an entry as one line, written down apart from the statement that seals it."""
    micros = [(at - EPOCH) // timedelta(microseconds=1) for at in (entry.occurred_at, entry.posted_at)]
    lists = [",".join(map(str, values)) for values in (entry.accounts, entry.dimensions, entry.amounts)]
    parts = [entry.merchant_id, entry.entry_no, entry.kind, entry.source_id, entry.entity_id, entry.currency]
    parts += [micros[0], (entry.effective_on - EPOCH_DAY).days, int(entry.prior_period), *lists, micros[1]]
    return hashlib.sha256("|".join(map(str, [*parts, entry.posted_by])).encode()).digest()


def digest_of(found: list[Any], month_on: date, previous: bytes = b"", entity_id: int = 1, block: int = 1_000) -> str:
    """The digest of these entries as a month's, in whatever order they come."""
    blocks: dict[int, dict[int, bytes]] = {}
    for entry in sorted(found, key=lambda one: (one.merchant_id, one.entry_no)):
        own = blocks.setdefault(entry.merchant_id, {})
        own[entry.entry_no // block] = own.get(entry.entry_no // block, b"") + hash_of(entry)
    merchants = [
        hashlib.sha256(b"".join(hashlib.sha256(own[no]).digest() for no in sorted(own))).digest()
        for _, own in sorted(blocks.items())
    ]
    root = hashlib.sha256(b"".join(merchants)).digest() if merchants else b""
    head = f"{entity_id}|{(month_on - EPOCH_DAY).days}|{len(found)}".encode()
    return hashlib.sha256(previous + head + root).hexdigest()


async def as_owner(db: Database, work: Callable[[Tx], Awaitable[Any]]) -> Any:
    """What only somebody with the database itself could do: past every privilege and policy."""

    async def run(tx: Tx) -> Any:
        await tx.raw.execute("RESET ROLE")
        return await work(tx)

    return await db.write(WORKER, "intruder", run)
