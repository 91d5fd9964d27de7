"""Promises that a brand bears a part of: its cap holds them until they are earned or fall away."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from incentives.lifecycle import Move
from incentives.promotions.model import Promotion
from incentives.rules.model import ByMerchant, ByPayer, ByPlatform, FunderBudget, TotalBudget, WholePromotion
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from marketplace.flows.payers.fund_promotions import cap_rooms, contracts_of
from marketplace.flows.promotions.advance_incentives import expire_reservations
from marketplace.flows.promotions.keep_promises import PROMISED_FOR
from tests.billing.locks import wait_until_blocked
from tests.billing.market import MAKER, check_books, prepare
from tests.builders import add_orders
from tests.discounts.test_payers import contract
from tests.incentives.budgets import check_budgets
from tests.incentives.market import live, move, terms
from tests.incentives.promised import PERCENT, PLACED, deliver, pay, placed
from tests.incentives.test_payers_of_rewards import claim, legs
from tests.incentives.trade import look, refund
from tests.payers.market import used

BRAND = ByPayer(contract="brand autumn", weight=2)
SHARED = {**PLACED, "funding": (BRAND, ByPlatform(weight=1))}
RICH = (TotalBudget(limit_minor=100_000, currency="EUR", on_shortfall="partial"),)


async def market(db: Database, clock: FixedClock, cap_minor: int = 2_500, **wanted: Any) -> Promotion:
    async def add(tx: Tx) -> None:
        await payers.insert_payer(tx, name="Brand", kind="brand", email="claims@example.org")
        await apply_payer_versions(tx, [contract(cap_minor=cap_minor)])

    await db.write(WORKER, MAKER, prepare, [])
    await db.write(WORKER, "test", add)
    _, made = await live(db, clock, terms(**{**SHARED, **wanted}))
    return made


async def promised(db: Database) -> tuple[int, int]:
    """What windows were granted, and what they are promised."""
    async with db.read(WORKER) as tx:
        row = await tx.row(
            """
            SELECT coalesce(sum(granted_minor), 0)::bigint AS granted,
                   coalesce(sum((SELECT sum(x) FROM unnest(promise_minor) x)), 0)::bigint AS promised
            FROM incentives.merchant_progress
            """
        )
    assert row is not None
    return row.granted, row.promised


async def check(db: Database, granted: int, waiting: int, held: int) -> None:
    assert (await promised(db), await used(db)) == ((granted, waiting), held)
    await check_budgets(db)
    await check_books(db)


async def test_a_cap_holds_its_part_until_it_is_earned_owed_and_claimed(db: Database, clock: FixedClock) -> None:
    """20.00 for 100.00 of a week, 13.33 of it the brand's."""
    await market(db, clock)
    await pay(db, clock, placed(1, 4, 12_000))
    await check(db, 0, 2_000, 1_333)
    assert await legs(db) == {}
    await deliver(db, clock, 1, 6)
    await check(db, 2_000, 0, 1_333)
    assert await legs(db) == {1110: 1_333, 5000: 667, 2000: -2_000}
    assert (await claim(db)).amount_minor == 1_333
    await refund(db, 1, 12_000)
    await look(db)
    await check(db, 0, 0, 0)
    assert await legs(db) == {}


async def test_what_falls_away_goes_back_to_the_cap_and_what_is_earned_in_parts_keeps_its_parts(
    db: Database, clock: FixedClock
) -> None:
    """10 % of each order: 12.01, 5.00 and 3.33 promised, of which two thirds to the cent are the brand's."""
    three = (BRAND, ByMerchant(weight=1), ByPlatform(weight=1))
    await market(db, clock, reward=PERCENT, funding=three, budgets=RICH, cap_minor=1_017)
    await pay(db, clock, placed(1, 4, 12_010), placed(2, 4, 5_000), placed(3, 4, 3_330))
    await check(db, 0, 2_034, 1_017)
    await refund(db, 2, 1_990)
    await look(db)
    await check(db, 0, 1_835, 917)
    await deliver(db, clock, 3, 6)
    await check(db, 333, 1_502, 917)
    await deliver(db, clock, 1, 7)
    await check(db, 1_534, 301, 917)
    await refund(db, 2, 3_010)
    await look(db)
    granted, waiting = await promised(db)
    assert (granted, waiting) == (1_534, 0)
    assert await used(db) in {766, 767}
    await check_budgets(db)
    await check_books(db)


async def test_a_cap_that_is_short_promises_nothing_or_a_part(db: Database, clock: FixedClock) -> None:
    """13.33 each: 25.00 have enough for one, and for 17.50 of the next where a budget gives parts."""
    own = FunderBudget(limit_minor=100_000, currency="EUR", funder="brand autumn")
    await market(db, clock, budgets=(*RICH, own))
    await pay(db, clock, *[placed(n, 4, 10_000, merchant_id=n) for n in (1, 2, 3)])
    await check(db, 0, 3_750, 2_500)
    await refund(db, 1, 1)
    await look(db)
    assert (await promised(db))[1] == 1_750
    await check(db, 0, 1_750, 1_167)


async def test_a_promise_of_one_month_is_earned_out_of_that_months_cap(db: Database, clock: FixedClock) -> None:
    await market(db, clock, cap_minor=1_333)
    await pay(db, clock, placed(1, 4, 12_000))
    clock.move_to(datetime(2018, 10, 2, 12, tzinfo=UTC))
    await deliver(db, clock, 1, 29)
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT period_from, state, amount_minor FROM billing.payer_share WHERE state <> 'released'"
        )
    assert [(row.period_from.month, row.state, row.amount_minor) for row in rows] == [(9, "committed", 1_333)]
    await check(db, 2_000, 0, 1_333)


@pytest.mark.parametrize("budgets", [RICH, ()], ids=["with a budget", "without"])
async def test_a_promise_that_lapses_gives_the_cap_back_and_is_made_again_when_it_settles(
    db: Database, clock: FixedClock, budgets: tuple[TotalBudget, ...]
) -> None:
    await market(db, clock, budgets=budgets)
    await pay(db, clock, placed(1, 4, 12_000))
    clock.move_to(clock.now() + PROMISED_FOR - timedelta(hours=2))
    await expire_reservations(db, "worker")
    await check(db, 0, 2_000, 1_333)
    clock.move_to(clock.now() + timedelta(hours=3))
    await expire_reservations(db, "worker")
    await expire_reservations(db, "worker")
    await check(db, 0, 0, 0)
    await deliver(db, clock, 1, 5)
    await check(db, 2_000, 0, 1_333)
    assert await legs(db) == {1110: 1_333, 5000: 667, 2000: -2_000}


async def test_a_lapse_gives_back_what_is_left_of_a_promise_and_no_younger_one(db: Database, clock: FixedClock) -> None:
    """10 % of each order, two thirds of it the brand's: 12.00, of which 5.00 are earned in time, and later 3.00."""
    await market(db, clock, reward=PERCENT, budgets=RICH, window=WholePromotion())
    await pay(db, clock, placed(1, 4, 7_000), placed(2, 4, 5_000))
    first = clock.now()
    await deliver(db, clock, 2, 6)
    await check(db, 500, 700, 800)
    await pay(db, clock, placed(3, 29, 3_000))
    await check(db, 500, 1_000, 1_000)
    clock.move_to(first + PROMISED_FOR + timedelta(days=3))
    await expire_reservations(db, "worker")
    await check(db, 500, 300, 533)


@pytest.mark.parametrize("void", [True, False])
async def test_a_pause_keeps_or_gives_back_what_caps_hold(db: Database, clock: FixedClock, *, void: bool) -> None:
    promotion = await market(db, clock)
    if void:
        await db.write(WORKER, "test", Tx.execute, "UPDATE incentives.promotion SET on_pause = 'void'")
    await pay(db, clock, placed(1, 4, 10_000))
    promotion = await move(db, promotion, Move.PAUSE)
    await look(db)
    await check(db, 0, 0 if void else 2_000, 0 if void else 1_333)
    await move(db, promotion, Move.RESUME)
    await deliver(db, clock, 1, 6)
    await check(db, 0 if void else 2_000, 0, 0 if void else 1_333)


async def test_sixteen_workers_at_once_hold_a_cap_once(db: Database, clock: FixedClock) -> None:
    """108.00 for twelve orders; two thirds of it are the brand's, which has 20.00 of them."""
    await market(db, clock, reward=PERCENT, budgets=RICH, cap_minor=2_000)
    orders = [placed(10 + n, 4 + n % 3, 9_000, merchant_id=1 + n % 3) for n in range(12)]
    clock.move_to(datetime(2018, 9, 6, 12, tzinfo=UTC))
    await db.write(WORKER, MAKER, add_orders, orders)
    async with asyncio.timeout(300):
        await asyncio.gather(*(look(db) for _ in range(16)))
    granted, waiting = await promised(db)
    assert (granted, await used(db)) == (0, 2_000)
    assert 2_998 <= waiting <= 3_000
    await check_budgets(db)
    await check_books(db)


async def test_caps_of_two_periods_are_held_in_one_order(db: Database, clock: FixedClock) -> None:
    """One gives back to the month before while it holds this one's cap, another holds both: neither is turned away."""
    await market(db, clock)
    this, before = date(2018, 10, 2), CapKey(1, 1, date(2018, 9, 1))
    tries: list[str] = []
    begun = asyncio.Event()

    async def hold(tx: Tx, *days: date) -> None:
        await cap_rooms(tx, await contracts_of(tx, [], ["brand autumn"]), days, hold=True)

    async def gives_back(tx: Tx) -> None:
        tries.append("gives back")
        await hold(tx, this)
        begun.set()
        await wait_until_blocked(db)
        await caps.give_back(tx, before, 0, 1)

    async def holds_both(tx: Tx) -> None:
        tries.append("holds both")
        await begun.wait()
        await hold(tx, before.period_from, this)

    await db.write(WORKER, "test", hold, before.period_from, this)
    await db.write(WORKER, "test", caps.reserve, before, "month", 0, 1)
    async with asyncio.timeout(60):
        await asyncio.gather(db.write(WORKER, "a", gives_back), db.write(WORKER, "b", holds_both))
    assert sorted(tries) == ["gives back", "holds both"]
