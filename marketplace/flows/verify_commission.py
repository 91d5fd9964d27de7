"""What must hold of commission that is booked beside the sales: adjustments."""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "adjustments-are-reratings",
        "a rerating that is booked has moved exactly what was expected less what was issued",
        """SELECT coalesce(said.merchant_id, made.merchant_id), coalesce(said.rerating_id, made.rerating_id),
                  said.commission, made.commission, said.vat, made.vat
           FROM (SELECT l.merchant_id, l.rerating_id, l.currency,
                        sum(l.expected_commission_minor - l.issued_commission_minor) AS commission,
                        sum(l.expected_vat_minor - l.issued_vat_minor) AS vat, sum(l.orders) AS orders
                 FROM billing.rerating_line l JOIN billing.reratings.differences r ON r.rerating_id = l.rerating_id
                 WHERE r.state = 'posted' GROUP BY l.merchant_id, l.rerating_id, l.currency) AS said
           FULL JOIN (SELECT a.merchant_id, a.rerating_id, c.currency, sum(c.commission_minor) AS commission,
                             sum(c.vat_minor) AS vat, count(DISTINCT a.adjustment_id) AS orders
                      FROM billing.commission_adjustment a
                      LEFT JOIN billing.entry e ON e.merchant_id = a.merchant_id
                       AND e.kind = 'commission_adjusted' AND e.source_id = a.adjustment_id
                      LEFT JOIN billing.commission_line c ON c.merchant_id = e.merchant_id
                       AND c.entry_no = e.entry_no
                      GROUP BY a.merchant_id, a.rerating_id, c.currency) AS made
             ON made.merchant_id = said.merchant_id AND made.rerating_id = said.rerating_id
            AND made.currency = said.currency
           WHERE (said.commission, said.vat, said.orders) IS DISTINCT FROM (made.commission, made.vat, made.orders)""",
    ),
)
