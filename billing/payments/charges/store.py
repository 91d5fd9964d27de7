"""Every statement on money asked for one order: the difference of an amendment, and cash at the door."""

from datetime import datetime

import msgspec
from sqlalchemy import insert

from billing.payments.store import command
from billing.payments.tables import payment, payment_part
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id


class OpenPart(msgspec.Struct, frozen=True):
    """An order's part of a payment that is not captured yet. method: the whole payment's."""

    buyer_id: int
    payment_id: int
    amount_minor: int
    method: str


async def charge_order(
    tx: Tx,
    *,
    merchant_id: int,
    order_id: int,
    purchase_id: int,
    buyer_id: int,
    amendment_id: int,
    processor_id: int,
    method: str,
    currency: str,
    amount_minor: int,
    expires_at: datetime,
) -> int:
    """Ask the buyer's means of payment for more on one order that is paid already; returns the payment's id."""
    payment_id = time_ordered_id(tx.now)
    key = {"buyer_id": buyer_id, "payment_id": payment_id, "merchant_id": merchant_id, "processor_id": processor_id}
    amount = {"currency": currency, "amount_minor": amount_minor}
    row = {"purchase_id": purchase_id, "amendment_id": amendment_id, "method": method, "state": "created"}
    await tx.execute(insert(payment), {**key, **amount, **row, "created_at": tx.now, "expires_at": expires_at})
    await tx.execute(insert(payment_part), {**key, **amount, "order_id": order_id})
    await command(
        tx,
        "authorise",
        processor_id=processor_id,
        buyer_id=buyer_id,
        payment_id=payment_id,
        currency=currency,
        amount_minor=amount_minor,
        merchant_id=merchant_id,
        method=method,
    )
    return payment_id


async def paid_by(tx: Tx, merchant_id: int, order_id: int) -> tuple[int, str] | None:
    """Processor and method that an order was first paid by; None for one that no payment is known of."""
    part = await tx.row(
        """
        SELECT buyer_id, payment_id, processor_id FROM billing.payment_part
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'captured' ORDER BY payment_id LIMIT 1
        """,
        merchant=merchant_id,
        order=order_id,
    )
    if part is None:
        return None
    return part.processor_id, await method_of(tx, part.buyer_id, part.payment_id)


async def method_of(tx: Tx, buyer_id: int, payment_id: int) -> str:
    """The method of a payment."""
    method: str = await tx.scalar(
        "SELECT method FROM billing.payment WHERE buyer_id = :buyer AND payment_id = :payment",
        buyer=buyer_id,
        payment=payment_id,
    )
    return method


async def open_parts(tx: Tx, merchant_id: int, order_id: int) -> list[OpenPart]:
    """The parts of payments that an order still waits for, each with its payment's method."""
    parts = await tx.rows(
        """
        SELECT buyer_id, payment_id, amount_minor FROM billing.payment_part
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'open' ORDER BY payment_id
        """,
        merchant=merchant_id,
        order=order_id,
    )
    found = []
    for part in parts:
        method = await method_of(tx, part.buyer_id, part.payment_id)
        found.append(OpenPart(part.buyer_id, part.payment_id, part.amount_minor, method))
    return found


async def capture_part(tx: Tx, merchant_id: int, order_id: int, part: OpenPart) -> None:
    """An order's part of a payment is paid; the payment is captured when no part of it is open any more."""
    key = {"buyer": part.buyer_id, "payment": part.payment_id}
    # The payment first, so that of two merchants who are paid at once the later one sees the earlier.
    await tx.execute(
        """
        UPDATE billing.payment SET captured_minor = captured_minor + :amount, captured_at = :now
        WHERE buyer_id = :buyer AND payment_id = :payment
        """,
        {**key, "amount": part.amount_minor, "now": tx.now},
    )
    await mark_part(tx, merchant_id, order_id, part.payment_id, "captured")
    still_open = await tx.scalar(
        "SELECT count(*) FROM billing.payment_part WHERE payment_id = :payment AND state = 'open'",
        payment=part.payment_id,
    )
    if not still_open:
        await tx.execute(
            "UPDATE billing.payment SET state = 'captured' WHERE buyer_id = :buyer AND payment_id = :payment", key
        )


async def mark_part(tx: Tx, merchant_id: int, order_id: int, payment_id: int, state: str) -> None:
    """Say of an order's open part of a payment what became of it: captured, or released."""
    await tx.execute(
        """
        UPDATE billing.payment_part SET state = :state
        WHERE merchant_id = :merchant AND payment_id = :payment AND order_id = :order AND state = 'open'
        """,
        {"merchant": merchant_id, "payment": payment_id, "order": order_id, "state": state},
    )
