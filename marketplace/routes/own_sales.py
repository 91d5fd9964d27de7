"""What the platform sells to buyers itself, out of the house's stock."""

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import sell_own as selling
from marketplace.flows.products.sell_own import SellOwn
from marketplace.routes.fields import EntityId, Name, Positive, Ppm, Reason, Reference, Serials
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.own_sales import store
from supply.products.own_sales.store import OwnSale


class NewOwnSale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """net_minor: of all units together, without VAT. receipt_ref: the processor's name of the buyer's payment."""

    serials: Serials
    buyer: Name
    net_minor: Positive
    vat_ppm: Ppm
    processor: Name
    receipt_ref: Reference
    entity_id: EntityId | None = None


class OwnReturn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


@get("/own-sales", guards=[needs(STAFF)])
async def list_own_sales(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[OwnSale]:
    """What the platform has sold itself, the newest first."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_sales(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.sale_id,))


@post("/own-sales", dto=StrictBody[NewOwnSale], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def record_own_sale(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewOwnSale]
) -> Response[OwnSale]:
    """A buyer has paid for units of the house's stock: the price is revenue, the units are gone at their cost."""
    return await once(request, db, selling.sell_own, SellOwn(**msgspec.structs.asdict(data)))


@post("/own-sales/{sale_id:int}/return", dto=StrictBody[OwnReturn], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def return_own_sale(
    request: ActorRequest, db: NamedDependency[Database], sale_id: PathId, data: JSONBody[OwnReturn]
) -> Response[OwnSale]:
    """All of it has come back, and the processor has paid the buyer back."""
    return await once(request, db, selling.return_own, sale_id, data.reason)


HANDLERS = [list_own_sales, record_own_sale, return_own_sale]
