"""Figures of durations. Pure. The one place where statistics may count in floats; no amount of money comes here."""

from collections.abc import Iterable, Mapping, Sequence

from marketplace.core.rates import PPM, divide_half_even


def ratio_ppm(part: int, whole: int) -> int | None:
    """part / whole in parts per million; None where there is nothing to divide by."""
    return divide_half_even(part * PPM, whole) if whole else None


def survival(ended: Mapping[int, int], censored: Mapping[int, int]) -> list[tuple[int, float]]:
    """Kaplan-Meier: after which days which part is still there, for every day on which some have ended.

    ended, censored: how many ended after so many days, and how many were last seen then. Those who are censored on a
    day still count among those at risk on it. (Kaplan and Meier 1958.)
    """
    at_risk = sum(ended.values()) + sum(censored.values())
    curve, still = [], 1.0
    for day in sorted({*ended, *censored}):
        gone = ended.get(day, 0)
        if gone:
            still *= 1 - gone / at_risk
            curve.append((day, still))
        at_risk -= gone + censored.get(day, 0)
    return curve


_HALF = 0.5 + 1e-12
"""Half, and what the products of a long curve may be off by."""


def median_survival(ended: Mapping[int, int], censored: Mapping[int, int]) -> int | None:
    """The first day after which at most half are still there; None where more than half always are."""
    return next((day for day, still in survival(ended, censored) if still <= _HALF), None)


def median(values: Mapping[int, int]) -> float | None:
    """The median of days that are counted: value to how often; None of nothing."""
    total = sum(values.values())
    if not total:
        return None
    return (_nth(values, (total - 1) // 2) + _nth(values, total // 2)) / 2


def _nth(values: Mapping[int, int], place: int) -> int:
    for value in sorted(values):
        place -= values[value]
        if place < 0:
            return value
    raise AssertionError("unreachable")


def counted(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Sum what stands under one day."""
    summed: dict[int, int] = {}
    for day, number in pairs:
        summed[day] = summed.get(day, 0) + number
    return summed


def within(values: Mapping[int, int], days: int | None) -> int:
    """How many of the counted are at most so many days; None: all."""
    return sum(number for value, number in values.items() if days is None or value <= days)


def spread(values: Sequence[int]) -> dict[int, int]:
    """How often each value stands there."""
    return counted((value, 1) for value in values)
