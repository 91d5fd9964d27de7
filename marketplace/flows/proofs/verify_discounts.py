"""The invariants of discounts at checkout; `verify_books` runs them with the others."""

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "discounts-are-entries",
        "what promotions bear of paid orders is the same by the ledger and by the orders' discounts",
        f"""SELECT merchant_id, promotion_id, sum(booked), sum(borne)
            FROM (SELECT e.merchant_id, leg.dimension AS promotion_id, leg.amount AS booked, 0 AS borne
                  FROM {_LEGS}
                  WHERE leg.account = 5000
                    AND e.kind IN ('order_paid', 'order_refunded', 'refund_cancelled', 'dispute_lost')
                  UNION ALL
                  SELECT d.merchant_id, d.promotion_id, 0, part.minor - part.back
                  FROM incentives.order_discount d,
                       unnest(d.funders, d.contracts, d.funder_minor, d.funder_back_minor)
                       AS part (funder, contract_id, minor, back)
                  WHERE d.state = 'committed' AND part.funder <> 'merchant' AND part.contract_id = 0) AS said
            GROUP BY merchant_id, promotion_id HAVING sum(booked) <> sum(borne)""",
    ),
    (
        "discounts-are-shares",
        "a discount is divided over its lines and its funders to the cent, and so is what came back of it",
        """SELECT d.merchant_id, d.order_id, d.grant_id, d.amount_minor, own.minor
           FROM incentives.order_discount d
           CROSS JOIN LATERAL (SELECT coalesce(sum(line), 0) AS minor, coalesce(bool_and(own <= line), true) AS within,
                                      coalesce(sum(own), 0) AS own, coalesce(sum(borne_back), 0) AS borne_back,
                                      coalesce(sum(own_back), 0) AS own_back,
                                      coalesce(bool_and(own_back BETWEEN 0 AND own
                                                        AND borne_back BETWEEN 0 AND line - own), true) AS backs
                               FROM unnest(d.line_minor, d.own_minor, d.borne_back_minor, d.own_back_minor)
                                    AS l (line, own, borne_back, own_back)) AS own
           CROSS JOIN LATERAL (SELECT sum(minor) AS minor,
                                      coalesce(sum(minor) FILTER (WHERE name = 'merchant'), 0) AS own,
                                      sum(back) AS back,
                                      coalesce(sum(back) FILTER (WHERE name = 'merchant'), 0) AS own_back
                               FROM unnest(d.funders, d.funder_minor, d.funder_back_minor)
                                    AS f (name, minor, back)) AS by
           WHERE NOT own.within OR NOT own.backs OR d.amount_minor <> own.minor OR d.amount_minor <> by.minor
              OR own.own <> by.own OR own.own_back <> by.own_back OR own.borne_back + own.own_back <> by.back""",
    ),
    (
        "discounts-are-prices",
        "what a buyer, payers and promotions pay of an order is its price; the merchant's own part is off its lines",
        """SELECT o.merchant_id, o.order_id, o.state, d.borne, d.own, p.paid
           FROM (SELECT d.merchant_id, d.order_id, min(d.state) AS first, max(d.state) AS last,
                        sum(d.amount_minor) AS minor,
                        sum((SELECT coalesce(sum(own), 0) FROM unnest(d.own_minor) AS own)) AS own,
                        sum(d.amount_minor - (SELECT coalesce(sum(own), 0) FROM unnest(d.own_minor) AS own)) AS borne
                 FROM incentives.order_discount d WHERE d.state <> 'released' GROUP BY 1, 2) AS d
           JOIN demand.merchant_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
           LEFT JOIN (SELECT y.merchant_id, y.order_id, sum(y.amount_minor + y.credit_minor) AS paid
                      FROM billing.payment_part y
                      LEFT JOIN (SELECT buyer_id, payment_id FROM billing.payment WHERE amendment_id IS NOT NULL) AS z
                        ON z.buyer_id = y.buyer_id AND z.payment_id = y.payment_id
                      WHERE y.state <> 'released' AND z.payment_id IS NULL GROUP BY 1, 2) AS p
             ON p.merchant_id = d.merchant_id AND p.order_id = d.order_id
           LEFT JOIN (SELECT merchant_id, source_id, sum(amount_minor) AS minor FROM billing.payer_share
                      WHERE source = 'order' AND state <> 'released' GROUP BY 1, 2) AS s
             ON s.merchant_id = d.merchant_id AND s.source_id = d.order_id
           WHERE d.first <> d.last OR (d.first = 'reserved') IS DISTINCT FROM (o.state = 'placed')
              OR d.own > o.discount_minor
              OR d.borne + coalesce(p.paid, 0) + coalesce(s.minor, 0)
                 <> o.goods_minor + o.freight_minor - o.discount_minor""",
    ),
    (
        "discount-backs-are-refunds",
        "what refunds took back of discounts is what the refunds, and the discounts, say",
        """SELECT merchant_id, id, sum(refunded), sum(moved)
           FROM (SELECT merchant_id, refund_id AS id, promotion_minor AS refunded, 0 AS moved FROM demand.refund
                 WHERE state = 'booked' AND promotion_minor <> 0
                 UNION ALL
                 SELECT b.merchant_id, b.refund_id, 0, part.minor * CASE WHEN b.undone THEN -1 ELSE 1 END
                 FROM incentives.discount_back b, unnest(b.borne_minor) AS part (minor)
                 UNION ALL
                 SELECT d.merchant_id, d.grant_id, part.back, 0
                 FROM incentives.order_discount d, unnest(d.funder_back_minor) AS part (back)
                 UNION ALL
                 SELECT b.merchant_id, b.grant_id, 0, part.minor * CASE WHEN b.undone THEN -1 ELSE 1 END
                 FROM incentives.discount_back b, unnest(b.funder_minor) AS part (minor)) AS said
           GROUP BY merchant_id, id HAVING sum(refunded) <> sum(moved)""",
    ),
    (
        "discounts-are-grants",
        "a buyer's windows are the discounts of its orders less what came back, and so are its grants once it has paid",
        """SELECT buyer_id, promotion_id, span, sum(discounts), sum(paid), sum(grants), sum(windows)
           FROM (SELECT d.buyer_id, d.promotion_id, CAST(d.order_id AS text) AS span, d.amount_minor - back.minor
                        AS discounts, CASE d.state WHEN 'committed' THEN d.amount_minor - back.minor ELSE 0 END AS paid,
                        0 AS grants, 0 AS windows
                 FROM incentives.order_discount d
                 CROSS JOIN LATERAL (SELECT coalesce(sum(each), 0) AS minor FROM unnest(d.funder_back_minor) AS each)
                      AS back
                 WHERE d.state <> 'released'
                 UNION ALL
                 SELECT buyer_id, promotion_id, span, 0, 0, amount_minor, 0 FROM incentives.buyer_grant
                 WHERE form = 'discount' AND state <> 'void'
                 UNION ALL
                 SELECT p.buyer_id, p.promotion_id, p.span, 0, 0, 0, p.granted_minor FROM incentives.buyer_progress p
                 WHERE EXISTS (SELECT FROM incentives.promotion_version v WHERE v.promotion_id = p.promotion_id
                                  AND v.terms #>> '{reward,form,as}' = 'discount')
                   AND NOT EXISTS (SELECT FROM incentives.buyer_grant g
                                   WHERE g.buyer_id = p.buyer_id AND g.promotion_id = p.promotion_id
                                     AND g.span = p.span AND g.form <> 'discount')
                ) AS said
           GROUP BY 1, 2, 3 HAVING sum(paid) <> sum(grants) OR sum(discounts) <> sum(windows)""",
    ),
    (
        "discounts-are-budgets",
        "what an order's discount holds or has spent of its budgets is what is left of it",
        """SELECT d.merchant_id, d.order_id, d.promotion_id, b.budget_id, r.state, r.amount_minor, r.recycled_minor
           FROM incentives.order_discount d
           JOIN incentives.budget b ON b.scope IN ('total', 'day')
            AND b.owner_id = CASE b.owner WHEN 'promotion' THEN d.promotion_id ELSE d.campaign_id END
           CROSS JOIN LATERAL (SELECT coalesce(sum(x), 0) AS minor FROM unnest(d.funder_back_minor) AS x) AS back
           LEFT JOIN (SELECT budget_id, key, state, amount_minor, recycled_minor
                      FROM incentives.budget_reservation) AS r
             ON r.budget_id = b.budget_id AND r.key = concat_ws(':', d.buyer_id, d.promotion_id, d.order_id, 1)
           WHERE CASE WHEN d.state = 'released' THEN coalesce(r.state, '') IN ('reserved', 'committed')
                      ELSE coalesce(r.state, '') <> d.state OR r.amount_minor <> d.amount_minor
                           OR r.recycled_minor <> back.minor END""",
    ),
    (
        "rebates-are-entries",
        "what buyers' rebates have cost, and what of them is no credit yet, is the same by ledger and grants",
        f"""SELECT promotion_id, sum(cost), sum(granted), sum(payable), sum(pending)
            FROM (SELECT leg.dimension AS promotion_id, CASE WHEN leg.account = 5000 THEN leg.amount ELSE 0 END AS cost,
                         0 AS granted, CASE WHEN leg.account = 2050 THEN -leg.amount ELSE 0 END AS payable, 0 AS pending
                  FROM {_LEGS}
                  WHERE e.kind IN ('rebate_earned', 'rebate_unearned', 'rebate_vested', 'rebate_clawed_back')
                    AND leg.account IN (5000, 2050)
                  UNION ALL
                  SELECT g.promotion_id, 0, (SELECT coalesce(sum(minor), 0)
                                             FROM unnest(g.funders, g.funder_minor) AS part (funder, minor)
                                             WHERE part.funder = 'platform'),
                         0, CASE WHEN g.state = 'pending' THEN g.amount_minor ELSE 0 END
                  FROM incentives.buyer_grant g WHERE g.form <> 'discount' AND g.state <> 'void') AS said
            GROUP BY promotion_id HAVING sum(cost) <> sum(granted) OR sum(payable) <> sum(pending)""",
    ),
    (
        "rebates-are-shared",
        "what the merchants of orders bear of buyers' rebates is the same by their books, the house's and the grants",
        f"""SELECT grant_id, sum(house), sum(merchant), sum(granted)
            FROM (SELECT e.source_id AS grant_id, CASE WHEN leg.account = 1030 THEN leg.amount ELSE 0 END AS house,
                         CASE WHEN leg.account = 2000 THEN leg.amount ELSE 0 END AS merchant, 0 AS granted
                  FROM {_LEGS}
                  WHERE e.kind IN ('rebate_earned', 'rebate_unearned', 'rebate_clawed_back') AND leg.account = 1030
                     OR e.kind = 'rebate_shared' AND leg.account = 2000
                  UNION ALL
                  SELECT g.grant_id, 0, 0, part.minor
                  FROM incentives.buyer_grant g, unnest(g.funders, g.funder_minor) AS part (funder, minor)
                  WHERE g.form <> 'discount' AND g.state <> 'void' AND part.funder = 'merchant') AS said
            GROUP BY grant_id HAVING sum(house) <> sum(granted) OR sum(merchant) <> sum(granted)""",
    ),
    (
        "codes-are-used-once",
        "a code that was used was used for an order that has a discount, which stands",
        """SELECT c.code, c.used_for, d.state FROM incentives.promotion_code c
           LEFT JOIN (SELECT order_id, promotion_id, state FROM incentives.order_discount) AS d
             ON d.order_id = c.used_for AND d.promotion_id = c.promotion_id
           WHERE c.state = 'used' AND (d.state IS NULL OR d.state = 'released')""",
    ),
)
