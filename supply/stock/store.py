"""Every statement on stock.

Rows are always taken in the order of their keys, so that no two transactions wait for each other. Listings without a
row are not counted: whatever is asked of them holds.
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import TextClause, text

from marketplace.core.db import Tx


class Units(msgspec.Struct, frozen=True):
    """A number of units of a merchant's listing."""

    merchant_id: int
    product_id: int
    quantity: int


# Row by row, by its whole key: what a cluster can send to the shard it belongs to.
_FORM = "UPDATE supply.stock SET {} WHERE merchant_id = :merchant AND product_id = :product"
_RELEASE = text(_FORM.format("reserved = reserved - :quantity"))
_SHIP = text(_FORM.format("reserved = reserved - :quantity, on_hand = on_hand - :quantity"))
_RESTOCK = text(_FORM.format("on_hand = on_hand + :quantity"))


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
        rows = [{"merchant": key[0], "product": key[1], "quantity": sums[key]} for key in sorted(sums)]
        await tx.execute(statement, rows)
