"""What the steering page shows: the North Star's tree for a week, why it moved, alerts that stand, and goals."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from marketplace.consoles.ops_queries import Entity, list_entities
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.steering.set_goals import GoalProgress, show_goal
from marketplace.flows.steering.show_metrics import AskMetrics, Tree, TreeNode, show_tree
from marketplace.metrics import alerts_sql, goals_sql
from marketplace.metrics.alerts_sql import AlertRule
from marketplace.metrics.drivers import NORTH_STARS
from marketplace.metrics.periods import Grain, Span, before, check_day, last_complete, span_of

ROOTS = (*NORTH_STARS.values(), "gmv_completed", "platform_revenue")
GOALS_MAX = 20
ALERTS_MAX = 20


class SteeringPage(msgspec.Struct, frozen=True):
    """A week's figures against the week before, of one that is running against as many of its days.

    last_on: the last day of the week; earlier, later: other weeks.
    """

    entity: Entity
    entities: Sequence[Entity]
    roots: Sequence[str]
    tree: Tree
    week_on: date
    last_on: date
    earlier: date
    later: date | None
    goals: Sequence[GoalProgress]
    alerts: Sequence[AlertRule]

    @property
    def last_against(self) -> date:
        """The last day of what the week is compared with."""
        return self.tree.asked.against_to - timedelta(days=1)

    @property
    def leaves(self) -> list[TreeNode]:
        """What nothing else drives: their parts sum to the change of the root. The largest first."""
        drivers = [node for node in self.tree.nodes if node.op is None or node.unexplained]
        return sorted(drivers, key=lambda node: -abs(node.contribution or 0))

    @property
    def widest(self) -> int:
        """The largest part, at least one: what bars are drawn against."""
        return max([1, *(abs(node.contribution or 0) for node in self.leaves)])


async def steering_page(tx: Tx, entity: Entity, on: date | None, root: str) -> SteeringPage:
    """The week that a day falls in, the last whole one for None. Raises Invalid."""
    today = local_date(tx.now, entity.zone)
    week = last_complete(Grain.WEEK, today) if on is None else span_of(Grain.WEEK, check_day(on, "on"))
    against = before(week)
    if week.from_on <= today < week.to_on:  # a week that is running against as many days, today among them
        against = Span(against.from_on, against.from_on + (today - week.from_on) + timedelta(days=1))
    ask = AskMetrics(
        from_on=week.from_on, to_on=week.to_on, against_from=against.from_on, against_to=against.to_on,
        entity_id=entity.entity_id,
    )  # fmt: skip
    goals = await goals_sql.list_goals(tx, limit=GOALS_MAX, on=min(week.to_on, today))
    following = week.to_on if week.to_on <= today else None
    return SteeringPage(
        entity=entity,
        entities=await list_entities(tx),
        roots=ROOTS,
        tree=await show_tree(tx, ask, root if root in ROOTS else ROOTS[0]),
        week_on=week.from_on,
        last_on=week.to_on - timedelta(days=1),
        earlier=week.from_on - timedelta(days=7),
        later=following,
        goals=[await show_goal(tx, each) for each in goals if each.entity_id == entity.entity_id],
        alerts=await alerts_sql.list_rules(tx, limit=ALERTS_MAX, raised=True),
    )
