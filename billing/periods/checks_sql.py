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
