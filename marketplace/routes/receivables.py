"""Cash that merchants collect for the platform, and what they owe it."""

from litestar import Response, get, post
from litestar.di import NamedDependency

from billing.receivable_queries import list_receivables as find_receivables
from billing.receivables import Receivable
from demand.model import Moved
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payments.collect_cash import CollectCash, cash_collected
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, MERCHANT, OPS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/cash-collected",
    guards=[needs(OPS, MERCHANT)],
    status_code=200,
    opt=ONCE,
)
async def collect_cash(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, order_id: PathId
) -> Response[Moved]:
    """The merchant has the buyer's cash for a placed order; from then on it owes it to the platform."""
    check_books(request.user, merchant_id)
    return await once(request, db, cash_collected, CollectCash(merchant_id=merchant_id, order_id=order_id))


@get("/balances/receivables", guards=[needs(FINANCE)])
async def list_receivables(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Receivable]:
    """Merchants that owe the platform money, how much, since when, and whether it is enough to suspend them."""
    after = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        rows = await find_receivables(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.merchant_id, row.currency))


HANDLERS = [collect_cash, list_receivables]
