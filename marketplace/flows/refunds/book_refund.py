"""Book a planned refund, or a dispute that is lost, which is one against another account."""

from collections import Counter
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Entry, Leg, NewEntry
from billing.tables import commission_line
from demand.fulfilment.units import is_out
from demand.lifecycle import Move
from demand.model import Order, OrderState
from demand.refund_policy import LEAVES_STANDING
from demand.refunds import store as refunds
from demand.store import get_lines, move_order, refresh_due_order, remove_due_order
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.discounts.unwind_discounts import back_legs, take_discounts_back
from marketplace.flows.orders.release_order import release_rest
from marketplace.flows.payers.unwind_shares import share_legs, take_back
from marketplace.flows.refunds.plan_refund import Plan


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """How a refund is booked: under which kind, against what, and which cost is the platform's.

    excess_minor: what the platform loses beside the refund, to whom the buyer was not owed it. ends_by: the move of the
    refund's initiator that ends the order when nothing is left of it.
    """

    refund_id: int
    kind: str = "order_refunded"
    cost: Account = Account.ADJUSTMENTS
    against: Account = Account.BUYER_REFUND_DUE
    excess_minor: int = 0
    ends_by: Move = Move.REFUND
    at: datetime


async def zone_of(tx: Tx, entity_id: int) -> str:
    """The market's zone."""
    zone: str = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=entity_id)
    return zone


async def post(tx: Tx, order: Order, kind: str, source_id: int, legs: tuple[Leg, ...], at: datetime) -> Entry:
    """Post one fact of an order to its merchant's books."""
    entry = NewEntry(
        merchant_id=order.merchant_id,
        kind=kind,
        source_id=source_id,
        currency=order.currency,
        occurred_at=at,
        effective_on=local_date(at, await zone_of(tx, order.entity_id)),
        legs=legs,
    )
    [entry_no] = await ledger.post(tx, [entry])
    return await ledger.get_entry(tx, order.merchant_id, entry_no)


def mirror(booked: Any) -> tuple[Leg, ...]:
    """The legs that undo an entry."""
    return tuple(
        Leg(account, -amount, dimension)
        for account, dimension, amount in zip(booked.accounts, booked.dimensions, booked.amounts, strict=True)
    )


async def book_refund(tx: Tx, plan: Plan, booking: Booking) -> Entry:
    """One entry, the refund with its lines, what it takes back of commission; the merchant's lines shrink.

    The caller holds the merchant's books and the order.
    """
    order = plan.order
    legs = postings.refunded(
        plan.borne_minor,
        _costs(plan, booking),
        settled=plan.settled,
        commission_minor=plan.commission_minor,
        vat_minor=plan.vat_minor,
        against=booking.against,
        others=[*share_legs(plan.backs.shares), *back_legs(plan.backs.discounts)],
    )
    entry = await post(tx, order, booking.kind, booking.refund_id, legs, booking.at)
    await _store(tx, plan, booking)
    await take_back(tx, booking.refund_id, plan.backs.shares)
    await take_discounts_back(tx, booking.refund_id, plan.backs.discounts)
    await add_commission(tx, order, entry, plan.commission_lines)
    if plan.fee_minor:
        fee = postings.fee_recharged(plan.fee_minor)
        await post(tx, order, "processor_fee_recharged", booking.refund_id, fee, booking.at)
    if not plan.settled and order.state in {OrderState.DELIVERED, OrderState.RETURNED}:
        await refresh_due_order(tx, order.merchant_id, order.order_id)
    if plan.lines_left_minor == 0 and not plan.settled and plan.rule.reason not in LEAVES_STANDING:
        await _come_to_nothing(tx, plan, booking)
    return entry


def _costs(plan: Plan, booking: Booking) -> Counter[Account]:
    """What the platform bears, by account; what it gets back goes to where it was borne."""
    costs = Counter({booking.cost: plan.platform_minor + plan.regained_minor + booking.excess_minor})
    costs[Account.ADJUSTMENTS] -= plan.regained_minor - plan.regained_loss_minor
    costs[Account.CHARGEBACK_LOSS] -= plan.regained_loss_minor
    return costs


async def add_commission(tx: Tx, order: Order, entry: Entry, lines: list[dict[str, object]]) -> None:
    """Store the commission lines of an entry."""
    if lines:
        booked = {
            "entry_no": entry.entry_no,
            "occurred_at": entry.occurred_at,
            "occurred_on": local_date(entry.occurred_at, await zone_of(tx, order.entity_id)),
            "effective_on": entry.effective_on,
        }
        await tx.execute(insert(commission_line), [{**line, **booked} for line in lines])


async def _store(tx: Tx, plan: Plan, booking: Booking) -> None:
    row = {
        "merchant_id": plan.order.merchant_id,
        "refund_id": booking.refund_id,
        "order_id": plan.order.order_id,
        "goods_minor": sum(line.goods_minor for line in plan.given),
        "freight_minor": sum(line.freight_minor for line in plan.given),
        "reason": plan.rule.reason.value,
        "refunded_at": booking.at,
        "initiator": plan.rule.initiator.value,
        "platform_minor": plan.platform_minor,
        "fee_base_minor": plan.fee_base_minor,
        "fee_minor": plan.fee_minor,
        "made_by": tx.actor,
        "payer_minor": plan.payer_minor,
        "promotion_minor": plan.promotion_minor,
    }
    await refunds.add_refund(tx, row, plan.given, plan.borne)


async def _come_to_nothing(tx: Tx, plan: Plan, booking: Booking) -> None:
    """An unsettled order of which nothing is left is cancelled: no longer due, and its stock is free again.

    Not while units of it are under way or with the buyer, who may give them back: it stands, and settles at nothing.
    """
    order = plan.order
    lines = await get_lines(tx, order.merchant_id, order.order_id)
    if any(is_out(line, order.state) for line in lines):
        return
    key = {"merchant": order.merchant_id, "order": order.order_id}
    await remove_due_order(tx, order.merchant_id, order.order_id)
    await tx.execute("DELETE FROM billing.parked_order WHERE merchant_id = :merchant AND order_id = :order", key)
    if order.state is OrderState.RETURNED:
        return
    reason, initiator = plan.rule.reason.value, plan.rule.initiator
    await move_order(tx, order, booking.ends_by, initiator, reason=reason, refund_id=booking.refund_id)
    if order.state is not OrderState.DELIVERED:
        await release_rest(tx, order.merchant_id, order.order_id)
