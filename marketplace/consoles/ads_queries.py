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
from marketplace.consoles.lists import Column, Kind, Roll, Shown
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
    """A merchant's ads. listings: (product_id, title)."""

    merchant: Merchant
    accounts: Sequence[AdAccount]
    placements: Sequence[Placement]
    listings: Sequence[tuple[int, str]]


class CampaignPage(msgspec.Struct, frozen=True):
    """A campaign, its history and what it brought day by day within four weeks, the newest day first."""

    merchant: Merchant
    found: CampaignDetail
    days: Sequence[Day]
    total: Day
    attribution_days: int


def first_of(tx: Tx, merchant: Merchant) -> date:
    """Since when campaigns are counted."""
    return local_date(tx.now, merchant.zone) - timedelta(days=DAYS - 1)


async def ads_page(tx: Tx, merchant: Merchant) -> AdsPage:
    """A merchant's balances, and what a campaign can be made of."""
    placements = await campaigns.list_placements(tx, limit=LISTED_MAX, after=None)
    listed = await tx.rows(_LISTINGS, merchant=merchant.merchant_id, limit=LISTINGS_MAX)
    return AdsPage(
        merchant=merchant,
        accounts=await accounts.list_accounts(tx, merchant.merchant_id),
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


CAMPAIGNS = Roll(
    name="ads",
    first="-campaign_id",
    key=("campaign_id",),
    columns=(
        Column("campaign_id", "promotions.number", Kind.NUMBER, shown=Shown.IN_FILES),
        Column("name", "ads.name"),
        Column("state", "col.state"),
        Column("impressions", "ads.impressions", Kind.NUMBER),
        Column("clicks", "ads.clicks", Kind.NUMBER),
        Column("ctr_ppm", "ads.ctr", Kind.NUMBER, shown=Shown.ON_PAGES, empty=True),
        Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
        Column("billed_minor", "ads.spend", Kind.MONEY),
        Column("cpc_minor", "ads.cpc", Kind.MONEY, shown=Shown.ON_PAGES, empty=True),
        Column("daily_minor", "ads.daily", Kind.MONEY, empty=True),
    ),
    query="""
SELECT *, clicks * 1000000 / nullif(impressions, 0) AS ctr_ppm,
       billed_minor / nullif(clicks, 0) AS cpc_minor
FROM (
    SELECT c.merchant_id, c.campaign_id, c.name, c.state, c.pricing, c.currency, c.bid_minor, c.spent_minor,
           coalesce(b.impressions, 0) AS impressions, coalesce(b.clicks, 0) AS clicks,
           coalesce(b.billed_minor, 0) AS billed_minor, d.daily_minor
    FROM billing.ad_campaign c
    LEFT JOIN (
        SELECT b.campaign_id, sum(b.impressions - b.invalid_impressions)::bigint AS impressions,
               sum(b.clicks - b.invalid_clicks)::bigint AS clicks, sum(b.billed_minor)::bigint AS billed_minor
        FROM billing.ad_bucket b WHERE b.merchant_id = :merchant AND b.on_day >= :first GROUP BY b.campaign_id
    ) AS b ON b.campaign_id = c.campaign_id
    LEFT JOIN LATERAL (
        SELECT a.daily_minor FROM billing.ad_budget a
        WHERE a.merchant_id = :merchant AND a.campaign_id = c.campaign_id ORDER BY a.from_on DESC LIMIT 1
    ) AS d ON true
    WHERE c.merchant_id = :merchant
) AS c
""",
    read=_row,
)
"""A merchant's campaigns with what they brought since a day."""

_LISTINGS = """
SELECT product_id, title FROM supply.offer
WHERE merchant_id = :merchant AND state = 'listed' AND title <> '' ORDER BY title, product_id LIMIT :limit
"""
