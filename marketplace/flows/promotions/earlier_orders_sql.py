"""How many orders a merchant and its buyers had before each of some orders, where a promotion asks for it."""

from collections.abc import Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards_sql import Settled


async def with_earlier(tx: Tx, merchant_id: int, orders: Sequence[Settled]) -> list[Settled]:
    """The orders with how many their merchant and their buyers had before each of them."""
    counted = {
        on: await _earlier_orders(tx, merchant_id, orders, happens)
        for on, happens in (("order.placed", "placed_at"), ("order.settled", "delivered_at"))
    }
    return [
        msgspec.structs.replace(
            order, earlier={on: found[order.order_id] for on, found in counted.items() if order.order_id in found}
        )
        for order in orders
    ]


async def _earlier_orders(
    tx: Tx, merchant_id: int, orders: Sequence[Settled], happens: str
) -> dict[int, tuple[int, int]]:
    """By order, how many the merchant and the buyer had placed, or had had delivered, before it; several at the same
    instant come by merchant and order, as they do where history is replayed."""
    rows = await tx.rows(
        f"""
        WITH mine AS (
            SELECT order_id, row_number() OVER (ORDER BY {happens}, order_id) - 1 AS earlier
            FROM demand.merchant_order WHERE merchant_id = :merchant AND {happens} IS NOT NULL
        ), theirs AS (
            SELECT merchant_id, order_id,
                   row_number() OVER (PARTITION BY buyer_id ORDER BY {happens}, merchant_id, order_id) - 1 AS earlier
            FROM demand.merchant_order WHERE buyer_id = ANY(:buyers) AND {happens} IS NOT NULL
        )
        SELECT m.order_id, m.earlier AS of_merchant, t.earlier AS of_buyer
        FROM mine m JOIN theirs t ON t.merchant_id = :merchant AND t.order_id = m.order_id
        WHERE m.order_id = ANY(:orders)
        """,
        merchant=merchant_id,
        buyers=sorted({order.buyer_id for order in orders}),
        orders=[order.order_id for order in orders],
    )
    return {row.order_id: (row.of_merchant, row.of_buyer) for row in rows}
