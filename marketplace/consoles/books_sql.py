"""The statements behind `books_queries`."""

from billing.ledger.chart import Account
from demand.store import ORDER_STATE

MERCHANT = """
SELECT m.merchant_id, m.merchant_ref, m.name, m.city, m.region, m.state, e.entity_id, e.name, e.currency, e.zone
FROM supply.merchant m JOIN billing.entity e ON e.entity_id = m.entity_id
WHERE m.merchant_id = :merchant
UNION ALL
SELECT e.house_merchant_id, '', e.name, '', '', 'live', e.entity_id, e.name, e.currency, e.zone
FROM billing.entity e WHERE e.house_merchant_id = :merchant
"""
STATEMENTS = """
SELECT run_id, currency, from_on, to_on, orders, opening_minor, payout_minor, closing_minor, state
FROM billing.statement WHERE merchant_id = :merchant AND state IN ('final', 'reversed')
ORDER BY from_on DESC, run_id DESC, currency LIMIT :limit
"""
STATEMENT = """
SELECT * FROM billing.statement WHERE merchant_id = :merchant AND run_id = :run AND currency = :currency
"""
PAYOUTS = """
SELECT payout_id, run_id, currency, amount_minor, instructed_on, state,
       CASE WHEN state = 'instructed' AND bank_account_id IS NULL THEN 'no_account' ELSE '' END AS held
FROM billing.payout
WHERE merchant_id = :merchant
"""
PAYOUTS_NEWEST = f"{PAYOUTS} ORDER BY instructed_on DESC, payout_id DESC LIMIT :limit"
PAYOUTS_OF_RUN = f"""
{PAYOUTS} AND payout_id IN (
    SELECT i.payout_id FROM billing.payout_item i WHERE i.merchant_id = :merchant AND i.run_id = :run)
ORDER BY payout_id
"""
PAYOUT_ITEMS = """
SELECT i.run_id, s.from_on, s.to_on, i.amount_minor
FROM billing.payout_item i
JOIN billing.statement s ON s.merchant_id = i.merchant_id AND s.run_id = i.run_id AND s.currency = :currency
WHERE i.merchant_id = :merchant AND i.payout_id = :payout
ORDER BY s.from_on
"""
ORDER_COLUMNS = f"""
o.order_id, o.order_ref, {ORDER_STATE} AS state, o.currency, o.goods_minor, o.freight_minor, o.discount_minor,
o.placed_at, o.purchased_on, o.delivered_at
"""
WANTED = f"""
o.merchant_id = :merchant AND o.currency = :currency AND o.purchased_on BETWEEN :first AND :last
AND (CAST(:state AS text) IS NULL OR {ORDER_STATE} = :state)
"""
ORDER_SUMS = f"""
SELECT count(*) AS orders, coalesce(sum(goods_minor), 0) AS goods_minor,
       coalesce(sum(freight_minor), 0) AS freight_minor, coalesce(sum(discount_minor), 0) AS discount_minor
FROM demand.merchant_order o WHERE {WANTED}
"""
ORDER = f"SELECT {ORDER_COLUMNS} FROM demand.merchant_order o WHERE o.merchant_id = :merchant AND o.order_id = :order"
ORDER_LINES = """
SELECT l.line_no, l.title, coalesce(c.name_en, l.category), l.quantity, l.cancelled_quantity + l.returned_quantity,
       l.shipped_quantity, l.delivered_quantity, l.goods_minor, l.freight_minor, l.discount_minor,
       l.refunded_goods_minor + l.refunded_freight_minor
FROM demand.order_line l LEFT JOIN supply.category c ON c.category = l.category
WHERE l.merchant_id = :merchant AND l.order_id = :order ORDER BY l.line_no
"""
REFUNDED = """
SELECT coalesce(sum(goods_minor + freight_minor), 0) FROM demand.refund
WHERE merchant_id = :merchant AND order_id = :order AND state = 'booked'
"""
PAID = """
SELECT (SELECT coalesce(sum(amount_minor), 0) FROM billing.payment_share
        WHERE merchant_id = :merchant AND order_id = :order)
     + (SELECT coalesce(sum(amount_minor + credit_minor), 0) FROM billing.payment_part
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'captured')
"""
HISTORY = """
SELECT event_no, move, party, state, at, coalesce(detail ->> 'reason', '') FROM demand.order_event
WHERE merchant_id = :merchant AND order_id = :order ORDER BY event_no LIMIT :limit
"""
_OF_ORDER = "WHERE merchant_id = :merchant AND order_id = :order"
ANNEXES = f"""
SELECT 'payment' AS kind, NULL AS at, state, amount_minor + credit_minor AS amount_minor, '' AS words, payment_id AS id
FROM billing.payment_part {_OF_ORDER}
UNION ALL
SELECT 'shipment', shipped_at, CASE WHEN delivered_at IS NULL THEN 'shipped' ELSE 'delivered' END, NULL,
       trim(carrier || ' ' || tracking), shipment_id
FROM demand.shipment {_OF_ORDER}
UNION ALL
SELECT 'return', requested_at, state, NULL, note, return_id FROM demand.return_request {_OF_ORDER}
UNION ALL
SELECT 'amendment', proposed_at, state, delta_minor, reason, amendment_id FROM demand.amendment {_OF_ORDER}
UNION ALL
SELECT 'refund', refunded_at, state, -(goods_minor + freight_minor), reason, refund_id FROM demand.refund {_OF_ORDER}
UNION ALL
SELECT 'dispute', opened_at, state, -amount_minor, '', dispute_id FROM demand.dispute {_OF_ORDER}
ORDER BY 6
"""
"""What belongs to an order beside its lines, in the order it came about."""

# By which ids entries about an order are booked. Kinds have ids of their own: those of imports are not unique.
FACTS = f"""
SELECT kind, id FROM (
    SELECT unnest(ARRAY['order_paid', 'order_settled']) AS kind, CAST(:order AS bigint) AS id
    UNION ALL
    SELECT unnest(ARRAY['order_refunded', 'refund_cancelled', 'processor_fee_recharged', 'processor_fee_returned']),
           refund_id
    FROM demand.refund {_OF_ORDER}
    UNION ALL
    SELECT unnest(ARRAY['refund_paid', 'refund_returned', 'refund_credited']), transfer_id
    FROM billing.refund_payment {_OF_ORDER}
    UNION ALL
    SELECT unnest(ARRAY['dispute_opened', 'dispute_won', 'dispute_lost']), dispute_id FROM demand.dispute {_OF_ORDER}
    UNION ALL
    SELECT unnest(ARRAY['amendment_paid', 'amendment_voided', 'unwanted_returned']), amendment_id
    FROM demand.amendment {_OF_ORDER}
    UNION ALL
    SELECT unnest(ARRAY['payment_unwanted', 'unwanted_returned']), payment_id
    FROM billing.payment_part {_OF_ORDER} AND state = 'released'
    UNION ALL
    SELECT 'commission_adjusted', adjustment_id FROM billing.commission_adjustment {_OF_ORDER}
    UNION ALL
    SELECT kind, entry_id FROM billing.payer_entry
    WHERE merchant_id = :merchant AND source = 'order' AND source_id = :order
    UNION ALL
    SELECT 'processor_fee_recharged', payment_id FROM billing.payment_part {_OF_ORDER} AND state = 'captured'
) AS facts
"""
PARKED = "SELECT reason FROM billing.parked_order WHERE merchant_id = :merchant AND order_id = :order"

# A list plan's name everybody may read; what was negotiated is named by the merchant's own copy.
COMMISSION_COLUMNS = """
SELECT l.entry_no, l.order_id, o.order_ref, l.kind, l.effective_on, coalesce(own.name, plan.name) AS contract,
       l.goods_minor, l.freight_minor, l.discount_minor, l.base_minor, l.commission_minor, l.vat_minor
FROM billing.commission_line l
JOIN demand.merchant_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
LEFT JOIN billing.contract_merchant own ON own.merchant_id = l.merchant_id AND own.contract_id = l.contract_id
LEFT JOIN billing.contract plan ON plan.contract_id = l.contract_id
"""
ORDER_COMMISSIONS = f"""
{COMMISSION_COLUMNS} WHERE l.merchant_id = :merchant AND l.order_id = :order ORDER BY l.entry_no, l.contract_id
"""
PERIOD = "effective_on >= :from_on AND effective_on < :to_on"
STATEMENT_LINES = f"""
{COMMISSION_COLUMNS}
WHERE l.merchant_id = :merchant AND l.currency = :currency AND l.{PERIOD.replace("AND ", "AND l.")}
  AND l.entry_no BETWEEN :first_no AND :to_no AND (CAST(:before AS bigint) IS NULL OR l.entry_no < :before)
ORDER BY l.entry_no DESC, l.contract_id LIMIT :limit
"""

# Where in the journal a period's entries begin: the roll-up knows, else they are in the tail behind it.
ENTRY_BOUNDS = f"""
SELECT coalesce(
    (SELECT min(first_entry_no) FROM billing.account_day
     WHERE merchant_id = :merchant AND currency = :currency AND {PERIOD}),
    (SELECT rolled_no + 1 FROM billing.ledger_roll WHERE merchant_id = :merchant),
    CAST(:to_no AS bigint)) AS first_no
"""
MOVEMENTS = f"""
SELECT e.kind, count(DISTINCT e.entry_no) AS entries, -sum(leg.amount) AS amount
FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
WHERE e.merchant_id = :merchant AND e.currency = :currency AND e.{PERIOD.replace("AND ", "AND e.")}
  AND e.entry_no BETWEEN :first_no AND :to_no AND leg.account = {Account.PAYABLE:d}
GROUP BY e.kind ORDER BY e.kind
"""
BOOKED = f"""
SELECT e.entry_no, e.kind, e.effective_on,
       (SELECT sum(amount) FROM unnest(e.amounts) AS amount WHERE amount > 0) AS moved,
       (SELECT coalesce(-sum(leg.amount), 0) FROM unnest(e.accounts, e.amounts) AS leg (account, amount)
        WHERE leg.account = {Account.PAYABLE:d}) AS payable
FROM unnest(CAST(:kinds AS text[]), CAST(:sources AS bigint[])) AS fact (kind, source_id)
JOIN billing.entry e ON e.merchant_id = :merchant AND e.kind = fact.kind AND e.source_id = fact.source_id
ORDER BY e.entry_no
"""
