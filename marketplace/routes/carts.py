"""Carts: filled, quoted, placed."""

from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from demand.carts import store
from demand.carts.model import LINES_MAX, Cart, CartLine, Quote
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.orders.place_carts import Checkouts
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.quote_cart import quote_cart
from marketplace.flows.orders.read_placed import Placed
from marketplace.routes.fields import CODES_MAX, Currency, Method, Minor, PromotionCode
from marketplace.routes.parameters import LIMIT, Codes, Cursor, Limit, PathId, VoucherCode
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import SELLING, needs
from marketplace.web.once import once, respond, ticket_of
from marketplace.web.openapi import ALSO, ONCE


class NewCart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    currency: Currency
    lines: Annotated[list[CartLine], msgspec.Meta(max_length=LINES_MAX)] = []


class ReplaceLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The cart's lines from now on; none empties it."""

    lines: Annotated[list[CartLine], msgspec.Meta(max_length=LINES_MAX)]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """quote: the name of the quote that the buyer has seen. method: the processor's token of card or account.

    credit_minor: how much the buyer pays out of its credit. codes: of promotions, the same that it was quoted with.
    voucher: the code of the buyer's voucher for a next order, which pays what the order needs of it.
    """

    quote: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    method: Method
    credit_minor: Minor = 0
    codes: Annotated[tuple[PromotionCode, ...], msgspec.Meta(max_length=CODES_MAX)] = ()
    voucher: PromotionCode | None = None


def _of(buyer_id: int) -> Scope:
    """As whom a buyer's own rows are read, whoever acts for it."""
    return Scope(Role.BUYER, buyer_id)


def _check_lines(lines: list[CartLine]) -> None:
    seen: set[tuple[int, int]] = set()
    for position, line in enumerate(lines):
        if max(abs(line.merchant_id), abs(line.product_id)) >= 2**63:
            raise Invalid(f"lines[{position}]: ids are 64-bit integers", pointer=f"/lines/{position}")
        if (line.merchant_id, line.product_id) in seen:
            raise Invalid(f"lines[{position}]: the listing is named twice", pointer=f"/lines/{position}")
        seen.add((line.merchant_id, line.product_id))


@post("/buyers/{buyer_id:int}/carts", dto=StrictBody[NewCart], guards=[needs(SELLING)], status_code=201, opt=ONCE)
async def create_cart(
    request: ActorRequest, db: NamedDependency[Database], buyer_id: PathId, data: JSONBody[NewCart]
) -> Response[Cart]:
    """A new cart in one currency. Listings are looked up when it is quoted: a line may name one that comes later."""
    _check_lines(data.lines)
    check_currency(data.currency)
    return await once(request, db, store.insert_cart, buyer_id, data.currency, data.lines)


@get("/buyers/{buyer_id:int}/carts", guards=[needs(SELLING)])
async def list_carts(
    db: NamedDependency[Database], buyer_id: PathId, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Cart]:
    """A buyer's carts, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(_of(buyer_id)) as tx:
        rows = await store.list_carts(tx, buyer_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.cart_id,))


@get("/buyers/{buyer_id:int}/carts/{cart_id:int}", guards=[needs(SELLING)])
async def get_cart(db: NamedDependency[Database], buyer_id: PathId, cart_id: PathId) -> Response[Cart]:
    """A cart with its lines."""
    async with db.read(_of(buyer_id)) as tx:
        cart = await store.get_cart(tx, buyer_id, cart_id)
    return tagged(cart, cart.version)


@put(
    "/buyers/{buyer_id:int}/carts/{cart_id:int}/lines",
    dto=StrictBody[ReplaceLines],
    guards=[needs(SELLING)],
    opt=versioned(),
)
async def replace_lines(
    request: ActorRequest,
    db: NamedDependency[Database],
    buyer_id: PathId,
    cart_id: PathId,
    data: JSONBody[ReplaceLines],
) -> Response[Cart]:
    """Give an open cart other lines."""
    _check_lines(data.lines)

    async def change(tx: Tx, locked: Cart) -> Cart:
        return await store.replace_lines(tx, locked, data.lines)

    return await edited(request, db, lambda tx: store.get_cart(tx, buyer_id, cart_id, lock=True), change)


@post("/buyers/{buyer_id:int}/carts/{cart_id:int}/drop", guards=[needs(SELLING)], status_code=200, opt=ONCE)
async def drop_cart(
    request: ActorRequest, db: NamedDependency[Database], buyer_id: PathId, cart_id: PathId
) -> Response[Cart]:
    """Give up an open cart."""

    async def work(tx: Tx) -> Cart:
        return await store.drop_cart(tx, await store.get_cart(tx, buyer_id, cart_id, lock=True))

    return await once(request, db, work)


@get("/buyers/{buyer_id:int}/carts/{cart_id:int}/quote", guards=[needs(SELLING)], opt={ALSO: (409,)})
async def get_quote(
    db: NamedDependency[Database], buyer_id: PathId, cart_id: PathId, codes: Codes = None, voucher: VoucherCode = None
) -> Quote:
    """What the cart costs now, line by line and merchant by merchant, and what cannot be bought. Reserves nothing.

    promotions: what each live promotion takes off, or why it does not. codes: those that the buyer has typed in,
    separated by commas. voucher: the code of one of the buyer's vouchers; 409 where it cannot be used for this cart.
    """
    async with db.read(_of(buyer_id)) as tx:
        cart = await store.get_cart(tx, buyer_id, cart_id)
    async with db.read(WORKER) as tx:
        return await quote_cart(tx, cart, (codes or "").split(","), voucher)


@post(
    "/buyers/{buyer_id:int}/carts/{cart_id:int}/place",
    dto=StrictBody[Place],
    guards=[needs(SELLING)],
    status_code=201,
    opt=ONCE,
)
async def place(
    request: ActorRequest,
    checkouts: NamedDependency[Checkouts],
    settings: NamedDependency[Settings],
    buyer_id: PathId,
    cart_id: PathId,
    data: JSONBody[Place],
) -> Response[Placed]:
    """Place a cart at the price of a quote: one payment, one order for each merchant, the stock reserved.

    A cart is placed once: placed again, under whatever key, the answer is the purchase it has become. 409 when it is
    not what was quoted (`quote-changed`), or there is too little of something left (`out-of-stock`, which names it and
    what is free), both with the present quote. The processor is asked for the money right afterwards; the orders are
    paid when it says so.
    """
    ticket = await ticket_of(request)
    cmd = PlaceOrder(
        buyer_id=buyer_id,
        cart_id=cart_id,
        quote=data.quote,
        method=data.method,
        credit_minor=data.credit_minor,
        codes=data.codes,
        voucher=data.voucher,
        processor=settings.processor,
    )
    return respond(await checkouts.place(ticket, cmd))


HANDLERS = [create_cart, list_carts, get_cart, replace_lines, drop_cart, get_quote, place]
