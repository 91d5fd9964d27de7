"""The invariants of insertion orders, each as one SQL query that must find nothing; part of `verify_books`."""

_PRICE = "(l.{units} * l.unit_price_minor / CASE l.pricing WHEN 'thousand' THEN 1000 ELSE 1 END)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "ad-lines-are-charges",
        "what a line of an insertion order was billed is the price of its units, its bills, and what its charges keep",
        f"""SELECT l.merchant_id, l.order_id, l.line_no, l.charged_minor, b.billed, c.kept
            FROM billing.ad_order_line l
            LEFT JOIN (SELECT merchant_id, order_id, line_no, sum(amount_minor) AS billed
                       FROM billing.ad_order_bill GROUP BY 1, 2, 3) AS b
              ON b.merchant_id = l.merchant_id AND b.order_id = l.order_id AND b.line_no = l.line_no
            LEFT JOIN (SELECT merchant_id, source_id, split_part(part, '.', 1)::integer AS line_no,
                              sum(net_minor - credited_minor) AS kept
                       FROM billing.charge WHERE source = 'ad_order' GROUP BY 1, 2, 3) AS c
              ON c.merchant_id = l.merchant_id AND c.source_id = l.order_id AND c.line_no = l.line_no
            WHERE l.charged_minor <> {_PRICE.format(units="charged_units")}
               OR l.charged_minor <> coalesce(b.billed, 0) OR l.charged_minor <> coalesce(c.kept, 0)
            UNION ALL
            SELECT c.merchant_id, c.source_id, 0, 0, 0, c.net_minor FROM billing.charge c
            WHERE c.source = 'ad_order' AND NOT EXISTS (
                SELECT FROM billing.ad_order_bill b WHERE b.merchant_id = c.merchant_id
                AND b.order_id = c.source_id AND b.charge_id = c.charge_id AND b.amount_minor = c.net_minor)""",
    ),
    (
        "ad-lines-hold-their-price",
        "a line and its make-goods are together billed no more units and no more money than was agreed on for it",
        f"""SELECT l.merchant_id, l.order_id, l.line_no, g.units, g.charged
            FROM billing.ad_order_line l
            JOIN (SELECT merchant_id, order_id, coalesce(makes_good_line_no, line_no) AS line_no,
                         sum(charged_units) AS units, sum(charged_minor) AS charged
                  FROM billing.ad_order_line GROUP BY 1, 2, 3) AS g
              ON g.merchant_id = l.merchant_id AND g.order_id = l.order_id AND g.line_no = l.line_no
            WHERE g.units > l.quantity OR g.charged > {_PRICE.format(units="quantity")}
            UNION ALL
            SELECT m.merchant_id, m.order_id, m.line_no, m.quantity, m.unit_price_minor
            FROM billing.ad_order_line m
            LEFT JOIN billing.ad_order_line l
              ON l.merchant_id = m.merchant_id AND l.order_id = m.order_id AND l.line_no = m.makes_good_line_no
             AND l.makes_good_line_no IS NULL AND l.pricing = m.pricing AND m.unit_price_minor <= l.unit_price_minor
            WHERE m.makes_good_line_no IS NOT NULL AND l.line_no IS NULL""",
    ),
    (
        "ad-lines-are-campaigns",
        "each line that runs or ran has a campaign of its own that costs nothing by the click, and its slots",
        """SELECT coalesce(l.merchant_id, c.merchant_id), l.order_id, l.line_no, c.campaign_id
           FROM (SELECT * FROM billing.ad_order_line WHERE campaign_id IS NOT NULL) AS l
           FULL JOIN (SELECT * FROM billing.ad_campaign WHERE guaranteed) AS c
             ON c.merchant_id = l.merchant_id AND c.campaign_id = l.campaign_id
           LEFT JOIN (SELECT merchant_id, campaign_id, count(*) AS slots, sum(price_minor) AS price
                      FROM billing.ad_booking GROUP BY 1, 2) AS b
             ON b.merchant_id = l.merchant_id AND b.campaign_id = l.campaign_id
           WHERE l.line_no IS NULL OR c.campaign_id IS NULL OR c.spent_minor <> 0 OR coalesce(b.price, 0) <> 0
              OR coalesce(b.slots, 0) <> CASE l.pricing WHEN 'slot' THEN l.quantity ELSE 0 END""",
    ),
)
