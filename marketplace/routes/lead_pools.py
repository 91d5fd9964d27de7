"""Pools of leads: their rules, taking leads out of them, dealing them out; and the scoring that orders them."""

from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Forbidden, NotFound
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import arrange_field as arrange
from marketplace.flows.acquisition.claim_leads import Dealt, claim_lead, deal_leads
from marketplace.routes.fields import Days, Id, Label, Name
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, seller_of
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, SALES, STAFF, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.leads.model import Lead, LeadCard, Pool
from supply.leads.pools import store
from supply.leads.pools.store import NewPool
from supply.leads.scoring import ScoringRules
from supply.leads.scoring_sql import Scoring, add_scoring, list_scorings
from supply.leads.territories import store as territories

_ONE = "/lead-pools/{pool_id:int}"
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
LongDays = Annotated[int, msgspec.Meta(ge=1, le=3_650)]


class PoolBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """daily_max: claims of a rep in a day of `zone`, of this pool; stock_max: leads a rep may hold, of all pools.

    A claimed lead is protected for protection_days; then it goes back after idle_days without an action, or after
    outcome_days without an outcome. Who had it may claim it again after cooling_days. territory_id: for its reps alone.
    """

    name: Name
    territory_id: Id | None = None
    zone: Label = "UTC"
    daily_max: Count = 20
    stock_max: Count = 100
    protection_days: Days = 3
    idle_days: LongDays = 7
    outcome_days: LongDays = 30
    cooling_days: Days = 30


class ClaimBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """lead_id: the most promising one. rep_id: for whom, the caller where that is a rep."""

    lead_id: Id | None = None
    rep_id: Id | None = None


class DealBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At most so many leads."""

    count: Annotated[int, msgspec.Meta(ge=1, le=1_000)]


@get("/lead-pools", guards=[needs(STAFF, SALES)])
async def list_pools(request: ActorRequest, db: NamedDependency[Database]) -> list[Pool]:
    """Every pool, by name."""
    async with db.read(request.user.scope) as tx:
        return await store.list_pools(tx)


@post("/lead-pools", dto=StrictBody[PoolBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_pool(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[PoolBody]) -> Response[Pool]:
    """Make a pool."""

    return await once(request, db, arrange.make_pool, NewPool(**msgspec.structs.asdict(data)))


@get(_ONE, guards=[needs(STAFF, SALES)])
async def get_pool(request: ActorRequest, db: NamedDependency[Database], pool_id: PathId) -> Response[Pool]:
    """One pool with its rules."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_pool(tx, pool_id)
    return tagged(found, found.version)


@put(_ONE, dto=StrictBody[PoolBody], guards=[needs(GROWTH)], opt=versioned())
async def change_pool(
    request: ActorRequest, db: NamedDependency[Database], pool_id: PathId, data: JSONBody[PoolBody]
) -> Response[Pool]:
    """Give a pool other rules, which hold from now on."""

    async def change(tx: Tx, _: Pool) -> Pool:
        return await arrange.change_pool(tx, pool_id, NewPool(**msgspec.structs.asdict(data)))

    return await edited(request, db, lambda tx: store.get_pool(tx, pool_id, lock=True), change)


@get(f"{_ONE}/leads", guards=[needs(STAFF, SALES)])
async def list_pooled(
    request: ActorRequest,
    db: NamedDependency[Database],
    pool_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[LeadCard]:
    """What waits in a pool, the most promising first: who and where, and not how to reach it before it is claimed."""
    after = decode_cursor(cursor, tuple[int, int])
    if after and not 0 <= after[0] <= 200:
        raise NotFound("there is no such place in this list")
    async with db.read(WORKER) as tx:  # a rep may see these cards, and nothing else of leads that are not its own
        pool = await store.get_pool(tx, pool_id)
        seller = seller_of(request.user)
        if seller is not None and not await territories.reaches(tx, seller, pool.territory_id):
            raise Forbidden("the pool is of another territory")
        rows = await store.list_cards(tx, pool_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.fit + row.engagement, row.lead_id))


@post(f"{_ONE}/claim", dto=StrictBody[ClaimBody], guards=[needs(GROWTH, SALES)], status_code=200, opt=ONCE)
async def claim(
    request: ActorRequest, db: NamedDependency[Database], pool_id: PathId, data: JSONBody[ClaimBody]
) -> Response[Lead]:
    """Take a lead out of a pool; of two who want the same one, one gets it."""
    rep_id = data.rep_id if data.rep_id is not None else request.user.user_id
    seller = seller_of(request.user)

    async def work(tx: Tx) -> Lead:
        rep = await territories.get_rep(tx, rep_id)
        if seller not in {None, rep_id} and not await territories.manages(tx, request.user.user_id, rep.territory_id):
            raise Forbidden("rep_id: only who manages a rep's territory claims for it")
        return await claim_lead(tx, pool_id, rep_id, data.lead_id)

    return await once(request, db, work)


@post(
    f"{_ONE}/deal", dto=StrictBody[DealBody], guards=[needs(GROWTH, Role.SALES_MANAGER)], status_code=200, opt=ONCE
)  # fmt: skip
async def deal(
    request: ActorRequest, db: NamedDependency[Database], pool_id: PathId, data: JSONBody[DealBody]
) -> Response[Dealt]:
    """Deal leads out to the reps of the pool's territory, one to each in turn."""
    return await once(request, db, deal_leads, pool_id, data.count, seller_of(request.user))


@get("/lead-scorings", guards=[needs(STAFF, SALES)])
async def get_scorings(request: ActorRequest, db: NamedDependency[Database]) -> list[Scoring]:
    """The last versions of how leads are scored, the newest first."""
    async with db.read(WORKER) as tx:
        return await list_scorings(tx, limit=20)


@post("/lead-scorings", dto=StrictBody[ScoringRules], guards=[needs(GROWTH)], opt=ONCE)
async def create_scoring(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ScoringRules]
) -> Response[Scoring]:
    """Score leads by other rules, each from its next change on."""
    return await once(request, db, add_scoring, data)


HANDLERS = [
    list_pools,
    create_pool,
    get_pool,
    change_pool,
    list_pooled,
    claim,
    deal,
    get_scorings,
    create_scoring,
]
