"""The invariants of closed months, each as one SQL query that must find nothing; part of `verify_books`."""

from billing.periods.seal_sql import BROKEN_SEALS, CHANGED

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "closed-stays-closed",
        "after its run pinned the books, a period took no entry but journals by hand that change no statement",
        """SELECT e.merchant_id, e.entry_no FROM billing.statement s
           JOIN billing.entry e ON e.merchant_id = s.merchant_id AND e.currency = s.currency
            AND e.entry_no > s.to_no AND e.effective_on < s.to_on
            AND (e.kind <> 'journal_posted' OR 2000 = ANY(e.accounts))
           WHERE s.state = 'final'""",
    ),
    ("sealed-stays-sealed", "every entry of a closed month is as it was sealed, and none came or went", CHANGED),
    (
        "seals-are-chained",
        "the digest of a closed month follows from its entries' hashes and from the digest of the month before",
        BROKEN_SEALS,
    ),
)
