"""The invariants of ads, each as one SQL query that must find nothing; part of `verify_books`."""

_LEGS = "billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "ads-are-ledger",
        "each merchant's prepaid ads, paid and granted, are what its books say",
        f"""SELECT coalesce(a.merchant_id, j.merchant_id), coalesce(a.currency, j.currency), a.paid_minor, j.paid,
                   a.granted_minor, j.granted
            FROM billing.ad_account a
            FULL JOIN (SELECT e.merchant_id, e.currency,
                              -coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2100), 0) AS paid,
                              -coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2110), 0) AS granted
                       FROM {_LEGS} WHERE leg.account IN (2100, 2110) GROUP BY e.merchant_id, e.currency) AS j
              ON j.merchant_id = a.merchant_id AND j.currency = a.currency
            WHERE (coalesce(a.paid_minor, 0), coalesce(a.granted_minor, 0))
                  <> (coalesce(j.paid, 0), coalesce(j.granted, 0))""",
    ),
    (
        "ads-are-movements",
        "each prepaid balance is its movements less its charges, and what is set aside of it is what is booked",
        """SELECT merchant_id, currency, sum(paid), sum(granted), sum(held)
           FROM (SELECT merchant_id, currency, paid_minor AS paid, granted_minor AS granted, held_minor AS held
                 FROM billing.ad_account
                 UNION ALL
                 SELECT merchant_id, currency, -paid_minor, -granted_minor, 0 FROM billing.ad_movement
                 UNION ALL
                 SELECT merchant_id, currency, paid_minor, granted_minor, 0 FROM billing.ad_charge
                 UNION ALL
                 SELECT b.merchant_id, c.currency, 0, 0, -b.price_minor FROM billing.ad_booking b
                 JOIN billing.ad_campaign c ON c.merchant_id = b.merchant_id AND c.campaign_id = b.campaign_id
                 WHERE b.state = 'booked') AS moved
           GROUP BY merchant_id, currency HAVING sum(paid) <> 0 OR sum(granted) <> 0 OR sum(held) <> 0""",
    ),
    (
        "ad-charges-are-entries",
        "the charges and credits of ads are the legs of their entries",
        f"""SELECT coalesce(c.merchant_id, j.merchant_id), coalesce(c.entry_no, j.entry_no), c.paid, j.paid
            FROM (SELECT merchant_id, entry_no, sum(paid_minor) AS paid, sum(granted_minor) AS granted
                  FROM billing.ad_charge GROUP BY merchant_id, entry_no) AS c
            FULL JOIN (SELECT e.merchant_id, e.entry_no,
                              coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2100), 0) AS paid,
                              coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2110), 0) AS granted,
                              -coalesce(sum(leg.amount) FILTER (WHERE leg.account = 4010), 0) AS earned
                       FROM {_LEGS} WHERE e.kind IN ('ad_spent', 'ad_credited')
                          OR (4010 = ANY(e.accounts) AND e.kind NOT IN ('ad_order_charged', 'ad_order_credited'))
                       GROUP BY e.merchant_id, e.entry_no) AS j
              ON j.merchant_id = c.merchant_id AND j.entry_no = c.entry_no
            WHERE (coalesce(c.paid, 0), coalesce(c.granted, 0), coalesce(c.paid + c.granted, 0))
                  <> (coalesce(j.paid, 0), coalesce(j.granted, 0), coalesce(j.earned, 0))""",
    ),
    (
        "ad-hours-are-charges",
        "an hour of a campaign has been charged what it was billed, and what it was rated at is billed or unbilled",
        """SELECT coalesce(b.merchant_id, c.merchant_id), coalesce(b.campaign_id, c.campaign_id), b.billed_minor,
                  c.charged
           FROM billing.ad_bucket b
           FULL JOIN (SELECT merchant_id, campaign_id, hour_at, sum(amount_minor) AS charged
                      FROM billing.ad_charge WHERE booking_id IS NULL GROUP BY 1, 2, 3) AS c
             ON c.merchant_id = b.merchant_id AND c.campaign_id = b.campaign_id AND c.hour_at = b.hour_at
           WHERE coalesce(b.billed_minor, 0) <> coalesce(c.charged, 0)
              OR b.billed_minor + b.unbilled_minor <> b.rated_milli / 1000""",
    ),
    (
        "ad-hours-are-events",
        "what is counted of an hour is what was seen and clicked in it, as far as its events are still kept",
        """SELECT coalesce(b.merchant_id, e.merchant_id), coalesce(b.campaign_id, e.campaign_id), b.clicks, e.clicks
           FROM billing.ad_bucket b
           FULL JOIN (SELECT merchant_id, campaign_id, hour_at,
                             count(*) FILTER (WHERE kind = 'impression') AS impressions,
                             count(*) FILTER (WHERE kind = 'impression' AND verdict <> '') AS invalid_impressions,
                             count(*) FILTER (WHERE kind = 'click') AS clicks,
                             count(*) FILTER (WHERE kind = 'click' AND verdict <> '') AS invalid_clicks,
                             sum(price_milli) AS gross,
                             coalesce(sum(price_milli) FILTER (WHERE verdict <> ''), 0) AS invalid
                      FROM billing.ad_event GROUP BY 1, 2, 3) AS e
             ON e.merchant_id = b.merchant_id AND e.campaign_id = b.campaign_id AND e.hour_at = b.hour_at
           WHERE CASE coalesce(b.events_kept, 'none')
                 WHEN 'none' THEN e.campaign_id IS NOT NULL
                 WHEN 'clicks' THEN (b.clicks, b.invalid_clicks, 0) IS DISTINCT FROM
                      (coalesce(e.clicks, 0), coalesce(e.invalid_clicks, 0), coalesce(e.impressions, 0))
                 ELSE (b.impressions, b.invalid_impressions, b.clicks, b.invalid_clicks, b.gross_milli, b.invalid_milli)
                      IS DISTINCT FROM
                      (e.impressions, e.invalid_impressions, e.clicks, e.invalid_clicks, e.gross, e.invalid) END""",
    ),
    (
        "ad-budgets-hold",
        "no day of a campaign was billed beyond its budget, and no campaign beyond its total",
        """SELECT d.merchant_id, d.campaign_id, d.on_day::text, d.billed
           FROM (SELECT b.merchant_id, b.campaign_id, b.on_day, sum(b.billed_minor) AS billed
                 FROM billing.ad_bucket b GROUP BY 1, 2, 3) AS d
           LEFT JOIN LATERAL (
               SELECT a.daily_minor FROM billing.ad_budget a
               WHERE a.merchant_id = d.merchant_id AND a.campaign_id = d.campaign_id AND a.from_on <= d.on_day
               ORDER BY a.from_on DESC LIMIT 1) AS budget ON true
           WHERE d.billed > coalesce(budget.daily_minor, 0)
           UNION ALL
           SELECT c.merchant_id, c.campaign_id, 'total', c.spent_minor
           FROM billing.ad_campaign c
           LEFT JOIN (SELECT merchant_id, campaign_id, sum(amount_minor) AS charged
                      FROM billing.ad_charge GROUP BY 1, 2) AS k
             ON k.merchant_id = c.merchant_id AND k.campaign_id = c.campaign_id
           WHERE c.spent_minor <> coalesce(k.charged, 0) OR c.spent_minor > c.total_minor""",
    ),
    (
        "ad-credits-are-charges",
        "credits name a charge of their campaign's hour, and take back no more of it than it was, part by part",
        """SELECT k.merchant_id, k.credits_charge_id, k.paid, c.paid_minor
           FROM (SELECT merchant_id, credits_charge_id, campaign_id, hour_at, sum(paid_minor) AS paid,
                        sum(granted_minor) AS granted
                 FROM billing.ad_charge WHERE credits_charge_id IS NOT NULL GROUP BY 1, 2, 3, 4) AS k
           LEFT JOIN billing.ad_charge c ON c.merchant_id = k.merchant_id AND c.charge_id = k.credits_charge_id
            AND c.campaign_id = k.campaign_id AND c.hour_at = k.hour_at AND c.kind = 'use'
           WHERE c.charge_id IS NULL OR -k.paid > c.paid_minor OR -k.granted > c.granted_minor""",
    ),
    (
        "ad-slots-are-bookings",
        "the calendar has the slots of every booking that stands, and no others",
        """SELECT coalesce(b.booking_id, s.booking_id), b.slots, s.slots
           FROM (SELECT b.booking_id, b.placement_id,
                        (extract(epoch FROM b.to_at - b.from_at) / 60)::bigint / p.slot_minutes AS slots
                 FROM billing.ad_booking b JOIN billing.ad_placement p ON p.placement_id = b.placement_id
                 WHERE b.state <> 'cancelled') AS b
           FULL JOIN (SELECT booking_id, placement_id, count(*) AS slots FROM billing.ad_slot GROUP BY 1, 2) AS s
             ON s.booking_id = b.booking_id AND s.placement_id = b.placement_id
           WHERE b.slots IS DISTINCT FROM s.slots""",
    ),
)
