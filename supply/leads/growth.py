"""New merchants against those that were there: what came, stayed, grew, shrank and went between two periods. Pure.

A merchant is active in a period in which it brought anything; churned: active in the period before and not in this one.
Amounts are minor units, rates parts per million; what divides by nothing is None, never zero.
"""

from collections.abc import Collection, Mapping

import msgspec

from marketplace.core.rates import PPM, divide_half_even


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of merchants, then what they brought. existing: of those active in the period before.

    retention: retained / active before. reactivation: reactivated / churned base at the start (active once, not in the
    period before). NRR: (start + expansion - contraction - churned) / start; GRR: without expansion. Quick ratio:
    (new + reactivated + expansion) / (contraction + churned).
    """

    start: int
    new: int
    retained: int
    reactivated: int
    churned: int
    end: int
    start_minor: int
    new_minor: int
    reactivated_minor: int
    expansion_minor: int
    contraction_minor: int
    churned_minor: int
    existing_minor: int
    retention_ppm: int | None
    reactivation_ppm: int | None
    nrr_ppm: int | None
    grr_ppm: int | None
    quick_ratio_ppm: int | None


def growth(before: Mapping[int, int], now: Mapping[int, int], earlier: Collection[int]) -> Growth:
    """What became of merchants. before, now: what each brought in two periods; earlier: those active before both."""
    was = {merchant: minor for merchant, minor in before.items() if minor > 0}
    there = {merchant: minor for merchant, minor in now.items() if minor > 0}
    retained = was.keys() & there.keys()
    gone = set(earlier) - was.keys()
    back = there.keys() & gone
    new = there.keys() - was.keys() - back
    start = sum(was.values())
    expansion = sum(max(0, there[each] - was[each]) for each in retained)
    contraction = sum(max(0, was[each] - there[each]) for each in retained)
    lost = sum(minor for each, minor in was.items() if each not in there)
    fresh, again = sum(there[each] for each in new), sum(there[each] for each in back)
    return Growth(
        start=len(was),
        new=len(new),
        retained=len(retained),
        reactivated=len(back),
        churned=len(was) - len(retained),
        end=len(there),
        start_minor=start,
        new_minor=fresh,
        reactivated_minor=again,
        expansion_minor=expansion,
        contraction_minor=contraction,
        churned_minor=lost,
        existing_minor=sum(there[each] for each in retained),
        retention_ppm=_rate(len(retained), len(was)),
        reactivation_ppm=_rate(len(back), len(gone)),
        nrr_ppm=_rate(start + expansion - contraction - lost, start),
        grr_ppm=_rate(start - contraction - lost, start),
        quick_ratio_ppm=_rate(fresh + again + expansion, contraction + lost),
    )


def _rate(part: int, whole: int) -> int | None:
    return divide_half_even(part * PPM, whole) if whole > 0 else None
