"""Posting G: buyers' rebates from settled orders to their credit, and back, to the cent."""

from datetime import timedelta
from typing import Any

import pytest

from incentives.budgets import store as budgets
from incentives.budgets.model import Owner
from incentives.lifecycle import Move
from incentives.rules.awards import Band, Credit, Graduated, Once, Reward
from incentives.rules.model import ByMerchant, Calendar, OrderSettled, Terms, TotalBudget
from incentives.rules.parts import DAY
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.vest_rebates import vest_rebates
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.discounts.market import bought, market, off, refund, sold, stands
from tests.incentives.market import move
from tests.orders.paid import balances, entry
from tests.placing.market import BUYER


def back(rate_ppm: int = 100_000, **changes: Any) -> Terms:
    """So much of every order back as credit."""
    reward = Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=rate_ppm),)), form=Credit())
    return off(trigger=OrderSettled(), reward=changes.pop("reward", reward), **changes)


async def look(db: Database) -> None:
    """Two hours later: the orders were delivered after one."""
    assert isinstance(db.clock, FixedClock)
    db.clock.move_to(db.clock.now() + timedelta(hours=2))
    await grant_rewards(db, "worker")
    await vest_rebates(db, "worker")


async def credit_of(db: Database) -> int:
    async with db.read(WORKER) as tx:
        minor: int | None = await tx.scalar(
            "SELECT balance_minor FROM billing.credit_account WHERE buyer_id = :buyer", buyer=BUYER
        )
    return minor or 0


async def test_g_ten_percent_back_as_credit_and_its_share_taken_back_with_a_refund(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, back())
    placed = await sold(db)
    await look(db)
    assert await entry(db, "rebate_earned", HOUSE) == {5000: 1_200, 2050: -1_200}
    assert await entry(db, "rebate_vested", HOUSE) == {2050: 1_200, 2410: -1_200}
    found = await stands(db, sale)
    assert (await credit_of(db), found.spent, found.granted, found.cost) == (1_200, 1_200, 1_200, 1_200)
    await check_books(db)
    await look(db)
    assert await credit_of(db) == 1_200
    await refund(db, placed, 4_000)
    await look(db)
    assert await entry(db, "rebate_clawed_back", HOUSE) == {2410: 400, 5000: -400}
    assert (await credit_of(db), (await stands(db, sale)).spent) == (800, 800)
    await check_books(db)
    await refund(db, placed)
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).spent) == (0, 0)
    assert (await balances(db, HOUSE)).get(5000, 0) == 0
    await check_books(db)


async def test_what_has_not_vested_is_taken_back_before_it_is_credit(db: Database, clock: FixedClock) -> None:
    reward = Reward(
        amount=Graduated(bands=(Band(from_minor=0, rate_ppm=100_000),)), form=Credit(), vest_seconds=10 * DAY
    )
    [sale] = await market(db, clock, back(reward=reward))
    placed = await sold(db)
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).cost) == (0, 1_200)
    await check_books(db)
    await refund(db, placed)
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).cost) == (0, 0)
    await check_books(db)


async def test_credit_that_was_spent_is_not_asked_back(db: Database, clock: FixedClock) -> None:
    """sonata #177: a buyer who withdraws owes nothing."""
    [sale] = await market(db, clock, back())
    placed = await sold(db)
    await look(db)
    await bought(db, "k2", credit_minor=1_000)
    await refund(db, placed)
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).granted) == (1_000, 1_000)
    await check_books(db)


async def test_what_is_earned_while_it_is_paused_is_credit_once_it_is_live_again(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, back())
    sale = await move(db, sale, Move.PAUSE)
    await sold(db)
    await look(db)
    assert await credit_of(db) == 0
    await move(db, sale, Move.RESUME)
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).spent) == (1_200, 1_200)
    await look(db)
    assert await credit_of(db) == 1_200
    await check_books(db)


async def test_what_waits_for_a_budget_is_credit_once_it_is_topped_up(db: Database, clock: FixedClock) -> None:
    small = TotalBudget(limit_minor=1_000, currency="EUR", on_shortfall="queue")
    [sale] = await market(db, clock, back(budgets=(small,)))
    await sold(db)
    await look(db)
    assert await credit_of(db) == 0
    async with db.read(WORKER) as tx:
        [budget] = await budgets.budgets_of(tx, Owner.PROMOTION, [sale.promotion_id])
    await db.write(WORKER, "test", budgets.top_up, budget, 200)
    await advance_incentives(db, "worker")
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).spent) == (1_200, 1_200)
    await check_books(db)


async def test_a_pause_that_voids_takes_what_has_not_vested_and_no_discount_of_a_placed_order(
    db: Database, clock: FixedClock
) -> None:
    reward = Reward(
        amount=Graduated(bands=(Band(from_minor=0, rate_ppm=100_000),)), form=Credit(), vest_seconds=10 * DAY
    )
    sale, cut = await market(db, clock, back(reward=reward), off(name="cut"), on_pause="void")
    await sold(db)
    await bought(db, "k2")
    await look(db)
    before = await stands(db, cut)
    assert ((await stands(db, sale)).spent, before.reserved) == (1_200, 1_500)
    sale = await move(db, sale, Move.PAUSE)
    await move(db, cut, Move.PAUSE)
    await look(db)
    assert ((await stands(db, sale)).spent, await stands(db, cut)) == (0, before)
    await check_books(db)
    await move(db, sale, Move.RESUME)
    clock.move_to(clock.now() + timedelta(days=11))
    await look(db)
    assert await credit_of(db) == 0
    await check_books(db)


async def test_a_merchant_bears_no_part_of_a_window_of_many_orders(db: Database, clock: FixedClock) -> None:
    weekly = Reward(amount=Once(threshold=20_000, amount_minor=1_500), form=Credit())
    with pytest.raises(Invalid, match="a buyer's orders are of many merchants"):
        await market(db, clock, back(reward=weekly, window=Calendar(period="week"), funding=(ByMerchant(),)))


async def test_two_rebates_are_not_taken_back_out_of_the_same_credit(db: Database, clock: FixedClock) -> None:
    """12.00 each by two orders, 12.00 set aside for a third, both refunded: 12.00 are left to take, and all goes on."""
    await market(db, clock, back())
    orders = (await sold(db), await sold(db, "second"))
    await look(db)
    before = await credit_of(db)
    await bought(db, "third", credit_minor=1_200)
    for order in orders:
        await refund(db, order)
    await look(db)
    assert (before, await credit_of(db)) == (2_400, 1_200)
    async with db.read(WORKER) as tx:
        behind = await tx.scalar(
            "SELECT count(*) FROM incentives.reward_cursor c JOIN billing.ledger_head h USING (merchant_id)"
            " WHERE c.entry_no < h.last_entry_no"
        )
    assert behind == 0
    await check_books(db)


async def test_a_rebate_over_a_week_counts_every_order_of_it(db: Database, clock: FixedClock) -> None:
    """15.00 back for 200.00 in a week: the second order of 120.00 reaches it, a refund leaves it."""
    weekly = Reward(amount=Once(threshold=20_000, amount_minor=1_500), form=Credit())
    [sale] = await market(db, clock, back(reward=weekly, window=Calendar(period="week")))
    await sold(db)
    await look(db)
    assert await credit_of(db) == 0
    placed = await sold(db, "second")
    await look(db)
    found = await stands(db, sale)
    assert (await credit_of(db), found.spent, found.granted) == (1_500, 1_500, 1_500)
    await check_books(db)
    await refund(db, placed, 5_000)
    await look(db)
    found = await stands(db, sale)
    assert (await credit_of(db), found.spent, found.granted) == (1_187, 1_187, 1_187)
    await check_books(db)


async def test_a_rebate_over_a_week_is_credit_once_it_is_live_again(db: Database, clock: FixedClock) -> None:
    weekly = Reward(amount=Once(threshold=10_000, amount_minor=1_500), form=Credit())
    [sale] = await market(db, clock, back(reward=weekly, window=Calendar(period="week")))
    sale = await move(db, sale, Move.PAUSE)
    await sold(db)
    await look(db)
    assert await credit_of(db) == 0
    await move(db, sale, Move.RESUME)
    await look(db)
    assert await credit_of(db) == 1_500
    await check_books(db)
