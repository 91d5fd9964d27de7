"""What a new version changes of windows that have begun: nothing. Whoever has begun one finishes it under its terms."""

from datetime import UTC, datetime, timedelta

import msgspec

from incentives.promotions.model import Promotion, VersionState
from incentives.rules.awards import Band, Graduated, Reward
from incentives.rules.model import CustomEvent, PerEvent, Terms, Window
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.promotions import plan_incentives as plans
from marketplace.flows.promotions.plan_incentives import NewVersion
from marketplace.flows.promotions.tell_events import TellEvent, tell_event
from tests.billing.market import check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives.market import CHECKER, MAKER, WARNED, live, simulated, terms
from tests.incentives.trade import WEEK, day, look, refund, settle


def of_sales(rate_ppm: int, window: Window = WEEK) -> Terms:
    return terms(window=window, reward=Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=rate_ppm),))))


async def change(db: Database, clock: FixedClock, of: Promotion, now: Terms) -> None:
    """Another person approves a version that is in force from now on."""
    clock.move_to(clock.now() + timedelta(hours=1))
    version = await db.write(WORKER, MAKER, plans.add_version, NewVersion(promotion_id=of.promotion_id, terms=now))
    await simulated(db, of.promotion_id)
    decided = (of.promotion_id, version.version_no, VersionState.APPROVED, WARNED)
    await db.write(WORKER, CHECKER, plans.decide_version, *decided)


async def granted(db: Database) -> list[int]:
    """By window, in the order of their beginning."""
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT granted_minor FROM incentives.merchant_progress ORDER BY starts_at, span")
    return [row.granted_minor for row in rows]


async def test_a_week_that_has_begun_ends_under_its_version(db: Database, clock: FixedClock) -> None:
    """A reported bug: 6.28 of a week became 20.00 with better terms, and 3.31 with worse ones, though nothing came
    back."""
    await db.write(WORKER, MAKER, prepare, [])
    _, promotion = await live(db, clock, of_sales(30_000))
    await settle(db, clock, paid_order(1, 1, day(4), 20_000))
    assert await granted(db) == [600]
    await change(db, clock, promotion, of_sales(100_000))
    await settle(db, clock, paid_order(1, 2, day(5), 10_000))
    assert await granted(db) == [900]
    await change(db, clock, promotion, of_sales(10_000))
    await settle(db, clock, paid_order(1, 3, day(6), 10_000))
    assert await granted(db) == [1_200]
    await settle(db, clock, paid_order(1, 4, day(10), 10_000))
    assert await granted(db) == [1_200, 100]  # the next week is the last version's
    await refund(db, 1, 10_000)
    assert await granted(db) == [900, 100]
    await check_books(db)


async def test_what_settled_before_and_is_looked_at_late_comes_to_the_same(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    _, promotion = await live(db, clock, of_sales(30_000))
    await settle(db, clock, paid_order(1, 1, day(4), 20_000))
    await change(db, clock, promotion, of_sales(100_000))
    await settle(db, clock, paid_order(1, 2, day(5), 10_000), paid_order(2, 3, day(5), 10_000))
    assert sorted(await granted(db)) == [900, 1_000]  # merchant 2 has begun the week under the new terms
    await check_books(db)


async def test_a_reward_of_one_event_is_by_that_events_version(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    _, promotion = await live(db, clock, of_sales(30_000, PerEvent()))
    await settle(db, clock, paid_order(1, 1, day(4), 10_000))
    await change(db, clock, promotion, of_sales(100_000, PerEvent()))
    await settle(db, clock, paid_order(1, 2, day(5), 10_000))
    assert await granted(db) == [300, 1_000]
    clock.move_to(datetime(2018, 9, 8, tzinfo=UTC))
    assert await granted(db) == [300, 1_000]
    await check_books(db)


async def test_what_comes_late_takes_nothing_back(db: Database, clock: FixedClock) -> None:
    """An event of before the edit that is told after the first grant: it counts, under the terms of that grant."""
    await db.write(WORKER, MAKER, prepare, [])
    visits = [msgspec.structs.replace(of_sales(rate), trigger=CustomEvent(name="visit")) for rate in (30_000, 100_000)]
    _, promotion = await live(db, clock, visits[0])
    clock.move_to(datetime(2018, 9, 4, 12, tzinfo=UTC))
    before = clock.now()
    await change(db, clock, promotion, visits[1])
    clock.move_to(clock.now() + timedelta(hours=1))
    for number, (at, wanted) in enumerate([(clock.now(), 1_000), (before, 2_000)]):
        told = TellEvent(
            merchant_id=1, event_id=f"e{number}", name="visit", currency="EUR", amount_minor=10_000, quantity=1, at=at
        )
        await db.write(WORKER, "shop", tell_event, told)
        assert await granted(db) == [wanted]
    await check_books(db)
