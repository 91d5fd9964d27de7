"""What merchants owe the platform, with its age."""

from datetime import date

from billing.receivables import AGES, SUSPENDS_ABOVE_MINOR, Aged, Receivable
from marketplace.core.clock import local_date
from marketplace.core.db import Tx

# The balance is covered by the newest debts: going back in time, the day on which they reach it is the oldest unpaid.
_RECEIVABLES = """
SELECT aged.merchant_id, aged.currency, aged.balance, max(aged.effective_on) AS since, e.zone
FROM (
    SELECT merchant_id, currency, effective_on, sum(debit - credit) OVER of_all AS balance,
           sum(debit) OVER newest_first AS debts
    FROM (
        SELECT merchant_id, currency, effective_on, sum(debit) AS debit, sum(credit) AS credit
        FROM (
            SELECT merchant_id, currency, effective_on, debit_minor AS debit, credit_minor AS credit
            FROM billing.account_day WHERE account = 1100
            UNION ALL
            SELECT e.merchant_id, e.currency, e.effective_on, greatest(leg.amount, 0), greatest(-leg.amount, 0)
            FROM billing.ledger_head h
            JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
            JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
                 unnest(e.accounts, e.amounts) AS leg (account, amount)
            WHERE leg.account = 1100
        ) AS movement
        GROUP BY merchant_id, currency, effective_on
    ) AS day
    WINDOW of_all AS (PARTITION BY merchant_id, currency),
           newest_first AS (PARTITION BY merchant_id, currency ORDER BY effective_on DESC)
) AS aged
JOIN billing.ledger_head h ON h.merchant_id = aged.merchant_id
JOIN billing.entity e ON e.entity_id = h.entity_id
WHERE aged.balance > 0 AND aged.debts >= aged.balance
  AND (aged.merchant_id, aged.currency) > (:after_merchant, :after_currency)
GROUP BY aged.merchant_id, aged.currency, aged.balance, e.zone
ORDER BY aged.merchant_id, aged.currency LIMIT :limit
"""


async def list_receivables(tx: Tx, *, limit: int, after: tuple[int, str] | None = None) -> list[Receivable]:
    """At most `limit` merchants that owe something, by merchant and currency, those behind `after`."""
    merchant_id, currency = after or (-(2**63), "")
    rows = await tx.rows(_RECEIVABLES, limit=limit, after_merchant=merchant_id, after_currency=currency)
    return [
        Receivable(
            merchant_id=row.merchant_id,
            currency=row.currency,
            balance_minor=int(row.balance),
            since=row.since,
            age_days=max((local_date(tx.now, row.zone) - row.since).days, 0),
            above_threshold=int(row.balance) > SUSPENDS_ABOVE_MINOR,
        )
        for row in rows
    ]


async def age_receivables(tx: Tx, currency: str, on: date) -> list[Aged]:
    """What merchants owe in a currency by age on a day: each one's whole balance by its oldest unpaid day."""
    owed = _RECEIVABLES.replace(" LIMIT :limit", "")
    rows = await tx.rows(
        f"""
        SELECT width_bucket(CAST(:on AS date) - owed.since, CAST(:ages AS integer[])) AS place,
               count(*) AS merchants, sum(owed.balance) AS balance
        FROM ({owed}) AS owed WHERE owed.currency = :currency GROUP BY 1
        """,
        on=on,
        ages=list(AGES[1:]),
        currency=currency,
        after_merchant=-(2**63),
        after_currency="",
    )
    found = {row.place: row for row in rows}
    return [
        Aged(
            from_days=from_days,
            merchants=found[place].merchants if place in found else 0,
            balance_minor=int(found[place].balance) if place in found else 0,
        )
        for place, from_days in enumerate(AGES)
    ]
