"""What it costs to win a merchant on a channel, and when it comes back. Pure: integer minor units and ppm.

Where a formula divides by nothing its value is None, never zero. Activated merchants are counted in ppm, because
attribution divides them over channels: 1,000,000 is one merchant.
"""

from collections.abc import Sequence
from fractions import Fraction

from marketplace.core.rates import PPM, divide_half_even


def cost_per(cost_minor: int, reached: int) -> int | None:
    """Cost per stage: cost / subjects that reached it."""
    return divide_half_even(cost_minor, reached) if reached else None


def acquisition_cost(cost_minor: int, activated_ppm: int) -> int | None:
    """CAC: cost / new activated merchants. Paid with media and variable cost, fully loaded with all of it."""
    return divide_half_even(cost_minor * PPM, activated_ppm) if activated_ppm else None


def marginal_cost(before: tuple[int, int], after: tuple[int, int]) -> int | None:
    """Marginal CAC between two periods of (cost, activated ppm): change of spend / change of activated merchants.

    None unless more were activated: otherwise there is no merchant that the change has cost.
    """
    more = after[1] - before[1]
    return divide_half_even((after[0] - before[0]) * PPM, more) if more > 0 else None


def payback_months(cost_minor: int, contributions: Sequence[int]) -> int | None:
    """The first month, counted from 1, by whose end a cohort's contribution has reached what the cohort has cost.

    contributions: of the whole cohort by month since activation, those who left included. None: not yet.
    """
    reached = 0
    for month, contribution in enumerate(contributions, start=1):
        reached += contribution
        if reached >= cost_minor:
            return month
    return None


def lifetime_value(
    contributions: Sequence[int], activated_ppm: int, *, horizon: int, discount_ppm: int = 0
) -> int | None:
    """LTV to a horizon in months: sum over m of contribution per merchant of the cohort in month m / (1 + r)^m.

    A contribution per merchant of the whole cohort is survival times what a survivor brings. m begins with 0;
    discount_ppm: r, of a month.
    """
    if not activated_ppm:
        return None
    factor = Fraction(PPM, PPM + discount_ppm)
    value = sum(
        (contribution * factor**month for month, contribution in enumerate(contributions[:horizon])), Fraction()
    )
    value *= Fraction(PPM, activated_ppm)
    return divide_half_even(value.numerator, value.denominator)


def value_to_cost(value_minor: int | None, cost_minor: int | None) -> int | None:
    """LTV:CAC in ppm, of the same cohort and the same margin."""
    if value_minor is None or not cost_minor:
        return None
    return divide_half_even(value_minor * PPM, cost_minor)


def win_rate(won: int, lost: int) -> int | None:
    """Won / (won + lost) of those that were closed, in ppm; open ones are left out."""
    return divide_half_even(won * PPM, won + lost) if won + lost else None
