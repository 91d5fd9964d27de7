"""Process: what is to be reached in a week or month, by the house, a team or a rep; and how far it has come."""

from datetime import date

import msgspec

from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid, Refusals
from marketplace.core.ids import time_ordered_id
from marketplace.flows.steering.measure_inputs import SOURCES
from marketplace.flows.steering.pace_goals import pace_goal
from marketplace.flows.steering.show_metrics import AskMetrics, scope_of, values_of
from marketplace.metrics import goals_sql as goals
from marketplace.metrics.definitions import Unit, definition
from marketplace.metrics.formulas import inputs_of
from marketplace.metrics.goals_sql import Goal, GoalRevision
from marketplace.metrics.inputs_sql import Of
from marketplace.metrics.pace import GoalPace, parts_left
from marketplace.metrics.periods import Grain, Span, check_day, span_of
from supply.leads.territories import store as territories


class SetGoal(msgspec.Struct, frozen=True, kw_only=True):
    """The week or month that `on` falls in. owner: the login of who answers for it."""

    metric: str
    grain: Grain
    on: date
    target: int
    owner: str
    reason: str
    entity_id: int | None = None
    currency: str | None = None
    territory_id: int | None = None
    rep_id: int | None = None
    parent_id: int | None = None


class GoalProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A goal and how far it has come; progress is None where the figure is not defined.

    part_targets, residual: what the goals below it come to, and what they leave of it, where there are any.
    """

    goal: Goal
    unit: Unit
    progress: GoalPace | None
    part_targets: int | None
    residual: int | None
    revisions: list[GoalRevision]


async def set_goal(tx: Tx, cmd: SetGoal) -> Goal:
    """Set a goal. Raises Invalid with all that is wrong, so for a figure that days do not add up to; Conflict."""
    wrong = Refusals()
    with wrong.at("/metric"):
        check_figure(cmd.metric, narrowed=bool(cmd.territory_id or cmd.rep_id))
    with wrong.at("/on"):
        span = span_of(cmd.grain, check_day(cmd.on, "on"))
    with wrong.at("/owner"):
        await check_owner(tx, cmd.owner)
    if cmd.territory_id is not None and cmd.rep_id is not None:
        wrong.add("/rep_id", "rep_id: a goal is a team's or a rep's")
    if cmd.territory_id is not None:
        with wrong.at("/territory_id"):
            await territories.get_territory(tx, cmd.territory_id)
    if cmd.rep_id is not None:
        with wrong.at("/rep_id"):
            await territories.get_rep(tx, cmd.rep_id)
    with wrong.at("/entity_id"):
        of, _, _ = await scope_of(tx, AskMetrics(entity_id=cmd.entity_id, currency=cmd.currency))
    wrong.check()
    if cmd.parent_id is not None:
        check_part(await goals.get_goal(tx, cmd.parent_id, lock=True), cmd.metric, of, span)
    new = Goal(
        goal_id=time_ordered_id(tx.now), metric=cmd.metric, entity_id=of.entity_id, currency=of.currency,
        grain=cmd.grain, from_on=span.from_on, to_on=span.to_on, territory_id=cmd.territory_id, rep_id=cmd.rep_id,
        parent_id=cmd.parent_id, owner=cmd.owner, target=cmd.target, version=1,
    )  # fmt: skip
    await goals.add_goal(tx, new, cmd.reason)
    await _tell(tx, new, cmd.reason)
    return new


async def revise_goal(tx: Tx, held: Goal, *, target: int | None, owner: str | None, reason: str) -> Goal:
    """Change a held goal's target or owner; both values stay on record. Raises Invalid."""
    await check_owner(tx, owner or held.owner)
    changed = await goals.change_goal(
        tx, held, target=held.target if target is None else target, owner=owner or held.owner, reason=reason
    )
    await _tell(tx, changed, reason)
    return changed


async def _tell(tx: Tx, now: Goal, reason: str) -> None:
    await audit.record(tx, "goal set", f"goal:{now.goal_id}", target=now.target, owner=now.owner, reason=reason)
    await outbox.emit(tx, "metrics.goal_set.v1", now)


def check_figure(name: str, *, narrowed: bool) -> None:
    """The figure of a goal. Raises NotFound, and Invalid where days do not add up to it, or teams have none of it."""
    wanted = definition(name)
    if not wanted.additive:
        raise Invalid(f"metric: {name} is not the sum of its days, so no goal can be paced by it", pointer="/metric")
    measured = [source for source in SOURCES if source.inputs & inputs_of(wanted.formula)]
    if not measured or (narrowed and not all({"territory_id", "rep_id"} <= source.by for source in measured)):
        raise Invalid(f"metric: {name} is not measured{' of a team or rep' if narrowed else ''}", pointer="/metric")


async def check_owner(tx: Tx, login: str) -> None:
    """Raise Invalid unless there is such a person."""
    if not await goals.is_user(tx, login):
        raise Invalid(f"owner: there is no active user {login!r}")


def check_part(whole: Goal, metric: str, of: Of, span: Span) -> None:
    """Raise Invalid unless a goal is of the same figure, money and period as what it is a part of.

    A month is not a sum of weeks, so neither is its goal.
    """
    if (whole.metric, whole.entity_id, whole.currency) != (metric, of.entity_id, of.currency):
        raise Invalid("parent_id: is a goal of another figure, entity or currency", pointer="/parent_id")
    if (whole.from_on, whole.to_on) != (span.from_on, span.to_on):
        raise Invalid("parent_id: is a goal of another period", pointer="/parent_id")


async def show_goal(tx: Tx, goal: Goal) -> GoalProgress:
    """How far a goal has come by now."""
    wanted = definition(goal.metric)
    ask = AskMetrics(
        from_on=goal.from_on, to_on=goal.to_on, entity_id=goal.entity_id, currency=goal.currency,
        territory_id=goal.territory_id, rep_id=goal.rep_id,
    )  # fmt: skip
    of, span, _ = await scope_of(tx, ask)
    actual = wanted.unit.whole((await values_of(tx, of, span, [wanted]))[wanted.name])
    parts = await goals.parts_of(tx, goal.goal_id)
    return GoalProgress(
        goal=goal,
        unit=wanted.unit,
        progress=None if actual is None else await pace_goal(tx, goal, of, actual),
        part_targets=sum(parts) if parts else None,
        residual=parts_left(goal.target, parts) if parts else None,
        revisions=await goals.list_revisions(tx, goal.goal_id),
    )
