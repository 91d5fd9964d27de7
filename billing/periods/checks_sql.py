"""The proofs of a month's checklist, each as one SQL query that must find nothing: what, currency, amount, in words.

They take :entity, :from_on and :to_on, and read the roll-up and the entries behind it, and what the last matching pass
has listed. What is compared with banks and processors is on accounts that somebody has named (`/match-accounts`).
Without one there is nothing to compare: a balance in the bank is then a finding, one in clearing is not, for
`clearing-is-lines` proves what settlement files say in any case. What came after the month was closed to it is in the
books on a later day, and therefore found.
"""

from billing.breaks.model import BreakKind, BreakState
from billing.ledger.movements_sql import MOVED
from billing.matching.model import Book, ItemKind, Side
from marketplace.core.money_sql import written_sql

_RESIDUES = """
    SELECT t.currency, t.processor_id, g.residue_minor AS minor
    FROM billing.match_group g
    JOIN billing.match_item t ON t.item_id = g.theirs[1] AND t.group_id = g.group_id
    WHERE g.residue_minor <> 0 AND g.book = '{book}' AND t.entity_id = :entity AND t.day < :to_on"""

# What the books have and the statements do not, yet: what was booked on 1010, less the lines that this answers for.
# What a match has booked is on the day of its line, and a payout on the day on which somebody confirmed it.
_ON_THE_WAY = f"""
    SELECT o.currency, o.amount_minor AS minor
    FROM billing.match_item o
    LEFT JOIN billing.payout p
      ON o.kind = '{ItemKind.PAYOUT}' AND p.merchant_id = o.owner_id AND p.payout_id = o.source_id
    LEFT JOIN billing.match_group g ON g.group_id = o.group_id
    LEFT JOIN billing.match_item t
      ON t.item_id = g.theirs[1] AND o.kind IN ('{ItemKind.CLAIM}', '{ItemKind.PROCESSOR_PAYOUT}')
    WHERE o.book = '{Book.BANK}' AND o.side = '{Side.OURS}' AND o.booked AND o.entity_id = :entity
      AND coalesce(p.confirmed_on, t.day, o.day) < :to_on
    UNION ALL
    SELECT currency, -amount_minor FROM billing.match_item
    WHERE book = '{Book.BANK}' AND side = '{Side.THEIRS}' AND suspense_id IS NULL AND entity_id = :entity
      AND day < :to_on
    UNION ALL
    SELECT currency, minor FROM ({_RESIDUES.format(book=Book.BANK)}) AS r"""

_CLOSING = f"""
    SELECT DISTINCT ON (s.account, s.currency) s.account, s.currency, s.closing_minor AS minor
    FROM billing.match_account a
    JOIN billing.bank_statement s ON s.account = a.account
    JOIN billing.bank_file f ON f.file_id = s.file_id AND f.state = 'read'
    WHERE a.entity_id = :entity AND a.book = '{Book.BANK}' AND s.kind = 'statement' AND s.closing_minor IS NOT NULL
      AND s.to_day < :to_on
    ORDER BY s.account, s.currency, s.to_day DESC, s.file_id DESC, s.statement_no DESC"""

# What a processor has of ours: what our books expected there, less what it has settled, charged and paid out.
_WITH_PROCESSORS = f"""
    SELECT processor_id, currency, amount_minor AS minor FROM billing.match_item
    WHERE book = '{Book.PROCESSOR}' AND side = '{Side.OURS}' AND booked AND entity_id = :entity AND day < :to_on
    UNION ALL
    SELECT processor_id, currency, -amount_minor FROM billing.match_item
    WHERE book = '{Book.PROCESSOR}' AND side = '{Side.THEIRS}' AND (booked OR kind = '{ItemKind.WRITE_OFF}')
      AND entity_id = :entity AND day < :to_on
    UNION ALL
    SELECT processor_id, currency, -fee_minor FROM billing.match_item
    WHERE book = '{Book.PROCESSOR}' AND side = '{Side.THEIRS}' AND booked_as IS NOT NULL AND entity_id = :entity
      AND day < :to_on
    UNION ALL
    SELECT o.processor_id, o.currency, -o.amount_minor
    FROM billing.match_item o
    LEFT JOIN billing.match_group g ON g.group_id = o.group_id
    LEFT JOIN billing.match_item t ON t.item_id = g.theirs[1]
    WHERE o.kind = '{ItemKind.PROCESSOR_PAYOUT}' AND o.booked AND o.entity_id = :entity
      AND coalesce(t.day, o.day) < :to_on
    UNION ALL
    SELECT processor_id, currency, minor FROM ({_RESIDUES.format(book=Book.PROCESSOR)}) AS r"""

CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "bank-is-statement",
        "the bank's account in the books is what the last statements of the month close at, and what is on its way",
        f"""SELECT 'bank', m.currency, m.books - m.said - m.way,
                   'books ' || {written_sql("m.books", "m.currency")}
                   || CASE WHEN m.statements = 0 THEN ', and nothing to compare: no statement by the end of the month'
                           ELSE ', statements ' || {written_sql("m.said", "m.currency")} || ', on the way '
                                || {written_sql("m.way", "m.currency")} END
            FROM (SELECT currency, coalesce(sum(minor) FILTER (WHERE what = 'books'), 0)::bigint AS books,
                         coalesce(sum(minor) FILTER (WHERE what = 'said'), 0)::bigint AS said,
                         coalesce(sum(minor) FILTER (WHERE what = 'way'), 0)::bigint AS way,
                         count(*) FILTER (WHERE what = 'said') AS statements
                  FROM (SELECT 'books' AS what, currency, minor FROM {MOVED.format(accounts="1010")}
                        UNION ALL SELECT 'said', currency, minor FROM ({_CLOSING}) AS c
                        UNION ALL SELECT 'way', currency, minor FROM ({_ON_THE_WAY}) AS w) AS one
                  GROUP BY currency) AS m
            WHERE m.books <> m.said + m.way""",
    ),
    (
        "clearing-is-items",
        "what the processors' clearing account stands at is what its open items come to, since it is matched",
        f"""SELECT 'processor ' || coalesce(b.processor_id, i.processor_id), coalesce(b.currency, i.currency),
                   coalesce(b.minor, 0) - coalesce(i.minor, 0),
                   'books ' || {written_sql("coalesce(b.minor, 0)", "coalesce(b.currency, i.currency)")}
                   || ', open items ' || {written_sql("coalesce(i.minor, 0)", "coalesce(b.currency, i.currency)")}
            FROM (SELECT a.processor_id, m.currency, sum(m.minor)::bigint AS minor
                  FROM (SELECT dimension, currency, effective_on, sum(minor) AS minor
                        FROM {MOVED.format(accounts="1020")} GROUP BY dimension, currency, effective_on) AS m
                  JOIN (SELECT processor_id, min(from_on) AS from_on FROM billing.match_account
                        WHERE entity_id = :entity AND book = '{Book.PROCESSOR}' GROUP BY processor_id) AS a
                    ON a.processor_id = m.dimension AND m.effective_on >= a.from_on
                  GROUP BY a.processor_id, m.currency) AS b
            FULL JOIN (SELECT processor_id, currency, sum(minor)::bigint AS minor FROM ({_WITH_PROCESSORS}) AS one
                       GROUP BY processor_id, currency) AS i
              ON i.processor_id = b.processor_id AND i.currency = b.currency
            WHERE coalesce(b.minor, 0) <> coalesce(i.minor, 0)""",
    ),
    (
        "suspense-is-lines",
        "account 2900 is, line by line, lines of banks that nobody had claimed by the end of the month",
        f"""SELECT coalesce('line ' || nullif(coalesce(b.line_id, i.line_id), 0), 'no line'),
                   coalesce(b.currency, i.currency), coalesce(b.minor, 0) - coalesce(i.minor, 0),
                   CASE WHEN i.line_id IS NULL THEN 'booked, and no line of a bank' WHEN b.line_id IS NULL
                        THEN 'open, and not booked in the month'
                        ELSE 'books ' || {written_sql("b.minor", "b.currency")} || ', the line '
                             || {written_sql("i.minor", "i.currency")} END
            FROM (SELECT dimension AS line_id, currency, -sum(minor)::bigint AS minor
                  FROM {MOVED.format(accounts="2900")} GROUP BY dimension, currency HAVING sum(minor) <> 0) AS b
            FULL JOIN (SELECT source_id AS line_id, currency, amount_minor AS minor, suspense_id FROM billing.match_item
                       WHERE kind = '{ItemKind.BANK_LINE}' AND entity_id = :entity AND day < :to_on) AS i
              ON i.line_id = b.line_id AND i.currency = b.currency
            WHERE b.minor IS DISTINCT FROM i.minor AND (b.line_id IS NOT NULL OR i.suspense_id IS NOT NULL)""",
    ),
    (
        "breaks-are-accepted",
        "what does not match by the end of the month, and is not merely early, is resolved or accepted by two people",
        f"""SELECT replace(b.kind, '_', ' ') || ', break ' || b.break_id, b.currency, b.amount_minor, b.detail
            FROM billing.recon_break b LEFT JOIN billing.match_item i ON i.item_id = b.item_id
            WHERE b.entity_id = :entity AND b.closed_at IS NULL AND b.state <> '{BreakState.ACCEPTED}'
              AND b.kind <> '{BreakKind.EXPECTED}' AND coalesce(i.day, b.expected_on) < :to_on""",
    ),
    (
        "clearing-is-lines",
        "what has left the processors' clearing account is, line by line, what their settlement files say",
        f"""SELECT 'line ' || coalesce(l.line_ref, b.line_id::text), coalesce(l.currency, b.currency),
                  coalesce(b.minor, 0) + coalesce(l.minor, 0),
                  CASE WHEN l.line_id IS NULL THEN 'booked, and in no file' WHEN b.line_id IS NULL THEN 'not booked'
                       ELSE 'booked ' || {written_sql("b.minor", "b.currency")} || ', the file says '
                            || {written_sql("-l.minor", "l.currency")} END
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
             AND (b.line_id IS NOT NULL OR l.line_id NOT IN (
                 SELECT source_id FROM billing.entry WHERE kind = 'processor_settled'))
             AND (l.line_id IS NOT NULL OR b.line_id NOT IN (SELECT line_id FROM billing.processor_line))""",
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
                        ELSE 'books ' || {written_sql("coalesce(b.minor, 0)", "s.currency")} || ', statement '
                             || {written_sql("s.closing_minor", "s.currency")} END
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
