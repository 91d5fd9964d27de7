"""Every statement on payments, their parts, the commands to processors, and buyers' credit."""

from typing import Any

from sqlalchemy import insert

from billing.payments.tables import payment_command
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id


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
