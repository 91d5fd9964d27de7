"""Each fact of a processor to the cent: what it books, what becomes of the orders, what the processor is told next."""

import pytest

from billing.payments.facts import PaymentState
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.orders.pay_purchase import PayPurchase, pay_purchase
from marketplace.flows.payments.take_payment import capture_credit_only, payment_changed
from tests.billing.market import check_books
from tests.builders import HOUSE, PROCESSOR
from tests.payments.market import (
    BUYER,
    MERCHANTS,
    A,
    B,
    C,
    Part,
    Placed,
    add_credit,
    add_merchants,
    balances,
    booked,
    cancel,
    commands,
    fact,
    place,
    row,
    states,
)  # fmt: skip

M1, M2, M3 = MERCHANTS


async def tell(
    db: Database, placed: Placed, state: PaymentState, minor: int | None = None, failure: str | None = None
) -> None:
    await db.write(WORKER, "processor", payment_changed, PROCESSOR, fact(placed, state, minor, failure))


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", add_merchants)
    return db


async def test_captured_pays_every_order_as_posting_a(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A, B])
    await tell(market, placed, PaymentState.AUTHORISED)
    assert await commands(market, placed) == [("authorise", 15001, "todo"), ("capture", 15001, "todo")]
    assert await states(market, placed) == {M1: "placed", M2: "placed"}
    await tell(market, placed, PaymentState.CAPTURED)
    assert await states(market, placed) == {M1: "paid", M2: "paid"}
    assert await booked(market, M1) == [("order_paid", {1020: 12000, 2005: -12000})]
    assert await balances(market, M2) == {(1020, PROCESSOR): 3001, (2005, 0): -3001}
    found = await row(market, "SELECT state, captured_minor, processor_ref FROM billing.payment")
    assert tuple(found) == ("captured", 15001, "pay_1")
    moved = await row(market, "SELECT party, move, detail FROM demand.order_event WHERE merchant_id = :m", m=M1)
    assert tuple(moved) == ("processor", "pay", {"payment_id": placed.payment_id})
    await check_books(market)


async def test_credit_is_used_as_posting_g(market: Database) -> None:
    await market.write(WORKER, "test", add_credit, 1500)
    paid = [
        Part(merchant_id=M1, card_minor=11000, credit_minor=1000),
        Part(merchant_id=M2, card_minor=0, credit_minor=300),
    ]
    placed = await market.write(WORKER, "test", place, paid)
    await tell(market, placed, PaymentState.CAPTURED)
    assert await booked(market, M1) == [("order_paid", {1020: 11000, 1030: 1000, 2005: -12000})]
    assert await booked(market, M2) == [("order_paid", {1030: 300, 2005: -300})]
    assert (await booked(market, HOUSE))[1:] == [("credit_used", {2410: 1300, 1030: -1300})]
    assert (await balances(market, HOUSE))[2410, BUYER] == -200
    account = await row(market, "SELECT balance_minor, reserved_minor FROM billing.credit_account")
    assert tuple(account) == (200, 0)
    used = await row(market, "SELECT amount_minor, source_id FROM billing.credit_movement WHERE kind = 'used'")
    assert tuple(used) == (-1300, placed.payment_id)
    await check_books(market)


async def test_a_payment_wholly_by_credit_is_captured_at_once(market: Database) -> None:
    await market.write(WORKER, "test", add_credit, 1500)
    placed = await market.write(WORKER, "test", place, [Part(merchant_id=M1, card_minor=0, credit_minor=1500)])
    await market.write(WORKER, "shop", capture_credit_only, BUYER, placed.payment_id)
    assert await states(market, placed) == {M1: "paid"}
    assert await booked(market, M1) == [("order_paid", {1030: 1500, 2005: -1500})]
    assert await commands(market, placed) == []
    await check_books(market)
    by_card = await market.write(WORKER, "test", place, [A])
    with pytest.raises(Conflict, match="by card"):
        await market.write(WORKER, "shop", capture_credit_only, BUYER, by_card.payment_id)


async def test_a_decline_leaves_the_orders_to_be_paid_again(market: Database) -> None:
    await market.write(WORKER, "test", add_credit, 100)
    placed = await market.write(WORKER, "test", place, [A, Part(merchant_id=M2, card_minor=10, credit_minor=100)])
    await tell(market, placed, PaymentState.FAILED, failure="card declined")
    assert await states(market, placed) == {M1: "placed", M2: "placed"}
    found = await row(market, "SELECT state, failure FROM billing.payment WHERE payment_id = :p", p=placed.payment_id)
    assert tuple(found) == ("failed", "card declined")
    assert await commands(market, placed) == [("authorise", 12010, "todo")]
    assert tuple(await row(market, "SELECT balance_minor, reserved_minor FROM billing.credit_account")) == (100, 100)
    for merchant_id in (M1, M2):
        await market.write(WORKER, "test", cancel, placed, merchant_id)
    assert tuple(await row(market, "SELECT balance_minor, reserved_minor FROM billing.credit_account")) == (100, 0)
    assert await commands(market, placed) == [("authorise", 12010, "todo")]
    assert await booked(market, M1) == []


async def test_what_was_declined_and_captured_after_all_is_paid(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A, B])
    await tell(market, placed, PaymentState.FAILED, failure="card declined")
    await tell(market, placed, PaymentState.CAPTURED)
    assert await states(market, placed) == {M1: "paid", M2: "paid"}
    await check_books(market)


async def test_credit_pays_alone_when_what_the_card_was_for_is_cancelled(market: Database) -> None:
    await market.write(WORKER, "test", add_credit, 70)
    placed = await market.write(WORKER, "test", place, [A, Part(merchant_id=M2, card_minor=0, credit_minor=70)])
    await tell(market, placed, PaymentState.FAILED, failure="card declined")
    await market.write(WORKER, "test", cancel, placed, M1)
    await tell(market, placed, PaymentState.AUTHORISED)  # late: it pays nothing any more
    assert await states(market, placed) == {M1: "cancelled", M2: "placed"}
    purchase = await row(market, "SELECT purchase_id AS id FROM billing.payment")
    cmd = PayPurchase(buyer_id=BUYER, purchase_id=purchase.id, method="tok_ok", processor="card")
    paid = await market.write(WORKER, "shop", pay_purchase, cmd)
    assert (paid.state, paid.amount_minor, paid.credit_minor) == (PaymentState.CAPTURED, 0, 70)
    assert await states(market, placed) == {M1: "cancelled", M2: "paid"}
    await check_books(market)


async def test_only_what_is_still_wanted_is_captured(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A, B])
    await market.write(WORKER, "test", cancel, placed, M1)
    await tell(market, placed, PaymentState.AUTHORISED)
    assert (await commands(market, placed))[1:] == [("capture", 3001, "todo")]
    await tell(market, placed, PaymentState.CAPTURED, 3001)
    assert await states(market, placed) == {M1: "cancelled", M2: "paid"}
    assert await booked(market, M1) == []
    await check_books(market)


async def test_a_payment_nobody_wants_any_more_is_voided(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A, B])
    await tell(market, placed, PaymentState.AUTHORISED)
    for merchant_id in (M1, M2):
        await market.write(WORKER, "test", cancel, placed, merchant_id)
    assert (await commands(market, placed))[-1] == ("void", 15001, "todo")
    await tell(market, placed, PaymentState.VOIDED)
    assert (await row(market, "SELECT state, failure FROM billing.payment")).state == "voided"


async def test_money_for_a_cancelled_order_goes_back(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A, B, C])
    await market.write(WORKER, "test", cancel, placed, M3)
    await tell(market, placed, PaymentState.AUTHORISED)
    await market.write(WORKER, "test", cancel, placed, M1)  # after the capture was asked for
    await tell(market, placed, PaymentState.CAPTURED, 15001)
    assert await states(market, placed) == {M1: "cancelled", M2: "paid", M3: "cancelled"}
    assert await booked(market, M1) == [("payment_unwanted", {1020: 12000, 2400: -12000})]
    assert await booked(market, M3) == []
    assert (await commands(market, placed))[-1] == ("refund", 12000, "todo")
    await check_books(market)


async def test_a_capture_after_everything_expired_goes_back_whole(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A, B])
    for merchant_id in (M1, M2):
        await market.write(WORKER, "test", cancel, placed, merchant_id)
    await tell(market, placed, PaymentState.CAPTURED)
    assert await balances(market, M1) == {(1020, PROCESSOR): 12000, (2400, 0): -12000}
    assert await balances(market, M2) == {(1020, PROCESSOR): 3001, (2400, 0): -3001}
    assert [kind for kind, _, _ in await commands(market, placed)] == ["authorise", "void", "refund", "refund"]
    await check_books(market)


async def test_a_short_capture_pays_whole_orders_only(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A, B])
    await tell(market, placed, PaymentState.AUTHORISED)
    await tell(market, placed, PaymentState.CAPTURED, 7500)
    assert await states(market, placed) == {M1: "cancelled", M2: "paid"}
    assert await booked(market, M1) == [("payment_unwanted", {1020: 4499, 2400: -4499})]
    assert (await commands(market, placed))[-1] == ("refund", 4499, "todo")
    await check_books(market)


async def test_what_is_left_after_the_card_part_is_cancelled_is_paid_by_credit(market: Database) -> None:
    await market.write(WORKER, "test", add_credit, 300)
    placed = await market.write(WORKER, "test", place, [A, Part(merchant_id=M2, card_minor=0, credit_minor=300)])
    await market.write(WORKER, "test", cancel, placed, M1)
    for _ in range(2):
        await tell(market, placed, PaymentState.AUTHORISED)
        assert await states(market, placed) == {M1: "cancelled", M2: "paid"}
        assert (await commands(market, placed))[1:] == [("void", 12000, "todo")]
    await check_books(market)


async def test_facts_that_cannot_be_are_refused(market: Database) -> None:
    placed = await market.write(WORKER, "test", place, [A])
    with pytest.raises(Invalid, match="amount_minor"):
        await tell(market, placed, PaymentState.CAPTURED, 12001)
    with pytest.raises(Invalid, match="not this processor's"):
        await market.write(WORKER, "p", payment_changed, 99, fact(placed, PaymentState.CAPTURED))
    unknown = Placed(buyer_id=BUYER, payment_id=1, orders={}, amount_minor=5)
    with pytest.raises(NotFound):
        await tell(market, unknown, PaymentState.CAPTURED)
    assert await states(market, placed) == {M1: "placed"}
