"""Promotions and their versions; what merchants are told of them, and that they join."""

from datetime import datetime

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from incentives import store as incentives
from incentives.experiments.store import get_holdout
from incentives.lifecycle import FOR_APPROVERS, Move
from incentives.promotions import store
from incentives.promotions.model import OnPause, Promotion, Version, VersionState
from incentives.promotions.store import PublicPromotion
from incentives.rules.model import Terms
from incentives.store import Step
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.promotions import join_promotion as joining
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.plan_incentives import DraftPromotion, NewVersion
from marketplace.routes.fields import Id, Note
from marketplace.routes.incentive_campaigns import ByHand, InState
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathVersion, QueryId, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import tagged
from marketplace.web.guards import MERCHANT, MERCHANT_BOOKS, OPS, STAFF, Role, check_approver, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE
from supply.store import get_merchant

_PATH = "/promotions/{promotion_id:int}"
_VERSION = f"{_PATH}/versions/{{version_no:int}}"


class NewPromotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """on_pause: whether grants that are on the way are honoured while it is paused, or void."""

    campaign_id: Id
    terms: Terms
    on_pause: OnPause = "honour"


class NewPromotionVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """effective_from: from when on events fall under it; of an approved promotion only, and not before now."""

    terms: Terms
    effective_from: datetime | None = None


class PromotionMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """acknowledged: to approve, why a warning of its simulation does not matter, by the warning's name."""

    move: ByHand
    reason: Note = ""
    acknowledged: dict[str, Note] = {}


class VersionApproval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """acknowledged: why a warning of the version's simulation does not matter, by the warning's name."""

    acknowledged: dict[str, Note] = {}


@get("/promotions", guards=[needs(STAFF)])
async def list_promotions(
    request: ActorRequest,
    db: NamedDependency[Database],
    campaign_id: QueryId = None,
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Promotion]:
    """Promotions, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_promotions(tx, campaign_id=campaign_id, state=in_state, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.promotion_id,))


@get(_PATH, guards=[needs(STAFF)])
async def get_promotion(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId
) -> Response[Promotion]:
    """One promotion."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_promotion(tx, promotion_id)
    return tagged(found, found.version)


@post("/promotions", dto=StrictBody[NewPromotion], guards=[needs(OPS)], opt={**ONCE, ALSO: (404,)})
async def draft_promotion(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewPromotion]
) -> Response[Promotion]:
    """Draft a promotion of a campaign. Terms that contradict themselves are refused, all of what is wrong at once."""
    return await once(request, db, flow.draft_promotion, DraftPromotion(**msgspec.structs.asdict(data)))


@post(f"{_PATH}/moves", dto=StrictBody[PromotionMove], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def move_promotion(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, data: JSONBody[PromotionMove]
) -> Response[Promotion]:
    """Submit, approve, schedule, pause, resume, cancel or review a promotion. A paused one grants nothing any more.

    Approved is only what was simulated, by somebody who says why each of its warnings does not matter.
    """
    move = Move(data.move)
    if move in FOR_APPROVERS:
        check_approver(request.user.roles, f"move: to {move}")
    return await once(request, db, flow.move_promotion, promotion_id, move, data.reason, data.acknowledged)


@get(f"{_PATH}/steps", guards=[needs(STAFF)])
async def list_promotion_steps(
    request: ActorRequest,
    db: NamedDependency[Database],
    promotion_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Step]:
    """All that was done to a promotion, by whom and why, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_promotion(tx, promotion_id)
        rows = await incentives.history(tx, "promotion", promotion_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.step_id,))


@get(f"{_PATH}/versions", guards=[needs(STAFF)])
async def list_promotion_versions(
    request: ActorRequest,
    db: NamedDependency[Database],
    promotion_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Version]:
    """A promotion's versions, the newest first. An event falls under the one in force when it happened."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_promotion(tx, promotion_id)
        rows = await store.list_versions(tx, promotion_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.version_no,))


@post(f"{_PATH}/versions", dto=StrictBody[NewPromotionVersion], guards=[needs(OPS)], opt=ONCE)
async def add_promotion_version(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, data: JSONBody[NewPromotionVersion]
) -> Response[Version]:
    """Give a draft other terms, or propose other terms for what is approved; those before stay as they are."""
    at = data.effective_from
    if at is not None and (at.tzinfo is None or not 2000 <= at.year < 2200):
        raise Invalid(
            "effective_from: needs an offset, such as Z, and a year from 2000 to 2199", field="effective_from"
        )
    cmd = NewVersion(promotion_id=promotion_id, terms=data.terms, effective_from=at)
    return await once(request, db, flow.add_version, cmd)


@post(
    f"{_VERSION}/approve",
    dto=StrictBody[VersionApproval],
    guards=[needs(Role.APPROVER, Role.ADMIN)],
    status_code=200,
    opt=ONCE,
)
async def approve_promotion_version(
    request: ActorRequest,
    db: NamedDependency[Database],
    promotion_id: PathId,
    version_no: PathVersion,
    data: JSONBody[VersionApproval],
) -> Response[Version]:
    """Approve a version that was simulated and that somebody else has proposed; it holds for what happens then."""
    then = VersionState.APPROVED
    return await once(request, db, flow.decide_version, promotion_id, version_no, then, data.acknowledged)


@post(f"{_VERSION}/reject", guards=[needs(Role.APPROVER, Role.ADMIN)], status_code=200, opt=ONCE)
async def reject_promotion_version(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, version_no: PathVersion
) -> Response[Version]:
    """Refuse a version that is proposed."""
    return await once(request, db, flow.decide_version, promotion_id, version_no, VersionState.REJECTED)


@get("/merchants/{merchant_id:int}/promotions", guards=[needs(STAFF, MERCHANT)])
async def list_merchant_promotions(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[PublicPromotion]:
    """The live promotions that concern a merchant, the newest first, as it may know them."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(WORKER) as tx:
        holdout = await get_holdout(tx)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.public_promotions(tx, merchant_id, holdout=holdout, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.promotion_id,))


@post(
    "/merchants/{merchant_id:int}/promotions/{promotion_id:int}/opt-in",
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def join_promotion(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, promotion_id: PathId
) -> Response[PublicPromotion]:
    """Join a promotion that asks for it; joined again it stays as it is."""
    check_books(request.user, merchant_id)
    return await once(request, db, joining.join_promotion, merchant_id, promotion_id)


HANDLERS = [
    list_promotions,
    get_promotion,
    draft_promotion,
    move_promotion,
    list_promotion_steps,
    list_promotion_versions,
    add_promotion_version,
    approve_promotion_version,
    reject_promotion_version,
    list_merchant_promotions,
    join_promotion,
]
