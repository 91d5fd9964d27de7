"""The statements of the settlement pass over a bucket of merchants; `settle_orders` says in which order they run.

Whatever writes is a set-based INSERT…SELECT, UPDATE or DELETE whose rows stay with their merchant, so a cluster runs
each on its shards. What is settled is read from the queue and from what the pass itself wrote: after RATE, that is what
`commission_line` holds above the heads' last entry number. Only what no contract covers is looked up in the orders.
"""

from sqlalchemy import ARRAY, BigInteger, bindparam, text
from sqlalchemy.sql.elements import TextClause

MERCHANTS = bindparam("merchants", type_=ARRAY(BigInteger))


def _statement(sql: str) -> TextClause:
    return text(sql).bindparams(MERCHANTS)


# Postings to these merchants wait from here on; the statements that follow see what was committed before.
LOCK_HEADS = _statement("""
UPDATE billing.ledger_head SET last_entry_no = last_entry_no WHERE merchant_id = ANY(:merchants)
""")

_WORTH = "d.goods_minor - d.discount_minor + d.freight_minor"
_DUE_UPTO = "d.merchant_id = ANY(:merchants) AND d.settles_at <= :until AND d.settles_on <= :through"
_DUE = f"{_DUE_UPTO} AND d.settles_on >= :since"

# The first of the local dates, so that the statements that follow need none of the months before it.
FIRST_DUE = _statement(f"""
SELECT min(d.settles_on) AS since, coalesce(bool_or(d.contract_id = 0), false) AS uncovered
FROM demand.order_due d WHERE {_DUE_UPTO}
""")

# Lines that nobody covers hold back the whole order, unless they are worth nothing.
_HELD_BACK = """EXISTS (
    SELECT FROM demand.order_due u
    WHERE u.merchant_id = d.merchant_id AND u.order_id = d.order_id AND u.merchant_id = ANY(:merchants)
      AND u.contract_id = 0 AND u.goods_minor - u.discount_minor + u.freight_minor <> 0)"""
_RATED_PARTS = f"{_DUE} AND {_WORTH} <> 0 AND NOT {_HELD_BACK}"

# One row per order and contract. From the inside out:
#   numbered  the base, the month that the entry will belong to, and its number: orders that are covered whole take
#             their numbers in (settlement instant, order ref) order; a part worth nothing owes no fee
#   placed    the base under the contract in the month before this part, as far as it is settled with it
#   rated     half-even of the flat rate, or the difference of the graduated cumulative function; plus fixed, then min,
#             then max
#   taxed     the month's commission in the currency at the VAT rate, up to this part, in (entry, contract name) order
# What the windows do not need is joined after them, so that they sort narrow rows.
_NUMBERED = f"""
SELECT d.merchant_id, d.order_id, d.contract_id, d.settles_at, d.settles_on,
       d.goods_minor, d.freight_minor, d.discount_minor,
       d.goods_minor - d.discount_minor + CASE WHEN k.base = 'goods' THEN 0 ELSE d.freight_minor END AS base_minor,
       greatest(d.settles_on, h.closed_through + 1) AS effective_on,
       h.last_entry_no + dense_rank() OVER (
           PARTITION BY d.merchant_id ORDER BY d.settles_at, d.order_ref COLLATE "C") AS entry_no
FROM demand.order_due d
JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id AND h.merchant_id = ANY(:merchants)
JOIN billing.contract k ON k.contract_id = d.contract_id
WHERE {_RATED_PARTS}
"""
_PLACED = f"""
SELECT dated.*, billing.total(dated.base_minor) OVER (
           PARTITION BY dated.merchant_id, dated.contract_id, dated.month
           ORDER BY dated.entry_no ROWS UNBOUNDED PRECEDING) - dated.base_minor AS base_before
FROM (
    SELECT numbered.*, effective_on - (date_part('day', effective_on)::integer - 1) AS month
    FROM ({_NUMBERED}) AS numbered
) AS dated
"""
_RATED = f"""
SELECT placed.*, k.currency, k.vat_ppm, k.name, k.valid_from,
       least(greatest(k.fixed_minor + CASE
           WHEN k.rate_ppm IS NOT NULL THEN billing.at_rate(placed.base_minor, k.rate_ppm, 0)
           ELSE billing.tiered(placed.base_minor, placed.base_before + coalesce(so_far.base_minor, 0),
                               k.tier_from_minor, k.tier_rate_ppm, k.tier_reached_ppm)
           END, k.min_minor), k.max_minor) AS commission_minor
FROM ({_PLACED}) AS placed
JOIN billing.contract k ON k.contract_id = placed.contract_id
LEFT JOIN (
    SELECT * FROM billing.commission_month
    WHERE merchant_id = ANY(:merchants) AND month > CAST(:since AS date) - 31
) AS so_far
  ON so_far.merchant_id = placed.merchant_id AND so_far.month = placed.month
 AND so_far.contract_id = placed.contract_id
"""
# The order by commission changes no order; it has the planner compute the commission once, below the sort.
_TAXED = f"""
SELECT rated.*, coalesce(vat_month.commission_minor, 0) + billing.total(rated.commission_minor) OVER (
           PARTITION BY rated.merchant_id, rated.vat_ppm, rated.currency, rated.month
           ORDER BY rated.entry_no, rated.name COLLATE "C", rated.valid_from, rated.commission_minor
           ROWS UNBOUNDED PRECEDING) AS taxed_after
FROM ({_RATED}) AS rated
LEFT JOIN (
    SELECT m.merchant_id, m.month, k.currency, k.vat_ppm, billing.total(m.commission_minor) AS commission_minor
    FROM billing.commission_month m JOIN billing.contract k ON k.contract_id = m.contract_id
    WHERE m.merchant_id = ANY(:merchants) AND m.month > CAST(:since AS date) - 31
    GROUP BY m.merchant_id, m.month, k.currency, k.vat_ppm
) AS vat_month ON vat_month.merchant_id = rated.merchant_id AND vat_month.month = rated.month
    AND vat_month.currency = rated.currency AND vat_month.vat_ppm = rated.vat_ppm
"""
RATE = _statement(f"""
INSERT INTO billing.commission_line (merchant_id, entry_no, contract_id, order_id, kind, occurred_at, occurred_on,
    effective_on, currency, goods_minor, freight_minor, discount_minor, base_minor, commission_minor, vat_minor)
SELECT merchant_id, entry_no, contract_id, order_id, 'sale', settles_at, settles_on, effective_on,
       currency, goods_minor, freight_minor, discount_minor, base_minor, commission_minor,
       billing.at_rate(taxed_after, vat_ppm, 0) - billing.at_rate(taxed_after - commission_minor, vat_ppm, 0)
FROM ({_TAXED}) AS taxed
ORDER BY merchant_id, entry_no
""")

# Grouped inside the lateral, so that each head probes its own tail and the planner cannot read the history instead.
_WRITTEN = "FROM billing.commission_line c WHERE c.merchant_id = h.merchant_id AND c.entry_no > h.last_entry_no"

# Posting A1: pending is released, commission and VAT are earned, the rest becomes payable. Zero legs are left out.
POST = _statement(f"""
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT merchant_id, entry_no, 'order_settled', order_id, entity_id, currency, occurred_at, effective_on, prior_period,
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
        SELECT h.merchant_id, h.entity_id, settled.*
        FROM billing.ledger_head h CROSS JOIN LATERAL (
            SELECT c.entry_no, min(c.order_id) AS order_id, any_value(c.currency) AS currency,
                   min(c.occurred_at) AS occurred_at, min(c.effective_on) AS effective_on,
                   bool_or(c.occurred_on < c.effective_on) AS prior_period,
                   billing.total(c.goods_minor + c.freight_minor - c.discount_minor) AS gross,
                   billing.total(c.commission_minor) AS commission, billing.total(c.vat_minor) AS vat
            {_WRITTEN} GROUP BY c.entry_no
        ) AS settled
        WHERE h.merchant_id = ANY(:merchants)
    ) AS summed
) AS legs
ORDER BY merchant_id, entry_no
""")

ADD_TO_MONTH = _statement(f"""
INSERT INTO billing.commission_month AS so_far (merchant_id, month, contract_id, base_minor, commission_minor,
    vat_minor)
SELECT h.merchant_id, settled.*
FROM billing.ledger_head h CROSS JOIN LATERAL (
    SELECT c.effective_on - (date_part('day', c.effective_on)::integer - 1), c.contract_id,
           billing.total(c.base_minor), billing.total(c.commission_minor), billing.total(c.vat_minor)
    {_WRITTEN} GROUP BY 1, 2
) AS settled
WHERE h.merchant_id = ANY(:merchants)
ON CONFLICT (merchant_id, month, contract_id) DO UPDATE SET
    base_minor = so_far.base_minor + excluded.base_minor,
    commission_minor = so_far.commission_minor + excluded.commission_minor,
    vat_minor = so_far.vat_minor + excluded.vat_minor
""")

# Asked before and after: the difference is what the bucket earned, and no line is read for it.
MONTH_TOTALS = _statement("""
SELECT k.currency, sum(m.commission_minor)::bigint AS commission_minor, sum(m.vat_minor)::bigint AS vat_minor
FROM billing.commission_month m JOIN billing.contract k ON k.contract_id = m.contract_id
WHERE m.merchant_id = ANY(:merchants) AND m.month > CAST(:since AS date) - 31
GROUP BY k.currency
""")

EMPTY_QUEUE = _statement(f"DELETE FROM demand.order_due AS d WHERE {_RATED_PARTS}")

# What owes nothing to anybody has nothing to book, neither an order nor a part of one.
DROP_WORTHLESS = _statement(f"""
DELETE FROM demand.order_due AS d WHERE {_DUE} AND {_WORTH} = 0 AND NOT {_HELD_BACK}
""")

PARK = _statement(f"""
INSERT INTO billing.parked_order AS p (merchant_id, order_id, order_ref, reason, parked_at)
SELECT o.merchant_id, o.order_id, o.order_ref,
       'no contract covers ' || string_agg(DISTINCT coalesce(l.category, 'a line without category'), ', '
           ORDER BY coalesce(l.category, 'a line without category'))
           || ' bought on ' || to_char(o.purchased_on, 'YYYY-MM-DD') || ' in ' || o.currency,
       :now
FROM demand.order_due d
JOIN demand.merchant_order o ON o.merchant_id = d.merchant_id AND o.order_id = d.order_id
JOIN demand.order_line l ON l.merchant_id = d.merchant_id AND l.order_id = d.order_id AND l.contract_id IS NULL
WHERE {_DUE} AND d.contract_id = 0 AND {_WORTH} <> 0
GROUP BY o.merchant_id, o.order_id, o.order_ref, o.purchased_on, o.currency
ON CONFLICT (merchant_id, order_id) DO UPDATE SET reason = excluded.reason WHERE p.reason <> excluded.reason
""")

UNPARK = _statement("""
DELETE FROM billing.parked_order AS p
WHERE p.merchant_id = ANY(:merchants) AND NOT EXISTS (
    SELECT FROM demand.order_due d WHERE d.merchant_id = p.merchant_id AND d.order_id = p.order_id)
""")

ADVANCE_HEADS = _statement("""
UPDATE billing.ledger_head AS head SET last_entry_no = settled.last_entry_no
FROM (
    SELECT h.merchant_id, (SELECT max(c.entry_no) FROM billing.commission_line c WHERE c.merchant_id = h.merchant_id)
               AS last_entry_no
    FROM billing.ledger_head h WHERE h.merchant_id = ANY(:merchants)
) AS settled
WHERE head.merchant_id = settled.merchant_id AND head.merchant_id = ANY(:merchants)
  AND head.last_entry_no < settled.last_entry_no
""")
