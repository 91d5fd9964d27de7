"""The invariants of journals by hand, each as one SQL query that must find nothing; part of `verify_books`."""

from billing.journals.model import JournalKind

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"

_KINDS = ", ".join(f"'{kind}'" for kind in JournalKind)

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "journals-are-entries",
        "every posted journal is one entry of its kind, with its legs, and nothing else is",
        f"""SELECT coalesce(j.merchant_id, e.merchant_id), coalesce(j.journal_id, e.source_id), j.entry_no, e.entry_no
            FROM (SELECT * FROM billing.journal WHERE state = 'posted') AS j
            FULL JOIN (SELECT * FROM billing.entry WHERE kind IN ({_KINDS})) AS e
              ON e.merchant_id = j.merchant_id AND e.source_id = j.journal_id AND e.kind = j.kind
            WHERE (j.entry_no, j.currency, j.accounts, j.dimensions, j.amounts)
                  IS DISTINCT FROM (e.entry_no, e.currency, e.accounts, e.dimensions, e.amounts)""",
    ),
    (
        "journals-have-two-people",
        "nobody approved a journal of their own unless one person may be both",
        """SELECT merchant_id, journal_id, made_by FROM billing.journal
           WHERE state = 'posted' AND made_by = decided_by AND NOT single_operator""",
    ),
    (
        "reversals-are-mirrors",
        "a reversal takes back exactly the journal that it names, of the same kind and currency",
        """SELECT r.merchant_id, r.journal_id, r.reversal_of FROM billing.journal r
           JOIN billing.journal j ON j.merchant_id = r.merchant_id AND j.journal_id = r.reversal_of
           WHERE (r.kind, r.currency, r.accounts, r.dimensions) <> (j.kind, j.currency, j.accounts, j.dimensions)
              OR r.amounts <> ARRAY(SELECT -amount FROM unnest(j.amounts) WITH ORDINALITY AS a (amount, n) ORDER BY n)
              OR j.state <> 'posted'""",
    ),
    (
        "disputes-are-journals",
        "what was accepted of a dispute of a line is what its standing journal gave, and that entry is named",
        """SELECT coalesce(d.merchant_id, j.merchant_id), coalesce(d.line_dispute_id, j.dispute_id), d.accepted_minor
           FROM (SELECT * FROM billing.line_dispute WHERE state = 'accepted') AS d
           FULL JOIN (SELECT g.* FROM billing.journal g
                      LEFT JOIN billing.journal r ON r.merchant_id = g.merchant_id AND r.reversal_of = g.journal_id
                       AND r.state = 'posted'
                      WHERE g.dispute_id IS NOT NULL AND g.reversal_of IS NULL AND g.state = 'posted'
                        AND r.journal_id IS NULL) AS j
             ON j.merchant_id = d.merchant_id AND j.dispute_id = d.line_dispute_id
           WHERE (d.journal_id, d.settled_entry_no, d.currency, ARRAY[d.accepted_minor, -d.accepted_minor])
                 IS DISTINCT FROM (j.journal_id, j.entry_no, j.currency, j.amounts)""",
    ),
    (
        "lines-are-disputed-once",
        "of no entry more is disputed or given back than it took from the merchant",
        """SELECT merchant_id, entry_no, max(line_minor) FROM billing.line_dispute
           WHERE state IN ('open', 'in_review', 'accepted')
           GROUP BY merchant_id, entry_no
           HAVING sum(CASE state WHEN 'accepted' THEN accepted_minor ELSE disputed_minor END) > min(line_minor)""",
    ),
    (
        "openings-are-lines",
        "opening balances are the lines of their files, account 3000 is the rest, and nothing else touches it",
        f"""SELECT merchant_id, opening_id, currency, account, sum(said), sum(booked)
            FROM (SELECT merchant_id, opening_id, currency, account, amount_minor AS said, 0 AS booked
                  FROM billing.opening_line
                  UNION ALL
                  SELECT merchant_id, opening_id, currency, 3000, -sum(amount_minor), 0 FROM billing.opening_line
                  GROUP BY merchant_id, opening_id, currency
                  UNION ALL
                  SELECT e.merchant_id, e.source_id, e.currency, leg.account, 0, leg.amount FROM {_LEGS}
                  WHERE (e.kind = 'opening_booked' AND leg.dimension = 0) OR leg.account = 3000) AS said
            GROUP BY merchant_id, opening_id, currency, account HAVING sum(said) <> sum(booked)""",
    ),
)
