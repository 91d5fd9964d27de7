"""The invariants of third-party payers; `verify_books` runs them with the others."""

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"
_BEARS = "(s.amount_minor - (s.back_minor - s.rejected_back_minor) - s.rejected_minor)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "payer-caps-are-shares",
        "what is used of a payer's cap is what its shares take, or will when a run is reversed; the limit holds",
        """SELECT coalesce(c.contract_id, s.contract_id), coalesce(c.period_from, s.period_from), c.used, s.taken
           FROM (SELECT c.payer_id, c.contract_id, c.period_from, c.limit_minor, c.leased_minor,
                        sum(l.granted_minor) AS granted, sum(l.used_minor) AS used
                 FROM billing.payer_cap c
                 JOIN billing.payer_lease l ON l.payer_id = c.payer_id AND l.contract_id = c.contract_id
                  AND l.period_from = c.period_from
                 GROUP BY c.payer_id, c.contract_id, c.period_from, c.limit_minor, c.leased_minor) AS c
           FULL JOIN (SELECT payer_id, contract_id, period_from, sum(amount_minor - back_minor) AS taken
                      FROM (SELECT payer_id, contract_id, period_from, amount_minor, back_minor FROM billing.payer_share
                            WHERE state IN ('reserved', 'committed')
                            UNION ALL
                            SELECT s.payer_id, s.contract_id, s.period_from, 0, s.amount_minor - s.back_minor
                            FROM billing.payer_share s
                            JOIN billing.billing_run r ON r.run_id = s.source_id / 10000 AND r.state = 'reversing'
                            WHERE s.source = 'charge' AND s.state = 'committed'
                            UNION ALL
                            SELECT s.payer_id, s.contract_id, s.period_from, b.payer_minor + b.rejected_back_minor, 0
                            FROM billing.payer_back b
                            JOIN billing.billing_run r ON r.run_id = b.refund_id / 10000 AND r.state = 'reversing'
                            JOIN billing.payer_share s ON s.merchant_id = b.merchant_id AND s.source = b.source
                             AND s.source_id = b.source_id AND s.contract_id = b.contract_id
                            WHERE b.source = 'charge' AND b.source_id / 10000 < r.run_id) AS said
                      GROUP BY payer_id, contract_id, period_from) AS s
             ON s.payer_id = c.payer_id AND s.contract_id = c.contract_id AND s.period_from = c.period_from
           WHERE coalesce(c.used, 0) <> coalesce(s.taken, 0) OR c.granted > c.limit_minor
              OR c.leased_minor <> c.granted""",
    ),
    (
        "payer-receivables-are-shares",
        "what payers owe by the ledger, by contract, is what is open of their shares and fees",
        f"""SELECT merchant_id, contract_id, sum(booked), sum(owed)
            FROM (SELECT e.merchant_id, leg.dimension AS contract_id, leg.amount AS booked, 0 AS owed
                  FROM {_LEGS} WHERE leg.account = 1110
                  UNION ALL
                  SELECT s.merchant_id, s.contract_id, 0, {_BEARS} + s.fee_minor + s.vat_minor - s.remitted_minor
                  FROM billing.payer_share s WHERE s.state = 'committed'
                  UNION ALL
                  SELECT l.merchant_id, c.contract_id, 0, l.fee_minor + l.vat_minor - l.remitted_minor
                  FROM billing.payer_claim_line l
                  JOIN billing.payer_claim c ON c.payer_id = l.payer_id AND c.claim_id = l.claim_id
                  WHERE l.source = 'claim') AS said
            GROUP BY merchant_id, contract_id HAVING sum(booked) <> sum(owed)""",
    ),
    (
        "payer-held-is-waited-for",
        "what merchants wait for until payers pay is what these have not paid of settled shares",
        f"""SELECT merchant_id, contract_id, sum(booked), sum(held), sum(waited)
            FROM (SELECT e.merchant_id, leg.dimension AS contract_id, -leg.amount AS booked, 0 AS held, 0 AS waited
                  FROM {_LEGS} WHERE leg.account = 2010 AND leg.dimension <> 0
                  UNION ALL
                  SELECT s.merchant_id, s.contract_id, 0, s.held_minor,
                         CASE WHEN CAST(v.terms ->> 'pay_when_paid' AS boolean) AND s.claimable_on IS NOT NULL
                              THEN greatest(0, {_BEARS} - s.remitted_minor) ELSE 0 END
                  FROM billing.payer_share s JOIN billing.payer_version v ON v.version_id = s.version_id
                  WHERE s.state = 'committed') AS said
            GROUP BY merchant_id, contract_id HAVING sum(booked) <> sum(held) OR sum(held) <> sum(waited)""",
    ),
    (
        "payer-shares-are-prices",
        "what a buyer, payers and promotions pay of an order is its price, reserved until it is paid, and then owed",
        """SELECT s.merchant_id, s.source_id, s.borne, p.paid, o.state
           FROM (SELECT merchant_id, source_id, sum(amount_minor) AS borne, min(state) AS first, max(state) AS last,
                        bool_and(amount_minor = (SELECT sum(minor) FROM unnest(line_minor) AS minor)
                                 AND back_minor = (SELECT sum(minor) FROM unnest(line_back_minor) AS minor)) AS sums
                 FROM billing.payer_share WHERE source = 'order' AND state <> 'released' GROUP BY 1, 2) AS s
           LEFT JOIN demand.merchant_order o ON o.merchant_id = s.merchant_id AND o.order_id = s.source_id
           LEFT JOIN (SELECT merchant_id, order_id, sum(amount_minor + credit_minor) AS paid
                      FROM billing.payment_part WHERE state <> 'released' GROUP BY 1, 2) AS p
             ON p.merchant_id = s.merchant_id AND p.order_id = s.source_id
           WHERE NOT s.sums OR s.first <> s.last OR (s.first = 'reserved') IS DISTINCT FROM (o.state = 'placed')
              OR s.borne + coalesce(p.paid, 0) + (
                     SELECT coalesce(sum(l.minor - l.own), 0)
                     FROM incentives.order_discount d, unnest(d.line_minor, d.own_minor) AS l (minor, own)
                     WHERE d.merchant_id = s.merchant_id AND d.order_id = s.source_id AND d.state <> 'released')
                 <> o.goods_minor + o.freight_minor - o.discount_minor""",
    ),
    (
        "payer-backs-are-refunds",
        "what refunds took back of payers' shares is what the refunds, and the shares, say",
        """SELECT merchant_id, id, sum(refunded), sum(moved)
           FROM (SELECT merchant_id, refund_id AS id, payer_minor AS refunded, 0 AS moved FROM demand.refund
                 WHERE state = 'booked' AND payer_minor <> 0
                 UNION ALL
                 SELECT merchant_id, refund_id, 0, payer_minor + rejected_back_minor FROM billing.payer_back
                 WHERE source = 'order'
                 UNION ALL
                 SELECT merchant_id, source_id, back_minor, 0 FROM billing.payer_share WHERE back_minor <> 0
                 UNION ALL
                 SELECT merchant_id, source_id, 0, payer_minor + rejected_back_minor FROM billing.payer_back) AS said
           GROUP BY merchant_id, id HAVING sum(refunded) <> sum(moved)""",
    ),
    (
        "payer-claims-are-shares",
        "what was claimed, rejected and remitted of a share is what the claims' lines say",
        """SELECT merchant_id, source_id, contract_id, sum(claimed), sum(fee), sum(remitted)
           FROM (SELECT merchant_id, source, source_id, contract_id, claimed_minor AS claimed,
                        fee_minor + vat_minor AS fee, remitted_minor AS remitted, rejected_minor AS rejected
                 FROM billing.payer_share WHERE state = 'committed'
                 UNION ALL
                 SELECT l.merchant_id, l.source, l.source_id, c.contract_id, l.rejected_minor - l.amount_minor,
                        l.fee_back_minor - l.fee_minor - l.vat_minor, -l.remitted_minor,
                        l.reclaimed_minor - l.rejected_minor
                 FROM billing.payer_claim_line l
                 JOIN billing.payer_claim c ON c.payer_id = l.payer_id AND c.claim_id = l.claim_id
                 WHERE l.source <> 'claim') AS said
           GROUP BY merchant_id, source, source_id, contract_id
           HAVING sum(claimed) <> 0 OR sum(fee) <> 0 OR sum(remitted) <> 0 OR sum(rejected) <> 0""",
    ),
    (
        "payer-claims-are-lines",
        "a claim is the sum of its lines, of what was remitted for it, and of what was rejected; none is left out",
        """SELECT c.payer_id, c.claim_id, c.claim_no, l.amount
           FROM billing.payer_claim c
           LEFT JOIN (SELECT payer_id, claim_id, count(*) AS lines, sum(amount_minor) AS amount, sum(fee_minor) AS fee,
                             sum(vat_minor) AS vat, sum(rejected_minor + fee_back_minor) AS rejected,
                             sum(remitted_minor) AS remitted
                      FROM billing.payer_claim_line GROUP BY 1, 2) AS l
             ON l.payer_id = c.payer_id AND l.claim_id = c.claim_id
           LEFT JOIN (SELECT payer_id, claim_id, sum(amount_minor) AS came FROM billing.payer_remittance GROUP BY 1, 2)
             AS r ON r.payer_id = c.payer_id AND r.claim_id = c.claim_id
           LEFT JOIN (SELECT payer_id, claim_id, sum(amount_minor + fee_minor) AS refused
                      FROM billing.payer_rejection WHERE kind = 'rejected' GROUP BY 1, 2) AS j
             ON j.payer_id = c.payer_id AND j.claim_id = c.claim_id
           WHERE (c.lines, c.amount_minor, c.fee_minor, c.vat_minor, c.rejected_minor, c.remitted_minor)
                 IS DISTINCT FROM (l.lines, l.amount, l.fee, l.vat, l.rejected, l.remitted)
              OR c.remitted_minor <> coalesce(r.came, 0) OR c.rejected_minor <> coalesce(j.refused, 0)
           UNION ALL
           SELECT s.payer_id, NULL, s.last_no, count(c.claim_id)
           FROM billing.payer_series s
           LEFT JOIN billing.payer_claim c ON c.payer_id = s.payer_id AND c.entity_id = s.entity_id
           GROUP BY s.payer_id, s.entity_id, s.last_no HAVING count(c.claim_id) <> s.last_no""",
    ),
)
