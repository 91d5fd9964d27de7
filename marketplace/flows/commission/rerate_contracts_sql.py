"""What rating a merchant's settled orders anew reads: what each was sold under and has earned, and what was sold."""

from sqlalchemy import text

# Merchants with sales since the first day of a month, that is all there is to rate anew.
MERCHANTS = text("""
SELECT DISTINCT c.merchant_id, m.merchant_ref, m.joined_on
FROM billing.commission_line c JOIN supply.merchant m ON m.merchant_id = c.merchant_id
WHERE c.kind = 'sale' AND c.effective_on >= :since
  AND (CAST(:merchant AS bigint) IS NULL OR c.merchant_id = :merchant)
ORDER BY c.merchant_id
""")

# One row per order and contract that it was sold under, in the order in which they were settled.
ISSUED = text("""
SELECT s.entry_no, s.order_id, s.contract_id, s.currency, s.occurred_at, s.occurred_on,
       s.effective_on - (date_part('day', s.effective_on)::integer - 1) AS month,
       s.goods_minor, s.freight_minor, s.discount_minor, s.base_minor,
       s.commission_minor + coalesce(later.commission_minor, 0) AS commission_minor,
       s.vat_minor + coalesce(later.vat_minor, 0) AS vat_minor,
       coalesce(later.refunded, false) AS refunded,
       coalesce(later.base_back_minor, 0) AS base_back_minor,
       coalesce(later.commission_back_minor, 0) AS commission_back_minor,
       coalesce(later.vat_back_minor, 0) AS vat_back_minor
FROM billing.commission_line s
LEFT JOIN (
    SELECT order_id, contract_id,
           coalesce(sum(commission_minor + kept_commission_minor) FILTER (WHERE kind = 'adjustment'), 0)::bigint
               AS commission_minor,
           coalesce(sum(vat_minor + kept_vat_minor) FILTER (WHERE kind = 'adjustment'), 0)::bigint AS vat_minor,
           coalesce(sum(goods_minor + freight_minor) FILTER (WHERE kind = 'refund'), 0) < 0 AS refunded,
           -coalesce(sum(base_minor) FILTER (WHERE kind = 'refund'), 0)::bigint AS base_back_minor,
           sum(kept_commission_minor - CASE WHEN kind = 'refund' THEN commission_minor ELSE 0 END)::bigint
               AS commission_back_minor,
           sum(kept_vat_minor - CASE WHEN kind = 'refund' THEN vat_minor ELSE 0 END)::bigint AS vat_back_minor
    FROM billing.commission_line WHERE merchant_id = :merchant AND kind <> 'sale' GROUP BY order_id, contract_id
) AS later ON later.order_id = s.order_id AND later.contract_id = s.contract_id
WHERE s.merchant_id = :merchant AND s.kind = 'sale' AND s.effective_on >= :since
ORDER BY s.entry_no, s.contract_id
""")

# One row per line of these orders as it was settled: what was refunded afterwards is put back. Lines that an amendment
# added were sold when it was agreed to.
SOLD = text("""
SELECT s.order_id, l.line_no, l.contract_id, l.category,
       coalesce((a.decided_at AT TIME ZONE n.zone)::date, o.purchased_on) AS bought_on,
       l.goods_minor - l.refunded_goods_minor + coalesce(later.goods_minor, 0) AS goods_minor,
       l.freight_minor - l.refunded_freight_minor + coalesce(later.freight_minor, 0) AS freight_minor,
       l.discount_minor
FROM (
    SELECT order_id, entry_no FROM billing.commission_line
    WHERE merchant_id = :merchant AND kind = 'sale' AND effective_on >= :since GROUP BY order_id, entry_no
) AS s
JOIN demand.merchant_order o ON o.merchant_id = :merchant AND o.order_id = s.order_id
JOIN billing.entity n ON n.entity_id = o.entity_id
JOIN demand.order_line l ON l.merchant_id = :merchant AND l.order_id = s.order_id AND l.contract_id IS NOT NULL
LEFT JOIN demand.amendment a ON a.merchant_id = :merchant AND a.amendment_id = l.amendment_id
LEFT JOIN LATERAL (
    SELECT sum(g.merchant_goods_minor)::bigint AS goods_minor, sum(g.merchant_freight_minor)::bigint AS freight_minor
    FROM demand.refund_line g
    JOIN demand.refund r ON r.merchant_id = g.merchant_id AND r.refund_id = g.refund_id AND r.state = 'booked'
    JOIN billing.entry e ON e.merchant_id = g.merchant_id AND e.source_id = g.refund_id
     AND e.kind IN ('order_refunded', 'dispute_lost') AND e.entry_no > s.entry_no
    WHERE g.merchant_id = :merchant AND g.order_id = l.order_id AND g.line_no = l.line_no
) AS later ON true
ORDER BY s.entry_no, l.line_no
""")
