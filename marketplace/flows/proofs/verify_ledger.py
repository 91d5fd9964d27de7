"""Proofs of the ledger itself: entries, heads, statements, payments, payouts and what is owed for orders."""

# The snapshots of each merchant in turn: after_no, the one before (0 for the first); next_no, the one that follows.
_TAKEN = """(SELECT merchant_id, upto_entry_no, lag(upto_entry_no, 1, 0::bigint) OVER of_merchant AS after_no,
                    lead(upto_entry_no) OVER of_merchant AS next_no
             FROM (SELECT DISTINCT merchant_id, upto_entry_no FROM billing.balance_snapshot) AS snapshot
             WINDOW of_merchant AS (PARTITION BY merchant_id ORDER BY upto_entry_no)) AS t"""
_LEFT_OF_LINE = (
    "(l.goods_minor - l.discount_minor - l.refunded_goods_minor + l.freight_minor - l.refunded_freight_minor)"
)
LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"
"""A row for each leg of each entry."""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "entries-balance",
        "the legs of every entry sum to zero",
        "SELECT merchant_id, entry_no FROM billing.entry WHERE NOT billing.is_balanced(amounts)",
    ),
    (
        "books-balance",
        "each merchant's books sum to zero in each currency",
        f"""SELECT e.merchant_id, e.currency, sum(leg.amount) FROM {LEGS}
            GROUP BY e.merchant_id, e.currency HAVING sum(leg.amount) <> 0""",
    ),
    (
        "platform-balances",
        "each legal entity's books sum to zero in each currency",
        f"""SELECT e.entity_id, e.currency, sum(leg.amount) FROM {LEGS}
            GROUP BY e.entity_id, e.currency HAVING sum(leg.amount) <> 0""",
    ),
    (
        "codes-in-chart",
        "every leg names an account of the chart",
        f"""SELECT leg.account, count(*) FROM {LEGS}
            WHERE NOT EXISTS (SELECT FROM billing.account a WHERE a.code = leg.account) GROUP BY leg.account""",
    ),
    (
        "numbers-dense",
        "each merchant's entries are numbered 1 to the head's last number",
        """SELECT h.merchant_id, h.last_entry_no, e.entries, e.last FROM billing.ledger_head h
           LEFT JOIN (SELECT merchant_id, count(*) AS entries, min(entry_no) AS first, max(entry_no) AS last
                      FROM billing.entry GROUP BY merchant_id) AS e ON e.merchant_id = h.merchant_id
           WHERE h.last_entry_no <> coalesce(e.entries, 0) OR h.last_entry_no <> coalesce(e.last, 0)
              OR coalesce(e.first, 1) <> 1""",
    ),
    (
        "heads-exist",
        "every entry belongs to books that have a head",
        "SELECT merchant_id FROM billing.entry EXCEPT SELECT merchant_id FROM billing.ledger_head",
    ),
    (
        "rollup-is-journal",
        "the roll-up equals the journal up to where it was rolled",
        f"""SELECT coalesce(d.merchant_id, j.merchant_id), coalesce(d.account, j.account), d.debit_minor, j.debit
            FROM billing.account_day d
            FULL JOIN (SELECT e.merchant_id, leg.account, leg.dimension, e.currency, e.effective_on,
                              sum(greatest(leg.amount, 0)) AS debit, sum(greatest(-leg.amount, 0)) AS credit,
                              count(*) AS lines, min(e.entry_no) AS first, max(e.entry_no) AS last
                       FROM billing.ledger_roll r, {LEGS}
                       WHERE e.merchant_id = r.merchant_id AND e.entry_no <= r.rolled_no
                       GROUP BY 1, 2, 3, 4, 5) AS j
              ON j.merchant_id = d.merchant_id AND j.account = d.account AND j.dimension = d.dimension
             AND j.currency = d.currency AND j.effective_on = d.effective_on
            WHERE (d.debit_minor, d.credit_minor, d.lines, d.first_entry_no, d.last_entry_no)
                  IS DISTINCT FROM (j.debit, j.credit, j.lines, j.first, j.last)""",
    ),
    (
        "book-days-are-rollup",
        "the platform's roll-up equals the merchants' roll-ups",
        """SELECT coalesce(b.entity_id, d.entity_id), coalesce(b.account, d.account), b.debit_minor, d.debit
           FROM billing.book_day b
           FULL JOIN (SELECT h.entity_id, d.account, d.currency, d.effective_on, sum(d.debit_minor) AS debit,
                             sum(d.credit_minor) AS credit
                      FROM billing.account_day d JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id
                      GROUP BY 1, 2, 3, 4) AS d
             ON d.entity_id = b.entity_id AND d.account = b.account AND d.currency = b.currency
            AND d.effective_on = b.effective_on
           WHERE (b.debit_minor, b.credit_minor) IS DISTINCT FROM (d.debit, d.credit)""",
    ),
    (
        "snapshots-are-journal",
        "every balance snapshot equals the one before it and the entries since",
        f"""SELECT merchant_id, upto_entry_no, account, sum(minor)
            FROM (SELECT merchant_id, upto_entry_no, account, dimension, currency, balance_minor AS minor
                  FROM billing.balance_snapshot
                  UNION ALL
                  SELECT s.merchant_id, t.next_no, s.account, s.dimension, s.currency, -s.balance_minor
                  FROM billing.balance_snapshot s
                  JOIN {_TAKEN} ON t.merchant_id = s.merchant_id AND t.upto_entry_no = s.upto_entry_no
                  WHERE t.next_no IS NOT NULL
                  UNION ALL
                  SELECT e.merchant_id, t.upto_entry_no, leg.account, leg.dimension, e.currency, -leg.amount
                  FROM {_TAKEN}, {LEGS}
                  WHERE e.merchant_id = t.merchant_id AND e.entry_no > t.after_no AND e.entry_no <= t.upto_entry_no
                 ) AS moved
            GROUP BY merchant_id, upto_entry_no, account, dimension, currency HAVING sum(minor) <> 0""",
    ),
    (
        "commission-lines-are-legs",
        "commission and VAT of the lines equal the legs of their entries",
        f"""SELECT coalesce(c.merchant_id, e.merchant_id), coalesce(c.entry_no, e.entry_no)
            FROM (SELECT merchant_id, entry_no, sum(commission_minor) AS commission, sum(vat_minor) AS vat,
                         sum(goods_minor + freight_minor - discount_minor) AS gross
                  FROM billing.commission_line GROUP BY merchant_id, entry_no) AS c
            FULL JOIN (SELECT e.merchant_id, e.entry_no,
                              -coalesce(sum(leg.amount) FILTER (WHERE leg.account = 4000), 0) AS commission,
                              -coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2300), 0) AS vat,
                              coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2005), 0) AS released,
                              e.kind
                       FROM {LEGS}
                       WHERE e.kind IN ('order_settled', 'order_refunded', 'refund_cancelled', 'dispute_lost',
                                        'commission_adjusted')
                          OR (4000 = ANY(e.accounts)
                              AND e.kind NOT IN ('commission_minimum', 'commission_minimum_reversed'))
                       GROUP BY e.merchant_id, e.entry_no, e.kind) AS e
              ON e.merchant_id = c.merchant_id AND e.entry_no = c.entry_no
            WHERE e.entry_no IS NULL
               OR (coalesce(c.commission, 0), coalesce(c.vat, 0)) <> (e.commission, e.vat)
               OR (e.kind = 'order_settled' AND coalesce(c.gross, 0) <> e.released)""",
    ),
    (
        "lines-are-entries",
        "a commission line is of the order, currency, instant and day of its entry",
        """SELECT c.merchant_id, c.entry_no, c.contract_id, c.kind, c.order_id
           FROM billing.commission_line c
           JOIN billing.entry e ON e.merchant_id = c.merchant_id AND e.entry_no = c.entry_no
           LEFT JOIN demand.refund r ON r.merchant_id = e.merchant_id AND r.refund_id = e.source_id
             AND e.kind IN ('order_refunded', 'refund_cancelled', 'dispute_lost')
           LEFT JOIN billing.commission_adjustment a ON a.merchant_id = e.merchant_id
             AND a.adjustment_id = e.source_id AND e.kind = 'commission_adjusted'
           WHERE (c.currency, c.occurred_at, c.effective_on) <> (e.currency, e.occurred_at, e.effective_on)
              OR c.order_id IS DISTINCT FROM CASE e.kind WHEN 'order_settled' THEN e.source_id
                                                  WHEN 'commission_adjusted' THEN a.order_id ELSE r.order_id END
              OR (c.kind = 'sale') <> (e.kind = 'order_settled')
              OR (c.kind = 'adjustment') <> (e.kind = 'commission_adjusted')
              OR e.prior_period <> (c.occurred_on < c.effective_on)""",
    ),
    (
        "refunds-return-commission",
        "an order refunded in full has earned neither commission nor VAT but what its refund policy kept",
        """SELECT merchant_id, order_id, sum(commission_minor), sum(vat_minor) FROM billing.commission_line
           GROUP BY merchant_id, order_id
           HAVING sum(goods_minor + freight_minor - discount_minor) = 0
              AND (sum(commission_minor) <> coalesce(sum(kept_commission_minor) FILTER (WHERE kind = 'refund'), 0)
                OR sum(vat_minor) <> coalesce(sum(kept_vat_minor) FILTER (WHERE kind = 'refund'), 0))""",
    ),
    (
        "month-is-lines",
        "where tiers and VAT stand equals the sales settled in the month",
        """SELECT coalesce(m.merchant_id, c.merchant_id), coalesce(m.month, c.month)
           FROM billing.commission_month m
           FULL JOIN (SELECT merchant_id, effective_on - (extract(day FROM effective_on)::integer - 1) AS month,
                             contract_id, sum(base_minor) AS base, sum(commission_minor) AS commission,
                             sum(vat_minor) AS vat
                      FROM billing.commission_line WHERE kind = 'sale' GROUP BY 1, 2, 3) AS c
             ON c.merchant_id = m.merchant_id AND c.month = m.month AND c.contract_id = m.contract_id
           WHERE (m.base_minor, m.commission_minor, m.vat_minor) IS DISTINCT FROM (c.base, c.commission, c.vat)""",
    ),
    (
        "statements-are-ledger",
        "final statements open and close at what the ledger says",
        f"""SELECT s.merchant_id, s.run_id, s.currency, s.closing_minor, b.closing
            FROM billing.statement s
            LEFT JOIN LATERAL (
                SELECT -coalesce(sum(leg.amount) FILTER (WHERE e.effective_on < s.from_on), 0) AS opening,
                       -coalesce(sum(leg.amount), 0) AS closing
                FROM {LEGS}
                WHERE e.merchant_id = s.merchant_id AND e.currency = s.currency AND leg.account = 2000
                  AND e.effective_on < s.to_on) AS b ON true
            WHERE s.state = 'final' AND (s.opening_minor, s.closing_minor) IS DISTINCT FROM (b.opening, b.closing)""",
    ),
    (
        "statements-are-lines",
        "final statements bill exactly the commission lines of their period",
        """SELECT s.merchant_id, s.run_id, s.currency, s.commission_minor, c.commission
           FROM billing.statement s
           LEFT JOIN LATERAL (
               SELECT count(DISTINCT l.entry_no) FILTER (WHERE l.kind = 'sale') AS orders,
                      coalesce(sum(l.goods_minor) FILTER (WHERE l.kind = 'sale'), 0) AS goods,
                      coalesce(sum(l.freight_minor) FILTER (WHERE l.kind = 'sale'), 0) AS freight,
                      -coalesce(sum(l.discount_minor) FILTER (WHERE l.kind = 'sale'), 0) AS discount,
                      coalesce(sum(l.goods_minor + l.freight_minor - l.discount_minor)
                               FILTER (WHERE l.kind = 'refund'), 0) AS refund,
                      -coalesce(sum(l.commission_minor), 0) AS commission, -coalesce(sum(l.vat_minor), 0) AS vat
               FROM billing.commission_line l
               WHERE l.merchant_id = s.merchant_id AND l.currency = s.currency
                 AND l.effective_on >= s.from_on AND l.effective_on < s.to_on) AS c ON true
           WHERE s.state = 'final'
             AND (s.orders, s.goods_minor, s.freight_minor, s.discount_minor, s.refund_minor, s.commission_minor,
                  s.vat_minor)
                 IS DISTINCT FROM (c.orders, c.goods, c.freight, c.discount, c.refund, c.commission, c.vat)""",
    ),
    (
        "final-runs-are-final",
        "a final run has final statements only, but of merchants that wait for a child run or have got theirs from it",
        """SELECT s.merchant_id, s.run_id, s.currency, s.state FROM billing.statement s
           JOIN billing.billing_run r ON r.run_id = s.run_id
           JOIN billing.ledger_head h ON h.merchant_id = s.merchant_id
           WHERE r.state = 'finalised' AND s.state <> 'final'
             AND (s.state <> 'parked' OR (h.closed_through >= s.to_on - 1 AND NOT EXISTS (
                 SELECT FROM billing.statement c
                 WHERE c.merchant_id = s.merchant_id AND c.from_on = s.from_on AND c.run_id > s.run_id
                   AND c.state = 'final')))""",
    ),
    (
        "statements-continue",
        "a statement opens where the one before it closed",
        """SELECT later.merchant_id, later.run_id, earlier.closing_minor, later.opening_minor
           FROM billing.statement earlier
           JOIN billing.statement later ON later.merchant_id = earlier.merchant_id
            AND later.currency = earlier.currency AND later.from_on = earlier.to_on
           WHERE earlier.state = 'final' AND later.state = 'final' AND later.opening_minor <> earlier.closing_minor""",
    ),
    (
        "windows-are-statements",
        "billing windows follow each other without gap, one for each final statement",
        """SELECT coalesce(w.merchant_id, s.merchant_id), coalesce(w.run_id, s.run_id)
           FROM billing.billing_window w
           FULL JOIN (SELECT * FROM billing.statement WHERE state = 'final') AS s
             ON s.merchant_id = w.merchant_id AND s.run_id = w.run_id AND w.charge = 'statement:' || s.currency
           LEFT JOIN billing.billing_window before ON before.merchant_id = w.merchant_id
             AND before.charge = w.charge AND before.to_on = w.from_on
           WHERE w.merchant_id IS NULL OR s.merchant_id IS NULL
              OR (w.from_on, w.to_on) IS DISTINCT FROM (s.from_on, s.to_on)
              OR (w.follows_on IS NOT NULL AND before.merchant_id IS NULL)""",
    ),
    (
        "payouts-are-items",
        "every payout is the sum of its items",
        """SELECT p.merchant_id, p.payout_id, p.amount_minor, sum(i.amount_minor)
           FROM billing.payout p
           LEFT JOIN billing.payout_item i ON i.merchant_id = p.merchant_id AND i.payout_id = p.payout_id
           GROUP BY p.merchant_id, p.payout_id, p.amount_minor
           HAVING sum(i.amount_minor) IS DISTINCT FROM p.amount_minor""",
    ),
    (
        "payouts-are-entries",
        "every payout is booked once: its amount owed no more while it stands, and in transit until the bank has paid",
        f"""SELECT coalesce(p.merchant_id, e.merchant_id), coalesce(p.payout_id, e.source_id), p.state, p.amount_minor,
                   e.owed_less, e.in_transit
            FROM billing.payout p
            FULL JOIN (SELECT e.merchant_id, e.source_id,
                              coalesce(sum(leg.amount) FILTER (WHERE leg.account = 2000), 0) AS owed_less,
                              coalesce(-sum(leg.amount) FILTER (WHERE leg.account = 2020), 0) AS in_transit
                       FROM {LEGS}
                       WHERE e.kind IN ('payout_instructed', 'payout_cancelled', 'payout_confirmed', 'payout_returned')
                         AND leg.account IN (2000, 2020)
                       GROUP BY e.merchant_id, e.source_id) AS e
              ON e.merchant_id = p.merchant_id AND e.source_id = p.payout_id
            WHERE p.payout_id IS NULL
               OR coalesce(e.owed_less, 0)
                  <> CASE WHEN p.state IN ('instructed', 'confirmed') THEN p.amount_minor ELSE 0 END
               OR coalesce(e.in_transit, 0) <> CASE WHEN p.state = 'instructed' THEN p.amount_minor ELSE 0 END""",
    ),
    (
        "control-accounts-zero",
        "every batch's control account sums to zero over all books",
        f"""SELECT leg.dimension, sum(leg.amount) FROM {LEGS} WHERE leg.account = 1030
            GROUP BY leg.dimension HAVING sum(leg.amount) <> 0""",
    ),
    (
        "pending-is-unsettled",
        "each merchant's pending balance is what its unsettled orders are worth",
        f"""SELECT coalesce(b.merchant_id, o.merchant_id), b.pending, o.open
            FROM (SELECT e.merchant_id, e.currency, -sum(leg.amount) AS pending FROM {LEGS} WHERE leg.account = 2005
                  GROUP BY e.merchant_id, e.currency HAVING sum(leg.amount) <> 0) AS b
            FULL JOIN (SELECT merchant_id, currency, sum(minor) AS open
                       FROM (SELECT o.merchant_id, o.currency, {_LEFT_OF_LINE} AS minor
                             FROM demand.merchant_order o
                             JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
                             WHERE o.state IN ('paid', 'accepted', 'fulfilling', 'partly_delivered')
                             UNION ALL
                             SELECT d.merchant_id, o.currency, d.goods_minor - d.discount_minor + d.freight_minor
                             FROM demand.order_due d
                             JOIN demand.merchant_order o
                               ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
                            ) AS unsettled
                       GROUP BY merchant_id, currency) AS o ON o.merchant_id = b.merchant_id AND o.currency = b.currency
            WHERE coalesce(b.pending, 0) <> coalesce(o.open, 0)""",
    ),
    (
        "due-is-lines",
        "what waits for settlement is what is left of the orders' lines, by contract",
        """SELECT coalesce(d.merchant_id, l.merchant_id), coalesce(d.order_id, l.order_id), d.contract_id, l.contract_id
           FROM demand.order_due d
           FULL JOIN (SELECT l.merchant_id, l.order_id, coalesce(l.contract_id, 0) AS contract_id,
                             sum(l.goods_minor - l.refunded_goods_minor) AS goods,
                             sum(l.freight_minor - l.refunded_freight_minor) AS freight,
                             sum(l.discount_minor) AS discount
                      FROM (SELECT DISTINCT merchant_id, order_id FROM demand.order_due) AS o
                      JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
                      GROUP BY 1, 2, 3) AS l
             ON l.merchant_id = d.merchant_id AND l.order_id = d.order_id AND l.contract_id = d.contract_id
           WHERE (d.goods_minor, d.freight_minor, d.discount_minor)
                 IS DISTINCT FROM (l.goods, l.freight, l.discount)""",
    ),
    (
        "settled-or-due",
        "a delivered order of any worth is either settled, once, or waits for it",
        f"""SELECT o.merchant_id, o.order_id, o.state, e.entry_no, d.order_id IS NOT NULL AS due
            FROM demand.merchant_order o
            LEFT JOIN (SELECT DISTINCT merchant_id, order_id FROM demand.order_due) AS d
              ON d.merchant_id = o.merchant_id AND d.order_id = o.order_id
            LEFT JOIN billing.entry e
              ON e.merchant_id = o.merchant_id AND e.kind = 'order_settled' AND e.source_id = o.order_id
            LEFT JOIN (SELECT l.merchant_id, l.order_id, sum({_LEFT_OF_LINE}) AS worth
                       FROM demand.order_line l GROUP BY l.merchant_id, l.order_id) AS l
              ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
            WHERE CASE WHEN e.entry_no IS NOT NULL OR d.order_id IS NOT NULL
                       THEN o.state NOT IN ('delivered', 'returned') OR num_nulls(e.entry_no, d.order_id) = 0
                       ELSE o.state = 'delivered' AND l.worth <> 0 END""",
    ),
)
