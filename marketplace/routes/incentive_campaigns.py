"""Campaigns that promotions are made for: planned, approved by another person, paused, reviewed."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from incentives import store as incentives
from incentives.campaigns import store
from incentives.campaigns.model import Campaign, Plan
from incentives.lifecycle import FOR_APPROVERS, Move, State
from incentives.rules.model import Schedule
from incentives.store import Step, hold_campaign
from marketplace.core.db import Database, Tx
from marketplace.core.money import check_currency
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.plan_incentives import DraftCampaign, EditCampaign
from marketplace.routes.fields import Currency, Name, Note
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import OPS, STAFF, check_approver, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

InState = Annotated[State | None, QueryParameter(name="state")]  # Litestar keeps the name `state` for itself

_PATH = "/incentive-campaigns/{campaign_id:int}"


class NewIncentiveCampaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """schedule: in local times of its zone. A draft's plan may leave out anything."""

    name: Name
    currency: Currency
    schedule: Schedule
    plan: Plan | None = None


class IncentiveCampaignChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is; a plan is replaced whole."""

    name: Name | None = None
    schedule: Schedule | None = None
    plan: Plan | None = None


ByHand = Literal["submit", "approve", "reject", "revise", "schedule", "pause", "resume", "review", "cancel"]
"""Moves that people make; the others are the clock's."""


class IncentiveMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to become of it, and why."""

    move: ByHand
    reason: Note = ""


def _draft(data: NewIncentiveCampaign) -> DraftCampaign:
    return DraftCampaign(**{**msgspec.structs.asdict(data), "plan": data.plan or Plan()})


@get("/incentive-campaigns", guards=[needs(STAFF)])
async def list_incentive_campaigns(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Campaign]:
    """Campaigns, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_campaigns(tx, state=in_state, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.campaign_id,))


@get(_PATH, guards=[needs(STAFF)])
async def get_incentive_campaign(
    request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId
) -> Response[Campaign]:
    """One campaign with its plan."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_campaign(tx, campaign_id)
    return tagged(found, found.version)


@post("/incentive-campaigns", dto=StrictBody[NewIncentiveCampaign], guards=[needs(OPS)], opt=ONCE)
async def draft_incentive_campaign(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewIncentiveCampaign]
) -> Response[Campaign]:
    """Draft a campaign; it can be submitted when its plan names target, budget, funders, stop rules and reviewer."""
    check_currency(data.currency)
    return await once(request, db, flow.draft_campaign, _draft(data))


@patch(_PATH, dto=StrictBody[IncentiveCampaignChanges], guards=[needs(OPS)], opt=versioned())
async def edit_incentive_campaign(
    request: ActorRequest,
    db: NamedDependency[Database],
    campaign_id: PathId,
    data: JSONBody[IncentiveCampaignChanges],
) -> Response[Campaign]:
    """Change a draft. What was approved is changed by `incentive-changes`."""

    async def hold(tx: Tx) -> Campaign:
        await hold_campaign(tx, campaign_id)
        return await store.get_campaign(tx, campaign_id, lock=True)

    async def change(tx: Tx, held: Campaign) -> Campaign:
        return await flow.edit_campaign(tx, held, EditCampaign(**msgspec.structs.asdict(data)))

    return await edited(request, db, hold, change)


@post(f"{_PATH}/moves", dto=StrictBody[IncentiveMove], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def move_incentive_campaign(
    request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId, data: JSONBody[IncentiveMove]
) -> Response[Campaign]:
    """Submit, approve, schedule, pause, resume, cancel or review a campaign. A paused one grants nothing any more."""
    move = Move(data.move)
    if move in FOR_APPROVERS:
        check_approver(request.user.roles, f"move: to {move}")
    return await once(request, db, flow.move_campaign, campaign_id, move, data.reason)


@get(f"{_PATH}/steps", guards=[needs(STAFF)])
async def list_incentive_campaign_steps(
    request: ActorRequest,
    db: NamedDependency[Database],
    campaign_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Step]:
    """All that was done to a campaign, by whom and why, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_campaign(tx, campaign_id)
        rows = await incentives.history(tx, "campaign", campaign_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.step_id,))


HANDLERS = [
    list_incentive_campaigns,
    get_incentive_campaign,
    draft_incentive_campaign,
    edit_incentive_campaign,
    move_incentive_campaign,
    list_incentive_campaign_steps,
]
