"""Process: how far a goal has come, by what its days usually bring."""

from datetime import timedelta

from marketplace.core.db import Tx
from marketplace.metrics import goals_sql as goals
from marketplace.metrics.definitions import definition
from marketplace.metrics.formulas import evaluate, inputs_of
from marketplace.metrics.goals_sql import Goal
from marketplace.metrics.inputs_sql import Of, read_days
from marketplace.metrics.pace import WEEKS, GoalPace, progress, weights
from marketplace.metrics.periods import Span


async def pace_goal(tx: Tx, goal: Goal, of: Of, actual: int) -> GoalPace:
    """How far a goal has come with what is reached by now. of: whose goal it is, on the day that it is."""
    wanted, span = definition(goal.metric), Span(goal.from_on, goal.to_on)
    known = Span(
        goal.from_on - timedelta(weeks=WEEKS), max(min(goal.to_on, of.as_of + timedelta(days=1)), goal.from_on)
    )
    days = await read_days(tx, of, known, inputs_of(wanted.formula))
    by_day = {day: wanted.unit.whole(evaluate(wanted.formula, inputs)) or 0 for day, inputs in days.items()}
    weighed = weights(span, by_day, await goals.holidays(tx, span))
    of_today = by_day.get(of.as_of, 0) if goal.from_on <= of.as_of < goal.to_on else 0
    return progress(actual, goal.target, weighed, of.as_of, of_today=of_today)
