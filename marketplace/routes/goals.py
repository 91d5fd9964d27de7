"""Goals and how far they have come, and the weekly reviews."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody

from marketplace.core.clock import local_date
from marketplace.core.db import STAFF as STAFF_SCOPE
from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.steering.hold_review import HoldReview, hold_review
from marketplace.flows.steering.set_goals import GoalProgress, SetGoal, revise_goal, set_goal, show_goal
from marketplace.metrics import goals_sql, reviews_sql
from marketplace.metrics.goals_sql import Goal
from marketplace.metrics.periods import Grain
from marketplace.metrics.reviews_sql import Review, ReviewDecision
from marketplace.routes.fields import Currency, EntityId, Id, Name, Positive, Reason, Reference, Words
from marketplace.routes.metrics import MetricName
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, seller_of
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_ONE = "/goals/{goal_id:int}"
_REVIEW = "/reviews/{review_id:int}"
_LIMIT_MAX = 50
"""Of goals at once: each is measured when it is asked for."""


class GoalBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For the week or month that `on` falls in; of a team (territory_id), a rep (rep_id: its user), or the house.

    target in whole units of the metric, as `unit` in `/metrics` says: money in minor units of the currency (12000 is
    120.00 EUR), counts and days as they are. parent_id: the goal that this is a part of, of the same days.
    """

    metric: MetricName
    grain: Literal["week", "month"]
    on: date
    target: Positive
    owner: Reference
    reason: Reason
    entity_id: EntityId | None = None
    currency: Currency | None = None
    territory_id: Id | None = None
    rep_id: Id | None = None
    parent_id: Id | None = None


class GoalChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is; the earlier values stay on record."""

    reason: Reason
    target: Positive | None = None
    owner: Reference | None = None


class Holiday(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A day on which nothing is expected of a goal."""

    day: date
    name: Name


class DecisionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """owner: the login of who sees to it. metric: the figure that should show it."""

    decision: Reason
    owner: Reference
    due_on: date
    metric: MetricName | None = None


class ReviewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of the week that `on` falls in. causes: why it came so."""

    on: date
    causes: Words
    learned: Words
    decisions: Annotated[tuple[DecisionBody, ...], msgspec.Meta(max_length=50)] = ()


class ReviewNoteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """decision_no: which decision it is about, counted from 1; null: the review."""

    note: Words
    decision_no: Annotated[int, msgspec.Meta(ge=1, le=50)] | None = None


@get("/goals", guards=[needs(STAFF, SALES)])
async def list_goals(
    request: ActorRequest,
    db: NamedDependency[Database],
    on: FromQuery[date | None] = None,
    limit: Limit = _LIMIT_MAX,
    cursor: Cursor = None,
) -> Page[GoalProgress]:
    """Goals with their pace and forecast, the newest periods first; those whose days `on` is one of.

    A rep sees its own and its team's, a manager those of its territories.
    """
    before = decode_cursor(cursor, tuple[date, int])
    shown = min(limit, _LIMIT_MAX)
    async with db.read(STAFF_SCOPE) as tx:
        rows = await goals_sql.list_goals(tx, limit=shown + 1, before=before, on=on, seller=seller_of(request.user))
        found = [await show_goal(tx, goal) for goal in rows]
    return page(found, shown, lambda row: row, lambda row: (row.goal.from_on, row.goal.goal_id))


@post("/goals", dto=StrictBody[GoalBody], guards=[needs(GROWTH)], opt={**ONCE, ALSO: (404,)})
async def create_goal(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[GoalBody]) -> Response[Goal]:
    """Set what is to be reached."""
    return await once(request, db, set_goal, SetGoal(**{**msgspec.structs.asdict(data), "grain": Grain(data.grain)}))


@get(_ONE, guards=[needs(STAFF, SALES)])
async def get_goal(request: ActorRequest, db: NamedDependency[Database], goal_id: PathId) -> Response[GoalProgress]:
    """A goal, how far it has come and where that leads, and every target that it has had."""
    async with db.read(STAFF_SCOPE) as tx:
        found = await show_goal(tx, await goals_sql.get_goal(tx, goal_id, seller=seller_of(request.user)))
    return tagged(found, found.goal.version)


@patch(_ONE, dto=StrictBody[GoalChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_goal(
    request: ActorRequest, db: NamedDependency[Database], goal_id: PathId, data: JSONBody[GoalChanges]
) -> Response[Goal]:
    """Another target or owner."""

    async def change(tx: Tx, held: Goal) -> Goal:
        return await revise_goal(tx, held, **msgspec.structs.asdict(data))

    return await edited(request, db, lambda tx: goals_sql.get_goal(tx, goal_id, lock=True), change)


@get("/holidays", guards=[needs(STAFF)])
async def list_holidays(
    request: ActorRequest, db: NamedDependency[Database], from_on: FromQuery[date | None] = None, limit: Limit = LIMIT
) -> list[Holiday]:
    """Holidays from a day on, from today."""
    first = from_on or local_date(db.clock.now(), "UTC")
    async with db.read(request.user.scope) as tx:
        return [Holiday(**row._mapping) for row in await goals_sql.list_holidays(tx, first, limit)]


@post("/holidays", dto=StrictBody[Holiday], return_dto=None, guards=[needs(GROWTH)], opt=ONCE)
async def create_holiday(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[Holiday]
) -> Response[Holiday]:
    """Name a holiday."""

    async def work(tx: Tx) -> Holiday:
        await goals_sql.add_holiday(tx, data.day, data.name)
        return data

    return await once(request, db, work)


@get("/reviews", guards=[needs(STAFF, SALES)])
async def list_reviews(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Review]:
    """Weekly reviews, the newest weeks first. Who sells reads the decisions that are its own, and what came of them."""
    before = decode_cursor(cursor, tuple[date, int])
    owner = None if request.user.is_staff else request.user.login
    async with db.read(STAFF_SCOPE) as tx:
        rows = await reviews_sql.list_reviews(tx, limit=limit + 1, before=before, owner=owner)
    return page(rows, limit, lambda row: row, lambda row: (row.week_on, row.review_id))


@post("/reviews", dto=StrictBody[ReviewBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_review(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ReviewBody]
) -> Response[Review]:
    """Keep what was said of a week: why it came so, what is decided, what was learned. It is never changed."""
    decisions = tuple(ReviewDecision(**msgspec.structs.asdict(each)) for each in data.decisions)
    cmd = HoldReview(on=data.on, causes=data.causes, learned=data.learned, decisions=decisions)
    return await once(request, db, hold_review, cmd)


@get(_REVIEW, guards=[needs(STAFF)])
async def get_review(request: ActorRequest, db: NamedDependency[Database], review_id: PathId) -> Review:
    """One review, with its decisions and what came of them."""
    async with db.read(request.user.scope) as tx:
        return await reviews_sql.get_review(tx, review_id)


@post(f"{_REVIEW}/notes", dto=StrictBody[ReviewNoteBody], guards=[needs(GROWTH)], opt={**ONCE, ALSO: (404,)})
async def note_review(
    request: ActorRequest, db: NamedDependency[Database], review_id: PathId, data: JSONBody[ReviewNoteBody]
) -> Response[Review]:
    """Add what came of a review, or of one of its decisions."""
    return await once(request, db, reviews_sql.add_note, review_id, data.decision_no, data.note)


HANDLERS = [
    list_goals,
    create_goal,
    get_goal,
    change_goal,
    list_holidays,
    create_holiday,
    list_reviews,
    create_review,
    get_review,
    note_review,
]
