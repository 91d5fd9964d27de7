"""Files of banks taken in: proved first, each line once, whole or not at all."""

import asyncio
import io
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest

from billing.bank_files import store
from billing.bank_files.mapping import Mapping
from billing.bank_files.model import BankFile, BankFileState, BankLine, Kind
from billing.bank_files.readers import Format
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import NotFound
from marketplace.flows.bank import import_bank_file as flow
from marketplace.flows.bank import take_bank_folder as folder
from marketplace.flows.bank.import_bank_file import import_bank_file, read_unfinished
from marketplace.flows.bank.save_bank_mapping import save_mapping
from marketplace.flows.bank.take_bank_folder import take_bank_folder
from tests.bank_files.test_hostile import REFUSED
from tests.billing.commands import command_line
from tests.conftest import NOW
from tests.payments.market import add_merchants

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
    assert (read.state, read.statements, read.lines, read.new_lines) == (BankFileState.READ, 1, 3, 3)
    assert [line.amount_minor for line in await lines_of(db, read.file_id)] == [500, 500, -300]
    again = await bring(db, content, "another name.sta")
    assert again == msgspec.structs.replace(read, again=True)
    assert await count(db, "bank_line") == 3


async def test_overlapping_lines_are_doubled_nowhere(db: Database) -> None:
    await bring(db, statement([(500, "A"), (500, "A"), (-300, "B")]))
    second = await bring(db, statement([(500, "A"), (500, "A"), (500, "A"), (-300, "B"), (7, "C")], number="2/1"))
    assert (second.lines, second.new_lines) == (5, 2)
    assert [line.line_no for line in await lines_of(db, second.file_id)] == [3, 5]


async def test_a_file_that_does_not_hold_is_kept_and_nothing_of_it_taken_in(db: Database) -> None:
    wrong = statement([(500, "A")]).replace(":62F:C180901EUR1005,00", ":62F:C180901EUR1006,00")
    failed = await bring(db, wrong)
    assert failed.state is BankFileState.FAILED
    assert failed.flaws == (
        "statement 1/1 of DE00: opening 1000.00 and lines of 5.00 do not make closing 1006.00; 1.00 EUR are missing",
    )
    assert (await count(db, "bank_line"), await count(db, "bank_statement")) == (0, 1)
    read = await bring(db, statement([(500, "A")]))
    assert (read.state, read.new_lines) == (BankFileState.READ, 1)


async def test_what_cannot_be_read_is_kept_with_the_reason(db: Database) -> None:
    kept = await bring(db, statement([(500, "A")]).replace("C5,00N", "C5,001N"))
    assert kept.state is BankFileState.UNREADABLE
    assert kept.flaws == ("line 5: :61:: '5.001' has more than 2 decimals, EUR has 2",)


@pytest.mark.parametrize(
    "name", ["external entity", "billion laughs", "cut off xml", "xml not in its encoding", "cut off gzip", "no format"]
)
async def test_a_hostile_file_is_kept_and_nothing_is_lost(db: Database, name: str) -> None:
    """Its bytes and the reason stay, none of its lines is there, and the good file behind it is taken in."""
    content, reason = REFUSED[name]
    raw = content.encode() if isinstance(content, str) else content
    kept = await bring(db, raw, "hostile")
    assert (kept.state, kept.size_bytes) == (BankFileState.UNREADABLE, len(raw))
    assert reason in kept.flaws[0]
    assert await bring(db, raw, "hostile again") == kept
    async with db.read(WORKER) as tx:
        parts = await tx.rows("SELECT content FROM billing.bank_file_part ORDER BY part_no")
    assert b"".join(part.content for part in parts) == raw
    assert await count(db, "bank_line") == 0
    assert (await bring(db, statement([(500, "A")]))).state is BankFileState.READ


async def test_a_file_in_batches(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "BATCH_LINES", 2)
    monkeypatch.setattr(flow, "PART_BYTES", 40)
    read = await bring(db, statement([(number, f"R{number}") for number in range(1, 8)]))
    assert (read.stored_lines, read.new_lines) == (7, 7)
    assert await count(db, "bank_file_part") > 3


async def test_killed_at_any_point_it_ends_as_if_it_had_not_been(db: Database, tmp_path: Path) -> None:
    content = statement([(number, f"R{number % 3}") for number in range(1, 6)] + [(1, "R1")])
    path = tmp_path / "a.sta"
    path.write_text(content)
    command = ("import", "bank", str(path))
    with command_line(small_buckets=True) as run:
        for point, state, stored in (
            ("bank-file.part-kept:1", "arriving", 0),
            ("bank-file.judged:1", "storing", 0),
            ("bank-file.batch-committed:2", "storing", 4),
            ("bank-file.batch-committed:1", "storing", 6),
        ):
            killed = await asyncio.to_thread(run, *command, database=db.url, MARKETPLACE_CRASH_AT=point)
            assert (killed.status, killed.out) == (-signal.SIGKILL, ""), point
            [file] = await files_of(db)
            assert (file.state, file.stored_lines) == (state, stored), point
            assert await lines_of(db, file.file_id) == [], point
        done = (await asyncio.to_thread(run, *command, database=db.url)).value
        assert (done["state"], done["stored_lines"], done["new_lines"]) == ("read", 6, 6)
        again = (await asyncio.to_thread(run, *command, database=db.url)).value
    assert again == done | {"again": True}
    assert [line.amount_minor for line in await lines_of(db, done["file_id"])] == [1, 2, 3, 4, 5, 1]


async def test_the_worker_goes_on_with_what_was_stopped(
    db: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "BATCH_LINES", 2)
    for point in ("bank-file.judged", "bank-file.batch-committed"):
        dying(monkeypatch, point)
        with pytest.raises(Killed):
            await bring(db, statement([(number, point[-4:]) for number in range(1, 6)]))
    monkeypatch.setattr(flow, "crash_point", lambda name: None)
    assert await read_unfinished(db, "worker", "card") == 0  # whoever reads them may still be at it
    clock.move_to(NOW + timedelta(minutes=6))
    assert await read_unfinished(db, "worker", "card") == 2
    assert [(file.state, file.new_lines) for file in await files_of(db)] == [(BankFileState.READ, 5)] * 2


async def test_two_who_bring_files_that_overlap_take_each_line_in_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "BATCH_LINES", 3)
    lines = [(number, f"R{number % 4}") for number in range(1, 13)]
    same, other = statement(lines), statement(list(reversed(lines)), number="2/1")
    read = await asyncio.gather(*(bring(db, content) for content in (same, same, other)))
    assert {file.state for file in read} == {BankFileState.READ}
    assert sum(file.new_lines for file in await files_of(db)) == await count(db, "bank_line") == 12


async def test_a_line_of_a_file_that_failed_is_taken_in_with_the_next(db: Database) -> None:
    failed = await bring(db, statement([(500, "A")]).replace("1005,00", "1006,00"))
    assert failed.state is BankFileState.FAILED
    assert (await bring(db, statement([(500, "A")]))).new_lines == 1


async def test_what_is_announced_or_intraday_is_not_the_statement_s_line(db: Database) -> None:
    interim = ":20:i\n:25:DE00\n:28C:1/1\n:34F:EUR0,\n:61:180901C5,00NTRFA\n:90C:1EUR5,00\n-\n"
    first, second = await bring(db, interim), await bring(db, statement([(500, "A")]).replace(":86:paid\n", ""))
    assert (first.new_lines, second.new_lines) == (1, 1)
    [line] = await lines_of(db, first.file_id)
    assert line.kind is Kind.INTERIM


async def test_a_floor_limit_in_another_currency_says_nothing_of_the_account(db: Database) -> None:
    """`:34F:` is from which amount on lines are told; the balances say what the lines are in."""
    for limit in (":34F:USDD1000,\n:34F:USDC1000,\n:60F:", ":60F:"):
        told = statement([(500, "A")]).replace(":60F:", limit)
        told = told if limit != ":60F:" else told.replace(":61:", ":34F:USD0,\n:61:", 1)
        file = await bring(db, told)
        assert (file.state, file.flaws) == (BankFileState.READ, ())
        async with db.read(WORKER) as tx:
            [one] = await store.list_statements(tx, file.file_id, limit=10)
        assert (one.kind, one.currency, one.closing_minor) == (Kind.STATEMENT, "EUR", 100_500)


async def test_statements_that_do_not_follow_are_named(db: Database) -> None:
    def on(day: str, number: str, opening: int, cents: int) -> str:
        return (
            statement([(cents, number)], opening, number)
            .replace("C180901", f"C{day}")
            .replace(":61:180901", f":61:{day}")
        )

    for content in (on("180901", "1/1", 100, 10), on("180902", "2/1", 110, 5), on("180904", "4/1", 200, 1)):
        await bring(db, content)
    async with db.read(WORKER) as tx:
        [gap] = await store.list_gaps(tx, limit=10)
    assert (gap.account, gap.after_number, gap.before_number, gap.what) == ("DE00", "2/1", "4/1", "missing")
    assert (gap.closing_minor, gap.opening_minor) == (115, 200)
    await bring(db, on("180903", "3/1", 115, 85))
    async with db.read(WORKER) as tx:
        assert await store.list_gaps(tx, limit=10) == []
        assert await store.list_gaps(tx, account="DE01", limit=10) == []


async def test_statements_of_which_one_repeats_lines_of_the_other_overlap(db: Database) -> None:
    await bring(db, statement([(10, "a"), (5, "b")], 100, "1/1"))
    await bring(db, statement([(5, "b"), (7, "c")], 110, "2/1"))
    async with db.read(WORKER) as tx:
        [gap] = await store.list_gaps(tx, limit=10)
    assert (gap.after_number, gap.before_number, gap.what) == ("1/1", "2/1", "overlap")


async def test_a_table_is_read_by_the_mapping_that_is_named(db: Database) -> None:
    table = "Tag;Betrag;Zweck\n01.09.2018;1.234,56;Miete\n02.09.2018;-1,00;Gebühr\nSumme;1.233,56;\n".encode("latin-1")
    mapping = Mapping(
        account="till", currency="EUR", delimiter=";", decimal="comma", day_pattern="%d.%m.%Y", day="Tag",
        amount="Betrag", text="Zweck", last=("Summe",),
    )  # fmt: skip
    unknown = await bring(db, table)
    assert unknown.state is BankFileState.UNREADABLE
    saved = await db.write(WORKER, "fay", save_mapping, "till", mapping)
    read = await import_bank_file(db, "fay", "a.csv", io.BytesIO(table), processor="card", mapping="till")
    assert (read.file_id, read.state, read.mapping_id) == (unknown.file_id, BankFileState.READ, saved.mapping_id)
    assert [(line.amount_minor, line.text) for line in await lines_of(db, read.file_id)] == [
        (123_456, "Miete"), (-100, "Gebühr"),
    ]  # fmt: skip
    with pytest.raises(NotFound, match="there is no mapping 'tills'"):
        await import_bank_file(db, "fay", "a.csv", io.BytesIO(table), processor="card", mapping="tills")


async def test_a_settlement_file_is_booked_as_such(db: Database) -> None:
    await db.write(WORKER, "test", add_merchants)
    total = "id,kind,reference,dispute,gross,fee,net,currency,at\n0,total,batch_1,,0.00,0.00,0.00,EUR,2018-09-03\n"
    read = await bring(db, total)
    assert (read.state, read.format, read.lines) == (BankFileState.READ, Format.SETTLEMENT, 0)
    failed = await bring(db, total.replace("0,total", "1,total"))
    assert failed.state is BankFileState.FAILED
    assert "the total counts '1' lines" in failed.flaws[0]


async def test_the_folder_is_emptied(db: Database, tmp_path: Path) -> None:
    mapping = Mapping(account="till", currency="EUR", day="Day", amount="Amount")
    await db.write(WORKER, "fay", save_mapping, "till", mapping)
    (tmp_path / "a.sta").write_text(statement([(500, "A")]))
    (tmp_path / "b.sta").write_text("nothing")
    (tmp_path / "c.sta.part").write_text(statement([(1, "C")]))
    for name in ("till", "tills"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.csv").write_text("Day,Amount\n2018-09-01,5.00\n")
    assert await take_bank_folder(db, "worker", tmp_path, processor="card") == 4
    assert await take_bank_folder(db, "worker", tmp_path, processor="card") == 0
    assert folders_of(tmp_path) == {
        "a.sta": "done",
        "b.sta": "failed",
        "c.sta.part": tmp_path.name,
        "till.csv": "done",
        "tills.csv": "failed",
    }
    assert sorted(file.name for file in await files_of(db)) == ["a.sta", "b.sta", "till.csv"]


async def test_a_file_that_cannot_be_dealt_with_holds_up_no_other(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = import_bank_file

    async def failing(db: Database, actor: str, name: str, stream: BinaryIO, **told: Any) -> BankFile:
        if name == "a.sta":
            raise RuntimeError("a fault of ours")
        return await real(db, actor, name, stream, **told)

    monkeypatch.setattr(folder, "import_bank_file", failing)
    for name in ("a.sta", "b.sta"):
        (tmp_path / name).write_text(statement([(500, name)]))
    await take_bank_folder(db, "worker", tmp_path, processor="card")
    assert folders_of(tmp_path) == {"a.sta": tmp_path.name, "b.sta": "done"}


def folders_of(root: Path) -> dict[str, str]:
    """Where each file is, by its name without the number that it got."""
    return {path.name.rpartition("-")[2]: path.parent.name for path in root.rglob("*") if path.is_file()}


class Killed(BaseException):
    """What a process that dies does not catch."""


def dying(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    def point(name: str) -> None:
        if name == at:
            raise Killed

    monkeypatch.setattr(flow, "crash_point", point)


async def files_of(db: Database) -> list[BankFile]:
    async with db.read(WORKER) as tx:
        return list(await store.list_files(tx, limit=100))
