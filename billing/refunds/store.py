"""Every statement on what goes back to buyers. Callers hold the merchant's books."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.refunds.tables import refund_payment
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id


class RefundPayment(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to give back a part of a refund, see `billing.refunds.tables`."""

    merchant_id: int
    refund_id: int
    payment_id: int
    way: str
    attempt: int
    transfer_id: int
    order_id: int
    buyer_id: int
    processor_id: int
    currency: str
    amount_minor: int
    covered_minor: int
    state: str
    failure: str | None
    due_at: datetime
    said_at: datetime | None

    @property
    def owed_minor(self) -> int:
        """What no dispute has paid of it."""
        return self.amount_minor - self.covered_minor


_COLUMNS = ", ".join(RefundPayment.__struct_fields__)
_LIVE = "state NOT IN ('retried', 'cancelled')"


async def add(tx: Tx, given: RefundPayment) -> None:
    """Store an attempt."""
    await tx.execute(insert(refund_payment), msgspec.structs.asdict(given))


async def of_refund(tx: Tx, merchant_id: int, refund_id: int) -> list[RefundPayment]:
    """Every attempt of a refund, the oldest first."""
    return await _found(tx, "refund_id = :refund", merchant=merchant_id, refund=refund_id)


async def failed_of_order(tx: Tx, merchant_id: int, order_id: int) -> list[RefundPayment]:
    """What of an order's refunds has failed and waits for a decision, the oldest first."""
    return await _found(tx, "order_id = :order AND state = 'failed'", merchant=merchant_id, order=order_id)


async def _found(tx: Tx, wanted: str, *, merchant: int, **bound: int) -> list[RefundPayment]:
    rows = await tx.rows(
        f"SELECT {_COLUMNS} FROM billing.refund_payment WHERE merchant_id = :merchant AND {wanted}"
        " ORDER BY refund_id, payment_id, way, attempt",
        merchant=merchant,
        **bound,
    )
    return [RefundPayment(**row._mapping) for row in rows]


async def newest(tx: Tx, merchant_id: int, refund_id: int, payment_id: int) -> RefundPayment | None:
    """The attempt through the processor that counts."""
    found = await _found(
        tx, "refund_id = :refund AND payment_id = :payment AND way = 'card'",
        merchant=merchant_id, refund=refund_id, payment=payment_id,
    )  # fmt: skip
    return found[-1] if found else None


async def used_by_payment(tx: Tx, merchant_id: int, order_id: int) -> dict[tuple[int, str], int]:
    """What of each payment went back, or is on its way, for an order: by payment and way."""
    rows = await tx.rows(
        f"""
        SELECT payment_id, way, sum(amount_minor - covered_minor)::bigint AS used FROM billing.refund_payment p
        WHERE merchant_id = :merchant AND order_id = :order AND {_LIVE} AND NOT (state = 'stray' AND {_BESIDE})
        GROUP BY payment_id, way
        """,
        merchant=merchant_id,
        order=order_id,
    )
    return {(row.payment_id, row.way): row.used for row in rows}


async def change(tx: Tx, payment: RefundPayment, **values: Any) -> None:
    """Set columns of an attempt."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    await tx.execute(
        f"""
        UPDATE billing.refund_payment SET {assignments}
        WHERE merchant_id = :of_merchant AND refund_id = :of_refund AND payment_id = :of_payment AND way = :of_way
          AND attempt = :of_attempt
        """,
        {
            **values,
            "of_merchant": payment.merchant_id,
            "of_refund": payment.refund_id,
            "of_payment": payment.payment_id,
            "of_way": payment.way,
            "of_attempt": payment.attempt,
        },
    )


async def try_again(tx: Tx, payment: RefundPayment, *, state: str) -> RefundPayment:
    """Close a failed attempt and open the next one for what is still owed; it knows when the last news was."""
    following = msgspec.structs.replace(
        payment,
        attempt=payment.attempt + 1,
        transfer_id=time_ordered_id(tx.now),
        amount_minor=payment.owed_minor,
        covered_minor=0,
        state=state,
        failure=None,
        due_at=tx.now,
    )
    await change(tx, payment, state="retried")
    await add(tx, following)
    return following


async def add_attempt(tx: Tx, payment: RefundPayment, *, state: str) -> RefundPayment:
    """Open another attempt beside one that was decided about: the processor has paid it again, all of it."""
    following = msgspec.structs.replace(
        payment,
        attempt=payment.attempt + 1,
        transfer_id=time_ordered_id(tx.now),
        covered_minor=0,
        state=state,
        failure=None,
    )
    await add(tx, following)
    return following


_BESIDE = """EXISTS (SELECT FROM billing.refund_payment b
    WHERE b.merchant_id = p.merchant_id AND b.refund_id = p.refund_id AND b.payment_id = p.payment_id
      AND b.way = p.way AND b.attempt < p.attempt AND b.state IN ('credited', 'covered', 'cancelled'))"""


async def is_beside(tx: Tx, payment: RefundPayment) -> bool:
    """Whether it is an attempt beside one that was decided about, and so no part of the refund."""
    found: bool = await tx.scalar(
        f"""
        SELECT {_BESIDE} FROM billing.refund_payment p
        WHERE p.merchant_id = :merchant AND p.refund_id = :refund AND p.payment_id = :payment AND p.way = :way
          AND p.attempt = :attempt
        """,
        merchant=payment.merchant_id,
        refund=payment.refund_id,
        payment=payment.payment_id,
        way=payment.way,
        attempt=payment.attempt,
    )
    return found


async def captured_parts(tx: Tx, merchant_id: int, order_id: int) -> Sequence[Any]:
    """The captured parts of an order, the newest payment first."""
    return await tx.rows(
        """
        SELECT payment_id, buyer_id, processor_id, currency, amount_minor, credit_minor FROM billing.payment_part
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'captured' ORDER BY payment_id DESC
        """,
        merchant=merchant_id,
        order=order_id,
    )
