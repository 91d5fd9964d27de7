"""Begin, correct and end the counting of a listing's units, next to buyers who are placing orders for it."""

from sqlalchemy.exc import DBAPIError

from marketplace.core import audit
from marketplace.core.db import Tx, sqlstate
from marketplace.core.errors import Conflict
from supply.model import Stock
from supply.stock import store
from supply.store import lock_merchant

PATIENCE = "2s"
"""How long the beginning of a count waits for orders that are being written; buyers wait behind it meanwhile."""

_LOCK_NOT_AVAILABLE = "55P03"


async def hold_stock(tx: Tx, merchant_id: int, product_id: int, on_hand: int | None) -> Stock:
    """The units of a listing, held, ready for `count_stock` to say how many there are. Raises NotFound, Conflict.

    Where counting begins, nobody may be placing or shipping an order: what is promised has to be summed up over all
    open orders, and one that is on its way and has looked for the stock before the row was there would be missing. So
    that goes first, before any row is held, and gives up rather than keep buyers waiting behind a long import.
    """
    begins = on_hand is not None and (await store.get_stock(tx, merchant_id, product_id)).on_hand is None
    if begins:
        await _hold_orders(tx)
    await lock_merchant(tx, merchant_id)
    now = await store.lock_stock(tx, merchant_id, product_id)
    if on_hand is not None and now.on_hand is None and not begins:
        raise Conflict(f"listing {product_id} has just ceased to be counted: read it again")
    return now


async def _hold_orders(tx: Tx) -> None:
    try:
        await tx.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        await tx.execute("LOCK TABLE demand.order_line IN SHARE MODE")
        await tx.execute("SET LOCAL lock_timeout = 0")
    except DBAPIError as fault:
        if sqlstate(fault) != _LOCK_NOT_AVAILABLE:
            raise
        raise Conflict("orders are being written in bulk just now: begin counting a little later") from fault


async def count_stock(tx: Tx, now: Stock, on_hand: int | None, reason: str) -> Stock:
    """Say how many units of a held listing are on the shelf, promised ones included; None: sell it uncounted.

    Where counting begins, the units that open orders still wait for are reserved at once. Raises Conflict when fewer
    are on hand than are promised, and for ending it while any are.
    """
    if on_hand is None:
        counted = now if now.on_hand is None else await store.end_counting(tx, now, reason=reason)
    elif now.on_hand is None:
        promised = await tx.scalar(_PROMISED, merchant=now.merchant_id, product=now.product_id)
        counted = await store.begin_counting(tx, now, on_hand, reserved=promised, reason=reason)
    else:
        counted = await store.set_on_hand(tx, now, on_hand, kind="counted", reason=reason)
    subject = f"listing:{now.merchant_id}/{now.product_id}"
    await audit.record(tx, "stock counted", subject, on_hand=on_hand, before=now.on_hand, reason=reason)
    return counted


_PROMISED = """
SELECT coalesce(sum(l.quantity - l.cancelled_quantity - l.shipped_quantity), 0)
FROM demand.merchant_order o
JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
WHERE o.merchant_id = :merchant AND l.product_id = :product
  AND o.state IN ('placed', 'paid', 'accepted', 'fulfilling', 'partly_delivered')
"""
