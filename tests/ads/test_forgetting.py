"""Old impressions and clicks are forgotten; what was counted and charged of them stays, and still proves."""

from datetime import timedelta

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.retention import KEPT_AD_CLICKS, KEPT_AD_IMPRESSIONS
from marketplace.flows.ads import forget_ad_events as forgetting
from marketplace.flows.ads.forget_ad_events import forget_ad_events
from tests.ads.market import HOUR, NOON, clicks, hours_of, prepared, rate
from tests.billing.market import check_books


async def kept(db: Database) -> dict[str, int]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT kind, count(*) FROM billing.ad_event GROUP BY kind")
    return {row[0]: row[1] for row in rows}


async def test_impressions_go_first_and_clicks_when_no_report_asks_for_them(db: Database, clock: FixedClock) -> None:
    campaign = await prepared(db)
    old, later = NOON - 30 * HOUR, NOON - 2 * HOUR
    for at, name in ((old, "old"), (later, "later")):
        await clicks(db, campaign, 4, at=at, name=f"c-{name}")
        await clicks(db, campaign, 6, at=at, name=f"i-{name}", kind="impression")
    await rate(db)
    counted = await hours_of(db, campaign)
    assert await forget_ad_events(db, "worker") == 0
    steps = [
        (old + KEPT_AD_IMPRESSIONS + HOUR, {"click": 8, "impression": 6}),
        (later + KEPT_AD_IMPRESSIONS + HOUR, {"click": 8}),
        (old + KEPT_AD_CLICKS + HOUR, {"click": 4}),
        (later + KEPT_AD_CLICKS + HOUR, {}),
    ]
    for at, left in steps:
        clock.move_to(at)
        assert await forget_ad_events(db, "worker") == 1
        assert await kept(db) == left
        assert await forget_ad_events(db, "worker") == 0
        await check_books(db)
    assert await hours_of(db, campaign) == counted


async def test_of_many_hours_some_go_in_each_commit(
    db: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await prepared(db)
    for number in range(5):
        await clicks(db, campaign, 2, at=NOON - (2 + number) * HOUR, name=f"e{number}-")
    await rate(db)
    clock.move_to(NOON + KEPT_AD_CLICKS + timedelta(days=1))
    monkeypatch.setattr(forgetting, "HOURS_MAX", 2)
    assert await forget_ad_events(db, "worker") == 3
    assert await kept(db) == {}
    await check_books(db)
