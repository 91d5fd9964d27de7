"""Insertion orders from the opportunity to the make-good: what is delivered, billed and paid."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.ads.lifecycle import AdParty, CampaignMove
from billing.ads.model import Pricing
from billing.ads.orders import store
from billing.ads.orders.lifecycle import OrderMove, OrderState
from billing.ads.orders.model import GRACE, AdOrder, LineState
from billing.ads.slots.store import SlotTaken
from billing.ads.tokens import read
from billing.charges.model import PaysBy
from billing.ledger import store as ledger
from billing.runs.model import period_named
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.ads.answer_sponsored import AskSponsored, answer_sponsored
from marketplace.flows.ads.book_slots import cancel_booking
from marketplace.flows.ads.credit_clicks import credit_clicks
from marketplace.flows.ads.make_good_ads import MakeGood, decide_make_good, propose_make_good
from marketplace.flows.ads.plan_campaign import move_campaign
from marketplace.flows.ads.sell_ads import AcceptOrder, OrderChange, accept_order, edit_order
from tests.ads.market import DAY, HOUR, MERCHANT, NOON, OTHER, account_of, keys_of, lamps, prepay, run_campaign
from tests.ads.orders import (
    CHECKER,
    SELLER,
    accept,
    bills_of,
    click,
    lines_of,
    move,
    opened,
    order_of,
    ordered,
    places,
    quoted,
    tick,
    wanted,
)
from tests.billing.market import billed, check_books, figures, goodwill, statements
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


async def test_what_was_delivered_is_netted_in_a_run_and_stands_in_the_column_of_ads(
    db: Database, clock: FixedClock
) -> None:
    """40 clicks at 0.15 and 20 % VAT: 7.20 of the 50.00 that the merchant is owed are set off; the rest is paid out."""
    place = (await places(db))[Pricing.CLICK]
    order = await ordered(db, wanted(place, SEP_20, days=20))
    [line] = await lines_of(db, order)
    assert line.campaign_id is not None
    clock.move_to(SEP_20 + HOUR)
    await db.write(WORKER, SELLER, ledger.post, [goodwill(MERCHANT, 1, date(2018, 9, 20), 5_000)])
    await click(db, line.campaign_id, place, 40, SEP_20 + HOUR)
    await tick(db, clock, OCT_1 + HOUR)
    assert (await entries(db))[-2:] == [
        ("ad_order_charged", "2018-09-30", {1100: 720, 4010: -600, 2300: -120}),
        ("ad_order_netted", "2018-10-01", {2000: 720, 1100: -720}),
    ]
    await credit_one(db, "c7")
    run = await billed(db, period_named("2018-09"))
    september = (await statements(db, run.run.run_id))[MERCHANT, "EUR"]
    assert figures(september) == {"other": 5_000, "closing": 5_000}
    clock.move_to(datetime(2018, 11, 1, 6, tzinfo=UTC))
    run = await billed(db, period_named("2018-10"))
    october = figures((await statements(db, run.run.run_id))[MERCHANT, "EUR"])
    assert october == {"opening": 5_000, "ads": 18 - 720, "payout": -4_298}
    await check_books(db)


async def credit_one(db: Database, event_id: str) -> None:
    await db.write(WORKER, CHECKER, credit_clicks, MERCHANT, [event_id], "a complaint")


async def test_late_invalid_clicks_are_credited_the_newest_charge_first(db: Database, clock: FixedClock) -> None:
    place = (await places(db))[Pricing.CLICK]
    order = await ordered(db, wanted(place, SEP_20, days=20))
    [line] = await lines_of(db, order)
    assert line.campaign_id is not None
    await tick(db, clock, SEP_20 + HOUR)
    await click(db, line.campaign_id, place, 40, SEP_20 + HOUR)
    await tick(db, clock, OCT_1 + HOUR)
    await click(db, line.campaign_id, place, 10, OCT_1 + HOUR, name="later")
    await tick(db, clock, OCT_10 + GRACE + HOUR)
    bad = [f"c{number}" for number in range(12)]
    await db.write(WORKER, CHECKER, credit_clicks, MERCHANT, bad, "a farm of clicks")
    september, october = await charges(db)
    assert (september.credited_minor, october.credited_minor) == (30, 150)
    assert (october.credited_vat_minor, october.open_minor) == (30, 0)
    assert [(bill.units, bill.amount_minor) for bill in await bills_of(db, order)] == [(40, 600), (50, 150), (38, -180)]
    [line] = await lines_of(db, order)
    assert (line.charged_units, line.charged_minor) == (38, 570)
    again = MakeGood(
        merchant_id=MERCHANT, order_id=order.order_id, line_no=1, wanted=wanted(place, OCT_10 + 9 * GRACE, quantity=63)
    )
    with pytest.raises(Invalid, match="is short of 62"):
        await db.write(WORKER, SELLER, propose_make_good, again)
    await check_books(db)


@pytest.mark.parametrize("ticks", [[], [1], [0.2, 1, 5, 20, 26], [25, 26, 27, 40]])
async def test_in_however_many_windows_it_is_billed_it_comes_to_the_same(
    db: Database, clock: FixedClock, ticks: list[float]
) -> None:
    """1,999 impressions at 5.55 a thousand over three months: rounded once, whenever the clock looks."""
    place = (await places(db))[Pricing.THOUSAND]
    order = await ordered(db, wanted(place, SEP_20, days=60, quantity=4_000, unit_price_minor=555))
    [line] = await lines_of(db, order)
    assert line.campaign_id is not None
    for number, at in enumerate((SEP_20 + HOUR, OCT_10, OCT_10 + timedelta(days=30))):
        clock.move_to(at)
        await click(db, line.campaign_id, place, (501, 1, 1_497)[number], at, kind="impression", name=f"i{number}-")
        for days in ticks:
            await tick(db, clock, max(clock.now(), min(at + timedelta(days=days), OCT_10 + timedelta(days=30))))
    await tick(db, clock, SEP_20 + timedelta(days=60) + GRACE + HOUR)
    [line] = await lines_of(db, order)
    assert (line.state, line.charged_units, line.charged_minor) == (LineState.ENDED, 1_999, 1_109)
    assert sum(charge.net_minor for charge in await charges(db)) == 1_109
    charged_on = [charge.charged_on for charge in await charges(db)]
    assert charged_on == [date(2018, 9, 30), date(2018, 11, 23)]  # October's one impression rounds to nothing yet
    await check_books(db)


async def test_hours_are_taken_when_they_are_ordered_and_billed_when_they_were_shown(
    db: Database, clock: FixedClock
) -> None:
    """Of a day of 24 hours at 2.50 the platform suspends six; 18 are billed, and nothing is ever set aside."""
    place = (await places(db))[Pricing.SLOT]
    hours = wanted(place, SEP_20, days=1, quantity=24, unit_price_minor=250)
    order = await ordered(db, hours)
    [line] = await lines_of(db, order)
    assert line.campaign_id is not None
    with pytest.raises(SlotTaken, match="2018-09-20 00:00 UTC is sold"):
        await ordered(db, hours, merchant_id=OTHER)
    ask = AskSponsored(placement="slot", category=None, query="", positions=None)
    move_it = (MERCHANT, line.campaign_id)
    for hour in range(24):
        await tick(db, clock, SEP_20 + hour * HOUR)
        assert len((await answer_sponsored(db, ask)).items) == (hour not in range(6, 12))
        if hour == 5:
            await db.write(WORKER, "olga", move_campaign, *move_it, CampaignMove.SUSPEND, AdParty.PLATFORM, "no stock")
        if hour == 11:
            await db.write(WORKER, "olga", move_campaign, *move_it, CampaignMove.REINSTATE, AdParty.PLATFORM)
            await db.write(WORKER, "olga", move_campaign, *move_it, CampaignMove.RESUME, AdParty.PLATFORM)
    await tick(db, clock, SEP_20 + timedelta(days=1) + GRACE + HOUR)
    [line] = await lines_of(db, order)
    assert (line.charged_units, line.charged_minor) == (18, 4_500)
    account = await account_of(db)
    assert (account.paid_minor, account.held_minor) == (0, 0)
    await check_books(db)


async def test_of_two_orders_for_the_same_hours_one_is_ordered(db: Database) -> None:
    place = (await places(db))[Pricing.SLOT]
    hours = wanted(place, SEP_20, days=1, quantity=24, unit_price_minor=250)
    ours, theirs = await quoted(db, hours), await quoted(db, hours, merchant_id=OTHER)

    async def want(order: AdOrder) -> bool:
        try:
            return (await accept(db, order)).state is OrderState.ORDERED
        except SlotTaken:
            return False

    assert sorted(await asyncio.gather(*(want(order) for order in (ours, theirs)))) == [False, True]
    states = sorted([(await order_of(db, order)).state for order in (ours, theirs)])
    assert states == [OrderState.ORDERED, OrderState.QUOTED]
    await check_books(db)


async def test_what_is_called_off_is_billed_as_delivered_and_its_time_is_free_again(
    db: Database, clock: FixedClock
) -> None:
    found = await places(db)
    clicks, hours = found[Pricing.CLICK], found[Pricing.SLOT]
    order = await ordered(db, wanted(clicks, SEP_20), wanted(hours, SEP_20, days=1, quantity=24, unit_price_minor=250))
    first, _ = await lines_of(db, order)
    assert first.campaign_id is not None
    clock.move_to(SEP_20 + 3.5 * HOUR)  # no worker has looked after the four hours that have begun
    await click(db, first.campaign_id, clicks, 7, SEP_20 + HOUR)
    cancelled = await move(db, order, OrderMove.CANCEL)
    assert cancelled.state is OrderState.CANCELLED
    assert [(line.charged_units, line.charged_minor) for line in await lines_of(db, order)] == [(7, 105), (4, 1_000)]
    await ordered(
        db, wanted(hours, SEP_20 + 4 * HOUR, quantity=20, unit_price_minor=250, to_at=SEP_20 + timedelta(days=1)),
        merchant_id=OTHER,
    )  # fmt: skip
    await click(db, first.campaign_id, clicks, 2, SEP_20 + 2 * HOUR, name="late")
    await tick(db, clock, SEP_20 + GRACE + 4 * HOUR)
    assert [(line.state, line.charged_units) for line in await lines_of(db, order)] == [
        (LineState.ENDED, 9), (LineState.ENDED, 4),
    ]  # fmt: skip
    assert (await order_of(db, order)).state is OrderState.CANCELLED
    await check_books(db)


async def test_guaranteed_lines_come_first_while_they_are_behind(db: Database, clock: FixedClock) -> None:
    place = (await places(db))[Pricing.CLICK]
    order = await ordered(db, wanted(place, SEP_20), wanted(place, SEP_20, quantity=10))
    await db.write(WORKER, "test", prepay, OTHER, 10_000)
    bidding = await db.write(WORKER, "test", run_campaign, lamps(OTHER, place))
    first, second = [line.campaign_id for line in await lines_of(db, order)]
    assert first is not None

    async def shown() -> list[tuple[int, int]]:
        ask = AskSponsored(placement="click", category="lamps", query="", positions=None)
        keys = await keys_of(db)
        tokens = [read(item.token, keys) for item in (await answer_sponsored(db, ask)).items]
        return [(token.campaign_id, token.click_milli) for token in tokens]

    assert await shown() == [(bidding.campaign_id, 5_000)]  # the window has not begun
    await tick(db, clock, SEP_20 + timedelta(days=5))
    assert await shown() == [(first, 0), (second, 0)]  # both lack a half, and there are two positions
    await click(db, first, place, 40, clock.now())
    assert await shown() == [(second, 0), (first, 0)]  # it lacks 10 of 100 now
    await click(db, first, place, 11, clock.now(), name="more")
    assert await shown() == [(second, 0), (bidding.campaign_id, 5_000)]  # it is on its way
    await click(db, first, place, 60, clock.now(), name="beyond")
    await tick(db, clock, SEP_20 + timedelta(days=10) + GRACE + HOUR)
    assert [line.charged_units for line in await lines_of(db, order)] == [100, 0]  # what is beyond is for nothing
    await check_books(db)


async def test_a_quote_needs_two_people_a_day_and_the_merchants_word(db: Database, clock: FixedClock) -> None:
    place = (await places(db))[Pricing.CLICK]
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    order = await opened(db, wanted(place, SEP_20), valid_until=None)
    with pytest.raises(Invalid, match="valid_until"):
        await move(db, order, OrderMove.SUBMIT)
    order = await opened(db, wanted(place, SEP_20))
    await move(db, order, OrderMove.SUBMIT)
    with pytest.raises(Forbidden, match="another person"):
        await move(db, order, OrderMove.APPROVE)
    with pytest.raises(NotFound):
        await accept(db, order)  # its merchant does not know of it
    with pytest.raises(Forbidden, match="the platform may not expire"):
        await move(db, order, OrderMove.EXPIRE)
    shown = await move(db, order, OrderMove.APPROVE, CHECKER)
    with pytest.raises(Conflict, match="is what is quoted now"):
        await accept(db, order)
    said = AcceptOrder(
        merchant_id=MERCHANT, order_id=order.order_id, version=shown.version, pays_by=PaysBy.NETTING, evidence=""
    )
    with pytest.raises(Invalid, match="evidence"):
        await db.write(WORKER, SELLER, accept_order, said, AdParty.PLATFORM)
    await tick(db, clock, NOON + timedelta(days=7))
    expired = await order_of(db, order)
    assert (expired.state, expired.reason) == (OrderState.LOST, f"it held until {DAY + timedelta(days=5)}")
    with pytest.raises(Conflict, match="accept needs one that is quoted"):
        await accept(db, shown)
    await check_books(db)


async def test_who_wrote_the_prices_does_not_approve_them_though_another_submits(db: Database) -> None:
    place = (await places(db))[Pricing.CLICK]
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    order = await opened(db, wanted(place, SEP_20))

    async def edited(tx: Tx) -> AdOrder:
        held = await store.get_order(tx, MERCHANT, order.order_id, lock=True)
        return await edit_order(tx, held, OrderChange(name="cheaper"))

    await db.write(WORKER, CHECKER, edited)
    await move(db, order, OrderMove.SUBMIT)
    with pytest.raises(Forbidden, match="another person"):
        await move(db, order, OrderMove.APPROVE, CHECKER)
    assert (await move(db, order, OrderMove.APPROVE, "a third")).state is OrderState.QUOTED


async def test_what_an_order_runs_is_not_its_merchants_to_change(db: Database) -> None:
    found = await places(db)
    clicks, hours = found[Pricing.CLICK], found[Pricing.SLOT]
    order = await ordered(db, wanted(clicks, SEP_20), wanted(hours, SEP_20, days=1, quantity=24))
    for line in await lines_of(db, order):
        assert line.campaign_id is not None
        with pytest.raises(Conflict, match="a line of an ad order"):
            await db.write(
                WORKER, "mia", move_campaign, MERCHANT, line.campaign_id, CampaignMove.END, AdParty.MERCHANT
            )  # fmt: skip
    async with db.read(WORKER) as tx:
        booking = await tx.scalar("SELECT min(booking_id) FROM billing.ad_booking")
    with pytest.raises(Conflict, match="a line of an ad order"):
        await db.write(WORKER, "mia", cancel_booking, MERCHANT, booking)
