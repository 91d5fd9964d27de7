"""Merchants coming and going: taken in, checked, live, suspended, closed; and their stores."""

from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from marketplace.core import audit
from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import onboard_merchant as flow
from marketplace.flows.acquisition.onboard_merchant import OnboardMerchant
from marketplace.routes.fields import EntityId, Label, Name, Note, Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import MERCHANT, MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply import store
from supply.lifecycle import MerchantMove
from supply.model import Merchant, Store
from supply.onboarding.rules import Act, Checklist

PathKey = Annotated[str, PathParameter(max_length=60, description="A point of the checklist.")]


class NewMerchant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """merchant_ref: its id in another system; by default made from ours. entity_id: needed where there are several."""

    name: Name
    merchant_ref: Reference | None = None
    city: Label = ""
    region: Label = ""
    entity_id: EntityId | None = None


class MerchantChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    name: Name | None = None
    city: Label | None = None
    region: Label | None = None


class StoreBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """note: such as which document was seen, or where the signed terms are."""

    note: Note = ""


@post("/merchants", dto=StrictBody[NewMerchant], guards=[needs(OPS)], status_code=201, opt=ONCE)
async def add_merchant(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewMerchant]
) -> Response[Merchant]:
    """Take a merchant in: it is onboarding, and its books are open."""
    return await once(request, db, flow.onboard_merchant, OnboardMerchant(**msgspec.structs.asdict(data)))


@patch(
    "/merchants/{merchant_id:int}",
    dto=StrictBody[MerchantChange],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    opt=versioned(),
)
async def edit_merchant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[MerchantChange]
) -> Response[Merchant]:
    """Change a merchant's name or where it is."""
    check_books(request.user, merchant_id)

    async def change(tx: Tx, now: Merchant) -> Merchant:
        wanted = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}
        before = {name: getattr(now, name) for name in ("name", "city", "region")}
        await audit.record(tx, "merchant changed", f"merchant:{merchant_id}", before=before, after=wanted)
        return await store.edit_merchant(tx, merchant_id, **{**before, **wanted})

    return await edited(request, db, lambda tx: store.lock_merchant(tx, merchant_id), change)


@get("/merchants/{merchant_id:int}/onboarding", guards=[needs(STAFF, MERCHANT)])
async def get_checklist(request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId) -> Checklist:
    """The onboarding checklist: how every point stands, and what is still missing of it."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await flow.read_checklist(tx, merchant_id)


@post(
    "/merchants/{merchant_id:int}/onboarding/{key:str}/attest",
    dto=StrictBody[Said],
    guards=[needs(MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def attest_point(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, key: PathKey, data: JSONBody[Said]
) -> Response[Checklist]:
    """The merchant gives its word on a point of the checklist."""
    check_books(request.user, merchant_id)
    return await once(request, db, flow.tick, merchant_id, key, Act.ATTEST, note=data.note)


@post("/merchants/{merchant_id:int}/onboarding/{key:str}/verify", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def verify_point(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, key: PathKey
) -> Response[Checklist]:
    """Somebody of the house has seen that what the merchant attested is so."""
    return await once(request, db, flow.tick, merchant_id, key, Act.VERIFY)


@post(
    "/merchants/{merchant_id:int}/onboarding/{key:str}/reject",
    dto=StrictBody[Why],
    guards=[needs(OPS)],
    status_code=200,
    opt=ONCE,
)
async def reject_point(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, key: PathKey, data: JSONBody[Why]
) -> Response[Checklist]:
    """What the merchant attested will not do, or a waiver is taken back."""
    return await once(request, db, flow.tick, merchant_id, key, Act.REJECT, reason=data.reason)


@post(
    "/merchants/{merchant_id:int}/onboarding/{key:str}/waive",
    dto=StrictBody[Why],
    guards=[needs(OPS)],
    status_code=200,
    opt=ONCE,
)
async def waive_point(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, key: PathKey, data: JSONBody[Why]
) -> Response[Checklist]:
    """Do without a point, for a reason; not by whoever attested it."""
    return await once(request, db, flow.tick, merchant_id, key, Act.WAIVE, reason=data.reason)


@post("/merchants/{merchant_id:int}/go-live", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def go_live(request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId) -> Response[Merchant]:
    """Let a merchant sell; refused with all that is missing."""
    return await once(request, db, flow.go_live, merchant_id)


@post("/merchants/{merchant_id:int}/suspend", dto=StrictBody[Why], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def suspend_merchant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[Why]
) -> Response[Merchant]:
    """Stop a merchant from selling; what it has sold is delivered, settled and paid."""
    return await once(request, db, flow.move_merchant, merchant_id, MerchantMove.SUSPEND, data.reason)


@post("/merchants/{merchant_id:int}/reinstate", dto=StrictBody[Why], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def reinstate_merchant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[Why]
) -> Response[Merchant]:
    """Let a suspended merchant sell again."""
    return await once(request, db, flow.move_merchant, merchant_id, MerchantMove.REINSTATE, data.reason)


@post("/merchants/{merchant_id:int}/close", dto=StrictBody[Why], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def close_merchant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[Why]
) -> Response[Merchant]:
    """End a merchant's selling for good; its books stay, and what it is owed is paid."""
    return await once(request, db, flow.move_merchant, merchant_id, MerchantMove.CLOSE, data.reason)


@post(
    "/merchants/{merchant_id:int}/stores",
    dto=StrictBody[StoreBody],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=201,
    opt=ONCE,
)
async def add_store(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[StoreBody]
) -> Response[Store]:
    """Open a store."""
    check_books(request.user, merchant_id)

    async def work(tx: Tx) -> Store:
        await store.get_merchant(tx, merchant_id)
        added = await store.add_store(tx, merchant_id, data.name)
        await audit.record(tx, "store opened", f"store:{merchant_id}/{added.store_id}", name=data.name)
        return added

    return await once(request, db, work)


@get("/merchants/{merchant_id:int}/stores", guards=[needs(STAFF, MERCHANT)])
async def list_stores(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Store]:
    """A merchant's stores."""
    check_books(request.user, merchant_id)
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_merchant(tx, merchant_id)
        rows = await store.list_stores(tx, merchant_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.store_id,))


@get("/merchants/{merchant_id:int}/stores/{store_id:int}", guards=[needs(STAFF, MERCHANT)])
async def get_store(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, store_id: PathId
) -> Response[Store]:
    """One store."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await store.get_store(tx, merchant_id, store_id)
    return tagged(found, found.version)


@patch(
    "/merchants/{merchant_id:int}/stores/{store_id:int}",
    dto=StrictBody[StoreBody],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    opt=versioned(),
)
async def edit_store(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    store_id: PathId,
    data: JSONBody[StoreBody],
) -> Response[Store]:
    """Give a store another name."""
    check_books(request.user, merchant_id)

    async def change(tx: Tx, now: Store) -> Store:
        await audit.record(tx, "store renamed", f"store:{merchant_id}/{store_id}", before=now.name, after=data.name)
        return await store.rename_store(tx, merchant_id, store_id, data.name)

    return await edited(request, db, lambda tx: store.get_store(tx, merchant_id, store_id, lock=True), change)


HANDLERS = [
    add_merchant,
    edit_merchant,
    get_checklist,
    attest_point,
    verify_point,
    reject_point,
    waive_point,
    go_live,
    suspend_merchant,
    reinstate_merchant,
    close_merchant,
    add_store,
    list_stores,
    get_store,
    edit_store,
]
