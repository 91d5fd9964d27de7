"""Which breaks there should be now, by what is open; set-based.

`recon_wanted` gets a row for each; then those that are new are opened, those that turned into something else say so,
and those that are resolved are closed.
"""

from billing.breaks.model import RESPONSES, BreakKind
from billing.matching.model import ItemKind
from marketplace.core.money_sql import written_sql

K = BreakKind

# The day that it is for a legal entity e; what belongs to none goes by UTC.
_TODAY = "(CAST(:now AS timestamptz) AT TIME ZONE coalesce(e.zone, 'UTC'))::date"

# Equal to what it belongs to, and dated later than today: nothing is booked before its day.
_TO_COME = f"o.amount_minor = t.amount_minor AND o.currency = t.currency AND t.day > {_TODAY}"

TABLE = """
CREATE TEMP TABLE recon_wanted (subject text PRIMARY KEY, kind text NOT NULL, item_id bigint, other_id bigint,
    entity_id integer, currency text NOT NULL, amount_minor bigint NOT NULL, detail text NOT NULL,
    expected_on date NOT NULL) ON COMMIT DROP"""

# Every open line with the first of the items that it could belong to, by a reference; an item belongs to one line.
_PARTNERS = """
WITH open_theirs AS MATERIALIZED (
    SELECT t.item_id, t.book, t.entity_id, t.currency, t.amount_minor, t.day, t.sort_key, k.key
    FROM billing.match_item t CROSS JOIN LATERAL (SELECT DISTINCT unnest(t.keys) AS key) AS k
    WHERE t.group_id IS NULL AND t.side = 'theirs'
), open_ours AS MATERIALIZED (
    SELECT o.item_id, o.book, o.entity_id, o.currency, o.amount_minor, o.day, o.sort_key, o.apart, k.key
    FROM billing.match_item o
    CROSS JOIN LATERAL (SELECT DISTINCT unnest(o.keys || nullif(o.batch_ref, '')) AS key) AS k
    WHERE o.group_id IS NULL AND o.side = 'ours' AND k.key IS NOT NULL
), fits AS (
    SELECT DISTINCT t.item_id AS theirs_id, o.item_id AS ours_id, t.currency = o.currency AS same,
           abs(t.amount_minor - o.amount_minor) AS apart, t.day, t.sort_key, o.day AS ours_day, o.sort_key AS ours_key
    FROM open_theirs t JOIN open_ours o ON o.book = t.book AND o.entity_id = t.entity_id AND o.key = t.key
     AND t.item_id <> ALL(o.apart)
), pair AS (
    SELECT f.*, count(*) OVER (PARTITION BY theirs_id) > 1 OR count(*) OVER (PARTITION BY ours_id) > 1 AS several
    FROM fits f
), of_theirs AS (
    SELECT DISTINCT ON (theirs_id) * FROM pair
    ORDER BY theirs_id, same DESC, apart, ours_day, ours_key
)
SELECT DISTINCT ON (ours_id) theirs_id, ours_id, several FROM of_theirs
ORDER BY ours_id, same DESC, apart, day, sort_key"""

PARTNERS = f"CREATE TEMP TABLE recon_partner ON COMMIT DROP AS {_PARTNERS}"

THEIRS = f"""
INSERT INTO recon_wanted
SELECT 'item:' || t.item_id,
       CASE WHEN {_TO_COME} THEN '{K.EXPECTED}'
            WHEN o.item_id IS NOT NULL AND o.currency <> t.currency THEN '{K.CURRENCY}'
            WHEN o.item_id IS NOT NULL AND (o.amount_minor > 0) <> (t.amount_minor > 0) THEN '{K.STATUS}'
            WHEN o.kind = '{ItemKind.REFUND}' AND NOT o.booked AND o.amount_minor = t.amount_minor THEN '{K.STATUS}'
            WHEN o.item_id IS NULL AND t.reference <> '' AND EXISTS (
                SELECT FROM billing.match_item twin
                WHERE twin.reference = t.reference AND twin.side = 'theirs' AND twin.group_id IS NOT NULL
                  AND twin.book = t.book AND twin.currency = t.currency AND twin.amount_minor = t.amount_minor)
                THEN '{K.DUPLICATE_EXTERNAL}'
            WHEN o.item_id IS NOT NULL AND p.several THEN '{K.SPLIT_INCOMPLETE}'
            WHEN o.item_id IS NOT NULL AND (e.currency <> t.currency OR o.words LIKE 'exchange_%')
                THEN '{K.FX_VARIANCE}'
            WHEN o.item_id IS NOT NULL AND t.book = 'processor' AND t.fee_minor IS NULL
                 AND abs(t.amount_minor) < abs(o.amount_minor) THEN '{K.FEE_VARIANCE}'
            WHEN o.item_id IS NOT NULL THEN '{K.AMOUNT}'
            WHEN t.book = 'bank' AND t.amount_minor > 0 AND EXISTS (
                SELECT FROM billing.match_item paid
                WHERE paid.reference = ANY(t.keys) AND paid.side = 'ours' AND paid.kind = 'payout' AND paid.booked)
                THEN '{K.PAYOUT_RETURNED}'
            WHEN t.book = 'processor' AND t.amount_minor < 0 THEN '{K.STATUS}'
            WHEN t.book = 'bank' AND t.amount_minor > 0 THEN '{K.UNIDENTIFIED_RECEIPT}'
            ELSE '{K.MISSING_INTERNAL}' END,
       t.item_id, o.item_id, t.entity_id, t.currency,
       CASE WHEN o.item_id IS NULL OR o.currency <> t.currency OR {_TO_COME} THEN t.amount_minor
            WHEN o.kind = '{ItemKind.REFUND}' AND NOT o.booked THEN t.amount_minor
            WHEN p.several AND o.batch_ref <> '' THEN t.amount_minor - (
                SELECT sum(b.amount_minor) FROM billing.match_item b
                WHERE b.batch_ref = o.batch_ref AND b.group_id IS NULL AND b.side = 'ours' AND b.book = o.book
                  AND b.entity_id = o.entity_id AND b.currency = o.currency)
            ELSE t.amount_minor - o.amount_minor END,
       t.kind || ' ' || t.reference, greatest(t.expected_on, t.day)
FROM billing.match_item t
JOIN billing.entity e ON e.entity_id = t.entity_id
LEFT JOIN recon_partner p ON p.theirs_id = t.item_id
LEFT JOIN billing.match_item o ON o.item_id = p.ours_id
WHERE t.group_id IS NULL AND t.side = 'theirs'"""

OURS = f"""
INSERT INTO recon_wanted
SELECT 'item:' || o.item_id,
       CASE WHEN o.reference <> '' AND EXISTS (
                SELECT FROM billing.match_item twin
                WHERE twin.reference = o.reference AND twin.side = 'ours' AND twin.item_id <> o.item_id
                  AND twin.book = o.book AND twin.currency = o.currency AND twin.amount_minor = o.amount_minor
                  AND (twin.group_id IS NOT NULL OR (twin.day, twin.sort_key) < (o.day, o.sort_key)))
                THEN '{K.DUPLICATE_INTERNAL}'
            WHEN o.expected_on < {_TODAY} THEN '{K.MISSING_EXTERNAL}'
            WHEN date_trunc('month', o.day) < date_trunc('month', {_TODAY}) THEN '{K.CUT_OFF}'
            ELSE '{K.EXPECTED}' END,
       o.item_id, NULL, o.entity_id, o.currency, o.amount_minor, o.kind || ' ' || o.reference, o.expected_on
FROM billing.match_item o
JOIN billing.entity e ON e.entity_id = o.entity_id
WHERE o.group_id IS NULL AND o.side = 'ours'
  AND NOT EXISTS (SELECT FROM recon_partner p WHERE p.ours_id = o.item_id)
  AND (o.batch_ref = '' OR NOT EXISTS (
      SELECT FROM recon_partner p JOIN billing.match_item q ON q.item_id = p.ours_id
      WHERE p.several AND q.batch_ref = o.batch_ref AND q.entity_id = o.entity_id AND q.currency = o.currency))"""

# What batches stand at on account 1030: the roll-up and the entries behind it.
CONTROL = f"""
INSERT INTO recon_wanted
SELECT 'batch:' || b.batch_id || ':' || b.currency, '{K.CONTROL_IMBALANCE}', NULL, NULL, min(b.entity_id), b.currency,
       sum(b.minor), 'batch ' || b.batch_id || ' on account 1030', max(b.day)
FROM (SELECT d.dimension AS batch_id, d.currency, h.entity_id, d.debit_minor - d.credit_minor AS minor,
             d.effective_on AS day
      FROM billing.account_day d JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id WHERE d.account = 1030
      UNION ALL
      SELECT leg.dimension, e.currency, e.entity_id, leg.amount, e.effective_on
      FROM billing.ledger_roll r
      JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
           unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
      WHERE leg.account = 1030) AS b
GROUP BY b.batch_id, b.currency HAVING sum(b.minor) <> 0"""

GAP = f"""
INSERT INTO recon_wanted
SELECT :subject, '{K.STATEMENT_GAP}', NULL, NULL, a.entity_id, :currency, :minor, :detail, :day
FROM billing.match_account a WHERE a.account = :account
ON CONFLICT DO NOTHING"""

# Lines matched since the last pass, those with a live break, and those on days for which fees were approved since: what
# they cost against what was agreed for the day.
FEES = f"""
WITH last AS MATERIALIZED (
    SELECT coalesce(max(started_at), '-infinity') AS began FROM billing.match_run
    WHERE state = 'done' AND found <> '{{}}'
), agreed AS MATERIALIZED (
    SELECT s.processor_id, s.from_on,
           lead(s.from_on, 1, 'infinity') OVER (PARTITION BY s.processor_id ORDER BY s.from_on) AS until_on, s.fees
    FROM (SELECT DISTINCT ON (processor_id, from_on) * FROM billing.fee_schedule WHERE approved_at IS NOT NULL
          ORDER BY processor_id, from_on, version DESC) AS s
), fee AS MATERIALIZED (
    SELECT a.processor_id, a.from_on, a.until_on, f.method, f.currency, f.fixed_minor, f.ppm
    FROM agreed a, jsonb_to_recordset(a.fees) AS f (method text, currency text, fixed_minor bigint, ppm bigint)
), charged AS (
    SELECT t.item_id, t.entity_id, t.processor_id, t.currency, t.amount_minor, t.fee_minor, t.day, t.reference,
           o.words AS method, o.kind = '{ItemKind.CAPTURE}' AS paid
    FROM billing.match_group g
    JOIN billing.match_item t ON t.item_id = g.theirs[1] AND t.group_id = g.group_id AND t.fee_minor IS NOT NULL
    JOIN billing.match_item o ON o.item_id = g.ours[1] AND o.kind IN ('{ItemKind.CAPTURE}', '{ItemKind.PROCESSOR_FEE}')
    WHERE g.book = 'processor' AND cardinality(g.theirs) = 1 AND cardinality(g.ours) = 1
      AND (g.run_id IN (SELECT run_id FROM billing.match_run WHERE state = 'running')
           OR g.run_id IS NULL AND g.made_at >= (SELECT began FROM last)
           OR g.group_id IN (SELECT i.group_id FROM billing.recon_break b
                             JOIN billing.match_item i ON i.item_id = b.item_id
                             WHERE b.closed_at IS NULL AND b.subject LIKE 'fee:%')
           OR g.group_id IN (SELECT i.group_id FROM billing.fee_schedule s
                             JOIN billing.match_item i ON i.processor_id = s.processor_id AND i.day >= s.from_on
                             WHERE s.approved_at >= (SELECT began FROM last) AND i.side = 'theirs'
                               AND i.fee_minor IS NOT NULL AND i.group_id IS NOT NULL))
), compared AS (
    SELECT c.*, coalesce(own.fixed_minor, every.fixed_minor)
                + round(c.amount_minor::numeric * coalesce(own.ppm, every.ppm) / 1000000)::bigint AS agreed_minor
    FROM charged c
    LEFT JOIN fee own ON own.processor_id = c.processor_id AND own.currency = c.currency AND own.method = c.method
                     AND own.method <> '' AND c.day >= own.from_on AND c.day < own.until_on
    LEFT JOIN fee every ON every.processor_id = c.processor_id AND every.currency = c.currency AND every.method = ''
                       AND c.paid AND c.day >= every.from_on AND c.day < every.until_on
)
INSERT INTO recon_wanted
SELECT 'fee:' || item_id, '{K.FEE_VARIANCE}', item_id, NULL, entity_id, currency, fee_minor - agreed_minor,
       'fee ' || {written_sql("fee_minor", "currency")} || ' of ' || reference || ', agreed '
              || {written_sql("agreed_minor", "currency")}, day
FROM compared WHERE abs(fee_minor - agreed_minor) > 1"""

# What is not due has until it is.
_HOURS = f"WHEN w.kind IN ('{K.EXPECTED}', '{K.CUT_OFF}') THEN NULL " + " ".join(
    f"WHEN abs(w.amount_minor) >= {least} OR {_TODAY} - w.expected_on >= {days} THEN {hours}"
    for least, days, hours in RESPONSES
)

OPEN = f"""
WITH opened AS (
    INSERT INTO billing.recon_break (break_id, subject, kind, state, item_id, other_id, entity_id, currency,
                                     amount_minor, detail, expected_on, respond_by, opened_at)
    SELECT :last + row_number() OVER (ORDER BY w.expected_on, w.subject), w.subject, w.kind, 'open', w.item_id,
           w.other_id, w.entity_id, w.currency, w.amount_minor, w.detail, w.expected_on,
           CAST(:now AS timestamptz) + (CASE {_HOURS} END) * interval '1 hour', :now
    FROM recon_wanted w LEFT JOIN billing.entity e ON e.entity_id = w.entity_id
    WHERE NOT EXISTS (SELECT FROM billing.recon_break b WHERE b.subject = w.subject AND b.closed_at IS NULL)
    RETURNING break_id, kind
)
INSERT INTO billing.recon_break_step (break_id, step_no, what, words, detail, actor, at)
SELECT break_id, 1, 'opened', '', jsonb_build_object('kind', kind), :actor, :now FROM opened"""

# The steps that a change of many breaks leaves behind, each behind the last one of its break.
_STEPS = """
INSERT INTO billing.recon_break_step (break_id, step_no, what, words, detail, actor, at)
SELECT c.break_id, (SELECT max(s.step_no) + 1 FROM billing.recon_break_step s WHERE s.break_id = c.break_id),
       '{what}', '', {detail}, :actor, :now
FROM changed c"""

_TURNED = "jsonb_strip_nulls(jsonb_build_object('before', c.before, 'kind', c.then, 'was', c.agreed))"

# What was asked for or agreed was of this kind, this amount and this counterpart: with any other it is open anew.
TURN = f"""
WITH turned AS (
    SELECT b.break_id, b.kind AS before, w.*, nullif(b.state, 'open') AS agreed,
           (b.kind, b.amount_minor, b.other_id) IS DISTINCT FROM (w.kind, w.amount_minor, w.other_id) AS anew,
           CAST(:now AS timestamptz) + (CASE {_HOURS} END) * interval '1 hour' AS by
    FROM billing.recon_break b JOIN recon_wanted w ON w.subject = b.subject
    LEFT JOIN billing.entity e ON e.entity_id = w.entity_id
    WHERE b.closed_at IS NULL AND (b.kind, b.amount_minor, b.other_id, b.expected_on)
                                  IS DISTINCT FROM (w.kind, w.amount_minor, w.other_id, w.expected_on)
), changed AS (
    UPDATE billing.recon_break b
    SET kind = t.kind, amount_minor = t.amount_minor, other_id = t.other_id, detail = t.detail,
        expected_on = t.expected_on, version = b.version + 1,
        respond_by = CASE WHEN t.by IS NULL OR t.anew AND b.state <> 'open' THEN t.by
                          ELSE least(b.respond_by, t.by) END,
        state = CASE WHEN t.anew THEN 'open' ELSE b.state END,
        asked_by = CASE WHEN t.anew THEN NULL ELSE b.asked_by END,
        decided_by = CASE WHEN t.anew THEN NULL ELSE b.decided_by END,
        reason = CASE WHEN t.anew THEN '' ELSE b.reason END
    FROM turned t WHERE b.break_id = t.break_id
    RETURNING b.break_id, t.before, t.kind AS then, t.agreed
)
{_STEPS.format(what="turned", detail=_TURNED)}"""

_CLOSE = f"""
WITH changed AS (
    UPDATE billing.recon_break b SET state = 'closed', closed_at = :now, version = b.version + 1
    WHERE b.closed_at IS NULL AND {{which}}
    RETURNING b.break_id
)
{_STEPS.format(what="closed", detail="'{{}}'::jsonb")}"""

CLOSE = _CLOSE.format(which="NOT EXISTS (SELECT FROM recon_wanted w WHERE w.subject = b.subject)")
CLOSE_OF = _CLOSE.format(which="b.item_id = ANY(CAST(:items AS bigint[])) AND b.subject LIKE 'item:%'")
