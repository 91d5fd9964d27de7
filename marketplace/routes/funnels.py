"""Funnels: their stages in versions, and their figures. A person who sells sees those of its own leads."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition.show_funnel import ShowFunnel, Stuck, list_stuck, show_funnel, trace_won
from marketplace.routes.parameters import LIMIT, Cursor, Limit, QueryFrom, QueryTo
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.funnels import store
from supply.funnels.model import Funnel, Key, Stage, check_funnel
from supply.funnels.report import FunnelReport, WonFigures
from supply.leads.model import Model

PathModel = Annotated[Model, PathParameter(description="A business model.")]
Version = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="A version; the newest.")]
Window = Annotated[int | None, QueryParameter(ge=0, le=3_650, description="Count who goes on within so many days.")]
OfChannel = Annotated[
    str | None,
    QueryParameter(description="A channel's code, with all below it.", max_length=200, pattern=r"^[^\x00]*$"),
]


class FunnelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """won: the stage where the contract is; activated: where the merchant lives, and attribution is locked."""

    model: Model
    stages: Annotated[tuple[Stage, ...], msgspec.Meta(min_length=2, max_length=20)]
    won: Key
    activated: Key


@get("/funnels", guards=[needs(STAFF, SALES)])
async def list_funnels(request: ActorRequest, db: NamedDependency[Database]) -> list[Funnel]:
    """Every version of every model's funnel."""
    async with db.read(request.user.scope) as tx:
        return await store.list_funnels(tx)


@post("/funnels", dto=StrictBody[FunnelBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_funnel(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[FunnelBody]
) -> Response[Funnel]:
    """Add a version; new leads begin under it, the others keep theirs."""
    check_funnel(data.stages, data.won, data.activated)

    async def work(tx: Tx) -> Funnel:
        return await store.add_funnel(tx, data.model, data.stages, data.won, data.activated)

    return await once(request, db, work)


@get("/funnels/{model:str}", guards=[needs(STAFF, SALES)])
async def get_funnel_report(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: PathModel,
    version_no: Version = None,
    from_on: QueryFrom = None,
    to_on: QueryTo = None,
    window_days: Window = None,
    channel: OfChannel = None,
) -> FunnelReport:
    """Conversion and days by stage, channel and month of those who entered in a period."""
    cmd = ShowFunnel(
        model=model, version_no=version_no, from_on=from_on, to_on=to_on, window_days=window_days, channel=channel
    )  # fmt: skip
    async with db.read(request.user.scope) as tx:
        return await show_funnel(tx, cmd, counted=request.user.is_staff)


@get("/funnels/{model:str}/stuck", guards=[needs(STAFF, SALES)])
async def list_stuck_leads(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: PathModel,
    version_no: Version = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Stuck]:
    """Leads that are in a stage for longer than its limit, those for longest first."""
    after = decode_cursor(cursor, tuple[date, int])
    async with db.read(request.user.scope) as tx:
        rows = await list_stuck(tx, model, limit=limit + 1, version_no=version_no, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.entered_on, row.lead_id))


@get("/funnels/{model:str}/won", guards=[needs(STAFF)])
async def get_won(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: PathModel,
    version_no: Version = None,
    from_on: QueryFrom = None,
    to_on: QueryTo = None,
    channel: OfChannel = None,
) -> list[WonFigures]:
    """What came of those who began in a period and were won, by channel: first sale and goods sold."""
    cmd = ShowFunnel(model=model, version_no=version_no, from_on=from_on, to_on=to_on, channel=channel)
    async with db.read(request.user.scope) as tx:
        return await trace_won(tx, cmd)


HANDLERS = [list_funnels, create_funnel, get_funnel_report, list_stuck_leads, get_won]
