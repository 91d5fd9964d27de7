"""One promotion that gives merchant and buyer something: two grants, two caps, two books, one budget."""

from collections.abc import Sequence
from typing import Any

import pytest

from incentives.budgets.model import Ask, Decision
from incentives.budgets.reservations import store as reservations
from incentives.rules.awards import Band, Credit, Graduated, NextOrderVoucher, Reward, ToBoth
from incentives.rules.model import OrderSettled, Terms
from marketplace.core.clock import FixedClock
from marketplace.core.db import Database, Tx
from marketplace.flows.promotions.vest_rewards import vest_rewards
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.discounts.market import market, off, refund, sold, stands
from tests.discounts.test_rebates import credit_of, look
from tests.orders.paid import entry
from tests.placing.market import ALPHA


def part(rate_ppm: int, **changes: object) -> Reward:
    return Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=rate_ppm),)), form=Credit(), **changes)  # type: ignore[arg-type]  # fields by name


def both(**changes: object) -> Terms:
    """5 % of every order for its merchant, 10 % for its buyer, 8.00 at most."""
    to = ToBoth(buyer_reward=part(100_000, cap_minor=800))
    given: dict[str, Any] = {"beneficiary": to, "reward": part(50_000), **changes}
    return off(trigger=OrderSettled(), **given)


async def test_both_are_paid_out_of_one_budget_and_a_refund_takes_back_from_both(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, both())
    placed = await sold(db)
    await look(db)
    await vest_rewards(db, "worker")
    assert await entry(db, "incentive_earned", ALPHA) == {5000: 600, 2050: -600}
    assert await entry(db, "incentive_vested", ALPHA) == {2050: 600, 2000: -600}
    assert await entry(db, "rebate_vested", HOUSE) == {2050: 800, 2410: -800}
    assert (await credit_of(db), (await stands(db, sale)).spent, (await stands(db, sale)).cost) == (800, 1_400, 1_400)
    await check_books(db)
    await look(db)
    assert (await credit_of(db), (await stands(db, sale)).spent) == (800, 1_400)
    await refund(db, placed)
    await look(db)
    found = await stands(db, sale)
    assert (await credit_of(db), found.spent, found.cost) == (0, 0, 0)
    await check_books(db)


async def test_a_budget_that_is_short_gives_the_merchant_first_and_nobody_more_than_there_is(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, both(limit_minor=1_000))
    await sold(db)
    await look(db)
    found = await stands(db, sale)
    assert (await credit_of(db), found.spent, found.cost) == (0, 600, 600)
    await check_books(db)


async def test_one_page_asks_the_budgets_once_for_both(
    db: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked twice, what the second asks first could be what somebody holds who waits for the first."""
    await market(db, clock, both())
    await sold(db)
    asked = []
    reserve = reservations.reserve

    async def counted(tx: Tx, asks: Sequence[Ask], **named: Any) -> list[Decision]:
        asked.append(len(asks))
        return await reserve(tx, asks, **named)

    monkeypatch.setattr(reservations, "reserve", counted)
    await look(db)
    assert asked == [2]


async def test_the_merchants_part_may_be_a_voucher(db: Database, clock: FixedClock) -> None:
    reward = Reward(amount=part(50_000).amount, form=NextOrderVoucher(valid_days=9))
    [sale] = await market(db, clock, both(reward=reward))
    await sold(db)
    await look(db)
    await sold(db, "k2")
    await look(db)
    assert await entry(db, "incentive_vested", ALPHA) == {2050: 600, 2000: -600}
    assert (await credit_of(db), (await stands(db, sale)).spent) == (1_600, 2_800)
    await check_books(db)
