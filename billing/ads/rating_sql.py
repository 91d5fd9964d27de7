"""The statements of rating, each about one merchant, whose ledger head is held."""

from sqlalchemy import ARRAY, BigInteger, Date, DateTime, bindparam, text
from sqlalchemy.sql.elements import TextClause

from billing.ads.model import Bucket
from billing.ads.rules import CLICKS_PER_HOUR_MAX, LASTING, REPEAT_S

_DUE = "(b.clicks <> b.judged_clicks OR b.gross_milli - b.invalid_milli <> b.rated_milli)"
_BUCKET = ", ".join(f"b.{name}" for name in Bucket.__struct_fields__)
_LASTING = ", ".join(f"'{verdict}'" for verdict in LASTING)

MERCHANTS = text(f"""
SELECT DISTINCT b.merchant_id FROM billing.ad_bucket b
WHERE {_DUE} AND b.hour_at < :before AND b.merchant_id > :after ORDER BY 1 LIMIT :limit
""")

HOLD_HOURS = text(f"""
SELECT {_BUCKET}, b.clicks <> b.judged_clicks AS unjudged, c.currency, c.total_minor, c.spent_minor
FROM billing.ad_bucket b
JOIN billing.ad_campaign c ON c.merchant_id = b.merchant_id AND c.campaign_id = b.campaign_id
WHERE b.merchant_id = :merchant AND {_DUE} AND b.hour_at < :before
ORDER BY b.campaign_id, b.hour_at LIMIT :limit
FOR UPDATE OF b, c
""")


def _hours(sql: str) -> TextClause:
    return text(sql).bindparams(
        bindparam("campaigns", type_=ARRAY(BigInteger)), bindparam("hours", type_=ARRAY(DateTime(timezone=True)))
    )


# What a viewer's clicks of an hour show together; `rules.judge_hour` says the same, and a test compares the two.
JUDGE = _hours(f"""
UPDATE billing.ad_event e SET verdict = judged.verdict
FROM (
    SELECT merchant_id, event_id, campaign_id, hour_at, price_milli, verdict AS was,
           CASE WHEN at - lag(at) OVER of_viewer < interval '{REPEAT_S} seconds' THEN 'repeat'
                WHEN row_number() OVER of_viewer > {CLICKS_PER_HOUR_MAX} THEN 'too_many' ELSE '' END AS verdict
    FROM billing.ad_event
    WHERE merchant_id = :merchant AND kind = 'click' AND verdict NOT IN ({_LASTING})
      AND (campaign_id, hour_at) IN (SELECT * FROM unnest(:campaigns, :hours))
    WINDOW of_viewer AS (PARTITION BY merchant_id, campaign_id, hour_at, viewer ORDER BY at, event_id)
) AS judged
WHERE e.merchant_id = :merchant AND e.merchant_id = judged.merchant_id AND e.event_id = judged.event_id
  AND judged.verdict <> judged.was
RETURNING judged.campaign_id, judged.hour_at, judged.price_milli, judged.was, judged.verdict
""")

DAYS = text("""
SELECT d.campaign_id, d.on_day,
       coalesce((SELECT a.daily_minor FROM billing.ad_budget a
                 WHERE a.merchant_id = :merchant AND a.campaign_id = d.campaign_id AND a.from_on <= d.on_day
                 ORDER BY a.from_on DESC LIMIT 1), 0)
       - coalesce((SELECT sum(b.billed_minor) FROM billing.ad_bucket b
                   WHERE b.merchant_id = :merchant AND b.campaign_id = d.campaign_id AND b.on_day = d.on_day), 0)
FROM unnest(:campaigns, :days) AS d (campaign_id, on_day)
""").bindparams(bindparam("campaigns", type_=ARRAY(BigInteger)), bindparam("days", type_=ARRAY(Date)))

CREDITABLE = _hours("""
SELECT c.campaign_id, c.hour_at, c.charge_id,
       c.granted_minor + coalesce(sum(k.granted_minor), 0) AS granted_minor,
       c.paid_minor + coalesce(sum(k.paid_minor), 0) AS paid_minor
FROM billing.ad_charge c
LEFT JOIN billing.ad_charge k ON k.merchant_id = c.merchant_id AND k.campaign_id = c.campaign_id
 AND k.hour_at = c.hour_at AND k.credits_charge_id = c.charge_id
WHERE c.merchant_id = :merchant AND c.kind = 'use'
  AND (c.campaign_id, c.hour_at) IN (SELECT * FROM unnest(:campaigns, :hours))
GROUP BY c.campaign_id, c.hour_at, c.charge_id, c.granted_minor, c.paid_minor
ORDER BY c.campaign_id, c.hour_at, c.charge_id DESC
""")

RATED = """
UPDATE billing.ad_bucket b SET invalid_clicks = new.invalid_clicks, invalid_milli = new.invalid_milli,
    judged_clicks = b.clicks, rated_milli = b.gross_milli - new.invalid_milli, billed_minor = new.billed,
    unbilled_minor = new.unbilled
FROM unnest($2::bigint[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS new (campaign_id, hour_at, invalid_clicks, invalid_milli, billed, unbilled)
WHERE b.merchant_id = $1 AND b.campaign_id = new.campaign_id AND b.hour_at = new.hour_at
"""

SPENT = """
UPDATE billing.ad_campaign c SET spent_minor = c.spent_minor + new.spent
FROM unnest($2::bigint[], $3::bigint[]) AS new (campaign_id, spent)
WHERE c.merchant_id = $1 AND c.campaign_id = new.campaign_id
"""
