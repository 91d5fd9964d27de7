"""A discount that merchants bear a part of is taken off the orders of those that have joined it, and of no others."""

from datetime import timedelta

from incentives.rules.model import ByMerchant, ByPlatform, Qualify
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.promotions.join_promotion import join_promotion
from tests.billing.market import check_books
from tests.discounts.market import bought, cart, market, off, pay, quoted, refund, settle, stands
from tests.orders.paid import entry
from tests.placing.market import ALPHA


async def test_nothing_is_off_until_the_merchant_has_joined_and_then_it_bears_its_part(
    db: Database, clock: FixedClock
) -> None:
    wanted = off(100_000, ByPlatform(weight=2), ByMerchant(weight=1))
    [sale] = await market(db, clock, wanted, joined=False)
    seen = await quoted(db, await cart(db))
    assert (seen.discount_minor, seen.orders[0].promotions[0].reason) == (0, "the merchant has not joined")
    await pay(db, await bought(db, "before"))
    clock.move_to(clock.now() + timedelta(minutes=1))
    await db.write(WORKER, "alice", join_promotion, ALPHA, sale.promotion_id)
    placed = await bought(db, "after")
    assert (placed.discount_minor, placed.pay_minor) == (1_200, 10_800)
    await pay(db, placed)
    await settle(db, placed)
    assert (await stands(db, sale)).cost == 800
    await check_books(db)
    await refund(db, placed)
    assert ((await stands(db, sale)).cost, (await stands(db, sale)).spent) == (0, 0)
    await check_books(db)
    assert (await entry(db, "order_refunded", ALPHA))[2400] == -10_800


async def test_who_pays_may_also_only_have_merchants_take_part(db: Database, clock: FixedClock) -> None:
    """The platform bears all of it; it is for shops that want to be in it."""
    wanted = off(100_000, qualify=Qualify(opt_in="from_opt_in"))
    [sale] = await market(db, clock, wanted, joined=False)
    assert (await bought(db, "k1")).discount_minor == 0
    await db.write(WORKER, "alice", join_promotion, ALPHA, sale.promotion_id)
    assert (await bought(db, "k2")).discount_minor == 1_200
    await check_books(db)
