"""The invariants of what is kept of payouts, each as one SQL query that must find nothing; part of `verify_books`."""

_LEGS = "billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "reserves-are-ledger",
        "the reserve account holds what was kept of payouts and not released, and nothing is released twice",
        f"""SELECT coalesce(r.merchant_id, e.merchant_id), coalesce(r.payout_id, e.source_id), r.held_minor,
                   e.kept, e.held
            FROM billing.payout_reserve r
            FULL JOIN (SELECT e.merchant_id, e.source_id, -sum(leg.amount) AS held,
                              coalesce(-sum(leg.amount) FILTER (WHERE e.kind = 'reserve_held'), 0) AS kept
                       FROM {_LEGS}
                       WHERE e.kind IN ('reserve_held', 'reserve_released') AND leg.account = 2010
                       GROUP BY e.merchant_id, e.source_id) AS e
              ON e.merchant_id = r.merchant_id AND e.source_id = r.payout_id
            WHERE r.payout_id IS NULL OR coalesce(e.kept, 0) <> r.held_minor
               OR coalesce(e.held, 0) <> CASE WHEN r.state = 'held' THEN r.held_minor ELSE 0 END""",
    ),
    (
        "files-are-payouts",
        "each payout is in one file for the bank at most that is not cancelled, with its own amount",
        """SELECT coalesce(l.merchant_id, p.merchant_id), coalesce(l.payout_id, p.payout_id), l.file_id, p.file_id
           FROM (SELECT l.* FROM billing.payout_file_line l
                 JOIN billing.payout_file f ON f.file_id = l.file_id WHERE f.state <> 'cancelled') AS l
           FULL JOIN (SELECT * FROM billing.payout WHERE file_id IS NOT NULL) AS p
             ON p.merchant_id = l.merchant_id AND p.payout_id = l.payout_id AND p.file_id = l.file_id
           WHERE l.amount_minor IS DISTINCT FROM p.amount_minor OR p.state = 'cancelled'""",
    ),
    (
        "files-are-lines",
        "every file for the bank has as many lines as it says, of the same sum",
        """SELECT coalesce(f.file_id, l.file_id), f.payouts, l.payouts, f.total_minor, l.total
           FROM billing.payout_file f
           FULL JOIN (SELECT file_id, count(*) AS payouts, sum(amount_minor) AS total FROM billing.payout_file_line
                      GROUP BY file_id) AS l ON l.file_id = f.file_id
           WHERE (f.payouts, f.total_minor) IS DISTINCT FROM (l.payouts, l.total)""",
    ),
    (
        "carried-is-unpaid",
        "what a run carried over it has not paid",
        """SELECT c.merchant_id, c.run_id, c.currency, p.payout_id
           FROM billing.payout_carried c
           JOIN billing.payout p ON p.merchant_id = c.merchant_id AND p.run_id = c.run_id
            AND p.currency = c.currency""",
    ),
    (
        "dues-are-payouts",
        "what a run left to be paid on a day is paid once, by a payout of that run",
        """SELECT d.merchant_id, d.run_id, d.currency, d.state, d.payout_id, p.payout_id
           FROM billing.payout_due d
           LEFT JOIN billing.payout p ON p.merchant_id = d.merchant_id AND p.run_id = d.run_id
            AND p.currency = d.currency AND p.retry_of IS NULL
           WHERE d.payout_id IS DISTINCT FROM p.payout_id OR (d.state = 'paid' AND p.state = 'cancelled')""",
    ),
)
