"""The pages of winning merchants: how far leads come, who is stuck, and what became of each."""

from datetime import date
from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from marketplace.consoles import leads_queries
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.leads_queries import LEADS, STUCK, FunnelPage, LeadFilter
from marketplace.consoles.lists import given, given_number
from marketplace.consoles.plots import Figure, funnel
from marketplace.core.db import STAFF, Database
from marketplace.flows.acquisition.show_funnel import ShowFunnel
from marketplace.metrics.periods import check_day
from marketplace.web.auth import ActorRequest
from marketplace.web.i18n import Speech, speech
from supply.leads.model import LeadState, Model

_WINDOW_MAX = 3_650
InState = Annotated[str | None, QueryParameter(name="state")]


def _day(said: str | None, name: str) -> date | None:
    on = given(said, date, name)
    return check_day(on, name) if on else None


@get(["/funnel", "/funnel.csv"])
async def funnel_board(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: FromQuery[Model] = Model.PLATFORM,
    channel: FromQuery[str | None] = None,
    from_on: FromQuery[str | None] = None,
    to_on: FromQuery[str | None] = None,
    window: FromQuery[str | None] = None,
) -> Response[Any]:
    """A business model's funnel: how many go on from each stage, how soon, by cohort; and who is stuck."""
    asked = ShowFunnel(
        model=model,
        channel=channel or None,
        from_on=_day(from_on, "from_on"),
        to_on=_day(to_on, "to_on"),
        window_days=given_number(window, "window", most=_WINDOW_MAX),
    )
    wanted = {"model": model.value, "channel": channel, "from_on": from_on, "to_on": to_on, "window": window}
    listing = STUCK.asked(request, "/ops/funnel", wanted, model=model.value, today=db.clock.now().date())
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        page, listing = await leads_queries.funnel_page(tx, asked), await listing.page(tx)
    return send(
        request, "ops/funnel.html", page, "funnel",
        figure=drawn(page, speech(request.user.locale)), models=list(Model), listing=listing,
    )  # fmt: skip


def drawn(page: FunnelPage, say: Speech) -> Figure:
    """How many entered each stage."""
    return funnel([(say.name("stage", each.stage), each.figures.entered) for each in page.report.stages])


@get(["/leads", "/leads.csv"])
async def leads(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: FromQuery[str | None] = None,
    in_state: InState = None,
    owner: FromQuery[str | None] = None,
    channel: FromQuery[str | None] = None,
    territory: FromQuery[str | None] = None,
    pool: FromQuery[str | None] = None,
) -> Response[Any]:
    """Leads, the newest first."""
    ids = {"owner": owner, "channel": channel, "territory": territory, "pool": pool}
    wanted = LeadFilter(
        model=given(model, Model, "model"),
        state=given(in_state, LeadState, "state"),
        **{f"{name}_id": given_number(each, name) for name, each in ids.items()},
    )
    where, bound = leads_queries.wanted_leads(wanted)
    said = {"model": wanted.model, "state": wanted.state, **ids}
    listing = LEADS.asked(request, "/ops/leads", said, where=where, **bound)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        page, listing = await leads_queries.leads_page(tx, wanted), await listing.page(tx)
    return send(request, "ops/leads.html", page, "leads", models=list(Model), states=list(LeadState), listing=listing)


@get("/leads/{lead_id:int}")
async def lead(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> Response[str]:
    """A lead: its way through the funnel, what was done about it, and who was there."""
    async with db.read(STAFF) as tx:
        page = await leads_queries.lead_page(tx, lead_id)
    return send(request, "ops/lead.html", page, "leads", at="/ops")


PAGES = [funnel_board, leads, lead]
