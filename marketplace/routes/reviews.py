"""Experiments of promotions: who was exposed or held out, and the review that says what came of it."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from incentives.experiments import store
from incentives.experiments.findings import Findings
from incentives.experiments.store import Decision, Exposure, Precedent, Review
from incentives.promotions.store import get_promotion
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.promotions import review_promotion as flow
from marketplace.flows.promotions.review_promotion import ReviewPromotion
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_PATH = "/promotions/{promotion_id:int}"


class NewReview(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """decision: what comes of it. learned: what the next promotion of this kind should know."""

    decision: Decision
    learned: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]


class ReviewSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """findings: as they stand now, or as they were frozen with the review, null before there is one.

    precedents: the newest reviews of promotions like it.
    """

    findings: Findings
    review: Review | None
    precedents: list[Precedent]


@get(f"{_PATH}/exposures", guards=[needs(STAFF)])
async def list_exposures(
    request: ActorRequest,
    db: NamedDependency[Database],
    promotion_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Exposure]:
    """Whom a promotion's experiment has reached, when first, and in which arm; "" is held out."""
    after = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        await get_promotion(tx, promotion_id)
        rows = await store.list_exposures(tx, promotion_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.merchant_id, row.unit))


@get(f"{_PATH}/review", guards=[needs(STAFF)])
async def get_promotion_review(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId
) -> ReviewSoFar:
    """Effect with its interval, cost and return by arm, as far as can be said by now."""
    async with db.read(request.user.scope) as tx:
        await get_promotion(tx, promotion_id)
        review = await store.find_review(tx, promotion_id)
        found = await flow.look_back(tx, promotion_id) if review is None else review.findings
        similar = await store.precedents(tx, promotion_id)
    return ReviewSoFar(findings=found, review=review, precedents=similar)


@post(f"{_PATH}/review", dto=StrictBody[NewReview], guards=[needs(OPS)], opt=ONCE)
async def review_promotion(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, data: JSONBody[NewReview]
) -> Response[Review]:
    """Freeze what was found and close the promotion, as its campaign's reviewer, once no refund counts any more."""
    cmd = ReviewPromotion(promotion_id=promotion_id, decision=data.decision, learned=data.learned)
    return await once(request, db, flow.review_promotion, cmd)


HANDLERS = [list_exposures, get_promotion_review, review_promotion]
