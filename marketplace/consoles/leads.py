"""The pages of winning merchants: how far leads come, who is stuck, and what became of each."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from marketplace.consoles import leads_queries
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.leads_queries import FunnelPage, LeadFilter
from marketplace.consoles.lists import Listing, Sort, given, given_number
from marketplace.consoles.lists_queries import EXPORTED_MAX
from marketplace.consoles.plots import Figure, funnel
from marketplace.core.db import STAFF, Database
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.acquisition.show_funnel import ShowFunnel
from marketplace.metrics.periods import check_day
from marketplace.web.auth import ActorRequest
from marketplace.web.files import csv_file
from marketplace.web.i18n import Speech, speech
from supply.leads.model import LeadState, Model

_NEWEST, _LONGEST = Sort("entered", falling=True), Sort("since", falling=False)
_WINDOW_MAX = 3_650
InState = Annotated[str | None, QueryParameter(name="state")]


def _day(said: str | None, name: str) -> date | None:
    on = given(said, date, name)
    return check_day(on, name) if on else None


@get("/funnel")
async def funnel_board(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: FromQuery[Model] = Model.PLATFORM,
    channel: FromQuery[str | None] = None,
    from_on: FromQuery[str | None] = None,
    to_on: FromQuery[str | None] = None,
    window: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """A business model's funnel: how many go on from each stage, how soon, by cohort; and who is stuck."""
    asked = ShowFunnel(
        model=model,
        channel=channel or None,
        from_on=_day(from_on, "from_on"),
        to_on=_day(to_on, "to_on"),
        window_days=given_number(window, "window", most=_WINDOW_MAX),
    )
    async with db.read(STAFF) as tx:
        page = await leads_queries.funnel_page(tx, asked, decode_cursor(before, tuple[date, int]))
    wanted = {"model": model.value, "channel": channel, "from_on": from_on, "to_on": to_on, "window": window}
    return send(
        request, "ops/funnel.html", page, "funnel",
        figure=drawn(page, speech(request.user.locale)), models=list(Model),
        listing=Listing("/ops/funnel", wanted, _LONGEST), cursor=encode_cursor(page.older) if page.older else None,
    )  # fmt: skip


def drawn(page: FunnelPage, say: Speech) -> Figure:
    """How many entered each stage."""
    return funnel([(say.name("stage", each.stage), each.figures.entered) for each in page.report.stages])


@get("/leads")
async def leads(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: FromQuery[str | None] = None,
    in_state: InState = None,
    owner: FromQuery[str | None] = None,
    channel: FromQuery[str | None] = None,
    territory: FromQuery[str | None] = None,
    pool: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """Leads, the newest first."""
    (key,) = decode_cursor(before, tuple[int]) or (None,)
    said = {"owner": owner, "channel": channel, "territory": territory, "pool": pool}
    async with db.read(STAFF) as tx:
        page = await leads_queries.leads_page(tx, _wanted(model, in_state, said), key)
    said |= {"model": model, "state": in_state}
    return send(
        request, "ops/leads.html", page, "leads", models=list(Model), states=list(LeadState),
        listing=Listing("/ops/leads", said, _NEWEST), cursor=encode_cursor((page.older,)) if page.older else None,
    )  # fmt: skip


def _wanted(model: str | None, in_state: str | None, ids: Mapping[str, str | None]) -> LeadFilter:
    return LeadFilter(
        model=given(model, Model, "model"),
        state=given(in_state, LeadState, "state"),
        **{f"{name}_id": given_number(each, name) for name, each in ids.items()},
    )


@get("/leads.csv")
async def leads_file(
    request: ActorRequest,
    db: NamedDependency[Database],
    model: FromQuery[str | None] = None,
    in_state: InState = None,
    owner: FromQuery[str | None] = None,
    channel: FromQuery[str | None] = None,
    territory: FromQuery[str | None] = None,
    pool: FromQuery[str | None] = None,
) -> Response[str]:
    """All leads of the list, as a file."""
    said = {"owner": owner, "channel": channel, "territory": territory, "pool": pool}
    async with db.read(STAFF) as tx:
        page = await leads_queries.leads_page(tx, _wanted(model, in_state, said), None, EXPORTED_MAX)
    say = speech(request.user.locale)
    header = [say.label("lead", name) for name in ("company", "model", "owner", "channel", "first_contact")]
    return csv_file(
        "leads",
        [*header, say.label("lead", "fit"), say.label("lead", "engagement"), say.text("col.state")],
        (
            (
                *(row.company, row.model.value, page.people.get(row.owner_id or 0), page.channels[row.channel_id]),
                *(row.first_contact_at.isoformat(), row.fit, row.engagement, row.state.value),
            )
            for row in page.leads
        ),
    )


@get("/leads/{lead_id:int}")
async def lead(request: ActorRequest, db: NamedDependency[Database], lead_id: PathId) -> Response[str]:
    """A lead: its way through the funnel, what was done about it, and who was there."""
    async with db.read(STAFF) as tx:
        page = await leads_queries.lead_page(tx, lead_id)
    return send(request, "ops/lead.html", page, "leads", at="/ops")


PAGES = [funnel_board, leads, leads_file, lead]
