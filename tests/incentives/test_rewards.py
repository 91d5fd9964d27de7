"""Trade 100, get 20: merchants' rewards from settled orders to the payable balance, and back, to the cent."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.ledger.chart import Account
from incentives.budgets import store as budgets
from incentives.budgets.model import Budget, Owner
from incentives.lifecycle import Move
from incentives.promotions.model import Promotion
from incentives.rules.awards import Band, Clawback, EveryN, Graduated, Limits, Reward
from incentives.rules.model import ByMerchant, ByPlatform, Measure, PerEvent, RegionBudget, TotalBudget
from incentives.rules.parts import DAY
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.advance_incentives import advance_incentives
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives.budgets import check_budgets
from tests.incentives.market import live, move, terms
from tests.incentives.trade import WEEK, WEEKLY, day, look, refund, settle


async def stands(db: Database, of: Promotion) -> tuple[int, int, int]:
    """The promotion's cost, what is earned and not payable, and what became payable, in minor units."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """
            SELECT leg.account, sum(leg.amount)::bigint AS minor
            FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
            WHERE e.kind LIKE 'incentive%' GROUP BY leg.account
            """
        )
    found = {row.account: row.minor for row in rows}
    return found.get(Account.INCENTIVE_COST, 0), -found.get(Account.INCENTIVE_PAYABLE, 0), -found.get(2000, 0)


async def spent(db: Database, of: Promotion) -> int:
    async with db.read(WORKER) as tx:
        minor: int = await tx.scalar(
            """
            SELECT sum(s.spent_minor)::bigint FROM incentives.budget_shard s
            JOIN incentives.budget b ON b.budget_id = s.budget_id WHERE b.owner_id = :promotion
            """,
            promotion=of.promotion_id,
        )
    return minor


async def budgets_of(db: Database, of: Promotion) -> list[Budget]:
    async with db.read(WORKER) as tx:
        return await budgets.budgets_of(tx, Owner.PROMOTION, [of.promotion_id])


async def everything(db: Database) -> list[Sequence[Any]]:
    async with db.read(WORKER) as tx:
        return [
            *await tx.rows("SELECT * FROM incentives.merchant_grant ORDER BY merchant_id, grant_id"),
            *await tx.rows("SELECT * FROM incentives.budget_shard ORDER BY 1, 2, 3"),
            *await tx.rows("SELECT merchant_id, entry_no, kind, amounts FROM billing.entry ORDER BY 1, 2"),
            *await tx.rows("SELECT merchant_id, span, promised, granted_minor FROM incentives.merchant_progress"),
        ]


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, MAKER, prepare, [])
    return db


async def test_trade_100_get_20_over_a_week_with_a_refund_and_the_threshold_crossed_again(
    market: Database, clock: FixedClock
) -> None:
    _, promotion = await live(market, clock, WEEKLY)
    await settle(market, clock, paid_order(1, 1, day(4), 6_000))
    await look(market)
    assert await stands(market, promotion) == (0, 0, 0)
    await settle(market, clock, paid_order(1, 2, day(5), 5_000))
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((2_000, 2_000, 0), 2_000)
    clock.move_to(datetime(2018, 9, 7, 9, tzinfo=UTC))
    await look(market)
    assert await stands(market, promotion) == (2_000, 2_000, 0)
    clock.move_to(datetime(2018, 9, 7, 10, tzinfo=UTC))
    await look(market)
    assert await stands(market, promotion) == (2_000, 0, 2_000)
    await check_books(market)
    await refund(market, 2, 1_001)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((0, 0, 0), 0)
    await settle(market, clock, paid_order(1, 3, day(8), 1))
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((2_000, 2_000, 0), 2_000)
    await refund(market, 1, 1)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((0, 0, 0), 0)
    await check_books(market)
    await settle(market, clock, paid_order(1, 4, day(9), 1), paid_order(1, 5, day(10), 10_000))
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((4_000, 4_000, 0), 4_000)
    clock.move_to(datetime(2018, 9, 12, 12, tzinfo=UTC))
    await look(market)
    assert await stands(market, promotion) == (4_000, 0, 4_000)
    await check_books(market)


async def test_looking_twice_changes_nothing(market: Database, clock: FixedClock) -> None:
    await live(market, clock, WEEKLY)
    await settle(market, clock, paid_order(1, 1, day(4), 12_000), paid_order(2, 2, day(4), 10_000))
    await look(market)
    before = await everything(market)
    await look(market)
    await market.write(WORKER, "test", Tx.execute, "DELETE FROM incentives.reward_cursor")
    await look(market)
    assert await everything(market) == before
    assert len([row for row in before if "incentive_earned" in row]) == 2


async def test_two_workers_at_once_grant_once(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, WEEKLY)
    orders = [paid_order(1 + number % 3, 1 + number, day(4), 10_000) for number in range(12)]
    await settle(market, clock, *orders)
    await asyncio.gather(*(look(market) for _ in range(4)))
    # 5,000 is the budget: two of three merchants, and nothing for the third.
    assert (await stands(market, promotion), await spent(market, promotion)) == ((4_000, 4_000, 0), 4_000)
    await check_books(market)


_KILLED = """
import asyncio, os, signal, sys
from datetime import datetime
from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from marketplace.flows.promotions import grant_rewards as flow
from marketplace.flows.promotions import grant_rewards_sql as sql
from marketplace.flows.promotions.advance_incentives import advance_incentives

advance, calls = sql.advance, []

async def dying(*args):
    await advance(*args)
    calls.append(args)
    if len(calls) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

sql.advance = dying
flow.LINES_PER_COMMIT = 1  # each merchant has a commit of its own
clock = FixedClock(datetime.fromisoformat(sys.argv[2]))
asyncio.run(flow.grant_rewards(Database(sys.argv[1], clock), "worker"))
"""
"""Kills itself before the so-and-so-many-th merchant is committed."""


@pytest.mark.parametrize("at", [1, 2])
async def test_a_worker_that_is_killed_leaves_nothing_half_done(market: Database, clock: FixedClock, at: int) -> None:
    _, promotion = await live(market, clock, WEEKLY)
    await settle(market, clock, paid_order(1, 1, day(4), 10_000), paid_order(2, 2, day(4), 10_000))
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, market.url, clock.now().isoformat(), str(at)
    )
    assert await killed.wait() == -signal.SIGKILL
    assert await stands(market, promotion) == (2_000 * (at - 1), 2_000 * (at - 1), 0)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((4_000, 4_000, 0), 4_000)
    await check_books(market)


async def test_what_waits_for_a_budget_is_granted_once_it_is_topped_up(market: Database, clock: FixedClock) -> None:
    small = TotalBudget(limit_minor=1_500, currency="EUR", on_shortfall="queue")
    _, promotion = await live(market, clock, terms(window=WEEK, budgets=(small,)))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    assert await stands(market, promotion) == (0, 0, 0)
    [budget] = await budgets_of(market, promotion)
    await market.write(WORKER, "test", budgets.top_up, budget, 500)
    await advance_incentives(market, "worker")
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((2_000, 0, 2_000), 2_000)
    await check_books(market)


async def test_what_is_refunded_after_the_horizon_changes_nothing(market: Database, clock: FixedClock) -> None:
    reward = Reward(amount=terms().reward.amount, clawback=Clawback(horizon_seconds=3 * DAY))
    _, promotion = await live(market, clock, terms(window=WEEK, reward=reward))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    clock.move_to(datetime(2018, 9, 7, 10, tzinfo=UTC))
    await refund(market, 1, 10_000)
    await look(market)
    assert await stands(market, promotion) == (2_000, 0, 2_000)


async def test_distinct_buyers_and_the_lifetimes_limit(market: Database, clock: FixedClock) -> None:
    """1.00 for each buyer, 1.50 in all; the orders of the builders are all of one buyer."""
    wanted = terms(
        window=WEEK,
        measure=Measure(of="distinct_buyers"),
        reward=Reward(amount=EveryN(every=1, amount_minor=100)),
        limits=Limits(lifetime_minor=150),
    )
    _, promotion = await live(market, clock, wanted)
    await settle(market, clock, paid_order(1, 1, day(4)), paid_order(1, 2, day(5)))
    await look(market)
    assert await stands(market, promotion) == (100, 0, 100)
    await settle(market, clock, paid_order(1, 3, day(11)))
    await look(market)
    assert await stands(market, promotion) == (150, 0, 150)
    await refund(market, 1, 12_000)
    await look(market)
    assert await stands(market, promotion) == (150, 0, 150)
    await refund(market, 2, 12_000)
    await look(market)
    assert await stands(market, promotion) == (50, 0, 50)
    await check_books(market)


async def test_what_is_earned_while_paused_is_granted_once_it_is_live_again(
    market: Database, clock: FixedClock
) -> None:
    _, promotion = await live(market, clock, WEEKLY)
    promotion = await move(market, promotion, Move.PAUSE)
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    assert await stands(market, promotion) == (0, 0, 0)
    await move(market, promotion, Move.RESUME)
    await look(market)
    assert await stands(market, promotion) == (2_000, 2_000, 0)
    await check_books(market)


async def test_a_rebate_per_order_shared_with_the_merchant_pays_the_platforms_part(
    market: Database, clock: FixedClock
) -> None:
    """3 % of each order, a third of it the merchant's own: 3.00 of 100.00, of which 2.00 move."""
    wanted = terms(
        window=PerEvent(),
        reward=Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=30_000),))),
        funding=(ByPlatform(weight=2), ByMerchant(weight=1)),
    )
    _, promotion = await live(market, clock, wanted)
    await settle(market, clock, paid_order(1, 1, day(4), 10_000), paid_order(1, 2, day(5), 5_000))
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((300, 0, 300), 450)
    await refund(market, 1, 10_000)
    await refund(market, 2, 2_500)
    await look(market)
    assert (await stands(market, promotion), await spent(market, promotion)) == ((50, 0, 50), 75)
    await check_books(market)


async def test_a_regions_budget_is_for_its_merchants_and_rejects_exactly(market: Database, clock: FixedClock) -> None:
    """20.00 each: the north's 39.99 have enough for one of its two merchants, the south's for its only one."""
    budgets = tuple(
        RegionBudget(limit_minor=limit, currency="EUR", region=region)
        for region, limit in (("north", 3_999), ("south", 2_000))
    )
    _, promotion = await live(market, clock, terms(window=WEEK, budgets=budgets))
    north = "UPDATE supply.merchant SET region = CASE WHEN merchant_id = 3 THEN 'south' ELSE 'north' END"
    await market.write(WORKER, "test", Tx.execute, north)
    await settle(market, clock, *(paid_order(merchant, merchant, day(4), 10_000) for merchant in (1, 2, 3)))
    await asyncio.gather(*(look(market) for _ in range(4)))
    assert (await stands(market, promotion))[0] == 4_000
    async with market.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT merchant_id, sum(amount_minor)::bigint AS minor FROM incentives.merchant_grant GROUP BY 1"
        )
    granted = {row.merchant_id: row.minor for row in rows}
    assert granted.pop(3) == 2_000
    assert list(granted.values()) == [2_000]
    await check_budgets(market)
    await check_books(market)
