"""What the pages of winning merchants show: the funnel board, leads, and all that happened to one of them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from marketplace.consoles.lists import Column, Kind, Roll
from marketplace.core.db import Tx
from marketplace.flows.acquisition.show_funnel import ShowFunnel, show_funnel
from marketplace.flows.acquisition.work_leads import LeadHistory, history_of
from supply.funnels import store as funnels
from supply.funnels.model import Entry
from supply.funnels.report import FunnelReport
from supply.leads import store
from supply.leads.channels import store as channels
from supply.leads.model import Channel, Lead, LeadState, Model
from supply.leads.pools import store as pools
from supply.leads.territories import store as territories
from supply.leads.visits import store as visits
from supply.leads.visits.model import Visit

VISITS_MAX = 100


class FunnelPage(msgspec.Struct, frozen=True):
    """A model's funnel."""

    asked: ShowFunnel
    report: FunnelReport
    channels: Sequence[Channel]

    @property
    def channel_names(self) -> dict[str, str]:
        return {each.code: each.name for each in self.channels}


class LeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves a side open."""

    model: Model | None = None
    state: LeadState | None = None
    owner_id: int | None = None
    channel_id: int | None = None
    territory_id: int | None = None
    pool_id: int | None = None


class LeadsPage(msgspec.Struct, frozen=True):
    """Which leads are wanted. reps: who may hold one; channels, territories, pools: by id."""

    wanted: LeadFilter
    reps: Mapping[int, str]
    channels: Mapping[int, str]
    territories: Mapping[int, str]
    pools: Mapping[int, str]


LEADS = Roll(
    name="leads",
    first="-first_contact_at",
    key=("lead_id",),
    columns=(
        Column("company", "lead.company"),
        Column("model", "lead.model"),
        Column("state", "col.state"),
        Column("owner", "lead.owner", empty=True),
        Column("channel", "lead.channel"),
        Column("first_contact_at", "lead.first_contact", Kind.INSTANT, by="lead_id"),
        Column("fit", "lead.fit", Kind.NUMBER),
        Column("engagement", "lead.engagement", Kind.NUMBER),
    ),
    query="""
SELECT l.lead_id, l.company, l.city, l.model, l.state, l.owner_id, l.channel_id, l.territory_id, l.pool_id,
       u.name AS owner, c.name AS channel, l.first_contact_at, l.zone, l.fit, l.engagement
FROM supply.lead l JOIN supply.channel c ON c.channel_id = l.channel_id
LEFT JOIN core.app_user u ON u.user_id = l.owner_id
""",
)
STUCK = Roll(
    name="stuck",
    first="entered_on",
    key=("lead_id",),
    columns=(
        Column("company", "lead.company"),
        Column("stage", "lead.stage", by="stage_no", by_kind=Kind.NUMBER),
        Column("owner", "lead.owner", empty=True),
        Column("entered_on", "col.since", Kind.DAY),
        Column("days", "funnel.days", Kind.NUMBER),
    ),
    query="""
SELECT e.lead_id, e.stage_no, f.stages -> e.stage_no ->> 'key' AS stage, e.entered_on,
       CAST(:today AS date) - e.entered_on AS days, l.company, l.owner_id, u.name AS owner
FROM supply.stage_entry e JOIN supply.lead l ON l.lead_id = e.lead_id
JOIN supply.funnel f ON f.model = e.model AND f.version_no = e.version_no
LEFT JOIN core.app_user u ON u.user_id = l.owner_id
WHERE e.model = :model AND e.version_no = (SELECT max(version_no) FROM supply.funnel WHERE model = :model)
  AND e.next_on IS NULL AND e.lost_on IS NULL
  AND e.entered_on + CAST(f.stages -> e.stage_no ->> 'sla_days' AS integer) < :today
""",
)
"""Leads that are in a stage of the newest funnel for longer than its days."""


def wanted_leads(wanted: LeadFilter) -> tuple[list[str], dict[str, Any]]:
    """What is to be true of the leads that are looked for, and what that binds."""
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    return [f"{name} = :{name}" for name in given], given


class LeadPage(msgspec.Struct, frozen=True):
    """A lead with what became of it. stages: the keys of its funnel; entries: which it has reached."""

    lead: Lead
    history: LeadHistory
    stages: Sequence[str]
    entries: Sequence[Entry]
    visits: Sequence[Visit]
    duplicates: Sequence[Lead]
    channels: Mapping[int, str]
    people: Mapping[int, str]


async def funnel_page(tx: Tx, asked: ShowFunnel) -> FunnelPage:
    """Raises Invalid."""
    return FunnelPage(asked=asked, report=await show_funnel(tx, asked), channels=await channels.list_channels(tx))


async def leads_page(tx: Tx, wanted: LeadFilter) -> LeadsPage:
    reps = [row.user_id for row in await tx.rows("SELECT user_id FROM supply.rep")]
    people = await _people(tx, reps)
    return LeadsPage(
        wanted=wanted,
        reps={user_id: people[user_id] for user_id in sorted(reps, key=lambda each: people[each])},
        channels=await _channels(tx),
        territories={each.territory_id: each.name for each in await territories.list_territories(tx)},
        pools={each.pool_id: each.name for each in await pools.list_pools(tx)},
    )


async def lead_page(
    tx: Tx, lead_id: int, named: Callable[[Tx, Iterable[int | None]], Awaitable[dict[int, str]]] | None = None
) -> LeadPage:
    """named: says who users are, where not their names shall stand. Raises NotFound."""
    lead = await store.get_lead(tx, lead_id)
    history = await history_of(tx, lead_id)
    funnel = await funnels.get_funnel(tx, lead.model, lead.funnel_version)
    seen = await visits.list_visits(tx, limit=VISITS_MAX, lead_id=lead_id)
    holders = [lead.owner_id, *(event.owner_id for event in history.events)]
    return LeadPage(
        lead=lead,
        history=history,
        stages=[stage.key for stage in funnel.stages],
        entries=await funnels.list_entries(tx, lead_id),
        visits=seen,
        duplicates=await store.duplicates_of(tx, lead),
        channels=await _channels(tx),
        people=await (named or _people)(
            tx, [*holders, *(t.rep_id for t in history.touches), *(v.rep_id for v in seen)]
        ),
    )


async def _channels(tx: Tx) -> dict[int, str]:
    return {each.channel_id: each.name for each in await channels.list_channels(tx)}


async def _people(tx: Tx, user_ids: Iterable[int | None]) -> dict[int, str]:
    """The names of users."""
    wanted = sorted({user_id for user_id in user_ids if user_id is not None})
    rows = await tx.rows("SELECT user_id, name FROM core.app_user WHERE user_id = ANY(:users)", users=wanted)
    return {row.user_id: row.name for row in rows}
