"""The invariants of tax documents, each as one SQL query that must find nothing; part of `verify_books`."""

_OWED = "CASE WHEN d.kind IN ('invoice', 'self_billed_credit_note') THEN 1 ELSE -1 END"

NOT_AGAIN = """(d.state = 'void' AND NOT EXISTS (
    SELECT FROM billing.document a WHERE a.merchant_id = d.merchant_id AND a.replaces_id = d.document_id))"""
"""A void document that waits to be issued again: the VAT that it told of is still in the books."""

VOID_DOCUMENTS = f"""
SELECT count(*) FROM billing.document d
JOIN billing.statement s ON s.merchant_id = d.merchant_id AND s.run_id = d.run_id AND s.currency = d.currency
WHERE s.state = 'final' AND {NOT_AGAIN}"""

VOID_TO_PAYERS = """
SELECT count(*) FROM billing.payer_document d WHERE d.state = 'void' AND NOT EXISTS (
    SELECT FROM billing.payer_document a WHERE a.payer_id = d.payer_id AND a.replaces_id = d.document_id)"""

_DOCUMENTED = """billing.payer_document d
                 JOIN billing.payer_claim c ON c.payer_id = d.payer_id AND c.claim_id = d.claim_id AND c.documented
                 WHERE d.replaces_id IS NULL"""

_UNDOCUMENTED = """
               SELECT e.merchant_id, e.source_id
               FROM (SELECT l.merchant_id, l.source, l.source_id, c.contract_id, moment.at
                     FROM billing.payer_claim c
                     JOIN billing.payer_claim_line l ON l.payer_id = c.payer_id AND l.claim_id = c.claim_id
                     LEFT JOIN billing.payer_rejection r
                       ON r.payer_id = l.payer_id AND r.claim_id = l.claim_id AND r.line_no = l.line_no
                     CROSS JOIN LATERAL (VALUES (c.sent_at), (r.at)) AS moment (at)
                     WHERE NOT c.documented) AS said
               JOIN billing.entry e
                 ON e.merchant_id = said.merchant_id AND e.kind = 'payer_fee' AND e.occurred_at = said.at
               WHERE (said.source = 'claim' AND e.source_id = said.source_id)
                  OR EXISTS (SELECT FROM billing.payer_entry p
                             WHERE p.merchant_id = e.merchant_id AND p.kind = e.kind AND p.entry_id = e.source_id
                               AND (p.source, p.source_id, p.contract_id)
                                   = (said.source, said.source_id, said.contract_id))"""
"""The facts of fees that claims without documents charged, or gave back of them; each is told by its moment."""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "documents-are-vat",
        "the documents of each final statement have the VAT that its merchant's books have in its period",
        f"""SELECT s.merchant_id, s.run_id, s.currency, coalesce(d.vat, 0), coalesce(l.vat, 0)
            FROM billing.statement s
            LEFT JOIN (SELECT d.merchant_id, d.run_id, d.currency, sum({_OWED} * d.vat_minor) AS vat
                       FROM billing.document d
                       WHERE (d.state = 'issued' OR {NOT_AGAIN}) AND d.kind IN ('invoice', 'credit_note')
                         AND d.reverses_id IS NULL
                       GROUP BY d.merchant_id, d.run_id, d.currency) AS d
              ON d.merchant_id = s.merchant_id AND d.run_id = s.run_id AND d.currency = s.currency
            LEFT JOIN (SELECT w.merchant_id, w.run_id, w.currency, -sum(leg.amount) AS vat
                       FROM billing.statement w
                       JOIN billing.entry e ON e.merchant_id = w.merchant_id AND e.currency = w.currency
                        AND e.effective_on >= w.from_on AND e.effective_on < w.to_on
                        AND e.kind <> 'payer_fee',
                            unnest(e.accounts, e.amounts) AS leg (account, amount)
                       WHERE w.state = 'final' AND leg.account = 2300
                       GROUP BY w.merchant_id, w.run_id, w.currency) AS l
              ON l.merchant_id = s.merchant_id AND l.run_id = s.run_id AND l.currency = s.currency
            WHERE s.state = 'final' AND coalesce(d.vat, 0) <> coalesce(l.vat, 0)""",
    ),
    (
        "documents-are-lines",
        "every document's net is the sum of its lines and of what it taxes, and its VAT the sum of its taxes",
        """SELECT d.merchant_id, d.document_id, d.net_minor, l.net, t.net, d.vat_minor, t.vat
           FROM billing.document d
           LEFT JOIN (SELECT merchant_id, document_id, sum(net_minor) AS net FROM billing.document_line
                      GROUP BY merchant_id, document_id) AS l
             ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
           LEFT JOIN (SELECT merchant_id, document_id, sum(net_minor) AS net, sum(vat_minor) AS vat
                      FROM billing.document_tax GROUP BY merchant_id, document_id) AS t
             ON t.merchant_id = d.merchant_id AND t.document_id = d.document_id
           WHERE (d.net_minor, d.net_minor, d.vat_minor) IS DISTINCT FROM (l.net, t.net, t.vat)""",
    ),
    (
        "series-have-no-gaps",
        "every series runs from one to its last number: each number stands on one document, void ones included",
        """SELECT coalesce(s.series, d.series), s.last_serial, d.documents, d.first, d.last
           FROM billing.document_series s
           FULL JOIN (SELECT series, count(DISTINCT serial) AS numbers, count(*) AS documents, min(serial) AS first,
                             max(serial) AS last
                      FROM (SELECT series, serial FROM billing.document
                            UNION ALL SELECT series, serial FROM billing.payer_document) AS numbered
                      GROUP BY series) AS d ON d.series = s.series
           WHERE (coalesce(s.last_serial, 0), coalesce(s.last_serial, 0), coalesce(s.last_serial, 0))
                 IS DISTINCT FROM (coalesce(d.numbers, 0), coalesce(d.documents, 0), coalesce(d.last, 0))
              OR coalesce(d.first, 1) <> 1""",
    ),
    (
        "credits-are-charged",
        "what corrects a document leaves nothing below zero of it, at any VAT rate",
        """SELECT o.merchant_id, o.document_id, t.vat_ppm, sum(t.net_minor), sum(t.vat_minor)
           FROM billing.document o
           JOIN (SELECT d.merchant_id, coalesce(d.corrects_id, d.document_id) AS original_id, d.kind, x.vat_ppm,
                        x.net_minor, x.vat_minor
                 FROM billing.document d JOIN billing.document_tax x
                   ON x.merchant_id = d.merchant_id AND x.document_id = d.document_id
                 WHERE d.state <> 'void') AS m
             ON m.merchant_id = o.merchant_id AND m.original_id = o.document_id
           CROSS JOIN LATERAL (SELECT m.vat_ppm, CASE WHEN m.kind = o.kind THEN m.net_minor ELSE -m.net_minor END
                               AS net_minor, CASE WHEN m.kind = o.kind THEN m.vat_minor ELSE -m.vat_minor END
                               AS vat_minor) AS t
           WHERE o.corrects_id IS NULL AND o.state <> 'void'
           GROUP BY o.merchant_id, o.document_id, t.vat_ppm
           HAVING sum(t.net_minor) < 0 OR sum(t.vat_minor) < 0""",
    ),
    (
        "payer-documents-are-fees",
        "the documents to payers, void ones too until issued again, have what claims with documents earn",
        f"""SELECT entity_id, currency, sum(net), sum(vat), sum(earned), sum(taxed)
           FROM (SELECT e.entity_id, e.currency, 0 AS net, 0 AS vat,
                        sum(-leg.amount) FILTER (WHERE leg.account = 4060) AS earned,
                        sum(-leg.amount) FILTER (WHERE leg.account = 2300) AS taxed
                 FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
                 WHERE e.kind = 'payer_fee' AND (e.merchant_id, e.source_id) NOT IN ({_UNDOCUMENTED})
                 GROUP BY e.entity_id, e.currency
                 UNION ALL
                 SELECT d.entity_id, d.currency, CASE d.kind WHEN 'invoice' THEN d.net_minor ELSE -d.net_minor END,
                        CASE d.kind WHEN 'invoice' THEN d.vat_minor ELSE -d.vat_minor END, 0, 0
                 FROM {_DOCUMENTED}) AS said
           GROUP BY entity_id, currency
           HAVING sum(net) <> coalesce(sum(earned), 0) OR sum(vat) <> coalesce(sum(taxed), 0)""",
    ),
    (
        "payer-documents-are-claims",
        "a claim's documents have its fee and VAT, and its credit notes what its rejections took back of both",
        f"""SELECT c.payer_id, c.claim_id, sum(c.fee), sum(c.back), sum(c.invoiced), sum(c.credited)
           FROM (SELECT payer_id, claim_id, fee_minor + vat_minor AS fee, 0 AS back, 0 AS invoiced, 0 AS credited
                 FROM billing.payer_claim WHERE documented
                 UNION ALL
                 SELECT r.payer_id, r.claim_id, 0, r.fee_minor, 0, 0
                 FROM billing.payer_rejection r
                 JOIN billing.payer_claim c ON c.payer_id = r.payer_id AND c.claim_id = r.claim_id AND c.documented
                 UNION ALL
                 SELECT d.payer_id, d.claim_id, 0, 0, CASE WHEN d.rejection_id IS NULL THEN d.gross ELSE 0 END,
                        CASE WHEN d.rejection_id IS NULL THEN 0 ELSE -d.gross END
                 FROM (SELECT d.payer_id, d.claim_id, d.rejection_id,
                              (d.net_minor + d.vat_minor) * CASE d.kind WHEN 'invoice' THEN 1 ELSE -1 END AS gross
                       FROM {_DOCUMENTED}) AS d) AS c
           GROUP BY c.payer_id, c.claim_id HAVING sum(c.fee) <> sum(c.invoiced) OR sum(c.back) <> sum(c.credited)
           UNION ALL
           SELECT d.payer_id, d.document_id, d.net_minor, d.vat_minor, l.net, t.vat
           FROM billing.payer_document d
           CROSS JOIN LATERAL (SELECT sum((line ->> 'net_minor')::bigint) AS net
                               FROM jsonb_array_elements(d.lines) AS line) AS l
           CROSS JOIN LATERAL (SELECT sum((tax ->> 'net_minor')::bigint) AS net,
                                      sum((tax ->> 'vat_minor')::bigint) AS vat
                               FROM jsonb_array_elements(d.taxes) AS tax) AS t
           WHERE (d.net_minor, d.net_minor, d.vat_minor) IS DISTINCT FROM (l.net, t.net, t.vat)
           UNION ALL
           SELECT a.payer_id, a.document_id, a.net_minor, a.vat_minor, d.net_minor, d.vat_minor
           FROM billing.payer_document a
           JOIN billing.payer_document d ON d.payer_id = a.payer_id AND d.document_id = a.replaces_id
           WHERE (a.kind, a.net_minor, a.vat_minor, d.state) IS DISTINCT FROM (d.kind, d.net_minor, d.vat_minor, 'void')
        """,
    ),
)
