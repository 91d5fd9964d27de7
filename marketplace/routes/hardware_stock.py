"""The hardware that the house sells: items, units in stock, and who delivers them."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import stock_hardware as stocking
from marketplace.flows.products.stock_hardware import AddItem, PayProvider, ProviderPaid, ReceiveUnits, UnitsReceived
from marketplace.routes.fields import Currency, Id, Minor, Name, Positive, Reference, Serials, Sku
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.hardware import store
from supply.products.hardware.model import HardwareItem, HardwareUnit, Provider

UnitState = Annotated[
    Literal["in_stock", "delivered", "sold", "scrapped"] | None,
    QueryParameter(name="state", description="Only units in this state."),
]
EntityId = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class NewItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """price_minor: of one unit, without VAT."""

    sku: Sku
    name: Name
    currency: Currency
    price_minor: Minor
    warranty_months: Annotated[int, msgspec.Meta(ge=0, le=240)]


class NewProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name


class NewUnits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a provider has delivered; cost_minor: of one unit, without VAT."""

    item_id: Id
    provider_id: Id
    serials: Serials
    cost_minor: Positive
    entity_id: EntityId | None = None


class ProviderPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A transfer that the bank has made."""

    currency: Currency
    amount_minor: Positive
    bank_ref: Reference
    entity_id: EntityId | None = None


@get("/hardware-items", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_hardware_items(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[HardwareItem]:
    """What is sold, by sku."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_items(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.sku,))


@post("/hardware-items", dto=StrictBody[NewItem], guards=[needs(OPS)], status_code=201, opt=ONCE)
async def add_hardware_item(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewItem]
) -> Response[HardwareItem]:
    """Sell another item."""
    return await once(request, db, stocking.add_item, AddItem(**msgspec.structs.asdict(data)))


@get("/providers", guards=[needs(STAFF)])
async def list_providers(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Provider]:
    """Suppliers and partners."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_providers(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.provider_id,))


@post("/providers", dto=StrictBody[NewProvider], guards=[needs(OPS, FINANCE)], status_code=201, opt=ONCE)
async def add_provider(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewProvider]
) -> Response[Provider]:
    """Somebody who delivers goods to the house, or works for it."""
    return await once(request, db, store.add_provider, data.name)


@post(
    "/providers/{provider_id:int}/payments",
    dto=StrictBody[ProviderPayment],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def book_provider_payment(
    request: ActorRequest, db: NamedDependency[Database], provider_id: PathId, data: JSONBody[ProviderPayment]
) -> Response[ProviderPaid]:
    """The bank has paid a provider, at most what it is owed."""
    cmd = PayProvider(provider_id=provider_id, **msgspec.structs.asdict(data))
    return await once(request, db, stocking.pay_provider, cmd)


@get("/hardware-units", guards=[needs(STAFF)])
async def list_hardware_units(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: UnitState = None,
    item_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[HardwareUnit]:
    """Units by serial number, and where each is."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_units(tx, limit=limit + 1, after=after, state=in_state, item_id=item_id)
    return page(rows, limit, lambda row: row, lambda row: (row.serial,))


@post("/hardware-units", dto=StrictBody[NewUnits], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def receive_hardware_units(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewUnits]
) -> Response[UnitsReceived]:
    """Units that a provider has delivered: they are in stock at their cost, which it is owed."""
    return await once(request, db, stocking.receive_units, ReceiveUnits(**msgspec.structs.asdict(data)))


HANDLERS = [
    list_hardware_items,
    add_hardware_item,
    list_providers,
    add_provider,
    book_provider_payment,
    list_hardware_units,
    receive_hardware_units,
]
