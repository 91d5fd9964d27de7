"""The set-based statements of a run on what its payouts keep back or carry over, over a bucket of merchants."""

from sqlalchemy import ARRAY, BigInteger, bindparam, text
from sqlalchemy.sql.elements import TextClause

from billing.runs.sql import OWED


def _bucket(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("merchants", type_=ARRAY(BigInteger)))


# Most merchants have neither terms nor a hold, and nothing that waits for its day: what the run did with the others is
# looked at for those alone.
SPECIAL = _bucket("""
SELECT merchant_id FROM billing.payout_terms WHERE merchant_id = ANY(:merchants) AND state = 'active'
UNION
SELECT merchant_id FROM billing.payout_hold WHERE merchant_id = ANY(:merchants) AND released_at IS NULL
UNION
SELECT merchant_id FROM billing.payout_due WHERE merchant_id = ANY(:merchants) AND state = 'waiting'
ORDER BY merchant_id
""")

# Whatever a run's bucket owes and has not paid (in `billing.runs.sql.PAY`, which looks at the same two tables).
CARRY = _bucket(f"""
INSERT INTO billing.payout_carried (merchant_id, run_id, currency, amount_minor, why, limit_minor)
SELECT owed.merchant_id, :run_id, owed.currency, owed.minor,
       CASE WHEN held.hold_id IS NOT NULL THEN 'on_hold' ELSE 'minimum' END,
       CASE WHEN held.hold_id IS NULL THEN t.minimum_minor END
FROM ({OWED}) AS owed
LEFT JOIN billing.payout_terms t ON t.merchant_id = owed.merchant_id AND t.currency = owed.currency
     AND t.state = 'active'
LEFT JOIN billing.payout_hold held ON held.merchant_id = owed.merchant_id AND held.released_at IS NULL
WHERE owed.minor > 0 AND (held.hold_id IS NOT NULL OR owed.minor < t.minimum_minor)
  AND coalesce(t.days, 'every_run') = 'every_run'
""")

# Who is paid on days of its own gets nothing from the run: on the day itself it is looked at what there is to pay. What
# earlier runs left is in this one's balance, and keeps its day where that comes first.
LEAVE_DUE = _bucket(f"""
INSERT INTO billing.payout_due (merchant_id, run_id, currency, due_on, state)
SELECT owed.merchant_id, :run_id, owed.currency, least(d.due_on, before.due_on), 'waiting'
FROM ({OWED}) AS owed
JOIN billing.payout_terms t ON t.merchant_id = owed.merchant_id AND t.currency = owed.currency AND t.state = 'active'
JOIN unnest(CAST(:days AS text[]), CAST(:weekdays AS smallint[]), CAST(:due_ons AS date[]))
     AS d (days, weekday, due_on) ON d.days = t.days AND d.weekday IS NOT DISTINCT FROM t.weekday
LEFT JOIN (SELECT merchant_id, currency, min(due_on) AS due_on FROM billing.payout_due
           WHERE merchant_id = ANY(:merchants) AND state = 'waiting' GROUP BY merchant_id, currency) AS before
  ON before.merchant_id = owed.merchant_id AND before.currency = owed.currency
WHERE owed.minor > 0
""")
REPLACE_DUE = _bucket("""
UPDATE billing.payout_due AS d SET state = 'replaced', replaced_by = :run_id
FROM billing.payout_due n
WHERE d.merchant_id = ANY(:merchants) AND d.state = 'waiting' AND d.run_id <> :run_id
  AND n.merchant_id = d.merchant_id AND n.run_id = :run_id AND n.currency = d.currency
""")
# Whose terms have changed to being paid by every run has been paid by this one what earlier runs left.
REPLACE_DUE_BY_RUN = _bucket("""
UPDATE billing.payout_due AS d SET state = 'replaced', replaced_by = :run_id
WHERE d.merchant_id = ANY(:merchants) AND d.state = 'waiting' AND d.run_id <> :run_id
  AND NOT EXISTS (SELECT FROM billing.payout_terms t
                  WHERE t.merchant_id = d.merchant_id AND t.currency = d.currency AND t.state = 'active'
                    AND t.days <> 'every_run')
""")
CANCEL_DUE = _bucket("""
UPDATE billing.payout_due SET state = 'cancelled' WHERE merchant_id = ANY(:merchants) AND run_id = :run_id
""")
BACK_TO_DUE = _bucket("""
UPDATE billing.payout_due SET state = 'waiting', replaced_by = NULL
WHERE merchant_id = ANY(:merchants) AND replaced_by = :run_id
""")

# `billing.payout_terms.model.reserve_of`, of payouts that still stand at their whole amount.
KEEP = _bucket("""
INSERT INTO billing.payout_reserve (merchant_id, payout_id, terms_id, currency, base_minor, held_minor, held_on,
    release_on, state)
SELECT merchant_id, payout_id, terms_id, currency, amount_minor, held_minor, instructed_on,
       instructed_on + reserve_days, CASE WHEN held_minor > 0 THEN 'held' ELSE 'released' END
FROM (
    SELECT p.merchant_id, p.payout_id, t.terms_id, p.currency, p.amount_minor, p.instructed_on, t.reserve_days,
           greatest(least(
               div((coalesce(b.base_minor, 0) + p.amount_minor) * t.reserve_ppm::numeric, 1000000)::bigint
               - coalesce(b.held_minor, 0), p.amount_minor - 1), 0) AS held_minor
    FROM billing.payout p
    JOIN billing.payout_terms t ON t.merchant_id = p.merchant_id AND t.currency = p.currency AND t.state = 'active'
    LEFT JOIN (
        SELECT merchant_id, terms_id, sum(base_minor) AS base_minor, sum(held_minor) AS held_minor
        FROM billing.payout_reserve WHERE merchant_id = ANY(:merchants) AND state <> 'cancelled'
        GROUP BY merchant_id, terms_id
    ) AS b ON b.merchant_id = t.merchant_id AND b.terms_id = t.terms_id
    WHERE p.merchant_id = ANY(:merchants) AND p.run_id = :run_id AND t.reserve_ppm > 0
) AS kept
""")

PAY_LESS = _bucket("""
UPDATE billing.payout AS p SET amount_minor = p.amount_minor - r.held_minor
FROM billing.payout_reserve r
WHERE p.merchant_id = ANY(:merchants) AND p.run_id = :run_id AND r.merchant_id = p.merchant_id
  AND r.payout_id = p.payout_id
""")

# Payable to reserve, and back: one entry per reserve that is held, on the day of its payout's own.
_POST = """
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT r.merchant_id, h.last_entry_no + row_number() OVER (PARTITION BY r.merchant_id ORDER BY r.payout_id),
       '{kind}', r.payout_id, h.entity_id, r.currency, :now, greatest(r.held_on, h.closed_through + 1),
       coalesce(r.held_on <= h.closed_through, false), ARRAY[2000, 2010], ARRAY[0, 0]::bigint[],
       ARRAY[{sign}r.held_minor, -({sign}r.held_minor)], :now, :actor
FROM billing.payout_reserve r
JOIN billing.payout p ON p.merchant_id = r.merchant_id AND p.payout_id = r.payout_id AND p.run_id = :run_id
JOIN billing.ledger_head h ON h.merchant_id = r.merchant_id
WHERE r.merchant_id = ANY(:merchants) AND r.state = 'held'
"""
POST_HELD = _bucket(_POST.format(kind="reserve_held", sign=""))
POST_GIVEN_BACK = _bucket(_POST.format(kind="reserve_released", sign="-"))

ADVANCE_HEADS = _bucket("""
UPDATE billing.ledger_head AS head SET last_entry_no = head.last_entry_no + posted.entries
FROM (
    SELECT r.merchant_id, count(*) AS entries
    FROM billing.payout_reserve r
    JOIN billing.payout p ON p.merchant_id = r.merchant_id AND p.payout_id = r.payout_id AND p.run_id = :run_id
    WHERE r.merchant_id = ANY(:merchants) AND r.state = 'held' GROUP BY r.merchant_id
) AS posted
WHERE head.merchant_id = posted.merchant_id
""")

CANCEL = _bucket("""
UPDATE billing.payout_reserve AS r SET state = 'cancelled'
FROM billing.payout p
WHERE r.merchant_id = ANY(:merchants) AND p.merchant_id = r.merchant_id AND p.payout_id = r.payout_id
  AND p.run_id = :run_id
""")

FORGET_CARRIED = _bucket("""
DELETE FROM billing.payout_carried WHERE merchant_id = ANY(:merchants) AND run_id = :run_id
""")
