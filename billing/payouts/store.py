"""What is owed and not on its way, and who owes: the alarms and the ageing of merchants' balances."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, bindparam, text

from marketplace.core.clock import local_date
from marketplace.core.db import Tx

BalanceKey = tuple[int, str]
"""(merchant_id, currency)."""

AGES = (30, 60, 90)
"""Upper ends, in days, of the classes of the ageing report; what is older is in a class of its own."""


class OwedReason(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a merchant is owed, in minor units, and the payouts that it was or is in.

    why: `held`: instructed, and has nowhere to go; `returned`: came back, and no run has paid it since; `instructed`:
    on its way, and not confirmed yet; `balance`: in no payout; negative where the merchant owes.
    """

    why: str
    amount_minor: int
    payout_ids: list[int]


class OwedPayout(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant that should be getting money and is not, with all that it is owed.

    period_to_on: the first day after the last closed period. owed_minor: its balance and what is in payouts that have
    not been paid; the sum of the reasons, of which the first is why the merchant is named here.
    What is below the agreed minimum is not due: it alone names nobody. held_because: why all payouts of the merchant
    are held, if they are.
    """

    merchant_id: int
    currency: str
    period_to_on: date
    owed_minor: int
    reasons: list[OwedReason]
    held_because: str | None


class NegativeBalance(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant that owes the platform. balance_minor is below zero; since_on: the first day of its being so since.

    age_class: by AGES, such as "0-30" or "over 90" days.
    """

    merchant_id: int
    currency: str
    balance_minor: int
    since_on: date
    age_days: int
    age_class: str


# Every movement of what merchants are owed: the roll-up, and the entries behind it.
_MOVEMENTS = """
SELECT d.merchant_id, d.currency, d.effective_on, d.credit_minor - d.debit_minor AS minor
FROM billing.account_day d WHERE d.account = 2000 {of_days}
UNION ALL
SELECT e.merchant_id, e.currency, e.effective_on, -leg.amount
FROM billing.ledger_head h
JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
     unnest(e.accounts, e.amounts) AS leg (account, amount)
WHERE leg.account = 2000 {of_tail}"""
_ALL_MOVEMENTS = _MOVEMENTS.format(of_days="", of_tail="")

# By why a payout is not with its merchant: what such payouts come to, and which they are.
_OF_PAYOUTS = ", ".join(
    f"coalesce(sum(q.amount_minor) FILTER (WHERE q.why = '{why}'), 0)::bigint AS {why}_minor,"
    f" coalesce(array_agg(q.payout_id ORDER BY q.payout_id) FILTER (WHERE q.why = '{why}'), ARRAY[]::bigint[]) AS {why}"
    for why in ("held", "returned", "instructed")
)

# Who is on the list: a payout is held, one came back that no run has paid since, or the period's run has paid nothing.
_OWED = text(f"""
SELECT b.merchant_id, b.currency, b.closed_through + 1 AS period_to_on, b.now, p.*, stop.reason AS held_because
FROM (
    SELECT m.merchant_id, m.currency, h.closed_through, e.zone, sum(m.minor)::bigint AS now,
           coalesce(sum(m.minor) FILTER (WHERE m.effective_on <= h.closed_through), 0)::bigint AS at_end
    FROM ({_ALL_MOVEMENTS}) AS m
    JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
    JOIN billing.entity e ON e.entity_id = h.entity_id
    WHERE h.closed_through IS NOT NULL AND (CAST(:entity AS integer) IS NULL OR h.entity_id = :entity)
    GROUP BY m.merchant_id, m.currency, h.closed_through, e.zone
) AS b
CROSS JOIN LATERAL (
    SELECT {_OF_PAYOUTS}, count(*) FILTER (WHERE q.of_period) AS of_period
    FROM (
        SELECT p.payout_id, p.amount_minor, s.to_on = b.closed_through + 1 AS of_period,
               CASE WHEN p.state = 'returned' THEN
                        CASE WHEN back.effective_on > b.closed_through OR s.to_on = b.closed_through + 1
                             THEN 'returned' END
                    WHEN p.state = 'instructed' AND p.bank_account_id IS NULL THEN 'held'
                    ELSE p.state END AS why
        FROM billing.payout p
        JOIN billing.statement s
          ON s.merchant_id = p.merchant_id AND s.run_id = p.run_id AND s.currency = p.currency
        LEFT JOIN billing.entry back
          ON back.merchant_id = p.merchant_id AND back.kind = 'payout_returned' AND back.source_id = p.payout_id
        WHERE p.merchant_id = b.merchant_id AND p.currency = b.currency AND p.state <> 'cancelled'
          AND s.state = 'final'
          AND NOT EXISTS (SELECT FROM billing.payout again
                          WHERE again.merchant_id = p.merchant_id AND again.retry_of = p.payout_id)
    ) AS q
) AS p
LEFT JOIN billing.payout_hold stop ON stop.merchant_id = b.merchant_id AND stop.released_at IS NULL
LEFT JOIN (
    SELECT c.merchant_id, c.currency, s.to_on
    FROM billing.payout_carried c
    JOIN billing.statement s ON s.merchant_id = c.merchant_id AND s.run_id = c.run_id AND s.currency = c.currency
    WHERE c.why = 'minimum' AND s.state = 'final'
) AS small ON small.merchant_id = b.merchant_id AND small.currency = b.currency AND small.to_on = b.closed_through + 1
WHERE (p.held_minor > 0 OR (p.returned_minor > 0 AND b.now > 0)
       OR (p.of_period = 0 AND b.at_end > 0 AND b.now > 0 AND small.merchant_id IS NULL
           AND NOT EXISTS (SELECT FROM billing.payout_due d
                           WHERE d.merchant_id = b.merchant_id AND d.currency = b.currency AND d.state = 'waiting'
                             AND (d.due_on IS NULL OR d.due_on >= (CAST(:now AS timestamptz) AT TIME ZONE b.zone)::date)
                             AND stop.hold_id IS NULL)))
  AND (CAST(:merchant AS bigint) IS NULL OR (b.merchant_id, b.currency) > (:merchant, :currency))
ORDER BY b.merchant_id, b.currency LIMIT :limit
""")


async def list_owed(
    tx: Tx, *, entity_id: int | None = None, limit: int, after: BalanceKey | None = None
) -> Sequence[OwedPayout]:
    """At most `limit` merchants, by id, that are owed money from closed periods and get no payout."""
    merchant, currency = after or (None, None)
    rows = await tx.rows(_OWED, now=tx.now, entity=entity_id, merchant=merchant, currency=currency, limit=limit)
    return [_owed(row) for row in rows]


def _owed(row: Any) -> OwedPayout:
    """What came back is in the balance again, of which it is no more than is left."""
    returned = min(row.returned_minor, max(row.now, 0))
    parts = [
        OwedReason(why="held", amount_minor=row.held_minor, payout_ids=row.held),
        OwedReason(why="returned", amount_minor=returned, payout_ids=row.returned),
        OwedReason(why="balance", amount_minor=row.now - returned, payout_ids=[]),
        OwedReason(why="instructed", amount_minor=row.instructed_minor, payout_ids=row.instructed),
    ]
    return OwedPayout(
        merchant_id=row.merchant_id,
        currency=row.currency,
        period_to_on=row.period_to_on,
        owed_minor=row.held_minor + row.now + row.instructed_minor,
        reasons=[part for part in parts if part.amount_minor],
        held_because=row.held_because,
    )


_NEGATIVE = text(f"""
SELECT m.merchant_id, m.currency, e.zone, sum(m.minor)::bigint AS balance
FROM ({_ALL_MOVEMENTS}) AS m
JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
JOIN billing.entity e ON e.entity_id = h.entity_id
WHERE CAST(:merchant AS bigint) IS NULL OR (m.merchant_id, m.currency) > (:merchant, :currency)
GROUP BY m.merchant_id, m.currency, e.zone HAVING sum(m.minor) < 0
ORDER BY m.merchant_id, m.currency LIMIT :limit
""")

# A balance is negative since the day after the last one at whose end it was not.
_SINCE = text(f"""
SELECT merchant_id, currency,
       min(effective_on) FILTER (WHERE solvent_on IS NULL OR effective_on > solvent_on) AS since_on
FROM (
    SELECT merchant_id, currency, effective_on,
           max(effective_on) FILTER (WHERE balance >= 0) OVER (PARTITION BY merchant_id, currency) AS solvent_on
    FROM (
        SELECT merchant_id, currency, effective_on,
               sum(sum(minor)) OVER (PARTITION BY merchant_id, currency ORDER BY effective_on) AS balance
        FROM ({
    _MOVEMENTS.format(of_days="AND d.merchant_id = ANY(:merchants)", of_tail="AND h.merchant_id = ANY(:merchants)")
}) AS m
        GROUP BY merchant_id, currency, effective_on
    ) AS daily
) AS marked
GROUP BY merchant_id, currency
""").bindparams(bindparam("merchants", type_=ARRAY(BigInteger)))


async def list_negative(tx: Tx, *, limit: int, after: BalanceKey | None = None) -> Sequence[NegativeBalance]:
    """At most `limit` merchants, by id, whose balance is below zero, and for how long by today in their market."""
    merchant, currency = after or (None, None)
    found = await tx.rows(_NEGATIVE, merchant=merchant, currency=currency, limit=limit)
    since = {
        (row.merchant_id, row.currency): row.since_on
        for row in await tx.rows(_SINCE, merchants=sorted({row.merchant_id for row in found}))
    }
    return [
        _aged(
            row.merchant_id,
            row.currency,
            row.balance,
            since[row.merchant_id, row.currency],
            local_date(tx.now, row.zone),
        )
        for row in found
    ]


def _aged(merchant_id: int, currency: str, balance_minor: int, since_on: date, on: date) -> NegativeBalance:
    days = max((on - since_on).days, 0)
    return NegativeBalance(
        merchant_id=merchant_id,
        currency=currency,
        balance_minor=balance_minor,
        since_on=since_on,
        age_days=days,
        age_class=age_class(days),
    )


def age_class(days: int) -> str:
    """The class of an age in days: "0-30", "31-60", "61-90", "over 90"."""
    start = 0
    for end in AGES:
        if days <= end:
            return f"{start}-{end}"
        start = end + 1
    return f"over {AGES[-1]}"
