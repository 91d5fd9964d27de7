"""Who is shown for a search, at what price, and what the report says of it afterwards; over HTTP."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from billing.ads.campaigns.store import find_placement
from billing.ads.model import MILLI, Campaign, Pacing
from billing.ads.tokens import read
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.answer_sponsored import AskSponsored, Sponsored, answer_sponsored
from marketplace.flows.ads.plan_campaign import budget_from
from marketplace.flows.ads.rate_ads import rate_ended
from marketplace.flows.ads.report_ads import report_campaign
from marketplace.flows.ads.score_campaigns import score_campaigns
from tests.ads.market import (
    DAY,
    HOUR,
    MERCHANT,
    NOON,
    OTHER,
    THIRD,
    add_ad_market,
    add_search,
    clicks,
    keys_of,
    lamps,
    line,
    ndjson,
    prepay,
    run_campaign,
)
from tests.billing.market import check_books
from tests.builders import Line, Order, add_orders
from tests.http.conftest import app, caller

__all__ = ["app", "caller"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
BIDS = {MERCHANT: 50, OTHER: 40, THIRD: 30}


async def bidding(db: Database, **changes: Any) -> dict[int, Campaign]:
    """Three merchants that bid 0.50, 0.40 and 0.30 for a click on their lamps."""

    async def make(tx: Tx) -> dict[int, Campaign]:
        await add_ad_market(tx)
        place = await add_search(tx)
        for merchant_id in BIDS:
            await prepay(tx, merchant_id, 10_000)
        return {m: await run_campaign(tx, lamps(m, place, bid_minor=bid, **changes)) for m, bid in BIDS.items()}

    return await db.write(WORKER, "test", make)


async def ask(db: Database, **changes: Any) -> list[Sponsored]:
    plain = AskSponsored(placement="search by click", category="lamps", query="", positions=None)
    return (await answer_sponsored(db, msgspec.structs.replace(plain, **changes))).items


async def prices(db: Database, **changes: Any) -> list[tuple[int, int]]:
    """Merchant and price of a click, by position."""
    keys = await keys_of(db)
    return [(one.merchant_id, read(one.token, keys).click_milli // MILLI) for one in await ask(db, **changes)]


async def test_each_pays_what_the_next_one_bids_and_is_marked(db: Database) -> None:
    await bidding(db)
    assert await prices(db) == [(MERCHANT, 40), (OTHER, 30), (THIRD, 5)]
    shown = await ask(db, positions=2)
    assert [(one.position, one.sponsored, one.title) for one in shown] == [(1, True, "lamp"), (2, True, "lamp")]
    assert await prices(db, category=None, query="a LAMP please") == [(MERCHANT, 40), (OTHER, 30), (THIRD, 5)]
    assert await prices(db, category="chairs", query="chair") == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing.ad_campaign SET state = 'paused' WHERE merchant_id = 1",
        "UPDATE billing.ad_campaign SET ends_at = '2018-09-03' WHERE merchant_id = 1",
        "UPDATE billing.ad_campaign SET starts_at = '2018-10-01' WHERE merchant_id = 1",
        "UPDATE billing.ad_account SET paid_minor = 49 WHERE merchant_id = 1",
        "UPDATE billing.ad_account SET held_minor = 9951 WHERE merchant_id = 1",
        "UPDATE billing.ad_budget SET daily_minor = 49 WHERE merchant_id = 1",
        "UPDATE billing.ad_campaign SET total_minor = 49 WHERE merchant_id = 1",
        "UPDATE supply.merchant SET state = 'suspended' WHERE merchant_id = 1",
        "UPDATE supply.offer SET state = 'hidden' WHERE merchant_id = 1",
        "UPDATE supply.offer SET counted = true WHERE merchant_id = 1",
        "DELETE FROM billing.ad_target WHERE merchant_id = 1",
    ],
)
async def test_what_cannot_run_or_pay_is_not_shown(db: Database, change: str) -> None:
    await bidding(db)
    await db.write(WORKER, "test", Tx.execute, change)
    assert await prices(db) == [(OTHER, 30), (THIRD, 5)]


async def test_what_has_come_in_counts_before_it_is_rated_and_even_pacing_waits(db: Database) -> None:
    campaigns = await bidding(db, daily_minor=1_000, pacing=Pacing.EVEN)
    assert len(await prices(db)) == 3
    await clicks(db, campaigns[MERCHANT], 10, at=NOON - HOUR, minor=51)  # 5.10 of the 5.41 that may be spent by noon
    assert [merchant for merchant, _ in await prices(db)] == [OTHER, THIRD]
    await rate_ended(db, "worker")
    assert [merchant for merchant, _ in await prices(db)] == [OTHER, THIRD]


async def test_who_is_clicked_oftener_ranks_higher(db: Database) -> None:
    campaigns = await bidding(db)
    for merchant_id, seen, clicked in ((MERCHANT, 2_000, 2), (OTHER, 2_000, 60)):
        campaign = campaigns[merchant_id]
        await clicks(db, campaign, seen, at=NOON - HOUR, name="i", kind="impression", minor=0)
        await clicks(db, campaign, clicked, at=NOON - HOUR, name="c", minor=0)
    assert await score_campaigns(db, "worker") == 2
    assert await score_campaigns(db, "worker") == 0
    first, second, _ = await prices(db)
    assert first[0] == OTHER
    assert first[1] < 40  # its quality makes it cheaper than its bid
    assert second[0] in {MERCHANT, THIRD}


def test_a_lower_daily_budget_waits_for_tomorrow() -> None:
    assert budget_from(DAY, now=100, wanted=150) == DAY
    assert budget_from(DAY, now=100, wanted=50) == DAY + timedelta(days=1)


async def test_from_search_to_report_over_http(db: Database, caller: Make, clock: FixedClock) -> None:
    campaigns = await bidding(db)
    campaign = campaigns[MERCHANT]
    shop = await caller("shop", "storefront")
    answer = await shop.get("/api/v1/ads/sponsored", params={"placement": "search by click", "category": "lamps"})
    assert answer.status_code == 200, answer.text
    token = answer.json()["items"][0]["token"]
    clock.move_to(NOON + 10 * timedelta(minutes=1))
    at = NOON + timedelta(minutes=1)
    seen = [line(token, f"i{n}", at, kind="impression") for n in range(100)]
    clicked = [line(token, f"c{n}", at + timedelta(seconds=n), buyer_id=n) for n in range(4)]
    headers = {"Content-Type": "application/x-ndjson"}
    bad = await shop.post("/api/v1/ads/events", content=ndjson(seen) + b"\n{}", headers=headers)
    assert bad.status_code == 422
    assert bad.json()["lines"][0]["line"] == 101
    wrong = await shop.post("/api/v1/ads/events", json=seen[0])
    assert wrong.status_code == 415
    for taken, known in ((104, 0), (0, 104)):
        sent = await shop.post("/api/v1/ads/events", content=ndjson([*seen, *clicked]), headers=headers)
        assert sent.json() == {"taken": taken, "invalid": 0, "known": known}, sent.text
    await db.write(WORKER, "test", _buy)
    clock.move_to(NOON + 2 * HOUR)
    assert await rate_ended(db, "worker") == 1
    owner = await caller("olga", "merchant_owner", merchant_id=MERCHANT)
    path = f"/api/v1/merchants/{MERCHANT}/campaigns/{campaign.campaign_id}"
    report = (await owner.get(f"{path}/report", params={"first": "2018-09-03", "last": "2018-09-03"})).json()
    counted = {
        name: report["total"][name] for name in ("impressions", "clicks", "spend_minor", "orders", "sales_minor")
    }
    assert counted == {"impressions": 100, "clicks": 4, "spend_minor": 160, "orders": 2, "sales_minor": 8_000}
    assert (report["total"]["ctr_ppm"], report["total"]["roas_ppm"]) == (40_000, 50_000_000)
    assert len(report["days"]) == 1
    charges = (await owner.get(f"{path}/ad-charges")).json()["items"]
    assert [(one["amount_minor"], one["kind"]) for one in charges] == [(160, "use")]
    await check_books(db)


async def _buy(tx: Tx) -> None:
    """Buyers 1 and 2 buy after their clicks; 3 had bought before it, 4 never clicked."""
    hour = NOON + 30 * timedelta(minutes=1)
    orders = [
        Order(merchant_id=MERCHANT, order_id=n, lines=(Line(goods_minor=4_000),), placed_at=at, settles_at=None)
        for n, at in ((1, hour), (2, hour), (3, NOON - HOUR), (4, hour))
    ]
    await add_orders(tx, orders)
    await tx.execute("UPDATE demand.merchant_order SET buyer_id = order_id")


async def test_a_sale_belongs_to_the_last_click_within_a_week(db: Database, clock: FixedClock) -> None:
    first = (await bidding(db))[MERCHANT]

    async def more(tx: Tx) -> Campaign:
        place = await find_placement(tx, "search by click")
        return await run_campaign(tx, lamps(MERCHANT, place, bid_minor=20))

    second = await db.write(WORKER, "test", more)
    await clicks(db, first, 1, at=NOON - 3 * HOUR, name="a", buyer_id=1)
    await clicks(db, second, 1, at=NOON - 2 * HOUR, name="b", buyer_id=1)

    async def buy(tx: Tx) -> None:
        for order_id, after in ((1, timedelta(hours=1)), (2, timedelta(days=8))):
            placed = NOON - 2 * HOUR + after
            line_ = (Line(goods_minor=4_000),)
            one = Order(merchant_id=MERCHANT, order_id=order_id, lines=line_, placed_at=placed, settles_at=None)
            await add_orders(tx, [one])
        await tx.execute("UPDATE demand.merchant_order SET buyer_id = 1")

    await db.write(WORKER, "test", buy)
    async with db.read(WORKER) as tx:
        reports = [await report_campaign(tx, MERCHANT, c.campaign_id, DAY, DAY) for c in (first, second)]
    assert [report.total.orders for report in reports] == [0, 1]
    assert [report.total.roas_ppm for report in reports] == [None, None]  # nothing is rated yet
