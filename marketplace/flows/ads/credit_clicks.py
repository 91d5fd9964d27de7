"""Events that people find to be no real ones: they cost nothing, and what was charged for them is credited."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ARRAY, Text, bindparam, text

from billing.ads.rules import Verdict
from billing.ledger import store as ledger
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.flows.ads.deliver_ad_orders import bill_anew
from marketplace.flows.ads.rate_ads import rate_merchant
from supply.store import get_merchant


class Credited(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were valid until now, and in how many hours; those were rated anew at once."""

    events: int
    hours: int


# The hours first, in the order in which everybody holds them; then what happened in them cannot change meanwhile.
_HOURS = text("""
SELECT b.campaign_id, b.hour_at FROM billing.ad_bucket b
WHERE b.merchant_id = :merchant AND (b.campaign_id, b.hour_at) IN (
    SELECT e.campaign_id, e.hour_at FROM billing.ad_event e
    WHERE e.merchant_id = :merchant AND e.event_id = ANY(:events))
ORDER BY b.campaign_id, b.hour_at FOR UPDATE OF b
""").bindparams(bindparam("events", type_=ARRAY(Text)))
_JUDGED = text(f"""
UPDATE billing.ad_event e SET verdict = '{Verdict.REPORTED}'
FROM billing.ad_event was
WHERE e.merchant_id = :merchant AND e.event_id = ANY(:events) AND e.verdict <> '{Verdict.REPORTED}'
  AND was.merchant_id = e.merchant_id AND was.event_id = e.event_id
RETURNING e.campaign_id, e.hour_at, e.kind, e.price_milli, was.verdict AS was
""").bindparams(bindparam("events", type_=ARRAY(Text)))
# judged_clicks below clicks: the others of the hour are judged again without what was reported.
_COUNT = """
UPDATE billing.ad_bucket SET invalid_clicks = invalid_clicks + :clicks,
    invalid_impressions = invalid_impressions + :impressions, invalid_milli = invalid_milli + :milli, judged_clicks = -1
WHERE merchant_id = :merchant AND campaign_id = :campaign AND hour_at = :hour
"""


async def credit_clicks(tx: Tx, merchant_id: int, event_ids: Sequence[str], reason: str) -> Credited:
    """Take events of a merchant for not valid, and rate their hours anew. Raises NotFound when one is not there."""
    await ledger.lock_books(tx, merchant_id)
    await get_merchant(tx, merchant_id)
    bound = {"merchant": merchant_id, "events": sorted(set(event_ids))}
    await tx.rows(_HOURS, **bound)
    known = await tx.rows(
        "SELECT event_id FROM billing.ad_event WHERE merchant_id = :merchant AND event_id = ANY(:events)", **bound
    )
    missing = sorted(set(event_ids) - {row.event_id for row in known})
    if missing:
        raise NotFound(f"event_ids: merchant {merchant_id} has no event {missing[0]!r}")
    hours: dict[tuple[int, datetime], list[int]] = {}
    changed = 0
    for row in await tx.rows(_JUDGED, **bound):
        counts = hours.setdefault((row.campaign_id, row.hour_at), [0, 0, 0])
        if row.was == Verdict.VALID:
            changed += 1
            counts[0 if row.kind == "click" else 1] += 1
            counts[2] += row.price_milli
    for (campaign_id, hour_at), (clicks, impressions, milli) in sorted(hours.items()):
        key = {"merchant": merchant_id, "campaign": campaign_id, "hour": hour_at}
        await tx.execute(_COUNT, {**key, "clicks": clicks, "impressions": impressions, "milli": milli})
    if hours:
        await rate_merchant(tx, merchant_id, max(hour_at for _, hour_at in hours))
        await bill_anew(tx, merchant_id, [campaign_id for campaign_id, _ in hours])
    await audit.record(tx, "ad events reported", f"merchant:{merchant_id}", events=changed, reason=reason)
    return Credited(events=changed, hours=len(hours))
