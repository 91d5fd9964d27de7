"""A purchase as it was placed: what whoever places it is answered, now and when it is asked again."""

from datetime import datetime

import msgspec

from marketplace.core.db import Tx
from marketplace.core.errors import NotFound


class PlacedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One merchant's order of a purchase, in minor units. total_minor: its price. discount_minor: what promotions take
    off it. payer_minor: what third parties pay of the rest."""

    merchant_id: int
    order_id: int
    goods_minor: int
    freight_minor: int
    total_minor: int
    payer_minor: int = 0
    discount_minor: int = 0


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as it was placed. pay_minor goes through the processor, credit_minor out of the buyer's credit.

    expires_at: until when the stock waits for the payment. discount_minor: what promotions take off the total.
    payer_minor: what third parties pay of the rest.
    """

    purchase_id: int
    order_ref: str
    buyer_id: int
    currency: str
    total_minor: int
    pay_minor: int
    credit_minor: int
    payment_id: int
    expires_at: datetime
    orders: list[PlacedOrder]
    payer_minor: int = 0
    discount_minor: int = 0


_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing that is misread or misheard


def order_ref(purchase_id: int) -> str:
    """The purchase's id as people write it down."""
    digits = []
    while purchase_id:
        purchase_id, digit = divmod(purchase_id, 32)
        digits.append(_ALPHABET[digit])
    return "P" + "".join(reversed(digits))


async def read_placed(tx: Tx, buyer_id: int, purchase_id: int) -> Placed:
    """A purchase as it was placed, from its rows: with the first of its payments, where it was paid again."""
    payment = await tx.row(
        """
        SELECT p.order_ref, p.currency, y.payment_id, y.amount_minor, y.credit_minor, y.expires_at
        FROM demand.purchase p
        JOIN billing.payment y ON y.buyer_id = p.buyer_id AND y.purchase_id = p.purchase_id AND y.amendment_id IS NULL
        WHERE p.buyer_id = :buyer AND p.purchase_id = :purchase ORDER BY y.created_at, y.payment_id LIMIT 1
        """,
        buyer=buyer_id,
        purchase=purchase_id,
    )
    if payment is None:
        raise NotFound(f"buyer {buyer_id} has no purchase {purchase_id}")
    orders = await tx.rows(
        """
        SELECT p.merchant_id, p.order_id, p.amount_minor + p.credit_minor AS due,
               coalesce((SELECT sum(s.amount_minor) FROM billing.payer_share s
                         WHERE s.merchant_id = p.merchant_id AND s.source = 'order' AND s.source_id = p.order_id),
                        0)::bigint AS borne,
               coalesce((SELECT sum(d.amount_minor) FROM incentives.order_discount d
                         WHERE d.merchant_id = p.merchant_id AND d.order_id = p.order_id), 0)::bigint AS discount
        FROM billing.payment_part p WHERE p.payment_id = :payment ORDER BY p.merchant_id
        """,
        payment=payment.payment_id,
    )
    freights = await tx.rows(
        """
        SELECT l.merchant_id, l.order_id, sum(l.goods_minor)::bigint AS goods, sum(l.freight_minor)::bigint AS freight
        FROM demand.merchant_order o
        JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id AND l.amendment_id IS NULL
        WHERE o.buyer_id = :buyer AND o.purchase_id = :purchase GROUP BY l.merchant_id, l.order_id
        """,
        buyer=buyer_id,
        purchase=purchase_id,
    )
    borne = sum(order.borne for order in orders)
    discount = sum(order.discount for order in orders)
    split = {row.order_id: (row.goods, row.freight) for row in freights}
    return Placed(
        purchase_id=purchase_id,
        order_ref=payment.order_ref,
        buyer_id=buyer_id,
        currency=payment.currency,
        total_minor=payment.amount_minor + payment.credit_minor + borne + discount,
        pay_minor=payment.amount_minor,
        credit_minor=payment.credit_minor,
        payment_id=payment.payment_id,
        expires_at=payment.expires_at,
        orders=[
            PlacedOrder(
                merchant_id=order.merchant_id,
                order_id=order.order_id,
                goods_minor=split[order.order_id][0],
                freight_minor=split[order.order_id][1],
                total_minor=order.due + order.borne + order.discount,
                payer_minor=order.borne,
                discount_minor=order.discount,
            )
            for order in orders
        ],
        payer_minor=borne,
        discount_minor=discount,
    )
