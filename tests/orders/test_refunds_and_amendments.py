"""Refunds of every kind, amendments and disputes on one order: one set of proofs holds after every step."""

from datetime import timedelta

import pytest

from billing.payments.facts import DisputeState, RefundFact, payment_reference, refund_reference
from billing.refunds import store as refund_payments
from demand.amendments.model import Amendment, Changes
from demand.fulfilment.model import ReturnMove
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import OrderState
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.amend_order import expire_amendments
from marketplace.flows.orders.cancel_order import CancelOrder, cancel_order
from marketplace.flows.orders.fulfil_order import ShipOrder, complete_order, ship_order
from marketplace.flows.orders.hold_order import Act
from marketplace.flows.orders.pay_amendment import PAID_WITHIN
from marketplace.flows.orders.price_amendment import preview_amendment
from marketplace.flows.payments.apply_payment_events import APPLY
from marketplace.flows.payments.return_payment import returned
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.dispute_order import dispute_changed
from marketplace.flows.refunds.pay_refund import RefundKey, refund_settled, refund_to_credit
from marketplace.flows.refunds.refund_order import Refunded, RefundLine, RefundOrder, refund_order
from marketplace.flows.refunds.return_order import (
    AskReturn,
    DecideReturn,
    Received,
    ReceiveReturn,
    ask_return,
    decide_return,
    receive_return,
)
from tests.billing.market import check_books
from tests.builders import PROCESSOR
from tests.conftest import NOW
from tests.orders.amending import (
    AS_MERCHANT,
    BUYER,
    CABLE,
    LAMP,
    MERCHANT,
    ORDER,
    accept,
    add_paid_order,
    amend,
    both,
    lines_of,
    more,
    off,
    pay,
    payment_of,
    price_of,
    propose,
    worth,
)
from tests.orders.paid import balances, entry
from tests.orders.test_disputes import said

FIRST_PAYMENT = 77
LOST, OPENED, WON = DisputeState.LOST, DisputeState.OPENED, DisputeState.WON


async def refund(
    db: Database, *lines: RefundLine, reason: str = "damaged", goodwill: int | None = None, by: Party = Party.PLATFORM
) -> Refunded:
    cmd = RefundOrder(
        merchant_id=MERCHANT,
        order_id=ORDER,
        reason=reason,
        lines=lines or None,
        goodwill_minor=goodwill,
        initiator=by,
    )
    return await db.write(WORKER, "test", refund_order, cmd)


async def fails(db: Database, done: Refunded) -> RefundKey:
    """The processor can give none of it back."""
    async with db.read(WORKER) as tx:
        sent = await refund_payments.of_refund(tx, MERCHANT, done.refund_id)
    assert sent
    for one in sent:
        of_payment = (MERCHANT, done.refund_id, one.payment_id)
        await db.write(
            WORKER, "processor", refund_settled, *of_payment, ok=False, failure="closed", at=NOW + timedelta(days=1)
        )
    return RefundKey(MERCHANT, done.refund_id)


async def dispute(db: Database, name: str, *states: DisputeState, minor: int) -> None:
    for state in states:
        fact = said(state, minor, 15, name=name, payment_id=FIRST_PAYMENT)
        await db.write(WORKER, "processor", dispute_changed, PROCESSOR, fact)


async def give_back(db: Database, line_no: int, units: int) -> Received:
    async def give(tx: Tx) -> Received:
        lines = (LineUnits(line_no, units),)
        asked = await ask_return(
            tx,
            AskReturn(merchant_id=MERCHANT, order_id=ORDER, party=Party.PLATFORM, reason="damaged", lines=lines),
        )
        decided = DecideReturn(
            merchant_id=MERCHANT,
            order_id=ORDER,
            party=Party.MERCHANT,
            return_id=asked.return_id,
            move=ReturnMove.APPROVE,
        )
        await decide_return(tx, decided)
        received = ReceiveReturn(merchant_id=MERCHANT, order_id=ORDER, party=Party.MERCHANT, return_id=asked.return_id)
        return await receive_return(tx, received)

    return await db.write(WORKER, "mia", give)


async def delivered(db: Database) -> None:
    await db.write(WORKER, "mia", ship_order, ShipOrder(merchant_id=MERCHANT, order_id=ORDER, party=Party.MERCHANT))
    await db.write(WORKER, "bea", complete_order, Act(merchant_id=MERCHANT, order_id=ORDER, party=Party.BUYER))


async def test_everything_that_moves_money_on_one_order(db: Database) -> None:
    """Before the delivery, between delivery and settlement, and after it; at the end the platform is even."""
    await add_paid_order(db)

    async def proved(order_left: int) -> None:
        await check_books(db)
        assert worth(await lines_of(db)) == order_left

    await refund(db, reason="goodwill", goodwill=1_000)
    await proved(12_000)
    await amend(db, both(off(1, 1), more(LAMP, 1)))  # 40.00 off, of which 26.00 are carried over
    await proved(10_600)
    await amend(db, more(CABLE, 4))  # 20.00 more, paid
    await proved(12_600)
    await refund(db, RefundLine(1, 500), by=Party.MERCHANT)
    await proved(12_100)
    await db.write(WORKER, "ops", cancel_refund, await fails(db, await refund(db, RefundLine(3, 700))))
    await proved(12_100)
    await db.write(WORKER, "ops", refund_to_credit, await fails(db, await refund(db, RefundLine(3, 300))))
    await proved(11_800)
    await dispute(db, "first", OPENED, LOST, minor=900)
    await dispute(db, "second", OPENED, WON, minor=2_000)
    await proved(10_900)
    await amend(db, both(off(3, 1), price_of(1, 200)))
    await check_books(db)
    await delivered(db)
    await check_books(db)
    left = worth(await lines_of(db))
    await refund(db, reason="goodwill", goodwill=400)
    await refund(db, reason="goodwill", goodwill=100, by=Party.MERCHANT)
    await give_back(db, 1, 1)
    await check_books(db)
    assert worth(await lines_of(db)) < left - 100
    await settle_through(db, "test", NOW.date())
    await dispute(db, "third", OPENED, LOST, minor=600)
    back = await give_back(db, 3, 1)
    assert back.refund is not None
    assert back.refund.commission_minor > 0
    await check_books(db)
    await refund(db)
    await proved(0)
    owed = 12_000 + 2_000 - 300 - 900 - 600  # what was paid less what was credited and what disputes took
    assert await balances(db) == {1020: owed + 300 - 45, 1030: -300, 2400: -owed, 5100: 45}


async def previewed(db: Database, changes: Changes) -> tuple[int, int]:
    """What the lines would lose, and what the buyer is told that it gets back."""
    async with db.read(Scope(Role.MERCHANT, MERCHANT)) as tx:
        seen = await preview_amendment(tx, MERCHANT, ORDER, AS_MERCHANT, changes)
    return seen.priced.delta_minor, seen.refund_minor


@pytest.mark.parametrize("goodwill", [0, 1, 700, 5_000, 9_000])
@pytest.mark.parametrize(
    "changes", [off(1, 1), off(1, 2), both(off(1, 2), more(CABLE, 1)), price_of(1, -8_000), more(LAMP, 1)]
)
async def test_a_preview_says_what_the_buyer_then_gets(db: Database, goodwill: int, changes: Changes) -> None:
    """The lines lose the same; what the platform has given before is given back to it, not to the buyer again."""
    await add_paid_order(db)
    before = await previewed(db, changes)
    if goodwill:
        await refund(db, reason="goodwill", goodwill=goodwill)
    delta, gets = await previewed(db, changes)
    assert (delta, before) == (before[0], (delta, max(0, -delta)))
    assert gets == max(0, min(-delta, 12_000 - goodwill - (500 if changes.add else 0)))
    changed = await amend(db, changes)
    async with db.read(WORKER) as tx:
        booked = await tx.scalar("SELECT goods_minor FROM demand.refund WHERE refund_id = :id", id=changed.refund_id)
    assert gets == (booked or 0)
    await check_books(db)


async def test_a_line_that_the_platform_gave_is_amended_away(db: Database) -> None:
    """Carried to other lines, its worth stays the merchant's; the buyer gets of the rest what it has not got."""
    await add_paid_order(db)
    await refund(db, RefundLine(1, 12_000), reason="goodwill")
    assert await previewed(db, both(off(1, 3), more(LAMP, 1))) == (-9_400, 0)
    changed = await amend(db, both(off(1, 3), more(LAMP, 1)))
    assert changed.delta_minor == -9_400
    assert await entry(db, "order_refunded", nth=1) == {2005: 9_400, 6920: -9_400}
    await check_books(db)
    with pytest.raises(Conflict, match="in full already"):
        await refund(db)
    by = Party.MERCHANT
    done = await db.write(WORKER, "mia", cancel_order, CancelOrder(merchant_id=MERCHANT, order_id=ORDER, party=by))
    assert done.state is OrderState.CANCELLED
    assert await balances(db) == {1020: 12_000, 2400: -12_000}
    await check_books(db)


async def test_an_order_without_payments_here_has_captured_what_it_sold_for_once(db: Database) -> None:
    """What was carried stands on two of its lines; imported orders have no parts of payments to say it."""
    await add_paid_order(db)
    await db.write(WORKER, "test", Tx.execute, "DELETE FROM billing.payment_part")
    await amend(db, both(off(1, 1), more(LAMP, 1)))
    with pytest.raises(Conflict, match="10601 is more than 10600"):
        await refund(db, goodwill=10_601)
    await check_books(db)


async def voided(db: Database, clock: FixedClock) -> tuple[Amendment, int]:
    """An amendment whose payment came too late, and the payment."""
    await add_paid_order(db)
    held = await accept(db, await propose(db, more(LAMP, 1)))
    payment = (await payment_of(db, held)).payment_id
    clock.move_to(NOW + PAID_WITHIN)
    await expire_amendments(db, "clock", clock.now())
    await pay(db, held)
    assert await entry(db, "amendment_voided") == {1020: 2_600, 2400: -2_600}
    await db.write(WORKER, "test", Tx.execute, "UPDATE billing.payment_command SET state = 'sent'")
    return held, payment


def given_back(held: Amendment, payment_id: int, *, minor: int = 2_600, ok: bool = True) -> RefundFact:
    return RefundFact(
        reference=refund_reference(MERCHANT, held.amendment_id),
        payment_reference=payment_reference(BUYER, payment_id),
        ok=ok,
        amount_minor=minor,
        currency="EUR",
        occurred_at=NOW + timedelta(days=2),
        failure=None if ok else "account closed",
    )


async def test_money_of_a_voided_amendment_is_back_with_the_buyer(db: Database, clock: FixedClock) -> None:
    held, payment_id = await voided(db, clock)
    fact = given_back(held, payment_id)
    with pytest.raises(Invalid, match="2600 EUR was to be given back, not 2599"):
        await db.write(WORKER, "processor", APPLY[RefundFact], PROCESSOR, given_back(held, payment_id, minor=2_599))
    for _ in range(2):
        await db.write(WORKER, "processor", APPLY[RefundFact], PROCESSOR, fact)
    assert await entry(db, "unwanted_returned") == {1020: -2_600, 2400: 2_600}
    assert await balances(db) == {1020: 12_000, 2005: -12_000}
    await check_books(db)


async def test_money_of_a_voided_amendment_that_cannot_go_back_is_parked(db: Database, clock: FixedClock) -> None:
    held, payment_id = await voided(db, clock)
    await db.write(WORKER, "processor", APPLY[RefundFact], PROCESSOR, given_back(held, payment_id, ok=False))
    async with db.read(WORKER) as tx:
        parked = await tx.scalar("SELECT error FROM billing.payment_command WHERE kind = 'refund' AND state = 'parked'")
    assert "account closed" in parked
    assert (await balances(db))[2400] == -2_600
    await check_books(db)


async def test_what_is_no_such_money_is_a_refund(db: Database, clock: FixedClock) -> None:
    held, payment_id = await voided(db, clock)
    of_refund, of_other = given_back(held, payment_id), given_back(held, FIRST_PAYMENT)
    for source_id, fact in ((held.amendment_id + 1, of_refund), (held.amendment_id, of_other)):
        assert not await db.write(WORKER, "processor", returned, PROCESSOR, MERCHANT, source_id, fact)
    with pytest.raises(Conflict, match="was to be given back yet"):
        await db.write(WORKER, "processor", returned, PROCESSOR, MERCHANT, payment_id, of_refund)
