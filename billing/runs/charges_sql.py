"""The statements of what a run charges by itself, over a bucket of merchants: the minimum monthly commission."""

from sqlalchemy import ARRAY, BigInteger, Date, bindparam, text
from sqlalchemy.sql.elements import TextClause


def _bucket(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("merchants", type_=ARRAY(BigInteger)))


ANY_MINIMUM = "SELECT EXISTS (SELECT FROM billing.contract WHERE month_min_minor > 0)"

FORGET_CHARGES = _bucket("""
DELETE FROM billing.run_charge WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = 'due'
""")

# [from_on, to_on) is the calendar month, which several runs may have billed in parts. From the inside out:
#   named    the minimum that a merchant agreed to, one per currency: of the version that is valid at the month's end,
#            if one of that name was valid at its beginning; of several names the newest
#   earned   the commission that the merchant's statement shows for the month, and what of the month's sales is taxed
#            at the contract's VAT rate, so that the VAT of both sums to that of the document
CHARGE = _bucket("""
INSERT INTO billing.run_charge (merchant_id, charge_id, run_id, currency, contract_id, minimum_minor, commission_minor,
    fee_minor, vat_minor, state)
SELECT merchant_id, :run_id * 100 + row_number() OVER (PARTITION BY merchant_id ORDER BY currency) - 1, :run_id,
       currency, contract_id, minimum_minor, commission_minor, fee_minor,
       billing.at_rate(taxed_minor + fee_minor, vat_ppm, 0) - billing.at_rate(taxed_minor, vat_ppm, 0), 'due'
FROM (
    SELECT named.*, earned.commission_minor, taxed.taxed_minor,
           named.minimum_minor - greatest(earned.commission_minor, 0) AS fee_minor
    FROM (
        SELECT DISTINCT ON (n.merchant_id, k.currency) n.merchant_id, k.currency, k.contract_id, k.vat_ppm,
               k.month_min_minor AS minimum_minor
        FROM billing.contract_merchant n
        JOIN billing.contract k ON k.contract_id = n.contract_id AND k.month_min_minor > 0
         AND k.valid_from < :to_on AND (k.valid_until IS NULL OR k.valid_until >= :to_on)
        JOIN billing.contract f ON f.name = k.name
         AND f.valid_from <= :from_on AND (f.valid_until IS NULL OR f.valid_until > :from_on)
        JOIN billing.contract_merchant since ON since.merchant_id = n.merchant_id AND since.contract_id = f.contract_id
        JOIN supply.merchant m ON m.merchant_id = n.merchant_id AND m.state IN ('live', 'suspended')
         AND (m.joined_on IS NULL OR m.joined_on <= :from_on)
         AND (k.first_months IS NULL OR :to_on <= m.joined_on + make_interval(months => k.first_months))
        WHERE n.merchant_id = ANY(:merchants)
        ORDER BY n.merchant_id, k.currency, k.valid_from DESC, k.name COLLATE "C"
    ) AS named
    CROSS JOIN LATERAL (
        SELECT billing.total(c.commission_minor) AS commission_minor FROM billing.commission_line c
        WHERE c.merchant_id = named.merchant_id AND c.currency = named.currency
          AND c.effective_on >= :from_on AND c.effective_on < :to_on
    ) AS earned
    CROSS JOIN LATERAL (
        SELECT billing.total(s.commission_minor) AS taxed_minor
        FROM billing.commission_month s JOIN billing.contract t ON t.contract_id = s.contract_id
        WHERE s.merchant_id = named.merchant_id AND s.month = :from_on
          AND t.currency = named.currency AND t.vat_ppm = named.vat_ppm
    ) AS taxed
) AS charged
WHERE fee_minor > 0
ON CONFLICT DO NOTHING
""")

# Dr 2000, Cr 4000 and 2300, on the last day of the month; mirrored when the run is reversed.
_POST = """
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT c.merchant_id, h.last_entry_no + row_number() OVER (PARTITION BY c.merchant_id ORDER BY c.charge_id),
       '{kind}', c.charge_id, h.entity_id, c.currency, :now, greatest(:last_on, h.closed_through + 1),
       coalesce(:last_on <= h.closed_through, false),
       CASE WHEN c.vat_minor = 0 THEN ARRAY[2000, 4000] ELSE ARRAY[2000, 4000, 2300] END,
       CASE WHEN c.vat_minor = 0 THEN ARRAY[0, 0]::bigint[] ELSE ARRAY[0, 0, 0]::bigint[] END,
       CASE WHEN c.vat_minor = 0 THEN ARRAY[{sign}c.fee_minor, -({sign}c.fee_minor)]
            ELSE ARRAY[{sign}(c.fee_minor + c.vat_minor), -({sign}c.fee_minor), -({sign}c.vat_minor)] END,
       :now, :actor
FROM billing.run_charge c JOIN billing.ledger_head h ON h.merchant_id = c.merchant_id
WHERE c.merchant_id = ANY(:merchants) AND c.run_id = :run_id AND c.state = '{state}'
"""
_ADVANCE = """
UPDATE billing.ledger_head AS head SET last_entry_no = head.last_entry_no + posted.entries
FROM (
    SELECT merchant_id, count(*) AS entries FROM billing.run_charge
    WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = '{state}' GROUP BY merchant_id
) AS posted
WHERE head.merchant_id = posted.merchant_id
"""
_MOVE = """
UPDATE billing.run_charge SET state = '{then}'
WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = '{state}'
"""


def _on_day(sql: str) -> TextClause:
    return _bucket(sql).bindparams(bindparam("last_on", type_=Date))


POST_CHARGES = _on_day(_POST.format(kind="commission_minimum", sign="", state="due"))
ADVANCE_BY_CHARGES = _bucket(_ADVANCE.format(state="due"))
CHARGED = _bucket(_MOVE.format(state="due", then="posted"))

POST_REVERSALS = _on_day(_POST.format(kind="commission_minimum_reversed", sign="-", state="posted"))
ADVANCE_BY_REVERSALS = _bucket(_ADVANCE.format(state="posted"))
REVERSED = _bucket(_MOVE.format(state="posted", then="reversed"))
