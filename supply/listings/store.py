"""Every statement on listings."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, insert, text
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from supply.model import CategoryName, Listing, ListingState, Merchant, MerchantState, Offered
from supply.tables import offer, product, stock, stock_movement

_SELECT = """
SELECT o.merchant_id, o.product_id, o.sku, o.title, o.category, o.currency, o.price_minor, o.freight_minor, o.state,
       o.updated_at, o.version, s.on_hand, s.reserved
FROM supply.offer o
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
WHERE o.merchant_id = :merchant"""


def _listing(row: Any) -> Listing:
    return Listing(**{**row._mapping, "state": ListingState(row.state)})


async def get_listing(tx: Tx, merchant_id: int, product_id: int, *, lock: bool = False) -> Listing:
    """A merchant's listing, held until the transaction ends when `lock` is asked for. Raises NotFound."""
    held = " FOR NO KEY UPDATE OF o" if lock else ""
    row = await tx.row(f"{_SELECT} AND o.product_id = :product{held}", merchant=merchant_id, product=product_id)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no listing {product_id}")
    return _listing(row)


async def list_listings(
    tx: Tx,
    merchant_id: int,
    *,
    state: ListingState | None = None,
    sku_prefix: str | None = None,
    limit: int,
    after: int | None = None,
) -> Sequence[Listing]:
    """At most `limit` listings of a merchant by product, those behind the product `after`."""
    rows = await tx.rows(
        f"""{_SELECT} AND (CAST(:state AS text) IS NULL OR o.state = :state)
            AND (CAST(:prefix AS text) IS NULL OR starts_with(o.sku, :prefix))
            AND (CAST(:after AS bigint) IS NULL OR o.product_id > :after) ORDER BY o.product_id LIMIT :limit""",
        merchant=merchant_id,
        state=state,
        prefix=sku_prefix,
        after=after,
        limit=limit,
    )
    return [_listing(row) for row in rows]


async def list_offered(
    tx: Tx,
    *,
    merchant_id: int | None = None,
    category: str | None = None,
    title_prefix: str | None = None,
    limit: int,
    after: tuple[int, int] | None = None,
) -> Sequence[Offered]:
    """At most `limit` listings that can be bought, those behind (merchant_id, product_id): listed, of live merchants.

    title_prefix: how the title begins, in capitals or not.
    """
    wanted = ["o.state = 'listed'", "m.state = 'live'"]
    bound: dict[str, Any] = {"limit": limit}
    for condition, name, value in (
        ("o.merchant_id = :merchant", "merchant", merchant_id),
        ("o.category = :category", "category", category),
        ("starts_with(lower(o.title), lower(:prefix))", "prefix", title_prefix),
    ):
        if value is not None:
            wanted.append(condition)
            bound[name] = value
    if after is not None:
        wanted.append("(o.merchant_id, o.product_id) > (:after_merchant, :after_product)")
        bound |= {"after_merchant": after[0], "after_product": after[1]}
    rows = await tx.rows(
        f"""
        SELECT o.merchant_id, m.name AS merchant_name, o.product_id, o.title, o.category, o.currency, o.price_minor,
               o.freight_minor, CASE WHEN o.counted THEN s.on_hand - s.reserved END AS free, o.updated_at
        FROM supply.offer o
        JOIN supply.merchant m ON m.merchant_id = o.merchant_id
        LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
        WHERE {" AND ".join(wanted)} ORDER BY o.merchant_id, o.product_id LIMIT :limit
        """,
        **bound,
    )
    return [Offered(**row._mapping) for row in rows]


_BY_SKU = text(f"{_SELECT} AND o.sku = ANY(:skus) ORDER BY o.product_id FOR NO KEY UPDATE OF o").bindparams(
    bindparam("skus", type_=ARRAY(Text))
)
_CATEGORIES = text("SELECT category FROM supply.category WHERE category = ANY(:names)").bindparams(
    bindparam("names", type_=ARRAY(Text))
)


async def find_by_sku(tx: Tx, merchant_id: int, skus: Sequence[str]) -> dict[str, Listing]:
    """Those of a merchant's listings that have one of these SKUs, held: listings come before stock."""
    listings = [_listing(row) for row in await tx.rows(_BY_SKU, merchant=merchant_id, skus=list(skus))]
    return {listing.sku: listing for listing in listings if listing.sku is not None}


async def list_categories(tx: Tx, *, limit: int, after: str = "") -> list[CategoryName]:
    """At most `limit` categories by name, those behind `after`."""
    rows = await tx.rows(
        "SELECT category, name_en FROM supply.category WHERE category > :after ORDER BY category LIMIT :limit",
        after=after,
        limit=limit,
    )
    return [CategoryName(**row._mapping) for row in rows]


async def known_categories(tx: Tx, names: Sequence[str]) -> set[str]:
    """Which of these categories there are."""
    return {row.category for row in await tx.rows(_CATEGORIES, names=list(names))}


_TOLD = ("sku", "title", "category", "currency", "price_minor", "freight_minor", "state")


async def add_listings(tx: Tx, merchant: Merchant, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """List new goods of a merchant that is held, each a product of its own; returns their product ids.

    Rows have the columns of an offer, and on_hand: None for goods that are sold uncounted. Raises Conflict when
    products of such names exist already.
    """
    ids = [time_ordered_id(tx.now) for _ in rows]
    products, offers, counted, moved = [], [], [], []
    for product_id, row in zip(ids, rows, strict=True):
        key = {"merchant_id": merchant.merchant_id, "product_id": product_id}
        ref = f"{merchant.merchant_ref}/{row['sku']}"
        products.append({"product_id": product_id, "product_ref": ref, "category": row["category"]})
        told = {name: row[name] for name in _TOLD}
        is_sold = row["state"] == ListingState.LISTED and merchant.state is MerchantState.LIVE
        listed_at = tx.now if is_sold else None
        more = {"counted": row["on_hand"] is not None, "updated_at": tx.now, "listed_at": listed_at}
        offers.append({**key, **told, **more})
        if row["on_hand"] is not None:
            counted.append({**key, "on_hand": row["on_hand"]})
            movement = {**key, "movement_no": 1, "kind": "counted", "delta": row["on_hand"], "on_hand": row["on_hand"]}
            moved.append({**movement, "reserved": 0, "reason": "listed", "at": tx.now, "actor": tx.actor})
    try:
        await tx.execute(insert(product), products)
        await tx.execute(insert(offer), offers)
    except IntegrityError as fault:
        raise Conflict("sku: a product of that name exists already") from fault
    if counted:
        await tx.execute(insert(stock), counted)
        await tx.execute(insert(stock_movement), moved)
    return ids


async def edit_listings(tx: Tx, merchant_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rewrite listings that are held, each row with its product_id."""
    await tx.execute(
        """
        UPDATE supply.offer SET title = :title, category = :category, price_minor = :price_minor,
               freight_minor = :freight_minor, state = :state, updated_at = :now, version = version + 1,
               listed_at = coalesce(listed_at, CASE WHEN :state = 'listed' AND EXISTS (
                   SELECT FROM supply.merchant WHERE merchant_id = :merchant AND state = 'live'
               ) THEN CAST(:now AS timestamptz) END)
        WHERE merchant_id = :merchant AND product_id = :product_id
        """,
        [{**row, "merchant": merchant_id, "now": tx.now} for row in rows],
    )


async def publish_listings(tx: Tx, merchant_id: int) -> list[int]:
    """A held merchant is live: its listings can be bought; the product ids of those that never could before."""
    rows = await tx.rows(
        """
        UPDATE supply.offer SET listed_at = :now
        WHERE merchant_id = :merchant AND state = 'listed' AND listed_at IS NULL RETURNING product_id
        """,
        merchant=merchant_id,
        now=tx.now,
    )
    return [row.product_id for row in rows]
