"""Discounts at checkout under pressure: races, limits, codes, stacking, and reported bugs of other systems."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from demand.amendments.model import Add, Changes, TakeOff
from demand.lifecycle import Party
from incentives.budgets.model import Owner
from incentives.changes.model import ChangeState, EndOn
from incentives.lifecycle import Move
from incentives.promotions.model import Promotion
from incentives.rules.awards import Discount, Fixed, Limits, Once, Reward
from incentives.rules.model import ByMerchant, Qualify, RegionBudget, Stacking, TotalBudget
from incentives.rules.predicates import AnyOf, Equals, Range
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.discounts.issue_codes import IssueCodes, issue_codes, void_code
from marketplace.flows.orders.amend_order import DecideAmendment, ProposeAmendment, accept_amendment, propose_amendment
from marketplace.flows.orders.cancel_order import CancelOrder, cancel_order
from marketplace.flows.orders.place_order import QuoteChanged, place_order
from marketplace.flows.orders.placement import TIME_TO_PAY, PlaceOrder
from marketplace.flows.orders.price_amendment import By
from marketplace.flows.orders.quote_cart import quote_cart
from marketplace.flows.orders.release_order import expire_orders
from marketplace.flows.promotions.change_incentives import ProposeChange, decide_change, propose_change
from marketplace.flows.promotions.plan_incentives import DraftPromotion, draft_promotion
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey, refund_settled
from tests.billing.market import check_books
from tests.discounts.market import Stand, bought, cart, market, off, pay, quoted, refund, sold, stands
from tests.incentives.budgets import check_budgets
from tests.incentives.market import CHECKER, MAKER, SCHEDULE, at, move
from tests.orders.paid import entry
from tests.placing.market import ALPHA, BETA, BUYER, CUP, LAMP, TEA, line, new_cart, ticket

CONNECTIONS = 16


async def command(db: Database, *codes: str, tea: int = 1, buyer_id: int = BUYER) -> PlaceOrder:
    """A cart of this buyer, at what it costs now."""
    of = await cart(db, tea)
    if buyer_id != BUYER:
        await db.write(WORKER, "test", _give_to, of.cart_id, buyer_id)
        of = msgspec.structs.replace(of, buyer_id=buyer_id)
    async with db.read(WORKER) as tx:
        quote = await quote_cart(tx, of, codes)
    return PlaceOrder(
        buyer_id=buyer_id, cart_id=of.cart_id, quote=quote.quote, method="tok", codes=codes, processor="simulator"
    )  # fmt: skip


async def _give_to(tx: Any, cart_id: int, buyer_id: int) -> None:
    bound = {"buyer": buyer_id, "ref": f"b{buyer_id}", "cart": cart_id, "now": tx.now}
    await tx.execute(
        "INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at) VALUES (:buyer, :ref, :now) ON CONFLICT DO NOTHING",
        bound,
    )
    await tx.execute(
        "INSERT INTO demand.cart (buyer_id, cart_id, currency, created_at, updated_at)"
        " SELECT :buyer, cart_id, currency, created_at, updated_at FROM demand.cart WHERE cart_id = :cart",
        bound,
    )
    await tx.execute("UPDATE demand.cart_line SET buyer_id = :buyer WHERE cart_id = :cart", bound)


async def tried(db: Database, cmd: PlaceOrder, key: str) -> bool:
    """Whether it was placed; refused is only what was not as quoted."""
    try:
        await db.write(WORKER, "shop", place_order, ticket(key), cmd)
    except Conflict:
        return False
    return True


async def test_a_nearly_spent_budget_is_spent_to_the_last_order_and_no_further(db: Database, clock: FixedClock) -> None:
    """Reported of Saleor #544, Oscar #2101, Vendure PR 4660: more redemptions than the limit; here 7 of 16 fit."""
    [sale] = await market(db, clock, off(limit_minor=1_500 * 7 + 1_499))
    cmds = [await command(db, buyer_id=900 + number) for number in range(CONNECTIONS)]
    placed = await asyncio.gather(*(tried(db, cmd, f"k{n}") for n, cmd in enumerate(cmds)))
    assert sum(placed) == 7
    assert (await stands(db, sale)).reserved == 10_500
    seen = await quoted(db, await cart(db))
    assert (seen.discount_minor, seen.orders[0].promotions[0].reason) == (0, "the budget has 14.99 left")
    await check_budgets(db)
    await check_books(db)


async def test_a_budget_that_gives_a_part_gives_what_is_left(db: Database, clock: FixedClock) -> None:
    budget = TotalBudget(limit_minor=2_000, currency="EUR", on_shortfall="partial")
    [sale] = await market(db, clock, off(budgets=(budget,)))
    assert [(await bought(db, f"k{n}")).discount_minor for n in range(3)] == [1_500, 500, 0]
    assert (await stands(db, sale)).reserved == 2_000
    await check_budgets(db)
    await check_books(db)


async def test_a_regions_budget_is_spent_to_the_last_order_of_it_and_asked_by_no_other(
    db: Database, clock: FixedClock
) -> None:
    """12.5 % of 120.00 and of 50.00: of 16 orders from the north 3 fit into 59.99; the south has its own."""
    north = RegionBudget(limit_minor=5_999, currency="EUR", region="north")
    south = RegionBudget(limit_minor=625, currency="EUR", region="south")
    [sale] = await market(db, clock, off(budgets=(north, south)))

    async def settle_down(tx: Tx) -> None:
        for region, merchant_id in (("north", ALPHA), ("south", BETA)):
            await tx.execute(f"UPDATE supply.merchant SET region = '{region}' WHERE merchant_id = {merchant_id}")

    await db.write(WORKER, "test", settle_down)
    cmds = [await command(db, buyer_id=900 + n) for n in range(CONNECTIONS)]
    placed = await asyncio.gather(*(tried(db, cmd, f"k{n}") for n, cmd in enumerate(cmds)))
    assert (sum(placed), (await stands(db, sale)).reserved) == (3, 4_500)
    seen = await quoted(db, await cart(db))
    assert (seen.discount_minor, seen.orders[0].promotions[0].reason) == (0, "the budget has 14.99 left")
    assert (await quoted(db, await cart(db, 0, lamps=1))).discount_minor == 625
    await check_budgets(db)
    await check_books(db)


async def test_one_code_from_16_connections_is_used_once(db: Database, clock: FixedClock) -> None:
    """Oscar #4580: a single-use voucher redeemed by several at once."""
    terms = off(qualify=Qualify(event=Equals(attribute="order.code", value="once:hello")))
    [sale] = await market(db, clock, terms)
    [code] = await codes_of(db, sale)
    assert (await quoted(db, await cart(db))).orders[0].promotions == []
    cmds = [await command(db, code, buyer_id=900 + number) for number in range(CONNECTIONS)]
    placed = await asyncio.gather(*(tried(db, cmd, f"k{n}") for n, cmd in enumerate(cmds)))
    assert sum(placed) == 1
    assert (await stands(db, sale)).reserved == 1_500
    await check_books(db)


async def codes_of(db: Database, of: Promotion, count: int = 1, buyer_id: int | None = None) -> list[str]:
    cmd = IssueCodes(
        promotion_id=of.promotion_id, count=count, expires_at=db.clock.now() + timedelta(days=3), buyer_id=buyer_id
    )  # fmt: skip
    return [each.code for each in (await db.write(WORKER, "ida", issue_codes, cmd)).codes]


async def test_a_code_is_for_its_buyer_until_it_expires_or_is_void_and_comes_back_with_the_order(
    db: Database, clock: FixedClock
) -> None:
    """Thelia #2195, WooCommerce #27673: a failed payment gives the use back."""
    terms = off(qualify=Qualify(event=Equals(attribute="order.code", value="once:hello")))
    [sale] = await market(db, clock, terms)
    [mine], [other, spare] = await codes_of(db, sale, buyer_id=BUYER), await codes_of(db, sale, 2)
    assert await tried(db, await command(db, mine), "k1")
    assert (await stands(db, sale)).reserved == 1_500
    stranger = await command(db, mine, buyer_id=900)
    assert await tried(db, stranger, "k2")
    assert (await stands(db, sale)).reserved == 1_500
    clock.move_to(clock.now() + TIME_TO_PAY)
    assert await expire_orders(db, "worker", clock.now()) == 2
    assert (await stands(db, sale)).reserved == 0
    assert await tried(db, await command(db, mine), "k3")
    assert (await stands(db, sale)).reserved == 1_500
    void = await command(db, other)
    await db.write(WORKER, "ida", void_code, sale.promotion_id, other)
    assert not await tried(db, void, "k4")
    with pytest.raises(Conflict, match="used"):
        await db.write(WORKER, "ida", void_code, sale.promotion_id, mine)
    clock.move_to(clock.now() + timedelta(days=3))
    assert await tried(db, await command(db, spare), "k5")
    assert (await stands(db, sale)).reserved == 1_500
    await check_books(db)


async def test_a_code_takes_something_off_one_merchants_order_only(db: Database, clock: FixedClock) -> None:
    """Vendure #3042: a split order counted twice."""
    terms = off(qualify=Qualify(event=Equals(attribute="order.code", value="once:hello")))
    [sale] = await market(db, clock, terms)
    [code] = await codes_of(db, sale)
    both = await new_cart(db, line(ALPHA, TEA), line(BETA, LAMP))
    async with db.read(WORKER) as tx:
        quote = await quote_cart(tx, both, [code])
    assert [order.discount_minor for order in quote.orders] == [1_500, 0]


async def test_a_word_that_everybody_may_use(db: Database, clock: FixedClock) -> None:
    limits = Limits(grants=1)
    terms = off(qualify=Qualify(event=Equals(attribute="order.code", value="SUMMER")), limits=limits)
    [sale] = await market(db, clock, terms)
    first, second = await command(db, "SUMMER"), await command(db, "SUMMER")
    assert await tried(db, first, "k1")
    assert not await tried(db, second, "k2")
    async with db.read(WORKER) as tx:
        seen = await quote_cart(tx, await cart(db), ["SUMMER"])
    assert seen.orders[0].promotions[0].reason == "the buyer has got all that it can"
    assert (await stands(db, sale)).reserved == 1_500


async def test_once_per_buyer_holds_for_two_carts_placed_at_once(db: Database, clock: FixedClock) -> None:
    """Shopper #510, eventyay #1398: a limit per customer that concurrent orders passed."""
    [sale] = await market(db, clock, off(limits=Limits(grants=1)))
    cmds = [await command(db) for _ in range(4)]
    placed = await asyncio.gather(*(tried(db, cmd, f"k{n}") for n, cmd in enumerate(cmds)))
    assert sum(placed) == 1
    assert (await stands(db, sale)).reserved == 1_500
    await check_books(db)


async def test_nothing_is_taken_off_once_a_pause_has_committed(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, off())
    cmd = await command(db)
    await move(db, sale, Move.PAUSE)
    with pytest.raises(QuoteChanged):
        await db.write(WORKER, "shop", place_order, ticket("k1"), cmd)
    assert (await quoted(db, await cart(db))).discount_minor == 0


async def test_a_paid_order_is_honoured_although_the_promotion_ended_meanwhile(db: Database, clock: FixedClock) -> None:
    """Nexuq #278: the cap filled, or the promotion ended, between quote and capture. OpenMage #4401."""
    [sale] = await market(db, clock, off())
    placed = await bought(db)
    await move(db, sale, Move.PAUSE)
    await pay(db, placed)
    assert await entry(db, "order_paid", ALPHA) == {1020: 10_500, 5000: 1_500, 2005: -12_000}
    assert await stands(db, sale) == Stand(reserved=0, spent=1_500, granted=1_500, cost=1_500)
    await check_books(db)


async def test_10_off_3_lines_and_3_cents_off_5_cents_lines(db: Database, clock: FixedClock) -> None:
    """ERPNext #58042, Umbraco Commerce #126: the remainder is lost, or makes a line negative."""
    ten = off(reward=Reward(amount=Fixed(amount_minor=1_000), form=Discount()), name="ten")
    await market(db, clock, ten)
    seen = await quoted(db, await new_cart(db, line(ALPHA, TEA, 1), line(ALPHA, CUP, 2)))
    assert sum(each.discount_minor for each in seen.lines) == 1_000
    assert [each.discount_minor for each in seen.lines] == [882, 118]


async def test_everything_off_leaves_exactly_nothing_to_pay(db: Database, clock: FixedClock) -> None:
    """Medusa #12226: -1.6e-14 is left of a 100 % discount."""
    [sale] = await market(db, clock, off(1_000_000))
    placed = await bought(db)
    assert (placed.discount_minor, placed.pay_minor) == (12_000, 0)
    assert await entry(db, "order_paid", ALPHA) == {5000: 12_000, 2005: -12_000}
    await refund(db, placed)
    assert await stands(db, sale) == Stand(reserved=0, spent=0, granted=0, cost=0)
    await check_books(db)


async def test_a_merchant_does_not_sell_for_nothing(db: Database, clock: FixedClock) -> None:
    await market(db, clock, off(1_000_000, ByMerchant()))
    assert not (await quoted(db, await cart(db))).placeable
    with pytest.raises(QuoteChanged, match="nothing"):
        await db.write(WORKER, "shop", place_order, ticket("k1"), await command(db))


async def test_a_line_that_its_merchant_gives_away_gives_its_budget_back_with_the_rest(
    db: Database, clock: FixedClock
) -> None:
    """Tea for nothing beside cups: no money says that the tea goes back, too."""
    tea = Qualify(lines=Equals(attribute="line.category", value="care"))
    [sale] = await market(db, clock, off(1_000_000, ByMerchant(), qualify=tea))
    placed = await sold(db, tea=1, cups=2)
    assert (placed.discount_minor, (await stands(db, sale)).spent) == (12_000, 12_000)
    await refund(db, placed, 799, no=2)
    assert (await stands(db, sale)).spent == 12_000
    await refund(db, placed)
    assert await stands(db, sale) == Stand(reserved=0, spent=0, granted=0, cost=0)
    await check_budgets(db)
    await check_books(db)


async def test_a_cancelled_line_takes_its_own_share_with_it_and_the_other_costs_what_it_did(
    db: Database, clock: FixedClock
) -> None:
    """Vendure #4811, #5127: 10 off 50 + 10; the 50 is cancelled, and the 10 is suddenly for nothing. Spree #5915."""
    [sale] = await market(db, clock, off(reward=Reward(amount=Fixed(amount_minor=1_000), form=Discount())))
    placed = await sold(db, settled=False, tea=1, cups=2)
    done = await refund(db, placed, 12_000)
    assert done.gross_minor == 12_000
    assert await entry(db, "order_refunded", ALPHA) == {2005: 12_000, 2400: -11_118, 5000: -882}
    assert (await stands(db, sale)).spent == 118
    await check_books(db)
    await refund(db, placed)
    assert await entry(db, "order_refunded", ALPHA, nth=1) == {2005: 1_598, 2400: -1_480, 5000: -118}
    await check_books(db)


async def test_a_threshold_looks_at_the_price_before_discounts(db: Database, clock: FixedClock) -> None:
    """Vendure #1012, Sylius #7836: what a discount leaves falls below its own minimum, and it flickers off."""
    once = Reward(amount=Once(threshold=11_000, amount_minor=2_000), form=Discount())
    await market(db, clock, off(reward=once))
    for _ in range(2):
        assert (await quoted(db, await cart(db))).discount_minor == 2_000
    under = await quoted(db, await cart(db, tea=0, cups=2))
    assert under.orders[0].promotions[0].reason == "15.98 is below 110.00"


async def test_the_better_of_two_in_a_lane_and_the_reason_of_the_other(db: Database, clock: FixedClock) -> None:
    """Sylius #4877, Oscar #3171: 10 % twice is never 20 %."""
    lane = Stacking(lane="best_of")
    await market(db, clock, off(100_000, name="ten", stacking=lane), off(200_000, name="twenty", stacking=lane))
    seen = await quoted(db, await cart(db))
    assert seen.discount_minor == 2_400
    reasons = {part.promotion: part.reason for part in seen.orders[0].promotions}
    assert reasons["twenty"] is None
    assert "worth more in lane best_of" in str(reasons["ten"])


async def test_two_that_stack_share_a_campaigns_budget_and_are_paid_apart(db: Database, clock: FixedClock) -> None:
    made = await market(db, clock, off(100_000, name="one"), off(50_000, ByMerchant(), name="two"))
    placed = await sold(db)
    assert placed.discount_minor == 1_800
    assert await entry(db, "order_paid", ALPHA) == {1020: 10_200, 5000: 1_200, 2005: -11_400}
    await refund(db, placed)
    for each in made:
        assert await stands(db, each) == Stand(reserved=0, spent=0, granted=0, cost=0)
    await check_books(db)


async def test_first_orders_only(db: Database, clock: FixedClock) -> None:
    first = Qualify(event=Range(attribute="buyer.orders", below=1))
    await market(db, clock, off(qualify=first))
    assert (await bought(db, "k1")).discount_minor == 1_500
    assert (await bought(db, "k2")).discount_minor == 0


async def test_units_amended_away_take_their_share_with_them_and_are_not_swapped(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, off())
    placed = await sold(db, settled=False, tea=3)
    order_id = placed.orders[0].order_id
    by = By(party=Party.BUYER, buyer_id=BUYER)
    swap = Changes(take_off=(TakeOff(line_no=1, quantity=1),), add=(Add(product_id=CUP, quantity=1),))
    with pytest.raises(Conflict, match="for what was ordered"):
        await propose(db, order_id, by, swap)
    made = await propose(db, order_id, by, Changes(take_off=(TakeOff(line_no=1, quantity=1),)))
    accept = DecideAmendment(
        merchant_id=ALPHA, order_id=order_id, amendment_id=made.amendment_id, by=By(party=Party.MERCHANT),
        base_version=made.base_version,
    )  # fmt: skip
    await db.write(WORKER, "owner", accept_amendment, accept)
    assert await entry(db, "order_refunded", ALPHA) == {2005: 12_000, 2400: -10_500, 5000: -1_500}
    assert (await stands(db, sale)).spent == 3_000
    await check_books(db)


async def propose(db: Database, order_id: int, by: By, changes: Changes) -> Any:
    async with db.read(WORKER) as tx:
        version = await tx.scalar("SELECT version FROM demand.merchant_order WHERE order_id = :order", order=order_id)
    cmd = ProposeAmendment(
        merchant_id=ALPHA, order_id=order_id, by=by, base_version=version, changes=changes, reason="less"
    )  # fmt: skip
    return await db.write(WORKER, "ben", propose_amendment, cmd)


async def test_a_refund_that_failed_and_is_cancelled_gives_the_discount_again(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, off())
    placed = await sold(db, settled=False)
    done = await refund(db, placed, 4_000)
    await db.write(
        WORKER, "processor", refund_settled, ALPHA, done.refund_id, placed.payment_id, ok=False, failure="closed",
        at=clock.now(),
    )  # fmt: skip
    await db.write(WORKER, "test", cancel_refund, RefundKey(merchant_id=ALPHA, refund_id=done.refund_id))
    assert await stands(db, sale) == Stand(reserved=0, spent=1_500, granted=1_500, cost=1_500)
    await check_books(db)


async def test_an_unpaid_order_that_is_cancelled_gives_everything_back(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, off(limits=Limits(grants=1)))
    placed = await bought(db)
    cmd = CancelOrder(merchant_id=ALPHA, order_id=placed.orders[0].order_id, party=Party.BUYER)
    await db.write(WORKER, "ben", cancel_order, cmd)
    assert await stands(db, sale) == Stand(reserved=0, spent=0, granted=0, cost=0)
    assert (await bought(db, "k2")).discount_minor == 1_500
    await check_books(db)


async def test_the_word_of_codes_is_one_promotions_own(db: Database, clock: FixedClock) -> None:
    """A code of five percent off never gives half off."""
    hello = Equals(attribute="order.code", value="once:hello")
    [sale] = await market(db, clock, off(50_000, qualify=Qualify(event=hello), name="five percent"))
    either = AnyOf(of=(hello, Equals(attribute="order.code", value="half")))
    cmd = DraftPromotion(campaign_id=sale.campaign_id, terms=off(500_000, qualify=Qualify(event=either), name="half"))
    other = await db.write(WORKER, MAKER, draft_promotion, cmd)
    with pytest.raises(Invalid, match="'once:hello' is the word of 'five percent'"):
        await move(db, other, Move.SUBMIT)


@pytest.mark.parametrize(("ends", "minor"), [("2018-09-10T00:00", 1_500), ("2018-09-05T00:00", 0)])
async def test_an_end_that_was_moved_by_two_people_is_the_end(
    db: Database, clock: FixedClock, ends: str, minor: int
) -> None:
    schedule = msgspec.structs.replace(SCHEDULE, ends="2018-09-06T00:00")
    [sale] = await market(db, clock, off(schedule=schedule))
    cmd = ProposeChange(owner=Owner.PROMOTION, owner_id=sale.promotion_id, edit=EndOn(ends=ends), reason="so")
    change = await db.write(WORKER, MAKER, propose_change, cmd)
    await db.write(WORKER, CHECKER, decide_change, change.change_id, ChangeState.APPROVED)
    await at(db, clock, "2018-09-05T12:00:00+00:00" if not minor else "2018-09-07T12:00:00+00:00")
    assert (await bought(db)).discount_minor == minor
