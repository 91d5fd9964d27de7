"""A merchant's listings and stock on pages: listed, changed, hidden, counted and corrected there."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from marketplace.consoles import listings_queries as queries
from marketplace.consoles.books_queries import get_merchant
from marketplace.consoles.deeds import Refused, amount, carry_out, done, number, text
from marketplace.consoles.layout import PathId, Place, send
from marketplace.consoles.listings_queries import LISTINGS, ListingFilter
from marketplace.consoles.lists import given
from marketplace.core import audit
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.orders import count_stock as counting
from marketplace.flows.orders import list_goods as flow
from marketplace.flows.orders.list_goods import Goods, GoodsChange
from marketplace.web.auth import ActorRequest
from marketplace.web.etag import check_version
from marketplace.web.guards import MERCHANT, MERCHANT_BOOKS, OPS, needs
from supply.model import ListingState
from supply.stock import store as stock

sellers = needs(MERCHANT_BOOKS, OPS)
_SKU_MAX, _TEXT_MAX = 100, 200
_UNITS_MAX = 2**31 - 1
InState = Annotated[str | None, QueryParameter(name="state")]
Search = Annotated[str, QueryParameter(name="q", max_length=_TEXT_MAX)]


@get(["/listings", "/listings.csv"])
async def listings(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    in_state: InState = None,
    search: Search = "",
) -> Response[Any]:
    """What the merchant sells, with the price of each and the units that are left."""
    return await show_listings(request, db, place, in_state, search)


async def show_listings(
    request: ActorRequest,
    db: Database,
    place: Place,
    in_state: str | None = None,
    search: str = "",
    refused: Refused | None = None,
) -> Response[Any]:
    wanted = _wanted(in_state, search)
    listing = LISTINGS.asked(
        request, f"{place.base}/listings", {"state": wanted.state, "q": wanted.search},
        merchant=place.merchant_id, state=wanted.state, search=wanted.search.lower(),
    )  # fmt: skip
    if listing.is_file:
        return await listing.as_file(request, db, place.scope)
    async with db.read(place.scope) as tx:
        page, listing = await queries.listings_page(tx, place.merchant_id, wanted), await listing.page(tx)
    may = bool(request.user.roles & (MERCHANT_BOOKS | OPS))
    more: dict[str, Any] = {"may_sell": may, "listing": listing, "states": list(ListingState)}
    return send(request, "merchant/listings.html", page, "listings", place, refused, **more)


@get("/listings/{product_id:int}")
async def listing(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], product_id: PathId
) -> Response[str]:
    """One listing: what it says, how many there are, and who counted them."""
    return await show_listing(request, db, place, product_id)


async def show_listing(
    request: ActorRequest, db: Database, place: Place, product_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(place.scope) as tx:
        page = await queries.listing_page(tx, place.merchant_id, product_id)
    may = {
        "may_sell": bool(request.user.roles & (MERCHANT_BOOKS | OPS)),
        "may_count": bool(request.user.roles & (MERCHANT | OPS)),
    }
    return send(request, "merchant/listing.html", page, "listings", place, refused, states=list(ListingState), **may)


@post("/listings", guards=[sellers])
async def add(request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place]) -> Response[Any]:
    """List something for sale."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        currency = (await get_merchant(tx, place.merchant_id)).currency
        goods = Goods(
            sku=text(typed, "sku", most=_SKU_MAX, least=1),
            title=text(typed, "title", most=_TEXT_MAX, least=1),
            category=text(typed, "category", most=_TEXT_MAX) or None,
            price_minor=amount(typed, "price_minor", currency),
            freight_minor=amount(typed, "freight_minor", currency),
            on_hand=_units(typed),
        )
        added = await flow.list_goods(tx, place.merchant_id, goods)
        return done(_address(place, added.product_id), "listing_added")

    return await carry_out(request, db, work, again=lambda why: show_listings(request, db, place, refused=why))


@post("/listings/{product_id:int}", guards=[sellers])
async def edit(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], product_id: PathId
) -> Response[Any]:
    """Change a listing; orders that were placed keep the price they were placed at."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        now = await flow.hold_listing(tx, place.merchant_id, product_id)
        check_version(number(typed, "version"), now.version)
        change = GoodsChange(
            title=text(typed, "title", most=_TEXT_MAX, least=1),
            category=text(typed, "category", most=_TEXT_MAX) or None,
            price_minor=amount(typed, "price_minor", now.currency),
            freight_minor=amount(typed, "freight_minor", now.currency),
            state=given(typed.get("state"), ListingState, "state"),
        )
        await flow.edit_listing(tx, now, change)
        return done(_address(place, product_id), "listing_changed")

    return await carry_out(request, db, work, again=partial(show_listing, request, db, place, product_id))


@post("/listings/{product_id:int}/count", guards=[sellers])
async def count(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], product_id: PathId
) -> Response[Any]:
    """Say how many units there are; with the field left empty it is sold uncounted."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        now = await counting.hold_stock(tx, place.merchant_id, product_id)
        check_version(number(typed, "version"), now.version)
        await counting.count_stock(tx, now, _units(typed), text(typed, "reason", most=_TEXT_MAX))
        return done(_address(place, product_id), "stock_counted")

    return await carry_out(request, db, work, again=partial(show_listing, request, db, place, product_id))


@post("/listings/{product_id:int}/{way:str}", guards=[needs(MERCHANT, OPS)])
async def correct(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    product_id: PathId,
    way: FromPath[str],
) -> Response[Any]:
    """Add units that were found, or take off units that are gone."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if way not in _WAYS:
            raise Invalid(f"a correction is one of {', '.join(_WAYS)}")
        delta = _WAYS[way] * number(typed, "units", least=1, most=_UNITS_MAX)
        reason = text(typed, "reason", most=_TEXT_MAX, least=1)
        await stock.adjust(tx, place.merchant_id, product_id, delta, reason)
        subject = f"listing:{place.merchant_id}/{product_id}"
        await audit.record(tx, "stock adjusted", subject, delta=delta, reason=reason)
        return done(_address(place, product_id), "stock_corrected")

    return await carry_out(request, db, work, again=partial(show_listing, request, db, place, product_id))


_WAYS = {"found": 1, "gone": -1}


def _wanted(state: str | None, search: str) -> ListingFilter:
    return ListingFilter(state=given(state, ListingState, "state"), search=search.strip())


def _units(typed: Mapping[str, str]) -> int | None:
    return number(typed, "on_hand", most=_UNITS_MAX) if typed.get("on_hand", "").strip() else None


def _address(place: Place, product_id: int) -> str:
    return f"{place.base}/listings/{product_id}"


PAGES = [listings, listing, add, edit, count, correct]
