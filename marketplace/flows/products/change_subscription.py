"""Change a subscription, or end it: what is paid and not used counts towards what comes after.

A change takes effect when the merchant's day begins. Within a period only the difference moves: more is charged for
the rest of it, less is credited, first to what is still owed of it, else to the payable balance.
"""

from datetime import timedelta

import msgspec

from billing.charges import store as charges
from billing.charges.model import Charge
from billing.charges.store import Books
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid
from marketplace.core.months import first_of_month
from marketplace.flows.products.charge_products import credit_charge, hold, recognise
from marketplace.flows.products.run_subscriptions import advance
from marketplace.flows.products.subscribe_merchant import (
    begin_period,
    charge_from,
    check_price,
    offered_plan,
    period_charges,
)
from supply.products.subscriptions import store
from supply.products.subscriptions.lifecycle import By, Move
from supply.products.subscriptions.model import Plan, Refunds, Subscription, SubscriptionState, difference


class ChangeSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """Another plan, another number of seats, or both (None: as it is); now, or when the period ends."""

    merchant_id: int
    subscription_id: int
    plan_id: int | None = None
    seats: int | None = None
    at_period_end: bool = False


class CancelSubscription(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    subscription_id: int
    reason: str
    at_period_end: bool = False


async def change_subscription(tx: Tx, cmd: ChangeSubscription, by: By) -> Subscription:
    """Change plan or seats. What was to change at the period's end is forgotten for it.

    Raises NotFound; Conflict for a state without changes, or a plan that is not offered; Invalid for a change of
    nothing, or to another currency.
    """
    books, now = await _hold_today(tx, cmd.merchant_id, cmd.subscription_id)
    plan = await store.get_plan(tx, now.plan_id)
    wanted = plan if cmd.plan_id in {None, now.plan_id} else await offered_plan(tx, cmd.plan_id or 0)
    seats = cmd.seats or now.seats
    if (wanted.plan_id, seats) == (now.plan_id, now.seats) and now.next_plan_id is None:
        raise Invalid("plan_id: that is what it has; name another plan or another number of seats", pointer="/plan_id")
    if wanted.currency != plan.currency:
        raise Invalid(f"plan_id: {wanted.code} is sold in {wanted.currency}, not {plan.currency}", pointer="/plan_id")
    check_price(wanted, seats)
    detail = f"{wanted.code}, {seats} seats"
    if now.state is SubscriptionState.ACTIVE and cmd.at_period_end:
        later = {"next_plan_id": wanted.plan_id, "next_seats": seats}
        return await store.move_subscription(tx, now, Move.CHANGE, by, f"{detail}, then", **later)
    if now.state is SubscriptionState.ACTIVE and wanted.every is not plan.every:
        changing = msgspec.structs.replace(now, next_plan_id=wanted.plan_id, next_seats=seats)
        await _credit_unused(tx, books, now, await _unused(tx, books, now), "changed")
        return await begin_period(tx, books, changing, Move.CHANGE, by, books.today, 0, changed=True)
    chosen = {"plan_id": wanted.plan_id, "seats": seats, "next_plan_id": None, "next_seats": None}
    changed = await store.move_subscription(tx, now, Move.CHANGE, by, detail, **chosen)
    if changed.state is SubscriptionState.ACTIVE:
        await _settle_difference(tx, books, changed, wanted)
    return changed


async def _settle_difference(tx: Tx, books: Books, changed: Subscription, plan: Plan) -> None:
    assert changed.period_from is not None
    assert changed.period_to is not None
    unused = await _unused(tx, books, changed)
    owed = difference(
        unused, plan.price_of(changed.seats), changed.period_from, changed.period_to, books.today
    )  # fmt: skip
    if owed > 0:
        await charge_from(
            tx, books, changed, plan, owed, books.today, f"{changed.period_from}+{changed.version}"
        )  # fmt: skip
    elif owed < 0:
        await _credit_unused(tx, books, changed, -owed, "changed")


async def leave(tx: Tx, cmd: CancelSubscription, by: By) -> Subscription:
    """End a subscription now, with what its plan gives back, or when its period ends. Raises NotFound, Conflict."""
    books, now = await _hold_today(tx, cmd.merchant_id, cmd.subscription_id)
    if cmd.at_period_end:
        gone = {"next_plan_id": None, "next_seats": None}
        return await store.move_subscription(tx, now, Move.LEAVE, by, cmd.reason, **gone)
    ended = await store.move_subscription(
        tx,
        now,
        Move.CANCEL,
        by,
        cmd.reason,
        ended_on=books.today,
        acts_on=None,
        next_plan_id=None,
        next_seats=None,
    )
    plan = await store.get_plan(tx, now.plan_id)
    if now.period_to is not None and now.period_to > books.today:
        if plan.refunds is Refunds.UNUSED:
            await _credit_unused(tx, books, now, await _unused(tx, books, now), cmd.reason)
        else:
            await _forfeit(tx, books, now)
    return ended


async def stay(tx: Tx, merchant_id: int, subscription_id: int, by: By) -> Subscription:
    """Take the notice back before the period ends. Raises NotFound, Conflict."""
    _, now = await _hold_today(tx, merchant_id, subscription_id)
    return await store.move_subscription(tx, now, Move.STAY, by)


async def _hold_today(tx: Tx, merchant_id: int, subscription_id: int) -> tuple[Books, Subscription]:
    """A subscription as it is today: what the clock has not come to yet is done first."""
    books = await hold(tx, merchant_id)
    now = await store.get_subscription(tx, merchant_id, subscription_id, lock=True)
    return books, await advance(tx, books, now)


async def _unused(tx: Tx, books: Books, now: Subscription) -> int:
    """What is charged of the period for today and the days after it, without VAT."""
    return sum(charge.unused(books.today) for charge in await period_charges(tx, now))


async def _credit_unused(tx: Tx, books: Books, now: Subscription, net_minor: int, reason: str) -> None:
    """Credit so much of the period's charges, the newest first. What months before have earned is booked before."""
    for charge in reversed(await period_charges(tx, now)):
        amount = min(net_minor, charge.unused(books.today))
        if amount > 0:
            await credit_charge(tx, await _caught_up(tx, books, charge), amount, books.today, reason)
            net_minor -= amount


async def _forfeit(tx: Tx, books: Books, now: Subscription) -> None:
    """Nothing is given back: what is not used is earned today, the last day."""
    for charge in await period_charges(tx, now):
        held = await _caught_up(tx, books, charge)
        ends = {"service_to": books.today + timedelta(days=1), "anchored_on": books.today}
        await charges.set_charge(tx, held, **ends, anchored_minor=held.earned(books.today))


async def _caught_up(tx: Tx, books: Books, charge: Charge) -> Charge:
    return await recognise(tx, charge, first_of_month(books.today) - timedelta(days=1))
