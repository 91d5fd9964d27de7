"""The effect of a promotion with its interval: differences in means, with CUPED, and ratios by the delta method. Pure.

Units are those that were randomised (merchants, buyers, regions), each with one number. Estimates are intention to
treat: a unit counts in the arm that it was drawn for, whatever it did.
"""

import math
from collections.abc import Sequence
from statistics import fmean

import msgspec

from incentives.uplift.distributions import NORMAL, chi_squared_tail, t_quantile, t_two_sided

SRM_ALARM = 0.001
"""Below this probability arms are not of the sizes that were drawn: something is wrong with the experiment."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with its standard error, the interval at the level asked for, and the p-value of no effect.

    freedom: degrees of freedom of the t distribution; None where it is the normal one.
    """

    estimate: float
    error: float
    low: float
    high: float
    p_value: float
    freedom: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """All that an estimate needs of an arm. variance: of the sample, by n - 1."""

    units: int
    mean: float
    variance: float


def moments(values: Sequence[float]) -> Moments:
    """Raises ValueError for fewer than two values."""
    units = len(values)
    if units < 2:
        raise ValueError("an arm needs two units at least")
    mean = fmean(values)
    return Moments(units=units, mean=mean, variance=math.fsum((v - mean) ** 2 for v in values) / (units - 1))


def covariance(one: Sequence[float], other: Sequence[float]) -> float:
    """Of a sample, by n - 1."""
    mean_one, mean_other = fmean(one), fmean(other)
    products = ((a - mean_one) * (b - mean_other) for a, b in zip(one, other, strict=True))
    return math.fsum(products) / (len(one) - 1)


def difference_of(treated: Moments, control: Moments, level: float = 0.95) -> Effect:
    """Welch's: means that differ, variances that may."""
    parts = treated.variance / treated.units, control.variance / control.units
    error = math.sqrt(sum(parts))
    estimate = treated.mean - control.mean
    if error == 0:
        return Effect(estimate=estimate, error=0, low=estimate, high=estimate, p_value=float(estimate == 0))
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (treated.units - 1) + parts[1] ** 2 / (control.units - 1))
    reach = t_quantile((1 + level) / 2, freedom) * error
    return Effect(
        estimate=estimate,
        error=error,
        low=estimate - reach,
        high=estimate + reach,
        p_value=t_two_sided(estimate / error, freedom),
        freedom=freedom,
    )


def difference(treated: Sequence[float], control: Sequence[float], level: float = 0.95) -> Effect:
    """The difference in means. Raises ValueError for arms of fewer than two units."""
    return difference_of(moments(treated), moments(control), level)


def cuped(
    treated: Sequence[float],
    control: Sequence[float],
    treated_before: Sequence[float],
    control_before: Sequence[float],
    level: float = 0.95,
) -> Effect:
    """The difference in means, of what the same metric before the start does not explain (Deng et al., 2013).

    The variance falls by the square of the correlation. Units that were not there before form a stratum of their own:
    estimate them without this.
    """
    theta = cuped_theta([(treated_before, treated), (control_before, control)])
    mean = fmean([*treated_before, *control_before])
    adjusted = [
        [value - theta * (was - mean) for value, was in zip(values, before, strict=True)]
        for values, before in ((treated, treated_before), (control, control_before))
    ]
    return difference(adjusted[0], adjusted[1], level)


def cuped_theta(arms: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """The slope of the metric on what it was before, within arms (before, after); 0 when it was the same for all."""
    spread = sum(covariance(before, before) * (len(before) - 1) for before, _ in arms)
    return sum(covariance(before, after) * (len(before) - 1) for before, after in arms) / spread if spread else 0.0


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a ratio of two metrics, by unit: cancelled orders of orders, margin of sales."""

    numerators: Sequence[float]
    denominators: Sequence[float]


def ratio_difference(treated: Ratio, control: Ratio, level: float = 0.95) -> Effect:
    """The difference of two ratios of means, whose units are not what the ratio counts (delta method).

    Raises ValueError when a mean denominator is zero.
    """
    (one, one_variance), (other, other_variance) = _ratio(treated), _ratio(control)
    return _normal(one - other, math.sqrt(one_variance + other_variance), level)


def _ratio(of: Ratio) -> tuple[float, float]:
    top, bottom = moments(of.numerators), moments(of.denominators)
    if bottom.mean == 0:
        raise ValueError("denominators: their mean is zero")
    value = top.mean / bottom.mean
    both = covariance(of.numerators, of.denominators)
    return value, _ratio_variance(value, top.variance, bottom.variance, both, bottom.mean) / top.units


def _ratio_variance(value: float, top: float, bottom: float, both: float, mean: float) -> float:
    return max(0.0, top - 2 * value * both + value * value * bottom) / (mean * mean)


def iroi(treated: Ratio, control: Ratio, level: float = 0.95) -> Effect:
    """Incremental margin for each unit of money that the incentive cost: margins above, incentive costs below.

    (margin of treated - of control) / (cost of treated - of control), by the delta method. The p-value is that of an
    iROI of zero; whether it pays is asked of `low > 1`. Raises ValueError when treated cost no more than control.
    """
    cost = fmean(treated.denominators) - fmean(control.denominators)
    if cost <= 0:
        raise ValueError("costs: the treated cost no more than the control")
    value = (fmean(treated.numerators) - fmean(control.numerators)) / cost
    variance = sum(
        _ratio_variance(
            value,
            moments(arm.numerators).variance,
            moments(arm.denominators).variance,
            covariance(arm.numerators, arm.denominators),
            cost,
        )
        / len(arm.numerators)
        for arm in (treated, control)
    )
    return _normal(value, math.sqrt(variance), level)


def _normal(estimate: float, error: float, level: float) -> Effect:
    reach = NORMAL.inv_cdf((1 + level) / 2) * error
    return Effect(
        estimate=estimate,
        error=error,
        low=estimate - reach,
        high=estimate + reach,
        p_value=2 * NORMAL.cdf(-abs(estimate) / error) if error else float(estimate == 0),
    )


class SampleRatio(msgspec.Struct, frozen=True, kw_only=True):
    chi_squared: float
    p_value: float

    @property
    def alarm(self) -> bool:
        """Whether no effect may be read from the experiment before this is explained."""
        return self.p_value < SRM_ALARM


def sample_ratio(units: Sequence[int], weights: Sequence[int]) -> SampleRatio:
    """Whether arms have as many units as were drawn for them (Pearson's chi-squared).

    Raises ValueError for fewer than two arms, or units in an arm without weight.
    """
    drawn = [(seen, weight) for seen, weight in zip(units, weights, strict=True) if seen or weight]
    if len(drawn) < 2 or any(weight == 0 for _, weight in drawn):
        raise ValueError("weights: two arms at least, each with a weight")
    everything, weighed = sum(seen for seen, _ in drawn), sum(weight for _, weight in drawn)
    expected = [everything * weight / weighed for _, weight in drawn]
    value = sum((seen - mean) ** 2 / mean for (seen, _), mean in zip(drawn, expected, strict=True) if mean)
    return SampleRatio(chi_squared=value, p_value=chi_squared_tail(value, len(drawn) - 1))
