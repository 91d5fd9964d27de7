"""Settled orders rated anew under contracts applied late: previewed, proposed, approved by a second person."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody

from billing.reratings import store as reratings
from billing.reratings.store import RerateLine, Rerating
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.commission import rerate_contracts as flow
from marketplace.flows.commission.rerate_contracts import Reratable, Rerated
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo, QueryId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE


class NewRerating(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """from_on: the months from that day's on are rated anew, each whole; merchant_id: one merchant, by default all."""

    from_on: date
    merchant_id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None


class RerateLines(msgspec.Struct, frozen=True, kw_only=True):
    """Every merchant's month that differs."""

    lines: list[RerateLine]


@get("/reratings", guards=[needs(FINANCE)])
async def list_reratings(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Rerating]:
    """Proposals, booked or not, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await reratings.list_newest(tx, limit=limit + 1, before_id=before)
    return page(rows, limit, lambda row: row, lambda row: (row.rerating_id,))


@get("/reratings/preview", guards=[needs(FINANCE)])
async def preview_rerating(
    request: ActorRequest, db: NamedDependency[Database], from_on: FromQuery[date], merchant_id: QueryId = None
) -> RerateLines:
    """What settled orders should have earned by the contracts as they stand now, where they have not; books nothing."""
    async with db.read(request.user.scope) as tx:
        lines = await flow.preview_rerating(tx, Reratable(from_on=from_on, merchant_id=merchant_id))
    return RerateLines(lines=lines)


@post("/reratings", dto=StrictBody[NewRerating], guards=[needs(FINANCE)], opt=ONCE)
async def propose_rerating(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewRerating]
) -> Response[Rerated]:
    """Propose to book what differs; 409 when nothing does."""
    return await once(request, db, flow.propose_rerating, Reratable(**msgspec.structs.asdict(data)))


@get("/reratings/{rerating_id:int}", guards=[needs(FINANCE)])
async def get_rerating(request: ActorRequest, db: NamedDependency[Database], rerating_id: PathNo) -> Rerated:
    """One rerating with its lines."""
    async with db.read(request.user.scope) as tx:
        return await flow.read_rerating(tx, rerating_id)


@post("/reratings/{rerating_id:int}/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_rerating(
    request: ActorRequest, db: NamedDependency[Database], rerating_id: PathNo
) -> Response[Rerated]:
    """Book what was proposed, as another person than its maker; 409 when anything has changed since."""
    return await once(request, db, flow.approve_rerating, rerating_id)


HANDLERS = [list_reratings, preview_rerating, propose_rerating, get_rerating, approve_rerating]
