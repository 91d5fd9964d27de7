"""Forget impressions and clicks that have served their purpose; what was counted of them, by the hour, stays."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, DateTime, bindparam, text

from billing.ledger import store as ledger
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.retention import KEPT_AD_CLICKS, KEPT_AD_IMPRESSIONS

HOURS_MAX = 500
"""Hours of a merchant's campaigns in one commit."""
_MERCHANTS = 200

_OLD = "(events_kept = 'all' AND hour_at < :seen OR events_kept = 'clicks' AND hour_at < :clicked)"
_MERCHANTS_WITH_OLD = f"""
SELECT DISTINCT merchant_id FROM billing.ad_bucket
WHERE events_kept <> 'none' AND {_OLD} AND merchant_id > :after ORDER BY merchant_id LIMIT :limit
"""
_OLD_HOURS = f"""
SELECT campaign_id, hour_at FROM billing.ad_bucket
WHERE merchant_id = :merchant AND events_kept <> 'none' AND {_OLD} ORDER BY hour_at, campaign_id LIMIT :limit FOR UPDATE
"""
_HOURS = (
    bindparam("campaigns", type_=ARRAY(BigInteger)),
    bindparam("hours", type_=ARRAY(DateTime(timezone=True))),
    bindparam("first", type_=DateTime(timezone=True)),
    bindparam("last", type_=DateTime(timezone=True)),
)
# The first and the last hour say in which part of the table to look.
_FORGET = text("""
DELETE FROM billing.ad_event e USING unnest(:campaigns, :hours) AS old (campaign_id, hour_at)
WHERE e.merchant_id = :merchant AND e.campaign_id = old.campaign_id AND e.hour_at = old.hour_at
  AND e.hour_at BETWEEN :first AND :last AND (e.kind = 'impression' OR e.hour_at < :clicked)
""").bindparams(*_HOURS, bindparam("clicked", type_=DateTime(timezone=True)))
_MARK = text("""
UPDATE billing.ad_bucket b SET events_kept = CASE WHEN b.hour_at < :clicked THEN 'none' ELSE 'clicks' END
FROM unnest(:campaigns, :hours) AS old (campaign_id, hour_at)
WHERE b.merchant_id = :merchant AND b.campaign_id = old.campaign_id AND b.hour_at = old.hour_at
""").bindparams(*_HOURS[:2], bindparam("clicked", type_=DateTime(timezone=True)))


async def forget_ad_events(db: Database, actor: str) -> int:
    """Remove impressions and clicks that are too old; returns how many commits that took, of HOURS_MAX hours each."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = last.merchant_id if last is not None else FIRST
        edges = {"seen": tx.now - KEPT_AD_IMPRESSIONS, "clicked": tx.now - KEPT_AD_CLICKS}
        return await tx.rows(_MERCHANTS_WITH_OLD, **edges, after=after, limit=_MERCHANTS)

    done = 0
    while forgotten := await each(db, actor, "events of ads not forgotten", page, _forget):
        done += forgotten
    return done


async def _forget(tx: Tx, row: Any) -> bool:
    """The oldest hours of a merchant; its head is held, as whoever credits events holds it."""
    await ledger.lock_books(tx, row.merchant_id)
    edges = {"seen": tx.now - KEPT_AD_IMPRESSIONS, "clicked": tx.now - KEPT_AD_CLICKS}
    old = await tx.rows(_OLD_HOURS, merchant=row.merchant_id, **edges, limit=HOURS_MAX)
    if not old:
        return False
    named = {"campaigns": [hour.campaign_id for hour in old], "hours": [hour.hour_at for hour in old]}
    bound = {"merchant": row.merchant_id, "clicked": edges["clicked"], **named}
    await tx.execute(_FORGET, {**bound, "first": old[0].hour_at, "last": old[-1].hour_at})
    await tx.execute(_MARK, bound)
    return True
