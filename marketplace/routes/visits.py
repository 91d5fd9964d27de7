"""Visits to leads: planned, checked in and out, told late, looked into. A rep sees its own, a manager the territory."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.core.users import UserRole
from marketplace.flows.acquisition import make_visits as visits
from marketplace.flows.acquisition.make_visits import Synced
from marketplace.routes.fields import Id, Name, Note, Past, Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, seller_of
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import tagged
from marketplace.web.guards import GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE
from supply.leads import store as leads
from supply.leads.visits import store
from supply.leads.visits.model import Fix, Place, Site, Visit

_ONE = "/visits/{visit_id:int}"
SYNCED_MAX = 100
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Hash = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$", description="SHA-256 of the picture, in hex.")]
Odd = Annotated[bool | None, QueryParameter(description="Only visits with something odd about them, or without.")]


class SiteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place of a lead, in degrees (WGS 84)."""

    name: Name
    latitude: Latitude
    longitude: Longitude


class VisitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rep_id: who holds the lead, if anybody is named."""

    lead_id: Id
    planned_at: Past
    rep_id: Id | None = None


class FixBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where and when by the device, in degrees (WGS 84). mocked: the device says that the place is made up."""

    at: Past
    latitude: Latitude
    longitude: Longitude
    accuracy_m: Annotated[int, msgspec.Meta(ge=0, le=100_000)]
    mocked: bool = False

    def fix(self) -> Fix:
        return Fix(at=self.at, place=_place(self), accuracy_m=self.accuracy_m, mocked=self.mocked)


class CheckInBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """sent_at: what the device's clock shows now: what it is wrong by is taken off."""

    sent_at: Past
    fix: FixBody


class CheckOutBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As `CheckInBody`, with what came of it."""

    sent_at: Past
    fix: FixBody
    photo_hash: Hash = ""
    result: Note = ""
    next_step: Note = ""


class ToldBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A visit that a device has recorded. ref: its own id of it."""

    ref: Reference
    lead_id: Id
    came: FixBody
    left: FixBody
    photo_hash: Hash = ""
    result: Note = ""
    next_step: Note = ""


class SyncBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a device tells when it is within reach again; told twice it is stored once."""

    device_id: Reference
    sent_at: Past
    visits: Annotated[tuple[ToldBody, ...], msgspec.Meta(min_length=1, max_length=SYNCED_MAX)]


class ReviewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """valid: whether it counts as a visit."""

    valid: bool
    reason: Reason


def _place(where: SiteBody | FixBody) -> Place:
    return Place(latitude_udeg=round(where.latitude * 1e6), longitude_udeg=round(where.longitude * 1e6))


@get("/leads/{lead_id:int}/sites", guards=[needs(STAFF, SALES)])
async def list_sites(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> list[Site]:
    """The places of a lead."""
    async with db.read(request.user.scope) as tx:
        await leads.get_lead(tx, lead_id)
        return list(await store.sites_of(tx, lead_id))


@post("/leads/{lead_id:int}/sites", dto=StrictBody[SiteBody], guards=[needs(GROWTH, SALES)], opt=ONCE)
async def create_site(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, data: JSONBody[SiteBody]
) -> Response[Site]:
    """Say where a lead is: visits are measured against the nearest of its places."""
    return await once(request, db, visits.add_site, lead_id, data.name, _place(data), seller_of(request.user))


@get("/visits", guards=[needs(STAFF, SALES)])
async def list_visits(
    request: ActorRequest,
    db: NamedDependency[Database],
    rep_id: QueryId = None,
    lead_id: QueryId = None,
    odd: Odd = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Visit]:
    """Visits, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_visits(tx, limit=limit + 1, before=before, rep_id=rep_id, lead_id=lead_id, odd=odd)
    return page(rows, limit, lambda row: row, lambda row: (row.visit_id,))


@post("/visits", dto=StrictBody[VisitBody], guards=[needs(GROWTH, SALES)], opt={**ONCE, ALSO: (404,)})
async def create_visit(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[VisitBody]
) -> Response[Visit]:
    """Plan a visit to a lead."""
    cmd = visits.PlanVisit(**msgspec.structs.asdict(data))
    return await once(request, db, visits.plan_visit, cmd, seller_of(request.user))


@get(_ONE, guards=[needs(STAFF, SALES)])
async def get_visit(request: ActorRequest, db: NamedDependency[Database], visit_id: PathId) -> Response[Visit]:
    """One visit."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_visit(tx, visit_id)
    return tagged(found, found.version)


@post(f"{_ONE}/check-in", dto=StrictBody[CheckInBody], guards=[needs(SALES)], status_code=200, opt=ONCE)
async def check_in(
    request: ActorRequest, db: NamedDependency[Database], visit_id: PathId, data: JSONBody[CheckInBody]
) -> Response[Visit]:
    """The rep is at the place."""
    cmd = visits.CheckIn(visit_id=visit_id, sent_at=data.sent_at, fix=data.fix.fix())
    return await once(request, db, visits.check_in, cmd, request.user.user_id)


@post(f"{_ONE}/check-out", dto=StrictBody[CheckOutBody], guards=[needs(SALES)], status_code=200, opt=ONCE)
async def check_out(
    request: ActorRequest, db: NamedDependency[Database], visit_id: PathId, data: JSONBody[CheckOutBody]
) -> Response[Visit]:
    """The rep leaves: the visit is done, and what is odd about it is noted."""
    cmd = visits.CheckOut(visit_id=visit_id, **{**msgspec.structs.asdict(data), "fix": data.fix.fix()})
    return await once(request, db, visits.check_out, cmd, request.user.user_id)


@post(f"{_ONE}/cancel", guards=[needs(GROWTH, SALES)], status_code=200, opt=ONCE)
async def cancel_visit(request: ActorRequest, db: NamedDependency[Database], visit_id: PathId) -> Response[Visit]:
    """Nobody goes there."""
    return await once(request, db, visits.cancel_visit, visit_id, seller_of(request.user))


@post(
    f"{_ONE}/review",
    dto=StrictBody[ReviewBody],
    guards=[needs(GROWTH, UserRole.SALES_MANAGER)],
    status_code=200,
    opt=ONCE,
)
async def review_visit(
    request: ActorRequest, db: NamedDependency[Database], visit_id: PathId, data: JSONBody[ReviewBody]
) -> Response[Visit]:
    """Say whether a visit counts, having looked into it. Nobody does so with one of their own."""
    return await once(request, db, visits.review_visit, visit_id, data.valid, data.reason, seller_of(request.user))


@post("/visit-syncs", dto=StrictBody[SyncBody], guards=[needs(SALES)], status_code=200, opt=ONCE)
async def sync_visits(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[SyncBody]
) -> Response[list[Synced]]:
    """Tell of visits that a device has recorded while it was out of reach; the answer says what became of each."""
    told = tuple(
        visits.ToldVisit(**{**msgspec.structs.asdict(one), "came": one.came.fix(), "left": one.left.fix()})
        for one in data.visits
    )
    cmd = visits.SyncVisits(device_id=data.device_id, sent_at=data.sent_at, visits=told)

    async def work(tx: Tx) -> list[Synced]:
        return await visits.sync_visits(tx, cmd, request.user.user_id)

    return await once(request, db, work)


HANDLERS = [
    list_sites,
    create_site,
    list_visits,
    create_visit,
    get_visit,
    check_in,
    check_out,
    cancel_visit,
    review_visit,
    sync_visits,
]
