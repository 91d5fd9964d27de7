"""Territories as named areas, and the reps in them."""

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import arrange_field as arrange
from marketplace.routes.fields import Id, Label, Name, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE
from supply.leads.model import Rep, Territory
from supply.leads.territories import store
from supply.leads.territories.store import Area

_ONE = "/territories/{territory_id:int}"
_REP = "/reps/{user_id:int}"


class TerritoryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """manager: the login of who sees all leads in it and below it."""

    name: Name
    parent_id: Id | None = None
    manager: Reference | None = None


class ManagerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null: nobody manages it."""

    manager: Reference | None


class AreaBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A region, or a city of one."""

    region: Name
    city: Label = ""


class RepBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A user who sells, and where."""

    login: Reference
    territory_id: Id


class RepChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. Who goes out of service names the pool that its leads go to."""

    territory_id: Id | None = None
    active: bool | None = None
    pool_id: Id | None = None


@get("/territories", guards=[needs(STAFF, SALES)])
async def list_territories(request: ActorRequest, db: NamedDependency[Database]) -> list[Territory]:
    """Every territory, by name."""
    async with db.read(request.user.scope) as tx:
        return await store.list_territories(tx)


@post("/territories", dto=StrictBody[TerritoryBody], guards=[needs(GROWTH)], opt={**ONCE, ALSO: (404,)})
async def create_territory(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[TerritoryBody]
) -> Response[Territory]:
    """Make a territory, below another one or not."""

    return await once(request, db, arrange.make_territory, data.name, data.parent_id, data.manager)


@get(_ONE, guards=[needs(STAFF, SALES)])
async def get_territory(
    request: ActorRequest, db: NamedDependency[Database], territory_id: PathId
) -> Response[Territory]:
    """One territory."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_territory(tx, territory_id)
    return tagged(found, found.version)


@patch(_ONE, dto=StrictBody[ManagerBody], guards=[needs(GROWTH)], opt=versioned())
async def change_territory(
    request: ActorRequest, db: NamedDependency[Database], territory_id: PathId, data: JSONBody[ManagerBody]
) -> Response[Territory]:
    """Put somebody in charge of a territory."""

    async def change(tx: Tx, _: Territory) -> Territory:
        return await arrange.put_in_charge(tx, territory_id, data.manager)

    return await edited(request, db, lambda tx: store.get_territory(tx, territory_id), change)


@get(f"{_ONE}/areas", guards=[needs(STAFF)])
async def list_areas(request: ActorRequest, db: NamedDependency[Database], territory_id: PathId) -> list[Area]:
    """The places of a territory."""
    async with db.read(request.user.scope) as tx:
        await store.get_territory(tx, territory_id)
        return await store.list_areas(tx, territory_id)


@post(f"{_ONE}/areas", dto=StrictBody[AreaBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_area(
    request: ActorRequest, db: NamedDependency[Database], territory_id: PathId, data: JSONBody[AreaBody]
) -> Response[Area]:
    """Give a place to a territory: leads that come from there are its own from now on."""
    return await once(request, db, arrange.give_area, territory_id, data.region, data.city)


@get("/reps", guards=[needs(STAFF, SALES)])
async def list_reps(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Rep]:
    """Reps, those who came first first."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_reps(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.user_id,))


@post("/reps", dto=StrictBody[RepBody], guards=[needs(GROWTH)], opt={**ONCE, ALSO: (404,)})
async def create_rep(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[RepBody]) -> Response[Rep]:
    """Let a user win merchants in a territory."""

    return await once(request, db, arrange.take_on_rep, data.login, data.territory_id)


@get(_REP, guards=[needs(STAFF, SALES)])
async def get_rep(request: ActorRequest, db: NamedDependency[Database], user_id: PathId) -> Response[Rep]:
    """One rep."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_rep(tx, user_id)
    return tagged(found, found.version)


@patch(_REP, dto=StrictBody[RepChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_rep(
    request: ActorRequest, db: NamedDependency[Database], user_id: PathId, data: JSONBody[RepChanges]
) -> Response[Rep]:
    """Move a rep, or take it out of service: what it holds goes back to a pool at once."""

    async def change(tx: Tx, held: Rep) -> Rep:
        return await arrange.change_rep(tx, held, arrange.ChangeRep(**msgspec.structs.asdict(data)))

    return await edited(request, db, lambda tx: store.get_rep(tx, user_id, lock=True), change)


HANDLERS = [
    list_territories,
    create_territory,
    get_territory,
    change_territory,
    list_areas,
    create_area,
    list_reps,
    create_rep,
    get_rep,
    change_rep,
]
