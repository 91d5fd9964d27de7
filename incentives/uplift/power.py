"""What an experiment of some size can see: the smallest effect, and the units that an effect needs. Pure."""

import math

from incentives.uplift.distributions import NORMAL


def _z(significance: float, power: float) -> float:
    return NORMAL.inv_cdf(1 - significance / 2) + NORMAL.inv_cdf(power)


def smallest_effect(
    treated: int,
    control: int,
    variance: float,
    *,
    correlation: float = 0.0,
    significance: float = 0.05,
    power: float = 0.8,
) -> float:
    """The smallest true difference in means that is found with that power; infinite when an arm has no units.

    variance: of a unit; correlation: with the same metric before, which CUPED makes use of. Two-sided, normal.
    """
    if not treated or not control:
        return math.inf
    left = variance * (1 - correlation * correlation)
    return _z(significance, power) * math.sqrt(left / treated + left / control)


def units_needed(
    effect: float, variance: float, *, treated_share: float = 0.5, significance: float = 0.05, power: float = 0.8
) -> int:
    """How many units both arms need together, so that an effect is found with that power."""
    spread = variance / treated_share + variance / (1 - treated_share)
    return math.ceil(_z(significance, power) ** 2 * spread / (effect * effect))
