"""Faults that a review has found in refunds and disputes, each as the case that proved it."""

from datetime import date, timedelta

import pytest

from billing.payments import store as payments
from billing.payments.facts import (
    DisputeFact,
    DisputeState,
    PaymentFact,
    PaymentState,
    RefundFact,
    payment_reference,
    refund_reference,
)
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.orders.cancel_order import CancelLines, cancel_lines
from marketplace.flows.payments.apply_payment_events import APPLY
from marketplace.flows.payments.import_processor_file import import_processor_file
from marketplace.flows.payments.send_payment_commands import send_commands
from marketplace.flows.payments.take_payment import payment_changed
from marketplace.flows.refunds.dispute_order import dispute_changed
from marketplace.flows.refunds.pay_refund import RefundKey, refund_to_credit, retry_refund
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from marketplace.processors.model import Refused
from tests.billing import test_cash_on_delivery as cash
from tests.billing.market import check_books
from tests.builders import PROCESSOR, Line
from tests.conftest import NOW
from tests.orders import amending
from tests.orders.market import read_order, shop_with, simple
from tests.orders.paid import BUYER, PAYMENT, Paid, balances, commands, entry, market, of, refund, says, sent
from tests.orders.test_fulfilment import arrive, ship
from tests.orders.test_returns import give_back
from tests.payments import market as unpaid


async def by_merchant(db: Database, reason: str, line: RefundLine | None) -> None:
    cmd = RefundOrder(
        merchant_id=1, order_id=1, reason=reason, initiator=Party.MERCHANT, lines=None if line is None else (line,)
    )
    await db.write(WORKER, "mia", refund_order, cmd)


async def dispute(db: Database, state: DisputeState, amount_minor: int, dispute_ref: str = "d1") -> None:
    fact = DisputeFact(
        dispute_ref=dispute_ref,
        reference=payment_reference(BUYER, PAYMENT),
        state=state,
        amount_minor=amount_minor,
        fee_minor=0,
        currency="EUR",
        occurred_at=NOW,
    )
    await db.write(WORKER, "processor", dispute_changed, PROCESSOR, fact)


async def test_a_dispute_over_two_orders_pays_the_refund_of_one_that_fails(db: Database) -> None:
    """150.00 of two orders; the refund of the first (100.00) is on its way when all is disputed, lost, and it fails."""
    await market(db, Paid(order=of(1, 1, Line(goods_minor=10_000))), Paid(order=of(2, 2, Line(goods_minor=5_000))))
    done = await refund(db)
    await dispute(db, DisputeState.OPENED, 15_000)
    await dispute(db, DisputeState.LOST, 15_000)
    await says(db, done, ok=False, after=1)
    assert [one.state for one in await sent(db, done)] == ["covered"]
    assert not await balances(db)
    assert not await balances(db, 2)
    await check_books(db)


async def test_after_a_price_cut_a_unit_that_comes_back_is_worth_half_of_what_is_left(db: Database) -> None:
    """Two units for 100.00, halved for damage, one of them back: 25.00, and the buyer keeps the other for as much."""
    await shop_with(db, simple(quantity=2, goods_minor=10_000))
    await arrive(db, await ship(db))
    await by_merchant(db, "damaged", RefundLine(1, 5_000))
    back = await give_back(db, (1, 1))
    assert back.refund is not None
    assert (back.refund.gross_minor, back.order_state) == (2_500, "delivered")
    await check_books(db)


async def test_a_unit_under_way_keeps_its_order_going(db: Database) -> None:
    """Two units for 100.00, one shipped; the price is halved, the other unit cancelled, then the rest given back."""
    await shop_with(db, simple(quantity=2, goods_minor=10_000))
    shipment = await ship(db, (1, 1))
    await by_merchant(db, "late", RefundLine(1, 5_000))
    cancel = CancelLines(merchant_id=1, order_id=1, party=Party.MERCHANT, lines=(LineUnits(1, 1),))
    done = await db.write(WORKER, "mia", cancel_lines, cancel)
    assert done.refund is not None
    assert (done.refund.gross_minor, done.state) == (2_500, "fulfilling")
    await by_merchant(db, "late", RefundLine(1, 2_500))
    assert (await read_order(db)).order.state == "fulfilling"
    await arrive(db, shipment)
    assert (await read_order(db)).order.state == "delivered"
    await check_books(db)


async def test_what_is_refunded_in_full_and_kept_is_not_cancelled(db: Database) -> None:
    await shop_with(db, simple(quantity=2, goods_minor=10_000))
    await arrive(db, await ship(db))
    await by_merchant(db, "damaged", None)
    assert (await read_order(db)).order.state == "delivered"
    assert (await give_back(db, (1, 2))).order_state == "returned"
    await check_books(db)


async def test_a_unit_cancelled_after_an_amended_price_takes_its_share_of_that(db: Database) -> None:
    await amending.add_paid_order(db, quantities=(2,))
    await amending.amend(db, amending.price_of(1, -6_000))
    cancel = CancelLines(merchant_id=1, order_id=1, party=Party.MERCHANT, lines=(LineUnits(1, 1),))
    done = await db.write(WORKER, "mia", cancel_lines, cancel)
    assert done.refund is not None
    assert (done.refund.gross_minor, done.state) == (3_000, "paid")
    await check_books(db)


async def test_a_refund_that_the_processor_refuses_has_failed(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    await send_commands(db, {await processor_name(db): Refuses()})
    assert [one.state for one in await sent(db, done)] == ["failed"]
    async with db.read(WORKER) as tx:
        [command] = await payments.list_commands(tx, limit=9)
    with pytest.raises(Conflict, match="retry the refund itself"):
        await db.write(WORKER, "ops", payments.retry_command, command.command_id)
    await db.write(WORKER, "ops", retry_refund, RefundKey(1, done.refund_id))
    await says(db, done, ok=True, after=-5)  # by a clock that is behind ours
    assert [one.state for one in await sent(db, done)] == ["retried", "paid"]
    await check_books(db)


async def test_a_refund_refused_while_its_money_is_disputed_is_paid_by_the_dispute(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    await dispute(db, DisputeState.OPENED, 12_000)
    await send_commands(db, {await processor_name(db): Refuses()})
    await dispute(db, DisputeState.LOST, 12_000)
    assert [one.state for one in await sent(db, done)] == ["covered"]
    assert not await balances(db)
    await check_books(db)


async def test_a_failure_told_by_a_clock_behind_ours_counts_and_the_same_one_twice_does_not(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    await says(db, done, ok=False, after=-1)
    assert [one.state for one in await sent(db, done)] == ["failed"]
    await db.write(WORKER, "ops", retry_refund, RefundKey(1, done.refund_id))
    await says(db, done, ok=False, after=-1)
    assert [one.state for one in await sent(db, done)] == ["retried", "due"]
    await says(db, done, ok=False)
    assert [one.state for one in await sent(db, done)] == ["retried", "failed"]


@pytest.mark.parametrize(
    ("processor_id", "amount_minor", "currency"),
    [(424242, 12_000, "EUR"), (PROCESSOR, 1, "EUR"), (PROCESSOR, 12_000, "USD")],
)
async def test_a_refund_fact_says_what_was_to_be_refunded(
    db: Database, processor_id: int, amount_minor: int, currency: str
) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    fact = RefundFact(
        reference=refund_reference(1, done.refund_id),
        payment_reference=payment_reference(BUYER, PAYMENT),
        ok=True,
        amount_minor=amount_minor,
        currency=currency,
        occurred_at=NOW,
    )
    with pytest.raises(Invalid):
        await db.write(WORKER, "processor", APPLY[RefundFact], processor_id, fact)
    assert [one.state for one in await sent(db, done)] == ["due"]


async def test_a_dispute_is_lost_for_what_it_was_opened_over(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await dispute(db, DisputeState.OPENED, 12_000)
    with pytest.raises(Invalid, match="opened over 12000 EUR"):
        await dispute(db, DisputeState.LOST, 5_000)


async def test_paid_returned_credited_and_paid_again_is_a_payment_of_its_own(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    await says(db, done, ok=True, after=1)
    await says(db, done, ok=False, after=2)
    await db.write(WORKER, "ops", refund_to_credit, RefundKey(1, done.refund_id))
    await says(db, done, ok=True, after=3)
    assert [one.state for one in await sent(db, done)] == ["credited", "stray"]
    assert (await balances(db))[2900] == 12_000
    await check_books(db)
    await says(db, done, ok=False, after=4)
    assert [one.state for one in await sent(db, done)] == ["credited", "cancelled"]
    assert 2900 not in await balances(db)
    await check_books(db)


async def test_what_a_dispute_covered_of_a_refund_that_is_paid_after_all_is_stray(db: Database) -> None:
    """120.00 refunded, it fails; a lost dispute over 50.00 covers as much of it; then all of it is paid."""
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    await says(db, done, ok=False, after=1)
    await dispute(db, DisputeState.OPENED, 5_000)
    await dispute(db, DisputeState.LOST, 5_000)
    [failed] = await sent(db, done)
    assert (failed.state, failed.covered_minor) == ("failed", 5_000)
    await says(db, done, ok=True, after=2)
    assert await entry(db, "refund_paid") == {2400: 7_000, 2900: 5_000, 1020: -12_000}
    await check_books(db)
    await says(db, done, ok=False, after=3)
    [failed] = await sent(db, done)
    assert (failed.state, failed.covered_minor) == ("failed", 5_000)
    assert await entry(db, "refund_returned") == {2400: -7_000, 2900: -5_000, 1020: 12_000}
    await check_books(db)


class Refuses:
    """A processor that takes no refund, as of a payment that is charged back, and does nothing else."""

    async def refund(
        self, command_id: int, reference: str, refund_reference: str, *, amount_minor: int, currency: str
    ) -> None:
        raise Refused("409 charged back", too_late=True)

    async def authorise(
        self, command_id: int, reference: str, *, amount_minor: int, currency: str, method: str
    ) -> None:
        raise AssertionError

    async def capture(self, command_id: int, reference: str, *, amount_minor: int, currency: str) -> None:
        raise AssertionError

    async def void(self, command_id: int, reference: str) -> None:
        raise AssertionError

    async def settlement_file(self, day: date) -> bytes:
        raise AssertionError


async def processor_name(db: Database) -> str:
    async with db.read(WORKER) as tx:
        return str(await tx.scalar("SELECT name FROM billing.processor WHERE processor_id = :id", id=PROCESSOR))


async def test_an_amendment_captured_in_part_goes_back_and_the_days_file_knows_it(db: Database) -> None:
    await amending.add_paid_order(db)
    held = await amending.accept(db, await amending.propose(db, amending.more(amending.CABLE, 2)))
    assert held.payment_id is not None
    reference = payment_reference(amending.BUYER, held.payment_id)
    fact = PaymentFact(
        reference=reference,
        state=PaymentState.CAPTURED,
        amount_minor=400,
        currency="EUR",
        processor_ref="pay_9",
        occurred_at=NOW,
    )
    for _ in range(2):
        await db.write(WORKER, "processor", payment_changed, PROCESSOR, fact)
    assert (await amending.payment_of(db, held)).captured_minor == 400
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM demand.amendment") == "cancelled"
        part = await tx.row("SELECT state, captured_minor FROM billing.payment_part WHERE payment_id <> 77")
    assert part is not None
    assert tuple(part) == ("released", 400)
    assert await entry(db, "amendment_voided") == {1020: 400, 2400: -400}
    name = await processor_name(db)
    back = refund_reference(1, held.amendment_id)
    content = file_of(f"m1,capture,{reference},,4.00,0.00,4.00", f"m2,refund,{back},,-4.00,0.00,-4.00", net="0.00")
    await import_processor_file(db, "fin", name, content)
    await check_books(db)


@pytest.mark.parametrize(
    ("reference", "amount", "reason"),
    [
        ("1-987654321", "-77.00", "line 2: reference: nothing was to be given back under 1-987654321"),
        ("known", "-77.00", r"line 2: gross: 120\.00 EUR was to be given back"),
    ],
)
async def test_a_refund_line_that_says_what_nobody_knows_is_refused(
    db: Database, reference: str, amount: str, reason: str
) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    reference = refund_reference(1, done.refund_id) if reference == "known" else reference
    content = file_of(f"m1,refund,{reference},,{amount},0.00,{amount}", net=amount)
    with pytest.raises(Invalid, match=reason):
        await import_processor_file(db, "fin", await processor_name(db), content)


def file_of(*lines: str, net: str) -> bytes:
    body = [f"{line},EUR,2018-05-03T12:00:00+00:00" for line in lines]
    total = f"{len(lines)},total,b1,,{net},0.00,{net},EUR,2018-05-03"
    return "\n".join(["id,kind,reference,dispute,gross,fee,net,currency,at", *body, total, ""]).encode()


async def test_cash_comes_back_as_credit(db: Database) -> None:
    await db.write(WORKER, "test", cash._market)
    await cash.place(db, 1, 1)
    await cash.collect(db, 1, 1)
    done = await refund(db, reason="not_delivered")
    assert [(one.way, one.state) for one in await sent(db, done)] == [("card", "credited")]
    assert await commands(db) == []
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT balance_minor FROM billing.credit_account") == done.gross_minor
    await check_books(db)


async def test_money_for_nothing_that_bounces_is_owed_again(db: Database) -> None:
    await db.write(WORKER, "test", unpaid.add_merchants)
    placed = await db.write(WORKER, "test", unpaid.place, [unpaid.A])
    merchant = unpaid.MERCHANTS[0]
    await db.write(WORKER, "test", unpaid.cancel, placed, merchant)
    await db.write(WORKER, "processor", payment_changed, PROCESSOR, unpaid.fact(placed, PaymentState.CAPTURED))
    for minutes, ok, owed in ((0, True, 0), (9, False, 12_000), (9, False, 12_000), (5, True, 12_000), (12, True, 0)):
        async with db.read(WORKER) as tx:
            [command] = [one for one in await payments.list_commands(tx, limit=9) if one.kind == "refund"]
        await db.write(WORKER, "worker", payments.note_sent, command.command_id, None)
        fact = RefundFact(
            reference=refund_reference(merchant, placed.payment_id),
            payment_reference=placed.reference,
            ok=ok,
            amount_minor=12_000,
            currency="EUR",
            failure=None if ok else "bounced",
            occurred_at=NOW + timedelta(minutes=minutes),
        )
        await db.write(WORKER, "processor", APPLY[RefundFact], PROCESSOR, fact)
        assert (await balances(db, merchant)).get(2400, 0) == -owed
    await check_books(db)
