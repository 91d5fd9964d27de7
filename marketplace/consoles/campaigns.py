"""Campaigns of incentives on pages: planned, submitted, approved by another person, paused, reviewed."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from incentives.campaigns import store
from incentives.campaigns.model import Campaign
from incentives.lifecycle import FOR_APPROVERS, Move, Party, State, moves_from
from incentives.rules.check import refuse
from incentives.store import hold_campaign
from marketplace.consoles import incentives_queries as queries
from marketplace.consoles.burn import Burn
from marketplace.consoles.campaign_form import METRICS, campaign_field, fill_campaign, typed_of_campaign
from marketplace.consoles.deeds import Refused, carry_out, done, text
from marketplace.consoles.incentives_queries import CAMPAIGNS, InStatePage
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.trend import Chart, Column, bars, top
from marketplace.core.db import STAFF, Database, Tx
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.plan_incentives import DraftCampaign, EditCampaign
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import APPROVERS, check_approver
from marketplace.web.i18n import Speech, speech

InState = Annotated[State | None, QueryParameter(name="state")]


class CampaignForm(msgspec.Struct, frozen=True):
    """A campaign that is written. campaign: None for a new one. faults: what is wrong, by field."""

    campaign: Campaign | None
    typed: Mapping[str, str]
    faults: Mapping[str, str]

    @property
    def action(self) -> str:
        return "/ops/campaigns" if self.campaign is None else f"/ops/campaigns/{self.campaign.campaign_id}"


def moves_of(request: ActorRequest, state: State) -> list[Move]:
    """What the person may do with a campaign or promotion in this state."""
    may = [*moves_from(state, Party.PLATFORM)]
    return [move for move in may if move not in FOR_APPROVERS or request.user.roles & APPROVERS]


def burn_chart(burn: Burn, currency: str, say: Speech) -> Chart:
    """What was granted day by day; more taken back than granted shows as nothing."""
    columns = [
        Column(value=max(0, minor), words=f"{say.day(on)}: {say.money(minor, currency)}") for on, minor in burn.days
    ]
    return Chart(bars(columns, say.text("burn.chart")), top(columns), burn.days[0][0], burn.days[-1][0])


@get(["/campaigns", "/campaigns.csv"])
async def campaigns(request: ActorRequest, db: NamedDependency[Database], in_state: InState = None) -> Response[Any]:
    """Campaigns, the newest first, with what they have used of their budgets."""
    listing = CAMPAIGNS.asked(request, "/ops/campaigns", {"state": in_state}, state=in_state)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        listing = await listing.page(tx)
    return send(request, "ops/campaigns.html", InStatePage(in_state), "campaigns", listing=listing, states=list(State))


@get("/campaigns/new")
async def new_campaign(request: ActorRequest) -> Response[str]:
    """An empty form."""
    return show_form(request, CampaignForm(None, {"zone": "UTC", "currency": "EUR", "stop_share": "90"}, {}))


def show_form(request: ActorRequest, form: CampaignForm, refused: Refused | None = None) -> Response[str]:
    return send(request, "ops/campaign_form.html", form, "campaigns", refused=refused, metrics=METRICS)


async def _form_again(request: ActorRequest, campaign: Campaign | None, refused: Refused) -> Response[str]:
    faults = {campaign_field(f"/{name}"): why for name, why in refused.fields.items()}
    return show_form(request, CampaignForm(campaign, refused.typed, faults), refused)


@post("/campaigns")
async def draft_campaign(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """A new campaign; what it lacks is asked for when it is submitted."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        filled = fill_campaign(typed)
        refuse([(f"/{name}", why) for name, why in filled.faults.items()])
        assert filled.schedule is not None
        assert filled.plan is not None
        cmd = DraftCampaign(name=filled.name, currency=filled.currency, schedule=filled.schedule, plan=filled.plan)
        made = await flow.draft_campaign(tx, cmd)
        return done(f"/ops/campaigns/{made.campaign_id}", "incentive_drafted")

    return await carry_out(request, db, work, again=partial(_form_again, request, None))


@get("/campaigns/{campaign_id:int}/edit")
async def edit_campaign(request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId) -> Response[str]:
    """The form with what the campaign says."""
    async with db.read(STAFF) as tx:
        found = await store.get_campaign(tx, campaign_id)
    return show_form(request, CampaignForm(found, typed_of_campaign(found), {}))


@post("/campaigns/{campaign_id:int}")
async def save_campaign(request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId) -> Response[Any]:
    """Change a draft."""
    async with db.read(STAFF) as tx:
        found = await store.get_campaign(tx, campaign_id)

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        filled = fill_campaign({**typed, "currency": found.currency})
        refuse([(f"/{name}", why) for name, why in filled.faults.items()])
        await hold_campaign(tx, campaign_id)
        held = await store.get_campaign(tx, campaign_id, lock=True)
        cmd = EditCampaign(name=filled.name, schedule=filled.schedule, plan=filled.plan)
        await flow.edit_campaign(tx, held, cmd)
        return done(f"/ops/campaigns/{campaign_id}", "incentive_edited")

    return await carry_out(request, db, work, again=partial(_form_again, request, found))


@get("/campaigns/{campaign_id:int}")
async def campaign(request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId) -> Response[str]:
    """One campaign: what it wants, what it may cost and has cost, its promotions, and who did what."""
    return await show_campaign(request, db, campaign_id)


async def show_campaign(
    request: ActorRequest, db: Database, campaign_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.campaign_page(tx, campaign_id)
    more: dict[str, Any] = {
        "moves": moves_of(request, page.campaign.state),
        "drawn": burn_chart(page.burn, page.campaign.currency, speech(request.user.locale)),
        "may_approve": bool(request.user.roles & APPROVERS),
    }
    return send(request, "ops/campaign.html", page, "campaigns", refused=refused, **more)


@post("/campaigns/{campaign_id:int}/moves/{move:str}")
async def take_campaign_on(
    request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId, move: FromPath[Move]
) -> Response[Any]:
    """Submit, approve, reject, schedule, pause, resume, cancel or review it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if move in FOR_APPROVERS:
            check_approver(request.user.roles, f"move: to {move}")
        await flow.move_campaign(tx, campaign_id, move, text(typed, "reason", most=500))
        return done(f"/ops/campaigns/{campaign_id}", f"incentive_{move}")

    return await carry_out(request, db, work, again=partial(show_campaign, request, db, campaign_id))


PAGES = [
    campaigns,
    new_campaign,
    draft_campaign,
    edit_campaign,
    save_campaign,
    campaign,
    take_campaign_on,
]
