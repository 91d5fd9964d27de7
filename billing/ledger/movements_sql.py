"""What moved accounts up to a day, over all books of an entity: from the roll-up, and from the entries behind it."""

MOVED = """(
    SELECT d.merchant_id, d.account, d.dimension, d.currency, d.effective_on, d.debit_minor - d.credit_minor AS minor
    FROM billing.ledger_head h
    JOIN billing.account_day d ON d.merchant_id = h.merchant_id
    WHERE h.entity_id = :entity AND d.account IN ({accounts}) AND d.effective_on < :to_on
    UNION ALL
    SELECT e.merchant_id, leg.account, leg.dimension, e.currency, e.effective_on, leg.amount
    FROM billing.ledger_head h
    JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
    WHERE h.entity_id = :entity AND leg.account IN ({accounts}) AND e.effective_on < :to_on
) AS m"""
"""A row per merchant, account, dimension, currency and day (a leg where it is not rolled up), debit positive."""
