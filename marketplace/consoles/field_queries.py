"""What people of the field and distributors see: their leads and what is next, pools, the territory, and commission.

Read as who asks, so each sees its own; what the house alone reads is narrowed to that person.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from marketplace.consoles.leads_queries import LeadPage, lead_page
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.acquisition.pay_agents import AgentBalance, read_statement
from marketplace.flows.steering.set_goals import GoalProgress, show_goal
from marketplace.metrics import goals_sql
from marketplace.metrics.reviews_sql import Review
from supply.leads.agents import store as agents
from supply.leads.agents.model import Agent
from supply.leads.model import LeadCard, Pool
from supply.leads.pools import store as pools
from supply.leads.territories import store as territories
from supply.leads.visits import store as visits
from supply.leads.visits.model import Visit

LISTED_MAX = 50
_AGENTS_MAX = 1_000


class RepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rep of a territory. held: leads that it works on; won: those that were signed; odd: visits to look into."""

    user_id: int
    login: str
    territory: str
    active: bool
    held: int
    won: int
    odd: int


class MovedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A commission was earned, or taken back; company: None where one does not see its lead."""

    movement_id: int
    company: str | None
    booked_on: date
    kind: str
    currency: str
    amount_minor: int
    reason: str


class Earnings(msgspec.Struct, frozen=True):
    """What is earned. balances: what is owed, this year so far; empty for who sees several agents."""

    agents: Sequence[Agent]
    moved: Sequence[MovedRow]
    balances: Sequence[AgentBalance]


class FieldHome(msgspec.Struct, frozen=True):
    """Goals with their pace. of: whose each goal is, by its id.

    reviews: those with decisions that are one's own, without the others.
    """

    today: date
    currency: str
    goals: Sequence[GoalProgress]
    of: Mapping[int, str]
    reviews: Sequence[Review]


class TerritoryPage(msgspec.Struct, frozen=True):
    """Who sells in a manager's territories, and visits that are to be looked into."""

    today: date
    reps: Sequence[RepRow]
    odd: Sequence[Visit]
    companies: Mapping[int, str]
    people: Mapping[int, str]


class PoolPage(msgspec.Struct, frozen=True):
    """The pools that a person may take leads from, and what waits in them. rep: whether it is one who takes."""

    pools: Sequence[tuple[Pool, Sequence[LeadCard]]]
    rep: bool


class VisitsPage(msgspec.Struct, frozen=True):
    """Of what the visits that are shown speak. leads: those that a visit can be planned to."""

    now: datetime
    companies: Mapping[int, str]
    people: Mapping[int, str]
    leads: Sequence[tuple[int, str]]


class DistributorHome(msgspec.Struct, frozen=True):
    """The agents whose people look."""

    today: date
    agents: Sequence[Agent]


_WORK_COLUMNS = (
    Column("company", "lead.company"),
    Column("state", "col.state"),
    Column("owner", "lead.owner", empty=True),
    Column("stage", "lead.stage", empty=True),
    Column("due_on", "field.until", Kind.DAY, empty=True),
    Column("next_step", "field.next", empty=True),
    Column("next_on", "growth.due", Kind.DAY, by="", shown=Shown.IN_FILES),
)
WORK = Roll(
    name="leads",
    first="due_on",
    key=("lead_id",),
    columns=_WORK_COLUMNS,
    query="""
SELECT * FROM (
    SELECT l.lead_id, l.company, l.city, l.model, l.state, r.login AS owner, l.owner_id, l.zone, e.stage,
           e.entered_on AS since, e.entered_on + e.sla_days AS due_on,
           coalesce(k.what, v.next_step) AS next_step, k.due_on AS next_on
    FROM supply.lead l
    LEFT JOIN supply.rep r ON r.user_id = l.owner_id
    LEFT JOIN LATERAL (
        SELECT f.stages -> s.stage_no ->> 'key' AS stage, s.entered_on,
               CAST(f.stages -> s.stage_no ->> 'sla_days' AS integer) AS sla_days
        FROM supply.stage_entry s JOIN supply.funnel f ON f.model = s.model AND f.version_no = s.version_no
        WHERE s.lead_id = l.lead_id ORDER BY s.stage_no DESC LIMIT 1
    ) e ON true
    LEFT JOIN LATERAL (
        SELECT what, due_on FROM supply.lead_task WHERE lead_id = l.lead_id AND state = 'open'
        ORDER BY due_on, task_id LIMIT 1
    ) k ON true
    LEFT JOIN LATERAL (
        SELECT nullif(next_step, '') AS next_step FROM supply.visit WHERE lead_id = l.lead_id AND state = 'done'
        ORDER BY in_at DESC LIMIT 1
    ) v ON true
    WHERE l.state NOT IN ('lost', 'merged')
) work
WHERE (CAST(:owner AS bigint) IS NULL OR owner_id = :owner)
  AND (CAST(:late_on AS date) IS NULL OR due_on < :late_on)
""",
)
"""Leads that are worked on, by the day on which their stage is over: a rep's, those that are late, or all."""

EARNED = Roll(
    name="commissions",
    first="-activated_on",
    key=("commission_id",),
    columns=(
        Column("company", "col.merchant", empty=True),
        Column("agent", "field.agent"),
        Column("activated_on", "field.activated", Kind.DAY),
        Column("plan_code", "field.plan"),
        Column("state", "col.state"),
        Column("reason", "col.reason", by="", shown=Shown.IN_FILES),
        Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
        Column("earned_minor", "field.earned", Kind.MONEY),
    ),
    query="""
SELECT c.commission_id, a.name AS agent, l.company, c.activated_on, c.plan_code, c.currency, c.earned_minor,
       c.state, c.lost_on, c.reason
FROM supply.agent_commission c JOIN supply.agent a ON a.agent_id = c.agent_id
LEFT JOIN supply.lead l ON l.lead_id = c.lead_id
""",
)
"""What the agents that one sees have earned with each merchant, some of whose leads may be others' by now."""


VISITS = Roll(
    name="visits",
    first="-came_at",
    key=("visit_id",),
    columns=(
        Column("company", "lead.company", empty=True),
        Column("rep", "lead.rep", empty=True),
        Column("came_at", "lead.when", Kind.INSTANT, empty=True),
        Column("state", "col.state"),
        Column("counts", "lead.counts", Kind.FLAG, empty=True),
        Column("flags", "field.odd", Kind.DETAIL, by="", shown=Shown.IN_FILES),
        Column("result", "lead.result", by=""),
        Column("next_step", "field.next", by="", shown=Shown.IN_FILES),
        Column("do", "products.do", by="", shown=Shown.ON_PAGES),
    ),
    query="""
SELECT v.visit_id, v.lead_id, v.rep_id, v.state, v.planned_at, v.device_id, v.device_ref, v.in_at, v.in_latitude_udeg,
       v.in_longitude_udeg, v.in_accuracy_m, v.out_at, v.out_latitude_udeg, v.out_longitude_udeg, v.out_accuracy_m,
       v.distance_m, v.skew_s, v.mocked, v.photo_hash, v.result, v.next_step, v.flags,
       CASE WHEN v.state = 'done' THEN coalesce(v.valid, v.flags = '[]') END AS counts, v.valid, v.reviewed_by,
       v.review_reason, v.synced_at, v.version, coalesce(v.in_at, v.planned_at) AS came_at, l.company, r.login AS rep
FROM supply.visit v
LEFT JOIN supply.lead l ON l.lead_id = v.lead_id
LEFT JOIN supply.rep r ON r.user_id = v.rep_id
WHERE CAST(:rep AS bigint) IS NULL OR v.rep_id = :rep
""",
    read=visits.visit_of,
)


async def work_of(tx: Tx, user_id: int) -> int | None:
    """Whose leads a person sees: a rep its own; None: who is no rep, those of its territories."""
    return user_id if await is_rep(tx, user_id) else None


async def goals_of(tx: Tx, user_id: int) -> list[GoalProgress]:
    """The goals of today that a person who sells may see; read as the house."""
    today = local_date(tx.now, "UTC")
    found = await goals_sql.list_goals(tx, limit=LISTED_MAX, on=today, seller=user_id)
    return [await show_goal(tx, each) for each in found]


async def field_home(tx: Tx, goals: Sequence[GoalProgress], reviews: Sequence[Review]) -> FieldHome:
    currency = goals[0].goal.currency if goals else ""
    names = {each.territory_id: each.name for each in await territories.list_territories(tx)}
    names |= await _logins(tx, [each.goal.rep_id for each in goals])
    of = {each.goal.goal_id: names.get(each.goal.rep_id or each.goal.territory_id or 0, "") for each in goals}
    today = local_date(tx.now, "UTC")
    return FieldHome(today=today, currency=currency, goals=goals, of=of, reviews=reviews)


async def is_rep(tx: Tx, user_id: int) -> bool:
    """Whether a person takes leads itself."""
    return bool(await tx.scalar("SELECT active FROM supply.rep WHERE user_id = :rep", rep=user_id))


async def field_lead(tx: Tx, lead_id: int) -> LeadPage:
    """Raises NotFound for a lead that is not one's own to see."""
    return await lead_page(tx, lead_id, _logins)


async def territory_page(tx: Tx, user_id: int) -> TerritoryPage:
    """What a manager looks after."""
    today = local_date(tx.now, "UTC")
    reps = await tx.rows(
        """
        SELECT r.user_id, r.login, t.name AS territory, r.active,
               (SELECT count(*) FROM supply.lead WHERE owner_id = r.user_id
                AND state IN ('claimed', 'contacted', 'visited', 'negotiating')) AS held,
               (SELECT count(*) FROM supply.lead WHERE owner_id = r.user_id
                AND state IN ('signed', 'handed_over')) AS won,
               (SELECT count(*) FROM supply.visit WHERE rep_id = r.user_id AND state = 'done'
                AND flags <> '[]' AND valid IS NULL) AS odd
        FROM supply.rep r JOIN supply.territory t ON t.territory_id = r.territory_id
        WHERE EXISTS (
            SELECT FROM supply.territory above WHERE above.territory_id = ANY(t.path) AND above.manager_id = :user
        )
        ORDER BY t.name, r.login
        """,
        user=user_id,
    )
    odd = [each for each in await visits.list_visits(tx, limit=LISTED_MAX, odd=True) if each.valid is None]
    return TerritoryPage(
        today=today, reps=[RepRow(**row._mapping) for row in reps], odd=odd,
        companies=await companies_of(tx, [each.lead_id for each in odd]),
        people=await _logins(tx, [each.rep_id for each in odd]),
    )  # fmt: skip


async def pool_page(tx: Tx, user_id: int) -> PoolPage:
    """Read as the house: of a lead in a pool a rep sees who and where."""
    mine = [pool for pool in await pools.list_pools(tx) if await territories.reaches(tx, user_id, pool.territory_id)]
    cards = [(pool, await pools.list_cards(tx, pool.pool_id, limit=LISTED_MAX)) for pool in mine]
    return PoolPage(cards, await is_rep(tx, user_id))


async def visits_page(tx: Tx, rep_id: int | None, shown: Sequence[Visit]) -> VisitsPage:
    """Who and where those visits are; a rep may plan others."""
    leads = await tx.rows(_TO_VISIT, rep=rep_id, limit=_TO_VISIT_MAX) if rep_id else []
    return VisitsPage(
        now=tx.now, companies=await companies_of(tx, [each.lead_id for each in shown]),
        people=await _logins(tx, [each.rep_id for each in shown]), leads=[(row.lead_id, row.company) for row in leads],
    )  # fmt: skip


_TO_VISIT_MAX = 10_000
"""As many as a rep may ever hold."""

_TO_VISIT = """
SELECT lead_id, company FROM supply.lead WHERE owner_id = :rep AND state NOT IN ('lost', 'merged')
ORDER BY company, lead_id LIMIT :limit
"""


async def earnings(tx: Tx) -> Earnings:
    """What the agents that one sees have earned and lost again lately, without their balances."""
    moved = await tx.rows(
        """
        SELECT m.movement_id, l.company, m.booked_on, m.kind, m.currency, m.amount_minor, m.reason
        FROM supply.agent_movement m JOIN supply.agent_commission c ON c.commission_id = m.commission_id
        LEFT JOIN supply.lead l ON l.lead_id = c.lead_id ORDER BY m.movement_id DESC LIMIT :limit
        """,
        limit=LISTED_MAX,
    )
    return Earnings(
        agents=await agents.list_agents(tx, limit=_AGENTS_MAX),
        moved=[MovedRow(**row._mapping) for row in moved],
        balances=[],
    )


async def with_balances(tx: Tx, seen: Earnings) -> Earnings:
    """What one agent is owed, by the house's books; read as the house."""
    if len(seen.agents) != 1:
        return seen
    today = local_date(tx.now, "UTC")
    year = await read_statement(tx, seen.agents[0].agent_id, today.replace(month=1, day=1), today + timedelta(days=1))
    return msgspec.structs.replace(seen, balances=year.balances)


async def distributor_home(tx: Tx) -> DistributorHome:
    return DistributorHome(local_date(tx.now, "UTC"), await agents.list_agents(tx, limit=_AGENTS_MAX))


async def companies_of(tx: Tx, lead_ids: Sequence[int]) -> dict[int, str]:
    """By lead."""
    rows = await tx.rows("SELECT lead_id, company FROM supply.lead WHERE lead_id = ANY(:leads)", leads=list(lead_ids))
    return {row.lead_id: row.company for row in rows}


async def _logins(tx: Tx, user_ids: Any) -> dict[int, str]:
    """Of reps: people of the field read no other users."""
    wanted = sorted({user_id for user_id in user_ids if user_id is not None})
    rows = await tx.rows("SELECT user_id, login FROM supply.rep WHERE user_id = ANY(:users)", users=wanted)
    return {row.user_id: row.login for row in rows}
