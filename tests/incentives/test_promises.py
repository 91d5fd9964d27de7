"""What is promised for paid orders: reserved at once, granted when they settle, or given back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incentives.grants.model import Progress
from incentives.grants.store import progress_of
from incentives.lifecycle import Move
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion
from incentives.rules.awards import EveryN, Limits, Reward
from incentives.rules.index import plan_of
from incentives.rules.model import Measure, OrderPlaced, PerEvent, TotalBudget
from incentives.simulation.replay import replay
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.advance_incentives import expire_reservations
from marketplace.flows.promotions.keep_promises import PROMISED_FOR
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.billing.market import MAKER, check_books, prepare
from tests.builders import add_orders
from tests.incentives.market import live, move, terms
from tests.incentives.promised import PERCENT, PLACED, deliver, pay, placed
from tests.incentives.trade import look, refund


async def stands(db: Database, of: Promotion) -> tuple[int, int, int]:
    """What the merchants were granted, what they are promised besides, and what the budgets hold for that."""
    async with db.read(WORKER) as tx:
        granted, promised = (
            await tx.rows(
                """
                SELECT coalesce(sum(granted_minor), 0)::bigint AS granted,
                       coalesce(sum((SELECT sum(x) FROM unnest(promise_minor) x)), 0)::bigint AS promised
                FROM incentives.merchant_progress
                """
            )
        )[0]
        spent, reserved = (
            await tx.rows(
                """
                SELECT sum(s.spent_minor)::bigint AS spent, sum(s.reserved_minor)::bigint AS reserved
                FROM incentives.budget_shard s JOIN incentives.budget b ON b.budget_id = s.budget_id
                WHERE b.owner = 'promotion' AND b.owner_id = :promotion
                """,
                promotion=of.promotion_id,
            )
        )[0]
    assert spent == granted
    return granted, promised, reserved


async def progress(db: Database, of: Promotion, span: str = "2018-09-04T00:00:00+00:00") -> Progress:
    async with db.read(WORKER) as tx:
        found = await progress_of(tx, "merchant", [(1, of.promotion_id, span)])
    return found[1, of.promotion_id, span]


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, MAKER, prepare, [])
    return db


async def test_what_is_promised_is_reserved_and_granted_when_it_settles(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, terms(**PLACED))
    await pay(market, clock, placed(1, 4, 6_000))
    assert await stands(market, promotion) == (0, 0, 0)
    await pay(market, clock, placed(2, 5, 5_000))
    assert await stands(market, promotion) == (0, 2_000, 2_000)
    window = await progress(market, promotion)
    assert (window.promised, window.settled) == (11_000, 0)
    await deliver(market, clock, 1, 6)
    assert await stands(market, promotion) == (0, 2_000, 2_000)
    await deliver(market, clock, 2, 12)  # after the week in which it was placed
    assert await stands(market, promotion) == (2_000, 0, 0)
    window = await progress(market, promotion)
    assert (window.promised, window.settled, window.promise_keys) == (11_000, 11_000, ())
    await look(market)
    await check_books(market)
    await refund(market, 2, 1_001)
    await look(market)
    assert await stands(market, promotion) == (0, 0, 0)
    await check_books(market)


async def test_an_order_that_comes_to_nothing_gives_its_promise_back(market: Database, clock: FixedClock) -> None:
    """10 % of each order of the week: 12.00 and 5.00 promised."""
    _, promotion = await live(market, clock, terms(**PLACED, reward=PERCENT))
    await pay(market, clock, placed(1, 4, 12_000), placed(2, 4, 5_000))
    assert await stands(market, promotion) == (0, 1_700, 1_700)
    await refund(market, 1, 12_000)
    await look(market)
    assert await stands(market, promotion) == (0, 500, 500)
    await refund(market, 2, 1_000)
    await look(market)
    assert await stands(market, promotion) == (0, 400, 400)
    await deliver(market, clock, 2, 6)
    assert await stands(market, promotion) == (400, 0, 0)
    await check_books(market)


async def test_a_part_that_settles_is_granted_and_the_rest_stays_promised(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, terms(**PLACED, reward=PERCENT))
    await pay(market, clock, placed(1, 4, 12_000), placed(2, 4, 5_000))
    await deliver(market, clock, 2, 6)
    assert await stands(market, promotion) == (500, 1_200, 1_200)
    await deliver(market, clock, 1, 7)
    assert await stands(market, promotion) == (1_700, 0, 0)
    await check_books(market)


async def test_a_budget_is_promised_once(market: Database, clock: FixedClock) -> None:
    """50.00 for three merchants at 20.00: the third is promised nothing, until another order falls through."""
    _, promotion = await live(market, clock, terms(**PLACED))
    await pay(market, clock, *[placed(n, 4, 10_000, merchant_id=n) for n in (1, 2, 3)])
    assert await stands(market, promotion) == (0, 4_000, 4_000)
    await refund(market, 1, 1)
    await look(market)
    assert await stands(market, promotion) == (0, 2_000, 2_000)
    await deliver(market, clock, 3, 5)
    assert await stands(market, promotion) == (2_000, 2_000, 2_000)
    await check_books(market)


async def test_sixteen_workers_at_once_promise_once(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, terms(**PLACED, reward=PERCENT))
    orders = [placed(10 + n, 4 + n % 3, 9_000, merchant_id=1 + n % 3) for n in range(12)]
    clock.move_to(datetime(2018, 9, 6, 12, tzinfo=UTC))
    await market.write(WORKER, MAKER, add_orders, orders)
    await asyncio.gather(*(look(market) for _ in range(16)))
    granted, promised, reserved = await stands(market, promotion)
    assert granted == 0
    assert promised == reserved <= 5_000
    assert promised > 5_000 - 900 * 4


async def test_what_has_not_settled_in_time_goes_back_and_is_made_again(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, terms(**PLACED))
    await pay(market, clock, placed(1, 4, 10_000))
    clock.move_to(clock.now() + PROMISED_FOR + timedelta(hours=1))
    await expire_reservations(market, "worker")
    assert (await stands(market, promotion))[2] == 0
    await deliver(market, clock, 1, 5)
    assert await stands(market, promotion) == (2_000, 0, 0)
    await check_books(market)


async def test_a_pause_that_voids_gives_promises_back_for_good(market: Database, clock: FixedClock) -> None:
    _, promotion = await live(market, clock, terms(**PLACED))
    await market.write(WORKER, "test", Tx.execute, "UPDATE incentives.promotion SET on_pause = 'void'")
    await pay(market, clock, placed(1, 4, 10_000))
    promotion = await move(market, promotion, Move.PAUSE)
    await look(market)
    assert await stands(market, promotion) == (0, 0, 0)
    promotion = await move(market, promotion, Move.RESUME)
    await deliver(market, clock, 1, 6)
    assert await stands(market, promotion) == (0, 0, 0)


async def test_a_pause_that_honours_keeps_promises_and_grants_them_after_it(
    market: Database, clock: FixedClock
) -> None:
    _, promotion = await live(market, clock, terms(**PLACED))
    await pay(market, clock, placed(1, 4, 10_000))
    promotion = await move(market, promotion, Move.PAUSE)
    await deliver(market, clock, 1, 6)
    assert await stands(market, promotion) == (0, 2_000, 2_000)
    promotion = await move(market, promotion, Move.RESUME)
    await look(market)
    assert await stands(market, promotion) == (2_000, 0, 0)
    await check_books(market)


@pytest.mark.parametrize(
    "wanted",
    [
        terms(**PLACED),
        terms(**PLACED, reward=PERCENT, limits=Limits(lifetime_minor=1_500)),
        terms(trigger=OrderPlaced(), window=PerEvent(), reward=PERCENT),
        terms(**PLACED, measure=Measure(of="orders"), reward=Reward(amount=EveryN(every=2, amount_minor=700)),
              budgets=(TotalBudget(limit_minor=1_500, currency="EUR", on_shortfall="partial"),)),
    ],
    ids=["once", "percent", "per_event", "every_n"],
)  # fmt: skip
async def test_invariant_15_a_replay_promises_what_was_promised(
    market: Database, clock: FixedClock, wanted: Any
) -> None:
    _, promotion = await live(market, clock, wanted)
    await pay(market, clock, placed(1, 4, 6_000), placed(2, 5, 7_000))
    await deliver(market, clock, 1, 6)
    await pay(market, clock, placed(3, 7, 4_000))
    await deliver(market, clock, 3, 8)
    async with market.read(WORKER) as tx:
        version = await promotions.get_version(tx, promotion.promotion_id)
        plan = plan_of(promotion.promotion_id, version.version_no, version.terms)
        span = plan.timeline.span
        assert span.ends is not None
        of = history(tx, "order.placed", span.starts, span.ends, currency="EUR", zone="UTC", buyers=True)
        records = [record async for part in of for record in part]
    [answer] = replay([plan], records)
    granted, promised, _ = await stands(market, promotion)
    assert (answer.replayed.granted_minor, answer.replayed.cost_minor) == (granted, granted + promised)
    assert answer.replayed.cost_minor > 0
