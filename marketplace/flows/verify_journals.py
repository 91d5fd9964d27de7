"""The invariants of journals by hand, each as one SQL query that must find nothing; part of `verify_books`."""

from billing.journals.model import JournalKind

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
)
