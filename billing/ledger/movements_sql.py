"""What moved accounts before a day, of an entity or of all: from the roll-up, and from the entries behind it."""

_TAIL = """FROM billing.ledger_head h
    JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"""
_OF_ENTITY = "(CAST(:entity AS integer) IS NULL OR {}.entity_id = :entity)"

MOVED = f"""(
    SELECT d.merchant_id, d.account, d.dimension, d.currency, d.effective_on, d.debit_minor AS debit,
           d.credit_minor AS credit, d.debit_minor - d.credit_minor AS minor
    FROM billing.ledger_head h
    JOIN billing.account_day d ON d.merchant_id = h.merchant_id
    WHERE {_OF_ENTITY.format("h")} AND d.account IN ({{accounts}}) AND d.effective_on < :to_on
    UNION ALL
    SELECT e.merchant_id, leg.account, leg.dimension, e.currency, e.effective_on, greatest(leg.amount, 0),
           greatest(-leg.amount, 0), leg.amount
    {_TAIL}
    WHERE {_OF_ENTITY.format("h")} AND leg.account IN ({{accounts}}) AND e.effective_on < :to_on
) AS m"""
"""A row per merchant, account, dimension, currency and day (a leg where it is not rolled up), debit positive."""

BOOKED = f"""(
    SELECT entity_id, account, currency, effective_on, debit_minor AS debit, credit_minor AS credit
    FROM billing.book_day b WHERE {_OF_ENTITY.format("b")} AND effective_on < :to_on
    UNION ALL
    SELECT e.entity_id, leg.account, e.currency, e.effective_on, greatest(leg.amount, 0), greatest(-leg.amount, 0)
    {_TAIL}
    WHERE {_OF_ENTITY.format("e")} AND e.effective_on < :to_on
) AS b"""
"""A row per entity, account, currency and day over all books (a leg where it is not rolled up)."""
