"""Thresholds and rates count what was sold before any incentive: a merchant's discounts lower nothing."""

from datetime import timedelta

from incentives.rules.awards import Band, Credit, Graduated, Reward, ToMerchant
from incentives.rules.model import ByMerchant, Calendar, OrderSettled
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.billing.market import check_books
from tests.discounts.market import market, off, refund, sold, stands
from tests.discounts.test_rebates import look
from tests.placing.market import ALPHA

FIVE = Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=50_000),)), form=Credit())


async def reached(db: Database, promotion_id: int) -> int:
    """What the merchant's window says it has settled."""
    async with db.read(WORKER) as tx:
        minor: int = await tx.scalar(
            "SELECT settled FROM incentives.merchant_progress WHERE merchant_id = :merchant AND promotion_id = :id",
            merchant=ALPHA,
            id=promotion_id,
        )
    return minor


async def replayed(db: Database) -> list[int]:
    """What the same orders count in a replay, as each thing happens to them."""
    now = db.clock.now()
    first, end = now - timedelta(days=30), now + timedelta(days=30)
    async with db.read(WORKER) as tx:
        parts = history(tx, "order.settled", first, end, currency="EUR", zone="UTC", buyers=True)
        records = [record async for part in parts for record in part]
    return [
        sum(line.amount_minor for line in (record.event.lines if record.event else record.left or ()))
        for record in records
    ]


async def test_a_merchants_own_discount_does_not_lower_what_it_reaches(db: Database, clock: FixedClock) -> None:
    """15.00 off 120.00 by the merchant itself: 120.00 count, and of a third that goes 40.00."""
    rebate = off(
        name="five", trigger=OrderSettled(), window=Calendar(period="week"), beneficiary=ToMerchant(), reward=FIVE
    )
    _, weekly = await market(db, clock, off(125_000, ByMerchant()), rebate)
    placed = await sold(db)
    assert placed.discount_minor == 1_500
    await look(db)
    assert (await reached(db, weekly.promotion_id), (await stands(db, weekly)).spent) == (12_000, 600)
    assert await replayed(db) == [12_000]
    await refund(db, placed, 3_500)
    await look(db)
    assert (await reached(db, weekly.promotion_id), (await stands(db, weekly)).spent) == (8_000, 400)
    assert await replayed(db) == [12_000, 8_000]
    await refund(db, placed)
    await look(db)
    assert (await reached(db, weekly.promotion_id), (await stands(db, weekly)).spent) == (0, 0)
    assert await replayed(db) == [12_000, 8_000, 0]
    await check_books(db)
