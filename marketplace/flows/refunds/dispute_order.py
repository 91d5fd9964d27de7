"""What a buyer disputes at its bank: the processor takes the money at once, and says later who keeps it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.payments.facts import DisputeFact, DisputeState, ids_of
from billing.refunds import store as payments
from demand.lifecycle import Party
from demand.model import Order
from demand.refund_policy import Bearer, Reason, spread
from demand.refunds import store
from demand.refunds.store import Dispute
from demand.store import lock_order
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate
from marketplace.flows.refunds.book_refund import Booking, book_refund, post, zone_of
from marketplace.flows.refunds.pay_refund import cover_refunds
from marketplace.flows.refunds.plan_refund import plan_lines
from marketplace.flows.refunds.read_funds import buyers_left, funds_of, merchants_left, read_lines

EVIDENCE_DAYS = 14
"""How long a merchant may say something to a dispute after it was opened."""


class _Part(msgspec.Struct, frozen=True):
    """An order's captured part of the payment, and how much of it a dispute could still take."""

    order: Order
    amount_minor: int
    room_minor: int


async def dispute_changed(tx: Tx, processor_id: int, fact: DisputeFact) -> list[Dispute]:
    """Book what a processor says of a dispute: in any order, any number of times. Returns each order's share of it.

    The first fact of a dispute, whichever it is, opens it and divides it over the orders of the payment, once. Raises
    NotFound for a payment without captured parts, Invalid for another currency, another processor's payment or another
    amount than the dispute was opened with, Conflict when a dispute that was won is said to be lost or the other way
    round: a person has to look at that.
    """
    buyer_id, payment_id = ids_of(fact.reference)
    merchants = await _merchants(tx, processor_id, buyer_id, payment_id)
    for merchant_id in merchants:
        await ledger.lock_books(tx, merchant_id)
    known = await store.disputes_named(tx, merchants, fact.dispute_ref)
    if known:
        _check_same(known, payment_id, fact)
    shares = known or await _open(tx, processor_id, fact, await _parts(tx, fact, merchants))
    if fact.state is DisputeState.OPENED:
        return shares
    return [await _close(tx, processor_id, share, fact) for share in shares]


def _check_same(known: Sequence[Dispute], payment_id: int, fact: DisputeFact) -> None:
    """What it was opened with stays: it was divided and booked then."""
    if known[0].payment_id != payment_id:
        raise Conflict(f"dispute_ref: {fact.dispute_ref} is of payment {known[0].payment_id}")
    amount, currency = sum(share.amount_minor for share in known), known[0].currency
    if (fact.amount_minor, fact.currency) != (amount, currency):
        raise Invalid(
            f"amount_minor: dispute {fact.dispute_ref} was opened over {amount} {currency}, and is now said to be over"
            f" {fact.amount_minor} {fact.currency[:3]!r}"
        )


async def _merchants(tx: Tx, processor_id: int, buyer_id: int, payment_id: int) -> list[int]:
    """The merchants of the payment's purchase, in id order."""
    payment = await tx.row(
        "SELECT purchase_id, processor_id FROM billing.payment WHERE buyer_id = :buyer AND payment_id = :payment",
        buyer=buyer_id,
        payment=payment_id,
    )
    if payment is None:
        raise NotFound(f"buyer {buyer_id} has no payment {payment_id}")
    if payment.processor_id != processor_id:
        raise Invalid(f"reference: payment {payment_id} is not this processor's")
    rows = await tx.rows(
        "SELECT DISTINCT merchant_id FROM demand.merchant_order"
        " WHERE buyer_id = :buyer AND purchase_id = :purchase ORDER BY merchant_id",
        buyer=buyer_id,
        purchase=payment.purchase_id,
    )
    return [row.merchant_id for row in rows]


async def _parts(tx: Tx, fact: DisputeFact, merchants: Sequence[int]) -> list[_Part]:
    buyer_id, payment_id = ids_of(fact.reference)
    parts = []
    for merchant_id in merchants:
        rows = await tx.rows(
            """
            SELECT order_id, currency, amount_minor FROM billing.payment_part
            WHERE merchant_id = :merchant AND payment_id = :payment AND state = 'captured' AND amount_minor > 0
            ORDER BY order_id
            """,
            merchant=merchant_id,
            payment=payment_id,
        )
        for row in rows:
            if row.currency != fact.currency:
                raise Invalid(f"currency: payment {payment_id} is in {row.currency}, not in {fact.currency}")
            order = await lock_order(tx, merchant_id, row.order_id)
            used = await payments.used_by_payment(tx, merchant_id, row.order_id)
            funds = await funds_of(tx, merchant_id, row.order_id)
            by_card = row.amount_minor - used.get((payment_id, "card"), 0)
            room = max(0, min(by_card, funds.buyers_minor))
            parts.append(_Part(order, row.amount_minor, room))
    if not parts:
        raise NotFound(f"nothing was captured of payment {payment_id} of buyer {buyer_id}")
    return parts


def divide(amount_minor: int, parts: Sequence[tuple[int, int]]) -> list[int]:
    """Divide a disputed amount over parts of (captured, room): by room as far as there is any, then by what is gone of
    each, then as captured; by largest remainder every time.

    Gone is what was given back of a part or is on its way: what a dispute takes beyond all rooms is that money, so that
    a refund of it which fails finds it paid by the dispute.
    """
    captured, rooms = [part[0] for part in parts], [part[1] for part in parts]
    gone = [max(0, part - room) for part, room in parts]
    shares, left = [0] * len(parts), amount_minor
    for weights in (rooms, gone):
        taken = min(left, sum(weights))
        shares = [a + b for a, b in zip(shares, allocate(taken, weights), strict=True)]
        left -= taken
    return [a + b for a, b in zip(shares, allocate(left, captured), strict=True)]


async def _open(tx: Tx, processor_id: int, fact: DisputeFact, parts: Sequence[_Part]) -> list[Dispute]:
    buyer_id, payment_id = ids_of(fact.reference)
    amounts = divide(fact.amount_minor, [(part.amount_minor, part.room_minor) for part in parts])
    weights = amounts if any(amounts) else [part.amount_minor for part in parts]
    fees = allocate(fact.fee_minor, weights)
    opened = []
    for part, amount, fee in zip(parts, amounts, fees, strict=True):
        if amount + fee == 0:
            continue
        order = part.order
        policy = await store.get_policy(tx, order.refund_policy_id)
        zone = await zone_of(tx, order.entity_id)
        funds = await funds_of(tx, order.merchant_id, order.order_id)
        row: dict[str, Any] = {
            "merchant_id": order.merchant_id,
            "dispute_id": time_ordered_id(tx.now),
            "dispute_ref": fact.dispute_ref,
            "order_id": order.order_id,
            "buyer_id": buyer_id,
            "payment_id": payment_id,
            "processor_id": processor_id,
            "currency": fact.currency,
            "amount_minor": amount,
            "fee_minor": fee,
            "excess_minor": max(0, amount - max(0, funds.buyers_minor)),
            "state": "open",
            "recourse": policy.rule(Reason.DISPUTE_LOST, Party.PROCESSOR).goods is Bearer.MERCHANT,
            "opened_at": fact.occurred_at,
            "due_on": local_date(fact.occurred_at, zone) + timedelta(days=EVIDENCE_DAYS),
        }
        dispute = await store.add_dispute(tx, row)
        legs = postings.dispute_opened(amount, fee, processor_id)
        await post(tx, order, "dispute_opened", dispute.dispute_id, legs, fact.occurred_at)
        await _record(tx, dispute)
        opened.append(dispute)
    return opened


async def _close(tx: Tx, processor_id: int, dispute: Dispute, fact: DisputeFact) -> Dispute:
    if dispute.state == fact.state:
        return dispute
    if dispute.state != "open":
        raise Conflict(f"state: dispute {fact.dispute_ref} is {dispute.state}, and now said to be {fact.state}")
    order = await lock_order(tx, dispute.merchant_id, dispute.order_id)
    if fact.state is DisputeState.LOST:
        return await _lost(tx, order, dispute, fact.occurred_at)
    if dispute.amount_minor:
        legs = postings.dispute_won(dispute.amount_minor, processor_id)
        await post(tx, order, "dispute_won", dispute.dispute_id, legs, fact.occurred_at)
    return await _closed(tx, dispute, "won", fact.occurred_at, excess_minor=dispute.excess_minor)


async def _lost(tx: Tx, order: Order, dispute: Dispute, at: datetime) -> Dispute:
    """The order gives what it still has to give, as in a refund; what was taken beyond that is the platform's loss.

    A dispute that takes all that the buyer still had in the order takes the whole rest of it, as a refund of the whole
    rest does: what the platform has borne before it gets back from the merchant, as far as that bears the dispute.
    """
    funds = await funds_of(tx, order.merchant_id, order.order_id)
    lines = await read_lines(tx, order)
    left = buyers_left(lines, funds)
    room = funds.buyers_minor + dispute.amount_minor  # the dispute itself is among what is disputed
    whole = sum(line.goods_minor + line.freight_minor for line in left)
    takes = max(0, min(dispute.amount_minor, room, whole))
    excess = dispute.amount_minor - takes
    if takes:
        policy = await store.get_policy(tx, order.refund_policy_id)
        rule = policy.rule(Reason.DISPUTE_LOST, Party.PROCESSOR)
        given, off = (left, merchants_left(lines)) if takes == whole else (spread(takes, left), None)
        plan = await plan_lines(tx, order, rule, lines, given, funds, off=off)
        fee = dispute.fee_minor if rule.processor_fee is Bearer.MERCHANT else 0
        await book_refund(
            tx, msgspec.structs.replace(plan, fee_base_minor=0, fee_minor=fee), _booking(dispute, at, excess)
        )
    elif excess:
        loss = postings.refunded(
            0, {Account.CHARGEBACK_LOSS: excess}, settled=True, against=Account.DISPUTE_IN_PROGRESS
        )
        await post(tx, order, "dispute_lost", dispute.dispute_id, loss, at)
    closed = await _closed(tx, dispute, "lost", at, excess_minor=excess)
    await cover_refunds(tx, order, at)
    return closed


def _booking(dispute: Dispute, at: datetime, excess_minor: int) -> Booking:
    return Booking(
        refund_id=dispute.dispute_id,
        kind="dispute_lost",
        cost=Account.CHARGEBACK_LOSS,
        against=Account.DISPUTE_IN_PROGRESS,
        excess_minor=excess_minor,
        at=at,
    )


async def _closed(tx: Tx, dispute: Dispute, state: str, at: datetime, *, excess_minor: int) -> Dispute:
    await store.close_dispute(tx, dispute.merchant_id, dispute.dispute_id, state, at, excess_minor=excess_minor)
    closed = await store.get_dispute(tx, dispute.merchant_id, dispute.dispute_id)
    await _record(tx, closed)
    return closed


async def _record(tx: Tx, dispute: Dispute) -> None:
    subject = f"order:{dispute.merchant_id}/{dispute.order_id}"
    await audit.record(tx, f"dispute {dispute.state}", subject, dispute_id=dispute.dispute_id)
    await outbox.emit(tx, "demand.dispute_changed.v1", dispute, merchant_id=dispute.merchant_id)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant says to a dispute."""

    merchant_id: int
    dispute_id: int
    text: str


async def give_evidence(tx: Tx, cmd: Evidence) -> Dispute:
    """Store it, in place of what was said before. Raises NotFound, and Conflict when it is too late."""
    dispute = await store.get_dispute(tx, cmd.merchant_id, cmd.dispute_id, locked=True)
    if dispute.state != "open":
        raise Conflict(f"state: the dispute is {dispute.state}")
    entity = await tx.scalar(
        "SELECT entity_id FROM demand.merchant_order WHERE merchant_id = :merchant AND order_id = :order",
        merchant=cmd.merchant_id,
        order=dispute.order_id,
    )
    if local_date(tx.now, await zone_of(tx, entity)) > dispute.due_on:
        raise Conflict(f"due_on: evidence was due on {dispute.due_on}")
    await audit.record(tx, "evidence given", f"dispute:{cmd.merchant_id}/{cmd.dispute_id}")
    return await store.add_evidence(tx, cmd.merchant_id, cmd.dispute_id, cmd.text)
