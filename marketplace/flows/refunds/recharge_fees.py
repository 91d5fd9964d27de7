"""Charge a processor's fee on to the merchant, where the refund policy says so, whenever the fee becomes known.

The processor says in its settlement file what it takes, which may be before a refund or after it. So what a merchant
owes is always its share of all that is known by now, less what it has been charged before.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from billing import postings
from billing.payments.model import PaymentPart
from demand.refund_policy import fee_share
from demand.refunds import store as refunds
from demand.store import OF_ORDERS, get_order, order_keys
from marketplace.core.db import Tx
from marketplace.flows.refunds.book_refund import post
from marketplace.flows.refunds.read_funds import funds_of

KIND = "processor_fee_recharged"
"""Its source is the refund, or the payment whose fee became known after it."""


async def recharge_fees(tx: Tx, parts: Sequence[PaymentPart]) -> None:
    """The fees of these payments have become known: charge on what refunds left with the merchant before.

    The caller holds the books of their merchants. A payment is charged on once, whatever comes again.
    """
    payment_of = {(part.merchant_id, part.order_id): part.payment_id for part in parts}
    if not payment_of:
        return
    rows = await tx.rows(
        f"""
        SELECT o.merchant_id, o.order_id, o.refund_id, o.fee_base_minor, o.fee_minor,
               (SELECT sum(p.fee_minor)::bigint FROM billing.payment_part p WHERE p.merchant_id = o.merchant_id
                   AND p.order_id = o.order_id AND p.state = 'captured') AS fees
        FROM demand.refund o
        WHERE {OF_ORDERS} AND o.state = 'booked' AND o.fee_base_minor > 0 AND o.reason <> 'dispute_lost'
        ORDER BY o.merchant_id, o.order_id, o.refund_id
        """,
        **order_keys(list(payment_of)),
    )
    by_order: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        by_order.setdefault((row.merchant_id, row.order_id), []).append(row)
    for key, found in by_order.items():
        await _recharge(tx, *key, payment_of[key], found)


async def _recharge(tx: Tx, merchant_id: int, order_id: int, payment_id: int, found: Sequence[Any]) -> None:
    """Charge one order's merchant the difference, divided over its refunds in the order in which they were made."""
    funds = await funds_of(tx, merchant_id, order_id)
    upto = [
        fee_share(found[0].fees or 0, base, funds.captured_minor)
        for base in accumulate((row.fee_base_minor for row in found), initial=0)
    ]
    charged = sum(row.fee_minor for row in found)
    if upto[-1] <= charged or await _is_charged(tx, merchant_id, payment_id):
        return
    for row, (before, after) in zip(found, pairwise(upto), strict=True):
        await refunds.set_fee(tx, merchant_id, row.refund_id, after - before)
    order = (await get_order(tx, merchant_id, order_id)).order
    await post(tx, order, KIND, payment_id, postings.fee_recharged(upto[-1] - charged), tx.now)


async def _is_charged(tx: Tx, merchant_id: int, payment_id: int) -> bool:
    """What a second line says of the same payment is caught up with by the next refund."""
    found = await tx.scalar(
        "SELECT 1 FROM billing.entry WHERE merchant_id = :merchant AND kind = :kind AND source_id = :payment",
        merchant=merchant_id,
        kind=KIND,
        payment=payment_id,
    )
    return found is not None
