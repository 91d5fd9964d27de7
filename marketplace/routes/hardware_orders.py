"""Hardware sold to merchants: quotes, orders, shipments, returns."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import sell_hardware as selling
from marketplace.flows.products.sell_hardware import AcceptQuote, QuoteHardware, ReturnHardware, ShipHardware
from marketplace.routes.fields import Currency, Note, Ppm, Reason, Serials
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import tagged
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.hardware import store
from supply.products.hardware.model import (
    LINES_MAX,
    HardwareDelivery,
    HardwareLine,
    HardwareOrder,
    HardwareQuote,
)
from supply.products.model import Means

_PATH = "/merchants/{merchant_id:int}/hardware-orders"
_ONE = _PATH + "/{hardware_order_id:int}"


class NewQuote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices without VAT. deposit_ppm: the part that is paid before anything is shipped."""

    currency: Currency
    lines: Annotated[tuple[HardwareLine, ...], msgspec.Meta(min_length=1, max_length=LINES_MAX)]
    vat_ppm: Ppm
    deposit_ppm: Ppm = 0
    expires_on: date
    note: Note = ""


class QuoteAccepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """quote_no: the version that was read."""

    quote_no: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    pays_by: Means


class UnitsShipped(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All units that were ordered."""

    serials: Serials


class UnitsReturned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """restock: they can be sold again."""

    serials: Serials
    reason: Reason
    restock: bool


class CalledOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class HardwareDeal(msgspec.Struct, frozen=True, kw_only=True):
    """An order with every version of its quote, the newest first, and the units that were shipped with it.

    What a unit has cost the house is shown to the house alone.
    """

    order: HardwareOrder
    quotes: list[HardwareQuote]
    units: list[HardwareDelivery]


@get("/hardware-orders", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_hardware_orders(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[HardwareOrder]:
    """Hardware orders, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    own = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_orders(tx, merchant_id=own, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.order_id, row.merchant_id))


@post(_PATH, dto=StrictBody[NewQuote], guards=[needs(OPS)], status_code=201, opt=ONCE)
async def quote_hardware(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewQuote]
) -> Response[HardwareOrder]:
    """Offer hardware to a merchant."""
    cmd = QuoteHardware(merchant_id=merchant_id, order_id=None, **msgspec.structs.asdict(data))
    return await once(request, db, selling.quote_hardware, cmd)


@post(f"{_ONE}/quotes", dto=StrictBody[NewQuote], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def quote_hardware_again(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    hardware_order_id: PathId,
    data: JSONBody[NewQuote],
) -> Response[HardwareOrder]:
    """Another version of the quote, which takes the place of the one before."""
    cmd = QuoteHardware(merchant_id=merchant_id, order_id=hardware_order_id, **msgspec.structs.asdict(data))
    return await once(request, db, selling.quote_hardware, cmd)


@get(_ONE, guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_hardware_order(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, hardware_order_id: PathId
) -> Response[HardwareDeal]:
    """One order with its quotes and units."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        order = await store.get_order(tx, merchant_id, hardware_order_id)
        quotes = await store.list_quotes(tx, merchant_id, hardware_order_id)
        units = await store.deliveries_of(tx, merchant_id, hardware_order_id)
    if request.user.merchant_id is not None:
        units = [msgspec.structs.replace(unit, cost_minor=None) for unit in units]
    return tagged(HardwareDeal(order=order, quotes=quotes, units=units), order.version)


@post(
    f"{_ONE}/accept",
    dto=StrictBody[QuoteAccepted],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def accept_hardware_quote(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    hardware_order_id: PathId,
    data: JSONBody[QuoteAccepted],
) -> Response[HardwareOrder]:
    """Order what was quoted. Its deposit is charged."""
    check_books(request.user, merchant_id)
    cmd = AcceptQuote(merchant_id=merchant_id, order_id=hardware_order_id, **msgspec.structs.asdict(data))
    return await once(request, db, selling.accept_quote, cmd)


@post(f"{_ONE}/decline", guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE)
async def decline_hardware_quote(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, hardware_order_id: PathId
) -> Response[HardwareOrder]:
    """The merchant does not want it; it may be quoted anew."""
    check_books(request.user, merchant_id)
    return await once(request, db, selling.decline_quote, merchant_id, hardware_order_id)


@post(f"{_ONE}/cancel", dto=StrictBody[CalledOff], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def cancel_hardware_order(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    hardware_order_id: PathId,
    data: JSONBody[CalledOff],
) -> Response[HardwareOrder]:
    """Call it off before it is shipped; the deposit is given back."""
    return await once(request, db, selling.cancel_hardware, merchant_id, hardware_order_id, data.reason)


@post(f"{_ONE}/ship", dto=StrictBody[UnitsShipped], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def ship_hardware_order(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    hardware_order_id: PathId,
    data: JSONBody[UnitsShipped],
) -> Response[HardwareOrder]:
    """Ship all that was ordered, by serial number, once the deposit is paid."""
    cmd = ShipHardware(merchant_id=merchant_id, order_id=hardware_order_id, serials=data.serials)
    return await once(request, db, selling.ship_hardware, cmd)


@post(f"{_ONE}/return", dto=StrictBody[UnitsReturned], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def return_hardware_units(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    hardware_order_id: PathId,
    data: JSONBody[UnitsReturned],
) -> Response[HardwareOrder]:
    """Take units back: their price is credited."""
    cmd = ReturnHardware(merchant_id=merchant_id, order_id=hardware_order_id, **msgspec.structs.asdict(data))
    return await once(request, db, selling.return_hardware, cmd)


HANDLERS = [
    list_hardware_orders,
    quote_hardware,
    quote_hardware_again,
    get_hardware_order,
    accept_hardware_quote,
    decline_hardware_quote,
    cancel_hardware_order,
    ship_hardware_order,
    return_hardware_units,
]
