"""Payments against orders: the summary and the breaks."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payments.reconcile_payments import (
    MatchKind,
    PaymentBreak,
    Reconciliation,
    list_payment_breaks,
    reconcile_payments,
)
from marketplace.routes.parameters import LIMIT, Cursor, Limit
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, needs


@get("/reconciliation/payments", guards=[needs(FINANCE)])
async def reconcile(
    request: ActorRequest, db: NamedDependency[Database], currency: FromQuery[str | None] = None
) -> Reconciliation:
    """Every purchase counted once by how its payments fit its orders, and the bridge between the two sums."""
    async with db.read(request.user.scope) as tx:
        return await reconcile_payments(tx, currency)


@get("/reconciliation/payments/breaks", guards=[needs(FINANCE)])
async def list_breaks(
    request: ActorRequest,
    db: NamedDependency[Database],
    kind: FromQuery[MatchKind | None] = None,
    currency: FromQuery[str | None] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[PaymentBreak]:
    """Purchases whose payments and orders do not fit, by order ref."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(request.user.scope) as tx:
        rows = await list_payment_breaks(tx, kind, currency=currency, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.order_ref,))


HANDLERS = [reconcile, list_breaks]
