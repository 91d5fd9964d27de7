"""Student's t and chi-squared, by continued fractions (Numerical Recipes, 3rd edition, 6.2 and 6.4). Pure."""

import math
from statistics import NormalDist

NORMAL = NormalDist()
_TINY = 1e-300
_PRECISION = 1e-15
_STEPS = 10_000


def t_cdf(value: float, freedom: float) -> float:
    """P(T <= value) of Student's t."""
    tail = t_two_sided(value, freedom) / 2
    return tail if value < 0 else 1 - tail


def t_two_sided(value: float, freedom: float) -> float:
    """P(|T| >= |value|) of Student's t."""
    square = value * value
    return _beta(freedom / (freedom + square), square / (freedom + square), freedom / 2, 0.5)


def t_quantile(probability: float, freedom: float) -> float:
    """The value that Student's t stays below with that probability, of (0, 1); Newton's steps inside of a bracket."""
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < probability:
        low, high = high, 2 * high
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    value = min(high, max(low, NORMAL.inv_cdf(min(probability, 1 - 1e-16))))
    for _ in range(200):
        error = t_cdf(value, freedom) - probability
        low, high = (low, value) if error > 0 else (value, high)
        density = constant * (1 + value * value / freedom) ** (-(freedom + 1) / 2)
        step = value - error / density if density else math.inf
        better = step if low <= step <= high else (low + high) / 2
        if abs(better - value) <= 1e-13 * max(1.0, abs(value)):
            return better
        value = better
    return value


def chi_squared_tail(value: float, freedom: int) -> float:
    """P(X >= value) of chi-squared."""
    a, x = freedom / 2, value / 2
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for step in range(1, _STEPS):
            term *= x / (a + step)
            total += term
            if term < total * _PRECISION:
                break
        return 1 - front * total
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for step in range(1, _STEPS):
        part = -step * (step - a)
        b += 2
        d = 1 / _kept(part * d + b)
        c = _kept(b + part / c)
        fraction *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return front * fraction


def _beta(x: float, rest: float, a: float, b: float) -> float:
    """The regularised incomplete beta function; rest is 1 - x, without the loss of its digits."""
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    if x > (a + 1) / (a + b + 2):
        return 1 - front * _beta_fraction(rest, b, a) / b
    return front * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _kept(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _STEPS):
        for part in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _kept(1 + part * d)
            c = _kept(1 + part / c)
            fraction *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return fraction


def _kept(value: float) -> float:
    """Away from zero, so that it can be divided by."""
    return value if abs(value) > _TINY else _TINY
