"""Take back an order that nobody has paid: its stock, its part of the payment, the credit set aside for it."""

from datetime import datetime

from billing.payments import store as payments
from demand.fulfilment import store as fulfilment
from demand.lifecycle import Move, Party
from demand.model import Order
from demand.store import lock_order, move_order
from marketplace.core.db import Tx
from supply.stock import store as stock
from supply.stock.store import Units

BATCH = 500


async def release_unpaid(tx: Tx, order: Order, move: Move, party: Party, *, reason: str) -> None:
    """Cancel a locked order that is only placed. Sibling orders of the purchase stay as they are.

    move: EXPIRE or CANCEL. Raises Forbidden and Conflict as the table of moves says.
    """
    await move_order(tx, order, move, party, reason=reason)
    await release_rest(tx, order.merchant_id, order.order_id)
    await payments.release_parts(tx, order.merchant_id, order.order_id)


async def release_rest(tx: Tx, merchant_id: int, order_id: int) -> None:
    """Cancel every unit of a locked order that has not left, and give back the stock kept for it. Again: nothing."""
    units = await unshipped_units(tx, merchant_id, order_id)
    await fulfilment.cancel_rest(tx, merchant_id, order_id)
    await stock.release(tx, units)


async def unshipped_units(tx: Tx, merchant_id: int, order_id: int) -> list[Units]:
    """What an order still keeps reserved."""
    rows = await tx.rows(
        """
        SELECT product_id, quantity - cancelled_quantity - shipped_quantity AS left FROM demand.order_line
        WHERE merchant_id = :merchant AND order_id = :order AND product_id IS NOT NULL
          AND quantity > cancelled_quantity + shipped_quantity
        """,
        merchant=merchant_id,
        order=order_id,
    )
    return [Units(merchant_id, row.product_id, row.left) for row in rows]


async def expire_orders(tx: Tx, upto: datetime) -> int:
    """Expire placed orders whose time to be paid is over, at most `BATCH` of them; returns how many.

    Several workers may do it at once. A payment that comes in later finds its order cancelled and is given back.
    """
    due = await tx.rows(
        """
        SELECT merchant_id, order_id FROM demand.merchant_order WHERE state = 'placed' AND expires_at <= :upto
        ORDER BY merchant_id, order_id LIMIT :limit
        """,
        upto=upto,
        limit=BATCH,
    )
    expired = 0
    for row in due:
        order = await lock_order(tx, row.merchant_id, row.order_id)
        if order.state == "placed":
            await release_unpaid(tx, order, Move.EXPIRE, Party.CLOCK, reason="not paid in time")
            expired += 1
    return expired
