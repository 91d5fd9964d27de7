"""What a promotion changed, from the arms as they were exposed: effect with its interval, cost and return. Pure.

Estimates are intention to treat: a merchant that was exposed counts in the arm that it was drawn for, whether it earned
anything or not. The floats are the estimators' observations and what these make of them: no money is booked from one,
and what is told of money is rounded to minor units once it is estimated.
"""

from collections.abc import Sequence

import msgspec

from incentives.experiments.guardrails import Guardrail, Near, Observed, Others, guardrails, observed
from incentives.experiments.model import HELD_OUT, TREATED, UNITS_MIN, Exposed, Interval, interval
from incentives.rules.model import Arm, Experiment
from incentives.rules.parts import SLOTS
from incentives.uplift.estimates import Ratio, cuped, difference, iroi, sample_ratio
from marketplace.core.rates import PPM


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One arm beside the control. effect_minor: of sales, for each merchant; relative_ppm: of what controls sold.

    iroi_ppm: margin that it brought for what it cost, 1,000,000 is as much; None where it cost nothing.
    control_minor: what controls sold, each; cost_minor: what the arm was granted. None in reviews before these were.
    """

    arm: str
    treated: int
    control: int
    effect_minor: Interval
    relative_ppm: int | None
    iroi_ppm: Interval | None
    control_minor: int | None = None
    cost_minor: int | None = None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """planned_minor: what the approved simulation said it would cost. cost_minor: granted less taken back.

    arms: merchants by arm, "" is held out. srm_ppm: the probability of arms so unlike what was drawn; alarm: below
    1 in 1,000, and then no effect may be read. observational: nothing was randomised, or nobody was left to compare
    with: there is no estimate but that of `observed`. exposed, of all merchants that the promotion reached.
    """

    planned_minor: int | None
    cost_minor: int
    clawed_minor: int
    arms: dict[str, int]
    srm_ppm: int | None
    alarm: bool
    observational: bool
    comparisons: tuple[Comparison, ...]
    guardrails: tuple[Guardrail, ...] = ()
    observed: Observed | None = None


def findings(
    experiment: Experiment | None,
    exposed: Sequence[Exposed],
    *,
    near: Sequence[Near] = (),
    others: Others | None = None,
    planned_minor: int | None,
    cost_minor: int,
    clawed_minor: int,
    holdout_slots: int = 0,
) -> Findings:
    """What can be said. Lots that are drawn for buyers or regions are counted, not compared.

    holdout_slots: of merchants that are held out of all promotions: they are controls as well.
    """
    arms: dict[str, list[Exposed]] = {}
    for each in exposed:
        arms.setdefault(each.arm, []).append(each)
    control = arms.get(HELD_OUT, [])
    comparable = (experiment is None or experiment.unit == "merchant") and len(control) >= UNITS_MIN
    compared = [
        _compare(name, arms[name], control)
        for name in sorted(arms)
        if comparable and name != HELD_OUT and len(arms[name]) >= UNITS_MIN
    ]
    srm, alarm = _drawn_as_planned(experiment, arms, holdout_slots)
    return Findings(
        planned_minor=planned_minor,
        cost_minor=cost_minor,
        clawed_minor=clawed_minor,
        arms={name: len(arms[name]) for name in sorted(arms)},
        srm_ppm=srm,
        alarm=alarm,
        observational=not compared,
        comparisons=tuple(compared),
        guardrails=guardrails(exposed if comparable else [], near),
        observed=observed(exposed, others) if others is not None and not compared else None,
    )


def _drawn_as_planned(
    experiment: Experiment | None, arms: dict[str, list[Exposed]], holdout_slots: int
) -> tuple[int | None, bool]:
    if experiment is not None and experiment.unit != "merchant":
        return None, False
    drawn = (Arm(name=TREATED),) if experiment is None else experiment.arms
    total = sum(arm.weight for arm in drawn)
    names = [HELD_OUT, *(arm.name for arm in drawn)]
    left = (SLOTS - holdout_slots) * (SLOTS - (0 if experiment is None else experiment.holdout_slots))
    weights = [(SLOTS * SLOTS - left) * total, *(left * arm.weight for arm in drawn)]
    try:
        ratio = sample_ratio([len(arms.get(name, [])) for name in names], weights)
    except ValueError:  # a single arm: nothing was drawn
        return None, False
    return round(ratio.p_value * PPM), ratio.alarm


def _compare(name: str, treated: Sequence[Exposed], control: Sequence[Exposed]) -> Comparison:
    after, others = _sales(treated), _sales(control)
    before, others_before = [[float(e.before_minor) for e in arm] for arm in (treated, control)]
    known = any(before) or any(others_before)
    effect = cuped(after, others, before, others_before) if known else difference(after, others)
    mean = sum(others) / len(others)
    try:
        returned = interval(iroi(_ratio(treated), _ratio(control)), PPM)
    except ValueError:  # it cost nothing
        returned = None
    return Comparison(
        arm=name,
        treated=len(treated),
        control=len(control),
        effect_minor=interval(effect),
        relative_ppm=round(effect.estimate / mean * PPM) if mean > 0 else None,
        iroi_ppm=returned,
        control_minor=round(mean),
        cost_minor=sum(each.cost_minor for each in treated),
    )


def _sales(arm: Sequence[Exposed]) -> list[float]:
    return [float(each.after_minor) for each in arm]


def _ratio(arm: Sequence[Exposed]) -> Ratio:
    margins = [float(each.margin_minor) for each in arm]
    return Ratio(numerators=margins, denominators=[float(each.cost_minor) for each in arm])
