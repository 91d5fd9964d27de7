"""Eight that write and eight that rate at once: no limit is passed by a minor unit, and no event counts twice."""

import asyncio
from datetime import datetime, timedelta

import pytest

from billing.ads.campaigns.store import get_placement, set_budget
from billing.ads.model import Placement
from billing.ads.tokens import sign
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads import rate_ads
from marketplace.flows.ads.fund_ads import RefundAds, refund_unspent
from tests.ads.market import (
    DAY,
    HOUR,
    MERCHANT,
    NOON,
    OTHER,
    account_of,
    charges_of,
    clicks,
    hours_of,
    keys_of,
    lamps,
    line,
    prepared,
    prepay,
    rate,
    run_campaign,
    send,
    ticket,
)
from tests.billing.market import check_books

WRITERS, BATCHES, CLICKS = 8, 4, 15


@pytest.mark.parametrize("limit", ["prepaid", "daily", "total"])
async def test_no_limit_is_passed_however_many_write_and_rate(db: Database, limit: str) -> None:
    """4,800 minor units are clicked; of one limit there are 1,003, of the others more than enough."""
    sizes = {"prepaid": 50_000, "daily_minor": 50_000, "total_minor": 50_000}
    sizes["prepaid" if limit == "prepaid" else f"{limit}_minor"] = 1_003
    campaign = await prepared(db, **sizes)
    token = sign(ticket(campaign, at=NOON - 4 * HOUR), (await keys_of(db))[1])

    async def write(writer: int) -> None:
        for batch in range(BATCHES):
            at = NOON - (1 + (writer + batch) % 3) * HOUR
            named = [f"{writer}-{batch}-{n}" for n in range(CLICKS)]
            lines = [line(token, name, at + timedelta(milliseconds=n)) for n, name in enumerate(named)]
            await send(db, lines)
            await send(db, lines[:3])  # sent again

    await asyncio.gather(*(write(n) for n in range(WRITERS)), *(rate(db) for _ in range(WRITERS)))
    await rate(db)
    hours = await hours_of(db, campaign)
    assert sum(hour[0] for hour in hours) == WRITERS * BATCHES * CLICKS
    assert sum(hour[2] for hour in hours) == 1_003
    assert sum(hour[2] + hour[3] for hour in hours) == WRITERS * BATCHES * CLICKS * 10
    assert sum(charge.amount_minor for charge in await charges_of(db)) == 1_003
    assert (await account_of(db)).paid_minor == sizes["prepaid"] - 1_003
    await check_books(db)


async def test_two_campaigns_share_one_balance(db: Database) -> None:
    first = await prepared(db, prepaid=700)

    terms = lamps(MERCHANT, await _placement(db, first.placement_id))
    second = await db.write(WORKER, "test", run_campaign, terms)
    key = (await keys_of(db))[1]
    for campaign in (first, second):
        token = sign(ticket(campaign, at=NOON - HOUR), key)
        await send(db, [line(token, f"{campaign.campaign_id}-{n}", NOON - HOUR) for n in range(50)])
    await asyncio.gather(*(rate(db) for _ in range(8)))
    billed = [(await hours_of(db, campaign))[0][2:] for campaign in (first, second)]
    assert billed == [(500, 0), (200, 300)]
    assert (await account_of(db)).free_minor == 0
    await check_books(db)


async def _placement(db: Database, placement_id: int) -> Placement:
    async with db.read(WORKER) as tx:
        return await get_placement(tx, placement_id)


async def test_a_refund_and_rating_do_not_spend_the_same_money(db: Database) -> None:
    """Half a balance is clicked and not rated: only the other half can be given back, rated meanwhile or not."""
    campaign = await prepared(db, prepaid=1_000)
    token = sign(ticket(campaign, at=NOON - HOUR), (await keys_of(db))[1])
    await send(db, [line(token, f"e{n}", NOON - HOUR) for n in range(50)])
    refund = RefundAds(merchant_id=MERCHANT, currency="EUR", amount_minor=None, reason="enough")
    await asyncio.gather(rate(db), db.write(WORKER, "olga", refund_unspent, refund), rate(db))
    assert (await hours_of(db, campaign))[0][2:] == (500, 0)
    assert (await account_of(db)).free_minor == 0
    await check_books(db)


async def test_late_clicks_are_charged_by_the_difference_and_what_was_beyond_a_limit_stays_unbilled(
    db: Database,
) -> None:
    campaign = await prepared(db, daily_minor=300)
    token = sign(ticket(campaign, at=NOON - 4 * HOUR), (await keys_of(db))[1])
    await send(db, [line(token, f"a{n}", NOON - 2 * HOUR) for n in range(20)])
    await rate(db)
    await send(db, [line(token, f"b{n}", NOON - 2 * HOUR - timedelta(minutes=1)) for n in range(20)])
    assert await rate(db) == 1  # the hour before
    assert [hour[2:] for hour in await hours_of(db, campaign)] == [(100, 100), (200, 0)]
    # More money for the day does not bring back what was beyond it; what comes in from then on is charged.
    await db.write(WORKER, "test", set_budget, MERCHANT, campaign.campaign_id, DAY, 1_000)
    await send(db, [line(token, "c", NOON - 2 * HOUR)])
    await rate(db)
    assert [hour[2:] for hour in await hours_of(db, campaign)] == [(100, 100), (210, 0)]
    kinds = [(charge.kind.value, charge.amount_minor) for charge in await charges_of(db)]
    assert kinds == [("use", 200), ("use", 100), ("use", 10)]
    await check_books(db)


async def test_a_merchant_that_cannot_be_rated_holds_up_no_other(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = await prepared(db)
    await db.write(WORKER, "test", prepay, OTHER, 10_000)
    async with db.read(WORKER) as tx:
        place = await get_placement(tx, ours.placement_id)
    theirs = await db.write(WORKER, "test", run_campaign, lamps(OTHER, place))
    for campaign in (ours, theirs):
        await clicks(db, campaign, 3, name=f"e{campaign.merchant_id}")
    rate_merchant = rate_ads.rate_merchant

    async def fail_one(tx: Tx, merchant_id: int, upto: datetime) -> int:
        if merchant_id == ours.merchant_id:
            raise ValueError("its books are broken")
        return await rate_merchant(tx, merchant_id, upto)

    monkeypatch.setattr(rate_ads, "rate_merchant", fail_one)
    assert await rate(db) == 1
    assert [charge.amount_minor for charge in await charges_of(db, OTHER)] == [30]
    monkeypatch.undo()
    assert await rate(db) == 1
