"""Simulations of promotions: asked for, looked at while a worker does them, and read."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from incentives.promotions.store import get_promotion
from incentives.simulation import store
from incentives.simulation.report import EXPECTED
from incentives.simulation.scenarios import Response as Answered
from incentives.simulation.store import Asked, Stored, Summary
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.promotions.simulate_promotion import Ask, ask_simulation
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_PATH = "/promotions/{promotion_id:int}/simulations"


class NewSimulation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """from_on, to_on: local days of recorded orders, both inclusive, over which the terms are replayed as if they ran
    then. version_no: the newest by default. expected: the response that is counted on; what the promotion costs without
    any is compared with it. seed: of the lots that intervals are drawn by.
    """

    from_on: date
    to_on: date
    version_no: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    expected: Answered = EXPECTED
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 1


@post(_PATH, dto=StrictBody[NewSimulation], guards=[needs(OPS)], opt=ONCE)
async def start_simulation(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, data: JSONBody[NewSimulation]
) -> Response[Summary]:
    """Have a worker replay a version over recorded orders. Terms that no recorded order can meet are refused."""
    asked = Asked(from_on=data.from_on, to_on=data.to_on, expected=data.expected, seed=data.seed)
    cmd = Ask(promotion_id=promotion_id, version_no=data.version_no, asked=asked)
    return await once(request, db, ask_simulation, cmd)


@get(_PATH, guards=[needs(STAFF)])
async def list_simulations(
    request: ActorRequest,
    db: NamedDependency[Database],
    promotion_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Summary]:
    """Simulations of a promotion without their results, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_promotion(tx, promotion_id)
        rows = await store.list_simulations(tx, promotion_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.simulation_id,))


@get(f"{_PATH}/{{simulation_id:int}}", guards=[needs(STAFF)])
async def get_simulation(
    request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId, simulation_id: PathId
) -> Stored:
    """One simulation: how far it is, and, once it is done, cost, who gains, scenarios, intervals and warnings."""
    async with db.read(request.user.scope) as tx:
        return await store.get_simulation(tx, promotion_id, simulation_id)


HANDLERS = [start_simulation, list_simulations, get_simulation]
