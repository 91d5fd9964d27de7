"""The lists of a merchant's orders and statements, on pages and as files."""

from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from demand.model import OrderState
from marketplace.consoles import lists_queries
from marketplace.consoles.books_queries import list_payouts
from marketplace.consoles.layout import Place, send
from marketplace.consoles.lists import Listing, given_day, sort_of
from marketplace.consoles.lists_queries import EXPORTED_MAX, ORDER_SORTS, STATEMENT_SORTS, OrderFilter
from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.web.auth import ActorRequest
from marketplace.web.files import Amount, csv_file
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs
from marketplace.web.i18n import speech

keepers = needs(MERCHANT_BOOKS, FINANCE)
"""Who sees a merchant's money; cashiers and operations see its orders."""

ORDER_STATES = tuple(state.value for state in OrderState)
STATEMENT_STATES = ("final", "reversed")

State = Annotated[str | None, QueryParameter(name="state")]


def _checked(state: str | None, known: tuple[str, ...]) -> str | None:
    if state and state not in known:
        raise Invalid(f"state: must be one of {', '.join(known)}", pointer="/state")
    return state or None


def _orders_wanted(first: str, last: str, state: str | None) -> OrderFilter:
    return OrderFilter(
        first=given_day(first, "first"), last=given_day(last, "last"), state=_checked(state, ORDER_STATES)
    )


@get("/orders")
async def orders(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
    order_state: State = None,
    sort: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """Orders of a stretch of days, with the sums of all that were found."""
    wanted = _orders_wanted(first, last, order_state)
    by, key = sort_of(sort, ORDER_SORTS, "-bought"), decode_cursor(before, tuple[int])
    async with db.read(place.scope) as tx:
        page = await lists_queries.orders_page(tx, place.merchant_id, wanted, by, key[0] if key else None)
    older = encode_cursor((page.older,)) if page.older else None
    listing = Listing(f"{place.base}/orders", msgspec.structs.asdict(wanted), by)
    return send(request, "books/orders.html", page, "orders", place, states=ORDER_STATES, cursor=older, listing=listing)


@get("/orders.csv")
async def orders_file(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
    order_state: State = None,
    sort: FromQuery[str | None] = None,
) -> Response[str]:
    """All orders of the list, as a file."""
    wanted = _orders_wanted(first, last, order_state)
    by = sort_of(sort, ORDER_SORTS, "-bought")
    async with db.read(place.scope) as tx:
        rows = await lists_queries.all_orders(tx, place.merchant_id, wanted, by)
    if len(rows) > EXPORTED_MAX:
        raise Invalid(f"first: a file holds {EXPORTED_MAX} orders; choose fewer days", pointer="/first")
    say = speech(request.user.locale)
    names = ("order", "bought", "state", "currency", "goods", "freight", "discount")
    return csv_file(
        "orders",
        [say.label("col", name) for name in names],
        (
            (
                row.order_ref,
                row.purchased_on.isoformat(),
                row.state,
                row.currency,
                *(Amount.of(minor, row.currency) for minor in (row.goods_minor, row.freight_minor, row.discount_minor)),
            )
            for row in rows
        ),
    )


@get("/statements", guards=[keepers])
async def statements(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    statement_state: State = None,
    sort: FromQuery[str | None] = None,
) -> Response[str]:
    """The merchant's statements, the newest first unless another order is asked for."""
    wanted, by = _checked(statement_state, STATEMENT_STATES), sort_of(sort, STATEMENT_SORTS, "-period")
    async with db.read(place.scope) as tx:
        page = await lists_queries.statements_page(tx, place.merchant_id, wanted, by)
    listing = Listing(f"{place.base}/statements", {"state": wanted}, by)
    return send(request, "books/statements.html", page, "statements", place, states=STATEMENT_STATES, listing=listing)


@get("/statements.csv", guards=[keepers])
async def statements_file(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    statement_state: State = None,
    sort: FromQuery[str | None] = None,
) -> Response[str]:
    """All statements of the list, as a file."""
    wanted, by = _checked(statement_state, STATEMENT_STATES), sort_of(sort, STATEMENT_SORTS, "-period")
    async with db.read(place.scope) as tx:
        page = await lists_queries.statements_page(tx, place.merchant_id, wanted, by)
    say = speech(request.user.locale)
    header = [say.text("audit.first"), say.text("audit.last"), say.text("col.state"), say.text("col.currency")]
    header += [say.text("kpi.orders"), say.text("statement.opening"), say.text("statement.earned")]
    header += [say.text("statement.payout"), say.text("statement.closing")]
    return csv_file(
        "statements",
        header,
        (
            (
                row.from_on.isoformat(),
                row.last_on.isoformat(),
                row.state,
                row.currency,
                row.orders,
                *(
                    Amount.of(minor, row.currency)
                    for minor in (row.opening_minor, row.earned_minor, row.payout_minor, row.closing_minor)
                ),
            )
            for row in page.statements
        ),
    )


@get("/payouts.csv", guards=[keepers])
async def payouts_file(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]
) -> Response[str]:
    """All the merchant's payouts, as a file."""
    async with db.read(place.scope) as tx:
        rows = await list_payouts(tx, place.merchant_id, limit=EXPORTED_MAX)
    say = speech(request.user.locale)
    return csv_file(
        "payouts",
        [say.label("col", name) for name in ("instructed", "currency", "amount", "state")],
        (
            (row.instructed_on.isoformat(), row.currency, Amount.of(row.amount_minor, row.currency), row.state)
            for row in rows
        ),
    )


PAGES = [orders, orders_file, statements, statements_file, payouts_file]
