"""How far cost and exhaustion might have been otherwise with other merchants: a bootstrap over merchants. Pure.

Merchants are drawn, not days or orders, because what one merchant sells hangs together. More than GROUPS_MAX of them
are drawn in groups, which leaves the spread of a sum as it is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from operator import mul
from random import Random
from zlib import crc32

import msgspec

GROUPS_MAX = 2_000
DRAWS = 500


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Of all that might have been, in so many of a hundred cases it is no more than this."""

    p10: int
    p50: int
    p90: int


class Exhaustion(msgspec.Struct, frozen=True, kw_only=True):
    """In so many of a hundred cases the budget is exhausted on this local day or before; None: it is not."""

    p10: date | None
    p50: date | None
    p90: date | None


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    draws: int
    cost_minor: Interval
    exhausted_on: Exhaustion


def intervals(
    burned: Mapping[int, Mapping[date, int]], limit_minor: int | None, *, seed: int, draws: int = DRAWS
) -> Intervals:
    """From what was set aside for each merchant on each day where no budget held. The same seed, the same answer."""
    days, by_day = _by_day(burned)
    groups = len(by_day[0]) if by_day else 0
    lot = Random(seed)  # noqa: S311 - a simulation, no secret
    costs, exhausted = [], []
    for _ in range(draws):
        drawn = Counter(lot.choices(range(groups), k=groups)) if groups else Counter[int]()
        weights = [drawn[group] for group in range(groups)]
        reached = list(accumulate(sum(map(mul, weights, values)) for values in by_day))
        costs.append(reached[-1] if reached else 0)
        over = (number for number, total in enumerate(reached) if limit_minor is not None and total >= limit_minor)
        exhausted.append(next(over, len(days)))
    ends = [*days, None]
    p10, p50, p90 = _percentiles(costs)
    first, middle, last = (ends[number] for number in _percentiles(exhausted))
    return Intervals(
        draws=draws,
        cost_minor=Interval(p10=p10, p50=p50, p90=p90),
        exhausted_on=Exhaustion(p10=first, p50=middle, p90=last),
    )


def _by_day(burned: Mapping[int, Mapping[date, int]]) -> tuple[list[date], list[list[int]]]:
    """Every day from the first to the last, and what each group burned on it."""
    merchants = sorted(burned)
    every = {day for each in burned.values() for day in each}
    if not every:
        return [], []
    first, last = min(every), max(every)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    grouped = len(merchants) > GROUPS_MAX
    by_day = [[0] * (GROUPS_MAX if grouped else len(merchants)) for _ in days]
    for number, merchant_id in enumerate(merchants):
        group = crc32(str(merchant_id).encode()) % GROUPS_MAX if grouped else number
        for day, minor in burned[merchant_id].items():
            by_day[(day - first).days][group] += minor
    return days, by_day


def _percentiles(values: Sequence[int]) -> list[int]:
    ranked = sorted(values)
    return [ranked[-(-len(ranked) * percent // 100) - 1] for percent in (10, 50, 90)]
