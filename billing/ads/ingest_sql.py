"""The statements that take in impressions and clicks, a batch at a time; each array is a column.

Rows go in by the order of their keys, and hours are counted up in theirs, so two batches never wait for each other in
a circle.
"""

CAMPAIGNS = """
SELECT c.merchant_id, c.campaign_id, c.zone
FROM unnest($1::bigint[], $2::bigint[]) AS wanted (merchant_id, campaign_id)
JOIN billing.ad_campaign c ON c.merchant_id = wanted.merchant_id AND c.campaign_id = wanted.campaign_id
"""

OWN_USERS = """
SELECT user_id, merchant_id FROM core.app_user WHERE user_id = ANY($1::bigint[]) AND merchant_id IS NOT NULL
"""

EVENTS = """
INSERT INTO billing.ad_event (merchant_id, event_id, campaign_id, kind, at, hour_at, viewer, buyer_id, price_milli,
    position, verdict, received_at)
SELECT new.*, $12::timestamptz
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::smallint[], $11::text[]) AS new
ON CONFLICT (merchant_id, event_id) DO NOTHING
RETURNING merchant_id, event_id
"""

HOURS = """
INSERT INTO billing.ad_bucket AS b (merchant_id, campaign_id, hour_at, on_day, impressions, invalid_impressions, clicks,
    invalid_clicks, gross_milli, invalid_milli)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::date[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) AS new
ON CONFLICT (merchant_id, campaign_id, hour_at) DO UPDATE SET
    impressions = b.impressions + excluded.impressions,
    invalid_impressions = b.invalid_impressions + excluded.invalid_impressions,
    clicks = b.clicks + excluded.clicks,
    invalid_clicks = b.invalid_clicks + excluded.invalid_clicks,
    gross_milli = b.gross_milli + excluded.gross_milli,
    invalid_milli = b.invalid_milli + excluded.invalid_milli
"""
