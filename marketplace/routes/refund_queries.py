"""Refunds as they are read: the decision, its lines, its entries and where the money went."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from billing.ledger.model import Entry
from billing.ledger.store import get_entry
from billing.refunds import store as payments
from billing.refunds.store import RefundPayment
from demand.refund_policy import LineLeft
from demand.store import OF_ORDERS, order_keys
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.flows.refunds.refund_order import Refunded


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back of an order, in minor units.

    payer_minor, promotion_minor: what of it goes to third-party payers, and to whoever bears promotions; the buyer gets
    the rest. platform_minor: what of it the platform
    bears; negative: what it got back of what it had borne, because the merchant gives back more than the buyer gets.
    fee_minor: the processor's fee charged on to the merchant. state: cancelled; or owed (no payment carries it), due
    (on its way), failed (waits for a decision), paid.
    """

    merchant_id: int
    refund_id: int
    order_id: int
    order_ref: str
    currency: str
    goods_minor: int
    freight_minor: int
    platform_minor: int
    payer_minor: int
    promotion_minor: int
    fee_minor: int
    reason: str
    initiator: str
    state: str
    refunded_at: datetime
    made_by: str


class RefundDone(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it was booked, in minor units: `Refunded`, as the caller may see it.

    What is between platform and merchant is None for a shop that asks for its buyer, as in the preview.
    """

    refund_id: int
    gross_minor: int
    payer_minor: int = 0
    promotion_minor: int = 0
    entry_no: int | None = None
    platform_minor: int | None = None
    commission_minor: int | None = None
    vat_minor: int | None = None
    fee_minor: int | None = None


def refund_done(done: Refunded, *, for_buyer: bool) -> RefundDone:
    if for_buyer:
        told = ("refund_id", "gross_minor", "payer_minor", "promotion_minor")
        return RefundDone(**{name: getattr(done, name) for name in told})
    return RefundDone(**msgspec.structs.asdict(done))


class RefundDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A refund with what it gave back of each line, its journal entries, and every attempt to pay it."""

    refund: Refund
    lines: list[LineLeft]
    entries: list[Entry]
    payments: list[RefundPayment]


_REFUND = """
SELECT r.merchant_id, r.refund_id, r.order_id, o.order_ref, o.currency, r.goods_minor, r.freight_minor,
       r.platform_minor, r.payer_minor, r.promotion_minor, r.fee_minor, r.reason, r.initiator,
       CASE WHEN r.state = 'cancelled' THEN 'cancelled' WHEN r.reason = 'dispute_lost' THEN 'paid'
            WHEN EXISTS (SELECT FROM billing.refund_payment p WHERE p.merchant_id = r.merchant_id
                            AND p.refund_id = r.refund_id AND p.state = 'failed') THEN 'failed'
            WHEN EXISTS (SELECT FROM billing.refund_payment p WHERE p.merchant_id = r.merchant_id
                            AND p.refund_id = r.refund_id AND p.state = 'due') THEN 'due'
            WHEN EXISTS (SELECT FROM billing.refund_payment p WHERE p.merchant_id = r.merchant_id
                            AND p.refund_id = r.refund_id)
              OR r.goods_minor + r.freight_minor = r.payer_minor + r.promotion_minor
            THEN 'paid'
            ELSE 'owed' END AS state,
       r.refunded_at, r.made_by
FROM demand.refund r
JOIN demand.merchant_order o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
"""


async def list_refunds(
    tx: Tx,
    *,
    merchant_id: int | None = None,
    order_id: int | None = None,
    limit: int,
    after: tuple[int, int] | None = None,
) -> Sequence[Refund]:
    """Refunds by id, the newest first, those behind (refund_id, merchant_id): of a merchant, of an order, or all."""
    asked = {"merchant_id": merchant_id, "order_id": order_id}
    bound = {name: value for name, value in asked.items() if value is not None}
    wanted = ["true", *(f"r.{name} = :{name}" for name in bound)]
    if after is not None:
        wanted.append("(r.refund_id, r.merchant_id) < (:after_id, :after_merchant)")
        bound |= {"after_id": after[0], "after_merchant": after[1]}
    rows = await tx.rows(
        f"{_REFUND} WHERE {' AND '.join(wanted)} ORDER BY r.refund_id DESC, r.merchant_id DESC LIMIT :limit",
        **bound,
        limit=limit,
    )
    return [Refund(**row._mapping) for row in rows]


async def refund_states(tx: Tx, orders: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """The states of all refunds of orders (merchant_id and order_id), by merchant_id and refund_id."""
    rows = await tx.rows(f"SELECT * FROM ({_REFUND}) AS r WHERE {OF_ORDERS}", **order_keys(orders))
    return {(row.merchant_id, row.refund_id): row.state for row in rows}


async def get_refund(tx: Tx, merchant_id: int, refund_id: int) -> RefundDetail:
    """One refund. Raises NotFound."""
    bound = {"merchant": merchant_id, "refund": refund_id}
    row = await tx.row(f"{_REFUND} WHERE r.merchant_id = :merchant AND r.refund_id = :refund", **bound)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no refund {refund_id}")
    lines = await tx.rows(
        "SELECT line_no, goods_minor, freight_minor FROM demand.refund_line"
        " WHERE merchant_id = :merchant AND refund_id = :refund ORDER BY line_no",
        **bound,
    )
    sent = await payments.of_refund(tx, merchant_id, refund_id)
    numbers = await tx.rows(
        """
        SELECT e.entry_no
        FROM unnest(ARRAY['order_refunded', 'refund_cancelled', 'dispute_opened', 'dispute_lost', 'refund_paid',
                          'refund_returned', 'refund_credited', 'processor_fee_recharged', 'processor_fee_returned'])
                 AS fact (kind),
             unnest(CAST(:sources AS bigint[])) AS source (id)
        JOIN billing.entry e ON e.merchant_id = :merchant AND e.source_id = source.id
        WHERE e.kind = fact.kind
        UNION
        SELECT e.entry_no
        FROM billing.payment_part p JOIN billing.entry e
          ON e.merchant_id = p.merchant_id AND e.kind = 'processor_fee_recharged' AND e.source_id = p.payment_id
        WHERE p.merchant_id = :merchant AND p.order_id = :order AND :fee > 0
        ORDER BY entry_no
        """,
        merchant=merchant_id,
        order=row.order_id,
        fee=row.fee_minor,
        sources=[refund_id, *(payment.transfer_id for payment in sent)],
    )
    return RefundDetail(
        refund=Refund(**row._mapping),
        lines=[LineLeft(*line) for line in lines],
        entries=[await get_entry(tx, merchant_id, number.entry_no) for number in numbers],
        payments=sent,
    )
