"""What a merchant sells, on pages: its listings with the units of each, filtered, sorted, a page at a time or all."""

from collections.abc import Sequence

import msgspec

from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.lists import Sort
from marketplace.core.db import Tx
from supply.listings import store
from supply.model import CategoryName, Listing, ListingState, StockMovement
from supply.stock import store as stock

LISTED_MAX = 50
EXPORTED_MAX = 20_000
MOVEMENTS_MAX = 20
CATEGORIES_MAX = 1_000

SORTS = {"title": "{o}.title", "price": "{o}.price_minor", "changed": "{o}.updated_at"}
"""What the list can be sorted by, and the column behind it."""


class ListingFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which listings: in `state`, with the words of `search` in SKU or title; None and "" leave a side open."""

    state: ListingState | None = None
    search: str = ""


class ListingsPage(msgspec.Struct, frozen=True):
    """Listings with their units, and the names a new one may be given. `older` is the key of the next page."""

    merchant: Merchant
    wanted: ListingFilter
    rows: Sequence[Listing]
    older: int | None
    categories: Sequence[CategoryName]


class ListingPage(msgspec.Struct, frozen=True):
    """One listing, and what the merchant itself did to its stock, the newest first. version: of the stock."""

    merchant: Merchant
    listing: Listing
    version: int
    movements: Sequence[StockMovement]
    categories: Sequence[CategoryName]


async def listings_page(
    tx: Tx, merchant_id: int, wanted: ListingFilter, sort: Sort, before: int | None
) -> ListingsPage:
    """One page of listings, those behind the product `before` in the sort's order. Raises NotFound."""
    rows = await _listings(tx, merchant_id, wanted, sort, before, LISTED_MAX + 1)
    return ListingsPage(
        merchant=await get_merchant(tx, merchant_id),
        wanted=wanted,
        rows=rows[:LISTED_MAX],
        older=rows[LISTED_MAX - 1].product_id if len(rows) > LISTED_MAX else None,
        categories=await store.list_categories(tx, limit=CATEGORIES_MAX),
    )


async def all_listings(tx: Tx, merchant_id: int, wanted: ListingFilter, sort: Sort) -> list[Listing]:
    """Every listing that the list shows; one more than EXPORTED_MAX says that there are more."""
    return await _listings(tx, merchant_id, wanted, sort, None, EXPORTED_MAX + 1)


async def listing_page(tx: Tx, merchant_id: int, product_id: int) -> ListingPage:
    """Raises NotFound."""
    return ListingPage(
        merchant=await get_merchant(tx, merchant_id),
        listing=await store.get_listing(tx, merchant_id, product_id),
        version=(await stock.get_stock(tx, merchant_id, product_id)).version,
        movements=await stock.list_movements(tx, merchant_id, product_id, limit=MOVEMENTS_MAX),
        categories=await store.list_categories(tx, limit=CATEGORIES_MAX),
    )


async def _listings(
    tx: Tx, merchant_id: int, wanted: ListingFilter, sort: Sort, before: int | None, limit: int
) -> list[Listing]:
    by = SORTS[sort.key]
    rows = await tx.rows(
        _LISTINGS.format(
            by=by.format(o="o"), by_last=by.format(o="b"), direction=sort.sql, beyond="<" if sort.falling else ">"
        ),
        merchant=merchant_id,
        state=wanted.state,
        search=wanted.search.lower(),
        before=before,
        limit=limit,
    )
    return [Listing(**{**row._mapping, "state": ListingState(row.state)}) for row in rows]


_LISTINGS = """
SELECT o.merchant_id, o.product_id, o.sku, o.title, o.category, o.currency, o.price_minor, o.freight_minor, o.state,
       o.updated_at, o.version, s.on_hand, s.reserved
FROM supply.offer o
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
WHERE o.merchant_id = :merchant
  AND (CAST(:state AS text) IS NULL OR o.state = :state)
  AND (:search = '' OR strpos(lower(coalesce(o.sku, '') || ' ' || o.title), :search) > 0)
  AND (CAST(:before AS bigint) IS NULL OR ({by}, o.product_id) {beyond} (
      SELECT {by_last}, b.product_id FROM supply.offer b WHERE b.merchant_id = :merchant AND b.product_id = :before))
ORDER BY {by} {direction}, o.product_id {direction} LIMIT :limit
"""
