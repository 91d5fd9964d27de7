"""Faults that a review has found in refunds and disputes, each as the case that proved it."""

from billing.payments.facts import DisputeFact, DisputeState, payment_reference
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database
from marketplace.flows.cancel_order import CancelLines, cancel_lines
from marketplace.flows.dispute_order import dispute_changed
from marketplace.flows.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import check_books
from tests.builders import PROCESSOR, Line
from tests.conftest import NOW
from tests.orders import amending
from tests.orders.market import read_order, shop_with, simple
from tests.orders.paid import BUYER, PAYMENT, Paid, balances, market, of, refund, says, sent
from tests.orders.test_fulfilment import arrive, ship
from tests.orders.test_returns import give_back


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
