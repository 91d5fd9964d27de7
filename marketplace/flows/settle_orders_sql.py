"""The statements of the settlement pass over a bucket of merchants; `settle_orders` says in which order they run.

Every statement is a set-based INSERT…SELECT, UPDATE or DELETE whose rows stay with their merchant, so a cluster runs
each on its shards. After RATE, what was settled is what `commission_line` holds above the heads' last entry number.
"""

from sqlalchemy import ARRAY, BigInteger, bindparam, text
from sqlalchemy.sql.elements import TextClause

_merchants = bindparam("merchants", type_=ARRAY(BigInteger))


def _statement(sql: str) -> TextClause:
    return text(sql).bindparams(_merchants)


def _both_ways(sql: str) -> dict[bool, TextClause]:
    """A statement for a bucket that is mostly due (True) or not: the latter leaves out the lines marked `-- whole`."""
    probing = "\n".join(line for line in sql.splitlines() if not line.endswith("-- whole"))
    return {True: _statement(sql), False: _statement(probing)}


# Postings to these merchants wait from here on; the statements that follow see what was committed before.
LOCK_HEADS = _statement("""
UPDATE billing.ledger_head SET last_entry_no = last_entry_no WHERE merchant_id = ANY(:merchants)
""")

# Whether what is due is a good part of all that these merchants ever booked, as it is in a pass over a month. Then each
# table is best read once for all of them (the lines marked `-- whole`) and joined by hash; otherwise an index is probed
# for each order. The planner cannot tell: it takes a join on merchant and order for far more selective than it is.
COUNTED = _statement("""
SELECT (SELECT count(*) FROM demand.order_due d
        WHERE d.merchant_id = ANY(:merchants) AND d.settles_at <= :until AND d.settles_on <= :through) AS due,
       (SELECT coalesce(sum(last_entry_no), 0)::bigint FROM billing.ledger_head
        WHERE merchant_id = ANY(:merchants)) AS booked
""")

# One row per order and contract. From the inside out:
#   part      what is left of the order's lines under each contract, and of the order altogether
#   based     the base, the month that the entry will belong to, and its number: orders that are covered whole and owe
#             something take their numbers in (settlement instant, order ref) order; a part worth nothing owes no fee
#   placed    the month's base under the contract before this part
#   rated     half-even of the flat rate, or the difference of the graduated cumulative function
#   clamped   plus fixed, then min, then max
#   taxed     the month's commission in the currency at the VAT rate, up to this part, in (entry, contract name) order
# What the windows do not need is joined after them, so that they sort narrow rows.
_CUMULATIVE = """billing.at_rate({base} - tier_from_minor[width_bucket({base}, tier_from_minor)],
    tier_rate_ppm[width_bucket({base}, tier_from_minor)], tier_reached_ppm[width_bucket({base}, tier_from_minor)])"""
_AFTER, _BEFORE = _CUMULATIVE.format(base="base_after"), _CUMULATIVE.format(base="(base_after - base_minor)")
_VAT_AFTER = "billing.at_rate(taxed_after, vat_ppm, 0)"
_VAT_BEFORE = "billing.at_rate(taxed_after - commission_minor, vat_ppm, 0)"
_MONTH = "{day} - (extract(day FROM {day})::integer - 1)"

_PART = """
SELECT d.merchant_id, d.order_id, l.contract_id, min(d.order_ref) AS order_ref, min(d.currency) AS currency,
       min(d.settles_at) AS settles_at, min(d.settles_on) AS settles_on,
       sum(l.goods_minor - l.refunded_goods_minor)::bigint AS goods_minor,
       sum(l.freight_minor - l.refunded_freight_minor)::bigint AS freight_minor,
       sum(l.discount_minor)::bigint AS discount_minor,
       bool_or(l.contract_id IS NULL) OVER of_order AS uncovered,
       sum(sum(l.goods_minor - l.refunded_goods_minor - l.discount_minor
               + l.freight_minor - l.refunded_freight_minor)::bigint) OVER of_order AS order_minor
FROM demand.order_due d
JOIN demand.order_line l ON l.merchant_id = d.merchant_id AND l.order_id = d.order_id
WHERE d.merchant_id = ANY(:merchants) AND d.settles_at <= :until AND d.settles_on <= :through
  AND l.merchant_id = ANY(:merchants) -- whole
GROUP BY d.merchant_id, d.order_id, l.contract_id
WINDOW of_order AS (PARTITION BY d.merchant_id, d.order_id)
"""
_BASED = f"""
SELECT part.merchant_id, part.order_id, part.contract_id, part.currency, part.goods_minor, part.freight_minor,
       part.discount_minor, part.goods_minor - part.discount_minor
           + CASE WHEN k.base = 'goods_and_freight' THEN part.freight_minor ELSE 0 END AS base_minor,
       greatest(part.settles_on, h.closed_through + 1) AS effective_on,
       {_MONTH.format(day="greatest(part.settles_on, h.closed_through + 1)")} AS month,
       h.last_entry_no + dense_rank() OVER (
           PARTITION BY part.merchant_id ORDER BY part.settles_at, part.order_ref COLLATE "C") AS entry_no
FROM ({_PART}) AS part
JOIN billing.ledger_head h ON h.merchant_id = part.merchant_id
JOIN billing.contract k ON k.contract_id = part.contract_id
WHERE NOT part.uncovered AND part.order_minor <> 0
  AND part.goods_minor - part.discount_minor + part.freight_minor <> 0
  AND h.merchant_id = ANY(:merchants) -- whole
"""
_PLACED = f"""
SELECT based.*, coalesce(so_far.base_minor, 0) + sum(based.base_minor) OVER (
           PARTITION BY based.merchant_id, based.month, based.contract_id
           ORDER BY based.entry_no ROWS UNBOUNDED PRECEDING)::bigint AS base_after
FROM ({_BASED}) AS based
LEFT JOIN (SELECT * FROM billing.commission_month WHERE merchant_id = ANY(:merchants)) AS so_far
  ON so_far.merchant_id = based.merchant_id AND so_far.month = based.month AND so_far.contract_id = based.contract_id
"""
_CLAMPED = f"""
SELECT rated.*, least(greatest(raw_minor + fixed_minor, min_minor), max_minor) AS commission_minor
FROM (
    SELECT placed.*, k.name, k.valid_from, k.fixed_minor, k.min_minor, k.max_minor, k.vat_ppm,
           CASE WHEN rate_ppm IS NOT NULL THEN billing.at_rate(base_minor, rate_ppm, 0)
                ELSE {_AFTER} - {_BEFORE} END AS raw_minor
    FROM ({_PLACED}) AS placed JOIN billing.contract k ON k.contract_id = placed.contract_id
) AS rated
"""
_TAXED = f"""
SELECT clamped.*, coalesce(vat_month.commission_minor, 0) + sum(clamped.commission_minor) OVER (
           PARTITION BY clamped.merchant_id, clamped.month, clamped.currency, clamped.vat_ppm
           ORDER BY clamped.entry_no, clamped.name COLLATE "C", clamped.valid_from
           ROWS UNBOUNDED PRECEDING)::bigint AS taxed_after
FROM ({_CLAMPED}) AS clamped
LEFT JOIN (
    SELECT m.merchant_id, m.month, k.currency, k.vat_ppm, sum(m.commission_minor)::bigint AS commission_minor
    FROM billing.commission_month m JOIN billing.contract k ON k.contract_id = m.contract_id
    WHERE m.merchant_id = ANY(:merchants)
    GROUP BY m.merchant_id, m.month, k.currency, k.vat_ppm
) AS vat_month ON vat_month.merchant_id = clamped.merchant_id AND vat_month.month = clamped.month
    AND vat_month.currency = clamped.currency AND vat_month.vat_ppm = clamped.vat_ppm
"""
RATE = _both_ways(f"""
INSERT INTO billing.commission_line (merchant_id, entry_no, contract_id, order_id, kind, effective_on, currency,
    goods_minor, freight_minor, discount_minor, base_minor, commission_minor, vat_minor)
SELECT merchant_id, entry_no, contract_id, order_id, 'sale', effective_on, currency,
       goods_minor, freight_minor, discount_minor, base_minor, commission_minor, {_VAT_AFTER} - {_VAT_BEFORE}
FROM ({_TAXED}) AS taxed
""")

_SETTLED = """billing.ledger_head h
    JOIN billing.commission_line c ON c.merchant_id = h.merchant_id AND c.entry_no > h.last_entry_no
     AND c.merchant_id = ANY(:merchants) -- whole
    """

# Posting A1: pending is released, commission and VAT are earned, the rest becomes payable. Zero legs are left out.
POST = _both_ways(f"""
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT merchant_id, entry_no, 'order_settled', order_id, entity_id, currency, settles_at, effective_on,
       effective_on > settles_on,
       CASE WHEN all_legs THEN ARRAY[2005, 4000, 2300, 2000]
            ELSE array_remove(ARRAY[2005, CASE WHEN commission <> 0 THEN 4000 END, CASE WHEN vat <> 0 THEN 2300 END,
                                    CASE WHEN net <> 0 THEN 2000 END], NULL) END,
       CASE WHEN all_legs THEN ARRAY[0, 0, 0, 0]::bigint[]
            ELSE array_remove(ARRAY[0, CASE WHEN commission <> 0 THEN 0 END, CASE WHEN vat <> 0 THEN 0 END,
                                    CASE WHEN net <> 0 THEN 0 END]::bigint[], NULL) END,
       CASE WHEN all_legs THEN ARRAY[gross, -commission, -vat, -net]
            ELSE array_remove(ARRAY[gross, nullif(-commission, 0), nullif(-vat, 0), nullif(-net, 0)], NULL) END,
       :now, :actor
FROM (
    SELECT summed.*, gross - commission - vat AS net,
           commission <> 0 AND vat <> 0 AND gross - commission - vat <> 0 AS all_legs
    FROM (
        SELECT c.merchant_id, c.entry_no, min(c.order_id) AS order_id, min(h.entity_id) AS entity_id,
               min(c.currency) AS currency, min(d.settles_at) AS settles_at, min(d.settles_on) AS settles_on,
               min(c.effective_on) AS effective_on,
               sum(c.goods_minor + c.freight_minor - c.discount_minor)::bigint AS gross,
               sum(c.commission_minor)::bigint AS commission, sum(c.vat_minor)::bigint AS vat
        FROM {_SETTLED}
        JOIN demand.order_due d ON d.merchant_id = c.merchant_id AND d.order_id = c.order_id
        WHERE h.merchant_id = ANY(:merchants)
          AND d.merchant_id = ANY(:merchants) -- whole
        GROUP BY c.merchant_id, c.entry_no
    ) AS summed
) AS legs
""")

ADD_TO_MONTH = _both_ways(f"""
INSERT INTO billing.commission_month AS so_far (merchant_id, month, contract_id, base_minor, commission_minor)
SELECT c.merchant_id, c.effective_on - (extract(day FROM c.effective_on)::integer - 1), c.contract_id,
       sum(c.base_minor), sum(c.commission_minor)
FROM {_SETTLED}
WHERE h.merchant_id = ANY(:merchants)
GROUP BY c.merchant_id, c.effective_on - (extract(day FROM c.effective_on)::integer - 1), c.contract_id
ON CONFLICT (merchant_id, month, contract_id) DO UPDATE SET
    base_minor = so_far.base_minor + excluded.base_minor,
    commission_minor = so_far.commission_minor + excluded.commission_minor
""")

MARK_ORDERS = _both_ways(f"""
UPDATE demand.merchant_order AS o SET state = 'settled'
FROM {_SETTLED}
WHERE h.merchant_id = ANY(:merchants) AND o.merchant_id = c.merchant_id AND o.order_id = c.order_id
  AND o.merchant_id = ANY(:merchants) -- whole
""")

EMPTY_QUEUE = _both_ways(f"""
DELETE FROM demand.order_due AS d USING {_SETTLED}
WHERE h.merchant_id = ANY(:merchants) AND d.merchant_id = c.merchant_id AND d.order_id = c.order_id
  AND d.merchant_id = ANY(:merchants) -- whole
""")

UNPARK = _both_ways(f"""
DELETE FROM billing.parked_order AS p USING {_SETTLED}
WHERE h.merchant_id = ANY(:merchants) AND p.merchant_id = c.merchant_id AND p.order_id = c.order_id
""")

# What is then still due is empty or has a line that no contract covers.
# An order that owes nothing to anybody has nothing to book.
CLOSE_EMPTY = _statement("""
UPDATE demand.merchant_order AS o SET state = 'settled'
FROM (
    SELECT d.merchant_id, d.order_id
    FROM demand.order_due d
    JOIN demand.order_line l ON l.merchant_id = d.merchant_id AND l.order_id = d.order_id
    WHERE d.merchant_id = ANY(:merchants) AND d.settles_at <= :until AND d.settles_on <= :through
    GROUP BY d.merchant_id, d.order_id
    HAVING sum(l.goods_minor - l.refunded_goods_minor - l.discount_minor
               + l.freight_minor - l.refunded_freight_minor) = 0
) AS empty
WHERE o.merchant_id = empty.merchant_id AND o.order_id = empty.order_id
""")
DROP_EMPTY = _statement("""
DELETE FROM demand.order_due AS d USING demand.merchant_order AS o
WHERE d.merchant_id = ANY(:merchants) AND o.merchant_id = d.merchant_id AND o.order_id = d.order_id
  AND o.state = 'settled'
""")

PARK = _statement("""
INSERT INTO billing.parked_order AS p (merchant_id, order_id, order_ref, reason, parked_at)
SELECT o.merchant_id, o.order_id, o.order_ref,
       'no contract covers ' || string_agg(DISTINCT coalesce(l.category, 'a line without category'), ', '
           ORDER BY coalesce(l.category, 'a line without category'))
           || ' bought on ' || to_char(o.purchased_on, 'YYYY-MM-DD') || ' in ' || o.currency,
       :now
FROM demand.order_due d
JOIN demand.merchant_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
JOIN demand.order_line l ON l.merchant_id = d.merchant_id AND l.order_id = d.order_id AND l.contract_id IS NULL
WHERE d.merchant_id = ANY(:merchants) AND d.settles_at <= :until AND d.settles_on <= :through
GROUP BY o.merchant_id, o.order_id, o.order_ref, o.purchased_on, o.currency
ON CONFLICT (merchant_id, order_id) DO UPDATE SET reason = excluded.reason
""")

ADVANCE_HEADS = _both_ways(f"""
UPDATE billing.ledger_head AS head SET last_entry_no = settled.last_entry_no
FROM (
    SELECT c.merchant_id, max(c.entry_no) AS last_entry_no FROM {_SETTLED}
    WHERE h.merchant_id = ANY(:merchants) GROUP BY c.merchant_id
) AS settled
WHERE head.merchant_id = settled.merchant_id
""")

EARNED = _both_ways(f"""
SELECT currency, count(*) AS orders, sum(commission)::bigint AS commission_minor, sum(vat)::bigint AS vat_minor
FROM (
    SELECT min(c.currency) AS currency, sum(c.commission_minor) AS commission, sum(c.vat_minor) AS vat
    FROM {_SETTLED}
    WHERE h.merchant_id = ANY(:merchants) GROUP BY c.merchant_id, c.entry_no
) AS settled
GROUP BY currency ORDER BY currency
""")
