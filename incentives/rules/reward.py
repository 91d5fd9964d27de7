"""How much a measure earns: a function of the measure alone, in integers, rounded down. Pure.

It never falls while the measure rises, and nothing earns nothing. Caps are the target's (`incentives.rules.target`).
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

from incentives.rules.awards import Amount, Band, EveryN, Fixed, Graduated, Ladder, Once, Volume
from marketplace.core.rates import PPM

Earned = Callable[[int, int], int]
"""(measure, base) -> minor units. Thresholds and rates are chosen by the measure; the base, never above it, is what a
percentage is of."""


def earned_by(amount: Amount) -> Earned:
    """The reward as a function, prepared for being asked often."""
    match amount:
        case Fixed(amount_minor=minor):
            return _totals([1], [minor])
        case Once(threshold=threshold, amount_minor=minor):
            return _totals([threshold], [minor])
        case Ladder(tiers=tiers):
            return _totals([tier.threshold for tier in tiers], [tier.total_minor for tier in tiers])
        case EveryN():
            return _every(amount)
        case Graduated(bands=bands):
            return _graduated(bands)
        case Volume(bands=bands):
            return _volume(bands)


def _totals(thresholds: list[int], minors: list[int]) -> Earned:
    totals = [0, *minors]
    return lambda measure, _base: totals[bisect_right(thresholds, measure)]


def _every(amount: EveryN) -> Earned:
    every, minor, most = amount.every, amount.amount_minor, amount.times_max
    if most is None:
        return lambda measure, _base: minor * (max(measure, 0) // every)
    return lambda measure, _base: minor * min(most, max(measure, 0) // every)


def _volume(bands: Sequence[Band]) -> Earned:
    starts = [band.from_minor for band in bands]
    rates = [0, *(band.rate_ppm for band in bands)]
    return lambda measure, base: max(base, 0) * rates[bisect_right(starts, measure)] // PPM


def _graduated(bands: Sequence[Band]) -> Earned:
    starts = [band.from_minor for band in bands]
    reached = [0]
    for lower, upper in pairwise(bands):
        reached.append(reached[-1] + (upper.from_minor - lower.from_minor) * lower.rate_ppm)

    def earned(_measure: int, base: int) -> int:
        number = bisect_right(starts, base) - 1
        return 0 if number < 0 else (reached[number] + (base - starts[number]) * bands[number].rate_ppm) // PPM

    return earned


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """Where more is earned: at which measure, how much is missing, and what is then earned in all (of a percentage:
    with the measure exactly there)."""

    threshold: int
    missing: int
    total_minor: int


def next_step(amount: Amount, measure: int) -> NextStep | None:
    """The next threshold, multiple or band; None when there is none. `measure` as it stands."""
    measure = max(measure, 0)
    match amount:
        case Fixed():
            steps = [1]
        case Once(threshold=threshold):
            steps = [threshold]
        case EveryN(every=every, times_max=most):
            times = measure // every + 1
            steps = [] if most is not None and times > most else [times * every]
        case Ladder(tiers=tiers):
            steps = [tier.threshold for tier in tiers]
        case Graduated(bands=bands) | Volume(bands=bands):
            steps = [band.from_minor for band in bands]
    ahead = [step for step in steps if step > measure]
    if not ahead:
        return None
    threshold = min(ahead)
    total = earned_by(amount)(threshold, threshold)
    return NextStep(threshold=threshold, missing=threshold - measure, total_minor=total)


def ladder_totals(milestones: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Thresholds with what each adds, as thresholds with what is earned in all: the form in which ladders are kept."""
    total, ladder = 0, []
    for threshold, adds in milestones:
        total += adds
        ladder.append((threshold, total))
    return ladder
