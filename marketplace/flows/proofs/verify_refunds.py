"""The invariants of refunds, disputes and buyers' credit; `verify_books` runs them with the others."""

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "refunds-are-entries",
        "every refund is booked once as owed to the buyer, and not at all once it was taken back",
        f"""SELECT coalesce(r.merchant_id, e.merchant_id), coalesce(r.refund_id, e.source_id), r.gross, e.owed
            FROM (SELECT merchant_id, refund_id, state,
                         goods_minor + freight_minor - payer_minor - promotion_minor AS gross
                  FROM demand.refund WHERE reason <> 'dispute_lost') AS r
            FULL JOIN (SELECT e.merchant_id, e.source_id, -sum(leg.amount) AS owed FROM {_LEGS}
                       WHERE e.kind IN ('order_refunded', 'refund_cancelled') AND leg.account = 2400
                       GROUP BY e.merchant_id, e.source_id) AS e
              ON e.merchant_id = r.merchant_id AND e.source_id = r.refund_id
            WHERE coalesce(e.owed, 0) <> CASE WHEN r.state = 'booked' THEN r.gross ELSE 0 END""",
    ),
    (
        "refund-lines-are-refunds",
        "a refund's lines sum to it; what the merchant bears of them is what its order's lines gave and did not carry",
        """SELECT r.merchant_id, r.refund_id, NULL::bigint FROM demand.refund r
           JOIN (SELECT merchant_id, refund_id, sum(goods_minor) AS goods, sum(freight_minor) AS freight,
                        sum(merchant_goods_minor + merchant_freight_minor) AS borne
                 FROM demand.refund_line GROUP BY merchant_id, refund_id) AS l
             ON l.merchant_id = r.merchant_id AND l.refund_id = r.refund_id
           WHERE (r.goods_minor, r.freight_minor, r.goods_minor + r.freight_minor - r.platform_minor)
                 <> (l.goods, l.freight, l.borne)
           UNION ALL
           SELECT o.merchant_id, o.order_id, o.line_no
           FROM demand.order_line o
           LEFT JOIN (SELECT l.merchant_id, l.order_id, l.line_no,
                        coalesce(sum(l.merchant_goods_minor) FILTER (WHERE r.state = 'booked'), 0) AS goods,
                        coalesce(sum(l.merchant_freight_minor) FILTER (WHERE r.state = 'booked'), 0) AS freight
                 FROM demand.refund_line l
                 JOIN demand.refund r ON r.merchant_id = l.merchant_id AND r.refund_id = l.refund_id
                 GROUP BY l.merchant_id, l.order_id, l.line_no) AS s
             ON s.merchant_id = o.merchant_id AND s.order_id = o.order_id AND s.line_no = o.line_no
           WHERE (o.refunded_goods_minor - o.carried_goods_minor, o.refunded_freight_minor - o.carried_freight_minor)
                 <> (coalesce(s.goods, 0), coalesce(s.freight, 0))
             AND NOT EXISTS (SELECT FROM demand.refund r WHERE r.merchant_id = o.merchant_id
                AND r.order_id = o.order_id AND NOT EXISTS (
                    SELECT FROM demand.refund_line l WHERE l.merchant_id = r.merchant_id
                       AND l.refund_id = r.refund_id))""",
    ),
    (
        "nothing-refunded-twice",
        "no order gives its buyer back more than was captured of it, in refunds and disputes together",
        """SELECT o.merchant_id, o.order_id, o.captured, g.given
           FROM (SELECT l.merchant_id, l.order_id, coalesce(min(p.captured), sum(l.gross)) AS captured
                 FROM (SELECT merchant_id, order_id, sum(goods_minor - discount_minor + freight_minor
                                                         - carried_goods_minor - carried_freight_minor) AS gross
                       FROM demand.order_line GROUP BY merchant_id, order_id) AS l
                 LEFT JOIN (SELECT merchant_id, order_id, coalesce(sum(amount_minor + credit_minor)
                                       FILTER (WHERE state = 'captured'), 0) AS captured
                            FROM billing.payment_part GROUP BY merchant_id, order_id) AS p
                   ON p.merchant_id = l.merchant_id AND p.order_id = l.order_id
                 GROUP BY l.merchant_id, l.order_id) AS o
           JOIN (SELECT merchant_id, order_id, sum(minor) AS given
                 FROM (SELECT merchant_id, order_id,
                              goods_minor + freight_minor - payer_minor - promotion_minor AS minor
                       FROM demand.refund WHERE state = 'booked' AND reason <> 'dispute_lost'
                       UNION ALL
                       SELECT merchant_id, order_id, amount_minor - excess_minor FROM demand.dispute
                       WHERE state IN ('open', 'lost')) AS part
                 GROUP BY merchant_id, order_id) AS g
             ON g.merchant_id = o.merchant_id AND g.order_id = o.order_id
           WHERE g.given > o.captured""",
    ),
    (
        "regained-was-borne",
        "the platform gets back no more of an order than it has borne of its refunds and disputes",
        """SELECT merchant_id, order_id, sum(minor)
           FROM (SELECT merchant_id, order_id, platform_minor AS minor FROM demand.refund
                 WHERE state = 'booked' AND platform_minor <> 0
                 UNION ALL
                 SELECT merchant_id, order_id, excess_minor - covered_minor FROM demand.dispute
                 WHERE state = 'lost' AND excess_minor > 0) AS borne
           GROUP BY merchant_id, order_id HAVING sum(minor) < 0""",
    ),
    (
        "refund-payments-are-refunds",
        "what is on its way to a buyer is its refund, and never more",
        """SELECT p.merchant_id, p.refund_id, p.sent, r.gross
           FROM (SELECT merchant_id, refund_id, sum(amount_minor) FILTER (WHERE state NOT IN ('retried', 'cancelled'))
                        + coalesce(sum(covered_minor) FILTER (WHERE state = 'retried'), 0) AS sent
                 FROM billing.refund_payment GROUP BY merchant_id, refund_id) AS p
           LEFT JOIN (SELECT merchant_id, refund_id, CASE WHEN state = 'booked'
                             THEN goods_minor + freight_minor - payer_minor - promotion_minor END AS gross
                      FROM demand.refund) AS r ON r.merchant_id = p.merchant_id AND r.refund_id = p.refund_id
           WHERE p.sent > coalesce(r.gross, 0)
             AND NOT EXISTS (SELECT FROM billing.refund_payment s WHERE s.merchant_id = p.merchant_id
                                AND s.refund_id = p.refund_id AND s.state = 'stray')""",
    ),
    (
        "refund-payments-are-entries",
        "every payment of a refund is booked when it is paid or credited, once, and nothing else is",
        f"""SELECT coalesce(p.merchant_id, e.merchant_id), coalesce(p.transfer_id, e.source_id), p.state, e.moved
            FROM (SELECT merchant_id, transfer_id, state,
                         CASE WHEN state IN ('paid', 'stray', 'credited') THEN amount_minor
                                   - CASE WHEN state = 'credited' THEN covered_minor ELSE 0 END ELSE 0 END AS moves
                  FROM billing.refund_payment) AS p
            FULL JOIN (SELECT e.merchant_id, e.source_id, sum(leg.amount) AS moved FROM {_LEGS}
                       WHERE e.kind IN ('refund_paid', 'refund_returned', 'refund_credited')
                         AND leg.account IN (2400, 2900)
                       GROUP BY e.merchant_id, e.source_id) AS e
              ON e.merchant_id = p.merchant_id AND e.source_id = p.transfer_id
            WHERE coalesce(e.moved, 0) <> coalesce(p.moves, 0)
              AND NOT (p.state = 'stray' AND e.moved > p.moves)""",
    ),
    (
        "disputes-are-entries",
        "what is in dispute by the ledger is what the open disputes say",
        f"""SELECT coalesce(d.merchant_id, e.merchant_id), coalesce(d.dispute_id, e.source_id), d.state, e.held
            FROM demand.dispute d
            FULL JOIN (SELECT e.merchant_id, e.source_id, sum(leg.amount) AS held FROM {_LEGS}
                       WHERE leg.account = 1120 GROUP BY e.merchant_id, e.source_id) AS e
              ON e.merchant_id = d.merchant_id AND e.source_id = d.dispute_id
            WHERE coalesce(e.held, 0) <> CASE WHEN d.state = 'open' THEN d.amount_minor ELSE 0 END""",
    ),
    (
        "fees-are-entries",
        "what merchants were charged of processors' fees is what the refunds of their orders say",
        f"""SELECT coalesce(r.merchant_id, e.merchant_id), coalesce(r.order_id, e.order_id), r.fee_minor, e.charged
            FROM (SELECT merchant_id, order_id, sum(CASE WHEN state = 'booked' THEN fee_minor ELSE 0 END) AS fee_minor
                  FROM demand.refund WHERE fee_minor > 0 GROUP BY merchant_id, order_id) AS r
            FULL JOIN (SELECT f.merchant_id, coalesce(own.order_id, part.order_id, f.source_id) AS order_id,
                              sum(f.charged) AS charged
                       FROM (SELECT e.merchant_id, e.source_id, -leg.amount AS charged FROM {_LEGS}
                             WHERE e.kind IN ('processor_fee_recharged', 'processor_fee_returned')
                               AND leg.account = 4050) AS f
                       LEFT JOIN demand.refund own
                         ON own.merchant_id = f.merchant_id AND own.refund_id = f.source_id
                       LEFT JOIN (SELECT merchant_id, payment_id, min(order_id) AS order_id
                                  FROM billing.payment_part GROUP BY merchant_id, payment_id) AS part
                         ON part.merchant_id = f.merchant_id AND part.payment_id = f.source_id
                       GROUP BY f.merchant_id, coalesce(own.order_id, part.order_id, f.source_id)) AS e
              ON e.merchant_id = r.merchant_id AND e.order_id = r.order_id
            WHERE coalesce(r.fee_minor, 0) <> coalesce(e.charged, 0)""",
    ),
    (
        "credit-is-ledger",
        "each buyer's credit is what its movements sum to, and what the house owes it by the ledger",
        f"""SELECT buyer_id, currency, sum(account), sum(moved), sum(owed)
            FROM (SELECT buyer_id, currency, balance_minor AS account, 0 AS moved, 0 AS owed
                  FROM billing.credit_account
                  UNION ALL
                  SELECT buyer_id, currency, 0, amount_minor, 0 FROM billing.credit_movement
                  UNION ALL
                  SELECT leg.dimension, e.currency, 0, 0, -leg.amount FROM {_LEGS} WHERE leg.account = 2410) AS said
            GROUP BY buyer_id, currency HAVING sum(account) <> sum(moved) OR sum(account) <> sum(owed)""",
    ),
    (
        "grants-are-credit",
        "credit that expires was granted, and what is left of it is within the buyer's credit",
        """SELECT buyer_id, currency, sum(granted), sum(moved), sum(left_of_grants), sum(account)
           FROM (SELECT buyer_id, currency, amount_minor AS granted, 0 AS moved, left_minor AS left_of_grants,
                        0 AS account
                 FROM billing.credit_grant
                 UNION ALL
                 SELECT m.buyer_id, m.currency, 0, m.amount_minor, 0, 0 FROM billing.credit_movement m
                 JOIN billing.credit_grant g ON g.buyer_id = m.buyer_id AND g.grant_id = m.source_id
                 WHERE m.kind IN ('granted', 'rebate')
                 UNION ALL
                 SELECT buyer_id, currency, 0, 0, 0, balance_minor FROM billing.credit_account) AS said
           GROUP BY buyer_id, currency
           HAVING sum(granted) <> sum(moved) OR sum(left_of_grants) > sum(account)""",
    ),
)
