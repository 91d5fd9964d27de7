"""What the clock does with subscriptions: follow a trial up, convert or end it, renew, suspend, recover, end.

Any number of workers may run it: the merchant's books are held, and what has been done moves the day on which the clock
acts next. After an outage every period since is charged, each once and for its own days, with time to pay from today.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from billing.charges import store as charges
from billing.charges.dunning import Dunning, dunning
from billing.charges.model import Charge, ChargeSource
from billing.charges.store import Books
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.months import first_of_month
from marketplace.flows.products.charge_products import credit_charge, hold, recognise
from marketplace.flows.products.subscribe_merchant import begin_period, convert, period_charges
from supply.products.subscriptions import store
from supply.products.subscriptions.lifecycle import By, Move
from supply.products.subscriptions.model import Subscription, SubscriptionState

BATCH = 200
_ANSWER_DAYS = 7
"""How long a person has to take up a trial that has ended."""
_FARTHEST_ZONE = "Pacific/Kiritimati"
"""Where a day begins first: nowhere is it later."""


async def run_subscriptions(db: Database, actor: str) -> int:
    """Do what is due with every subscription by now; returns with how many there was something to do."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (last.merchant_id, last.subscription_id) if last is not None else (FIRST, FIRST)
        return await store.acting(tx, local_date(tx.now, _FARTHEST_ZONE), after, BATCH)

    return await each(db, actor, "subscription not advanced", page, _advance_row)


async def _advance_row(tx: Tx, row: Any) -> bool:
    books = await hold(tx, row.merchant_id)
    now = await store.get_subscription(tx, row.merchant_id, row.subscription_id, lock=True)
    return (await advance(tx, books, now)).version != now.version


async def advance(tx: Tx, books: Books, held: Subscription) -> Subscription:
    """Bring a locked subscription to today, step by step. The merchant's books are held."""
    while held.acts_on is not None and held.acts_on <= books.today:
        before = held.version
        held = await _step(tx, books, held)
        if held.version == before:
            break
    return held


async def _step(tx: Tx, books: Books, held: Subscription) -> Subscription:
    if held.state is SubscriptionState.TRIALING:
        return await _try(tx, books, held)
    if held.state is SubscriptionState.SUSPENDED:
        return await _recover_or_end(tx, books, held)
    assert held.period_to is not None
    assert held.anchored_on is not None
    if held.state is SubscriptionState.LEAVING:
        return await store.move_subscription(
            tx, held, Move.END, By.CLOCK, "the period is over", ended_on=held.period_to, acts_on=None
        )
    now_plan = await store.get_plan(tx, held.plan_id)
    next_plan = await store.get_plan(tx, held.next_plan_id or held.plan_id)
    if now_plan.every is next_plan.every:
        return await begin_period(tx, books, held, Move.RENEW, By.CLOCK, held.anchored_on, held.period_no + 1)
    return await begin_period(tx, books, held, Move.RENEW, By.CLOCK, held.period_to, 0)


async def _try(tx: Tx, books: Books, held: Subscription) -> Subscription:
    """A trial: convert it when it is over and a means is agreed; else somebody takes it up, in time and at its end."""
    assert held.trial_from is not None
    assert held.trial_to is not None
    assert held.acts_on is not None
    over = held.acts_on >= held.trial_to
    if over and held.pays_by is not None:
        return await convert(tx, books, held, By.CLOCK, held.trial_to)
    plan = await store.get_plan(tx, held.plan_id)
    uses = await store.usage_since(tx, held.merchant_id, held.subscription_id, held.trial_from)
    in_use = "in use" if uses >= plan.follow_up_uses else "hardly used"
    said = f"{plan.name}: {in_use}, {uses} times since {held.trial_from}"
    if over:
        title = f"{said}; the trial ended on {held.trial_to} and nothing is agreed"
        due = held.trial_to + timedelta(days=_ANSWER_DAYS)
        await store.raise_task(tx, held, "trial_ended", title, plan.owner, due)
        return await store.move_subscription(tx, held, Move.EXPIRE, By.CLOCK, said, acts_on=None)
    if held.pays_by is None:
        title = f"{said}; the trial ends on {held.trial_to} and no means of payment is agreed"
        await store.raise_task(tx, held, "trial_follow_up", title, plan.owner, held.trial_to)
    return await store.note_follow_up(tx, held, held.trial_to)


async def suspend(tx: Tx, held: Subscription, by: By, reason: str, books: Books) -> Subscription:
    """Stop delivering; the clock looks every time whether it can go on."""
    return await store.move_subscription(tx, held, Move.SUSPEND, by, reason, acts_on=books.today)


async def _recover_or_end(tx: Tx, books: Books, held: Subscription) -> Subscription:
    """A suspended subscription goes on once nothing of it is past due, and ends when that is given up."""
    assert held.period_to is not None
    of_it = await charges.of_source(tx, held.merchant_id, ChargeSource.SUBSCRIPTION, held.subscription_id)
    late = [charge for charge in of_it if charge.open_minor > 0 and charge.due_on < books.today]
    if any(charge.written_off_minor for charge in of_it) or any(_is_lost(charge, books) for charge in late):
        ended = await store.move_subscription(
            tx, held, Move.END, By.CLOCK, "not paid", ended_on=books.today, acts_on=None
        )
        await _credit_rest(tx, books, held)
        return ended
    if late:
        return held
    if held.period_to > books.today:
        return await store.move_subscription(tx, held, Move.RECOVER, By.CLOCK, "paid", acts_on=held.period_to)
    return await begin_period(tx, books, held, Move.RECOVER, By.CLOCK, books.today, 0, changed=True)


def _is_lost(charge: Charge, books: Books) -> bool:
    return dunning(charge.due_on, books.today) is Dunning.ENDED


async def _credit_rest(tx: Tx, books: Books, held: Subscription) -> None:
    """What will not be delivered any more is not owed either, whatever the plan says of those that leave."""
    if held.period_to is None or held.period_to <= books.today:
        return
    for charge in await period_charges(tx, held):
        caught_up = await recognise(tx, charge, first_of_month(books.today) - timedelta(days=1))
        if (unused := caught_up.unused(books.today)) > 0:
            await credit_charge(tx, caught_up, unused, books.today, "ended, not paid")
