"""The invariants of what merchants are charged for products; `verify_books` runs them with the others."""

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "charges-are-receivable",
        "what each charge leaves open is what the merchant owes of it by the ledger",
        f"""SELECT coalesce(c.merchant_id, e.merchant_id), coalesce(c.charge_id, e.charge_id), c.open_minor, e.owed
            FROM billing.charge c
            FULL JOIN (SELECT e.merchant_id, leg.dimension AS charge_id, sum(leg.amount) AS owed FROM {_LEGS}
                       WHERE leg.account = 1100 AND leg.dimension <> 0 GROUP BY e.merchant_id, leg.dimension) AS e
              ON e.merchant_id = c.merchant_id AND e.charge_id = c.charge_id
            WHERE coalesce(c.open_minor, 0) <> coalesce(e.owed, 0)""",
    ),
    (
        "charges-are-deferred",
        "deferred revenue is what each charge has not earned yet",
        f"""SELECT coalesce(c.merchant_id, e.merchant_id), coalesce(c.charge_id, e.charge_id), c.waiting, e.deferred
            FROM (SELECT merchant_id, charge_id, net_minor - credited_minor - recognised_minor AS waiting
                  FROM billing.charge) AS c
            FULL JOIN (SELECT e.merchant_id, leg.dimension AS charge_id, -sum(leg.amount) AS deferred FROM {_LEGS}
                       WHERE leg.account = 2200 AND leg.dimension <> 0 GROUP BY e.merchant_id, leg.dimension) AS e
              ON e.merchant_id = c.merchant_id AND e.charge_id = c.charge_id
            WHERE coalesce(c.waiting, 0) <> coalesce(e.deferred, 0)""",
    ),
    (
        "charges-are-movements",
        "what is open, credited, written off and earned of a charge is what has happened to it",
        """SELECT c.merchant_id, c.charge_id, c.open_minor, m.off_open
           FROM billing.charge c
           LEFT JOIN (SELECT merchant_id, charge_id, sum(open_minor) AS off_open,
                             sum(amount_minor - vat_minor) FILTER (WHERE kind = 'credited') AS credited,
                             sum(vat_minor) FILTER (WHERE kind = 'credited') AS credited_vat,
                             sum(amount_minor) FILTER (WHERE kind = 'written_off') AS written_off,
                             sum(amount_minor) FILTER (WHERE kind = 'recognised') AS recognised
                      FROM billing.charge_movement GROUP BY merchant_id, charge_id) AS m
             ON m.merchant_id = c.merchant_id AND m.charge_id = c.charge_id
           WHERE c.open_minor <> c.net_minor + c.vat_minor - coalesce(m.off_open, 0)
              OR (c.credited_minor, c.credited_vat_minor, c.written_off_minor)
                 <> (coalesce(m.credited, 0), coalesce(m.credited_vat, 0), coalesce(m.written_off, 0))
              OR (c.service_to IS NOT NULL AND c.recognised_minor <> coalesce(m.recognised, 0))""",
    ),
    (
        "movements-are-entries",
        "everything that happened to a charge is booked, once and for as much, and nothing else is",
        f"""SELECT coalesce(m.merchant_id, e.merchant_id), coalesce(m.movement_id, e.source_id), m.amount_minor, e.debit
            FROM (SELECT m.merchant_id, m.movement_id, m.amount_minor,
                         CASE WHEN m.kind = 'recognised' THEN 'revenue_recognised'
                              WHEN c.source = 'ad_order' THEN 'ad_order_' || m.kind
                              ELSE 'product_' || m.kind END AS kind
                  FROM billing.charge_movement m
                  JOIN billing.charge c ON c.merchant_id = m.merchant_id AND c.charge_id = m.charge_id
                  UNION ALL
                  SELECT merchant_id, charge_id, net_minor + vat_minor,
                         CASE source WHEN 'ad_order' THEN 'ad_order_charged' ELSE 'product_charged' END
                  FROM billing.charge) AS m
            FULL JOIN (SELECT e.merchant_id, e.source_id, e.kind, sum(greatest(leg.amount, 0)) AS debit FROM {_LEGS}
                       WHERE e.kind IN ('product_charged', 'product_netted', 'product_paid', 'product_credited',
                                        'product_written_off', 'ad_order_charged', 'ad_order_netted', 'ad_order_paid',
                                        'ad_order_credited', 'ad_order_written_off', 'revenue_recognised')
                         AND NOT EXISTS (SELECT FROM billing.entity h WHERE h.house_merchant_id = e.merchant_id)
                       GROUP BY e.merchant_id, e.source_id, e.kind) AS e
              ON e.merchant_id = m.merchant_id AND e.source_id = m.movement_id AND e.kind = m.kind
            WHERE m.amount_minor IS DISTINCT FROM e.debit""",
    ),
    (
        "periods-are-charged",
        "the period that a paid subscription is in has been charged, whole and without a gap",
        """SELECT s.merchant_id, s.subscription_id, s.period_from, c.charged_on
           FROM supply.subscription s
           LEFT JOIN (SELECT merchant_id, source_id, service_to, min(service_from) AS charged_on
                      FROM billing.charge WHERE source = 'subscription' GROUP BY 1, 2, 3) AS c
             ON c.merchant_id = s.merchant_id AND c.source_id = s.subscription_id AND c.service_to = s.period_to
           WHERE s.state IN ('active', 'leaving', 'suspended') AND c.charged_on IS DISTINCT FROM s.period_from""",
    ),
    (
        "stock-is-units",
        "the house's stock of each item is what its units in stock have cost",
        f"""SELECT house, item_id, currency, sum(cost), sum(stock)
            FROM (SELECT house_merchant_id AS house, item_id, currency, cost_minor AS cost, 0 AS stock
                  FROM supply.hardware_unit WHERE state = 'in_stock'
                  UNION ALL
                  SELECT e.merchant_id, leg.dimension, e.currency, 0, leg.amount FROM {_LEGS}
                  WHERE leg.account = 1200 AND leg.dimension <> 0) AS said
            GROUP BY house, item_id, currency HAVING sum(cost) <> sum(stock)""",
    ),
    (
        "units-are-deliveries",
        "a unit is with a merchant exactly when it was delivered there and has not come back",
        """SELECT serial, merchant_id, order_id, sum(there), sum(delivered)
           FROM (SELECT serial, merchant_id, order_id, 1 AS there, 0 AS delivered FROM supply.hardware_unit
                 WHERE state = 'delivered'
                 UNION ALL
                 SELECT serial, merchant_id, order_id, 0, 1 FROM supply.hardware_delivery WHERE returned_on IS NULL
                ) AS said
           GROUP BY serial, merchant_id, order_id HAVING sum(there) <> sum(delivered)""",
    ),
    (
        "own-sales-are-entries",
        "each sale of the platform itself is booked once, and undone when it comes back; its units are sold till then",
        f"""SELECT coalesce(s.sale_id, e.source_id), s.net_minor, e.net, s.cost_minor, e.cost, s.there
            FROM (SELECT o.sale_id, CASE WHEN o.returned_on IS NULL THEN o.net_minor ELSE 0 END AS net_minor,
                         CASE WHEN o.returned_on IS NULL THEN o.cost_minor ELSE 0 END AS cost_minor,
                         count(u.serial) AS there,
                         CASE WHEN o.returned_on IS NULL THEN cardinality(o.serials) END AS sold
                  FROM supply.own_sale o
                  LEFT JOIN (SELECT serial FROM supply.hardware_unit WHERE state = 'sold') AS u
                    ON u.serial = ANY(o.serials)
                  GROUP BY o.receipt_ref) AS s
            FULL JOIN (SELECT e.source_id, -sum(leg.amount) FILTER (WHERE leg.account = 4070) AS net,
                              sum(leg.amount) FILTER (WHERE leg.account = 5300) AS cost
                       FROM {_LEGS} WHERE e.kind IN ('own_sale', 'own_sale_returned') GROUP BY e.source_id) AS e
              ON e.source_id = s.sale_id
            WHERE (s.net_minor, s.cost_minor) IS DISTINCT FROM (e.net, e.cost)
               OR (s.sold IS NOT NULL AND s.sold <> s.there)""",
    ),
    (
        "service-months-are-charges",
        "what was charged and not credited of a share is what its closed months have come to",
        """SELECT a.merchant_id, a.agreement_id, m.due, c.kept
           FROM supply.service_agreement a
           LEFT JOIN (SELECT merchant_id, agreement_id, sum(fee_minor + restated_minor) AS due
                      FROM supply.service_month GROUP BY 1, 2) AS m
             ON m.merchant_id = a.merchant_id AND m.agreement_id = a.agreement_id
           LEFT JOIN (SELECT merchant_id, source_id, sum(net_minor - credited_minor) AS kept FROM billing.charge
                      WHERE source = 'service' GROUP BY 1, 2) AS c
             ON c.merchant_id = a.merchant_id AND c.source_id = a.agreement_id
           WHERE a.kind = 'share' AND coalesce(m.due, 0) <> coalesce(c.kept, 0)""",
    ),
)
