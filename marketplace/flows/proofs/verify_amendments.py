"""The invariants of amended orders, each as one SQL query that must find nothing; part of `verify_books`."""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "given-back-is-refunds",
        "what an order's lines have given back and not carried to others is what the merchant bears of its refunds",
        """SELECT merchant_id, order_id, sum(goods), sum(freight)
           FROM (SELECT merchant_id, order_id, refunded_goods_minor - carried_goods_minor AS goods,
                        refunded_freight_minor - carried_freight_minor AS freight
                 FROM demand.order_line WHERE refunded_goods_minor + refunded_freight_minor <> 0
                 UNION ALL
                 SELECT r.merchant_id, r.order_id, -coalesce(l.merchant_goods_minor, r.goods_minor),
                        -coalesce(l.merchant_freight_minor, r.freight_minor)
                 FROM demand.refund r
                 LEFT JOIN demand.refund_line l ON l.merchant_id = r.merchant_id AND l.refund_id = r.refund_id
                 WHERE r.state = 'booked') AS given_back
           GROUP BY merchant_id, order_id HAVING sum(goods) <> 0 OR sum(freight) <> 0""",
    ),
    (
        "carried-is-amendments",
        "what an order's lines have carried to other lines is what its amendments say",
        """SELECT merchant_id, order_id, sum(goods), sum(freight)
           FROM (SELECT merchant_id, order_id, carried_goods_minor AS goods, carried_freight_minor AS freight
                 FROM demand.order_line WHERE carried_goods_minor + carried_freight_minor <> 0
                 UNION ALL
                 SELECT merchant_id, order_id, -carried_goods_minor, -carried_freight_minor FROM demand.amendment
                 WHERE state = 'applied') AS carried
           GROUP BY merchant_id, order_id HAVING sum(goods) <> 0 OR sum(freight) <> 0""",
    ),
    (
        "added-is-paid",
        "the lines that an amendment added are worth what was carried to them and what was paid for them",
        """SELECT coalesce(a.merchant_id, l.merchant_id), coalesce(a.amendment_id, l.amendment_id), a.worth, l.worth
           FROM (SELECT a.merchant_id, a.amendment_id,
                        a.carried_goods_minor + a.carried_freight_minor + coalesce(-leg.amount, 0) AS worth
                 FROM demand.amendment a
                 LEFT JOIN billing.entry e ON e.merchant_id = a.merchant_id AND e.kind = 'amendment_paid'
                  AND e.source_id = a.amendment_id
                 LEFT JOIN LATERAL unnest(e.accounts, e.amounts) AS leg (account, amount) ON leg.account = 2005
                 WHERE a.state = 'applied') AS a
           FULL JOIN (SELECT merchant_id, amendment_id, sum(goods_minor + freight_minor) AS worth
                      FROM demand.order_line WHERE amendment_id IS NOT NULL GROUP BY merchant_id, amendment_id) AS l
             ON l.merchant_id = a.merchant_id AND l.amendment_id = a.amendment_id
           WHERE coalesce(a.worth, 0) <> coalesce(l.worth, 0)""",
    ),
)
