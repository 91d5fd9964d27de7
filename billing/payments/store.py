"""Every statement on payments, their parts, the commands to processors, and buyers' credit."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.payments.tables import payment, payment_command, payment_part
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id


class OpenPart(msgspec.Struct, frozen=True):
    """An order's part of a payment that is not captured yet. method: the whole payment's."""

    buyer_id: int
    payment_id: int
    amount_minor: int
    method: str


async def command(
    tx: Tx,
    kind: str,
    *,
    processor_id: int,
    buyer_id: int,
    payment_id: int,
    currency: str,
    amount_minor: int,
    merchant_id: int | None = None,
    refund_id: int | None = None,
    method: str = "",
) -> int:
    """Have a processor told, after this commit, to authorise, capture, void or refund; returns the command's id."""
    command_id = time_ordered_id(tx.now)
    row: dict[str, Any] = {"command_id": command_id, "kind": kind, "processor_id": processor_id, "buyer_id": buyer_id}
    row |= {"payment_id": payment_id, "currency": currency, "amount_minor": amount_minor, "method": method}
    row |= {"merchant_id": merchant_id, "refund_id": refund_id, "created_at": tx.now}
    await tx.execute(insert(payment_command), row)
    return command_id


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
    method: str = await tx.scalar(
        "SELECT method FROM billing.payment WHERE buyer_id = :buyer AND payment_id = :payment",
        buyer=part.buyer_id,
        payment=part.payment_id,
    )
    return part.processor_id, method


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
        method = await tx.scalar(
            "SELECT method FROM billing.payment WHERE buyer_id = :buyer AND payment_id = :payment",
            buyer=part.buyer_id,
            payment=part.payment_id,
        )
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


async def release_parts(tx: Tx, merchant_id: int, order_id: int) -> None:
    """Give up the open parts of an order that will not be paid, and with them the buyer's credit set aside for it.

    A payment none of whose parts is open or captured any more is voided.
    """
    released = await tx.rows(
        """
        UPDATE billing.payment_part SET state = 'released'
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'open'
        RETURNING buyer_id, payment_id, processor_id, currency, credit_minor
        """,
        merchant=merchant_id,
        order=order_id,
    )
    for part in released:
        key = {"buyer": part.buyer_id, "payment": part.payment_id}
        await _release_credit(tx, part.buyer_id, part.currency, part.credit_minor)
        live = await tx.scalar(
            "SELECT count(*) FROM billing.payment_part WHERE payment_id = :payment AND state <> 'released'", **key
        )
        if live:
            continue
        voided = await tx.row(
            """
            UPDATE billing.payment SET state = 'voided'
            WHERE buyer_id = :buyer AND payment_id = :payment AND state IN ('created', 'authorised')
            RETURNING amount_minor
            """,
            **key,
        )
        if voided is not None and voided.amount_minor:
            await command(
                tx,
                "void",
                processor_id=part.processor_id,
                buyer_id=part.buyer_id,
                payment_id=part.payment_id,
                currency=part.currency,
                amount_minor=voided.amount_minor,
            )


async def _release_credit(tx: Tx, buyer_id: int, currency: str, credit_minor: int) -> None:
    if credit_minor:
        await tx.execute(
            """
            UPDATE billing.credit_account SET reserved_minor = reserved_minor - :credit
            WHERE buyer_id = :buyer AND currency = :currency
            """,
            {"buyer": buyer_id, "currency": currency, "credit": credit_minor},
        )
