"""Files of banks taken in: proved first, each line once, whole or not at all."""

import io
from typing import Any

import pytest

from billing.bank_files import store
from billing.bank_files.model import BankFile, BankLine, FileState
from marketplace.core.db import WORKER, Database
from marketplace.flows import import_bank_file as flow
from marketplace.flows.import_bank_file import import_bank_file

HEAD = ":20:ref\n:25:DE00\n:28C:{number}\n:60F:C180901EUR{opening}\n"


def statement(lines: list[tuple[int, str]], opening: int = 1000_00, number: str = "1/1") -> str:
    """An MT940 statement of credits in cents with a reference each, whose balances hold."""
    text = HEAD.format(number=number, opening=major(opening))
    for cents, reference in lines:
        text += f":61:180901{'C' if cents >= 0 else 'D'}{major(abs(cents))}NTRF{reference}\n:86:paid\n"
    return text + f":62F:C180901EUR{major(opening + sum(cents for cents, _ in lines))}\n-\n"


def major(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02}"


async def bring(db: Database, content: str | bytes, name: str = "a.sta") -> BankFile:
    raw = content.encode() if isinstance(content, str) else content
    return await import_bank_file(db, "fay", name, io.BytesIO(raw), processor="card")


async def lines_of(db: Database, file_id: int) -> list[BankLine]:
    async with db.read(WORKER) as tx:
        return list(await store.list_lines(tx, file_id, limit=100_000))


async def count(db: Database, what: str) -> Any:
    async with db.read(WORKER) as tx:
        return await tx.scalar(f"SELECT count(*) FROM billing.{what}")


async def test_a_file_is_taken_in_once(db: Database) -> None:
    content = statement([(500, "A"), (500, "A"), (-300, "B")])
    read = await bring(db, content)
    assert (read.state, read.statements, read.lines, read.new_lines) == (FileState.READ, 1, 3, 3)
    assert [line.amount_minor for line in await lines_of(db, read.file_id)] == [500, 500, -300]
    again = await bring(db, content, "another name.sta")
    assert again == read
    assert await count(db, "bank_line") == 3


async def test_overlapping_lines_are_doubled_nowhere(db: Database) -> None:
    await bring(db, statement([(500, "A"), (500, "A"), (-300, "B")]))
    second = await bring(db, statement([(500, "A"), (500, "A"), (500, "A"), (-300, "B"), (7, "C")], number="2/1"))
    assert (second.lines, second.new_lines) == (5, 2)
    assert [line.line_no for line in await lines_of(db, second.file_id)] == [3, 5]


async def test_a_file_that_does_not_hold_is_kept_and_nothing_of_it_taken_in(db: Database) -> None:
    wrong = statement([(500, "A")]).replace(":62F:C180901EUR1005,00", ":62F:C180901EUR1006,00")
    failed = await bring(db, wrong)
    assert failed.state is FileState.FAILED
    assert failed.flaws == (
        "statement 1/1 of DE00: opening 1000.00 and lines of 5.00 do not make closing 1006.00; 1.00 EUR are missing",
    )
    assert (await count(db, "bank_line"), await count(db, "bank_statement")) == (0, 1)
    read = await bring(db, statement([(500, "A")]))
    assert (read.state, read.new_lines) == (FileState.READ, 1)


async def test_what_cannot_be_read_is_kept_with_the_reason(db: Database) -> None:
    kept = await bring(db, statement([(500, "A")]).replace("C5,00N", "C5,001N"))
    assert kept.state is FileState.UNREADABLE
    assert kept.flaws == ("line 5: :61:: '5.001' has more than 2 decimals, EUR has 2",)


async def test_a_file_in_batches(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "BATCH_LINES", 2)
    monkeypatch.setattr(flow, "PART_BYTES", 40)
    read = await bring(db, statement([(number, f"R{number}") for number in range(1, 8)]))
    assert (read.stored_lines, read.new_lines) == (7, 7)
    assert await count(db, "bank_file_part") > 3
