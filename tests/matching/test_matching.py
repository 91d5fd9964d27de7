"""From a processor's file and the bank's statement to groups, entries and proofs."""

from datetime import date
from pathlib import Path

import pytest

from billing.matching.model import Book, Side, Stage
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.payments.import_processor_file import ImportedFile, import_processor_file
from marketplace.simulator.model import Behaviour
from marketplace.simulator.processor import Processor
from marketplace.simulator.store import Store
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.matching.market import bank_says, groups, line, matched, name_accounts, open_items
from tests.payments.market import A, B, C, Placed, add_merchants, balances, place
from tests.payments.test_settlement_file import captured

DAY = date(2018, 9, 3)


@pytest.fixture
def processor(tmp_path: Path, clock: FixedClock) -> Processor:
    return Processor(Store(tmp_path / "state.sqlite", clock.now()), clock, Behaviour())


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", add_merchants)
    await db.write(WORKER, "test", name_accounts)
    return db


async def settled(db: Database, processor: Processor) -> ImportedFile:
    for part in (A, B, C):
        placed: Placed = await db.write(WORKER, "shop", place, [part])
        await captured(db, processor, placed)
    return await import_processor_file(db, "fay", "card", processor.settlement_file(DAY).encode())


async def test_from_the_processors_file_to_the_banks_line(market: Database, processor: Processor) -> None:
    file = await settled(market, processor)
    await bank_says(market, [line(file.net_minor, end_to_end="NOTPROVIDED", text=f"card {file.batch_ref} thanks")])
    run = await matched(market)
    assert (run.found["exact"], run.found["suspended"]) == (4, 0)
    made = [(group.book, group.stage) for group in await groups(market)]
    assert sorted(made) == [(Book.BANK, Stage.EXACT), *[(Book.PROCESSOR, Stage.EXACT)] * 3]
    assert await open_items(market) == []
    assert (await balances(market, HOUSE))[1010, 0] == file.net_minor
    again = await matched(market)
    assert {name: count for name, count in again.found.items() if count} == {}
    await check_books(market)


async def test_a_line_that_nobody_claims_waits_on_suspense(market: Database, processor: Processor) -> None:
    """The bank is faster than the processor's file: the line goes to 2900, and leaves it when the file comes."""
    content = await unsettled(market, processor)
    await bank_says(market, [line(15199, text=f"card {batch_of(content)}", bank_ref="B1")])
    run = await matched(market)
    assert (run.found["exact"], run.found["suspended"]) == (0, 1)
    [waiting] = await open_items(market, book=Book.BANK, side=Side.THEIRS)
    assert await balances(market, HOUSE) == {(1010, 0): 15199, (2900, waiting.source_id): -15199}
    await check_books(market)
    file = await import_processor_file(market, "fay", "card", content.encode())
    assert file.net_minor == 15199
    assert (await matched(market)).found["exact"] == 4
    assert (await balances(market, HOUSE))[1010, 0] == 15199
    assert await open_items(market) == []
    await check_books(market)


async def unsettled(db: Database, processor: Processor) -> str:
    for part in (A, B, C):
        placed: Placed = await db.write(WORKER, "shop", place, [part])
        await captured(db, processor, placed)
    return processor.settlement_file(DAY)


def batch_of(content: str) -> str:
    return content.splitlines()[-1].split(",")[2]


async def test_two_files_of_one_batch_are_one_line_of_the_bank(market: Database, processor: Processor) -> None:
    await captured(market, processor, await market.write(WORKER, "shop", place, [A]))
    first = await import_processor_file(market, "fay", "card", processor.settlement_file(DAY).encode())
    await captured(market, processor, await market.write(WORKER, "shop", place, [C]))
    second = await import_processor_file(market, "fay", "card", processor.settlement_file(DAY).encode())
    await bank_says(market, [line(first.net_minor + second.net_minor, text=first.batch_ref)])
    run = await matched(market)
    assert (run.found["exact"], run.found["batch"]) == (2, 1)
    [group] = [group for group in await groups(market) if group.stage is Stage.BATCH]
    assert len(group.ours) == 2
    assert await open_items(market) == []
    await check_books(market)
