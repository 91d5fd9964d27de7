"""Take back an order that nobody has paid: its stock, its part of the payment, the credit set aside for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from billing.payments import store as payments
from demand.fulfilment import store as fulfilment
from demand.lifecycle import Move, Party
from demand.model import Order, OrderState
from demand.store import lock_order, move_order
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.discounts.commit_discounts import release_discounts
from marketplace.flows.payers.bear_order import release_shares
from supply.stock import store as stock
from supply.stock.store import Units

BATCH = 500


async def release_unpaid(tx: Tx, order: Order, move: Move, party: Party, *, reason: str) -> None:
    """Cancel a locked order that is only placed. Sibling orders of the purchase stay as they are.

    move: EXPIRE or CANCEL. Raises Forbidden and Conflict as the table of moves says.
    """
    await move_order(tx, order, move, party, reason=reason)
    await release_shares(tx, order.merchant_id, order.order_id)
    await release_discounts(tx, order.merchant_id, order.order_id)
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


async def expire_orders(db: Database, actor: str, upto: datetime) -> int:
    """Expire placed orders whose time to be paid is over, each in its own transaction; returns how many.

    Several workers may do it at once. A payment that comes in later finds its order cancelled and is given back.
    """

    async def overdue(tx: Tx, last: Any | None) -> Sequence[Any]:
        return await tx.rows(
            """
            SELECT merchant_id, order_id FROM demand.merchant_order
            WHERE state = 'placed' AND expires_at <= :upto
              AND (merchant_id, order_id) > (CAST(:merchant AS bigint), CAST(:order AS bigint))
            ORDER BY merchant_id, order_id LIMIT :limit
            """,
            upto=upto,
            merchant=FIRST if last is None else last.merchant_id,
            order=FIRST if last is None else last.order_id,
            limit=BATCH,
        )

    async def expire(tx: Tx, row: Any) -> bool:
        order = await lock_order(tx, row.merchant_id, row.order_id)
        if order.state is not OrderState.PLACED or order.expires_at is None or order.expires_at > upto:
            return False  # paid meanwhile, or to be paid in cash, which it waits longer for
        await release_unpaid(tx, order, Move.EXPIRE, Party.CLOCK, reason="not paid in time")
        return True

    return await each(db, actor, "order not expired", overdue, expire)
