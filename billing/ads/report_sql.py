"""What a campaign has brought, day by day. Each statement is about one merchant."""

# A sale belongs to the last click of its buyer on any campaign of the merchant within a week before, and counts on the
# local day of that click.
DAYS = """
SELECT b.on_day, sum(b.impressions - b.invalid_impressions)::bigint AS impressions,
       sum(b.clicks - b.invalid_clicks)::bigint AS clicks,
       sum(b.invalid_impressions + b.invalid_clicks)::bigint AS invalid,
       sum(b.billed_minor)::bigint AS billed_minor, sum(b.unbilled_minor)::bigint AS unbilled_minor
FROM billing.ad_bucket b
WHERE b.merchant_id = :merchant AND b.campaign_id = :campaign AND b.on_day BETWEEN :first AND :last
GROUP BY b.on_day ORDER BY b.on_day
"""

SLOTS = """
SELECT c.on_day, sum(c.amount_minor)::bigint AS billed_minor
FROM billing.ad_charge c
WHERE c.merchant_id = :merchant AND c.campaign_id = :campaign AND c.booking_id IS NOT NULL
  AND c.on_day BETWEEN :first AND :last
GROUP BY c.on_day
"""

SALES = """
SELECT (click.at AT TIME ZONE :zone)::date AS on_day, count(*) AS orders,
       sum(o.goods_minor - o.discount_minor)::bigint AS sales_minor
FROM demand.merchant_order o
JOIN LATERAL (
    SELECT e.campaign_id, e.at FROM billing.ad_event e
    WHERE e.merchant_id = o.merchant_id AND e.buyer_id = o.buyer_id AND e.kind = 'click' AND e.verdict = ''
      AND e.at <= o.placed_at AND e.at > o.placed_at - CAST(:window AS interval)
    ORDER BY e.at DESC, e.event_id DESC LIMIT 1) AS click ON true
WHERE o.merchant_id = :merchant AND o.currency = :currency AND o.state NOT IN ('placed', 'cancelled')
  AND o.placed_at >= :from_at AND o.placed_at < :to_at
  AND click.campaign_id = :campaign AND (click.at AT TIME ZONE :zone)::date BETWEEN :first AND :last
GROUP BY 1
"""
