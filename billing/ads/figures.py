"""Figures of a campaign's day, as research on marketplaces words them (section 4). Pure.

CTR: clicks by impressions. CPC: spend by clicks. CPM: spend by impressions times a thousand. ROAS: attributed sales by
spend. What is divided by nothing is not defined, and None.
"""

from datetime import date

import msgspec

from marketplace.core.rates import PPM, divide_half_even


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A local day of a campaign, or the sum of several (on_day None). Amounts are minor units, valid events only.

    ctr_ppm and roas_ppm are ppm; cpc_minor and cpm_minor are rounded half-even.
    """

    on_day: date | None
    impressions: int
    clicks: int
    invalid: int
    spend_minor: int
    unbilled_minor: int
    orders: int
    sales_minor: int
    ctr_ppm: int | None
    cpc_minor: int | None
    cpm_minor: int | None
    roas_ppm: int | None


def day(
    on_day: date | None,
    *,
    impressions: int = 0,
    clicks: int = 0,
    invalid: int = 0,
    spend_minor: int = 0,
    unbilled_minor: int = 0,
    orders: int = 0,
    sales_minor: int = 0,
) -> Day:
    """A day with the figures that follow from what was counted."""
    return Day(
        on_day=on_day,
        impressions=impressions,
        clicks=clicks,
        invalid=invalid,
        spend_minor=spend_minor,
        unbilled_minor=unbilled_minor,
        orders=orders,
        sales_minor=sales_minor,
        ctr_ppm=_by(clicks * PPM, impressions),
        cpc_minor=_by(spend_minor, clicks),
        cpm_minor=_by(spend_minor * 1_000, impressions),
        roas_ppm=_by(sales_minor * PPM, spend_minor),
    )


def total(days: list[Day]) -> Day:
    """The sum of days, its figures computed from the sums."""
    names = ("impressions", "clicks", "invalid", "spend_minor", "unbilled_minor", "orders", "sales_minor")
    return day(None, **{name: sum(getattr(each, name) for each in days) for name in names})


def _by(numerator: int, denominator: int) -> int | None:
    return divide_half_even(numerator, denominator) if denominator > 0 else None
