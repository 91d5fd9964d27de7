"""The lists of a merchant's orders, statements, payouts and documents, on pages and as files."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from billing.documents.model import Kind as DocumentKind
from billing.documents.model import State as DocumentState
from demand.model import OrderState
from marketplace.consoles import lists_queries
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.layout import Place, send
from marketplace.consoles.lists import given, given_day
from marketplace.consoles.lists_queries import DOCUMENTS, ORDERS, PAYOUTS, STATEMENTS, OrderFilter, bound_of
from marketplace.consoles.payouts_queries import STATES as PAYOUT_STATES
from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs

keepers = needs(MERCHANT_BOOKS, FINANCE)
"""Who sees a merchant's money; cashiers and operations see its orders."""

ORDER_STATES = tuple(state.value for state in OrderState)
STATEMENT_STATES = ("final", "reversed")

State = Annotated[str | None, QueryParameter(name="state")]


class OwnPage(msgspec.Struct, frozen=True):
    """A list of a merchant's own, narrowed to `wanted`."""

    merchant: Merchant
    wanted: dict[str, Any]


def _checked(state: str | None, known: tuple[str, ...]) -> str | None:
    if state and state not in known:
        raise Invalid(f"state: must be one of {', '.join(known)}", pointer="/state")
    return state or None


@get(["/orders", "/orders.csv"])
async def orders(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
    order_state: State = None,
) -> Response[Any]:
    """Orders of a stretch of days, with the sums of all that were found."""
    wanted = OrderFilter(
        first=given_day(first, "first"), last=given_day(last, "last"), state=_checked(order_state, ORDER_STATES)
    )
    async with db.read(place.scope) as tx:
        merchant = await get_merchant(tx, place.merchant_id)
        said = msgspec.structs.asdict(wanted)
        listing = ORDERS.asked(request, f"{place.base}/orders", said, **bound_of(merchant, wanted))
        if not listing.is_file:
            page = await lists_queries.orders_page(tx, merchant, wanted)
            listing = await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    return send(request, "books/orders.html", page, "orders", place, states=ORDER_STATES, listing=listing)


@get(["/statements", "/statements.csv"], guards=[keepers])
async def statements(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], statement_state: State = None
) -> Response[Any]:
    """The merchant's statements, the newest first unless another order is asked for."""
    wanted: dict[str, Any] = {"state": _checked(statement_state, STATEMENT_STATES)}
    listing = STATEMENTS.asked(request, f"{place.base}/statements", wanted, merchant=place.merchant_id, **wanted)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    async with db.read(place.scope) as tx:
        page, listing = OwnPage(await get_merchant(tx, place.merchant_id), wanted), await listing.page(tx)
    return send(request, "books/statements.html", page, "statements", place, states=STATEMENT_STATES, listing=listing)


@get(["/payouts", "/payouts.csv"], guards=[keepers])
async def payouts(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], payout_state: State = None
) -> Response[Any]:
    """The merchant's payouts and their state, newest first."""
    wanted: dict[str, Any] = {"state": _checked(payout_state, PAYOUT_STATES)}
    listing = PAYOUTS.asked(request, f"{place.base}/payouts", wanted, merchant=place.merchant_id, **wanted)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    async with db.read(place.scope) as tx:
        page, listing = OwnPage(await get_merchant(tx, place.merchant_id), wanted), await listing.page(tx)
    return send(request, "books/payouts.html", page, "payouts", place, states=PAYOUT_STATES, listing=listing)


@get(["/documents", "/documents.csv"], guards=[keepers])
async def documents(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    kind: FromQuery[str | None] = None,
    document_state: State = None,
) -> Response[Any]:
    """Invoices, credit notes and self-billed invoices."""
    wanted: dict[str, Any] = {
        "kind": given(kind, DocumentKind, "kind"),
        "state": given(document_state, DocumentState, "state"),
    }
    listing = DOCUMENTS.asked(request, f"{place.base}/documents", wanted, merchant=place.merchant_id, **wanted)
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    async with db.read(place.scope) as tx:
        page, listing = OwnPage(await get_merchant(tx, place.merchant_id), wanted), await listing.page(tx)
    choices: dict[str, Any] = {"kinds": list(DocumentKind), "states": list(DocumentState)}
    return send(request, "books/documents.html", page, "documents", place, listing=listing, **choices)


PAGES = [orders, statements, payouts, documents]
