"""What a merchant sells, on pages: its listings with the units of each, filtered, sorted, a page at a time or all."""

from collections.abc import Sequence

import msgspec

from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core.db import Tx
from supply.listings import store
from supply.model import CategoryName, Listing, ListingState, StockMovement
from supply.stock import store as stock

MOVEMENTS_MAX = 20
CATEGORIES_MAX = 1_000

LISTINGS = Roll(
    name="listings",
    first="-updated_at",
    key=("product_id",),
    columns=(
        Column("sku", "listing.sku", shown=Shown.IN_FILES, empty=True),
        Column("title", "listing.title"),
        Column("category", "listing.category", empty=True),
        Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
        Column("state", "col.state"),
        Column("price_minor", "listing.price", Kind.MONEY),
        Column("freight_minor", "listing.freight", Kind.MONEY),
        Column("on_hand", "listing.on_hand", Kind.NUMBER, empty=True),
        Column("free", "listing.free", Kind.NUMBER, empty=True),
        Column("updated_at", "listing.changed", Kind.INSTANT),
    ),
    query="""
SELECT o.merchant_id, o.product_id, o.sku, o.title, o.category, o.currency, o.price_minor, o.freight_minor, o.state,
       o.updated_at, s.on_hand, s.reserved, s.on_hand - s.reserved AS free
FROM supply.offer o
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
WHERE o.merchant_id = :merchant
  AND (CAST(:state AS text) IS NULL OR o.state = :state)
  AND (:search = '' OR strpos(lower(coalesce(o.sku, '') || ' ' || o.title), :search) > 0)
""",
)
"""Nothing is said of the units of what is not counted."""


class ListingFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which listings: in `state`, with the words of `search` in SKU or title; None and "" leave a side open."""

    state: ListingState | None = None
    search: str = ""


class ListingsPage(msgspec.Struct, frozen=True):
    """Which listings are wanted, and the names of categories that a new one may be given."""

    merchant: Merchant
    wanted: ListingFilter
    categories: Sequence[CategoryName]


class ListingPage(msgspec.Struct, frozen=True):
    """One listing, and what the merchant itself did to its stock, the newest first. version: of the stock."""

    merchant: Merchant
    listing: Listing
    version: int
    movements: Sequence[StockMovement]
    categories: Sequence[CategoryName]


async def listings_page(tx: Tx, merchant_id: int, wanted: ListingFilter) -> ListingsPage:
    """Raises NotFound."""
    return ListingsPage(
        merchant=await get_merchant(tx, merchant_id),
        wanted=wanted,
        categories=await store.list_categories(tx, limit=CATEGORIES_MAX),
    )


async def listing_page(tx: Tx, merchant_id: int, product_id: int) -> ListingPage:
    """Raises NotFound."""
    return ListingPage(
        merchant=await get_merchant(tx, merchant_id),
        listing=await store.get_listing(tx, merchant_id, product_id),
        version=(await stock.get_stock(tx, merchant_id, product_id)).version,
        movements=await stock.list_movements(tx, merchant_id, product_id, limit=MOVEMENTS_MAX),
        categories=await store.list_categories(tx, limit=CATEGORIES_MAX),
    )
