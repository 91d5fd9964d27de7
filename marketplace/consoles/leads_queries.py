"""What the pages of winning merchants show: the funnel board, leads, and all that happened to one of them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date

import msgspec

from marketplace.core.db import Tx
from marketplace.flows.acquisition.show_funnel import ShowFunnel, Stuck, list_stuck, show_funnel
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

ROWS_MAX = 50
VISITS_MAX = 100


class FunnelPage(msgspec.Struct, frozen=True):
    """A model's funnel, and who is stuck in it. people: names of those who hold leads. older: behind the last row."""

    asked: ShowFunnel
    report: FunnelReport
    channels: Sequence[Channel]
    stuck: Sequence[Stuck]
    people: Mapping[int, str]
    older: tuple[date, int] | None

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
    """Leads, the newest first. reps: who may hold one; territories, pools: by id, as channels and people are."""

    wanted: LeadFilter
    leads: Sequence[Lead]
    channels: Mapping[int, str]
    reps: Mapping[int, str]
    people: Mapping[int, str]
    territories: Mapping[int, str]
    pools: Mapping[int, str]
    older: int | None


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


async def funnel_page(tx: Tx, asked: ShowFunnel, after: tuple[date, int] | None) -> FunnelPage:
    """Raises Invalid."""
    rows = await list_stuck(tx, asked.model, limit=ROWS_MAX + 1, after=after)
    stuck = rows[:ROWS_MAX]
    return FunnelPage(
        asked=asked,
        report=await show_funnel(tx, asked),
        channels=await channels.list_channels(tx),
        stuck=stuck,
        people=await _people(tx, (each.owner_id for each in stuck)),
        older=(stuck[-1].entered_on, stuck[-1].lead_id) if len(rows) > ROWS_MAX else None,
    )


async def leads_page(tx: Tx, wanted: LeadFilter, before: int | None, limit: int = ROWS_MAX) -> LeadsPage:
    """One page of leads, those before the lead `before`."""
    rows = await store.list_leads(tx, limit=limit + 1, before=before, **msgspec.structs.asdict(wanted))
    leads = rows[:limit]
    reps = [row.user_id for row in await tx.rows("SELECT user_id FROM supply.rep")]
    people = await _people(tx, [*reps, *(lead.owner_id for lead in leads)])
    return LeadsPage(
        wanted=wanted,
        leads=leads,
        channels=await _channels(tx),
        reps={user_id: people[user_id] for user_id in sorted(reps, key=lambda each: people[each])},
        people=people,
        territories={each.territory_id: each.name for each in await territories.list_territories(tx)},
        pools={each.pool_id: each.name for each in await pools.list_pools(tx)},
        older=leads[-1].lead_id if len(rows) > limit else None,
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
