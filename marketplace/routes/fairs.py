"""Conferences and trade fairs, who was met there, what is to follow, and what it came to."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import attend_fairs as fairs
from marketplace.flows.acquisition.attend_fairs import FairReport, Scanned
from marketplace.routes.fields import Currency, Id, Label, Name, Note, Past, Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, seller_of
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE
from supply.leads.events import store
from supply.leads.events.model import Attendee, Fair, FairKind, LeadTask, TaskState
from supply.leads.model import ChannelCost, CostKind

_ONE = "/fairs/{fair_id:int}"
AT_ONCE_MAX = 500
_AMOUNT_MAX = 10**12
OfCurrency = Annotated[str, QueryParameter(pattern="^[A-Z]{3}$")]
FairCode = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]


class FairBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """code: the campaign of its costs and touches; channel: a channel's code."""

    code: FairCode
    name: Name
    kind: FairKind
    starts_on: date
    ends_on: date
    place: Label = ""
    channel: Label = "offline.conference"
    zone: Label = "UTC"
    follow_up_days: Annotated[int, msgspec.Meta(ge=0, le=90)] = 3


class AttendeeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """badge: the code on it."""

    badge: Reference
    company: Name
    contact: Label = ""
    phone: Label = ""
    email: Label = ""
    city: Label = ""
    region: Label = ""
    segment: Label = ""


class AttendeesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    attendees: Annotated[tuple[AttendeeBody, ...], msgspec.Meta(min_length=1, max_length=AT_ONCE_MAX)]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """new: those that were not registered before."""

    new: int


class ScanBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """at: by the device's clock. company: of who is not registered."""

    badge: Reference
    at: Past
    company: Label = ""
    contact: Label = ""
    phone: Label = ""
    email: Label = ""
    note: Note = ""


class ScansBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a device tells, at once or when it is within reach again. sent_at: what its clock shows now."""

    device_id: Reference
    sent_at: Past
    scans: Annotated[tuple[ScanBody, ...], msgspec.Meta(min_length=1, max_length=AT_ONCE_MAX)]


class FairCostBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """ref: the entry's own id, under which it is booked once; below zero it corrects another."""

    ref: Reference
    kind: CostKind
    spent_on: date
    currency: Currency
    amount_minor: Annotated[int, msgspec.Meta(ge=-_AMOUNT_MAX, le=_AMOUNT_MAX)]


class TaskBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """rep_id: who holds the lead."""

    lead_id: Id
    what: Reason
    due_on: date
    rep_id: Id | None = None


class TaskEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of it; cancelled: nothing had to be done."""

    outcome: Reason
    cancelled: bool = False


@get("/fairs", guards=[needs(STAFF, SALES)])
async def list_fairs(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Fair]:
    """Fairs, the latest first."""
    before = decode_cursor(cursor, tuple[date, int])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_fairs(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.starts_on, row.fair_id))


@post("/fairs", dto=StrictBody[FairBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_fair(request: ActorRequest, db: NamedDependency[Database], data: JSONBody[FairBody]) -> Response[Fair]:
    """Go to a conference or trade fair."""
    return await once(request, db, fairs.make_fair, fairs.NewFair(**msgspec.structs.asdict(data)))


@get(_ONE, guards=[needs(STAFF, SALES)])
async def get_fair(request: ActorRequest, db: NamedDependency[Database], fair_id: PathId) -> Fair:
    """One fair."""
    async with db.read(request.user.scope) as tx:
        return await store.get_fair(tx, fair_id)


@get(f"{_ONE}/attendees", guards=[needs(STAFF, SALES)])
async def list_attendees(
    request: ActorRequest, db: NamedDependency[Database], fair_id: PathId, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Attendee]:
    """Who is registered or was met; a person who sells sees whom it has met."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        await store.get_fair(tx, fair_id)
        rows = await store.list_attendees(tx, fair_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.attendee_id,))


@post(f"{_ONE}/attendees", dto=StrictBody[AttendeesBody], guards=[needs(GROWTH)], status_code=200, opt=ONCE)
async def register_attendees(
    request: ActorRequest, db: NamedDependency[Database], fair_id: PathId, data: JSONBody[AttendeesBody]
) -> Response[Registered]:
    """Register people, each badge once."""
    who = [fairs.NewAttendee(**msgspec.structs.asdict(each)) for each in data.attendees]

    async def work(tx: Tx) -> Registered:
        return Registered(new=await fairs.register(tx, fair_id, who))

    return await once(request, db, work)


@post(f"{_ONE}/scans", dto=StrictBody[ScansBody], guards=[needs(SALES)], status_code=200, opt=ONCE)
async def scan_badges(
    request: ActorRequest, db: NamedDependency[Database], fair_id: PathId, data: JSONBody[ScansBody]
) -> Response[list[Scanned]]:
    """People were met: each becomes a lead once, with a task to follow up. The answer says what became of each."""
    scans = tuple(fairs.Scan(**msgspec.structs.asdict(one)) for one in data.scans)
    cmd = fairs.SyncScans(fair_id=fair_id, device_id=data.device_id, sent_at=data.sent_at, scans=scans)
    return await once(request, db, fairs.sync_scans, cmd, request.user.user_id)


@post(f"{_ONE}/costs", dto=StrictBody[FairCostBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_fair_cost(
    request: ActorRequest, db: NamedDependency[Database], fair_id: PathId, data: JSONBody[FairCostBody]
) -> Response[ChannelCost]:
    """Book what a fair has cost."""
    cmd = fairs.NewCost(fair_id=fair_id, **msgspec.structs.asdict(data))
    return await once(request, db, fairs.add_cost, cmd)


@get(f"{_ONE}/report", guards=[needs(STAFF)])
async def get_fair_report(
    request: ActorRequest, db: NamedDependency[Database], fair_id: PathId, currency: OfCurrency
) -> FairReport:
    """What a fair has cost, and what came of those who were met there."""
    async with db.read(request.user.scope) as tx:
        return await fairs.weigh_fair(tx, fair_id, currency)


@get("/lead-tasks", guards=[needs(STAFF, SALES)])
async def list_lead_tasks(
    request: ActorRequest,
    db: NamedDependency[Database],
    rep_id: QueryId = None,
    lead_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[LeadTask]:
    """What is to be done about leads, what is due first first."""
    after = decode_cursor(cursor, tuple[date, int])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_tasks(tx, limit=limit + 1, after=after, rep_id=rep_id, lead_id=lead_id)
    return page(rows, limit, lambda row: row, lambda row: (row.due_on, row.task_id))


@post("/lead-tasks", dto=StrictBody[TaskBody], guards=[needs(GROWTH, SALES)], opt={**ONCE, ALSO: (404,)})
async def create_lead_task(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[TaskBody]
) -> Response[LeadTask]:
    """Something is to be done about a lead."""
    args = (data.lead_id, data.what, data.due_on, data.rep_id, seller_of(request.user))
    return await once(request, db, fairs.make_task, *args)


@post(
    "/lead-tasks/{task_id:int}/end",
    dto=StrictBody[TaskEnd],
    guards=[needs(GROWTH, SALES)],
    status_code=200,
    opt=ONCE,
)
async def end_lead_task(
    request: ActorRequest, db: NamedDependency[Database], task_id: PathId, data: JSONBody[TaskEnd]
) -> Response[LeadTask]:
    """It is done, or not needed any more."""
    state = TaskState.CANCELLED if data.cancelled else TaskState.DONE
    return await once(request, db, fairs.end_task, task_id, state, data.outcome, seller_of(request.user))


HANDLERS = [
    list_fairs,
    create_fair,
    get_fair,
    list_attendees,
    register_attendees,
    scan_badges,
    create_fair_cost,
    get_fair_report,
    list_lead_tasks,
    create_lead_task,
    end_lead_task,
]
