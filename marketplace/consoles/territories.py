"""The pages of territories and pools: who is in charge, who sells where, and the rules by which leads are taken."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from marketplace.consoles import territories_queries as queries
from marketplace.consoles.deeds import Refused, carry_out, done, number, text
from marketplace.consoles.layout import PathId, send
from marketplace.core.db import STAFF, Database, Tx
from marketplace.flows.acquisition import arrange_field as arrange
from marketplace.flows.acquisition.claim_leads import deal_leads
from marketplace.web.auth import ActorRequest
from marketplace.web.etag import check_version
from marketplace.web.guards import GROWTH, needs
from supply.leads.pools import store as pools
from supply.leads.pools.store import NewPool
from supply.leads.territories import store

_NAME_MAX = 200
DEALT_MAX = 1_000
LIMITS = {
    "daily_max": (1, 10_000, 20),
    "stock_max": (1, 10_000, 100),
    "protection_days": (0, 366, 3),
    "idle_days": (1, 3_650, 7),
    "outcome_days": (1, 3_650, 30),
    "cooling_days": (0, 366, 30),
}
"""The rules of a pool: the least and the most that each may be, and what a new one begins with."""


@get("/territories")
async def territories(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """The tree of territories, with managers and reps."""
    return await show_territories(request, db)


async def show_territories(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.territories_page(tx)
    return send(request, "ops/territories.html", page, "territories", refused=refused)


@post("/territories", guards=[needs(GROWTH)])
async def make_territory(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Make a territory, below another or not."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        name, parent = text(typed, "name", least=1, most=_NAME_MAX), _optional(typed, "parent")
        made = await arrange.make_territory(tx, name, parent, text(typed, "manager", most=_NAME_MAX) or None)
        return done(f"/ops/territories/{made.territory_id}", "territory_made")

    return await carry_out(request, db, work, again=lambda why: show_territories(request, db, why))


def _optional(typed: Mapping[str, str], name: str) -> int | None:
    return number(typed, name, least=1) if typed.get(name) else None


@get("/territories/{territory_id:int}")
async def territory(request: ActorRequest, db: NamedDependency[Database], territory_id: PathId) -> Response[str]:
    """One territory: its places, and who sells there."""
    return await show_territory(request, db, territory_id)


async def show_territory(
    request: ActorRequest, db: Database, territory_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.territory_page(tx, territory_id)
    return send(request, "ops/territory.html", page, "territories", refused=refused)


@post("/territories/{territory_id:int}/manager", guards=[needs(GROWTH)])
async def put_in_charge(request: ActorRequest, db: NamedDependency[Database], territory_id: PathId) -> Response[Any]:
    """Let somebody manage a territory, or nobody."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        held = await store.get_territory(tx, territory_id)
        check_version(number(typed, "version"), held.version)
        await arrange.put_in_charge(tx, territory_id, text(typed, "manager", most=_NAME_MAX) or None)
        return done(f"/ops/territories/{territory_id}", "territory_changed")

    return await carry_out(request, db, work, again=partial(show_territory, request, db, territory_id))


@post("/territories/{territory_id:int}/areas", guards=[needs(GROWTH)])
async def give_area(request: ActorRequest, db: NamedDependency[Database], territory_id: PathId) -> Response[Any]:
    """Give a place to a territory."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        region = text(typed, "region", least=1, most=_NAME_MAX)
        await arrange.give_area(tx, territory_id, region, text(typed, "city", most=_NAME_MAX))
        return done(f"/ops/territories/{territory_id}", "territory_changed")

    return await carry_out(request, db, work, again=partial(show_territory, request, db, territory_id))


@post("/territories/{territory_id:int}/reps", guards=[needs(GROWTH)])
async def take_on(request: ActorRequest, db: NamedDependency[Database], territory_id: PathId) -> Response[Any]:
    """Let somebody who sells win merchants there."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await arrange.take_on_rep(tx, text(typed, "login", least=1, most=_NAME_MAX), territory_id)
        return done(f"/ops/territories/{territory_id}", "rep_changed")

    return await carry_out(request, db, work, again=partial(show_territory, request, db, territory_id))


@get("/reps/{user_id:int}")
async def rep(request: ActorRequest, db: NamedDependency[Database], user_id: PathId) -> Response[str]:
    """One rep: where it sells, and what it holds and has won."""
    return await show_rep(request, db, user_id)


async def show_rep(request: ActorRequest, db: Database, user_id: int, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.rep_page(tx, user_id)
    return send(request, "ops/rep.html", page, "territories", refused=refused)


@post("/reps/{user_id:int}", guards=[needs(GROWTH)])
async def change_rep(request: ActorRequest, db: NamedDependency[Database], user_id: PathId) -> Response[Any]:
    """Move a rep, or take it out of service: what it holds goes back to a pool at once."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        held = await store.get_rep(tx, user_id, lock=True)
        check_version(number(typed, "version"), held.version)
        cmd = arrange.ChangeRep(
            territory_id=number(typed, "territory", least=1), active=typed.get("active") == "yes",
            pool_id=_optional(typed, "pool_id"),
        )  # fmt: skip
        await arrange.change_rep(tx, held, cmd)
        return done(f"/ops/reps/{user_id}", "rep_changed")

    return await carry_out(request, db, work, again=partial(show_rep, request, db, user_id))


@get("/pools")
async def pool_list(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Pools with their rules, and what waits in them."""
    return await show_pools(request, db)


async def show_pools(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.pools_page(tx)
    return send(request, "ops/pools.html", page, "pools", refused=refused, limits=LIMITS)


@post("/pools", guards=[needs(GROWTH)])
async def make_pool(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Make a pool."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        made = await arrange.make_pool(tx, _rules(typed))
        return done(f"/ops/pools/{made.pool_id}", "pool_made")

    return await carry_out(request, db, work, again=lambda why: show_pools(request, db, why))


def _rules(typed: Mapping[str, str]) -> NewPool:
    limits = {name: number(typed, name, least=least, most=most) for name, (least, most, _) in LIMITS.items()}
    return NewPool(
        name=text(typed, "name", least=1, most=_NAME_MAX), territory_id=_optional(typed, "territory"),
        zone=text(typed, "zone", least=1, most=_NAME_MAX), **limits,
    )  # fmt: skip


@get("/pools/{pool_id:int}")
async def pool(request: ActorRequest, db: NamedDependency[Database], pool_id: PathId) -> Response[str]:
    """One pool: what waits in it, the most promising first, and its rules."""
    return await show_pool(request, db, pool_id)


async def show_pool(request: ActorRequest, db: Database, pool_id: int, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.pool_page(tx, pool_id)
    return send(request, "ops/pool.html", page, "pools", refused=refused, limits=LIMITS)


@post("/pools/{pool_id:int}", guards=[needs(GROWTH)])
async def change_pool(request: ActorRequest, db: NamedDependency[Database], pool_id: PathId) -> Response[Any]:
    """Give a pool other rules, which hold from now on."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        held = await pools.get_pool(tx, pool_id, lock=True)
        check_version(number(typed, "version"), held.version)
        await arrange.change_pool(tx, pool_id, _rules(typed))
        return done(f"/ops/pools/{pool_id}", "pool_changed")

    return await carry_out(request, db, work, again=partial(show_pool, request, db, pool_id))


@post("/pools/{pool_id:int}/deals", guards=[needs(GROWTH)])
async def deal(request: ActorRequest, db: NamedDependency[Database], pool_id: PathId) -> Response[Any]:
    """Deal leads out to the reps of the pool's territory, one to each in turn."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await deal_leads(tx, pool_id, number(typed, "count", least=1, most=DEALT_MAX))
        return done(f"/ops/pools/{pool_id}", "leads_dealt")

    return await carry_out(request, db, work, again=partial(show_pool, request, db, pool_id))


PAGES = [
    *(territories, make_territory, territory, put_in_charge, give_area, take_on, rep, change_rep),
    *(pool_list, make_pool, pool, change_pool, deal),
]
