"""A merchant's rewards: how far it is in each promotion, in money and time, and what it was granted."""

from litestar import get
from litestar.di import NamedDependency

from incentives.grants.model import Voucher
from incentives.grants.progress_queries import Reward
from incentives.grants.progress_queries import rewards as find_rewards
from incentives.grants.vouchers import store as vouchers
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.promotions import report_rewards as queries
from marketplace.flows.promotions.report_rewards import RewardGrant
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import MERCHANT, STAFF, needs
from supply.store import get_merchant

_PATH = "/merchants/{merchant_id:int}/rewards"


@get(_PATH, guards=[needs(STAFF, MERCHANT)])
async def list_rewards(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Reward]:
    """Where a merchant stands in each window of a promotion, the newest promotion and window first."""
    check_books(request.user, merchant_id)
    before = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await find_rewards(tx, "merchant", merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.promotion_id, row.span))


@get(f"{_PATH}/grants", guards=[needs(STAFF, MERCHANT)])
async def list_reward_grants(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    promotion_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[RewardGrant]:
    """What a merchant was granted and what was taken back, the newest first, with the entries of its books."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await queries.reward_grants(tx, merchant_id, promotion_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.grant_id,))


@get("/merchants/{merchant_id:int}/vouchers", guards=[needs(STAFF, MERCHANT)])
async def list_vouchers(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Voucher]:
    """A merchant's vouchers for a next order, the newest first: the first order that is large enough uses one."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await vouchers.vouchers_of(tx, "merchant", merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.voucher_id,))


HANDLERS = [list_rewards, list_reward_grants, list_vouchers]
