"""Buyers, as the shop knows them."""

from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from demand.carts import store
from demand.carts.store import Buyer
from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.routes.fields import Label
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import SELLING, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

RefQuery = Annotated[str | None, QueryParameter(name="buyer_ref", max_length=200, description="The shop's own id.")]


class NewBuyer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """buyer_ref: the shop's own id of the buyer, unique; by default one is made."""

    buyer_ref: Label | None = None
    name: Label | None = None
    city: Label | None = None
    region: Label | None = None


class ChangeBuyer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    name: Label | None = None
    city: Label | None = None
    region: Label | None = None


@post("/buyers", dto=StrictBody[NewBuyer], guards=[needs(SELLING)], status_code=201, opt=ONCE)
async def create_buyer(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewBuyer]
) -> Response[Buyer]:
    """A new buyer."""

    async def work(tx: Tx) -> Buyer:
        return await store.insert_buyer(
            tx, ref=data.buyer_ref, name=data.name or "", city=data.city or "", region=data.region or ""
        )

    return await once(request, db, work)


@get("/buyers", guards=[needs(SELLING)])
async def list_buyers(
    db: NamedDependency[Database], buyer_ref: RefQuery = None, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Buyer]:
    """Buyers by id, or the one with a ref."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(WORKER) as tx:
        rows = await store.list_buyers(tx, limit=limit + 1, after=after, ref=buyer_ref)
    return page(rows, limit, lambda row: row, lambda row: (row.buyer_id,))


@get("/buyers/{buyer_id:int}", guards=[needs(SELLING)])
async def get_buyer(db: NamedDependency[Database], buyer_id: PathId) -> Response[Buyer]:
    """One buyer."""
    async with db.read(WORKER) as tx:
        buyer = await store.get_buyer(tx, buyer_id)
    return tagged(buyer, buyer.version)


@patch("/buyers/{buyer_id:int}", dto=StrictBody[ChangeBuyer], guards=[needs(SELLING)], opt=versioned())
async def change_buyer(
    request: ActorRequest, db: NamedDependency[Database], buyer_id: PathId, data: JSONBody[ChangeBuyer]
) -> Response[Buyer]:
    """Change a buyer's name or place."""

    async def change(tx: Tx, locked: Buyer) -> Buyer:
        given = {field: value for field, value in msgspec.structs.asdict(data).items() if value is not None}
        await audit.record(tx, "buyer changed", f"buyer:{buyer_id}", fields=sorted(given))
        return await store.update_buyer(tx, msgspec.structs.replace(locked, **given))

    return await edited(request, db, lambda tx: store.lock_buyer(tx, buyer_id), change)


HANDLERS = [create_buyer, list_buyers, get_buyer, change_buyer]
