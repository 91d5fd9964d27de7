"""What the ads pages show: prepaid balances, campaigns with their counts, and what could be advertised where."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.ads import figures
from billing.ads.accounts import store as accounts
from billing.ads.campaigns import store as campaigns
from billing.ads.campaigns.store import CampaignDetail
from billing.ads.figures import Day
from billing.ads.model import AdAccount, Placement, Pricing
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.ads.report_ads import report_campaign

LISTED_MAX = 50
LISTINGS_MAX = 200
DAYS = 28


class CampaignRow(msgspec.Struct, frozen=True):
    """A campaign with its counts of the last four weeks. Sales are on its own page."""

    campaign_id: int
    name: str
    state: str
    pricing: str
    currency: str
    bid_minor: int
    daily_minor: int | None
    spent_minor: int
    counts: Day


class AdsPage(msgspec.Struct, frozen=True):
    """A merchant's ads. listings: (product_id, title). `older`: the last campaign shown."""

    merchant: Merchant
    accounts: Sequence[AdAccount]
    campaigns: Sequence[CampaignRow]
    older: int | None
    placements: Sequence[Placement]
    listings: Sequence[tuple[int, str]]


class CampaignPage(msgspec.Struct, frozen=True):
    """A campaign, its history and what it brought day by day within four weeks, the newest day first."""

    merchant: Merchant
    found: CampaignDetail
    days: Sequence[Day]
    total: Day
    attribution_days: int


async def ads_page(tx: Tx, merchant_id: int, before: int | None) -> AdsPage:
    """A merchant's balances and campaigns, the newest first. Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    first = local_date(tx.now, merchant.zone) - timedelta(days=DAYS - 1)
    bound = {"merchant": merchant_id, "first": first, "before": before, "limit": LISTED_MAX + 1}
    rows = [_row(row) for row in await tx.rows(_CAMPAIGNS, **bound)]
    placements = await campaigns.list_placements(tx, limit=LISTED_MAX, after=None)
    listed = await tx.rows(_LISTINGS, merchant=merchant_id, limit=LISTINGS_MAX)
    return AdsPage(
        merchant=merchant,
        accounts=await accounts.list_accounts(tx, merchant_id),
        campaigns=rows[:LISTED_MAX],
        older=rows[LISTED_MAX - 1].campaign_id if len(rows) > LISTED_MAX else None,
        placements=[each for each in placements if each.open and each.pricing is not Pricing.SLOT],
        listings=[(row.product_id, row.title) for row in listed],
    )


async def campaign_page(tx: Tx, merchant_id: int, campaign_id: int) -> CampaignPage:
    """One campaign. Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    found = await campaigns.describe(tx, await campaigns.get_campaign(tx, merchant_id, campaign_id))
    last: date = local_date(tx.now, found.campaign.zone)
    report = await report_campaign(tx, merchant_id, campaign_id, last - timedelta(days=DAYS - 1), last)
    return CampaignPage(merchant, found, report.days[::-1], report.total, report.attribution_days)


def _row(row: Any) -> CampaignRow:
    counts = figures.day(None, impressions=row.impressions, clicks=row.clicks, spend_minor=row.billed_minor)
    return CampaignRow(
        campaign_id=row.campaign_id,
        name=row.name,
        state=row.state,
        pricing=row.pricing,
        currency=row.currency,
        bid_minor=row.bid_minor,
        daily_minor=row.daily_minor,
        spent_minor=row.spent_minor,
        counts=counts,
    )


_CAMPAIGNS = """
SELECT c.*, coalesce(b.impressions, 0) AS impressions, coalesce(b.clicks, 0) AS clicks,
       coalesce(b.billed_minor, 0) AS billed_minor, d.daily_minor
FROM (
    SELECT merchant_id, campaign_id, name, state, pricing, currency, bid_minor, spent_minor
    FROM billing.ad_campaign
    WHERE merchant_id = :merchant AND campaign_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
    ORDER BY campaign_id DESC LIMIT :limit
) AS c
LEFT JOIN LATERAL (
    SELECT sum(b.impressions - b.invalid_impressions)::bigint AS impressions,
           sum(b.clicks - b.invalid_clicks)::bigint AS clicks, sum(b.billed_minor)::bigint AS billed_minor
    FROM billing.ad_bucket b
    WHERE b.merchant_id = :merchant AND b.campaign_id = c.campaign_id AND b.on_day >= :first
) AS b ON true
LEFT JOIN LATERAL (
    SELECT a.daily_minor FROM billing.ad_budget a
    WHERE a.merchant_id = :merchant AND a.campaign_id = c.campaign_id ORDER BY a.from_on DESC LIMIT 1
) AS d ON true
ORDER BY c.campaign_id DESC
"""
_LISTINGS = """
SELECT product_id, title FROM supply.offer
WHERE merchant_id = :merchant AND state = 'listed' AND title <> '' ORDER BY title, product_id LIMIT :limit
"""
