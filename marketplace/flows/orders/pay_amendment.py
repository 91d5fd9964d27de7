"""Have the difference of an accepted amendment paid: ask for it, and act on what the processor says."""

from datetime import timedelta
from typing import Any

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from billing.payments import store as payments
from billing.payments.charges import store as charges
from billing.payments.model import CASH
from demand.amendments import store
from demand.amendments.model import Amendment, AmendmentState
from demand.lifecycle import UNDELIVERED, Party
from demand.model import Order
from demand.store import lock_order
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.orders.apply_amendment import apply_amendment, units_added, units_taken_off
from marketplace.flows.orders.price_amendment import By, note, price_again
from supply.stock import store as stock

PAID_WITHIN = timedelta(hours=24)
"""How long an accepted amendment waits for its payment and keeps its stock reserved."""


def check_method(method: str) -> None:
    """Raise Invalid for cash: a merchant collects it for a whole order, and nobody would book a difference."""
    if method == CASH:
        raise Invalid(
            "method: cash is collected for a whole order; a difference is charged to a card or account, so send the"
            " processor's token of one",
            pointer="/method",
        )


async def charge(tx: Tx, order: Order, held: Amendment, method: str) -> Amendment:
    """Ask for the difference: by the method named, else by the one the order was paid with. Raises Conflict."""
    before = await charges.paid_by(tx, order.merchant_id, order.order_id)
    if before is None:
        raise Conflict("method: no processor has a payment of this order, so the difference cannot be charged")
    if not method and before[1] == CASH:
        raise Conflict(
            "method: the order was not paid by card, so there is none to charge the difference to: send the"
            " processor's token of a card or account"
        )
    expires_at = tx.now + PAID_WITHIN
    payment_id = await charges.charge_order(
        tx,
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        purchase_id=order.purchase_id,
        buyer_id=order.buyer_id,
        amendment_id=held.amendment_id,
        processor_id=before[0],
        method=method or before[1],
        currency=order.currency,
        amount_minor=held.delta_minor,
        expires_at=expires_at,
    )
    return await store.move_amendment(
        tx, held, AmendmentState.AWAITING_PAYMENT, payment_id=payment_id, expires_at=expires_at
    )


async def give_up_payment(tx: Tx, held: Amendment) -> None:
    """Void what was asked of the buyer (the only open part of a paid order), and free the stock of the new lines."""
    await payments.release_parts(tx, held.merchant_id, held.order_id)
    await stock.release(tx, units_added(held.merchant_id, held.changes.priced))


async def charge_captured(tx: Tx, payment: Any, captured_minor: int | None = None) -> Amendment:
    """The difference is paid: book it and apply the amendment; for the flow that hears of captured payments.

    payment: the row of billing.payment. captured_minor: by default all that was asked for. When that is not all, the
    amendment is no longer awaited, or the order has moved on so that its change set does not hold any more, the money
    is owed back to the buyer instead (2400, kind amendment_voided) and the processor is told to refund it, under the
    amendment's id. Told twice, it does nothing the second time.
    """
    await ledger.lock_books(tx, payment.merchant_id)
    order_id = await store.order_of(tx, payment.merchant_id, payment.amendment_id)
    order = await lock_order(tx, payment.merchant_id, order_id)
    held = await store.get_amendment(tx, payment.merchant_id, order_id, payment.amendment_id, lock=True)
    await payments.get_payment(tx, payment.buyer_id, payment.payment_id, lock=True)
    if await _is_booked(tx, held):
        return held
    captured = held.delta_minor if captured_minor is None else captured_minor
    obstacle = f"only {captured} of {held.delta_minor} was captured" if captured != held.delta_minor else None
    obstacle = obstacle or await _obstacle(tx, order, held)
    if obstacle is not None:
        return await _void(tx, order, held, payment, captured, obstacle)
    paid = postings.order_paid(held.delta_minor, payment.processor_id)
    await ledger.post(tx, [await _entry(tx, order, held, "amendment_paid", paid)])
    await charges.mark_part(tx, held.merchant_id, held.order_id, payment.payment_id, "captured")
    assert held.decided_party is not None
    applied = await apply_amendment(tx, order, held, held.decided_party)
    await stock.release(tx, units_taken_off(held.merchant_id, held.changes.priced))
    await note(tx, "amendment paid", applied, By(party=Party.PROCESSOR))
    return applied


async def charge_failed(tx: Tx, payment: Any, reason: str) -> Amendment:
    """The difference was not paid: the amendment is cancelled, its stock free again. Told twice, it does nothing."""
    order_id = await store.order_of(tx, payment.merchant_id, payment.amendment_id)
    await lock_order(tx, payment.merchant_id, order_id)
    held = await store.get_amendment(tx, payment.merchant_id, order_id, payment.amendment_id, lock=True)
    if held.state is not AmendmentState.AWAITING_PAYMENT:
        return held
    await payments.get_payment(tx, payment.buyer_id, payment.payment_id, lock=True)
    failed = await store.move_amendment(tx, held, AmendmentState.CANCELLED, outcome=reason)
    await charges.mark_part(tx, held.merchant_id, held.order_id, payment.payment_id, "released")
    await stock.release(tx, units_added(held.merchant_id, held.changes.priced))
    await note(tx, "amendment not paid", failed, By(party=Party.PROCESSOR))
    return failed


async def _is_booked(tx: Tx, held: Amendment) -> bool:
    found = await tx.scalar(
        """
        SELECT count(*) FROM billing.entry
        WHERE merchant_id = :merchant AND kind IN ('amendment_paid', 'amendment_voided') AND source_id = :amendment
        """,
        merchant=held.merchant_id,
        amendment=held.amendment_id,
    )
    return bool(found)


async def _obstacle(tx: Tx, order: Order, held: Amendment) -> str | None:
    """Why a paid amendment cannot be applied any more, if so."""
    if held.state is not AmendmentState.AWAITING_PAYMENT:
        return f"paid when it was {held.state} already"
    if order.state not in UNDELIVERED:
        return f"paid when the order was {order.state}"
    try:
        present = await price_again(tx, order, held)
    except Conflict as fault:
        return fault.detail
    return None if present.priced == held.changes.priced else "the order has changed since it was accepted"


async def _void(tx: Tx, order: Order, held: Amendment, payment: Any, captured_minor: int, reason: str) -> Amendment:
    """Owe a payment back that came for nothing, and tell the processor to return it."""
    back = postings.payment_unwanted(captured_minor, payment.processor_id)
    await ledger.post(tx, [await _entry(tx, order, held, "amendment_voided", back)])
    await charges.mark_part(tx, held.merchant_id, held.order_id, payment.payment_id, "released")
    await payments.command(
        tx,
        "refund",
        processor_id=payment.processor_id,
        buyer_id=payment.buyer_id,
        payment_id=payment.payment_id,
        currency=order.currency,
        amount_minor=captured_minor,
        merchant_id=held.merchant_id,
        refund_id=held.amendment_id,
    )
    voided = held
    if held.state is AmendmentState.AWAITING_PAYMENT:
        voided = await store.move_amendment(tx, held, AmendmentState.CANCELLED, outcome=reason)
        await stock.release(tx, units_added(held.merchant_id, held.changes.priced))
    await note(tx, "amendment voided", voided, By(party=Party.PROCESSOR))
    return voided


async def _entry(tx: Tx, order: Order, held: Amendment, kind: str, booked: tuple[Leg, ...]) -> NewEntry:
    zone = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=order.entity_id)
    return NewEntry(
        merchant_id=order.merchant_id,
        kind=kind,
        source_id=held.amendment_id,
        currency=order.currency,
        occurred_at=tx.now,
        effective_on=local_date(tx.now, zone),
        legs=booked,
    )
