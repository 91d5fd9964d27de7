"""What the shop that buyers see counts of its days: visitors, requests, slots, and how long requests waited."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.runs.store import only_entity
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.steering.tell_observations import TellObservations, Told, tell_observations
from marketplace.metrics import observations_sql as store
from marketplace.metrics.observations_sql import Observation, ToldObservation
from marketplace.routes.fields import EntityId
from marketplace.routes.parameters import LIMIT, Cursor, Limit, QueryEntity
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import SELLING, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_ROWS_MAX = 1_000
Counted = Literal[
    "visitors", "visitors_with_order", "requests", "requests_filled", "slots", "ad_slots_eligible", "ad_slots_filled",
    "quoted", "unquoted",
]  # fmt: skip


class ObservationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A count of a day. wait_days: of requests for quotes made on the day, after how many days they were `quoted` for
    the first time, or given up `unquoted`."""

    day: date
    name: Counted
    count: Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    wait_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = 0


class ObservationsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Told again, a count stands in the place of the earlier one."""

    rows: Annotated[tuple[ObservationBody, ...], msgspec.Meta(min_length=1, max_length=_ROWS_MAX)]
    entity_id: EntityId | None = None


@get("/observations", guards=[needs(STAFF)], opt={ALSO: (404, 409)})
async def list_observations(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity_id: QueryEntity = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ToldObservation]:
    """What was told, the newest days first."""
    before = decode_cursor(cursor, tuple[date, str, int])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_told(tx, await only_entity(tx, entity_id), limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.day, row.name, row.wait_days))


@post("/observations", dto=StrictBody[ObservationsBody], guards=[needs(SELLING)], opt={**ONCE, ALSO: (404,)})
async def create_observations(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ObservationsBody]
) -> Response[Told]:
    """Tell counts of days, all of them or none."""
    rows = tuple(Observation(**msgspec.structs.asdict(row)) for row in data.rows)
    return await once(request, db, tell_observations, TellObservations(rows=rows, entity_id=data.entity_id))


HANDLERS = [list_observations, create_observations]
