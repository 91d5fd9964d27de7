"""Postings B and E2, E3 of domain.md, and a merchant's own discount (C), to the cent, with the books proved."""

from demand.store import get_order
from incentives.rules.model import ByMerchant, ByPlatform
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import check_books
from tests.discounts.market import Stand, bought, cart, market, off, pay, quoted, refund, settle, sold, stands
from tests.orders.paid import balances, entry
from tests.placing.market import ALPHA, TEA


async def test_b_a_live_discount_is_quoted_placed_paid_settled_and_refunded_in_part(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, off())
    seen = await quoted(db, await cart(db))
    assert (seen.total_minor, seen.discount_minor, seen.due_minor) == (12_000, 1_500, 10_500)
    assert [(part.promotion, part.amount_minor, part.reason) for part in seen.orders[0].promotions] == [
        ("autumn sale", 1_500, None)
    ]
    placed = await bought(db)
    assert (placed.total_minor, placed.discount_minor, placed.pay_minor) == (12_000, 1_500, 10_500)
    assert await stands(db, sale) == Stand(reserved=1_500, spent=0, granted=0, cost=0)
    await check_books(db)
    await pay(db, placed)
    assert await entry(db, "order_paid", ALPHA) == {1020: 10_500, 5000: 1_500, 2005: -12_000}
    assert await stands(db, sale) == Stand(reserved=0, spent=1_500, granted=1_500, cost=1_500)
    await check_books(db)
    await settle(db, placed)
    assert await entry(db, "order_settled", ALPHA) == {2005: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}
    done = await refund(db, placed, 4_000)
    assert await entry(db, "order_refunded", ALPHA) == {2000: 3_520, 4000: 400, 2300: 80, 2400: -3_500, 5000: -500}
    assert done.gross_minor == 4_000
    assert (await balances(db, ALPHA))[2000] == -7_040
    assert await stands(db, sale) == Stand(reserved=0, spent=1_000, granted=1_000, cost=1_000)
    await check_books(db)


async def test_e2_a_third_refunded_before_settlement_and_then_the_rest(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, off())
    placed = await sold(db, settled=False)
    await refund(db, placed, 4_000)
    assert await entry(db, "order_refunded", ALPHA) == {2005: 4_000, 2400: -3_500, 5000: -500}
    await check_books(db)
    await refund(db, placed)
    assert await stands(db, sale) == Stand(reserved=0, spent=0, granted=0, cost=0)
    assert await balances(db, ALPHA) == {1020: 10_500, 2400: -10_500}
    await check_books(db)


async def test_c_the_merchants_own_discount_lowers_its_price_and_costs_the_platform_nothing(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, off(125_000, ByMerchant()))
    placed = await sold(db)
    assert await entry(db, "order_paid", ALPHA) == {1020: 10_500, 2005: -10_500}
    assert await entry(db, "order_settled", ALPHA) == {2005: 10_500, 4000: -1_050, 2300: -210, 2000: -9_240}
    assert await stands(db, sale) == Stand(reserved=0, spent=1_500, granted=1_500, cost=0)
    await refund(db, placed, 3_500)
    assert await stands(db, sale) == Stand(reserved=0, spent=1_000, granted=1_000, cost=0)
    await check_books(db)


async def test_funders_share_a_discount_by_weight_on_every_line(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, off(100_000, ByPlatform(weight=2), ByMerchant(weight=1)))
    placed = await bought(db, tea=1, cups=2)
    assert (placed.total_minor, placed.discount_minor) == (13_598, 1_359)
    async with db.read(WORKER) as tx:
        detail = await get_order(tx, ALPHA, placed.orders[0].order_id)
    assert detail.order.discount_minor == 453 == sum(line.discount_minor for line in detail.lines)
    await pay(db, placed)
    assert await entry(db, "order_paid", ALPHA) == {1020: 12_239, 5000: 906, 2005: -13_145}
    await settle(db, placed)
    await refund(db, placed)
    assert await stands(db, sale) == Stand(reserved=0, spent=0, granted=0, cost=0)
    assert (await balances(db, ALPHA)).get(2000, 0) == 0
    await check_books(db)


async def test_goods_that_go_take_all_of_their_discount_back_whatever_the_freight(
    db: Database, clock: FixedClock
) -> None:
    """Freight earns no discount, so what stays of it keeps none: 9.50 less 5.00, and 2.90 of freight."""
    [sale] = await market(db, clock, off(526_316))
    await db.write(WORKER, "test", _with_freight, 950, 290)
    placed = await sold(db, settled=False)
    assert (placed.total_minor, placed.discount_minor, placed.pay_minor) == (1_240, 500, 740)
    await refund(db, placed, 475)
    assert await stands(db, sale) == Stand(reserved=0, spent=250, granted=250, cost=250)
    await refund(db, placed, 475)
    assert await stands(db, sale) == Stand(reserved=0, spent=0, granted=0, cost=0)
    assert (await balances(db, ALPHA))[2400] == -450  # what the buyer has paid for the goods
    await check_books(db)
    await refund(db, placed)
    assert (await balances(db, ALPHA))[2400] == -740
    await check_books(db)


async def test_a_part_of_the_freight_leaves_discounts_standing(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, off(500_000, ByPlatform(), ByMerchant()))
    await db.write(WORKER, "test", _with_freight, 1_000, 300)
    placed = await sold(db)
    order = placed.orders[0].order_id
    cmd = RefundOrder(merchant_id=ALPHA, order_id=order, reason="damaged", lines=(RefundLine(1, 0, 300),))
    await db.write(WORKER, "test", refund_order, cmd)
    assert await stands(db, sale) == Stand(reserved=0, spent=500, granted=500, cost=250)
    await refund(db, placed)
    assert await stands(db, sale) == Stand(reserved=0, spent=0, granted=0, cost=0)
    await check_books(db)


async def _with_freight(tx: Tx, price_minor: int, freight_minor: int) -> None:
    await tx.execute(
        "UPDATE supply.offer SET price_minor = :price, freight_minor = :freight WHERE product_id = :tea",
        {"price": price_minor, "freight": freight_minor, "tea": TEA},
    )
