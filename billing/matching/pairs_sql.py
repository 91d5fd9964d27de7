"""The stages that are set-based: pairs with one reference and amount, explained residues, and batches.

Ties are broken by day, amount and sort_key, never by ids, so that the result does not depend on what came first.
"""

# Items that are new and those still open, of which exactly one on either side has a reference and an amount, and for
# which nothing is to be booked: most of a month, matched before it is even stored.
NEW_PAIRS = """
CREATE TEMP TABLE match_pair ON COMMIT DROP AS
SELECT row_number() OVER () AS nth, min(i.item_id) FILTER (WHERE i.side = 'theirs') AS theirs_id,
       min(i.item_id) FILTER (WHERE i.side = 'ours') AS ours_id, i.book, i.currency, i.entity_id,
       min(i.processor_id) AS processor_id, min(i.day) FILTER (WHERE i.side = 'theirs') AS day,
       coalesce(sum(i.fee_minor) FILTER (WHERE NOT i.booked AND i.booked_as IS NULL), 0)::bigint AS fee_minor
FROM (SELECT item_id, book, side, entity_id, processor_id, currency, amount_minor, reference, booked, suspense_id, day,
             fee_minor, booked_as
      FROM match_new
      UNION ALL
      SELECT item_id, book, side, entity_id, processor_id, currency, amount_minor, reference, booked, suspense_id, day,
             fee_minor, booked_as
      FROM billing.match_item WHERE group_id IS NULL AND apart = '{}') AS i
WHERE i.reference <> ''
GROUP BY i.book, i.entity_id, CASE WHEN i.book = 'processor' THEN i.processor_id END, i.currency, i.reference,
         i.amount_minor
HAVING count(*) = 2 AND count(*) FILTER (WHERE i.side = 'theirs') = 1
   AND bool_and(CASE i.side WHEN 'ours' THEN i.booked ELSE i.suspense_id IS NULL END)"""

GROUP_NEW_PAIRS = """
INSERT INTO billing.match_group (group_id, run_id, stage, rules_version, score, reasons, book, currency, theirs, ours,
                                 residue_minor, made_by, made_at)
SELECT :last + p.nth, :run, 'exact', :rules, 100, ARRAY['the same reference'], p.book, p.currency, ARRAY[p.theirs_id],
       ARRAY[p.ours_id], 0, :actor, :now
FROM match_pair p"""

# What processors charged on a day for the lines of these pairs, booked as one: its source is the first of their groups.
NEW_FEES = """
CREATE TEMP TABLE match_fee ON COMMIT DROP AS
SELECT :last + min(nth) AS source_id, entity_id, processor_id, currency, day, sum(fee_minor)::bigint AS fee_minor
FROM match_pair WHERE fee_minor <> 0 GROUP BY entity_id, processor_id, currency, day"""

_PAIRED = """(SELECT p.theirs_id AS item_id, :last + p.nth AS group_id, f.source_id AS fee_source_id
              FROM match_pair p
              LEFT JOIN match_fee f ON p.fee_minor <> 0 AND f.entity_id = p.entity_id
               AND f.processor_id = p.processor_id AND f.currency = p.currency AND f.day = p.day
              UNION ALL SELECT ours_id, :last + nth, NULL FROM match_pair) AS p"""

KEEP_NEW = f"""
INSERT INTO billing.match_item ({{columns}}, booked_as, group_id)
SELECT {{listed}}, p.fee_source_id, p.group_id FROM match_new n LEFT JOIN {_PAIRED} ON p.item_id = n.item_id"""

MARK_OPEN = f"""
UPDATE billing.match_item i SET group_id = p.group_id, booked_as = coalesce(p.fee_source_id, i.booked_as)
FROM {_PAIRED}
WHERE i.item_id = p.item_id AND i.group_id IS NULL"""

_OPEN = "i.book = :book AND i.group_id IS NULL"

# The n-th of ours with a reference, currency and amount belongs to the n-th of theirs. An item that could go by several
# references goes by the first of them; what that leaves over is looked at again. What a person took apart is no pair,
# and each of the two may be any other's.
EXACT_PAIRS = f"""
CREATE TEMP TABLE match_pair ON COMMIT DROP AS
WITH keyed AS (
    SELECT i.item_id, i.side, i.entity_id, i.processor_id, i.currency, i.amount_minor, k.key, i.booked, i.suspense_id,
           i.fee_minor, i.booked OR i.booked_as IS NOT NULL AS charged, i.apart,
           row_number() OVER (PARTITION BY i.side, i.entity_id, i.processor_id, i.currency, k.key, i.amount_minor
                              ORDER BY i.day, i.sort_key) AS nth
    FROM billing.match_item i CROSS JOIN LATERAL (SELECT DISTINCT unnest(i.keys) AS key) AS k
    WHERE {_OPEN}
), pair AS (
    SELECT t.item_id AS theirs_id, o.item_id AS ours_id, t.key,
           o.booked AND t.suspense_id IS NULL AND (t.charged OR t.fee_minor IS NULL OR t.fee_minor = 0) AS plain
    FROM keyed t
    JOIN keyed o ON o.side = 'ours' AND o.entity_id = t.entity_id AND o.currency = t.currency AND o.key = t.key
                AND o.amount_minor = t.amount_minor AND t.item_id <> ALL(o.apart)
                AND (o.nth = t.nth OR t.apart <> '{{}}' OR o.apart <> '{{}}')
                AND (o.processor_id = t.processor_id OR t.processor_id IS NULL)
    WHERE t.side = 'theirs'
), first AS (
    SELECT DISTINCT ON (p.theirs_id) p.* FROM pair p JOIN billing.match_item o ON o.item_id = p.ours_id
    ORDER BY p.theirs_id, o.day, o.sort_key, p.key
)
SELECT DISTINCT ON (f.ours_id) f.* FROM first f JOIN billing.match_item t ON t.item_id = f.theirs_id
ORDER BY f.ours_id, t.day, t.sort_key"""

# Pairs that need nothing booked become groups all at once.
GROUP_PLAIN_PAIRS = """
INSERT INTO billing.match_group (group_id, run_id, stage, rules_version, score, reasons, book, currency, theirs, ours,
                                 residue_minor, made_by, made_at)
SELECT :last + row_number() OVER (ORDER BY p.ours_id), :run, 'exact', :rules, 100, ARRAY['the same reference'], :book,
       i.currency, ARRAY[p.theirs_id], ARRAY[p.ours_id], 0, :actor, :now
FROM match_pair p JOIN billing.match_item i ON i.item_id = p.ours_id
WHERE p.plain"""

MARK_PAIRS = """
UPDATE billing.match_item i SET group_id = g.group_id
FROM (SELECT group_id, unnest(theirs || ours) AS item_id FROM billing.match_group
      WHERE group_id > :last AND group_id <= :last + :groups) AS g
WHERE i.item_id = g.item_id AND i.group_id IS NULL"""

OTHER_PAIRS = """
SELECT p.theirs_id, p.ours_id FROM match_pair p JOIN billing.match_item t ON t.item_id = p.theirs_id
WHERE NOT p.plain ORDER BY t.day, t.sort_key"""

# One open item on either side with a reference, whose amounts differ: the rules say what may explain it.
NEAR_PAIRS = f"""
WITH keyed AS MATERIALIZED (
    SELECT DISTINCT i.side, i.entity_id, i.processor_id, i.currency, unnest(i.keys) AS key, i.item_id, i.amount_minor,
           i.day, i.sort_key, i.apart
    FROM billing.match_item i WHERE {_OPEN}
), single AS MATERIALIZED (
    SELECT k.*, count(*) OVER (PARTITION BY side, entity_id, currency, key) AS several FROM keyed k
)
SELECT DISTINCT ON (t.day, t.sort_key) t.item_id AS theirs_id, o.item_id AS ours_id, t.amount_minor AS theirs_minor,
       o.amount_minor AS ours_minor
FROM single t
JOIN single o ON o.side = 'ours' AND o.several = 1 AND o.entity_id = t.entity_id AND o.currency = t.currency
             AND o.key = t.key
WHERE t.side = 'theirs' AND t.several = 1 AND t.amount_minor <> o.amount_minor
  AND (t.amount_minor > 0) = (o.amount_minor > 0) AND abs(t.amount_minor - o.amount_minor) <= :most
  AND (t.processor_id = o.processor_id OR t.processor_id IS NULL) AND t.item_id <> ALL(o.apart)
ORDER BY t.day, t.sort_key, o.day, o.sort_key"""

# All open items of a batch against all open lines that name it, when both come to the same.
BATCHES = f"""
WITH ours AS (
    SELECT i.entity_id, i.currency, i.batch_ref AS key, sum(i.amount_minor)::bigint AS minor,
           array_agg(i.item_id ORDER BY i.day, i.sort_key) AS ids
    FROM billing.match_item i WHERE {_OPEN} AND i.side = 'ours' AND i.batch_ref <> ''
    GROUP BY i.entity_id, i.currency, i.batch_ref
), theirs AS (
    SELECT i.entity_id, i.currency, k.key, sum(i.amount_minor)::bigint AS minor,
           array_agg(i.item_id ORDER BY i.day, i.sort_key) AS ids
    FROM billing.match_item i CROSS JOIN LATERAL (SELECT DISTINCT unnest(i.keys) AS key) AS k
    WHERE {_OPEN} AND i.side = 'theirs'
    GROUP BY i.entity_id, i.currency, k.key
)
SELECT ours.key, theirs.ids AS theirs, ours.ids AS ours, theirs.minor AS theirs_minor, ours.minor AS ours_minor
FROM ours JOIN theirs ON (theirs.entity_id, theirs.currency, theirs.key) = (ours.entity_id, ours.currency, ours.key)
WHERE (theirs.minor > 0) = (ours.minor > 0)
  AND NOT EXISTS (SELECT FROM billing.match_item a WHERE a.item_id = ANY(ours.ids) AND a.apart && theirs.ids)
ORDER BY ours.entity_id, ours.currency, ours.key"""
