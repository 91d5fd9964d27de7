"""Rewards that later orders use up: vouchers for a next order, once and in time, and reductions of fees."""

from datetime import UTC, datetime

import pytest

from billing.payers import store as payers
from incentives.promotions.model import Promotion
from incentives.rules.awards import EveryN, FeeReduction, Fixed, Form, NextOrderVoucher, Once, Reward
from incentives.rules.model import ByPayer, ByPlatform, PerEvent, Terms
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payers.apply_payer_contracts import apply_payer_versions
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.discounts.test_payers import contract
from tests.incentives.budgets import check_budgets
from tests.incentives.market import live, terms
from tests.incentives.test_rewards import spent, stands
from tests.incentives.trade import WEEK, day, look, refund, settle
from tests.payers.market import used


def back(form: Form, **changes: object) -> Terms:
    """10.00 for each order of 100.00."""
    reward = Reward(amount=EveryN(every=10_000, amount_minor=1_000, times_max=1), form=form)
    return terms(**{"window": PerEvent(), "reward": reward, **changes})


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, MAKER, prepare, [])
    return db


async def states(db: Database) -> list[tuple[str, str | None]]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT state, used_for FROM incentives.merchant_voucher ORDER BY voucher_id")
    return [(row.state, row.used_for) for row in rows]


async def check(db: Database, of: Promotion, wanted: tuple[int, int, int]) -> None:
    """Cost, what waits, what became payable; the budget has spent the cost."""
    assert await stands(db, of) == wanted
    assert await spent(db, of) == wanted[0]
    await check_budgets(db)
    await check_books(db)


async def test_ten_back_on_the_next_order_once(market: Database, clock: FixedClock) -> None:
    _, of = await live(market, clock, back(NextOrderVoucher(valid_days=10, minimum_minor=5_000)))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    await check(market, of, (1_000, 1_000, 0))
    await settle(market, clock, paid_order(1, 2, day(5), 4_999))
    await look(market)
    assert await states(market) == [("issued", None)]
    await settle(market, clock, paid_order(1, 3, day(6), 5_000), paid_order(1, 4, day(6), 6_000))
    await look(market)
    await look(market)
    assert await states(market) == [("used", "3")]
    await check(market, of, (1_000, 0, 1_000))


async def test_what_nobody_uses_in_time_goes_back_to_budget_and_funder_for_good(
    market: Database, clock: FixedClock
) -> None:
    """Breakage: 2050 to 5000."""
    _, of = await live(market, clock, back(NextOrderVoucher(valid_days=3)))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    clock.move_to(datetime(2018, 9, 8, 12, tzinfo=UTC))
    await look(market)
    assert await states(market) == [("expired", None)]
    await check(market, of, (0, 0, 0))
    await refund(market, 1, 1)
    await settle(market, clock, paid_order(1, 2, day(9), 9_999))
    await look(market)
    await check(market, of, (0, 0, 0))


async def test_an_order_that_settled_in_time_uses_it_however_late_the_pass_comes(
    market: Database, clock: FixedClock
) -> None:
    _, of = await live(market, clock, back(NextOrderVoucher(valid_days=3)))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    await settle(market, clock, paid_order(1, 2, day(6), 1_000))
    clock.move_to(datetime(2018, 9, 20, 12, tzinfo=UTC))
    await look(market)
    assert await states(market) == [("used", "2")]
    await check(market, of, (1_000, 0, 1_000))


async def test_a_refund_takes_back_the_voucher_or_what_was_paid_for_it_and_frees_it_with_its_order(
    market: Database, clock: FixedClock
) -> None:
    _, of = await live(market, clock, back(NextOrderVoucher(valid_days=20)))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000), paid_order(1, 2, day(6), 3_000))
    await look(market)
    await check(market, of, (1_000, 0, 1_000))
    await refund(market, 2, 3_000)
    await look(market)
    assert await states(market) == [("issued", None)]
    await check(market, of, (1_000, 1_000, 0))
    await settle(market, clock, paid_order(1, 3, day(8), 3_000))
    await look(market)
    await check(market, of, (1_000, 0, 1_000))
    await refund(market, 1, 1)
    await look(market)
    await check(market, of, (0, 0, 0))


async def test_what_is_earned_again_has_a_voucher_of_its_own_and_the_old_one_is_void(
    market: Database, clock: FixedClock
) -> None:
    """100.00 in a week, a cent refunded, a cent traded again: that order does not use the first one."""
    reward = Reward(amount=Once(threshold=10_000, amount_minor=1_000), form=NextOrderVoucher(valid_days=10))
    _, of = await live(market, clock, terms(window=WEEK, reward=reward))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    await refund(market, 1, 1)
    await look(market)
    await check(market, of, (0, 0, 0))
    await settle(market, clock, paid_order(1, 2, day(8), 1))
    await look(market)
    assert await states(market) == [("void", None), ("issued", None)]
    await check(market, of, (1_000, 1_000, 0))
    clock.move_to(datetime(2018, 9, 19, 12, tzinfo=UTC))
    await look(market)
    assert await states(market) == [("void", None), ("expired", None)]
    await check(market, of, (0, 0, 0))


async def test_a_voucher_whose_order_was_refunded_is_void(market: Database, clock: FixedClock) -> None:
    _, of = await live(market, clock, back(NextOrderVoucher(valid_days=20)))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    await refund(market, 1, 1)
    await settle(market, clock, paid_order(1, 2, day(6), 3_000))
    await look(market)
    assert await states(market) == [("void", None)]
    await check(market, of, (0, 0, 0))


async def test_fees_of_later_orders_are_reduced_until_it_is_used_up(market: Database, clock: FixedClock) -> None:
    """10.00 off commissions of 10 %: 4.00, 5.00, then the 1.00 that is left; a refund of half has half wait again."""
    reward = Reward(amount=Once(threshold=10_000, amount_minor=1_000), form=FeeReduction())
    _, of = await live(market, clock, terms(window=WEEK, reward=reward))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000))
    await look(market)
    await check(market, of, (1_000, 1_000, 0))
    await settle(market, clock, paid_order(1, 2, day(5), 4_000))
    await look(market)
    await check(market, of, (1_000, 600, 400))
    await settle(market, clock, paid_order(1, 3, day(6), 5_000), paid_order(1, 4, day(7), 5_000))
    await look(market)
    await look(market)
    await check(market, of, (1_000, 0, 1_000))
    await refund(market, 3, 2_500)
    await look(market)
    await check(market, of, (1_000, 250, 750))
    await settle(market, clock, paid_order(1, 5, day(8), 9_000))
    await look(market)
    await check(market, of, (1_000, 0, 1_000))


async def test_a_clawback_takes_what_is_left_of_a_reduction_before_what_was_used(
    market: Database, clock: FixedClock
) -> None:
    _, of = await live(market, clock, back(FeeReduction()))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000), paid_order(1, 2, day(5), 4_000))
    await look(market)
    await check(market, of, (1_000, 600, 400))
    await refund(market, 1, 1)
    await look(market)
    await check(market, of, (0, 0, 0))


async def test_a_brand_bears_its_part_of_vouchers_and_gets_breakage_back(market: Database, clock: FixedClock) -> None:
    async def add(tx: Tx) -> None:
        await payers.insert_payer(tx, name="Brand", kind="brand", email="")
        await apply_payer_versions(tx, [contract(cap_minor=50_000)])

    await market.write(WORKER, "test", add)
    funding = (ByPayer(contract="brand autumn", weight=2), ByPlatform(weight=1))
    reward = Reward(amount=Fixed(amount_minor=1_000), form=NextOrderVoucher(valid_days=3))
    _, of = await live(market, clock, terms(window=PerEvent(), reward=reward, funding=funding))
    await settle(market, clock, paid_order(1, 1, day(4), 10_000), paid_order(1, 2, day(5), 9_000))
    await look(market)
    assert (await stands(market, of), await used(market)) == ((666, 1_000, 1_000), 1_334)
    await check_books(market)
    clock.move_to(datetime(2018, 9, 20, 12, tzinfo=UTC))
    await look(market)
    assert (await stands(market, of), await used(market)) == ((333, 0, 1_000), 667)
    await check_books(market)
