"""When the billing runs of a legal entity are opened by the clock."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.cadence import Cadence
from billing.runs.schedules import store
from billing.runs.schedules.model import PAYOUT_DAYS_MAX, Schedule, Stored
from marketplace.core.db import Database
from marketplace.core.paging import LIMIT_MAX, Page, decode_cursor, page
from marketplace.flows.runs import schedule_runs
from marketplace.routes.fields import EntityId
from marketplace.routes.parameters import LIMIT, Cursor, Limit
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE


class NewSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """weekday: on which a week begins, 1 for Monday to 7 for Sunday. starts_on: the first day billed.

    payout_days: payouts are booked so many days after a period's last day. active: false stops the clock.
    """

    entity_id: EntityId
    cadence: Literal["weekly", "ten_days", "monthly"]
    weekday: Annotated[int, msgspec.Meta(ge=1, le=7)] | None = None
    starts_on: date
    payout_days: Annotated[int, msgspec.Meta(ge=1, le=PAYOUT_DAYS_MAX)] = 1
    active: bool = True


@get("/run-schedules", guards=[needs(FINANCE)])
async def list_schedules(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Stored]:
    """The entities' schedules of runs, each with the period that it opens next, and the day on which it does."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    size = min(limit, LIMIT_MAX - 1)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_schedules(tx, after=after, limit=size + 1)
    return page(rows, size, lambda row: row, lambda row: (row.schedule.entity_id,))


@post(
    "/run-schedules",
    dto=StrictBody[NewSchedule],
    guards=[needs(FINANCE)],
    status_code=200,
    opt={**ONCE, ALSO: (404,)},
)
async def set_schedule(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewSchedule]
) -> Response[Stored]:
    """Bill an entity's days by the clock, in the place of its schedule before. Runs are only previewed by it."""
    schedule = Schedule(**{**msgspec.structs.asdict(data), "cadence": Cadence(data.cadence)})
    return await once(request, db, schedule_runs.set_schedule, schedule)


HANDLERS = [list_schedules, set_schedule]
