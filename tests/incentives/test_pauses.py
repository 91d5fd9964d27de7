"""A pause that voids: what is promised and has not vested goes back to its budgets, once, and is never given again."""

from datetime import UTC, datetime

import pytest

from incentives.lifecycle import Move
from incentives.rules.awards import EveryN, Reward
from incentives.rules.model import TotalBudget
from incentives.rules.parts import DAY
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives.market import live, move, terms
from tests.incentives.test_rewards import everything, spent, stands
from tests.incentives.trade import WEEK, WEEKLY, day, look, refund, settle

EVERY = terms(
    window=WEEK, reward=Reward(amount=EveryN(every=10_000, amount_minor=1_000), vest_seconds=2 * DAY)
)  # fmt: skip
"""10 for every 100, two days later."""


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, MAKER, prepare, [])
    return db


async def test_what_has_not_vested_is_void_and_what_has_stays(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, EVERY, on_pause="void")
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    clock.move_to(datetime(2018, 9, 6, 20, tzinfo=UTC))
    await look(market)
    await settle(market, clock, paid_order(1, 2, day(6), 20_000))
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((3_000, 2_000, 1_000), 3_000)
    promotion = await move(market, promotion, Move.PAUSE)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((1_000, 0, 1_000), 1_000)
    await check_books(market)
    before = await everything(market)
    await look(market)
    assert await everything(market) == before
    clock.move_to(datetime(2018, 9, 9, tzinfo=UTC))
    await look(market)
    assert await stands(market, promotion) == (1_000, 0, 1_000)
    await check_books(market)


async def test_what_is_void_is_not_given_again_once_it_is_live(market: Database, clock: FixedClock) -> None:
    """Nor is what was earned meanwhile; what comes after is, and a refund takes of what is void first."""
    _, promotion = await live(market, clock, EVERY, on_pause="void")
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    promotion = await move(market, promotion, Move.PAUSE)
    with pytest.raises(Conflict, match="being made void"):
        await move(market, promotion, Move.RESUME)
    await settle(market, clock, paid_order(1, 2, day(5), 10_000))
    await look(market)
    await move(market, promotion, Move.RESUME)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((0, 0, 0), 0)
    await settle(market, clock, paid_order(1, 3, day(6), 10_000))
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((1_000, 1_000, 0), 1_000)
    await refund(market, 1, 10_000)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((0, 0, 0), 0)
    await refund(market, 2, 10_000)
    await refund(market, 3, 10_000)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((0, 0, 0), 0)
    await check_books(market)


async def test_what_waits_for_a_budget_is_void_too(market: Database, clock: FixedClock) -> None:
    small = TotalBudget(limit_minor=500, currency="EUR", on_shortfall="queue")
    _, promotion = await live(market, clock, terms(window=WEEK, budgets=(small,)), on_pause="void")
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    promotion = await move(market, promotion, Move.PAUSE)
    await look(market)
    async with market.read(WORKER) as tx:
        rows = await tx.rows("SELECT pending_minor, void_minor FROM incentives.merchant_progress")
    assert [tuple(row) for row in rows] == [(0, 2_000)]
    await check_books(market)


async def test_a_pause_that_honours_leaves_everything_to_vest(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, WEEKLY)
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    await move(market, promotion, Move.PAUSE)
    clock.move_to(datetime(2018, 9, 7, 10, tzinfo=UTC))
    await look(market)
    assert await stands(market, promotion) == (2_000, 0, 2_000)
    await check_books(market)
