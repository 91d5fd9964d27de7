"""What the books say that documents are to tell of: the facts of a period, over a bucket of merchants.

Each statement gives rows of `model.Fact`; what the merchant owes is positive. A fact belongs to the period of its
entry's effective_on, as everything does. Statement after statement says which document it changes, if one.
"""

from sqlalchemy import ARRAY, BigInteger, bindparam, text
from sqlalchemy.sql.elements import TextClause

from billing.runs.model import INCENTIVE_KINDS
from billing.runs.sql import span


def _bucket(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("merchants", type_=ARRAY(BigInteger)))


_SPAN = span(2000, 2300, 4000)
_LINES = f"""({_SPAN}) AS span
JOIN billing.commission_line c ON c.merchant_id = span.merchant_id
 AND c.entry_no BETWEEN span.first_no AND span.last_no
 AND c.effective_on >= :from_on AND c.effective_on < :to_on"""

# An order's VAT is the difference of what its month's VAT has come to, so the sum of sales was rounded once.
_COMMISSION = f"""
SELECT c.merchant_id, c.currency, 'period' AS subject, 'commission' AS category, k.vat_ppm,
       sum(c.net)::bigint AS net_minor, sum(c.vat)::bigint AS vat_minor, sum(c.lines)::bigint AS quantity
FROM (SELECT c.merchant_id, c.currency, c.contract_id, sum(c.commission_minor) AS net, sum(c.vat_minor) AS vat,
             count(*) AS lines
      FROM {_LINES} WHERE c.kind = 'sale' GROUP BY c.merchant_id, c.currency, c.contract_id) AS c
JOIN billing.contract k ON k.contract_id = c.contract_id
GROUP BY c.merchant_id, c.currency, k.vat_ppm
"""

# What refunds and new ratings change belongs to the document in which the sale stands. They have an index of their own.
_CHANGES = f"""
SELECT c.merchant_id, c.currency, 'correction' AS subject, c.kind AS category, k.vat_ppm,
       sum(c.commission_minor)::bigint AS net_minor, sum(c.vat_minor)::bigint AS vat_minor, count(*) AS quantity,
       d.document_id AS corrects_id,
       CASE WHEN d.document_id IS NULL AND s.effective_on >= :from_on THEN 'period' END AS of_run
FROM {_LINES} AND c.kind <> 'sale' JOIN billing.contract k ON k.contract_id = c.contract_id
LEFT JOIN billing.commission_line s ON s.merchant_id = c.merchant_id AND s.order_id = c.order_id
 AND s.contract_id = c.contract_id AND s.kind = 'sale'
LEFT JOIN billing.document d ON d.merchant_id = s.merchant_id AND d.currency = s.currency
 AND d.subject = 'period' AND d.kind = 'invoice' AND d.state = 'issued' AND d.corrects_id IS NULL
 AND s.effective_on >= d.from_on AND s.effective_on < d.to_on
GROUP BY c.merchant_id, c.currency, c.kind, k.vat_ppm, d.document_id, of_run
"""

_MINIMUM = """
SELECT c.merchant_id, c.currency, 'period' AS subject, 'commission_minimum' AS category, k.vat_ppm,
       c.fee_minor AS net_minor, c.vat_minor
FROM billing.run_charge c JOIN billing.contract k ON k.contract_id = c.contract_id
WHERE c.merchant_id = ANY(:merchants) AND c.run_id = :run_id AND c.state IN ('due', 'posted')
"""

# Fees are passed on as they were charged, without VAT.
_FEES = """
SELECT merchant_id, currency, CASE WHEN sum(amount) > 0 THEN 'period' ELSE 'fees' END AS subject, 'fees' AS category,
       0 AS vat_ppm, sum(amount)::bigint AS net_minor, 0 AS vat_minor
FROM (
    SELECT d.merchant_id, d.currency, d.credit_minor - d.debit_minor AS amount
    FROM billing.account_day d
    WHERE d.merchant_id = ANY(:merchants) AND d.account = 4050
      AND d.effective_on >= :from_on AND d.effective_on < :to_on
    UNION ALL
    SELECT e.merchant_id, e.currency, -leg.amount
    FROM billing.ledger_roll r
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.amounts) AS leg (account, amount)
    WHERE r.merchant_id = ANY(:merchants) AND leg.account = 4050
      AND e.effective_on >= :from_on AND e.effective_on < :to_on
) AS fee
GROUP BY merchant_id, currency
"""

_CHARGES = """
SELECT c.merchant_id, c.currency, 'charge' AS subject, c.source AS category, c.vat_ppm, c.net_minor, c.vat_minor,
       c.charge_id AS source_id, c.description, c.service_from AS from_on, c.service_to AS to_on, c.due_on
FROM billing.charge c JOIN billing.entry e ON e.merchant_id = c.merchant_id AND e.entry_no = c.entry_no
WHERE c.merchant_id = ANY(:merchants) AND e.effective_on >= :from_on AND e.effective_on < :to_on
"""

_CREDITS = """
SELECT c.merchant_id, c.currency, 'charge' AS subject, c.source AS category, c.vat_ppm,
       m.vat_minor - m.amount_minor AS net_minor, -m.vat_minor AS vat_minor, c.charge_id AS source_id, c.description,
       d.document_id AS corrects_id,
       CASE WHEN d.document_id IS NULL AND charged.effective_on >= :from_on THEN 'charge' END AS of_run
FROM billing.charge_movement m
JOIN billing.charge c ON c.merchant_id = m.merchant_id AND c.charge_id = m.charge_id
JOIN billing.entry e ON e.merchant_id = m.merchant_id AND e.entry_no = m.entry_no
JOIN billing.entry charged ON charged.merchant_id = c.merchant_id AND charged.entry_no = c.entry_no
LEFT JOIN billing.document d ON d.merchant_id = c.merchant_id AND d.subject = 'charge' AND d.source_id = c.charge_id
 AND d.kind = 'invoice' AND d.state = 'issued' AND d.corrects_id IS NULL
WHERE m.merchant_id = ANY(:merchants) AND m.kind = 'credited'
  AND e.effective_on >= :from_on AND e.effective_on < :to_on
"""

# What is given back of prepaid ads was paid in by several payments: it points to none of them.
_ADS = """
SELECT m.merchant_id, m.currency, CASE m.kind WHEN 'top_up' THEN 'top_up' ELSE 'ads' END AS subject, 'ads' AS category,
       coalesce(t.vat_ppm, 0) AS vat_ppm, m.paid_minor AS net_minor, m.vat_minor, m.movement_id AS source_id
FROM billing.ad_movement m
JOIN billing.entry e ON e.merchant_id = m.merchant_id AND e.entry_no = m.entry_no
JOIN billing.entity n ON n.entity_id = e.entity_id
LEFT JOIN LATERAL (
    SELECT a.vat_ppm FROM billing.ad_terms a
    WHERE a.entity_id = e.entity_id AND a.currency = m.currency AND a.valid_from <= (m.at AT TIME ZONE n.zone)::date
    ORDER BY a.valid_from DESC LIMIT 1
) AS t ON true
WHERE m.merchant_id = ANY(:merchants) AND m.kind IN ('top_up', 'refund')
  AND e.effective_on >= :from_on AND e.effective_on < :to_on
"""

# Amounts contain the merchant's own VAT; `store` takes it out of their sum.
_SOLD_TO_US = f"""
SELECT c.merchant_id, c.currency, 'self_billing' AS subject, 'goods' AS category,
       p.self_billed_vat_ppm AS vat_ppm,
       sum(c.goods_minor + c.freight_minor - c.discount_minor)::bigint AS net_minor, 0 AS vat_minor,
       count(*) AS quantity
FROM {_LINES} JOIN billing.billing_party p ON p.merchant_id = c.merchant_id AND 'goods' = ANY(p.self_billed)
GROUP BY c.merchant_id, c.currency, p.self_billed_vat_ppm
"""
_INCENTIVES = f"""
SELECT e.merchant_id, e.currency, 'self_billing' AS subject, 'incentive' AS category,
       p.self_billed_vat_ppm AS vat_ppm, -sum(leg.amount)::bigint AS net_minor, 0 AS vat_minor, count(*) AS quantity
FROM ({_SPAN}) AS span
JOIN billing.billing_party p ON p.merchant_id = span.merchant_id AND 'incentive' = ANY(p.self_billed)
JOIN billing.entry e ON e.merchant_id = span.merchant_id AND e.entry_no BETWEEN span.first_no AND span.last_no
 AND e.kind IN ({", ".join(f"'{kind}'" for kind in INCENTIVE_KINDS)}),
     unnest(e.accounts, e.amounts) AS leg (account, amount)
WHERE leg.account = 2000 AND e.effective_on >= :from_on AND e.effective_on < :to_on
GROUP BY e.merchant_id, e.currency, p.self_billed_vat_ppm
"""

FACTS = [_bucket(sql) for sql in (_COMMISSION, _CHANGES, _MINIMUM, _FEES, _CHARGES, _CREDITS, _ADS)]
SELF_BILLING = _bucket("""
SELECT merchant_id FROM billing.billing_party WHERE merchant_id = ANY(:merchants) AND self_billed <> '{}'
""")
SELF_BILLED = [_bucket(sql) for sql in (_SOLD_TO_US, _INCENTIVES)]

OPEN_SERIES = """
INSERT INTO billing.document_series (series, entity_id, last_serial)
SELECT series, $2, 0 FROM unnest($1::text[]) AS s (series) ORDER BY series
ON CONFLICT DO NOTHING
"""
HOLD_SERIES = (
    "SELECT series, last_serial FROM billing.document_series WHERE series = ANY($1) ORDER BY series FOR UPDATE"
)
TAKE_NUMBERS = """
UPDATE billing.document_series AS s SET last_serial = s.last_serial + n.taken
FROM unnest($1::text[], $2::bigint[]) AS n (series, taken) WHERE s.series = n.series
"""

NUMBER = """
INSERT INTO billing.document (merchant_id, document_id, run_id, entity_id, kind, subject, source_id, series, serial,
    currency, from_on, to_on, issued_on, due_on, net_minor, vat_minor, seller, buyer, corrects_id, reverses_id,
    replaces_id, issued_by, issued_at)
SELECT d.merchant_id, d.document_id, $2, $3, d.kind, d.subject, d.source_id, d.series,
       s.last_serial + row_number() OVER (PARTITION BY d.series ORDER BY d.merchant_id, d.document_id),
       d.currency, $4, $5, $6, d.due_on, d.net_minor, d.vat_minor, d.seller, d.buyer, d.corrects_id, d.reverses_id,
       d.replaces_id, $7, $8
FROM json_to_recordset($1::json) AS d (merchant_id bigint, document_id bigint, kind text, subject text,
    source_id bigint, series text, currency text, due_on date, net_minor bigint, vat_minor bigint, seller jsonb,
    buyer jsonb, corrects_id bigint, reverses_id bigint, replaces_id bigint)
JOIN unnest($9::text[], $10::bigint[]) AS s (series, last_serial) ON s.series = d.series
"""
ADD_LINES = """
INSERT INTO billing.document_line (merchant_id, document_id, line_no, category, description, quantity, vat_ppm,
    net_minor, from_on, to_on)
SELECT * FROM json_to_recordset($1::json) AS l (merchant_id bigint, document_id bigint, line_no smallint, category text,
    description text, quantity bigint, vat_ppm integer, net_minor bigint, from_on date, to_on date)
"""
ADD_TAXES = """
INSERT INTO billing.document_tax (merchant_id, document_id, vat_ppm, net_minor, vat_minor)
SELECT * FROM json_to_recordset($1::json) AS t (merchant_id bigint, document_id bigint, vat_ppm integer,
    net_minor bigint, vat_minor bigint)
"""
REVERSED = """
UPDATE billing.document SET state = 'reversed' WHERE merchant_id = ANY($1) AND run_id = $2 AND state = 'issued'
"""
