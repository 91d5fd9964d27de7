"""Insertion orders from the opportunity to the make-good: what is delivered, billed and paid."""

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.ads.model import Pricing
from billing.ads.orders.lifecycle import OrderState
from billing.ads.orders.model import GRACE, LineState
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Forbidden
from marketplace.flows.make_good_ads import MakeGood, decide_make_good, propose_make_good
from tests.ads.market import HOUR, MERCHANT, account_of
from tests.ads.orders import (
    CHECKER,
    SELLER,
    bills_of,
    click,
    lines_of,
    order_of,
    ordered,
    places,
    tick,
    wanted,
)
from tests.billing.market import check_books
from tests.products.market import charges, entries

SEP_20, OCT_1, OCT_10 = (datetime(2018, month, day, tzinfo=UTC) for month, day in ((9, 20), (10, 1), (10, 10)))


async def test_an_order_from_the_opportunity_to_the_make_good(db: Database, clock: FixedClock) -> None:
    """100 clicks at 0.15 from 20 September on: 40 are billed for September, 35 for October, 25 are made good."""
    place = (await places(db))[Pricing.CLICK]
    order = await ordered(db, wanted(place, SEP_20, days=20))
    [line] = await lines_of(db, order)
    assert (line.state, line.list_minor, line.total_minor, line.discount_ppm) == (
        LineState.RUNNING, 2_000, 1_500, 250_000,
    )  # fmt: skip
    assert line.campaign_id is not None
    await tick(db, clock, SEP_20 + HOUR)
    assert (await order_of(db, order)).state is OrderState.DELIVERING
    await click(db, line.campaign_id, place, 40, SEP_20 + HOUR)
    await tick(db, clock, OCT_1 + HOUR)
    assert [(c.part, c.net_minor, c.vat_minor, c.charged_on) for c in await charges(db)] == [
        ("1.1", 600, 120, date(2018, 9, 30))
    ]
    assert (await entries(db))[-1] == ("ad_order_charged", "2018-09-30", {1100: 720, 4010: -600, 2300: -120})
    await click(db, line.campaign_id, place, 35, OCT_1 + HOUR, name="later")
    await tick(db, clock, OCT_10 + GRACE + HOUR)
    assert (await order_of(db, order)).state is OrderState.CLOSED
    assert [(bill.delivered, bill.units, bill.amount_minor) for bill in await bills_of(db, order)] == [
        (40, 40, 600), (75, 75, 525),
    ]  # fmt: skip
    later = datetime(2018, 11, 1, tzinfo=UTC)
    again = MakeGood(
        merchant_id=MERCHANT, order_id=order.order_id, line_no=1,
        wanted=wanted(place, later, quantity=25, unit_price_minor=10),
    )  # fmt: skip
    proposed = await db.write(WORKER, SELLER, propose_make_good, again)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    with pytest.raises(Forbidden, match="another person"):
        await db.write(WORKER, SELLER, decide_make_good, MERCHANT, order.order_id, 2, approved=True)
    made = await db.write(WORKER, CHECKER, decide_make_good, MERCHANT, order.order_id, 2, approved=True)
    assert (proposed.makes_good_line_no, made.state) == (1, LineState.RUNNING)
    assert made.campaign_id is not None
    assert (await order_of(db, order)).state is OrderState.DELIVERING
    clock.move_to(later + HOUR)
    await click(db, made.campaign_id, place, 30, later + HOUR, name="good")
    await tick(db, clock, later + timedelta(days=10) + GRACE + HOUR)
    assert [(line.charged_units, line.charged_minor) for line in await lines_of(db, order)] == [(75, 1_125), (25, 250)]
    assert (await order_of(db, order)).state is OrderState.CLOSED
    assert (await account_of(db)).topped_minor == 0
    await check_books(db)
