"""Refresh the quality scores that auctions rank by: how often a campaign is clicked against its placement's average."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from billing.ads.auction import quality_ppm
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.rates import PPM

_LOOKED_AT = timedelta(days=28)

_COUNTS = """
SELECT c.merchant_id, c.campaign_id, c.placement_id, c.quality_ppm,
       coalesce(sum(b.impressions - b.invalid_impressions), 0)::bigint AS impressions,
       coalesce(sum(b.clicks - b.invalid_clicks), 0)::bigint AS clicks
FROM billing.ad_campaign c
LEFT JOIN billing.ad_bucket b ON b.merchant_id = c.merchant_id AND b.campaign_id = c.campaign_id AND b.hour_at >= :since
WHERE c.state = 'active' AND c.pricing <> 'slot'
GROUP BY c.merchant_id, c.campaign_id, c.placement_id, c.quality_ppm
ORDER BY c.merchant_id, c.campaign_id
"""
_SCORE = (
    "UPDATE billing.ad_campaign SET quality_ppm = :quality WHERE merchant_id = :merchant AND campaign_id = :campaign"
)


async def score_campaigns(db: Database, actor: str) -> int:
    """Score every active campaign by its last four weeks; returns how many scores have changed."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(_COUNTS, since=db.clock.now() - _LOOKED_AT)
    changed = 0
    for row, quality in scores(rows):
        if quality != row.quality_ppm:
            await db.write(WORKER, actor, _store, row.merchant_id, row.campaign_id, quality)
            changed += 1
    return changed


def scores(rows: Sequence[Any]) -> list[tuple[Any, int]]:
    """Each campaign's quality against the average of its placement, of these rows."""
    shown: dict[int, int] = {}
    clicked: dict[int, int] = {}
    for row in rows:
        shown[row.placement_id] = shown.get(row.placement_id, 0) + row.impressions
        clicked[row.placement_id] = clicked.get(row.placement_id, 0) + row.clicks
    return [
        (
            row,
            quality_ppm(
                row.impressions, row.clicks, clicked[row.placement_id] * PPM // max(shown[row.placement_id], 1)
            ),
        )
        for row in rows
    ]


async def _store(tx: Tx, merchant_id: int, campaign_id: int, quality: int) -> None:
    await tx.execute(_SCORE, {"quality": quality, "merchant": merchant_id, "campaign": campaign_id})
