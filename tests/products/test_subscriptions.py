"""Subscriptions to the cent: trials and their tasks, changes, notice, dunning, write-offs, many workers."""

from datetime import date
from functools import partial

import pytest

from billing.charges import store as charge_store
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.core.policies import switch
from marketplace.core.together import together
from marketplace.flows.products.change_subscription import (
    CancelSubscription,
    ChangeSubscription,
    change_subscription,
    leave,
)
from marketplace.flows.products.charge_products import PayCharge, pay_charge
from marketplace.flows.products.dun_merchants import (
    ProposeWriteOff,
    approve_write_off,
    dun_merchants,
    propose_write_off,
)
from marketplace.flows.products.note_usage import NoteUsage, finish_task, note_usage
from marketplace.flows.products.run_charges import net_charges, recognise_revenue
from marketplace.flows.products.run_subscriptions import run_subscriptions
from marketplace.flows.products.subscribe_merchant import Agree, Subscribe, agree, subscribe
from supply.products.model import Means
from supply.products.subscriptions import store
from supply.products.subscriptions.lifecycle import By
from supply.products.subscriptions.model import Interval, Refunds, Subscription, SubscriptionState
from supply.products.subscriptions.store import Task
from tests.billing.market import JUNE, MAY, billed, check_books, figures, payouts, statements
from tests.products.market import (
    MONTHLY,
    YEARLY,
    M,
    ask,
    books,
    charges,
    day,
    earn,
    entries,
    house,
    offered,
    open_market,
    subscribed,
    tick,
)

MAY_1, MAY_16, JUNE_1 = date(2018, 5, 1), date(2018, 5, 16), date(2018, 6, 1)


@pytest.fixture(autouse=True)
async def market(db: Database, clock: FixedClock) -> None:
    day(clock, MAY_1)
    await open_market(db)


async def now(db: Database, of: Subscription) -> Subscription:
    async with db.read(WORKER) as tx:
        return await store.get_subscription(tx, of.merchant_id, of.subscription_id)


async def tasks(db: Database) -> list[Task]:
    async with db.read(WORKER) as tx:
        return await store.list_tasks(tx, limit=50, state=None, owner=None)


async def changed(db: Database, of: Subscription, **values: object) -> Subscription:
    cmd = ChangeSubscription(merchant_id=of.merchant_id, subscription_id=of.subscription_id, **values)  # type: ignore[arg-type]  # named by the test
    return await db.write(WORKER, "test", change_subscription, cmd, By.MERCHANT)


async def ended(db: Database, of: Subscription) -> Subscription:
    cmd = CancelSubscription(merchant_id=of.merchant_id, subscription_id=of.subscription_id, reason="no need")
    return await db.write(WORKER, "test", leave, cmd, By.MERCHANT)


async def test_a_trial_posts_nothing_and_becomes_paid_when_it_ends(db: Database, clock: FixedClock) -> None:
    plan = await offered(db, MONTHLY, trial_days=14, follow_up_day=7, follow_up_uses=3)
    trial = await subscribed(db, plan, seats=2)
    assert (trial.state, trial.trial_to) == (SubscriptionState.TRIALING, date(2018, 5, 15))
    await tick(db, clock, date(2018, 5, 14))
    assert (await books(db), await tasks(db)) == ({}, [])  # netting is agreed: nobody has to do anything
    await tick(db, clock, date(2018, 5, 20))  # late, and counted from the day on which the trial ended
    converted = await now(db, trial)
    assert (converted.state, converted.period_from, converted.period_to) == (
        SubscriptionState.ACTIVE, date(2018, 5, 15), date(2018, 6, 15),
    )  # fmt: skip
    assert await books(db) == {1100: 7_200, 2200: -6_000, 2300: -1_200}
    with pytest.raises(Conflict, match="has a subscription to seats"):
        await subscribed(db, plan)


async def test_without_a_means_of_payment_somebody_takes_it_up_from_usage(db: Database, clock: FixedClock) -> None:
    plan = await offered(db, MONTHLY, trial_days=14, follow_up_day=7, follow_up_uses=5)
    trial = await subscribed(db, plan, pays_by=None)
    for used_on, uses in ((MAY_1, 2), (date(2018, 5, 2), 9), (date(2018, 5, 2), 4)):  # the newest word counts
        day(clock, date(2018, 5, 3))
        cmd = NoteUsage(merchant_id=M, subscription_id=trial.subscription_id, used_on=used_on, uses=uses)
        await db.write(WORKER, "tool", note_usage, cmd)
    await tick(db, clock, date(2018, 5, 7))
    assert await tasks(db) == []
    await tick(db, clock, date(2018, 5, 8))
    await tick(db, clock, date(2018, 5, 9))
    [task] = await tasks(db)
    assert (task.kind, task.owner, task.due_on) == ("trial_follow_up", "olga", date(2018, 5, 15))
    assert task.title.startswith("Till: in use, 6 times since 2018-05-01; the trial ends on 2018-05-15")
    await db.write(WORKER, "olga", finish_task, M, task.task_id, "they are thinking about it")
    with pytest.raises(Conflict, match="is done"):
        await db.write(WORKER, "olga", finish_task, M, task.task_id, "again")
    await tick(db, clock, date(2018, 5, 15))
    assert (await now(db, trial)).state is SubscriptionState.TRIAL_ENDED
    assert [each.kind for each in await tasks(db)] == ["trial_follow_up", "trial_ended"]
    assert await books(db) == {}
    day(clock, MAY_16)
    means = Agree(merchant_id=M, subscription_id=trial.subscription_id, pays_by=Means.TRANSFER)
    assert (await db.write(WORKER, "test", agree, means, By.MERCHANT)).period_from == MAY_16


async def test_up_and_down_within_a_month_to_the_cent(db: Database, clock: FixedClock) -> None:
    """30.00 a seat. Two seats from the 1st, four from the 16th of 31 days: 16 days of two seats are 30.97 more."""
    await earn(db, M, 20_000, MAY_1)
    two = await subscribed(db, await offered(db, MONTHLY), seats=2)
    day(clock, MAY_16)
    await changed(db, two, seats=4)
    assert [charge.net_minor for charge in await charges(db)] == [6_000, 3_097]
    await changed(db, two, seats=2)  # taken back the same day
    assert [charge.kept_minor for charge in await charges(db)] == [6_000, 0]
    assert await books(db) == {2000: -12_800, 2200: -6_000, 2300: -1_200, 6920: 20_000}
    await changed(db, two, seats=1)
    assert [charge.kept_minor for charge in await charges(db)] == [6_000 - 1_549, 0]  # from 30.97 to 15.48
    assert (await entries(db))[-1][2] == {2200: 1_549, 2300: 310, 2000: -1_859}
    left = [sum(charge.unused(date(2018, 5, on)) for charge in await charges(db)) for on in (16, 17, 31)]
    assert left == [1_548, 1_451, 97]  # of one seat: 16 of 31 days, 15, 1
    await tick(db, clock, JUNE_1)
    assert await books(db) == {2000: -(14_659 - 3_600), 2200: -3_000, 2300: -890 - 600, 4020: -4_451, 6920: 20_000}
    await check_books(db)


async def test_a_change_at_the_periods_end_waits(db: Database, clock: FixedClock) -> None:
    held = await subscribed(db, await offered(db, MONTHLY), seats=3)
    yearly = await offered(db, YEARLY)
    await changed(db, held, seats=1, plan_id=yearly.plan_id, at_period_end=True)
    assert len(await charges(db)) == 1
    await tick(db, clock, JUNE_1)
    renewed = await now(db, held)
    assert (renewed.plan_id, renewed.seats, renewed.period_to) == (yearly.plan_id, 1, date(2019, 6, 1))
    assert [charge.net_minor for charge in await charges(db)] == [9_000, 120_000]


async def test_from_monthly_to_yearly_today_credits_what_is_not_used(db: Database, clock: FixedClock) -> None:
    held = await subscribed(db, await offered(db, MONTHLY))
    yearly = await offered(db, YEARLY)
    day(clock, MAY_16)
    after = await changed(db, held, plan_id=yearly.plan_id)
    assert (after.period_from, after.period_to) == (MAY_16, date(2019, 5, 16))
    assert [charge.kept_minor for charge in await charges(db)] == [3_000 - 1_548, 120_000]
    await check_books(db)


@pytest.mark.parametrize(("refunds", "kept"), [(Refunds.UNUSED, 70_000), (Refunds.NOTHING, 120_000)])
async def test_cancelled_at_once_the_plan_says_what_is_given_back(
    db: Database, clock: FixedClock, refunds: Refunds, kept: int
) -> None:
    """Seven months of a year are used, from May: 700.00 is kept, or all of it, which is earned then."""
    await earn(db, M, 144_000, MAY_1)
    held = await subscribed(db, await offered(db, YEARLY, refunds=refunds))
    day(clock, date(2018, 12, 1))
    assert (await ended(db, held)).state is SubscriptionState.ENDED
    given = (120_000 - kept) * 12 // 10
    assert (await books(db)).get(2000, 0) == -given
    await tick(db, clock, date(2019, 1, 1))
    assert (await books(db))[4020] == -kept
    assert 2200 not in await books(db)
    with pytest.raises(Conflict, match="the subscription is ended"):
        await ended(db, held)
    await check_books(db)


async def test_after_an_outage_every_period_is_charged_once_by_many_workers(db: Database, clock: FixedClock) -> None:
    plan = await offered(db, MONTHLY)
    held = [await subscribed(db, plan, merchant) for merchant in (1, 2)]
    day(clock, date(2018, 9, 10))
    done = await together(*(run_subscriptions(db, f"worker {n}") for n in range(4)))
    assert sum(done) == 2
    assert sum(await together(*(run_subscriptions(db, f"worker {n}") for n in range(4)))) == 0
    for each in held:
        found = await charges(db, each.merchant_id)
        assert [str(charge.charged_on) for charge in found] == [f"2018-0{month}-01" for month in range(5, 10)]
        assert [str(charge.due_on) for charge in found] == ["2018-05-15"] + ["2018-09-24"] * 4  # time to pay from today
    await together(*(recognise_revenue(db, f"worker {n}") for n in range(3)))
    assert (await books(db))[4020] == -12_000
    await check_books(db)


async def test_dunning_suspends_and_a_payment_recovers(db: Database, clock: FixedClock) -> None:
    held = await subscribed(db, await offered(db, MONTHLY), pays_by=Means.TRANSFER)  # due on the 15th
    await tick(db, clock, date(2018, 5, 17))
    assert (await charges(db))[0].dunning_step == 0
    await tick(db, clock, date(2018, 5, 18))
    await tick(db, clock, date(2018, 5, 19))
    asked = await ask(db, "SELECT payload->>'step' FROM core.outbox WHERE topic = 'billing.charge_dunned.v1'")
    assert asked == [("reminded",)]
    await tick(db, clock, date(2018, 6, 5))
    assert (await now(db, held)).state is SubscriptionState.SUSPENDED
    await tick(db, clock, date(2018, 7, 2))
    assert len(await charges(db)) == 2  # what is suspended is not charged
    first, second = await charges(db)
    day(clock, date(2018, 7, 3))
    for charge in (first, second):
        cmd = PayCharge(merchant_id=M, charge_id=charge.charge_id, amount_minor=3_600, bank_ref="B-1", on=JUNE_1)
        paid = await db.write(WORKER, "fay", pay_charge, cmd)
        assert await db.write(WORKER, "fay", pay_charge, cmd) == paid  # the same again changes nothing
    again = PayCharge(merchant_id=M, charge_id=first.charge_id, amount_minor=1, bank_ref="B-2", on=JUNE_1)
    with pytest.raises(Conflict, match="0 is open"):
        await db.write(WORKER, "fay", pay_charge, again)
    assert (await house(db)) == {1010: 7_200, 1030: -7_200}
    await run_subscriptions(db, "worker")
    recovered = await now(db, held)
    assert (recovered.state, recovered.period_from) == (SubscriptionState.ACTIVE, date(2018, 7, 3))
    await check_books(db)


async def test_what_nobody_pays_ends_and_is_written_off_by_two_people(db: Database, clock: FixedClock) -> None:
    """N: the year's unused months are credited when it ends, the rest is given up."""
    held = await subscribed(db, await offered(db, YEARLY))
    await tick(db, clock, date(2018, 6, 5))
    assert (await now(db, held)).state is SubscriptionState.SUSPENDED
    await tick(db, clock, date(2018, 8, 1))  # 78 days past due; three of twelve months were delivered
    assert (await now(db, held)).state is SubscriptionState.ENDED
    assert await books(db) == {1100: 36_000, 2300: -6_000, 4020: -30_000}
    [charge] = await charges(db)
    cmd = ProposeWriteOff(merchant_id=M, charge_id=charge.charge_id, reason="closed down")
    await db.write(WORKER, "test", partial(switch, name="single_operator", on=False))
    proposed = await db.write(WORKER, "fay", propose_write_off, cmd)
    with pytest.raises(Conflict, match="proposed already"):
        await db.write(WORKER, "fred", propose_write_off, cmd)
    with pytest.raises(Forbidden, match="made by fay"):
        await db.write(WORKER, "fay", approve_write_off, M, proposed.write_off_id)
    await earn(db, M, 700, JUNE_1)
    await net_charges(db, "worker")  # a little of it comes in after all
    await db.write(WORKER, "fred", approve_write_off, M, proposed.write_off_id)
    assert (await entries(db))[-1][2] == {5210: 35_300, 1100: -35_300}
    assert await books(db) == {2300: -6_000, 4020: -30_000, 5210: 35_300, 6920: 700}
    with pytest.raises(Conflict, match="is approved"):
        await db.write(WORKER, "fred", approve_write_off, M, proposed.write_off_id)
    await check_books(db)


async def test_what_is_not_late_is_not_written_off(db: Database) -> None:
    await subscribed(db, await offered(db, YEARLY))
    [charge] = await charges(db)
    cmd = ProposeWriteOff(merchant_id=M, charge_id=charge.charge_id, reason="a gift")
    with pytest.raises(Conflict, match="it is not late yet"):
        await db.write(WORKER, "fay", propose_write_off, cmd)


async def test_written_off_while_suspended_it_ends(db: Database, clock: FixedClock) -> None:
    held = await subscribed(db, await offered(db, MONTHLY))
    await tick(db, clock, date(2018, 6, 5))
    for charge in await charges(db):
        day(clock, date(2018, 6, 20))
        cmd = ProposeWriteOff(merchant_id=M, charge_id=charge.charge_id, reason="lost")
        proposed = await db.write(WORKER, "fay", propose_write_off, cmd)
        await db.write(WORKER, "fred", approve_write_off, M, proposed.write_off_id)
    await tick(db, clock, date(2018, 6, 21))
    assert (await now(db, held)).state is SubscriptionState.ENDED
    await check_books(db)


async def test_what_was_written_off_and_never_used_is_no_loss_and_nobodys_money(
    db: Database, clock: FixedClock
) -> None:
    """Of a year that nobody paid, what is not used when it ends lessens the loss; the merchant is owed nothing."""
    await subscribed(db, await offered(db, YEARLY))
    await tick(db, clock, date(2018, 6, 5))
    day(clock, date(2018, 6, 20))
    [charge] = await charges(db)
    cmd = ProposeWriteOff(merchant_id=M, charge_id=charge.charge_id, reason="lost")
    proposed = await db.write(WORKER, "fay", propose_write_off, cmd)
    await db.write(WORKER, "fred", approve_write_off, M, proposed.write_off_id)
    await tick(db, clock, date(2018, 6, 21))
    [charge] = await charges(db)
    unused = 103_333 + 20_667
    assert (charge.written_off_minor, charge.regained_minor, charge.lost_minor) == (144_000, unused, 144_000 - unused)
    day(clock, date(2018, 7, 2))
    run = (await billed(db, JUNE)).run
    assert await payouts(db, run.run_id) == {}
    await check_books(db)


async def test_a_statement_shows_products_and_a_payout_is_what_they_leave(db: Database, clock: FixedClock) -> None:
    """A run sets charges off before it pays: of 2,000.00 earned, 1,440.00 pay for the year. A credit is in June."""
    held = await subscribed(db, await offered(db, YEARLY))
    await earn(db, M, 200_000, date(2018, 5, 20))
    day(clock, date(2018, 6, 2))
    run = (await billed(db, MAY)).run
    [shown] = (await statements(db, run.run_id)).values()
    assert figures(shown) == {"other": 200_000, "products": -144_000, "closing": 56_000}
    assert await payouts(db, run.run_id) == {(M, "EUR"): 56_000}
    day(clock, date(2018, 6, 15))
    await ended(db, held)
    day(clock, date(2018, 7, 2))
    run = (await billed(db, JUNE)).run
    [shown] = (await statements(db, run.run_id)).values()
    # A month and 14 of June's 30 days are used, 146.67 of 1,200.00; the rest comes back with its VAT.
    assert figures(shown) == {"opening": 56_000, "payout": -56_000, "products": 126_400, "closing": 126_400}
    await check_books(db)


async def test_cash_that_merchants_hold_and_charges_are_set_off_apart(db: Database, clock: FixedClock) -> None:
    """What is paid by transfer is not netted by a run, though the merchant has earnings."""
    await subscribed(db, await offered(db, YEARLY), pays_by=Means.TRANSFER)
    await earn(db, M, 200_000, date(2018, 5, 20))
    day(clock, date(2018, 6, 2))
    run = (await billed(db, MAY)).run
    assert await payouts(db, run.run_id) == {(M, "EUR"): 200_000}
    assert (await books(db))[1100] == 144_000
    await check_books(db)


async def test_netting_and_dunning_at_once_ask_for_nothing_twice(db: Database, clock: FixedClock) -> None:
    for merchant in (1, 2):
        await subscribed(db, await offered(db, YEARLY, code=f"c{merchant}"), merchant)
        await earn(db, merchant, 100_000, MAY_1)
    day(clock, date(2018, 5, 30))
    await together(*(work(db, f"w{n}") for n in range(3) for work in (net_charges, dun_merchants)))
    for merchant in (1, 2):
        [charge] = await charges(db, merchant)
        assert (charge.open_minor, charge.dunning_step) == (44_000, 2)
        async with db.read(WORKER) as tx:
            moved = await charge_store.list_movements(tx, merchant, charge.charge_id, limit=50)
        assert [each.amount_minor for each in moved] == [100_000]
    asked = await ask(db, "SELECT count(*) FROM core.outbox WHERE topic = 'billing.charge_dunned.v1'")
    assert asked == [(2,)]
    await check_books(db)


async def test_a_new_version_is_for_new_merchants(db: Database, clock: FixedClock) -> None:
    old = await offered(db, MONTHLY)
    held = await subscribed(db, old)
    new = await offered(db, MONTHLY, price_minor=5_000)
    assert new.version_no == 2
    with pytest.raises(Conflict, match="is not offered any more"):
        await subscribed(db, old, merchant_id=2)
    await tick(db, clock, JUNE_1)
    assert [charge.net_minor for charge in await charges(db)] == [3_000, 3_000]
    await changed(db, held, plan_id=new.plan_id)
    assert (await charges(db))[-1].net_minor == 2_000


async def test_refusals_name_the_field(db: Database) -> None:
    flat, seats = await offered(db, YEARLY), await offered(db, MONTHLY)
    with pytest.raises(Invalid, match="seats: shop_tool has one price"):
        await subscribed(db, flat, seats=2)
    with pytest.raises(Invalid, match="pays_by: say how it is paid"):
        await subscribed(db, flat, pays_by=None)
    cmd = Subscribe(merchant_id=M, plan_id=5, seats=1, pays_by=None)
    with pytest.raises(Invalid, match="there is no plan 5"):
        await db.write(WORKER, "test", subscribe, cmd)
    held = await subscribed(db, seats)
    with pytest.raises(Invalid, match="that is what it has"):
        await changed(db, held, seats=1)
    dollars = await offered(db, MONTHLY, code="dollars", currency="USD")
    with pytest.raises(Invalid, match="sold in USD, not EUR"):
        await changed(db, held, plan_id=dollars.plan_id)
    with pytest.raises(Invalid, match="follow_up_day"):
        await offered(db, MONTHLY, code="x", trial_days=3, follow_up_day=3)
    large = await offered(db, MONTHLY, code="large", price_minor=10**12, every=Interval.YEAR)
    with pytest.raises(Invalid, match="more than this platform books"):
        await subscribed(db, large)
