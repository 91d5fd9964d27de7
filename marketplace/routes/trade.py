"""Merchants and their orders."""

from datetime import datetime
from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

import demand.store
import supply.store
from demand.model import Order, OrderState
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.etag import tagged
from marketplace.web.guards import MERCHANT, STAFF, needs
from supply.model import Merchant

InState = Annotated[OrderState | None, QueryParameter(name="state")]  # Litestar keeps the name `state` for itself


@get("/merchants", guards=[needs(STAFF, MERCHANT)])
async def list_merchants(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Merchant]:
    """Merchants by id; a merchant's person sees its own."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        rows = await supply.store.list_merchants(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.merchant_id,))


@get("/merchants/{merchant_id:int}", guards=[needs(STAFF, MERCHANT)])
async def get_merchant(request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId) -> Response[Merchant]:
    """One merchant."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        merchant = await supply.store.get_merchant(tx, merchant_id)
    return tagged(merchant, merchant.version)


@get("/orders", guards=[needs(STAFF, MERCHANT)])
async def list_orders(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Order]:
    """Orders, the newest first, of one merchant or of all that the caller may see."""
    after = decode_cursor(cursor, tuple[datetime, int, int])
    merchant = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await demand.store.list_orders(tx, merchant_id=merchant, state=in_state, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.placed_at, row.merchant_id, row.order_id))


HANDLERS = [list_merchants, get_merchant, list_orders]
