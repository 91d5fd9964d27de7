"""The proofs of a month's checklist, each as one SQL query that must find nothing: what, currency, amount, in words.

They take :entity, :from_on and :to_on, and read the roll-up and the entries behind it.
"""

from billing.ledger.movements_sql import MOVED

CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "bank-is-statement",
        "the bank's account in the books stands where the bank's last statement of the month closes",
        f"""SELECT coalesce(b.currency, s.currency), coalesce(b.currency, s.currency),
                   coalesce(b.minor, 0) - coalesce(s.minor, 0),
                   CASE WHEN s.currency IS NULL THEN 'no statement by the end of the month'
                        ELSE 'books ' || coalesce(b.minor, 0) || ', statement of ' || s.to_day || ' ' || s.minor END
            FROM (SELECT currency, sum(minor)::bigint AS minor FROM {MOVED.format(accounts="1010")}
                  GROUP BY currency HAVING sum(minor) <> 0) AS b
            FULL JOIN (SELECT DISTINCT ON (d.currency) d.currency, s.to_day, s.closing_minor AS minor
                       FROM billing.debtor_account d
                       JOIN billing.bank_statement s ON s.account = d.number AND s.currency = d.currency
                       JOIN billing.bank_file f ON f.file_id = s.file_id AND f.state = 'read'
                       WHERE d.entity_id = :entity AND s.kind = 'statement' AND s.closing_minor IS NOT NULL
                         AND s.to_day < :to_on
                       ORDER BY d.currency, s.to_day DESC, s.file_id DESC, s.statement_no DESC) AS s
              ON s.currency = b.currency
            WHERE coalesce(b.minor, 0) <> coalesce(s.minor, 0)""",
    ),
    (
        "clearing-is-lines",
        "what has left the processors' clearing account is, line by line, what their settlement files say",
        """SELECT 'line ' || coalesce(l.line_ref, b.line_id::text), coalesce(l.currency, b.currency),
                  coalesce(b.minor, 0) + coalesce(l.minor, 0),
                  CASE WHEN l.line_id IS NULL THEN 'booked, and in no file' WHEN b.line_id IS NULL THEN 'not booked'
                       ELSE 'booked ' || b.minor || ', the file says ' || -l.minor END
           FROM (SELECT e.source_id AS line_id, e.currency, sum(leg.amount)::bigint AS minor
                 FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
                 WHERE e.kind = 'processor_settled' AND leg.account = 1020 AND e.entity_id = :entity
                   AND e.effective_on < :to_on GROUP BY e.source_id, e.currency) AS b
           FULL JOIN (SELECT l.line_id, l.line_ref, l.currency,
                             CASE WHEN l.kind IN ('capture', 'refund') THEN l.gross_minor ELSE l.net_minor END AS minor
                      FROM billing.processor_line l
                      JOIN billing.processor_file f ON f.file_id = l.file_id AND f.entity_id = :entity
                      WHERE l.kind <> 'fee' AND f.paid_on < :to_on) AS l ON l.line_id = b.line_id
           WHERE coalesce(b.minor, 0) + coalesce(l.minor, 0) <> 0
             AND (b.line_id IS NOT NULL OR NOT EXISTS (
                 SELECT FROM billing.entry late WHERE late.kind = 'processor_settled' AND late.source_id = l.line_id))
             AND (l.line_id IS NOT NULL OR NOT EXISTS (
                 SELECT FROM billing.processor_line later WHERE later.line_id = b.line_id))""",
    ),
    (
        "control-is-zero",
        "every batch's control account sums to zero over all books",
        f"""SELECT 'batch ' || m.dimension, m.currency, sum(m.minor)::bigint, 'not on both sides at the month''s end'
            FROM {MOVED.format(accounts="1030")} GROUP BY m.dimension, m.currency HAVING sum(m.minor) <> 0""",
    ),
    (
        "merchants-are-statements",
        "what each merchant is owed is what its statement of the month closes at",
        f"""SELECT 'merchant ' || coalesce(b.merchant_id, s.merchant_id), coalesce(b.currency, s.currency),
                   coalesce(b.minor, 0) - coalesce(s.closing_minor, 0),
                   CASE WHEN s.merchant_id IS NULL THEN 'no final statement'
                        ELSE 'books ' || coalesce(b.minor, 0) || ', statement ' || s.closing_minor END
            FROM (SELECT m.merchant_id, m.currency, -sum(m.minor)::bigint AS minor,
                         max(m.effective_on) AS last_on
                  FROM {MOVED.format(accounts="2000")} GROUP BY m.merchant_id, m.currency) AS b
            FULL JOIN (SELECT merchant_id, currency, closing_minor FROM billing.statement s
                       JOIN billing.billing_run r ON r.run_id = s.run_id
                       WHERE s.state = 'final' AND s.to_on = :to_on AND r.entity_id = :entity) AS s
              ON s.merchant_id = b.merchant_id AND s.currency = b.currency
            WHERE coalesce(b.minor, 0) <> coalesce(s.closing_minor, 0)
               OR (s.merchant_id IS NULL AND b.last_on >= :from_on)""",
    ),
)
