"""Trade 100, get 20: merchants' rewards from settled orders to the payable balance, and back, to the cent."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing.ledger.chart import Account
from incentives.lifecycle import Move
from incentives.promotions.model import Promotion
from incentives.rules.awards import Band, Graduated, Reward
from incentives.rules.model import ByMerchant, ByPayer, ByPlatform, Calendar, PerEvent, Schedule, Terms, TotalBudget
from incentives.rules.parts import DAY
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.flows import grant_rewards as flow
from marketplace.flows.advance_incentives import advance_incentives
from marketplace.flows.grant_rewards import grant_rewards
from marketplace.flows.refund_order import RefundLine, RefundOrder, refund_order
from marketplace.flows.settle_orders import settle_through
from marketplace.flows.vest_rewards import vest_rewards
from tests.billing.market import FLAT, MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.builders import Order, add_orders
from tests.conftest import NOW
from tests.incentives.market import drafted, drafted_campaign, live, move, people, terms

WEEK = Calendar(period="week")
SCHEDULE = Schedule(zone="UTC", starts="2018-09-04", ends="2018-09-30")
WEEKLY = terms(window=WEEK, reward=Reward(amount=terms().reward.amount, vest_seconds=2 * DAY))


def day(of: int) -> date:
    return date(2018, 9, of)


async def settle(db: Database, clock: FixedClock, *orders: Order) -> None:
    """Deliver the orders and settle them in the evening of the last one's day."""
    clock.move_to(max(order.settles_at for order in orders if order.settles_at) + timedelta(hours=8))
    await db.write(WORKER, MAKER, add_orders, orders)
    await settle_through(db, MAKER, clock.now().date())


async def refund(db: Database, order_id: int, minor: int) -> None:
    cmd = RefundOrder(merchant_id=1, order_id=order_id, reason="damaged", lines=(RefundLine(1, minor),))
    await db.write(WORKER, MAKER, refund_order, cmd)


async def look(db: Database) -> None:
    await grant_rewards(db, "worker")
    await vest_rewards(db, "worker")


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
    await market.write(WORKER, "test", flow.Tx.execute, "DELETE FROM incentives.reward_cursor")
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


async def test_a_pass_that_dies_before_it_commits_leaves_nothing(
    market: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, promotion = await live(market, clock, WEEKLY)
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    before = await everything(market)

    async def die(*_: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(flow.sql, "advance", die)
        with pytest.raises(ConnectionResetError):
            await grant_rewards(market, "worker")
    assert await everything(market) == before
    await look(market)
    assert await stands(market, promotion) == (2_000, 2_000, 0)
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


async def test_a_payer_cannot_bear_a_reward(market: Database) -> None:
    await people(market)
    campaign = await drafted_campaign(market)
    with pytest.raises(Invalid, match="payer cannot bear"):
        await drafted(market, campaign, terms(funding=(ByPlatform(), ByPayer(contract="brand"))))
