"""What the processor pays out: posting L to the cent, every line once, and a file that does not add up refused."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest

from billing.payments.facts import DisputeFact, DisputeState, PaymentState
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.flows.payments.import_processor_file import ImportedFile, import_processor_file
from marketplace.flows.payments.take_payment import payment_changed
from marketplace.flows.refunds.dispute_order import dispute_changed
from marketplace.processors.wire import Authorise, Capture, Refund
from marketplace.simulator.model import Behaviour
from marketplace.simulator.processor import Processor
from marketplace.simulator.store import Store
from tests.billing.market import check_books
from tests.builders import HOUSE, PROCESSOR
from tests.http.market import send
from tests.payments.market import (
    MERCHANTS,
    A,
    B,
    C,
    Placed,
    add_merchants,
    balances,
    booked,
    cancel,
    fact,
    place,
    row,
)

Make = Callable[..., Awaitable[httpx.AsyncClient]]

M1, M2, M3 = MERCHANTS
DAY = date(2018, 9, 3)


@pytest.fixture
def processor(tmp_path: Path, clock: FixedClock) -> Processor:
    """A simulator without its web server: what it writes is what matters here."""
    return Processor(Store(tmp_path / "state.sqlite", clock.now()), clock, Behaviour())


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", add_merchants)
    return db


async def captured(db: Database, processor: Processor, placed: Placed, minor: int | None = None) -> None:
    """Both sides know the payment as captured."""
    amount = placed.amount_minor if minor is None else minor
    processor.authorise(
        Authorise(reference=placed.reference, amount_minor=placed.amount_minor, currency="EUR", method="tok_ok")
    )
    processor.capture(placed.reference, Capture(amount_minor=amount, currency="EUR"))
    await db.write(WORKER, "processor", payment_changed, PROCESSOR, fact(placed, PaymentState.CAPTURED, amount))


async def import_file(db: Database, content: str) -> ImportedFile:
    return await import_processor_file(db, "fay", "card", content.encode())


async def test_posting_l_to_the_cent(market: Database, processor: Processor) -> None:
    placed = await market.write(WORKER, "shop", place, [A])
    await captured(market, processor, placed)
    done = await import_file(market, processor.settlement_file(DAY))
    assert (done.lines, done.new_lines, done.gross_minor, done.fee_minor, done.net_minor) == (1, 1, 12000, 186, 11814)
    assert (await booked(market, M1))[1:] == [("processor_settled", {5100: 186, 1030: 11814, 1020: -12000})]
    assert await booked(market, HOUSE) == [("processor_settled", {1010: 11814, 1030: -11814})]
    assert await balances(market, M1) == {(1030, done.file_id): 11814, (2005, 0): -12000, (5100, 0): 186}
    assert (await row(market, "SELECT fee_minor FROM billing.payment_part")).fee_minor == 186
    await check_books(market)


async def test_a_fee_is_divided_over_what_was_captured(market: Database, processor: Processor) -> None:
    placed = await market.write(WORKER, "shop", place, [A, B, C])
    await market.write(WORKER, "shop", cancel, placed, M3)
    await captured(market, processor, placed, 15001)
    await import_file(market, processor.settlement_file(DAY))
    # 1.25 % of 150.01 is 1.88, and 0.36: 2.24, of which 12000/15001 is 1.7919 and 3001/15001 is 0.4481
    assert (await booked(market, M1))[-1][1] == {5100: 179, 1030: 11821, 1020: -12000}
    assert (await booked(market, M2))[-1][1] == {5100: 45, 1030: 2956, 1020: -3001}
    assert await booked(market, M3) == []
    await check_books(market)


async def test_money_that_went_back_and_disputes_are_settled_too(market: Database, processor: Processor) -> None:
    placed = await market.write(WORKER, "shop", place, [A, B])
    await market.write(WORKER, "shop", cancel, placed, M1)
    await captured(market, processor, placed)
    reference = f"{M1}-{placed.payment_id}"
    processor.refund(placed.reference, Refund(reference=reference, amount_minor=12000, currency="EUR"))
    single = await market.write(WORKER, "shop", place, [C])
    await captured(market, processor, single)
    dispute = processor.open_dispute(single.reference)
    processor.close_dispute(dispute, won=True)
    for state in (DisputeState.OPENED, DisputeState.WON):
        said = DisputeFact(
            dispute_ref=dispute,
            reference=single.reference,
            state=state,
            amount_minor=500,
            fee_minor=1500,
            currency="EUR",
            occurred_at=market.clock.now(),
        )
        await market.write(WORKER, "processor", dispute_changed, PROCESSOR, said)
    processor.charge(250, "EUR")
    done = await import_file(market, processor.settlement_file(DAY))
    kinds = [legs for kind, legs in await booked(market, M1) if kind == "processor_settled"]
    assert kinds == [{5100: 179, 1030: 11821, 1020: -12000}, {1030: -12000, 1020: 12000}]
    kinds = [legs for kind, legs in await booked(market, M3) if kind == "processor_settled"]
    assert kinds == [{5100: 42, 1030: 458, 1020: -500}, {1030: -2000, 1020: 2000}, {1030: 500, 1020: -500}]
    [(_, house)] = await booked(market, HOUSE)
    assert house == {1010: done.net_minor, 5100: 250, 1030: -done.net_minor - 250}
    assert done.net_minor == 15001 - 224 - 12000 + 500 - 42 - 2000 + 500 - 250
    await check_books(market)


async def test_a_line_is_booked_once_whatever_files_bring_it(market: Database, processor: Processor) -> None:
    await captured(market, processor, await market.write(WORKER, "shop", place, [A]))
    first = processor.settlement_file(DAY)
    await import_file(market, first)
    again = await import_file(market, first)
    assert (again.file_id, again.new_lines, again.net_minor) == (None, 0, 0)
    await captured(market, processor, await market.write(WORKER, "shop", place, [C]))
    longer = await import_file(market, processor.settlement_file(DAY))
    assert (longer.lines, longer.new_lines, longer.net_minor) == (2, 1, 458)
    assert (await balances(market, HOUSE))[1010, 0] == 11814 + 458
    assert (await row(market, "SELECT sum(fee_minor) AS fees FROM billing.payment_part")).fees == 186 + 42
    await check_books(market)
    with pytest.raises(Invalid, match=r"line 2: fee: an earlier file said 1\.86 EUR"):
        await import_file(market, first.replace("1.86,118.14", "1.85,118.15"))


REFUSED = {
    "the total lies": (
        "1,total,{batch},,120.00",
        "1,total,{batch},,120.01",
        "line 3: gross: the total says 120.01 EUR, the lines sum to 120.00 EUR",
    ),
    "a line is missing": ("1,total", "2,total", "line 3: id: the total counts '2' lines"),
    "net is not the difference": ("1.86,118.14,EUR,2018", "1.86,118.13,EUR,2018", "line 2: net"),
    "an amount is none": ("capture,{ref},,120.00", "capture,{ref},,12o.00", "line 2: gross: '12o.00' is not"),
    "too many decimals": ("capture,{ref},,120.00", "capture,{ref},,120.001", "line 2: gross: '120.001' has more"),
    "a kind nobody knows": (
        ",capture,",
        ",gift,",
        "line 2: kind: 'gift' is none of capture, refund, dispute, ",
    ),
    "a capture that takes": ("capture,{ref},,120.00", "capture,{ref},,-120.00", "line 2: gross"),
    "a reference that is none": ("capture,{ref}", "capture,ours", "line 2: reference: 'ours' is none of ours"),
    "a payment that is none": ("capture,{ref}", "capture,5-1", "line 2: buyer 5 has no payment 1"),
    "another currency": ("118.14,EUR,2018-09-03T", "118.14,USD,2018-09-03T", "line 2: currency"),
    "no offset": ("+00:00", "", "line 2: at"),
    "no total": ("1,total", "1,capture", "the last line must be the total"),
    "columns": ("id,kind", "kind,id", "line 1: the columns must be"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_file_that_is_wrong_is_refused_by_line_and_field(
    market: Database, processor: Processor, case: str
) -> None:
    placed = await market.write(WORKER, "shop", place, [A])
    await captured(market, processor, placed)
    good = processor.settlement_file(DAY)
    names = {"ref": placed.reference, "batch": good.splitlines()[-1].split(",")[2]}
    old, new, said = (text.format(**names) for text in REFUSED[case])
    assert old in good
    with pytest.raises(Invalid) as refused:
        await import_file(market, good.replace(old, new))
    assert said in refused.value.detail
    assert (await row(market, "SELECT count(*) AS n FROM billing.processor_line")).n == 0
    assert await booked(market, HOUSE) == []


async def test_a_payment_whose_events_are_not_in_yet_is_not_booked(market: Database, processor: Processor) -> None:
    placed = await market.write(WORKER, "shop", place, [A])
    asked = Authorise(reference=placed.reference, amount_minor=12000, currency="EUR", method="tok_ok")
    processor.authorise(asked)
    processor.capture(placed.reference, Capture(amount_minor=12000, currency="EUR"))
    with pytest.raises(Invalid, match=r"line 2: reference: payment .* is not captured here"):
        await import_file(market, processor.settlement_file(DAY))


async def test_finance_brings_the_file_over_http(market: Database, processor: Processor, caller: Make) -> None:
    await captured(market, processor, await market.write(WORKER, "shop", place, [A]))
    fay = await caller("fay", "accountant")
    body = {"processor": "card", "content": processor.settlement_file(DAY)}
    answer = await send(fay, "/processor-files", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["net_minor"] == 11814
    [listed] = (await fay.get("/api/v1/processor-files")).json()["items"]
    assert (listed["file_id"], listed["net_minor"]) == (answer.json()["file_id"], 11814)
    bad = await send(fay, "/processor-files", {**body, "content": "id,kind\n"})
    assert (bad.status_code, bad.json()["detail"][:7]) == (422, "line 1:")
    assert bad.json()["errors"][0]["pointer"] == "/content"


def test_the_clock_of_the_simulator_decides_the_day(processor: Processor) -> None:
    for number, day in ((1, 3), (2, 4)):
        processor.store.set("clock", datetime(2018, 9, day, 23, tzinfo=UTC).isoformat())
        asked = Authorise(reference=f"1-{number}", amount_minor=100, currency="EUR", method="tok_ok")
        processor.once(f"a{number}", "a", partial(processor.authorise, asked))
        processor.capture(f"1-{number}", Capture(amount_minor=100, currency="EUR"))
    assert [line.split(",")[2] for line in processor.settlement_file(date(2018, 9, 4)).splitlines()[1:-1]] == ["1-2"]
