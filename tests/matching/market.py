"""A market whose processor and bank say something, and what matching makes of it."""

import io
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from billing.bank_files.model import BankFileState, Line
from billing.matching import store
from billing.matching.agreements import store as agreements
from billing.matching.model import Account, Book, Group, Item, Run
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.bank.import_bank_file import import_bank_file
from marketplace.flows.bank.match_lines import match_lines
from tests.bank_files.writers import ACCOUNT, camt
from tests.builders import ENTITY, PROCESSOR

FROM = date(2018, 1, 1)
DAY = date(2018, 9, 3)


async def name_accounts(tx: Tx) -> None:
    """The house's account at its bank and at its processor."""
    for account, book, processor in ((ACCOUNT, Book.BANK, None), ("card", Book.PROCESSOR, PROCESSOR)):
        await agreements.set_account(
            tx,
            Account(
                account=account, book=book, entity_id=ENTITY, processor_id=processor, calendar="", lag_days=2,
                from_on=FROM,
            ),
        )  # fmt: skip


def line(minor: int, **said: Any) -> Line:
    day = said.pop("day", DAY)
    return Line(position=1, day=day, value_day=day, amount_minor=minor, currency="EUR", **said)


async def bank_says(db: Database, lines: Sequence[Line], opening: int = 0) -> None:
    """The bank sends a statement with these lines."""
    content = io.BytesIO(camt(lines, opening, "EUR"))
    read = await import_bank_file(db, "fay", "statement.xml", content, processor="card")
    assert read.state is BankFileState.READ, read.flaws


async def matched(db: Database) -> Run:
    return await match_lines(db, "fay")


async def groups(db: Database) -> list[Group]:
    async with db.read(WORKER) as tx:
        return list(reversed(await store.list_groups(tx, limit=10_000)))


async def open_items(db: Database, **wanted: Any) -> list[Item]:
    async with db.read(WORKER) as tx:
        return await store.open_items(tx, limit=10_000, **wanted)


async def tomorrow(db: Database, days: int = 1) -> None:
    db.clock.move_to(db.clock.now() + timedelta(days=days))  # type: ignore[attr-defined]  # a FixedClock
