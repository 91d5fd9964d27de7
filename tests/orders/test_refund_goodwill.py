"""What the platform gave a buyer is the platform's again when the rest of the order goes, to the cent."""

from typing import Any

import pytest

from demand.lifecycle import Move, Party
from demand.model import OrderState
from demand.store import list_events
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.cancel_order import Cancelled, CancelOrder, cancel_order
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey
from marketplace.flows.refunds.refund_order import Refunded, RefundLine
from tests.billing.market import check_books
from tests.builders import Line
from tests.conftest import NOW
from tests.orders.market import Bought, Sold, read_order, shop_with
from tests.orders.paid import Paid, balances, commands, count, entry, market, of, refund, says, sent
from tests.orders.test_cancellation import accounts, cancel, drop
from tests.orders.test_disputes import LOST, OPENED, WON, fact
from tests.orders.test_fulfilment import arrive, ship
from tests.orders.test_refund_postings import under
from tests.orders.test_returns import give_back

WHOLE_BEFORE = {2005: 12_000, 6920: -1_000, 2400: -11_000}
WHOLE_AFTER = {2000: 10_560, 4000: 1_200, 2300: 240, 6920: -1_000, 2400: -11_000}


async def house_goodwill(db: Database, minor: int = 1_000) -> Refunded:
    """A goodwill refund that the platform bears."""
    done = await refund(db, reason="goodwill", goodwill=minor)
    assert (done.gross_minor, done.platform_minor) == (minor, minor)
    return done


async def cancelled(db: Database, party: Party = Party.MERCHANT) -> Cancelled:
    return await db.write(WORKER, "mia", cancel_order, CancelOrder(merchant_id=1, order_id=1, party=party))


@pytest.mark.parametrize(("settled", "legs"), [(False, WHOLE_BEFORE), (True, WHOLE_AFTER)])
async def test_a_refund_of_the_rest_gives_the_platform_its_goodwill_back(
    db: Database, settled: bool, legs: dict[int, int]
) -> None:
    await market(db, Paid(order=of(1, 1)), settled=settled)
    await house_goodwill(db)
    done = await refund(db)
    assert await entry(db, "order_refunded", nth=1) == legs
    assert (done.gross_minor, done.platform_minor) == (11_000, -1_000)
    assert await balances(db) == {1020: 12_000, 2400: -12_000}
    assert await commands(db) == [(500, 1_000), (500, 11_000)]
    await check_books(db)
    with pytest.raises(Conflict):
        await refund(db)


async def test_cancelling_the_rest_gives_the_platform_its_goodwill_back(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, delivered=False)))
    await house_goodwill(db)
    done = await cancelled(db)
    assert done.refund is not None
    assert (done.state, done.refund.gross_minor, done.refund.platform_minor) == ("cancelled", 11_000, -1_000)
    assert await entry(db, "order_refunded", nth=1) == WHOLE_BEFORE
    await check_books(db)


async def test_an_order_whose_buyer_has_everything_back_can_still_be_cancelled(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, delivered=False)))
    await house_goodwill(db, 12_000)
    with pytest.raises(Conflict, match="in full already"):
        await refund(db)
    done = await cancelled(db)
    assert done.refund is not None
    assert (done.state, done.refund.gross_minor) == ("cancelled", 0)
    assert await entry(db, "order_refunded", nth=1) == {2005: 12_000, 6920: -12_000}
    assert await commands(db) == [(500, 12_000)]
    assert await balances(db) == {1020: 12_000, 2400: -12_000}
    await check_books(db)
    with pytest.raises(Conflict, match="owed nothing"):
        await db.write(WORKER, "ops", cancel_refund, RefundKey(1, done.refund.refund_id))


async def test_the_history_says_who_cancelled(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, delivered=False)), Paid(order=of(2, 2, delivered=False)))
    done = await cancelled(db)
    await refund(db, merchant_id=2, order_id=2)
    assert done.refund is not None
    async with db.read(WORKER) as tx:
        [cancelled_one] = await list_events(tx, 1, 1, limit=9)
        [refunded_one] = await list_events(tx, 2, 2, limit=9)
    assert (cancelled_one.move, cancelled_one.party) == (Move.CANCEL, Party.MERCHANT)
    assert cancelled_one.detail == {"reason": "merchant_cancelled", "refund_id": done.refund.refund_id}
    assert (refunded_one.move, refunded_one.party) == (Move.REFUND, Party.PLATFORM)


async def test_amounts_that_are_named_take_no_more_from_the_merchant(db: Database) -> None:
    """The buyer has everything back; what the platform gave stays the merchant's until the order itself goes."""
    await market(db, Paid(order=of(1, 1)), settled=True)
    await house_goodwill(db)
    await refund(db, RefundLine(1, 11_000))
    assert await balances(db) == {1020: 12_000, 2000: -880, 2300: -20, 2400: -12_000, 4000: -100, 6920: 1_000}
    await check_books(db)


async def test_a_line_that_was_given_whole_is_not_given_again(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, Line(goods_minor=5_000), Line(goods_minor=7_000))))
    await refund(db, RefundLine(1, 5_000), reason="goodwill")
    done = await refund(db)
    assert (done.gross_minor, done.platform_minor) == (7_000, -5_000)
    assert await entry(db, "order_refunded", nth=1) == {2005: 12_000, 6920: -5_000, 2400: -7_000}
    await check_books(db)


async def test_kept_commission_stays_kept(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await house_goodwill(db)
    await under(db, commission="kept")
    await refund(db)
    assert await entry(db, "order_refunded", nth=1) == {2000: 12_000, 6920: -1_000, 2400: -11_000}
    await check_books(db)


THREE = Bought(merchant_id=1, order_id=1, lines=(Sold(quantity=3, goods_minor=12_000),))


def given(*backs: Any) -> list[tuple[int, int]]:
    return [(back.refund.gross_minor, back.refund.platform_minor) for back in backs]


@pytest.mark.parametrize(
    ("goodwill", "expected"),
    [
        (1_000, [(4_000, 0), (4_000, 0), (3_000, -1_000)]),
        (9_000, [(3_000, -1_000), (0, -4_000), (0, -4_000)]),
        (12_000, [(0, -4_000), (0, -4_000), (0, -4_000)]),
    ],
)
async def test_unit_by_unit_cancelled_the_platform_has_its_goodwill_back(
    db: Database, goodwill: int, expected: list[tuple[int, int]]
) -> None:
    await shop_with(db, THREE)
    await house_goodwill(db, goodwill)
    assert given(*[await drop(db, (1, 1)) for _ in range(3)]) == expected
    assert (await read_order(db)).order.state is OrderState.CANCELLED
    assert await accounts(db) == {1020: 12_000, 2400: -12_000}
    await check_books(db)


@pytest.mark.parametrize("settled", [False, True])
async def test_unit_by_unit_returned_the_platform_has_its_goodwill_back(db: Database, settled: bool) -> None:
    await shop_with(db, THREE)
    await arrive(db, await ship(db))
    await house_goodwill(db, 6_000)
    if settled:
        await settle_through(db, "test", NOW.date())
    backs = [await give_back(db, (1, 1), party=Party.PLATFORM) for _ in range(3)]
    assert given(*backs) == [(4_000, 0), (2_000, -2_000), (0, -4_000)]
    assert [back.returned.state for back in backs] == ["refunded", "refunded", "received"]
    if settled:
        assert await entry(db, "order_refunded", nth=2) == {
            2000: 3_520,
            4000: 400,
            2300: 80,
            6920: -2_000,
            2400: -2_000,
        }
    assert (await read_order(db)).order.state is OrderState.RETURNED
    assert await accounts(db) == {1020: 12_000, 2400: -12_000}
    await check_books(db)


async def test_the_last_units_cancelled_after_a_delivery_leave_the_rest_to_settle(db: Database) -> None:
    await shop_with(db, THREE)
    await arrive(db, await ship(db, (1, 1)))
    await house_goodwill(db, 9_000)
    assert given(await drop(db, (1, 2))) == [(3_000, -5_000)]
    await settle_through(db, "test", NOW.date())
    assert await accounts(db) == {1020: 12_000, 2000: -3_520, 2300: -80, 2400: -12_000, 4000: -400, 6920: 4_000}
    await check_books(db)


async def test_the_buyers_own_goodwill_and_then_the_cancellation_of_its_order(db: Database) -> None:
    """Freight and discount too; the merchant's own goodwill has left its lines and does not come back."""
    line = Sold(quantity=3, goods_minor=1_000, freight_minor=100, discount_minor=80)
    await shop_with(db, Bought(merchant_id=1, order_id=1, lines=(line,)))
    await house_goodwill(db, 101)
    await refund(db, reason="goodwill", goodwill=19, initiator=Party.MERCHANT)
    done = await cancel(db)
    assert given(done) == [(900, -101)]
    assert await accounts(db) == {1020: 1_020, 2400: -1_020}
    await check_books(db)


@pytest.mark.parametrize("settled", [False, True])
async def test_a_dispute_lost_over_the_whole_rest_takes_the_merchants_lines_along(db: Database, settled: bool) -> None:
    """The dispute is over all that was paid: the goodwill was given twice, and once of it is the platform's loss."""
    await market(db, Paid(order=of(1, 1)), settled=settled)
    await says(db, await house_goodwill(db), ok=True)
    await fact(db, OPENED, 12_000, 0)
    [lost] = await fact(db, LOST, 12_000, 0)
    assert lost.excess_minor == 1_000
    merchant = {2000: 10_560, 4000: 1_200, 2300: 240} if settled else {2005: 12_000}
    assert await entry(db, "dispute_lost") == {**merchant, 5200: 1_000, 6920: -1_000, 1120: -12_000}
    assert await balances(db) == {1020: -1_000, 5200: 1_000}
    await check_books(db)


async def test_a_dispute_lost_over_all_the_buyer_had_left_ends_the_order(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, delivered=False)))
    await house_goodwill(db)
    await fact(db, LOST, 11_000, 0)
    assert await entry(db, "dispute_lost") == {2005: 12_000, 6920: -1_000, 1120: -11_000}
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM demand.merchant_order") == "cancelled"
    await check_books(db)


async def test_a_dispute_lost_in_part_takes_its_part(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await house_goodwill(db)
    await fact(db, LOST, 10_999, 0)
    assert await entry(db, "dispute_lost") == {2005: 10_999, 1120: -10_999}
    assert (await refund(db)).gross_minor == 1
    assert await entry(db, "order_refunded", nth=1) == {2005: 1_001, 6920: -1_000, 2400: -1}
    await check_books(db)


async def test_a_loss_by_a_dispute_goes_back_to_where_it_was_borne(db: Database) -> None:
    """Without recourse the platform bore it; when the merchant does not deliver, it has no claim to that money."""
    await market(db, Paid(order=of(1, 1, delivered=False)))
    await under(db, lost="platform")
    await fact(db, LOST, 4_000, 0)
    await refund(db, goodwill=500)
    await under(db, goods="platform", freight="platform", commission="kept")
    await refund(db, goodwill=700)
    assert await entry(db, "order_refunded", nth=1) == {6920: 700, 2400: -700}
    await under(db)
    await refund(db)
    assert await entry(db, "order_refunded", nth=2) == {2005: 11_500, 6920: -700, 5200: -4_000, 2400: -6_800}
    assert await balances(db) == {1020: 8_000, 2400: -8_000}
    await check_books(db)


async def test_what_a_dispute_took_too_much_comes_back_with_the_rest(db: Database) -> None:
    """Two disputes over the same money: one takes it as the platform's loss, the other is won; then all is refunded."""
    await market(db, Paid(order=of(1, 1)))
    failed = await refund(db, RefundLine(1, 3_000))
    await fact(db, OPENED, 9_000, 0, "d2")
    [lost] = await fact(db, LOST, 5_000, 0)
    assert lost.excess_minor == 5_000
    await fact(db, WON, 9_000, 0, "d2")
    done = await refund(db)
    assert await entry(db, "order_refunded", nth=1) == {2005: 9_000, 5200: -5_000, 2400: -4_000}
    assert (done.gross_minor, (await balances(db)).get(5200, 0)) == (4_000, 0)
    await says(db, failed, ok=False)
    assert await count(db, "refund_covered") == 0, "the merchant has paid the loss: nobody else does"
    assert [one.state for one in await sent(db, failed)] == ["failed"]
    await check_books(db)


async def test_goodwill_that_the_merchant_has_paid_back_is_the_buyers(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    goodwill = await house_goodwill(db)
    await says(db, goodwill, ok=False)
    await refund(db)
    with pytest.raises(Conflict, match="the merchant has given this back to the platform"):
        await db.write(WORKER, "ops", cancel_refund, RefundKey(1, goodwill.refund_id))
    await check_books(db)


async def test_goodwill_that_failed_is_taken_back_before_the_rest_goes(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    goodwill = await house_goodwill(db)
    await says(db, goodwill, ok=False)
    await db.write(WORKER, "ops", cancel_refund, RefundKey(1, goodwill.refund_id))
    assert (await refund(db)).gross_minor == 12_000
    assert await balances(db) == {1020: 12_000, 2400: -12_000}
    await check_books(db)


async def test_a_refund_of_the_rest_that_failed_is_taken_back_with_what_the_platform_got(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await house_goodwill(db)
    before = await balances(db)
    done = await refund(db)
    await says(db, done, ok=False)
    await db.write(WORKER, "ops", cancel_refund, RefundKey(1, done.refund_id))
    assert await balances(db) == before
    await check_books(db)
    assert (await refund(db)).platform_minor == -1_000
    await check_books(db)


async def test_an_open_dispute_still_holds_what_it_is_over(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, delivered=False)))
    await house_goodwill(db)
    await fact(db, OPENED, 11_000, 0)
    with pytest.raises(Conflict, match=r"11000 is more than 0, .* refunded 1000, disputed 11000"):
        await cancelled(db)
    await fact(db, WON, 11_000, 0)
    assert (await cancelled(db)).state is OrderState.CANCELLED
    await check_books(db)
