"""What buyers get by promotions: those that they join, and how far they are in each."""

from litestar import Response, get, post
from litestar.di import NamedDependency

from incentives.grants.progress_queries import Reward
from incentives.grants.progress_queries import rewards as find_rewards
from incentives.promotions.joins import store
from incentives.promotions.joins.store import JoinablePromotion
from marketplace.core.db import WORKER, Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.promotions.join_promotion import join_as_buyer
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import SELLING, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_PATH = "/buyers/{buyer_id:int}"


@get(f"{_PATH}/promotions", guards=[needs(SELLING)])
async def list_buyer_promotions(
    db: NamedDependency[Database], buyer_id: PathId, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[JoinablePromotion]:
    """The live promotions that buyers join, the newest first, and when this one has."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(WORKER) as tx:
        rows = await store.joinable(tx, buyer_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.promotion_id,))


@post(f"{_PATH}/promotions/{{promotion_id:int}}/opt-in", guards=[needs(SELLING)], status_code=200, opt=ONCE)
async def join_buyer_promotion(
    request: ActorRequest, db: NamedDependency[Database], buyer_id: PathId, promotion_id: PathId
) -> Response[JoinablePromotion]:
    """A buyer joins a promotion that asks for it; joined again it stays as it is."""
    return await once(request, db, join_as_buyer, buyer_id, promotion_id)


@get(f"{_PATH}/rewards", guards=[needs(SELLING)])
async def list_buyer_rewards(
    db: NamedDependency[Database], buyer_id: PathId, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Reward]:
    """Where a buyer stands in each window of a promotion, the newest promotion and window first."""
    before = decode_cursor(cursor, tuple[int, str])
    async with db.read(WORKER) as tx:
        rows = await find_rewards(tx, "buyer", buyer_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.promotion_id, row.span))


HANDLERS = [list_buyer_promotions, join_buyer_promotion, list_buyer_rewards]
