"""Every statement on stock.

Rows are always taken in the order of their keys, so that no two transactions wait for each other. Listings without a
row are not counted: whatever is asked of them holds.
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import ARRAY, BigInteger, Integer, TextClause, bindparam, text

from marketplace.core.db import Tx


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


async def release(tx: Tx, units: Iterable[Units]) -> None:
    """Give back what was reserved for orders that will not be delivered."""
    await _run(tx, _RELEASE, units)


async def ship(tx: Tx, units: Iterable[Units]) -> None:
    """Take reserved units off the shelf."""
    await _run(tx, _SHIP, units)


async def restock(tx: Tx, units: Iterable[Units]) -> None:
    """Put units that came back on the shelf again."""
    await _run(tx, _RESTOCK, units)


async def _run(tx: Tx, statement: TextClause, units: Iterable[Units]) -> None:
    sums: dict[tuple[int, int], int] = {}
    for unit in units:
        key = (unit.merchant_id, unit.product_id)
        sums[key] = sums.get(key, 0) + unit.quantity
    if sums:
        bound = {
            "merchants": [merchant for merchant, _ in sums],
            "products": [product for _, product in sums],
            "quantities": list(sums.values()),
        }
        await tx.execute(statement, bound)
