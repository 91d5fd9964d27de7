"""What came back is paid again to the merchant's new account: once, for what is there, and not by a run besides."""

import asyncio
from datetime import date

import pytest

from billing.ledger import store as ledger
from billing.payout_terms.model import Conditions
from billing.payouts import store as alarms
from billing.runs import store
from billing.runs.model import Payout
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.payouts.retry_payout import RetryPayout, retry_payout
from marketplace.flows.payouts.set_payout_terms import hold_payouts
from tests.billing.accounts import activated
from tests.billing.market import JUNE, MAKER, MAY, NET_OF_120, billed, check_books, goodwill, order, payable, prepare
from tests.billing.test_payout_terms import agree
from tests.billing.test_payouts import MAY_10, confirm, give_back, instructed

JUNE_20 = date(2018, 6, 20)
AUGUST = date(2018, 8, 1)


async def retry(db: Database, payout: Payout) -> Payout:
    cmd = RetryPayout(merchant_id=payout.merchant_id, payout_id=payout.payout_id)
    return await db.write(WORKER, MAKER, retry_payout, cmd)


async def owed(db: Database) -> list[tuple[int, int, str]]:
    async with db.read(WORKER) as tx:
        return [(one.merchant_id, one.owed_minor, one.reasons[0].why) for one in await alarms.list_owed(tx, limit=50)]


async def test_what_came_back_goes_to_the_new_account_once_it_is_usable(db: Database, clock: FixedClock) -> None:
    [payout] = await instructed(db)
    with pytest.raises(Conflict, match="is instructed: only one that came back"):
        await retry(db, payout)
    await give_back(db, await confirm(db, payout))
    with pytest.raises(Conflict, match="no new bank account in EUR yet"):
        await retry(db, payout)
    account = await activated(db, clock)
    assert await owed(db) == [(1, NET_OF_120, "returned")]
    again = await retry(db, payout)
    assert (again.amount_minor, again.bank_account_id, again.retry_of, again.state) == (
        NET_OF_120, account.account_id, payout.payout_id, "instructed",
    )  # fmt: skip
    assert await payable(db, 1) == {}
    assert await owed(db) == []
    await check_books(db)
    with pytest.raises(Conflict, match=f"payout {again.payout_id} has paid it since"):
        await retry(db, payout)
    async with db.read(WORKER) as tx:
        [total] = await store.totals(tx, payout.run_id)
    assert (total.payouts, total.payouts_minor) == (1, NET_OF_120)  # the run owes it once
    await confirm(db, again, on=again.instructed_on, ref="B-3")
    await check_books(db)


async def test_of_many_tries_at_once_one_pays(db: Database, clock: FixedClock) -> None:
    [payout] = await instructed(db)
    await give_back(db, await confirm(db, payout))
    await activated(db, clock)
    outcomes = await asyncio.gather(*(retry(db, payout) for _ in range(6)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["Conflict"] * 5 + ["Payout"]
    await check_books(db)


async def test_a_retry_that_comes_back_too_is_tried_with_yet_another_account(db: Database, clock: FixedClock) -> None:
    [payout] = await instructed(db)
    await give_back(db, await confirm(db, payout))
    await activated(db, clock)
    second = await retry(db, payout)
    await give_back(db, second, on=second.instructed_on, ref=None, reason="closed too")
    await activated(db, clock, number="GB29NWBK60161331926819")
    third = await retry(db, second)
    assert (third.retry_of, await payable(db, 1)) == (second.payout_id, {})
    await check_books(db)


async def test_what_a_later_run_has_paid_is_not_paid_again(db: Database, clock: FixedClock) -> None:
    [payout] = await instructed(db)
    await give_back(db, await confirm(db, payout))
    await billed(db, JUNE)
    await activated(db, clock)
    await db.write(WORKER, "test", ledger.post, [goodwill(1, 1, AUGUST, 2 * NET_OF_120)])
    with pytest.raises(Conflict, match="has paid it since"):
        await retry(db, payout)
    await check_books(db)


async def test_a_payout_above_the_balance_is_refused_with_both_amounts(db: Database, clock: FixedClock) -> None:
    [payout] = await instructed(db)
    await give_back(db, await confirm(db, payout))
    await activated(db, clock)
    await db.write(WORKER, "test", ledger.post, [goodwill(1, 1, AUGUST, -1)])
    with pytest.raises(Conflict, match=r"a payout of 105\.60 EUR is above the balance of 105\.59"):
        await retry(db, payout)
    await db.write(WORKER, "test", ledger.post, [goodwill(1, 2, AUGUST, 1)])
    assert (await retry(db, payout)).amount_minor == NET_OF_120


async def test_while_payouts_are_held_nothing_is_retried(db: Database, clock: FixedClock) -> None:
    [payout] = await instructed(db)
    await give_back(db, await confirm(db, payout))
    await activated(db, clock)
    await db.write(WORKER, MAKER, hold_payouts, 1, "suspected fraud")
    with pytest.raises(Conflict, match="are held: suspected fraud"):
        await retry(db, payout)


async def test_a_retry_keeps_the_reserve_that_was_kept_and_the_next_payout_owes_none_for_it(
    db: Database, clock: FixedClock
) -> None:
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_10), order(1, 2, JUNE_20)])
    await settle_through(db, MAKER, JUNE.last_on)
    await activated(db, clock)
    await agree(db, Conditions(reserve_ppm=100_000, reserve_days=700))
    run_id = (await billed(db, MAY)).run.run_id
    async with db.read(WORKER) as tx:
        [payout] = await store.list_payouts(tx, run_id=run_id)
    await give_back(db, payout, ref=None)
    await activated(db, clock, number="GB29NWBK60161331926819")
    await retry(db, payout)
    run_id = (await billed(db, JUNE)).run.run_id
    async with db.read(WORKER) as tx:
        [june] = await store.list_payouts(tx, run_id=run_id)
    assert june.amount_minor == NET_OF_120 - 1_056
    await check_books(db)


async def test_a_run_of_a_month_before_it_came_back_has_not_paid_it(db: Database, clock: FixedClock) -> None:
    """June is billed after May's payout came back in July: it pays June's order only."""
    await db.write(WORKER, MAKER, prepare, [order(1, 1, MAY_10), order(1, 2, JUNE_20, 1_000)])
    await settle_through(db, MAKER, JUNE.last_on)
    await activated(db, clock)
    run_id = (await billed(db, MAY)).run.run_id
    async with db.read(WORKER) as tx:
        [payout] = await store.list_payouts(tx, run_id=run_id)
    await give_back(db, payout, on=date(2018, 7, 3), ref=None)
    await billed(db, JUNE)
    assert await owed(db) == [(1, NET_OF_120 + 880, "returned")]
    await activated(db, clock, number="GB29NWBK60161331926819")
    assert (await retry(db, payout)).amount_minor == NET_OF_120
    await check_books(db)
