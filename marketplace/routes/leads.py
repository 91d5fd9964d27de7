"""Leads: who may be won, and all that happens until it is. A rep sees its own, a manager those of its territories."""

from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage, void_stage
from marketplace.flows.acquisition.work_leads import (
    EditLead,
    LeadDetail,
    LeadHistory,
    MoveLead,
    NewLead,
    NewTouch,
    add_lead,
    edit_lead,
    history_of,
    lock_own,
    merge_leads,
    move_lead,
    touch_lead,
)
from marketplace.routes.fields import Id, Label, Name, Note, Past, Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, seller_of
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import DISTRIBUTOR, GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.funnels import store as funnels
from supply.funnels.model import Entry, Key, StageEvent
from supply.leads import store
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, LeadState, Model, Touch, TouchKind
from supply.leads.shares_sql import Attributed, locked_shares, shares_of

_ONE = "/leads/{lead_id:int}"
OfModel = Annotated[Model | None, QueryParameter(name="model", description="Only leads of this business model.")]
InState = Annotated[LeadState | None, QueryParameter(name="state", description="Only leads in this state.")]


class LeadBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """channel: a channel's code; first_contact_at: now. A person who sells holds what it brings; a pool is for others.

    source and source_ref: where it comes from and its id there, under which it is a lead once. merchant_id: the
    merchant that it is already, and may buy a tool, hardware or a service as.
    """

    model: Model
    company: Name
    channel: Label
    campaign: Label = ""
    contact: Label = ""
    phone: Label = ""
    email: Label = ""
    tax_id: Label = ""
    city: Label = ""
    region: Label = ""
    segment: Label = ""
    zone: Label = "UTC"
    source: Reference | None = None
    source_ref: Reference | None = None
    first_contact_at: Past | None = None
    pool_id: Id | None = None
    merchant_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None


class LeadChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is."""

    company: Name | None = None
    contact: Label | None = None
    phone: Label | None = None
    email: Label | None = None
    tax_id: Label | None = None
    city: Label | None = None
    region: Label | None = None
    segment: Label | None = None


class MoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """merchant_id: as whom it was signed or is handed over; owner_id: the rep it is assigned to; pool_id: where to.

    reason: of a signature, what shows it. A merchant that was here before the lead was contacted is named by another
    person than the rep who holds the lead.
    """

    move: Move
    reason: Note = ""
    merchant_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    owner_id: Id | None = None
    pool_id: Id | None = None


class TouchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """channel: the lead's own; at: now; rep_id: who made it, always the caller for one who sells."""

    kind: TouchKind
    channel: Label | None = None
    campaign: Label = ""
    rep_id: Id | None = None
    note: Note = ""
    at: Past | None = None


class MergeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """into: the lead that lives on."""

    into: Id
    reason: Reason


class StageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stage of the lead's funnel, and when it was in it: now. evidence: what shows it, needed from the contract on.

    Who holds a lead does not say itself that it is activated.
    """

    stage: Key
    at: Past | None = None
    evidence: Note = ""


class LeadStages(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen, and when the lead is taken to have entered each stage."""

    events: list[StageEvent]
    entries: list[Entry]


@get("/leads", guards=[needs(STAFF, SALES, DISTRIBUTOR)])
async def list_leads(
    request: ActorRequest,
    db: NamedDependency[Database],
    of_model: OfModel = None,
    in_state: InState = None,
    owner_id: QueryId = None,
    pool_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Lead]:
    """Leads, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_leads(
            tx, limit=limit + 1, before=before, model=of_model, state=in_state, owner_id=owner_id, pool_id=pool_id
        )
    return page(rows, limit, lambda row: row, lambda row: (row.lead_id,))


@post("/leads", dto=StrictBody[LeadBody], guards=[needs(GROWTH, SALES)], opt=ONCE)
async def create_lead(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[LeadBody]
) -> Response[LeadDetail]:
    """Take a lead in; the answer names those that may be the same."""
    cmd = NewLead(**msgspec.structs.asdict(data))
    return await once(request, db, add_lead, cmd, seller_of(request.user))


@get(_ONE, guards=[needs(STAFF, SALES, DISTRIBUTOR)])
async def get_lead(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> Response[LeadDetail]:
    """One lead, and those that may be the same."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_lead(tx, lead_id)
        same = [each.lead_id for each in await store.duplicates_of(tx, found)]
    return tagged(LeadDetail(lead=found, duplicates=same), found.version)


@patch(_ONE, dto=StrictBody[LeadChanges], guards=[needs(GROWTH, SALES)], opt=versioned())
async def change_lead(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, data: JSONBody[LeadChanges]
) -> Response[LeadDetail]:
    """Change what is known of a lead."""

    async def change(tx: Tx, held: Lead) -> LeadDetail:
        return await edit_lead(tx, held, EditLead(**msgspec.structs.asdict(data)))

    return await edited(request, db, lambda tx: lock_own(tx, lead_id, seller_of(request.user)), change)


@post(f"{_ONE}/moves", dto=StrictBody[MoveBody], guards=[needs(GROWTH, SALES)], status_code=200, opt=ONCE)
async def make_move(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, data: JSONBody[MoveBody]
) -> Response[LeadDetail]:
    """Take a lead a step on: contacted, visited, negotiating, signed, handed over, lost; or put it back."""
    cmd = MoveLead(lead_id=lead_id, **msgspec.structs.asdict(data))
    return await once(request, db, move_lead, cmd, seller_of(request.user))


@get(f"{_ONE}/history", guards=[needs(STAFF, SALES)])
async def get_lead_history(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> LeadHistory:
    """What became of a lead and its touches, with those of leads that were merged into it."""
    async with db.read(request.user.scope) as tx:
        return await history_of(tx, lead_id)


@post(f"{_ONE}/touches", dto=StrictBody[TouchBody], guards=[needs(GROWTH, SALES)], opt=ONCE)
async def create_touch(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, data: JSONBody[TouchBody]
) -> Response[Touch]:
    """Note a contact with a lead, also one of long ago."""
    cmd = NewTouch(lead_id=lead_id, **msgspec.structs.asdict(data))
    return await once(request, db, touch_lead, cmd, seller_of(request.user))


@post(f"{_ONE}/merge", dto=StrictBody[MergeBody], guards=[needs(GROWTH, SALES)], status_code=200, opt=ONCE)
async def merge_lead(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, data: JSONBody[MergeBody]
) -> Response[LeadDetail]:
    """Let a lead live on in another one; the answer is that other."""
    return await once(request, db, merge_leads, lead_id, data.into, data.reason, seller_of(request.user))


@get(f"{_ONE}/attribution", guards=[needs(STAFF, SALES)])
async def get_attribution(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId
) -> list[Attributed]:  # fmt: skip
    """To which channels a lead is due, by each model: locked once it is activated, else as of now."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_lead(tx, lead_id)
        return await locked_shares(tx, lead_id) or shares_of(found, await store.touches_of(tx, lead_id), tx.now)


@get(f"{_ONE}/stages", guards=[needs(STAFF, SALES, DISTRIBUTOR)])
async def get_stages(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> LeadStages:
    """The stages that a lead was seen in."""
    async with db.read(request.user.scope) as tx:
        await store.get_lead(tx, lead_id)
        return LeadStages(
            events=await funnels.events_of(tx, lead_id), entries=await funnels.list_entries(tx, lead_id)
        )  # fmt: skip


@post(f"{_ONE}/stages", dto=StrictBody[StageBody], guards=[needs(GROWTH, SALES)], opt=ONCE)
async def create_stage(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, data: JSONBody[StageBody]
) -> Response[StageEvent]:
    """Note that a lead is, or was, in a stage."""

    async def work(tx: Tx) -> StageEvent:
        await lock_own(tx, lead_id, seller_of(request.user))
        return await note_stage(tx, NoteStage(lead_id=lead_id, **msgspec.structs.asdict(data)))

    return await once(request, db, work)


@post(f"{_ONE}/stages/{{event_id:int}}/void", guards=[needs(GROWTH, SALES)], opt=ONCE)
async def void_stage_event(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, event_id: PathId
) -> Response[StageEvent]:
    """Take back what was noted wrongly; both stay on record."""

    async def work(tx: Tx) -> StageEvent:
        await lock_own(tx, lead_id, seller_of(request.user))
        return await void_stage(tx, lead_id, event_id)

    return await once(request, db, work)


HANDLERS = [
    list_leads,
    create_lead,
    get_lead,
    change_lead,
    make_move,
    get_lead_history,
    create_touch,
    merge_lead,
    get_attribution,
    get_stages,
    create_stage,
    void_stage_event,
]
