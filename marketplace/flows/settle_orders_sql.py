"""The statements of the settlement pass over a bucket of merchants; `settle_orders` says in which order they run.

Every statement is a set-based INSERT…SELECT, UPDATE or DELETE whose rows stay with their merchant, so a cluster runs
each on its shards. After RATE, what was settled is what `commission_line` holds above the heads' last entry number.
"""

from sqlalchemy import ARRAY, BigInteger, bindparam, text
from sqlalchemy.sql.elements import TextClause


def _statement(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("merchants", type_=ARRAY(BigInteger)))


# Postings to these merchants wait from here on; the statements that follow see what was committed before.
LOCK_HEADS = _statement("""
UPDATE billing.ledger_head SET last_entry_no = last_entry_no WHERE merchant_id = ANY(:merchants)
""")

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

# One row per order and contract. From the inside out:
#   part      what is left of the order's lines under each contract, of orders that are covered whole
#   based     the base, and the month that the entry will belong to
#   placed    the month's base before this part, in (settlement instant, order ref) order; the entry's number
#   rated     half-even of the flat rate, or the difference of the graduated cumulative function
#   clamped   plus fixed, then min, then max
#   taxed     the month's commission at the VAT rate before this part, in (instant, ref, contract name) order
_CUMULATIVE = """billing.divide_half_even(
    tier_reached_ppm[width_bucket({base}, tier_from_minor)]
    + ({base} - tier_from_minor[width_bucket({base}, tier_from_minor)])
    * tier_rate_ppm[width_bucket({base}, tier_from_minor)], 1000000)"""
_AFTER, _BEFORE = _CUMULATIVE.format(base="base_after"), _CUMULATIVE.format(base="(base_after - base_minor)")
_VAT_AFTER = "billing.divide_half_even(taxed_after * vat_ppm, 1000000)"
_VAT_BEFORE = "billing.divide_half_even((taxed_after - commission_minor) * vat_ppm, 1000000)"

RATE = _statement(f"""
INSERT INTO billing.commission_line (merchant_id, entry_no, contract_id, order_id, kind, effective_on, currency,
    goods_minor, freight_minor, discount_minor, base_minor, commission_minor, vat_minor)
SELECT merchant_id, entry_no, contract_id, order_id, 'sale', effective_on, currency,
       goods_minor, freight_minor, discount_minor, base_minor, commission_minor, {_VAT_AFTER} - {_VAT_BEFORE}
FROM (
    SELECT clamped.*,
           coalesce(vat_month.commission_minor, 0) + sum(clamped.commission_minor) OVER (
               PARTITION BY clamped.merchant_id, clamped.month, clamped.vat_ppm
               ORDER BY clamped.settles_at, clamped.order_ref COLLATE "C", clamped.name COLLATE "C", clamped.valid_from
               ROWS UNBOUNDED PRECEDING)::bigint AS taxed_after
    FROM (
        SELECT rated.*,
               least(greatest(rated.raw_minor + rated.fixed_minor, rated.min_minor), rated.max_minor)
                   AS commission_minor
        FROM (
            SELECT placed.*,
                   CASE WHEN rate_ppm IS NOT NULL THEN billing.divide_half_even(base_minor * rate_ppm, 1000000)
                        ELSE {_AFTER} - {_BEFORE} END AS raw_minor
            FROM (
                SELECT based.*,
                       coalesce(so_far.base_minor, 0) + sum(based.base_minor) OVER (
                           PARTITION BY based.merchant_id, based.month, based.contract_id
                           ORDER BY based.settles_at, based.order_ref COLLATE "C"
                           ROWS UNBOUNDED PRECEDING)::bigint AS base_after,
                       based.last_entry_no + dense_rank() OVER (
                           PARTITION BY based.merchant_id
                           ORDER BY based.settles_at, based.order_ref COLLATE "C") AS entry_no
                FROM (
                    SELECT part.*, k.name, k.valid_from, k.rate_ppm, k.tier_from_minor, k.tier_rate_ppm,
                           k.tier_reached_ppm, k.fixed_minor, k.min_minor, k.max_minor, k.vat_ppm,
                           part.goods_minor - part.discount_minor
                               + CASE WHEN k.base = 'goods_and_freight' THEN part.freight_minor ELSE 0 END
                               AS base_minor,
                           part.effective_on - (extract(day FROM part.effective_on)::integer - 1) AS month
                    FROM (
                        SELECT d.merchant_id, d.order_id, o.order_ref, o.currency, d.settles_at, l.contract_id,
                               h.last_entry_no, greatest(d.settles_on, h.closed_through + 1) AS effective_on,
                               sum(l.goods_minor - l.refunded_goods_minor)::bigint AS goods_minor,
                               sum(l.freight_minor - l.refunded_freight_minor)::bigint AS freight_minor,
                               sum(l.discount_minor)::bigint AS discount_minor,
                               bool_or(l.contract_id IS NULL) OVER (PARTITION BY d.merchant_id, d.order_id)
                                   AS uncovered
                        FROM demand.order_due d
                        JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id
                        JOIN demand.merchant_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
                        JOIN demand.order_line l ON l.merchant_id = d.merchant_id AND l.order_id = d.order_id
                        WHERE d.merchant_id = ANY(:merchants) AND d.settles_at <= :until AND d.settles_on <= :through
                        GROUP BY d.merchant_id, d.order_id, o.order_ref, o.currency, d.settles_at, d.settles_on,
                                 l.contract_id, h.last_entry_no, h.closed_through
                    ) AS part
                    JOIN billing.contract k ON k.contract_id = part.contract_id
                    WHERE NOT part.uncovered
                ) AS based
                LEFT JOIN billing.commission_month so_far ON so_far.merchant_id = based.merchant_id
                    AND so_far.month = based.month AND so_far.contract_id = based.contract_id
            ) AS placed
        ) AS rated
    ) AS clamped
    LEFT JOIN (
        SELECT m.merchant_id, m.month, k.vat_ppm, sum(m.commission_minor)::bigint AS commission_minor
        FROM billing.commission_month m JOIN billing.contract k ON k.contract_id = m.contract_id
        WHERE m.merchant_id = ANY(:merchants)
        GROUP BY m.merchant_id, m.month, k.vat_ppm
    ) AS vat_month ON vat_month.merchant_id = clamped.merchant_id AND vat_month.month = clamped.month
        AND vat_month.vat_ppm = clamped.vat_ppm
) AS taxed
""")

_SETTLED = """billing.ledger_head h
    JOIN billing.commission_line c ON c.merchant_id = h.merchant_id AND c.entry_no > h.last_entry_no"""

# Posting A1: pending is released, commission and VAT are earned, the rest becomes payable. Zero legs are left out.
POST = _statement(f"""
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT s.merchant_id, s.entry_no, 'order_settled', s.order_id, s.entity_id, s.currency, d.settles_at, s.effective_on,
       s.effective_on > d.settles_on,
       array_remove(ARRAY[CASE WHEN s.gross <> 0 THEN 2005 END, CASE WHEN s.commission <> 0 THEN 4000 END,
                          CASE WHEN s.vat <> 0 THEN 2300 END, CASE WHEN s.net <> 0 THEN 2000 END], NULL),
       array_remove(ARRAY[CASE WHEN s.gross <> 0 THEN 0 END, CASE WHEN s.commission <> 0 THEN 0 END,
                          CASE WHEN s.vat <> 0 THEN 0 END, CASE WHEN s.net <> 0 THEN 0 END]::bigint[], NULL),
       array_remove(ARRAY[nullif(s.gross, 0), nullif(-s.commission, 0), nullif(-s.vat, 0), nullif(-s.net, 0)], NULL),
       :now, :actor
FROM (
    SELECT c.merchant_id, c.entry_no, c.order_id, h.entity_id, c.currency, c.effective_on,
           sum(c.goods_minor + c.freight_minor - c.discount_minor)::bigint AS gross,
           sum(c.commission_minor)::bigint AS commission, sum(c.vat_minor)::bigint AS vat,
           sum(c.goods_minor + c.freight_minor - c.discount_minor - c.commission_minor - c.vat_minor)::bigint AS net
    FROM {_SETTLED}
    WHERE h.merchant_id = ANY(:merchants)
    GROUP BY c.merchant_id, c.entry_no, c.order_id, h.entity_id, c.currency, c.effective_on
) AS s
JOIN demand.order_due d ON d.merchant_id = s.merchant_id AND d.order_id = s.order_id
""")

ADD_TO_MONTH = _statement(f"""
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

MARK_ORDERS = _statement(f"""
UPDATE demand.merchant_order AS o SET state = 'settled'
FROM {_SETTLED}
WHERE h.merchant_id = ANY(:merchants) AND o.merchant_id = c.merchant_id AND o.order_id = c.order_id
""")

EMPTY_QUEUE = _statement(f"""
DELETE FROM demand.order_due AS d USING {_SETTLED}
WHERE h.merchant_id = ANY(:merchants) AND d.merchant_id = c.merchant_id AND d.order_id = c.order_id
""")

UNPARK = _statement(f"""
DELETE FROM billing.parked_order AS p USING {_SETTLED}
WHERE h.merchant_id = ANY(:merchants) AND p.merchant_id = c.merchant_id AND p.order_id = c.order_id
""")

# What is still due has a line that no contract covers.
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

ADVANCE_HEADS = _statement(f"""
UPDATE billing.ledger_head AS head SET last_entry_no = settled.last_entry_no
FROM (
    SELECT c.merchant_id, max(c.entry_no) AS last_entry_no FROM {_SETTLED}
    WHERE h.merchant_id = ANY(:merchants) GROUP BY c.merchant_id
) AS settled
WHERE head.merchant_id = settled.merchant_id
""")

EARNED = _statement(f"""
SELECT c.currency, count(DISTINCT (c.merchant_id, c.entry_no)) AS orders,
       sum(c.commission_minor)::bigint AS commission_minor, sum(c.vat_minor)::bigint AS vat_minor
FROM {_SETTLED}
WHERE h.merchant_id = ANY(:merchants) GROUP BY c.currency ORDER BY c.currency
""")
