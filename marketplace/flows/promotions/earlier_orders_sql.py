"""What a merchant and its buyers had before each of some orders, where a promotion asks for it."""

from collections.abc import Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards_sql import Earlier, Settled


async def with_earlier(tx: Tx, merchant_id: int, orders: Sequence[Settled]) -> list[Settled]:
    """The orders with what their merchant and their buyers had before each of them."""
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


async def _earlier_orders(tx: Tx, merchant_id: int, orders: Sequence[Settled], happens: str) -> dict[int, Earlier]:
    """By order, what the merchant and the buyer had placed, or had had delivered, before it; several at the same
    instant come by merchant and order, as they do where history is replayed."""
    before = f"row_number() OVER w - 1 AS orders, extract(day FROM {happens} - lag({happens}) OVER w)::int AS idle"
    rows = await tx.rows(
        f"""
        WITH mine AS (
            SELECT order_id, {before} FROM demand.merchant_order
            WHERE merchant_id = :merchant AND {happens} IS NOT NULL WINDOW w AS (ORDER BY {happens}, order_id)
        ), theirs AS (
            SELECT merchant_id, order_id, {before} FROM demand.merchant_order
            WHERE buyer_id = ANY(:buyers) AND {happens} IS NOT NULL
            WINDOW w AS (PARTITION BY buyer_id ORDER BY {happens}, merchant_id, order_id)
        )
        SELECT m.order_id, m.orders AS of_merchant, t.orders AS of_buyer, m.idle AS merchant_idle,
               t.idle AS buyer_idle
        FROM mine m JOIN theirs t ON t.merchant_id = :merchant AND t.order_id = m.order_id
        WHERE m.order_id = ANY(:orders)
        """,
        merchant=merchant_id,
        buyers=sorted({order.buyer_id for order in orders}),
        orders=[order.order_id for order in orders],
    )
    return {row.order_id: Earlier(*row[1:]) for row in rows}
