"""Every statement on stock.

Listings that are not counted come first, then rows of stock, each in the order of their keys, so that no two
transactions wait for each other. Listings without a row are not counted: whatever is asked of them holds.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, TextClause, bindparam, insert, text

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from supply.model import Stock, StockMovement
from supply.tables import stock_movement

ON_HAND_MAX = 2**31 - 1


class Units(msgspec.Struct, frozen=True):
    """A number of units of a merchant's listing."""

    merchant_id: int
    product_id: int
    quantity: int


# Row by row, by its whole key: what a cluster can send to the shard it belongs to.
_FORM = "UPDATE supply.stock SET {} WHERE merchant_id = :merchant AND product_id = :product"
_RELEASE = text(_FORM.format("reserved = reserved - :quantity"))
_SHIP = text(_FORM.format("reserved = reserved - :quantity, on_hand = on_hand - :quantity"))
_PROMISE = text(_FORM.format("reserved = reserved + :quantity") + " AND on_hand - reserved >= :quantity")
_FREE = text("SELECT on_hand - reserved FROM supply.stock WHERE merchant_id = :merchant AND product_id = :product")
_RESTOCK = text(_FORM.format("on_hand = on_hand + :quantity"))
_HOLD_UNCOUNTED = text("""
SELECT product_id FROM supply.offer
WHERE merchant_id = :merchant AND product_id = ANY(:products) AND NOT counted ORDER BY product_id FOR SHARE
""").bindparams(bindparam("products", type_=ARRAY(BigInteger)))


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
    sums = _summed((*wanted, *back))
    uncounted = await _hold_uncounted(tx, sums)
    for key, quantity in sums:
        if key in uncounted:
            continue
        bound = {"merchant": key[0], "product": key[1], "quantity": quantity}
        if (await tx.execute(_PROMISE, bound)).rowcount:
            continue
        free = await tx.scalar(_FREE, merchant=key[0], product=key[1])
        if free is not None:
            raise Conflict(
                f"product {key[1]}: {free} units are in stock, {quantity} are wanted", product_id=key[1], in_stock=free
            )
        if quantity > 0:
            raise Conflict(f"product {key[1]} has just ceased to be counted: try again", product_id=key[1])


async def _run(tx: Tx, statement: TextClause, units: Iterable[Units]) -> None:
    sums = _summed(units)
    uncounted = await _hold_uncounted(tx, sums)
    rows = [
        {"merchant": key[0], "product": key[1], "quantity": quantity} for key, quantity in sums if key not in uncounted
    ]
    if rows:
        await tx.execute(statement, rows)


async def _hold_uncounted(tx: Tx, sums: Iterable[tuple[tuple[int, int], int]]) -> set[tuple[int, int]]:
    """Those of the listings that are not counted, and will not be until the transaction ends.

    One whose count begins just now is waited for: then it is counted, and its stock is there for the next statement.
    """
    products: dict[int, list[int]] = {}
    for (merchant_id, product_id), _ in sums:
        products.setdefault(merchant_id, []).append(product_id)
    return {
        (merchant_id, row.product_id)
        for merchant_id in products
        for row in await tx.rows(_HOLD_UNCOUNTED, merchant=merchant_id, products=products[merchant_id])
    }


def _summed(units: Iterable[Units]) -> list[tuple[tuple[int, int], int]]:
    """Each listing once, in the order of its key; those that nothing changes for are left out."""
    sums: dict[tuple[int, int], int] = {}
    for unit in units:
        key = (unit.merchant_id, unit.product_id)
        sums[key] = sums.get(key, 0) + unit.quantity
    return [(key, sums[key]) for key in sorted(sums) if sums[key]]


_MOVEMENT_COLUMNS = ", ".join(StockMovement.__struct_fields__)
# A listing that is not counted has the version of its last movement, so that its version never comes a second time.
_STOCK = """
SELECT o.merchant_id, o.product_id, o.sku, o.title, s.on_hand, coalesce(s.reserved, 0) AS reserved,
       greatest(coalesce(s.version, 0), coalesce(m.movement_no, 0)) AS version
FROM supply.offer o
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
LEFT JOIN LATERAL (
    SELECT max(movement_no) AS movement_no FROM supply.stock_movement m
    WHERE m.merchant_id = o.merchant_id AND m.product_id = o.product_id
) AS m ON true
WHERE o.merchant_id = :merchant
"""


async def get_stock(tx: Tx, merchant_id: int, product_id: int) -> Stock:
    """How many units of a listing there are. Raises NotFound."""
    row = await tx.row(f"{_STOCK} AND o.product_id = :product", merchant=merchant_id, product=product_id)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no listing {product_id}")
    return Stock(**row._mapping)


async def hold_listing(tx: Tx, merchant_id: int, product_id: int) -> None:
    """Hold a listing, before its stock, to begin or end its count: who promises or ships uncounted units waits."""
    await tx.execute(
        "SELECT FROM supply.offer WHERE merchant_id = :merchant AND product_id = :product FOR NO KEY UPDATE",
        {"merchant": merchant_id, "product": product_id},
    )


async def lock_stock(tx: Tx, merchant_id: int, product_id: int) -> Stock:
    """The units of a listing, held until the transaction ends. Raises NotFound."""
    await tx.execute(
        "SELECT FROM supply.stock WHERE merchant_id = :merchant AND product_id = :product FOR UPDATE",
        {"merchant": merchant_id, "product": product_id},
    )
    return await get_stock(tx, merchant_id, product_id)


async def list_stock(tx: Tx, merchant_id: int, *, limit: int, after: int | None = None) -> Sequence[Stock]:
    """At most `limit` listings of a merchant with their units, by product, those behind the product `after`."""
    rows = await tx.rows(
        f"{_STOCK} AND (CAST(:after AS bigint) IS NULL OR o.product_id > :after) ORDER BY o.product_id LIMIT :limit",
        merchant=merchant_id,
        after=after,
        limit=limit,
    )
    return [Stock(**row._mapping) for row in rows]


async def list_movements(
    tx: Tx, merchant_id: int, product_id: int, *, limit: int, before: int | None = None
) -> Sequence[StockMovement]:
    """At most `limit` of the merchant's own changes of a listing's stock, the newest first, those before `before`."""
    rows = await tx.rows(
        f"SELECT {_MOVEMENT_COLUMNS} FROM supply.stock_movement WHERE merchant_id = :merchant"
        " AND product_id = :product AND (CAST(:before AS integer) IS NULL OR movement_no < :before)"
        " ORDER BY movement_no DESC LIMIT :limit",
        merchant=merchant_id,
        product=product_id,
        before=before,
        limit=limit,
    )
    return [StockMovement(**row._mapping) for row in rows]


async def begin_counting(tx: Tx, now: Stock, on_hand: int, *, reserved: int, reason: str) -> Stock:
    """Count a held listing that was sold uncounted, of which `reserved` units are promised to open orders.

    Raises Conflict when fewer are on hand than are promised.
    """
    _check_covers(on_hand, reserved)
    row = {"merchant": now.merchant_id, "product": now.product_id, "on_hand": on_hand, "reserved": reserved}
    await _set_counted(tx, now, counted=True)
    await tx.execute(
        """
        INSERT INTO supply.stock (merchant_id, product_id, on_hand, reserved, version)
        VALUES (:merchant, :product, :on_hand, :reserved, :version)
        """,
        {**row, "version": now.version + 1},
    )
    return await _moved(tx, now, "counted", on_hand, reason)


async def set_on_hand(tx: Tx, now: Stock, on_hand: int, *, kind: str, reason: str) -> Stock:
    """Say how many units of a locked, counted listing are on the shelf.

    Raises Conflict naming both when that is fewer than are promised to open orders.
    """
    assert now.on_hand is not None
    _check_covers(on_hand, now.reserved)
    await tx.execute(
        """
        UPDATE supply.stock SET on_hand = :on_hand, version = :version
        WHERE merchant_id = :merchant AND product_id = :product
        """,
        {"merchant": now.merchant_id, "product": now.product_id, "on_hand": on_hand, "version": now.version + 1},
    )
    return await _moved(tx, now, kind, on_hand - now.on_hand, reason)


async def adjust(tx: Tx, merchant_id: int, product_id: int, delta: int, reason: str) -> Stock:
    """Add units that were found or take off units that are gone.

    Raises NotFound; Conflict for a listing that is not counted, or naming what is on hand and what is reserved when
    fewer would be left than are promised; Invalid for more than can be counted.
    """
    now = await lock_stock(tx, merchant_id, product_id)
    if now.on_hand is None:
        raise Conflict(f"listing {product_id} is sold uncounted: there is nothing to adjust")
    if now.on_hand + delta > ON_HAND_MAX:
        raise Invalid(f"delta: more than {ON_HAND_MAX} units cannot be counted", pointer="/delta")
    return await set_on_hand(tx, now, now.on_hand + delta, kind="adjusted", reason=reason)


async def end_counting(tx: Tx, now: Stock, *, reason: str) -> Stock:
    """Sell a held listing uncounted from now on. Raises Conflict while units are promised to open orders."""
    assert now.on_hand is not None
    if now.reserved:
        raise Conflict(
            f"on_hand: {now.reserved} units are reserved for open orders; a listing stays counted until they are"
            " shipped or cancelled",
            on_hand=now.on_hand,
            reserved=now.reserved,
        )
    await _set_counted(tx, now, counted=False)
    await tx.execute(
        "DELETE FROM supply.stock WHERE merchant_id = :merchant AND product_id = :product",
        {"merchant": now.merchant_id, "product": now.product_id},
    )
    return await _moved(tx, now, "uncounted", -now.on_hand, reason)


async def _set_counted(tx: Tx, now: Stock, *, counted: bool) -> None:
    await tx.execute(
        "UPDATE supply.offer SET counted = :counted WHERE merchant_id = :merchant AND product_id = :product",
        {"merchant": now.merchant_id, "product": now.product_id, "counted": counted},
    )


def _check_covers(on_hand: int, reserved: int) -> None:
    if on_hand < reserved:
        raise Conflict(
            f"on_hand: {on_hand} units would be on hand, and {reserved} are reserved for open orders",
            on_hand=on_hand,
            reserved=reserved,
        )


async def _moved(tx: Tx, before: Stock, kind: str, delta: int, reason: str) -> Stock:
    now = await get_stock(tx, before.merchant_id, before.product_id)
    row: dict[str, Any] = {"merchant_id": now.merchant_id, "product_id": now.product_id}
    row |= {"movement_no": before.version + 1}
    row |= {"kind": kind, "delta": delta, "on_hand": now.on_hand, "reserved": now.reserved, "reason": reason}
    await tx.execute(insert(stock_movement), {**row, "at": tx.now, "actor": tx.actor})
    return msgspec.structs.replace(now, version=before.version + 1)
