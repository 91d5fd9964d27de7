"""What must hold of commission that is booked beside the sales: adjustments, and what runs charge."""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "adjustments-are-reratings",
        "a rerating that is booked has moved exactly what was expected less what was issued",
        """SELECT coalesce(said.merchant_id, made.merchant_id), coalesce(said.rerating_id, made.rerating_id),
                  said.commission, made.commission, said.vat, made.vat
           FROM (SELECT l.merchant_id, l.rerating_id, l.currency,
                        sum(l.expected_commission_minor - l.issued_commission_minor) AS commission,
                        sum(l.expected_vat_minor - l.issued_vat_minor) AS vat, sum(l.orders) AS orders
                 FROM billing.rerating_line l JOIN billing.rerating r ON r.rerating_id = l.rerating_id
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
    (
        "charges-are-entries",
        "what a run charged is booked once, and taken back with the run",
        """SELECT coalesce(c.merchant_id, e.merchant_id), coalesce(c.charge_id, e.source_id)
           FROM (SELECT c.*, r.state AS run_state FROM billing.run_charge c
                 JOIN billing.billing_run r ON r.run_id = c.run_id) AS c
           FULL JOIN (SELECT e.merchant_id, e.source_id, e.currency,
                             -sum(leg.amount) FILTER (WHERE e.kind = 'commission_minimum' AND leg.account = 4000)
                                 AS fee,
                             -coalesce(sum(leg.amount) FILTER (
                                 WHERE e.kind = 'commission_minimum' AND leg.account = 2300), 0) AS vat,
                             coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2000), 0) AS owed,
                             coalesce(sum(leg.amount) FILTER (WHERE leg.account = 4000), 0) AS earned
                      FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
                      WHERE e.kind IN ('commission_minimum', 'commission_minimum_reversed')
                      GROUP BY e.merchant_id, e.source_id, e.currency) AS e
             ON e.merchant_id = c.merchant_id AND e.source_id = c.charge_id AND e.currency = c.currency
           WHERE CASE c.state
               WHEN 'due' THEN e.merchant_id IS NOT NULL OR c.run_state = 'finalised'
               WHEN 'posted' THEN (e.fee, e.vat, e.owed) IS DISTINCT FROM (c.fee_minor, c.vat_minor,
                                                                           c.fee_minor + c.vat_minor)
               WHEN 'reversed' THEN (e.fee, e.vat, e.owed, e.earned) IS DISTINCT FROM (c.fee_minor, c.vat_minor, 0, 0)
               ELSE true END""",
    ),
    (
        "charges-fill-up",
        "a minimum charged is what the month's commission lacked of it",
        """SELECT c.merchant_id, c.charge_id, c.minimum_minor, c.commission_minor, sum(l.commission_minor)
           FROM billing.run_charge c
           JOIN billing.billing_run r ON r.run_id = c.run_id
           LEFT JOIN billing.commission_line l ON l.merchant_id = c.merchant_id AND l.currency = c.currency
            AND l.effective_on >= date_trunc('month', r.to_on::timestamp) - interval '1 month'
            AND l.effective_on < date_trunc('month', r.to_on::timestamp)
           GROUP BY c.merchant_id, c.charge_id, c.state, c.fee_minor, c.minimum_minor, c.commission_minor
           HAVING c.fee_minor <> c.minimum_minor - greatest(c.commission_minor, 0)
              OR (c.state = 'posted' AND c.commission_minor <> coalesce(sum(l.commission_minor), 0))""",
    ),
)
