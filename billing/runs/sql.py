"""The set-based statements of a run over a bucket of merchants."""

from sqlalchemy import ARRAY, BigInteger, Date, bindparam, text
from sqlalchemy.sql.elements import TextClause

from billing.ledger.tables import BESIDE_ORDERS
from billing.runs.model import (
    AD_KINDS,
    COLUMNS,
    INCENTIVE_KINDS,
    NAMED_KINDS,
    PAYOUT_KINDS,
    PRODUCT_KINDS,
    REBATE_KINDS,
)


def _bucket(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("merchants", type_=ARRAY(BigInteger)))


def _any_of(kinds: tuple[str, ...]) -> str:
    return "kind IN (" + ", ".join(f"'{kind}'" for kind in kinds) + ")"


# Both tables are cut to the bucket, or one of them would be read whole for each.
UNROLLED = """billing.ledger_head h
    JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
     AND h.merchant_id = ANY(:merchants) AND r.merchant_id = ANY(:merchants)"""


def span(*accounts: int) -> str:
    """Which of a merchant's entries can move these accounts in a period: from the roll-up, and all behind it."""
    return f"""
SELECT merchant_id, min(first_no) AS first_no, max(last_no) AS last_no
FROM (
    SELECT d.merchant_id, min(d.first_entry_no) AS first_no, max(d.last_entry_no) AS last_no
    FROM billing.account_day d
    WHERE d.merchant_id = ANY(:merchants) AND d.account IN ({", ".join(str(account) for account in accounts)})
      AND d.effective_on >= :from_on AND d.effective_on < :to_on
    GROUP BY d.merchant_id
    UNION ALL
    SELECT h.merchant_id, r.rolled_no + 1, h.last_entry_no
    FROM {UNROLLED}
) AS part
GROUP BY merchant_id"""


# For each merchant and currency of the bucket with anything to show:
#   span      which of its entries can belong to the period (from the roll-up; what is not rolled up yet is included)
#   held      the payable account before the period and at its end, from the ledger alone
#   rated     orders, goods to VAT, from the commission lines
#   moved     every other movement of the payable account, by entry kind
#   charged   what the run itself charges and posts when it is final
# closing is what the ledger says; a statement whose columns do not reach it is parked, never adjusted.
COMPUTED = f"""
SELECT held.merchant_id, held.currency, h.last_entry_no AS to_no, coalesce(rated.orders, 0) AS orders,
       held.opening_minor, held.closing_minor,
       coalesce(rated.goods_minor, 0) AS goods_minor, coalesce(rated.freight_minor, 0) AS freight_minor,
       coalesce(rated.discount_minor, 0) AS discount_minor, coalesce(rated.refund_minor, 0) AS refund_minor,
       coalesce(rated.commission_minor, 0) AS commission_minor, coalesce(rated.vat_minor, 0) AS vat_minor,
       coalesce(moved.incentive_minor, 0) AS incentive_minor, coalesce(moved.rebate_minor, 0) AS rebate_minor,
       coalesce(moved.ads_minor, 0) AS ads_minor, coalesce(moved.products_minor, 0) AS products_minor,
       coalesce(moved.other_minor, 0) - coalesce(charged.minor, 0) AS other_minor,
       coalesce(moved.payout_minor, 0) AS payout_minor
FROM (
    SELECT merchant_id, currency, max(windowed) AS windowed, sum(movements) AS movements,
           (-coalesce(sum(balance) FILTER (WHERE effective_on < :from_on), 0))::bigint AS opening_minor,
           (-coalesce(sum(balance), 0))::bigint AS closing_minor
    FROM (
        SELECT d.merchant_id, d.currency, d.effective_on, d.debit_minor - d.credit_minor AS balance, 0 AS windowed,
               CASE WHEN d.effective_on >= :from_on THEN d.lines ELSE 0 END AS movements
        FROM billing.account_day d
        WHERE d.merchant_id = ANY(:merchants) AND d.account = 2000 AND d.effective_on < :to_on
        UNION ALL
        SELECT e.merchant_id, e.currency, e.effective_on, leg.amount, 0,
               CASE WHEN e.effective_on >= :from_on THEN 1 ELSE 0 END
        FROM {UNROLLED}
        JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
             unnest(e.accounts, e.amounts) AS leg (account, amount)
        WHERE leg.account = 2000 AND e.effective_on < :to_on
        UNION ALL
        SELECT c.merchant_id, c.currency, CAST(:from_on AS date), c.fee_minor + c.vat_minor, 0, 1
        FROM billing.run_charge c
        WHERE c.merchant_id = ANY(:merchants) AND c.run_id = :run_id AND c.state = 'due'
        UNION ALL
        SELECT w.merchant_id, right(w.charge, 3), w.to_on, 0, 1, 0
        FROM billing.billing_window w
        WHERE w.merchant_id = ANY(:merchants) AND w.to_on = :from_on AND w.charge LIKE 'statement:%'
    ) AS movement
    GROUP BY merchant_id, currency
) AS held
JOIN billing.ledger_head h ON h.merchant_id = held.merchant_id AND h.merchant_id = ANY(:merchants)
LEFT JOIN (
    SELECT c.merchant_id, c.currency, count(DISTINCT c.entry_no) FILTER (WHERE c.kind = 'sale') AS orders,
           sum(c.goods_minor) FILTER (WHERE c.kind = 'sale')::bigint AS goods_minor,
           sum(c.freight_minor) FILTER (WHERE c.kind = 'sale')::bigint AS freight_minor,
           -sum(c.discount_minor) FILTER (WHERE c.kind = 'sale')::bigint AS discount_minor,
           sum(c.goods_minor + c.freight_minor - c.discount_minor) FILTER (WHERE c.kind = 'refund')::bigint
               AS refund_minor,
           -sum(c.commission_minor)::bigint AS commission_minor, -sum(c.vat_minor)::bigint AS vat_minor
    FROM ({span(2000)}) AS span
    JOIN billing.commission_line c ON c.merchant_id = span.merchant_id
     AND c.entry_no BETWEEN span.first_no AND span.last_no
    WHERE c.effective_on >= :from_on AND c.effective_on < :to_on
    GROUP BY c.merchant_id, c.currency
) AS rated ON rated.merchant_id = held.merchant_id AND rated.currency = held.currency
LEFT JOIN (
    SELECT e.merchant_id, e.currency,
           -sum(leg.amount) FILTER (WHERE {_any_of(PAYOUT_KINDS)})::bigint AS payout_minor,
           -sum(leg.amount) FILTER (WHERE {_any_of(INCENTIVE_KINDS)})::bigint AS incentive_minor,
           -sum(leg.amount) FILTER (WHERE {_any_of(REBATE_KINDS)})::bigint AS rebate_minor,
           -sum(leg.amount) FILTER (WHERE {_any_of(AD_KINDS)})::bigint AS ads_minor,
           -sum(leg.amount) FILTER (WHERE {_any_of(PRODUCT_KINDS)})::bigint AS products_minor,
           -sum(leg.amount) FILTER (WHERE NOT {_any_of(NAMED_KINDS)})::bigint AS other_minor
    FROM ({span(2000)}) AS span
    JOIN billing.entry e ON e.merchant_id = span.merchant_id AND e.entry_no BETWEEN span.first_no AND span.last_no,
         unnest(e.accounts, e.amounts) AS leg (account, amount)
    WHERE e.effective_on >= :from_on AND e.effective_on < :to_on AND leg.account = 2000
      AND e.{BESIDE_ORDERS}
    GROUP BY e.merchant_id, e.currency
) AS moved ON moved.merchant_id = held.merchant_id AND moved.currency = held.currency
LEFT JOIN (
    SELECT merchant_id, currency, sum(fee_minor + vat_minor)::bigint AS minor FROM billing.run_charge
    WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = 'due' GROUP BY merchant_id, currency
) AS charged ON charged.merchant_id = held.merchant_id AND charged.currency = held.currency
WHERE held.windowed = 1 OR held.movements > 0 OR held.opening_minor <> 0
"""

_COLUMNS = ", ".join(COLUMNS)
_SUM = " + ".join(COLUMNS)

FORGET_PREVIEW = _bucket("""
DELETE FROM billing.statement
WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state IN ('preview', 'parked')
""")

PREVIEW = _bucket(f"""
INSERT INTO billing.statement (merchant_id, run_id, currency, from_on, to_on, to_no, orders, opening_minor,
    {_COLUMNS}, closing_minor, state, reason)
SELECT merchant_id, :run_id, currency, :from_on, :to_on, to_no, orders, opening_minor, {_COLUMNS}, closing_minor,
       CASE WHEN closing_minor = opening_minor + {_SUM} THEN 'preview' ELSE 'parked' END,
       CASE WHEN closing_minor <> opening_minor + {_SUM}
            THEN 'the ledger closes at ' || closing_minor || ', the columns at ' || (opening_minor + {_SUM}) END
FROM ({COMPUTED}) AS computed
""")

# A merchant is left out as a whole: with all its currencies, and while its books are open in an earlier period.
LEFT_BEHIND = "(h.closed_through < :closed_before OR (h.closed_through IS NULL AND :closed_before IS NOT NULL)) IS TRUE"
PARK_WITH = _bucket(f"""
UPDATE billing.statement AS s SET state = 'parked', reason = why.reason
FROM (
    SELECT merchant_id, 'parked with ' || min(currency) AS reason FROM billing.statement
    WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = 'parked' GROUP BY merchant_id
    UNION ALL
    SELECT h.merchant_id, 'parked in an earlier period, which comes first' FROM billing.ledger_head h
    WHERE h.merchant_id = ANY(:merchants) AND {LEFT_BEHIND}
) AS why
WHERE s.merchant_id = ANY(:merchants) AND s.run_id = :run_id AND s.state = 'preview' AND why.merchant_id = s.merchant_id
""").bindparams(bindparam("closed_before", type_=Date))
LEFT_OUT = _bucket(f"""
SELECT h.merchant_id FROM billing.ledger_head h
WHERE h.merchant_id = ANY(:merchants) AND ({LEFT_BEHIND} OR EXISTS (
    SELECT FROM billing.statement s
    WHERE s.merchant_id = h.merchant_id AND s.run_id = :run_id AND s.state = 'parked'))
""").bindparams(bindparam("closed_before", type_=Date))
STILL_OPEN = text(f"""
SELECT count(*) FROM billing.ledger_head h
WHERE h.entity_id = :entity AND (h.closed_through IS NULL OR h.closed_through < :closed) AND NOT ({LEFT_BEHIND})
  AND NOT EXISTS (SELECT FROM billing.statement s
                  WHERE s.merchant_id = h.merchant_id AND s.run_id = :run_id AND s.state = 'parked')
""").bindparams(bindparam("closed", type_=Date), bindparam("closed_before", type_=Date))

LOCK_HEADS = _bucket("""
UPDATE billing.ledger_head SET last_entry_no = last_entry_no WHERE merchant_id = ANY(:merchants)
""")

# Merchants whose books moved since their preview, or that had nothing to show then.
MOVED = _bucket("""
SELECT h.merchant_id FROM billing.ledger_head h
WHERE h.merchant_id = ANY(:merchants) AND NOT EXISTS (
    SELECT FROM billing.statement s
    WHERE s.merchant_id = h.merchant_id AND s.run_id = :run_id AND s.to_no = h.last_entry_no)
ORDER BY h.merchant_id
""")

FLIP = _bucket("""
UPDATE billing.statement AS s SET state = 'final', to_no = h.last_entry_no
FROM billing.ledger_head h
WHERE s.merchant_id = ANY(:merchants) AND s.run_id = :run_id AND s.state = 'preview'
  AND h.merchant_id = s.merchant_id AND h.merchant_id = ANY(:merchants)
""")

OPEN_WINDOWS = _bucket("""
INSERT INTO billing.billing_window (merchant_id, charge, to_on, follows_on, from_on, run_id)
SELECT s.merchant_id, 'statement:' || s.currency, s.to_on, before.to_on, s.from_on, s.run_id
FROM billing.statement s
LEFT JOIN billing.billing_window before ON before.merchant_id = s.merchant_id
 AND before.charge = 'statement:' || s.currency AND before.to_on = s.from_on
WHERE s.merchant_id = ANY(:merchants) AND s.run_id = :run_id AND s.state = 'final'
""")

# Never more than the statement closes at, never more than the merchant still has: later refunds count. Statements are
# counted in, not joined: they are fresh, and without statistics a join would read the movements once for each of them.
# It goes to the account that is active now; a change that is still cooling down gets nothing.
OWED = f"""
    SELECT merchant_id, currency, least(max(closing_minor), -sum(balance))::bigint AS minor
    FROM (
        SELECT s.merchant_id, s.currency, s.closing_minor, 0 AS balance FROM billing.statement s
        WHERE s.merchant_id = ANY(:merchants) AND s.run_id = :run_id AND s.state = 'final'
        UNION ALL
        SELECT d.merchant_id, d.currency, NULL, d.debit_minor - d.credit_minor
        FROM billing.account_day d WHERE d.merchant_id = ANY(:merchants) AND d.account = 2000
        UNION ALL
        SELECT e.merchant_id, e.currency, NULL, leg.amount
        FROM {UNROLLED}
        JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
             unnest(e.accounts, e.amounts) AS leg (account, amount)
        WHERE leg.account = 2000
    ) AS found
    GROUP BY merchant_id, currency HAVING max(closing_minor) IS NOT NULL"""

PAY = _bucket(f"""
INSERT INTO billing.payout (merchant_id, payout_id, run_id, currency, amount_minor, instructed_on, state,
    bank_account_id)
SELECT owed.merchant_id,
       :run_id * 100 + row_number() OVER (PARTITION BY owed.merchant_id ORDER BY owed.currency) - 1, :run_id,
       owed.currency, owed.minor, :payout_on, 'instructed', b.account_id
FROM ({OWED}) AS owed
LEFT JOIN billing.bank_account b ON b.merchant_id = owed.merchant_id AND b.currency = owed.currency
     AND b.state = 'active'
LEFT JOIN billing.payout_terms t ON t.merchant_id = owed.merchant_id AND t.currency = owed.currency
     AND t.state = 'active'
LEFT JOIN billing.payout_hold held ON held.merchant_id = owed.merchant_id AND held.released_at IS NULL
WHERE owed.minor > 0 AND owed.minor >= coalesce(t.minimum_minor, 0) AND held.hold_id IS NULL
  AND coalesce(t.days, 'every_run') = 'every_run'
""")

ITEMISE = _bucket("""
INSERT INTO billing.payout_item (merchant_id, payout_id, run_id, amount_minor)
SELECT merchant_id, payout_id, run_id, amount_minor FROM billing.payout
WHERE merchant_id = ANY(:merchants) AND run_id = :run_id
""")

# Postings K and its mirror: payable to payout in transit, and back. The books may be closed beyond the day wished for.
_POST = """
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT p.merchant_id, h.last_entry_no + row_number() OVER (PARTITION BY p.merchant_id ORDER BY p.payout_id),
       '{kind}', p.payout_id, h.entity_id, p.currency, :now, greatest(p.instructed_on, h.closed_through + 1),
       coalesce(p.instructed_on <= h.closed_through, false), ARRAY[2000, 2020], ARRAY[0, 0]::bigint[],
       ARRAY[{sign}p.amount_minor, -({sign}p.amount_minor)], :now, :actor
FROM billing.payout p JOIN billing.ledger_head h ON h.merchant_id = p.merchant_id
WHERE p.merchant_id = ANY(:merchants) AND p.run_id = :run_id AND p.state = 'instructed'
"""
POST_PAYOUTS = _bucket(_POST.format(kind="payout_instructed", sign=""))
POST_CANCELLATIONS = _bucket(_POST.format(kind="payout_cancelled", sign="-"))

ADVANCE_HEADS = _bucket("""
UPDATE billing.ledger_head AS head SET last_entry_no = head.last_entry_no + posted.entries
FROM (
    SELECT merchant_id, count(*) AS entries FROM billing.payout
    WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = 'instructed' GROUP BY merchant_id
) AS posted
WHERE head.merchant_id = posted.merchant_id
""")

CLOSE_HEADS = _bucket("UPDATE billing.ledger_head SET closed_through = :closed WHERE merchant_id = ANY(:merchants)")

# What the run has closed, and only that: a merchant that it left out stands where it stood.
REOPEN_HEADS = _bucket("""
UPDATE billing.ledger_head SET closed_through = :closed_before
WHERE merchant_id = ANY(:merchants) AND closed_through = :last_on
""")

CANCEL_PAYOUTS = _bucket("""
UPDATE billing.payout SET state = 'cancelled'
WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = 'instructed'
""")

KEEP_WINDOWS = _bucket("""
INSERT INTO billing.billing_window_history (merchant_id, charge, to_on, run_id, from_on, reversed_at, reversed_by)
SELECT merchant_id, charge, to_on, run_id, from_on, :now, :actor FROM billing.billing_window
WHERE merchant_id = ANY(:merchants) AND run_id = :run_id
""")
DROP_WINDOWS = _bucket("DELETE FROM billing.billing_window WHERE merchant_id = ANY(:merchants) AND run_id = :run_id")
REVERSE_STATEMENTS = _bucket("""
UPDATE billing.statement SET state = 'reversed'
WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = 'final'
""")
