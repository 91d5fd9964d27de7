"""What a promotion must not have harmed, and how its effect may only seem to be one. Pure.

A guardrail that is flagged is a reason to look, not a verdict: each is asked of its own interval at 95 %. As in
`findings`, the floats are observations that estimators are given; no money is booked and no rate applied from one.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from incentives.experiments.model import HELD_OUT, UNITS_MIN, Exposed, Interval, interval
from incentives.uplift.distributions import NORMAL
from incentives.uplift.estimates import Effect, Moments, Ratio, difference, difference_of, moments, ratio_difference
from marketplace.core.rates import PPM

BUNCHING_ALARM = 0.001
"""Below this probability more windows end just above a threshold than just below it by chance."""

Name = Literal["cancelled", "refunded", "price_before", "pulled_forward", "bunching"]


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """cancelled: of orders, the part that was; refunded: of what was sold; price_before: of a piece, in the four weeks
    before the start over the four before them; pulled_forward: sales of a merchant in the four weeks after the end.
    Each is treated less held out, parts in ppm, sales in minor units. bunching: of the windows that ended within a
    tenth of a threshold, how many in a million ended above it; expected is half.

    flagged: the treated cancel, refund or raised more, sold less afterwards, or stand in a heap above a threshold.
    """

    name: Name
    value: Interval
    flagged: bool


class Near(msgspec.Struct, frozen=True):
    """A threshold, and how many windows ended less than a tenth above it and below it."""

    threshold: int
    above: int
    below: int


class Others(msgspec.Struct, frozen=True, kw_only=True):
    """Merchants that the promotion never reached: how their sales changed over its time, and over the time before."""

    change: Moments
    trend: Moments


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """Difference in differences: by how much more the sales of a reached merchant changed than those of the others.

    Nothing was randomised, so this is observational: whoever was reached may have been growing anyway. trend: the same
    difference over the time before the start, where it should be none; when it is clear, the estimate says nothing.
    """

    others: int
    effect_minor: Interval
    trend_minor: Interval


def guardrails(exposed: Sequence[Exposed], near: Sequence[Near]) -> tuple[Guardrail, ...]:
    """All that can be said: comparisons need a control."""
    treated = [each for each in exposed if each.arm != HELD_OUT]
    control = [each for each in exposed if each.arm == HELD_OUT]
    found = []
    if min(len(treated), len(control)) >= UNITS_MIN:
        found += _compared(treated, control)
    bunched = _bunching(near)
    return (*found, bunched) if bunched is not None else tuple(found)


def _compared(treated: Sequence[Exposed], control: Sequence[Exposed]) -> list[Guardrail]:
    found = []
    parts: tuple[tuple[Name, str, str], ...] = (
        ("cancelled", "cancelled", "orders"),
        ("refunded", "refunded_minor", "sold_minor"),
    )
    for name, top, bottom in parts:
        effect = _ratios(treated, control, top, bottom)
        if effect is not None:
            found.append(Guardrail(name=name, value=interval(effect, PPM), flagged=effect.low > 0))
    rises = [[float(each.price_ppm) for each in arm if each.price_ppm is not None] for arm in (treated, control)]
    if min(map(len, rises)) >= UNITS_MIN:
        effect = difference(rises[0], rises[1])
        found.append(Guardrail(name="price_before", value=interval(effect), flagged=effect.low > 0))
    later, others = [[float(each.later_minor) for each in arm] for arm in (treated, control)]
    effect = difference(later, others)
    found.append(Guardrail(name="pulled_forward", value=interval(effect), flagged=effect.high < 0))
    return found


def _ratios(treated: Sequence[Exposed], control: Sequence[Exposed], top: str, bottom: str) -> Effect | None:
    arms = [
        Ratio(
            numerators=[float(getattr(each, top)) for each in arm],
            denominators=[float(getattr(each, bottom)) for each in arm],
        )
        for arm in (treated, control)
    ]
    return ratio_difference(arms[0], arms[1]) if all(any(arm.denominators) for arm in arms) else None


def _bunching(near: Sequence[Near]) -> Guardrail | None:
    """Whether as many windows end just above thresholds as just below (a sign test, normal with continuity)."""
    above, below = sum(each.above for each in near), sum(each.below for each in near)
    if not above + below:
        return None
    share, error = above / (above + below), 0.5 / math.sqrt(above + below)
    reach = NORMAL.inv_cdf(0.975) * error
    p_value = 1 - NORMAL.cdf((above - below - 1) / math.sqrt(above + below))
    effect = Effect(estimate=share, error=error, low=share - reach, high=share + reach, p_value=p_value)
    return Guardrail(name="bunching", value=interval(effect, PPM), flagged=p_value < BUNCHING_ALARM)


def observed(exposed: Sequence[Exposed], others: Others) -> Observed | None:
    """None where there are too few on either side."""
    if min(len(exposed), others.change.units) < UNITS_MIN:
        return None
    changes = moments([float(each.after_minor - each.before_minor) for each in exposed])
    trend = moments([float(each.before_minor - each.earlier_minor) for each in exposed])
    return Observed(
        others=others.change.units,
        effect_minor=interval(difference_of(changes, others.change)),
        trend_minor=interval(difference_of(trend, others.trend)),
    )
