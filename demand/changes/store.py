"""Every statement on the queue of changed orders."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import insert

from demand.changes.tables import order_change
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id


async def note_change(tx: Tx, merchant_id: int, order_id: int) -> None:
    """An order, its lines or its refunds have changed in this transaction: figures made of it are to be made anew."""
    row = {"change_id": time_ordered_id(tx.now), "merchant_id": merchant_id, "order_id": order_id}
    await tx.execute(insert(order_change), row)


async def note_merchants(tx: Tx, merchant_ids: Iterable[int]) -> None:
    """All orders of these merchants may have changed: what comes in bulk is made anew as a whole."""
    rows = [{"change_id": time_ordered_id(tx.now), "merchant_id": each, "order_id": None} for each in merchant_ids]
    if rows:
        await tx.execute(insert(order_change), rows)


async def take_changes(tx: Tx, limit: int) -> Sequence[Any]:
    """Remove at most `limit` changes from the queue, the oldest first: (merchant_id, order_id). One at a time may."""
    return await tx.rows(
        """
        DELETE FROM demand.order_change WHERE (change_id, merchant_id) IN (
            SELECT change_id, merchant_id FROM demand.order_change ORDER BY change_id, merchant_id LIMIT :limit)
        RETURNING merchant_id, order_id
        """,
        limit=limit,
    )
