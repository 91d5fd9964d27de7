"""What merchants sell, and how many units of it there are."""

from typing import Annotated

import msgspec
from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core import audit
from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.orders import count_stock as counting
from marketplace.flows.orders import list_goods as flow
from marketplace.flows.orders.list_goods import ROWS_MAX, Goods, GoodsChange, Listed
from marketplace.routes.fields import Currency, Minor, Name, Note, Reason, Reference, Sku, Units
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import MERCHANT, MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.listings import store
from supply.model import Listing, ListingState, Stock, StockMovement
from supply.stock import store as stock
from supply.store import get_merchant

InState = Annotated[ListingState | None, QueryParameter(name="state")]
SkuPrefix = Annotated[
    str | None, QueryParameter(name="sku", max_length=100, pattern=r"^[^\x00]*$", description="How the SKU begins.")
]


class GoodsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """currency: the merchant sells in its entity's, so it may be left out. on_hand null: sold uncounted."""

    sku: Sku
    title: Name
    price_minor: Minor
    freight_minor: Minor = 0
    category: Reference | None = None
    currency: Currency | None = None
    on_hand: Units | None = None
    state: ListingState = ListingState.LISTED


class GoodsRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All are listed or none. on_hand null of a listing that is known leaves its stock alone."""

    rows: Annotated[list[GoodsBody], msgspec.Meta(min_length=1, max_length=ROWS_MAX)]


class ListingChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    title: Name | None = None
    category: Reference | None = None
    price_minor: Minor | None = None
    freight_minor: Minor | None = None
    state: ListingState | None = None


class StockCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """on_hand: units on the shelf, those promised to open orders included; null: sell it uncounted."""

    on_hand: Units | None
    reason: Note = ""


class StockAdjustment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """delta: units that were found, or below zero units that are gone."""

    delta: Annotated[int, msgspec.Meta(ge=-(2**31 - 1), le=2**31 - 1)]
    reason: Reason


def _goods(body: GoodsBody) -> Goods:
    return Goods(**msgspec.structs.asdict(body))


@post(
    "/merchants/{merchant_id:int}/listings",
    dto=StrictBody[GoodsBody],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=201,
    opt=ONCE,
)
async def add_listing(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[GoodsBody]
) -> Response[Listing]:
    """List something for sale."""
    check_books(request.user, merchant_id)
    return await once(request, db, flow.list_goods, merchant_id, _goods(data))


@post(
    "/merchants/{merchant_id:int}/listings/bulk",
    dto=StrictBody[GoodsRows],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def add_listings(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[GoodsRows]
) -> Response[Listed]:
    """List what is new and rewrite what is listed already, by SKU; when a row is wrong, none is, and all are named."""
    check_books(request.user, merchant_id)
    return await once(request, db, flow.list_goods_in_bulk, merchant_id, [_goods(row) for row in data.rows])


@get("/merchants/{merchant_id:int}/listings", guards=[needs(STAFF, MERCHANT)])
async def list_listings(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    in_state: InState = None,
    sku_prefix: SkuPrefix = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Listing]:
    """A merchant's listings."""
    check_books(request.user, merchant_id)
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.list_listings(
            tx, merchant_id, state=in_state, sku_prefix=sku_prefix, limit=limit + 1, after=after
        )
    return page(rows, limit, lambda row: row, lambda row: (row.product_id,))


@get("/merchants/{merchant_id:int}/listings/{product_id:int}", guards=[needs(STAFF, MERCHANT)])
async def get_listing(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, product_id: PathId
) -> Response[Listing]:
    """One listing."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        listing = await store.get_listing(tx, merchant_id, product_id)
    return tagged(listing, listing.version)


@patch(
    "/merchants/{merchant_id:int}/listings/{product_id:int}",
    dto=StrictBody[ListingChange],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    opt=versioned(),
)
async def edit_listing(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    product_id: PathId,
    data: JSONBody[ListingChange],
) -> Response[Listing]:
    """Change a listing; orders that were placed keep the price they were placed at."""
    check_books(request.user, merchant_id)

    async def change(tx: Tx, now: Listing) -> Listing:
        return await flow.edit_listing(tx, now, GoodsChange(**msgspec.structs.asdict(data)))

    return await edited(request, db, lambda tx: flow.hold_listing(tx, merchant_id, product_id), change)


@get("/merchants/{merchant_id:int}/stock", guards=[needs(STAFF, MERCHANT)])
async def list_stock(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Stock]:
    """Units on the shelf and promised, of every listing."""
    check_books(request.user, merchant_id)
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await stock.list_stock(tx, merchant_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.product_id,))


@get("/merchants/{merchant_id:int}/listings/{product_id:int}/stock", guards=[needs(STAFF, MERCHANT)])
async def get_stock(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, product_id: PathId
) -> Response[Stock]:
    """Units of one listing. Its ETag counts the merchant's own changes, not what orders take."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await stock.get_stock(tx, merchant_id, product_id)
    return tagged(found, found.version)


@put(
    "/merchants/{merchant_id:int}/listings/{product_id:int}/stock",
    dto=StrictBody[StockCount],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    opt=versioned(),
)
async def count_stock(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    product_id: PathId,
    data: JSONBody[StockCount],
) -> Response[Stock]:
    """Say how many units there are, begin counting them, or (null) cease to."""
    check_books(request.user, merchant_id)

    async def change(tx: Tx, now: Stock) -> Stock:
        return await counting.count_stock(tx, now, data.on_hand, data.reason)

    return await edited(request, db, lambda tx: counting.hold_stock(tx, merchant_id, product_id), change)


@post(
    "/merchants/{merchant_id:int}/listings/{product_id:int}/stock/adjustments",
    dto=StrictBody[StockAdjustment],
    guards=[needs(OPS, MERCHANT)],
    status_code=200,
    opt=ONCE,
)
async def adjust_stock(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    product_id: PathId,
    data: JSONBody[StockAdjustment],
) -> Response[Stock]:
    """Add units that were found, take off units that are gone; never below what open orders are promised."""
    check_books(request.user, merchant_id)

    async def work(tx: Tx) -> Stock:
        adjusted = await stock.adjust(tx, merchant_id, product_id, data.delta, data.reason)
        subject = f"listing:{merchant_id}/{product_id}"
        await audit.record(tx, "stock adjusted", subject, delta=data.delta, reason=data.reason)
        return adjusted

    return await once(request, db, work)


@get("/merchants/{merchant_id:int}/listings/{product_id:int}/stock/movements", guards=[needs(STAFF, MERCHANT)])
async def list_movements(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    product_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[StockMovement]:
    """What the merchant itself did to a listing's stock, the newest first."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]]) or (None,)
    async with db.read(request.user.scope) as tx:
        await stock.get_stock(tx, merchant_id, product_id)
        rows = await stock.list_movements(tx, merchant_id, product_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.movement_no,))


HANDLERS = [
    add_listing,
    add_listings,
    list_listings,
    get_listing,
    edit_listing,
    list_stock,
    get_stock,
    count_stock,
    adjust_stock,
    list_movements,
]
