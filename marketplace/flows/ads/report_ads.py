"""What a campaign has cost and brought: counted from its hours and charges, and from the orders of who clicked."""

from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import DateTime, Interval, bindparam, text

from billing.ads import figures, report_sql
from billing.ads.campaigns import store
from billing.ads.figures import Day
from billing.ads.pacing import day_bounds
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid

ATTRIBUTED_WITHIN = timedelta(days=7)
"""A sale follows from the last click of its buyer if there was one so shortly before."""
DAYS_MAX = 366


class CampaignReport(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign by local day, days without anything left out, and their sum.

    Sales are those of the merchant's orders, paid and not cancelled, goods less discount, before refunds.
    """

    merchant_id: int
    campaign_id: int
    currency: str
    zone: str
    attribution_days: int
    days: list[Day]
    total: Day


async def report_campaign(tx: Tx, merchant_id: int, campaign_id: int, first: date, last: date) -> CampaignReport:
    """The report of local days, both included. Raises NotFound, and Invalid for days that are none or too many."""
    if not 0 <= (last - first).days < DAYS_MAX:
        raise Invalid(f"last: must be 0 to {DAYS_MAX - 1} days after the first", pointer="/last")
    found = await store.get_campaign(tx, merchant_id, campaign_id)
    bound = {"merchant": merchant_id, "campaign": campaign_id, "first": first, "last": last}
    counted: dict[date, dict[str, Any]] = {}
    for row in await tx.rows(report_sql.DAYS, **bound):
        counted[row.on_day] = {
            "impressions": row.impressions,
            "clicks": row.clicks,
            "invalid": row.invalid,
            "spend_minor": row.billed_minor,
            "unbilled_minor": row.unbilled_minor,
        }
    for row in await tx.rows(report_sql.SLOTS, **bound):
        that = counted.setdefault(row.on_day, {})
        that["spend_minor"] = that.get("spend_minor", 0) + row.billed_minor
    from_at, to_at = day_bounds(first, found.zone)[0], day_bounds(last, found.zone)[1] + ATTRIBUTED_WITHIN
    sales = {"zone": found.zone, "currency": found.currency, "window": ATTRIBUTED_WITHIN}
    for row in await tx.rows(_SALES, **bound, **sales, from_at=from_at, to_at=to_at):
        counted.setdefault(row.on_day, {}).update(orders=row.orders, sales_minor=row.sales_minor)
    days = [figures.day(on_day, **counts) for on_day, counts in sorted(counted.items())]
    return CampaignReport(
        merchant_id=merchant_id,
        campaign_id=campaign_id,
        currency=found.currency,
        zone=found.zone,
        attribution_days=ATTRIBUTED_WITHIN.days,
        days=days,
        total=figures.total(days),
    )


_SALES = text(report_sql.SALES).bindparams(
    bindparam("window", type_=Interval),
    bindparam("from_at", type_=DateTime(timezone=True)),
    bindparam("to_at", type_=DateTime(timezone=True)),
)
