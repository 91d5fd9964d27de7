"""Begin, correct and end the counting of a listing's units, next to buyers who are placing orders for it."""

from sqlalchemy.exc import DBAPIError

from marketplace.core import audit
from marketplace.core.db import Tx, sqlstate
from marketplace.core.errors import Conflict
from supply.model import Stock
from supply.stock import store
from supply.store import lock_merchant

PATIENCE = "2s"
"""How long a count waits for orders that are being written for goods that are not counted yet."""

_LOCK_NOT_AVAILABLE = "55P03"


async def hold_stock(tx: Tx, merchant_id: int, product_id: int) -> Stock:
    """The units of a listing, held, ready for `count_stock` to say how many there are. Raises NotFound, Conflict.

    Whoever promises or ships units of a listing that is not counted holds the listing meanwhile. So the listing goes
    first: what is on its way has committed before the promises are summed up, and what comes later waits and finds
    the listing counted. It gives up rather than wait behind a long import.
    """
    await lock_merchant(tx, merchant_id)
    await _hold_listing(tx, merchant_id, product_id)
    return await store.lock_stock(tx, merchant_id, product_id)


async def _hold_listing(tx: Tx, merchant_id: int, product_id: int) -> None:
    try:
        await tx.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        await store.hold_listing(tx, merchant_id, product_id)
        await tx.execute("SET LOCAL lock_timeout = 0")
    except DBAPIError as fault:
        if sqlstate(fault) != _LOCK_NOT_AVAILABLE:
            raise
        raise Conflict("orders for it are being written just now: count it a little later") from fault


async def count_stock(tx: Tx, now: Stock, on_hand: int | None, reason: str) -> Stock:
    """Say how many units of a held listing are on the shelf, promised ones included; None: sell it uncounted.

    Where counting begins, the units that open orders and unpaid amendments still wait for are reserved at once. Raises
    Conflict when fewer are on hand than are promised, and for ending it while any are.
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


PROMISES = """
SELECT l.merchant_id, l.product_id, l.quantity - l.cancelled_quantity - l.shipped_quantity AS units
FROM demand.merchant_order o
JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
WHERE o.state IN ('placed', 'paid', 'accepted', 'fulfilling', 'partly_delivered')
UNION ALL
SELECT a.merchant_id, CAST(added ->> 'product_id' AS bigint), CAST(added ->> 'quantity' AS integer)
FROM demand.amendment a, jsonb_array_elements(a.changes -> 'priced' -> 'added') AS added
WHERE a.state = 'awaiting_payment'
"""
"""Units that are promised and have not left: of open orders, and of amendments that are accepted and not paid yet."""

_PROMISED = f"""
SELECT coalesce(sum(units), 0) FROM ({PROMISES}) AS promised WHERE merchant_id = :merchant AND product_id = :product
"""
