"""Posting I to the cent, from the subscription to the last month's revenue, with a fixed clock."""

from datetime import date

from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from tests.billing.market import check_books
from tests.products.market import YEARLY, books, charges, day, earn, entries, offered, open_market, subscribed, tick

JAN_1 = date(2018, 1, 1)


async def test_a_yearly_subscription_is_netted_and_earned_month_by_month(db: Database, clock: FixedClock) -> None:
    """I: 1,200 and VAT; what is payable pays for it; each month 100.00, after an outage all that were missed."""
    day(clock, JAN_1)
    await open_market(db)
    await earn(db, 1, 150_000, JAN_1)
    await subscribed(db, await offered(db, YEARLY))
    assert (await entries(db))[1:] == [
        ("product_charged", "2018-01-01", {1100: 144_000, 2200: -120_000, 2300: -24_000}),
        ("product_netted", "2018-01-01", {2000: 144_000, 1100: -144_000}),
    ]
    assert await books(db) == {2000: -6_000, 2200: -120_000, 2300: -24_000, 6920: 150_000}
    await tick(db, clock, date(2018, 1, 31))
    assert len(await entries(db)) == 3  # January is not over
    await tick(db, clock, date(2018, 2, 1))
    await tick(db, clock, date(2018, 7, 3))  # nobody worked for four months
    await tick(db, clock, date(2018, 12, 31))
    earned = [(on, legs) for kind, on, legs in await entries(db) if kind == "revenue_recognised"]
    assert [on for on, _ in earned][:7] == [
        "2018-01-31", "2018-02-28", "2018-03-31", "2018-04-30", "2018-05-31", "2018-06-30", "2018-07-31",
    ]  # fmt: skip
    assert [legs for _, legs in earned] == [{2200: 10_000, 4020: -10_000}] * 11
    await tick(db, clock, date(2019, 1, 1))  # the year is over, the next one is charged and cannot be netted whole
    assert await books(db) == {1100: 138_000, 2200: -120_000, 2300: -48_000, 4020: -120_000, 6920: 150_000}
    assert [(charge.open_minor, charge.waiting_minor) for charge in await charges(db)] == [(0, 0), (138_000, 120_000)]
    await check_books(db)
