"""Subscribe a merchant to a tool, and charge its periods.

A trial posts nothing. It becomes a paid subscription on the day it ends when the merchant has agreed how to pay, and
else when it agrees later. Each period is charged when it begins, once, and is revenue month by month.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.charges import store as charges
from billing.charges.model import Charge, ChargeSource, NewCharge, PaysBy
from billing.charges.store import Books
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import AMOUNT_MAX, check_currency
from marketplace.flows.products.charge_products import hold, make_charge
from supply.model import MerchantState
from supply.products.model import Means
from supply.products.subscriptions import store
from supply.products.subscriptions.lifecycle import By, Move
from supply.products.subscriptions.model import (
    Interval,
    Per,
    Plan,
    Refunds,
    Subscription,
    SubscriptionState,
    check_seats,
    period,
)
from supply.store import get_merchant


class OfferPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan to be sold from now on, see `Plan`; of a code that there is, its next version."""

    code: str
    name: str
    currency: str
    price_minor: int
    per: Per
    every: Interval
    trial_days: int
    vat_ppm: int
    due_days: int
    refunds: Refunds
    follow_up_day: int
    follow_up_uses: int
    owner: str


class Subscribe(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant wants a plan for so many seats. pays_by: how it pays, needed where there is no trial."""

    merchant_id: int
    plan_id: int
    seats: int
    pays_by: Means | None


class Agree(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    subscription_id: int
    pays_by: Means


async def offer_plan(tx: Tx, cmd: OfferPlan) -> Plan:
    """Offer a plan; the version before it is offered no more. Raises Invalid, and Conflict when somebody was faster."""
    check_currency(cmd.currency)
    if cmd.follow_up_day and not cmd.follow_up_day < cmd.trial_days:
        raise Invalid("follow_up_day: is a day within the trial, or 0", pointer="/follow_up_day")
    number = await store.newest_version(tx, cmd.code) + 1
    made: dict[str, Any] = {
        "plan_id": time_ordered_id(tx.now),
        "version_no": number,
        "made_by": tx.actor,
        "made_at": tx.now,
    }
    plan = await store.add_plan(tx, Plan(**msgspec.structs.asdict(cmd), **made, offered=True))
    await audit.record(tx, "plan offered", f"plan:{plan.plan_id}", code=plan.code, version=number)
    return plan


async def withdraw_plan(tx: Tx, plan_id: int) -> Plan:
    """Sell a plan to nobody any more; who has it keeps it. Raises NotFound."""
    plan = await store.withdraw_plan(tx, plan_id)
    await audit.record(tx, "plan withdrawn", f"plan:{plan_id}")
    return plan


async def subscribe(tx: Tx, cmd: Subscribe) -> Subscription:
    """Begin a trial where the plan has one and the merchant has not had it, else a paid subscription.

    Raises NotFound; Conflict for a plan that is not offered or that it has already, or a closed merchant; Invalid
    without a means of payment where nothing is for trial.
    """
    books = await hold(tx, cmd.merchant_id)
    merchant = await get_merchant(tx, cmd.merchant_id)
    if merchant.state is MerchantState.CLOSED:
        raise Conflict(f"merchant {cmd.merchant_id} is closed", state=merchant.state.value)
    plan = await offered_plan(tx, cmd.plan_id)
    check_price(plan, cmd.seats)
    had = await store.states_of_code(tx, cmd.merchant_id, plan.code)
    if set(had) - {SubscriptionState.ENDED}:
        raise Conflict(f"plan_id: merchant {cmd.merchant_id} has a subscription to {plan.code}")
    trial = plan.trial_days > 0 and not had
    if not trial and cmd.pays_by is None:
        raise Invalid("pays_by: say how it is paid; there is nothing to try", pointer="/pays_by")
    new = _new(tx, cmd, plan, books.today if trial else None)
    if trial:
        return await store.insert_subscription(tx, new, "try", plan.code)
    from_on, to_on = period(books.today, plan.every, 0)
    paid = {"anchored_on": from_on, "period_from": from_on, "period_to": to_on, "acts_on": to_on}
    begun = await store.insert_subscription(tx, msgspec.structs.replace(new, **paid), "subscribe", plan.code)
    await charge_period(tx, books, begun, plan, f"{from_on}")
    return begun


def _new(tx: Tx, cmd: Subscribe, plan: Plan, trial_from: date | None) -> Subscription:
    trial_to = trial_from + timedelta(days=plan.trial_days) if trial_from else None
    acts_on = trial_from + timedelta(days=plan.follow_up_day) if trial_from and plan.follow_up_day else trial_to
    return Subscription(
        merchant_id=cmd.merchant_id,
        subscription_id=time_ordered_id(tx.now),
        plan_id=plan.plan_id,
        seats=cmd.seats,
        state=SubscriptionState.TRIALING if trial_from else SubscriptionState.ACTIVE,
        pays_by=cmd.pays_by,
        trial_from=trial_from,
        trial_to=trial_to,
        anchored_on=None,
        period_no=0,
        period_from=None,
        period_to=None,
        next_plan_id=None,
        next_seats=None,
        acts_on=acts_on,
        followed_up=False,
        ended_on=None,
        version=1,
        made_by=tx.actor,
        made_at=tx.now,
    )


async def agree(tx: Tx, cmd: Agree, by: By) -> Subscription:
    """The merchant says how it pays: a trial will become paid when it ends, one that has ended does so today.

    Raises NotFound, Conflict for a subscription that has ended.
    """
    books = await hold(tx, cmd.merchant_id)
    now = await store.get_subscription(tx, cmd.merchant_id, cmd.subscription_id, lock=True)
    if now.state is SubscriptionState.ENDED:
        raise Conflict("state: the subscription has ended", state=now.state.value)
    agreed = await store.agree_means(tx, now, cmd.pays_by)
    return (
        await convert(tx, books, agreed, by, books.today) if agreed.state is SubscriptionState.TRIAL_ENDED else agreed
    )


async def convert(tx: Tx, books: Books, held: Subscription, by: By, on: date) -> Subscription:
    """Make a trial a paid subscription whose first period begins on a day."""
    return await begin_period(tx, books, held, Move.CONVERT, by, on, 0)


async def begin_period(
    tx: Tx,
    books: Books,
    held: Subscription,
    move: Move,
    by: By,
    anchored_on: date,
    number: int,
    *,
    changed: bool = False,
) -> Subscription:
    """Move a locked subscription into a period and charge it, at what it changes to then, where that was said.

    changed: the period begins because of a change, on a day on which another may have been charged already.
    """
    plan = await store.get_plan(tx, held.next_plan_id or held.plan_id)
    from_on, to_on = period(anchored_on, plan.every, number)
    begun = await store.move_subscription(
        tx, held, move, by, f"{plan.code} {from_on}",
        plan_id=plan.plan_id, seats=held.next_seats or held.seats, next_plan_id=None, next_seats=None,
        anchored_on=anchored_on, period_no=number, period_from=from_on, period_to=to_on, acts_on=to_on,
    )  # fmt: skip
    await charge_period(tx, books, begun, plan, f"{from_on}+{begun.version}" if changed else f"{from_on}")
    return begun


async def charge_period(tx: Tx, books: Books, held: Subscription, plan: Plan, part: str) -> Charge:
    """Charge the period that a subscription is in."""
    assert held.period_from is not None
    return await charge_from(tx, books, held, plan, plan.price_of(held.seats), held.period_from, part)


async def charge_from(
    tx: Tx, books: Books, held: Subscription, plan: Plan, net_minor: int, from_on: date, part: str
) -> Charge:
    """Charge something for the rest of a subscription's period. Who is charged late has the full time to pay."""
    assert held.period_to is not None
    assert held.pays_by is not None
    seats = f", {held.seats} seats" if plan.per is Per.SEAT else ""
    return await make_charge(
        tx,
        NewCharge(
            merchant_id=held.merchant_id,
            source=ChargeSource.SUBSCRIPTION,
            source_id=held.subscription_id,
            part=part,
            description=f"{plan.name}{seats}, {from_on} to {held.period_to - timedelta(days=1)}",
            currency=plan.currency,
            net_minor=net_minor,
            vat_ppm=plan.vat_ppm,
            charged_on=from_on,
            due_on=max(from_on, books.today) + timedelta(days=plan.due_days),
            pays_by=PaysBy(held.pays_by.value),
            service_from=from_on,
            service_to=held.period_to,
        ),
    )


async def period_charges(tx: Tx, held: Subscription) -> Sequence[Charge]:
    """What was charged for the period that a subscription is in, the oldest first."""
    found = await charges.of_source(tx, held.merchant_id, ChargeSource.SUBSCRIPTION, held.subscription_id)
    return [charge for charge in found if charge.service_to == held.period_to]


async def offered_plan(tx: Tx, plan_id: int) -> Plan:
    """A plan that may be sold. Raises Invalid for one that there is not, Conflict for one that is not offered."""
    try:
        plan = await store.get_plan(tx, plan_id)
    except NotFound as fault:
        raise Invalid(f"plan_id: there is no plan {plan_id}", pointer="/plan_id") from fault
    if not plan.offered:
        raise Conflict(f"plan_id: version {plan.version_no} of {plan.code} is not offered any more")
    return plan


def check_price(plan: Plan, seats: int) -> None:
    """Raise Invalid for seats that the plan does not have, or that cost more than one amount may be."""
    check_seats(plan, seats)
    if plan.price_of(seats) * 2 > AMOUNT_MAX:
        raise Invalid("seats: so many cost more than this platform books in one amount", pointer="/seats")
