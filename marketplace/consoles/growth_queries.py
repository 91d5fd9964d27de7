"""What the pages of growth show: goals, reviews, alerts, costs, and who wins merchants."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from marketplace.consoles.field_queries import companies_of
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.consoles.names_queries import names_of
from marketplace.consoles.ops_queries import Entity
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.paging import cut
from marketplace.flows.acquisition.compare_sales import Teams, compare_teams
from marketplace.flows.steering.measure_inputs import MEASURED
from marketplace.flows.steering.set_goals import GoalProgress, show_goal
from marketplace.metrics import alerts_sql, goals_sql, reviews_sql
from marketplace.metrics.alerts_sql import AlertEvent, AlertRule
from marketplace.metrics.definitions import DEFINITIONS, Unit
from marketplace.metrics.formulas import inputs_of
from marketplace.metrics.reviews_sql import Review
from supply.leads.channels import store as channels
from supply.leads.channels.store import CostFilter
from supply.leads.model import Rep, Territory
from supply.leads.referrals import store as referrals
from supply.leads.referrals.model import Referral
from supply.leads.territories import store as territories
from supply.leads.visits import store as visits
from supply.leads.visits.model import Visit

LISTED_MAX = 50
_REPS_MAX = 1_000
_COMPARED_DAYS = 90

FIGURES = [name for name, known in DEFINITIONS.items() if known.additive and inputs_of(known.formula) <= MEASURED]
"""What a goal can be set for: what days add up to."""


class GoalsPage(msgspec.Struct, frozen=True):
    """of: whose each goal is, by its id; nothing for the house's."""

    entity: Entity
    goals: Sequence[GoalProgress]
    of: Mapping[int, str]
    territories: Sequence[Territory]
    reps: Sequence[Rep]
    today: date
    older: tuple[date, int] | None


class ReviewsPage(msgspec.Struct, frozen=True):
    """The newest weeks first."""

    reviews: Sequence[Review]
    today: date
    older: tuple[date, int] | None


class AlertRow(msgspec.Struct, frozen=True):
    """A rule, the unit that its bounds are in, and what it raised or cleared last."""

    rule: AlertRule
    unit: Unit
    last: AlertEvent | None


class AlertsPage(msgspec.Struct, frozen=True):
    """Bounds in the order in which they were set."""

    alerts: Sequence[AlertRow]
    older: int | None


COSTS = Roll(
    name="costs",
    first="-spent_on",
    key=("cost_id",),
    columns=(
        Column("spent_on", "col.day", Kind.DAY),
        Column("channel", "lead.channel"),
        Column("campaign", "incentive.campaign", by="", shown=Shown.IN_FILES),
        Column("kind", "lead.kind"),
        Column("seller", "growth.seller"),
        Column("cost_ref", "growth.ref"),
        Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
        Column("amount_minor", "col.amount", Kind.MONEY),
    ),
    query="""
SELECT x.cost_id, x.spent_on, x.channel_id, c.name AS channel, x.campaign, x.kind, x.seller, x.cost_ref, x.currency,
       x.amount_minor
FROM supply.channel_cost x JOIN supply.channel c ON c.channel_id = x.channel_id
""",
)
"""What was spent."""


class CostsPage(msgspec.Struct, frozen=True):
    """Which costs are asked for. channels: names by id."""

    wanted: CostFilter
    channels: Mapping[int, str]


class AgentsPage(msgspec.Struct, frozen=True):
    """teams: of leads that began in the last ninety days. companies, people: by lead and by rep."""

    entity: Entity
    teams: Teams
    referrals: Sequence[Referral]
    merchants: Mapping[int, str]
    visits: Sequence[Visit]
    companies: Mapping[int, str]
    people: Mapping[int, str]


async def goals_page(tx: Tx, entity: Entity, before: tuple[date, int] | None) -> GoalsPage:
    """One page of an entity's goals."""
    rows = await goals_sql.list_goals(tx, limit=LISTED_MAX + 1, before=before)
    shown, older = cut(rows, LISTED_MAX, lambda goal: (goal.from_on, goal.goal_id))
    areas = await territories.list_territories(tx)
    reps = await territories.list_reps(tx, limit=_REPS_MAX)
    names = {each.territory_id: each.name for each in areas} | {each.user_id: each.login for each in reps}
    goals = [goal for goal in shown if goal.entity_id == entity.entity_id]
    return GoalsPage(
        entity=entity,
        goals=[await show_goal(tx, goal) for goal in goals],
        of={goal.goal_id: names.get(goal.rep_id or goal.territory_id or 0, "") for goal in goals},
        territories=areas,
        reps=reps,
        today=local_date(tx.now, entity.zone),
        older=older,
    )


async def reviews_page(tx: Tx, before: tuple[date, int] | None) -> ReviewsPage:
    """One page of reviews."""
    rows = await reviews_sql.list_reviews(tx, limit=LISTED_MAX + 1, before=before)
    shown, older = cut(rows, LISTED_MAX, lambda review: (review.week_on, review.review_id))
    return ReviewsPage(shown, local_date(tx.now, "UTC"), older)


async def alerts_page(tx: Tx, after: int) -> AlertsPage:
    """One page of bounds."""
    rows = await alerts_sql.list_rules(tx, limit=LISTED_MAX + 1, after=after)
    shown, last = cut(rows, LISTED_MAX, lambda rule: (rule.rule_id,))
    alerts = []
    for rule in shown:
        events = await alerts_sql.list_events(tx, rule.rule_id, 1)
        unit = Unit.RATIO if rule.compared == "change" else DEFINITIONS[rule.metric].unit
        alerts.append(AlertRow(rule, unit, events[0] if events else None))
    return AlertsPage(alerts, last[0] if last else None)


_COST_IS = {"from_on": "spent_on >= :from_on", "to_on": "spent_on < :to_on"}


def wanted_costs(wanted: CostFilter) -> tuple[list[str], dict[str, Any]]:
    """What is to be true of the costs that are asked for, and what that binds."""
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    return [_COST_IS.get(name, f"{name} = :{name}") for name in given], given


async def costs_page(tx: Tx, wanted: CostFilter) -> CostsPage:
    return CostsPage(wanted, {each.channel_id: each.name for each in await channels.list_channels(tx)})


AGENTS = Roll(
    name="agents",
    first="name",
    key=("agent_id", "currency"),
    texts=frozenset({"currency"}),
    columns=(
        Column("name", "field.agent"),
        Column("kind", "lead.kind"),
        Column("plan_code", "field.plan"),
        Column("merchants", "tab.merchants", Kind.NUMBER),
        Column("lost", "growth.lost", Kind.NUMBER),
        Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
        Column("earned_minor", "field.earned", Kind.MONEY),
        Column("taken_back_minor", "field.taken_back", Kind.MONEY),
    ),
    query="""
SELECT a.agent_id, a.name, a.kind, a.plan_code, a.active, coalesce(c.currency, CAST(:currency AS text)) AS currency,
       count(c.commission_id) AS merchants, count(*) FILTER (WHERE c.state = 'clawed_back') AS lost,
       coalesce(sum(c.earned_minor), 0)::bigint AS earned_minor,
       coalesce(sum((SELECT -sum(m.amount_minor) FROM supply.agent_movement m
                     WHERE m.commission_id = c.commission_id AND m.kind = 'agent_commission_clawed_back')
       ), 0)::bigint AS taken_back_minor
FROM supply.agent a LEFT JOIN supply.agent_commission c ON c.agent_id = a.agent_id
GROUP BY a.agent_id, c.currency
""",
)
"""Agents and what came of their leads; who has earned nothing yet, nothing in the house's currency."""


async def agents_page(tx: Tx, entity: Entity) -> AgentsPage:
    """The newest referrals and visits."""
    today = local_date(tx.now, entity.zone)
    teams = await compare_teams(tx, today - timedelta(days=_COMPARED_DAYS), today + timedelta(days=1), entity.currency)
    brought = await referrals.list_referrals(tx, limit=LISTED_MAX)
    seen = await visits.list_visits(tx, limit=LISTED_MAX)
    sides = {each for one in brought for each in (one.referrer_id, one.merchant_id) if each is not None}
    reps = await territories.list_reps(tx, limit=_REPS_MAX)
    return AgentsPage(
        entity=entity,
        teams=teams,
        referrals=brought,
        merchants=await names_of(tx, sides),
        visits=seen,
        companies=await companies_of(tx, [*(each.lead_id for each in seen), *(each.lead_id for each in brought)]),
        people={each.user_id: each.login for each in reps},
    )
