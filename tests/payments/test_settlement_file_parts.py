"""A big settlement file is booked part by part: even at every commit, resumed where it stopped, and nothing twice."""

import asyncio
import csv
import io
import signal
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.payments.facts import PaymentState
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.flows.payments import import_processor_file as flow
from marketplace.flows.payments.import_processor_file import ImportedFile, import_processor_file
from marketplace.flows.payments.take_payment import payment_changed
from marketplace.processors.wire import Authorise, Capture
from marketplace.simulator.model import Behaviour
from marketplace.simulator.processor import Processor
from marketplace.simulator.store import Store
from tests.billing.commands import command_line
from tests.billing.market import check_books
from tests.builders import HOUSE, PROCESSOR
from tests.payments.market import MERCHANTS, A, B, C, Placed, add_merchants, balances, booked, fact, place, row

DAY = date(2018, 9, 3)


async def _capture(db: Database, processor: Processor, placed: Placed) -> None:
    minor, reference = placed.amount_minor, placed.reference
    processor.authorise(Authorise(reference=reference, amount_minor=minor, currency="EUR", method="tok_ok"))
    processor.capture(reference, Capture(amount_minor=minor, currency="EUR"))
    await db.write(WORKER, "processor", payment_changed, PROCESSOR, fact(placed, PaymentState.CAPTURED, minor))


@pytest.fixture
async def file(db: Database, tmp_path: Path, clock: FixedClock) -> str:
    """Five captures of three merchants, and two fees of nobody: 7 lines that are 4 parts of two."""
    processor = Processor(Store(tmp_path / "state.sqlite", clock.now()), clock, Behaviour())
    await db.write(WORKER, "test", add_merchants)
    for parts in ([A], [B, C], [C], [A, B, C], [B]):
        await _capture(db, processor, await db.write(WORKER, "shop", place, parts))
    processor.charge(250, "EUR")
    processor.charge(20, "EUR")
    return processor.settlement_file(DAY)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "PART_LINES", 2)


async def state(db: Database) -> tuple[Any, ...]:
    found = await row(db, "SELECT state, lines, new_lines, file_id FROM billing.processor_file")
    return tuple(found)


async def held(db: Database) -> dict[int, dict[tuple[int, int], int]]:
    """What all books say of the batch; the ids of payments and batches are made anew in each database."""
    return {merchant_id: await balances(db, merchant_id) for merchant_id in (*MERCHANTS, HOUSE)}


async def bring(db: Database, content: str) -> ImportedFile:
    return await import_processor_file(db, "fay", "card", content.encode())


@pytest.mark.usefixtures("parts")
async def test_the_batch_is_even_after_every_part(db: Database, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No part holds the books of merchants that are not in it, and a merchant may go on between two of them."""
    seen = []

    def between(name: str) -> None:
        assert name == "file.part-committed"
        seen.append(name)

    monkeypatch.setattr(flow, "crash_point", between)
    done = await bring(db, file)
    assert len(seen) == 4
    assert (done.lines, done.new_lines, done.file_id) == (7, 7, (await state(db))[3])
    assert (await state(db))[:3] == ("booked", 7, 7)
    assert [kind for kind, _ in await booked(db, HOUSE)] == ["processor_settled"] * 4
    bank = (await balances(db, HOUSE))[1010, 0]
    assert (bank, done.net_minor) == (done.net_minor, done.gross_minor - done.fee_minor)
    await check_books(db)
    before = await held(db)
    again = await bring(db, file)
    assert (again.file_id, again.new_lines, await held(db)) == (None, 0, before)


@pytest.mark.usefixtures("parts")
async def test_a_file_that_is_wrong_in_a_later_part_books_nothing(db: Database, file: str) -> None:
    lines = file.splitlines()
    last = next(number for number in range(len(lines) - 1, 0, -1) if ",capture," in lines[number])
    reference = lines[last].split(",")[2]
    lines[last] = lines[last].replace(reference, "5-1")
    with pytest.raises(Invalid, match=f"line {last + 1}: buyer 5 has no payment 1"):
        await bring(db, "\n".join(lines) + "\n")
    assert (await row(db, "SELECT count(*) AS n FROM billing.processor_file")).n == 0
    assert await booked(db, HOUSE) == []


@pytest.mark.usefixtures("parts")
async def test_two_who_bring_the_same_file_at_once_book_it_once(db: Database, file: str) -> None:
    brought = await asyncio.gather(bring(db, file), bring(db, file))
    assert (await state(db))[:3] == ("booked", 7, 7)
    assert sorted(one.new_lines for one in brought) == [0, 7]
    assert (await balances(db, HOUSE))[1010, 0] == max(one.net_minor for one in brought)
    await check_books(db)


@pytest.mark.parametrize("part", [1, 2, 4])
async def test_killed_after_a_part_it_goes_on_with_the_same_batch(
    db: Database, file: str, tmp_path: Path, part: int
) -> None:
    path = tmp_path / "batch.csv"
    path.write_text(file)
    command = ("import", "processor-file", str(path), "--processor", "card")
    with command_line(small_buckets=True) as run:
        killed = await asyncio.to_thread(
            run, *command, database=db.url, MARKETPLACE_CRASH_AT=f"file.part-committed:{part}"
        )
        assert (killed.status, killed.out) == (-signal.SIGKILL, "")
        *said, file_id = await state(db)
        assert said == ["booking", min(2 * part, 7), 7]
        await check_books(db)  # also now: the batch is even on 1030
        done = (await asyncio.to_thread(run, *command, database=db.url)).value
        assert (done["file_id"], done["new_lines"]) == (file_id, 7)
        assert await state(db) == ("booked", 7, 7, file_id)
        again = (await asyncio.to_thread(run, *command, database=db.url)).value
    assert (again["file_id"], again["new_lines"]) == (None, 0)
    assert (await balances(db, HOUSE))[1010, 0] == done["net_minor"]
    assert (await row(db, "SELECT sum(fee_minor) AS fees FROM billing.payment_part")).fees == done["fee_minor"] - 270
    await check_books(db)


class Killed(BaseException):
    """What a process that dies does not catch."""


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The import dies after so many parts from now on; 0: it does not."""
    left = iter(range(after - 1, -1, -1))

    def point(name: str) -> None:
        if next(left, None) == 0:
            raise Killed

    monkeypatch.setattr(flow, "crash_point", point)


def only(content: str, positions: Collection[int], **total: str) -> str:
    """The file with these of its lines only and the total of them; total: what else that says."""
    head, *lines, last = list(csv.reader(io.StringIO(content)))
    kept = [line for position, line in enumerate(lines) if position in positions]
    sums = {name: str(sum(Decimal(line[head.index(name)]) for line in kept)) for name in ("gross", "fee", "net")}
    for name, value in {**sums, "id": str(len(kept)), **total}.items():
        last[head.index(name)] = value
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([head, *kept, last])
    return written.getvalue()


@pytest.mark.usefixtures("parts")
async def test_a_longer_file_of_the_batch_ends_it_though_it_died_before_it_said_so(
    db: Database, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, 1)
    with pytest.raises(Killed):
        await bring(db, only(file, range(5)))
    dying(monkeypatch, 3)
    with pytest.raises(Killed):
        await bring(db, file)
    assert (await state(db))[:3] == ("booking", 7, 5)
    dying(monkeypatch, 0)
    assert (await bring(db, only(file, range(5)))).file_id is None
    assert (await state(db))[0] == "booking"  # the shorter one is none to end it
    assert (await bring(db, file)).new_lines == 7
    assert (await state(db))[:3] == ("booked", 7, 7)
    await check_books(db)


@pytest.mark.usefixtures("parts")
async def test_a_file_whose_rest_came_in_another_batch_ends(
    db: Database, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, 1)
    with pytest.raises(Killed):
        await bring(db, file)
    dying(monkeypatch, 0)
    await bring(db, only(file, range(2, 7), reference="another"))
    await bring(db, file)
    ended = await row(db, "SELECT count(*) AS n FROM billing.processor_file WHERE state = 'booked'")
    assert ended.n == 2
    await check_books(db)


@pytest.mark.usefixtures("parts")
async def test_a_batch_arrives_on_one_day(db: Database, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dying(monkeypatch, 1)
    with pytest.raises(Killed):
        await bring(db, file)
    dying(monkeypatch, 0)
    with pytest.raises(Invalid, match="paid_on: the import of this batch was begun with 2018-09-03"):
        await bring(db, only(file, range(7), at="2018-09-20"))
    assert (await state(db))[:2] == ("booking", 2)
