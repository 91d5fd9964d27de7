"""Every statement on stock.

Rows are always taken in the order of their keys, so that no two transactions wait for each other. Listings without a
row are not counted: whatever is asked of them holds.
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import ARRAY, BigInteger, Integer, TextClause, bindparam, text

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict


class Units(msgspec.Struct, frozen=True):
    """A number of units of a merchant's listing."""

    merchant_id: int
    product_id: int
    quantity: int


def _change(assignments: str) -> TextClause:
    return text(f"""
UPDATE supply.stock AS s SET {assignments}
FROM (
    SELECT t.merchant_id, t.product_id, u.quantity FROM supply.stock t
    JOIN (SELECT * FROM unnest(:merchants, :products, :quantities) AS u (merchant_id, product_id, quantity)) AS u
      ON u.merchant_id = t.merchant_id AND u.product_id = t.product_id
    ORDER BY t.merchant_id, t.product_id FOR UPDATE OF t
) AS u
WHERE s.merchant_id = u.merchant_id AND s.product_id = u.product_id
""").bindparams(
        bindparam("merchants", type_=ARRAY(BigInteger)),
        bindparam("products", type_=ARRAY(BigInteger)),
        bindparam("quantities", type_=ARRAY(Integer)),
    )


_RELEASE = _change("reserved = s.reserved - u.quantity")
_SHIP = _change("reserved = s.reserved - u.quantity, on_hand = s.on_hand - u.quantity")
_RESTOCK = _change("on_hand = s.on_hand + u.quantity")
_PROMISE = _change("reserved = s.reserved + u.quantity")
_HOLD = text("""
SELECT t.product_id, t.on_hand - t.reserved AS free, u.quantity FROM supply.stock t
JOIN (SELECT * FROM unnest(:merchants, :products, :quantities) AS u (merchant_id, product_id, quantity)) AS u
  ON u.merchant_id = t.merchant_id AND u.product_id = t.product_id
ORDER BY t.merchant_id, t.product_id FOR UPDATE OF t
""").bindparams(
    bindparam("merchants", type_=ARRAY(BigInteger)),
    bindparam("products", type_=ARRAY(BigInteger)),
    bindparam("quantities", type_=ARRAY(Integer)),
)


async def release(tx: Tx, units: Iterable[Units]) -> None:
    """Give back what was reserved for orders that will not be delivered."""
    await _run(tx, _RELEASE, units)


async def ship(tx: Tx, units: Iterable[Units]) -> None:
    """Take reserved units off the shelf."""
    await _run(tx, _SHIP, units)


async def restock(tx: Tx, units: Iterable[Units]) -> None:
    """Put units that came back on the shelf again."""
    await _run(tx, _RESTOCK, units)


async def exchange(tx: Tx, wanted: Iterable[Units], given_up: Iterable[Units] = ()) -> None:
    """Reserve units for an order that gives up others in the same step. Raises Conflict naming what is out of stock."""
    back = (Units(unit.merchant_id, unit.product_id, -unit.quantity) for unit in given_up)
    bound = _summed((*wanted, *back))
    if not bound:
        return
    for row in await tx.rows(_HOLD, **bound):
        if row.quantity > row.free:
            raise Conflict(
                f"product {row.product_id}: {row.free} units are in stock, {row.quantity} are wanted",
                product_id=row.product_id,
                in_stock=row.free,
            )
    await tx.execute(_PROMISE, bound)


async def _run(tx: Tx, statement: TextClause, units: Iterable[Units]) -> None:
    bound = _summed(units)
    if bound:
        await tx.execute(statement, bound)


def _summed(units: Iterable[Units]) -> dict[str, list[int]]:
    """The parameters of a statement: each listing once, those that nothing changes for left out; {} for none."""
    sums: dict[tuple[int, int], int] = {}
    for unit in units:
        key = (unit.merchant_id, unit.product_id)
        sums[key] = sums.get(key, 0) + unit.quantity
    changed = {key: quantity for key, quantity in sums.items() if quantity}
    if not changed:
        return {}
    return {
        "merchants": [merchant for merchant, _ in changed],
        "products": [product for _, product in changed],
        "quantities": list(changed.values()),
    }
