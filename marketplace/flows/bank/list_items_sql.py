"""What is to be matched, as it stands in the tables of others: lines of banks and processors, and what we expect there.

Each source is a query of items that may be new; an item is listed once, by kind, owner, source and part.
"""

from billing.matching.model import ItemKind

PAYOUT_TYPES = ("payout", "MerchantPayout", "T0400", "提现")
"""How processors name the line by which they pay out: what the bank then gets."""

FEE_TYPES = (
    "fee", "stripe_fee", "stripe_fx_fee", "tax_fee", "network_cost",  # Stripe, and any table by a mapping
    "misccosts", "invoicededuction", "paymentcost", "收费", "服务费",  # Adyen, Alipay
)  # fmt: skip
"""How processors name, in whatever case, what they charge beside payments; PayPal's begin with T01."""

_GIVEN_BACK = "('due', 'paid', 'stray')"
_WORDS = r"array_remove(regexp_split_to_array(upper(l.text), '[\s,;]+'), '')"
_TYPES = ", ".join(f"'{name}'" for name in PAYOUT_TYPES)

_IS_FEE = f"""(lower(l.type_code) IN ({", ".join(f"'{name}'" for name in FEE_TYPES)}) OR l.type_code LIKE 'T01%'
               OR coalesce(l.gross_minor = 0, false)) AND l.amount_minor <> 0"""

_BANK_LINES = f"""
SELECT 'bank' AS book, 'theirs' AS side, '{ItemKind.BANK_LINE}' AS kind, 0::bigint AS owner_id, l.line_id AS source_id,
       0 AS part, a.entity_id, NULL::bigint AS processor_id, l.currency, l.amount_minor, NULL::bigint AS fee_minor,
       upper(coalesce(nullif(nullif(l.end_to_end, 'NOTPROVIDED'), ''), l.bank_ref)) AS reference, '' AS batch_ref,
       array_remove(ARRAY[upper(l.end_to_end), upper(l.bank_ref), upper(l.batch_ref)], '') || {_WORDS} AS keys,
       l.party, l.party_account, l.text AS words, l.day, a.calendar, 0 AS lag_days,
       encode(l.fingerprint, 'hex') || '-' || l.occurrence AS sort_key, false AS booked
FROM billing.bank_line l
JOIN billing.bank_file f ON f.file_id = l.file_id AND f.state = 'read'
JOIN billing.match_account a ON a.account = l.account AND a.book = 'bank'
WHERE l.kind = 'statement' AND l.booked AND l.amount_minor <> 0 AND l.day >= a.from_on"""

_REPORTED_LINES = f"""
SELECT 'processor', 'theirs', '{ItemKind.PROCESSOR_LINE}', 0::bigint, l.line_id, 0, a.entity_id, a.processor_id,
       l.currency, coalesce(l.gross_minor, l.amount_minor) AS amount_minor, l.fee_minor,
       upper(coalesce(nullif(l.end_to_end, ''), l.bank_ref)) AS reference, l.batch_ref,
       array_remove(ARRAY[upper(l.end_to_end), upper(l.bank_ref)], '') AS keys,
       l.party, l.party_account, l.type_code || ' ' || l.text, l.day, a.calendar, 0,
       encode(l.fingerprint, 'hex') || '-' || l.occurrence, false
FROM billing.bank_line l
JOIN billing.bank_file f ON f.file_id = l.file_id AND f.state = 'read'
JOIN billing.match_account a ON a.account = l.account AND a.book = 'processor'
WHERE l.kind = 'processor' AND l.booked AND l.day >= a.from_on AND l.type_code NOT IN ({_TYPES})
  AND coalesce(l.gross_minor, l.amount_minor) <> 0 AND NOT ({_IS_FEE})"""

# A fee that belongs to no payment: nothing was captured, and so much was charged. Nobody expects it elsewhere, so it is
# its own other side, and never a break for being there. One that was matched as a payment before stays as it is.
_FEE_LINES = f"""
SELECT 'processor', s.side, s.kind, 0::bigint, l.line_id, 0, a.entity_id, a.processor_id, l.currency, 0::bigint,
       CASE s.side WHEN 'theirs' THEN -l.amount_minor END, 'FEE-' || l.line_id, '', ARRAY['FEE-' || l.line_id], '', '',
       l.type_code || CASE s.side WHEN 'theirs' THEN ' ' || l.text ELSE '' END, l.day, a.calendar, 0,
       encode(l.fingerprint, 'hex') || '-' || l.occurrence, s.side = 'ours'
FROM billing.bank_line l
JOIN billing.bank_file f ON f.file_id = l.file_id AND f.state = 'read'
JOIN billing.match_account a ON a.account = l.account AND a.book = 'processor'
CROSS JOIN (VALUES ('theirs', '{ItemKind.PROCESSOR_LINE}'), ('ours', '{ItemKind.PROCESSOR_FEE}')) AS s (side, kind)
LEFT JOIN (SELECT source_id, reference FROM billing.match_item
           WHERE kind = '{ItemKind.PROCESSOR_LINE}' AND owner_id = 0 AND part = 0) AS i
  ON i.source_id = l.line_id AND i.reference <> 'FEE-' || l.line_id
WHERE l.kind = 'processor' AND l.booked AND l.day >= a.from_on AND l.type_code NOT IN ({_TYPES}) AND {_IS_FEE}
  AND i.source_id IS NULL"""

# The same in a settlement file, where it is booked with the file.
_SETTLED_FEES = f"""
SELECT 'processor', s.side, s.kind, l.processor_id, l.line_id, 0, f.entity_id, l.processor_id, l.currency, 0::bigint,
       CASE s.side WHEN 'theirs' THEN -l.net_minor END, 'FEE-' || l.line_ref, f.batch_ref, ARRAY['FEE-' || l.line_ref],
       '', '', l.kind, (l.at AT TIME ZONE e.zone)::date, a.calendar, 0, l.line_ref, true
FROM billing.processor_line l
JOIN billing.processor_file f ON f.file_id = l.file_id
JOIN billing.entity e ON e.entity_id = f.entity_id
JOIN billing.match_account a
  ON a.processor_id = l.processor_id AND a.entity_id = f.entity_id AND a.book = 'processor'
CROSS JOIN (VALUES ('theirs', '{ItemKind.PROCESSOR_LINE}'), ('ours', '{ItemKind.PROCESSOR_FEE}')) AS s (side, kind)
WHERE l.kind = 'fee' AND (l.at AT TIME ZONE e.zone)::date >= a.from_on"""

_SETTLEMENT_LINES = f"""
SELECT 'processor', 'theirs', '{ItemKind.PROCESSOR_LINE}', l.processor_id, l.line_id, 0, f.entity_id, l.processor_id,
       l.currency, CASE WHEN l.kind IN ('dispute', 'dispute_won') THEN l.net_minor ELSE l.gross_minor END,
       l.fee_minor, upper(coalesce(nullif(l.dispute_ref, ''), l.reference)), f.batch_ref,
       ARRAY[upper(coalesce(nullif(l.dispute_ref, ''), l.reference))], '', '', l.kind,
       (l.at AT TIME ZONE e.zone)::date, a.calendar, 0, l.line_ref, true
FROM billing.processor_line l
JOIN billing.processor_file f ON f.file_id = l.file_id
JOIN billing.entity e ON e.entity_id = f.entity_id
JOIN billing.match_account a
  ON a.processor_id = l.processor_id AND a.entity_id = f.entity_id AND a.book = 'processor'
WHERE l.kind <> 'fee' AND (l.at AT TIME ZONE e.zone)::date >= a.from_on"""

_CAPTURES = f"""
SELECT 'processor', 'ours', '{ItemKind.CAPTURE}', p.buyer_id, p.payment_id, 0, a.entity_id, p.processor_id, p.currency,
       p.captured_minor, NULL::bigint, p.buyer_id || '-' || p.payment_id, '',
       array_remove(ARRAY[p.buyer_id || '-' || p.payment_id, upper(p.processor_ref)], NULL), '', '', p.method,
       (p.captured_at AT TIME ZONE e.zone)::date, a.calendar, a.lag_days, p.buyer_id || '-' || p.payment_id, true
FROM billing.payment p
JOIN (SELECT DISTINCT ON (r.payment_id) r.payment_id, h.entity_id
      FROM billing.payment_part r JOIN billing.ledger_head h ON h.merchant_id = r.merchant_id
      ORDER BY r.payment_id, r.merchant_id) AS o ON o.payment_id = p.payment_id
JOIN billing.entity e ON e.entity_id = o.entity_id
JOIN billing.match_account a
  ON a.processor_id = p.processor_id AND a.entity_id = o.entity_id AND a.book = 'processor'
WHERE p.state = 'captured' AND p.captured_minor > 0 AND p.method <> 'cash'
  AND (p.captured_at AT TIME ZONE e.zone)::date >= a.from_on"""

# An attempt to give back through the processor: on its way, or booked as paid. One that failed is nothing there.
_REFUNDS = f"""
SELECT 'processor', 'ours', '{ItemKind.REFUND}', p.merchant_id, p.transfer_id, 0, a.entity_id, p.processor_id,
       p.currency, -p.amount_minor, NULL::bigint, p.merchant_id || '-' || p.refund_id, '',
       ARRAY[p.merchant_id || '-' || p.refund_id], '', '', '', (p.at AT TIME ZONE e.zone)::date, a.calendar, a.lag_days,
       p.merchant_id || '-' || p.refund_id || '-' || p.payment_id || '-' || p.attempt, p.state <> 'due'
FROM (SELECT *, CASE state WHEN 'due' THEN due_at ELSE coalesce(said_at, due_at) END AS at
      FROM billing.refund_payment WHERE way = 'card' AND state IN {_GIVEN_BACK}) AS p
JOIN billing.ledger_head h ON h.merchant_id = p.merchant_id
JOIN billing.entity e ON e.entity_id = h.entity_id
JOIN billing.match_account a
  ON a.processor_id = p.processor_id AND a.entity_id = h.entity_id AND a.book = 'processor'
WHERE (p.at AT TIME ZONE e.zone)::date >= a.from_on"""

# What was matched as given back and bounced since: the processor owes it again, as the second part of the same attempt.
_BOUNCED = f"""
SELECT 'processor', 'ours', '{ItemKind.REFUND}', p.merchant_id, p.transfer_id, 1, i.entity_id, p.processor_id,
       p.currency, p.amount_minor, NULL::bigint, i.reference, '', i.keys, '', '', '',
       (coalesce(p.said_at, p.due_at) AT TIME ZONE e.zone)::date, a.calendar, a.lag_days, i.sort_key || '-back', true
FROM billing.refund_payment p
JOIN billing.match_item i
  ON i.kind = '{ItemKind.REFUND}' AND i.part = 0 AND i.owner_id = p.merchant_id AND i.source_id = p.transfer_id
 AND i.group_id IS NOT NULL AND i.booked
JOIN billing.entity e ON e.entity_id = i.entity_id
JOIN billing.match_account a
  ON a.processor_id = p.processor_id AND a.entity_id = i.entity_id AND a.book = 'processor'
WHERE p.way = 'card' AND p.state NOT IN {_GIVEN_BACK}"""

# Money that came for nothing, on its way back: no refund of an order.
_RETURNS = f"""
SELECT 'processor', 'ours', '{ItemKind.REFUND}', c.merchant_id, c.command_id, 0, a.entity_id, c.processor_id,
       c.currency, -c.amount_minor, NULL::bigint, c.merchant_id || '-' || c.refund_id, '',
       ARRAY[c.merchant_id || '-' || c.refund_id], '', '', '',
       (c.created_at AT TIME ZONE e.zone)::date, a.calendar, a.lag_days, c.merchant_id || '-' || c.refund_id, true
FROM billing.payment_command c
JOIN billing.ledger_head h ON h.merchant_id = c.merchant_id
JOIN billing.entity e ON e.entity_id = h.entity_id
JOIN billing.match_account a
  ON a.processor_id = c.processor_id AND a.entity_id = h.entity_id AND a.book = 'processor'
WHERE c.kind = 'refund' AND c.state = 'sent' AND c.error IS NULL
  AND (c.created_at AT TIME ZONE e.zone)::date >= a.from_on
  AND NOT EXISTS (SELECT FROM billing.refund_payment p
                  WHERE p.merchant_id = h.merchant_id AND p.refund_id = c.refund_id)"""

_DISPUTES = f"""
SELECT 'processor', 'ours', d.kind, d.buyer_id, d.payment_id, 0, a.entity_id, d.processor_id, d.currency, d.minor,
       NULL::bigint, upper(d.dispute_ref), '', ARRAY[upper(d.dispute_ref)], '', '', '',
       d.day, a.calendar, a.lag_days, d.dispute_ref || '-' || d.kind, true
FROM (SELECT d.buyer_id, d.payment_id, d.processor_id, d.currency, d.dispute_ref, h.entity_id, k.kind,
             sum(CASE k.kind WHEN '{ItemKind.DISPUTE}' THEN -d.amount_minor - d.fee_minor ELSE d.amount_minor END)
                 ::bigint AS minor,
             min((CASE k.kind WHEN '{ItemKind.DISPUTE}' THEN d.opened_at ELSE d.closed_at END
                  AT TIME ZONE e.zone)::date) AS day
      FROM demand.dispute d
      JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id
      JOIN billing.entity e ON e.entity_id = h.entity_id
      JOIN (VALUES ('{ItemKind.DISPUTE}'), ('{ItemKind.DISPUTE_WON}')) AS k (kind)
        ON k.kind = '{ItemKind.DISPUTE}' OR d.state = 'won'
      GROUP BY d.buyer_id, d.payment_id, d.processor_id, d.currency, d.dispute_ref, h.entity_id, k.kind) AS d
JOIN billing.match_account a
  ON a.processor_id = d.processor_id AND a.entity_id = d.entity_id AND a.book = 'processor'
WHERE d.minor <> 0 AND d.day >= a.from_on"""

# The entity's own bank: the first of its accounts says by which calendar money is expected.
_BANK_OF = """
JOIN (SELECT DISTINCT ON (entity_id) * FROM billing.match_account WHERE book = 'bank'
      ORDER BY entity_id, account) AS a ON a.entity_id = {entity}"""

_SETTLEMENTS = f"""
SELECT 'bank', 'ours', '{ItemKind.SETTLEMENT}', f.processor_id, f.file_id, 0, f.entity_id, f.processor_id, f.currency,
       f.net_minor, NULL::bigint, upper(f.batch_ref), upper(f.batch_ref), ARRAY[upper(f.batch_ref)], p.name, '', '',
       f.paid_on, a.calendar, a.lag_days, f.batch_ref || '-' || f.file_id, true
FROM billing.processor_file f
JOIN billing.processor p ON p.processor_id = f.processor_id
{_BANK_OF.format(entity="f.entity_id")}
WHERE f.state = 'booked' AND f.net_minor <> 0 AND f.paid_on >= a.from_on"""

_PROCESSOR_PAYOUTS = f"""
SELECT 'bank', 'ours', '{ItemKind.PROCESSOR_PAYOUT}', 0::bigint, l.line_id, 0, o.entity_id, o.processor_id, l.currency,
       -l.amount_minor, NULL::bigint, upper(coalesce(nullif(l.batch_ref, ''), l.end_to_end)),
       upper(l.batch_ref), array_remove(ARRAY[upper(l.batch_ref), upper(l.end_to_end), upper(l.bank_ref)], ''),
       p.name, '', l.text, coalesce(l.value_day, l.day), a.calendar, a.lag_days,
       encode(l.fingerprint, 'hex') || '-' || l.occurrence, false
FROM billing.bank_line l
JOIN billing.bank_file f ON f.file_id = l.file_id AND f.state = 'read'
JOIN billing.match_account o ON o.account = l.account AND o.book = 'processor'
JOIN billing.processor p ON p.processor_id = o.processor_id
{_BANK_OF.format(entity="o.entity_id")}
WHERE l.kind = 'processor' AND l.booked AND l.type_code IN ({_TYPES}) AND l.amount_minor <> 0
  AND coalesce(l.value_day, l.day) >= a.from_on"""

_PAYOUTS = f"""
SELECT 'bank', 'ours', '{ItemKind.PAYOUT}', p.merchant_id, p.payout_id, 0, h.entity_id, NULL::bigint, p.currency,
       -p.amount_minor, NULL::bigint, p.merchant_id || '-' || p.payout_id,
       CASE WHEN p.file_id IS NULL THEN '' ELSE 'PAYOUT-' || p.file_id END,
       array_remove(ARRAY[p.merchant_id || '-' || p.payout_id, upper(p.bank_ref)], NULL),
       coalesce(l.holder, ''), coalesce(l.number, ''), '',
       greatest(f.pay_on, p.instructed_on), a.calendar, a.lag_days, p.merchant_id || '-' || p.payout_id,
       p.state = 'confirmed' OR p.confirmed_on IS NOT NULL
FROM billing.payout p
JOIN billing.ledger_head h ON h.merchant_id = p.merchant_id
LEFT JOIN billing.payout_file f ON f.file_id = p.file_id
LEFT JOIN billing.payout_file_line l
  ON l.merchant_id = p.merchant_id AND l.payout_id = p.payout_id AND l.file_id = p.file_id
{_BANK_OF.format(entity="h.entity_id")}
WHERE (p.confirmed_on IS NOT NULL OR (p.state = 'instructed' AND p.bank_account_id IS NOT NULL))
  AND (p.file_id IS NULL OR f.state = 'approved') AND greatest(f.pay_on, p.instructed_on) >= a.from_on"""

_PAYOUT_RETURNS = f"""
SELECT 'bank', 'ours', '{ItemKind.PAYOUT_RETURN}', p.merchant_id, p.payout_id, 0, h.entity_id, NULL::bigint, p.currency,
       p.amount_minor, NULL::bigint, p.merchant_id || '-' || p.payout_id, '',
       array_remove(ARRAY[p.merchant_id || '-' || p.payout_id, upper(p.return_ref)], NULL), '', '', '',
       p.returned_on, a.calendar, a.lag_days, p.merchant_id || '-' || p.payout_id, true
FROM billing.payout p
JOIN billing.ledger_head h ON h.merchant_id = p.merchant_id
{_BANK_OF.format(entity="h.entity_id")}
WHERE p.state = 'returned' AND p.confirmed_on IS NOT NULL AND p.returned_on >= a.from_on"""

# What is left of a claim after what came for it is a part of its own.
_CLAIMS = f"""
SELECT 'bank', 'ours', '{ItemKind.CLAIM}', c.payer_id, c.claim_id, coalesce(i.parts, 0)::int, c.entity_id, NULL::bigint,
       c.currency, c.amount_minor + c.fee_minor + c.vat_minor - c.rejected_minor - c.remitted_minor, NULL::bigint,
       'CLAIM-' || c.payer_id || '-' || c.claim_no, '',
       ARRAY['CLAIM-' || c.payer_id || '-' || c.claim_no, c.claim_id::text], p.name, '', '',
       c.sent_on, a.calendar, greatest(c.due_on - c.sent_on, 0), c.payer_id || '-' || c.claim_id, false
FROM billing.payer_claim c
JOIN billing.payer p ON p.payer_id = c.payer_id
LEFT JOIN (SELECT owner_id, source_id, count(*) AS parts, bool_or(group_id IS NULL AND NOT booked) AS open
           FROM billing.match_item WHERE kind = '{ItemKind.CLAIM}' GROUP BY owner_id, source_id) AS i
  ON i.owner_id = c.payer_id AND i.source_id = c.claim_id
{_BANK_OF.format(entity="c.entity_id")}
WHERE c.amount_minor + c.fee_minor + c.vat_minor - c.rejected_minor - c.remitted_minor > 0
  AND coalesce(i.open, false) = false AND c.sent_on >= a.from_on"""

# A remittance that a match booked is that match; only what people booked is still expected.
_REMITTANCES = f"""
SELECT 'bank', 'ours', '{ItemKind.REMITTANCE}', r.payer_id, r.remittance_id, 0, c.entity_id, NULL::bigint, r.currency,
       r.amount_minor, NULL::bigint, upper(r.bank_ref), '', ARRAY[upper(r.bank_ref)], p.name, '', '',
       r.received_on, a.calendar, a.lag_days, r.payer_id || '-' || r.remittance_id, true
FROM billing.payer_remittance r
JOIN billing.payer_claim c ON c.payer_id = r.payer_id AND c.claim_id = r.claim_id
JOIN billing.payer p ON p.payer_id = r.payer_id
LEFT JOIN (SELECT booked_as FROM billing.match_item WHERE kind = '{ItemKind.CLAIM}' AND booked_as IS NOT NULL) AS i
  ON i.booked_as = r.remittance_id
{_BANK_OF.format(entity="c.entity_id")}
WHERE r.received_on >= a.from_on AND i.booked_as IS NULL"""

_AD_RECEIPTS = f"""
SELECT 'bank', 'ours', '{ItemKind.AD_RECEIPT}', m.merchant_id, m.movement_id, 0, h.entity_id, NULL::bigint, m.currency,
       m.paid_minor + m.vat_minor, NULL::bigint, upper(m.ref), '', ARRAY[upper(m.ref)], '', '', '',
       (m.at AT TIME ZONE e.zone)::date, a.calendar, a.lag_days, m.merchant_id || '-' || m.movement_id, true
FROM billing.ad_movement m
JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
JOIN billing.entity e ON e.entity_id = h.entity_id
{_BANK_OF.format(entity="h.entity_id")}
WHERE m.kind = 'top_up' AND m.source = 'bank' AND (m.at AT TIME ZONE e.zone)::date >= a.from_on"""

_AD_PAYMENTS = f"""
SELECT 'processor', 'ours', '{ItemKind.AD_RECEIPT}', m.merchant_id, m.movement_id, 0, h.entity_id, a.processor_id,
       m.currency, m.paid_minor + m.vat_minor, NULL::bigint, upper(m.ref), '', ARRAY[upper(m.ref)], '', '', '',
       (m.at AT TIME ZONE e.zone)::date, a.calendar, a.lag_days, m.merchant_id || '-' || m.movement_id, true
FROM billing.ad_movement m
JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
JOIN billing.entity e ON e.entity_id = h.entity_id
JOIN billing.entry b ON b.merchant_id = m.merchant_id AND b.entry_no = m.entry_no
JOIN billing.match_account a ON a.book = 'processor' AND a.entity_id = h.entity_id AND a.processor_id = b.dimensions[1]
WHERE m.kind = 'top_up' AND m.source = 'processor' AND (m.at AT TIME ZONE e.zone)::date >= a.from_on"""

# What the platform has sold itself, and, as a second part, given back.
_OWN_SALES = f"""
SELECT 'processor', 'ours', '{ItemKind.OWN_SALE}', s.house_merchant_id, s.sale_id, side.part, e.entity_id,
       s.processor_id, s.currency, side.sign * (s.net_minor + s.vat_minor), NULL::bigint, upper(s.receipt_ref), '',
       ARRAY[upper(s.receipt_ref)], '', '', '', side.day, a.calendar, a.lag_days,
       s.house_merchant_id || '-' || s.sale_id || '-' || side.part, true
FROM supply.own_sale s
CROSS JOIN LATERAL (VALUES (0, 1, s.sold_on), (1, -1, s.returned_on)) AS side (part, sign, day)
JOIN billing.entity e ON e.house_merchant_id = s.house_merchant_id
JOIN billing.match_account a ON a.book = 'processor' AND a.entity_id = e.entity_id AND a.processor_id = s.processor_id
WHERE side.day >= a.from_on"""

# What people book on the bank by hand, or exchange there.
_JOURNALS = f"""
SELECT 'bank', 'ours', '{ItemKind.JOURNAL}', b.merchant_id, b.entry_no, 0, b.entity_id, NULL::bigint, b.currency,
       leg.minor, NULL::bigint, '', '', ARRAY[b.source_id::text], '', '', b.kind,
       b.effective_on, a.calendar, a.lag_days, b.merchant_id || '-' || b.entry_no, true
FROM billing.entity e
JOIN billing.entry b ON b.merchant_id = e.house_merchant_id
JOIN LATERAL (SELECT sum(l.amount)::bigint AS minor FROM unnest(b.accounts, b.amounts) AS l (account, amount)
              WHERE l.account = 1010) AS leg ON leg.minor <> 0
{_BANK_OF.format(entity="e.entity_id")}
WHERE b.kind IN ('journal_posted', 'exchange_sold', 'exchange_bought') AND b.effective_on >= a.from_on"""

SOURCES = (
    _BANK_LINES, _REPORTED_LINES, _FEE_LINES, _SETTLEMENT_LINES, _SETTLED_FEES, _CAPTURES, _REFUNDS, _BOUNCED, _RETURNS,
    _DISPUTES, _SETTLEMENTS, _PROCESSOR_PAYOUTS, _PAYOUTS, _PAYOUT_RETURNS, _CLAIMS, _REMITTANCES, _AD_RECEIPTS,
    _AD_PAYMENTS, _OWN_SALES, _JOURNALS,
)  # fmt: skip

_COLUMNS = (
    "book", "side", "kind", "owner_id", "source_id", "part", "entity_id", "processor_id", "currency", "amount_minor",
    "fee_minor", "reference", "batch_ref", "keys", "party", "party_account", "words", "day", "calendar", "lag_days",
    "sort_key", "booked",
)  # fmt: skip
_KEPT = [name for name in _COLUMNS if name not in {"calendar", "lag_days"}]

NEW = """
CREATE TEMP TABLE match_new (LIKE billing.match_item INCLUDING DEFAULTS) ON COMMIT DROP"""

LIST = f"""
INSERT INTO match_new (item_id, expected_on, {", ".join(_KEPT)})
WITH s ({", ".join(_COLUMNS)}) AS ({{source}})
SELECT :last + row_number() OVER (),
       coalesce(d.due_on, s.day + s.lag_days), {", ".join(f"s.{name}" for name in _KEPT)}
FROM s
LEFT JOIN unnest(CAST(:calendars AS text[]), CAST(:lags AS integer[]), CAST(:days AS date[]), CAST(:dues AS date[]))
    AS d (calendar, lag_days, day, due_on)
  ON d.calendar = s.calendar AND d.lag_days = s.lag_days AND d.day = s.day
WHERE NOT EXISTS (
    SELECT FROM billing.match_item i WHERE i.kind = s.kind AND i.owner_id = s.owner_id AND i.source_id = s.source_id
      AND i.part = s.part)"""

# What an open item stands for may change before it is matched, or go away.
REFRESH = (
    f"""
    DELETE FROM billing.match_item i
    USING billing.match_item o
    LEFT JOIN billing.refund_payment p
      ON p.merchant_id = o.owner_id AND p.transfer_id = o.source_id AND p.state IN {_GIVEN_BACK}
    WHERE o.item_id = i.item_id AND p.transfer_id IS NULL AND o.kind = 'refund' AND o.group_id IS NULL
      AND NOT EXISTS (SELECT FROM billing.payment_command c WHERE c.command_id = o.source_id AND c.state = 'sent')
      AND NOT EXISTS (SELECT FROM billing.match_item m
                      WHERE m.kind = 'refund' AND m.owner_id = o.owner_id AND m.source_id = o.source_id
                        AND m.part = 0 AND o.part = 1 AND m.group_id IS NOT NULL)""",
    """
    UPDATE billing.match_item i SET booked = true, day = (p.said_at AT TIME ZONE e.zone)::date
    FROM billing.refund_payment p, billing.entity e
    WHERE i.kind = 'refund' AND i.group_id IS NULL AND NOT i.booked AND p.merchant_id = i.owner_id
      AND p.transfer_id = i.source_id AND p.state IN ('paid', 'stray') AND e.entity_id = i.entity_id""",
    """
    DELETE FROM billing.match_item i USING billing.payout p
    WHERE i.kind = 'payout' AND i.group_id IS NULL AND p.merchant_id = i.owner_id AND p.payout_id = i.source_id
      AND p.confirmed_on IS NULL AND (p.state <> 'instructed' OR p.bank_account_id IS NULL)""",
    """
    UPDATE billing.match_item i
    SET booked = true, keys = array_append(i.keys, upper(p.bank_ref))
    FROM billing.payout p
    WHERE i.kind = 'payout' AND i.group_id IS NULL AND NOT i.booked AND p.merchant_id = i.owner_id
      AND p.payout_id = i.source_id AND p.confirmed_on IS NOT NULL""",
    """
    DELETE FROM billing.match_item i USING billing.payer_claim c
    WHERE i.kind = 'claim' AND i.group_id IS NULL AND NOT i.booked AND c.payer_id = i.owner_id
      AND c.claim_id = i.source_id
      AND c.amount_minor + c.fee_minor + c.vat_minor - c.rejected_minor - c.remitted_minor <= 0""",
    """
    UPDATE billing.match_item i
    SET amount_minor = c.amount_minor + c.fee_minor + c.vat_minor - c.rejected_minor - c.remitted_minor
    FROM billing.payer_claim c
    WHERE i.kind = 'claim' AND i.group_id IS NULL AND NOT i.booked AND c.payer_id = i.owner_id
      AND c.claim_id = i.source_id AND i.amount_minor
          <> c.amount_minor + c.fee_minor + c.vat_minor - c.rejected_minor - c.remitted_minor""",
)
