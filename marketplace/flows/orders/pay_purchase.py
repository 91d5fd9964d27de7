"""Pay a purchase again whose payment was declined or failed: the same orders, the same price, another try.

What has failed leaves its orders placed until the time to pay is over, with stock and credit still set aside for them.
A new payment takes the failed one's place for every order that still waits: it gets its parts and the credit in them.
Money that comes for the failed one afterwards finds its parts released, and goes back as any that came for nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.payments import store as payments
from billing.payments.facts import PaymentState
from billing.payments.model import CASH, Payment, PaymentPart, PurchasePayment, purchase_payment
from billing.payments.tables import payment, payment_part
from demand.model import Order, OrderState
from demand.store import lock_order
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.flows.orders.placement import TIME_TO_COLLECT
from marketplace.flows.payments.take_payment import capture_credit_only, hold_books

TRIES_MAX = 20
"""Payments of one purchase; more is somebody who tries cards out."""


class PayPurchase(msgspec.Struct, frozen=True, kw_only=True):
    """Pay what of this purchase still waits for its payment. method and processor: as in `PlaceOrder`."""

    buyer_id: int
    purchase_id: int
    method: str
    processor: str


async def pay_purchase(tx: Tx, cmd: PayPurchase) -> PurchasePayment:
    """Ask for the money of the orders that still wait, by another method or the same; no two payments at a time.

    Raises NotFound, Conflict while a payment is under way, when nothing waits any more or the time to pay is over,
    Invalid for cash where credit pays a part.
    """
    processor_id = await payments.processor_id(tx, cmd.processor)
    if processor_id is None:
        raise Conflict(f"no payment processor {cmd.processor!r} is set up here: see MARKETPLACE_PROCESSOR_SECRET")
    seen = await _open_parts(tx, await payments.of_purchase(tx, cmd.buyer_id, cmd.purchase_id))
    if not all(part.amount_minor for part in seen) or any(part.credit_minor for part in seen):
        # It may be paid at once: the books come before the orders.
        await hold_books(tx, [part.merchant_id for part in seen], with_house=True)
    orders = await _waiting_orders(tx, cmd)
    known = await payments.of_purchase(tx, cmd.buyer_id, cmd.purchase_id)
    # A late word of the processor holds the payment, not the orders.
    earlier = [await payments.get_payment(tx, cmd.buyer_id, one.payment_id, lock=True) for one in known]
    parts = await _open_parts(tx, earlier)
    _check(tx, cmd, orders, earlier)
    new = await _new_payment(tx, cmd, processor_id, orders, parts)
    await _take_over(tx, parts, new)
    if not new.amount_minor:
        await capture_credit_only(tx, cmd.buyer_id, new.payment_id)
    elif cmd.method != CASH:
        told = {name: getattr(new, name) for name in ("buyer_id", "payment_id", "currency", "amount_minor", "method")}
        await payments.command(tx, "authorise", processor_id=processor_id, **told)
    return purchase_payment(await payments.get_payment(tx, cmd.buyer_id, new.payment_id))


async def _open_parts(tx: Tx, earlier: Sequence[Payment]) -> list[PaymentPart]:
    """What these payments still have open, by merchant and order."""
    found = [part for one in earlier for part in await payments.parts_of(tx, one.payment_id) if part.state == "open"]
    return sorted(found, key=lambda part: (part.merchant_id, part.order_id))


async def _waiting_orders(tx: Tx, cmd: PayPurchase) -> list[Order]:
    """The purchase's placed orders, held in the order of their keys. Raises NotFound."""
    rows = await tx.rows(
        """
        SELECT merchant_id, order_id FROM demand.merchant_order WHERE buyer_id = :buyer AND purchase_id = :purchase
        ORDER BY merchant_id, order_id
        """,
        buyer=cmd.buyer_id,
        purchase=cmd.purchase_id,
    )
    if not rows:
        raise NotFound(f"buyer {cmd.buyer_id} has no purchase {cmd.purchase_id}")
    orders = [await lock_order(tx, row.merchant_id, row.order_id) for row in rows]
    return [order for order in orders if order.state is OrderState.PLACED]


def _check(tx: Tx, cmd: PayPurchase, orders: Sequence[Order], earlier: Sequence[Payment]) -> None:
    for one in earlier:
        if one.state in {PaymentState.CREATED, PaymentState.AUTHORISED}:
            raise Conflict(f"payment {one.payment_id} is {one.state}: it is under way", payment_id=one.payment_id)
    if not orders:
        raise Conflict(f"nothing of purchase {cmd.purchase_id} waits to be paid")
    if any(order.expires_at is None or order.expires_at <= tx.now for order in orders):
        raise Conflict(f"the time to pay purchase {cmd.purchase_id} is over: place a new cart")
    if len(earlier) >= TRIES_MAX:
        raise Conflict(f"purchase {cmd.purchase_id} was tried to be paid {TRIES_MAX} times: place a new cart")


async def _new_payment(
    tx: Tx, cmd: PayPurchase, processor_id: int, orders: Sequence[Order], parts: Sequence[PaymentPart]
) -> Payment:
    """The payment of all these parts. It waits as long as the orders do, and they longer for cash, as if placed so."""
    credit_minor = sum(part.credit_minor for part in parts)
    expires_at = min(order.expires_at for order in orders if order.expires_at is not None)
    if cmd.method == CASH:
        if credit_minor:
            raise Invalid("method: cash is not mixed with credit", pointer="/method")
        expires_at = tx.now + TIME_TO_COLLECT
        await _wait_until(tx, orders, expires_at)
    row: dict[str, Any] = {"buyer_id": cmd.buyer_id, "payment_id": time_ordered_id(tx.now)}
    row |= {"purchase_id": cmd.purchase_id, "processor_id": processor_id, "method": cmd.method}
    row |= {"currency": parts[0].currency, "amount_minor": sum(part.amount_minor for part in parts)}
    row |= {"credit_minor": credit_minor, "state": PaymentState.CREATED.value}
    await tx.execute(insert(payment), row | {"created_at": tx.now, "expires_at": expires_at})
    return await payments.get_payment(tx, cmd.buyer_id, row["payment_id"])


async def _wait_until(tx: Tx, orders: Sequence[Order], expires_at: datetime) -> None:
    for order in orders:
        await tx.execute(
            """
            UPDATE demand.merchant_order SET expires_at = :expires WHERE merchant_id = :merchant AND order_id = :order
            """,
            {"expires": expires_at, "merchant": order.merchant_id, "order": order.order_id},
        )


async def _take_over(tx: Tx, parts: Sequence[PaymentPart], new: Payment) -> None:
    """The failed payment's parts are the new one's. The credit in them stays set aside."""
    for part in parts:
        await payments.note_part(tx, msgspec.structs.replace(part, state="released"), paid=False, captured_minor=0)
        row = {name: getattr(part, name) for name in ("merchant_id", "order_id", "buyer_id", "currency")}
        row |= {"amount_minor": part.amount_minor, "credit_minor": part.credit_minor}
        await tx.execute(insert(payment_part), row | {"payment_id": new.payment_id, "processor_id": new.processor_id})
