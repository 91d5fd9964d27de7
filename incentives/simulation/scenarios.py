"""What a promotion would cost if merchants answered to it: from where their windows stood without it. Pure."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from incentives.rules.events import Used
from incentives.rules.index import Plan, PlanSide
from incentives.rules.parts import Rate
from incentives.rules.reward import next_step
from incentives.rules.target import Progress
from marketplace.core.rates import PPM

REACHES_PPM = (50_000, 100_000, 200_000)
VOLUMES_PPM = (0, 50_000, 100_000, 200_000)


class Response(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How history is thought to change. reach_ppm: whoever is short of the next threshold by no more than this part of
    it reaches it. volume_ppm: so much more is traded; in windows of one event, by more events of the same size."""

    reach_ppm: Rate = 0
    volume_ppm: Rate = 0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """cost_minor: without the limits of budgets and lifetimes. lifted: windows that reached a threshold."""

    response: Response
    cost_minor: int
    lifted: int


def scenarios(plan: Plan, measures: Mapping[tuple[str, int], Counter[int]]) -> tuple[Scenario, ...]:
    """Thresholds reached, and volumes, each by itself; the first scenario is no response."""
    answers = [Response(volume_ppm=volume) for volume in VOLUMES_PPM] + [Response(reach_ppm=r) for r in REACHES_PPM]
    return tuple(scenario(plan, measures, response) for response in answers)


def scenario(plan: Plan, measures: Mapping[tuple[str, int], Counter[int]], response: Response) -> Scenario:
    """The cost of all windows, had they come to what the response makes of them."""
    cost = lifted = 0
    for (arm, side_no), counted in sorted(measures.items()):
        side = plan.sides[arm][side_no]
        for measure, windows in counted.items():
            moved = _lifted(side, measure, response.reach_ppm)
            lifted += windows * (moved > measure)
            if not plan.per_event:
                moved = moved * (PPM + response.volume_ppm) // PPM
            cost += windows * _entitled(side, moved)
    if plan.per_event:
        cost = cost * (PPM + response.volume_ppm) // PPM
    return Scenario(response=response, cost_minor=cost, lifted=lifted)


def _lifted(side: PlanSide, measure: int, reach_ppm: int) -> int:
    if not reach_ppm:
        return measure
    step = next_step(side.side.reward.amount, measure)
    return step.threshold if step is not None and step.missing * PPM <= step.threshold * reach_ppm else measure


def _entitled(side: PlanSide, measure: int) -> int:
    most = side.goal.most(Used(), Progress())
    if (per_event := side.side.limits.per_event_minor) is not None:
        most = min(most, per_event)
    return min(side.earned(measure, measure), most)
