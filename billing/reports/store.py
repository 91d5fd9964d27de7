"""Every statement of the reports. Each reads the roll-up and the entries behind it, so it is exact at any time."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select

from billing.charges.model import Charge, ChargeSource, PaysBy
from billing.charges.tables import charge
from billing.ledger.chart import Account
from billing.ledger.movements_sql import BOOKED, MOVED
from billing.ledger.tables import ledger_head
from billing.reports.model import (
    FEES,
    STREAMS,
    AgedRow,
    CashRow,
    DeferredRow,
    LedgerLine,
    RevenueRow,
    Span,
    TakeRateRow,
    TrialRow,
    forecast,
    rate_ppm,
    schedule_of,
)
from marketplace.core.db import Tx
from marketplace.core.months import add_months, first_of_month

LineKey = tuple[date, int, int, int]
"""(effective_on, merchant_id, entry_no, leg_no)."""

_IN_CURRENCY = "(CAST(:currency AS text) IS NULL OR {}.currency = :currency)"
_MONTH = "{0}.effective_on - (extract(day FROM {0}.effective_on)::integer - 1)"


def _bound(span: Span) -> dict[str, Any]:
    return {"entity": span.entity_id, "currency": span.currency, "from_on": span.from_on, "to_on": span.to_on}


def _codes(accounts: Sequence[int]) -> str:
    return ", ".join(str(int(code)) for code in accounts)


async def trial_balance(tx: Tx, span: Span) -> list[TrialRow]:
    """Every account that stood at something or was moved, by entity and currency. Openings and closings sum to zero."""
    rows = await tx.rows(
        f"""
        SELECT entity_id, account, currency,
               coalesce(sum(debit - credit) FILTER (WHERE effective_on < :from_on), 0)::bigint AS opening_minor,
               coalesce(sum(debit) FILTER (WHERE effective_on >= :from_on), 0)::bigint AS debit_minor,
               coalesce(sum(credit) FILTER (WHERE effective_on >= :from_on), 0)::bigint AS credit_minor,
               sum(debit - credit)::bigint AS closing_minor
        FROM {BOOKED} WHERE {_IN_CURRENCY.format("b")}
        GROUP BY entity_id, account, currency ORDER BY entity_id, currency, account
        """,
        **_bound(span),
    )
    return [
        TrialRow(**row._mapping, name=Account(row.account).title)
        for row in rows
        if row.opening_minor or row.debit_minor or row.credit_minor
    ]


async def account_standing(tx: Tx, span: Span, account: int, merchant_id: int | None) -> list[TrialRow]:
    """An account in the books of one merchant, or of all, over the days: one row for each entity and currency."""
    rows = await tx.rows(
        f"""
        SELECT h.entity_id, m.account, m.currency,
               coalesce(sum(m.minor) FILTER (WHERE m.effective_on < :from_on), 0)::bigint AS opening_minor,
               coalesce(sum(m.debit) FILTER (WHERE m.effective_on >= :from_on), 0)::bigint AS debit_minor,
               coalesce(sum(m.credit) FILTER (WHERE m.effective_on >= :from_on), 0)::bigint AS credit_minor,
               sum(m.minor)::bigint AS closing_minor
        FROM {MOVED.format(accounts=":account")}
        JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
        WHERE {_IN_CURRENCY.format("m")} AND (CAST(:merchant AS bigint) IS NULL OR m.merchant_id = :merchant)
        GROUP BY h.entity_id, m.account, m.currency ORDER BY h.entity_id, m.currency
        """,
        **_bound(span),
        account=account,
        merchant=merchant_id,
    )
    return [TrialRow(**row._mapping, name=Account(row.account).title) for row in rows]


# Every row of the roll-up stands for a line at least, so the first `limit` rows behind the key cover as many lines; the
# rows of the day and books where the page before ended may be used up, and come on top.
_LINES = f"""
SELECT effective_on, merchant_id, entry_no, leg_no::integer AS leg_no, kind, source_id, currency, dimension,
       amount AS amount_minor
FROM (
    SELECT e.effective_on, e.merchant_id, e.entry_no, leg.leg_no, e.kind, e.source_id, e.currency, leg.dimension,
           leg.amount
    FROM (
        SELECT merchant_id, effective_on, min(first_entry_no) AS first_no, max(last_entry_no) AS last_no
        FROM (
            (SELECT d.* FROM billing.account_day d JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id
             WHERE {{of}} AND (d.effective_on, d.merchant_id) > (:after_on, :after_merchant)
             ORDER BY d.effective_on, d.merchant_id FETCH FIRST :limit ROWS WITH TIES)
            UNION ALL
            SELECT d.* FROM billing.account_day d JOIN billing.ledger_head h ON h.merchant_id = d.merchant_id
            WHERE {{of}} AND d.effective_on = :after_on AND d.merchant_id = :after_merchant
        ) AS found GROUP BY merchant_id, effective_on
    ) AS day
    JOIN billing.ledger_roll r ON r.merchant_id = day.merchant_id
    JOIN billing.entry e ON e.merchant_id = day.merchant_id AND e.entry_no BETWEEN day.first_no AND day.last_no
     AND e.effective_on = day.effective_on AND e.entry_no <= r.rolled_no,
         unnest(e.accounts, e.dimensions, e.amounts) WITH ORDINALITY AS leg (account, dimension, amount, leg_no)
    WHERE leg.account = :account AND {_IN_CURRENCY.format("e")}
    UNION ALL
    SELECT e.effective_on, e.merchant_id, e.entry_no, leg.leg_no, e.kind, e.source_id, e.currency, leg.dimension,
           leg.amount
    FROM billing.ledger_head h
    JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id AND r.rolled_no < h.last_entry_no
    JOIN billing.entry e ON e.merchant_id = r.merchant_id AND e.entry_no > r.rolled_no,
         unnest(e.accounts, e.dimensions, e.amounts) WITH ORDINALITY AS leg (account, dimension, amount, leg_no)
    WHERE leg.account = :account AND {_IN_CURRENCY.format("e")} AND e.effective_on >= :from_on
      AND e.effective_on < :to_on AND (CAST(:entity AS integer) IS NULL OR h.entity_id = :entity) {{of_merchant_tail}}
) AS line
WHERE (effective_on, merchant_id, entry_no, leg_no) > (:after_on, :after_merchant, :after_entry, :after_leg)
ORDER BY effective_on, merchant_id, entry_no, leg_no LIMIT :limit
"""
_OF = f"""d.account = :account AND d.effective_on >= :from_on AND d.effective_on < :to_on
              AND {_IN_CURRENCY.format("d")} AND (CAST(:entity AS integer) IS NULL OR h.entity_id = :entity)"""
_LINES_OF_ALL = _LINES.format(of=_OF, of_merchant_tail="")
_LINES_OF_ONE = _LINES.format(
    of=f"{_OF} AND d.merchant_id = :merchant", of_merchant_tail="AND h.merchant_id = :merchant"
)


async def ledger_lines(
    tx: Tx, span: Span, account: int, *, merchant_id: int | None = None, limit: int = 200, after: LineKey | None = None
) -> list[LedgerLine]:
    """At most `limit` legs on an account, the oldest day first, those behind `after`."""
    on, merchant, entry_no, leg_no = after or (span.from_on - timedelta(days=1), 0, 0, 0)
    rows = await tx.rows(
        _LINES_OF_ALL if merchant_id is None else _LINES_OF_ONE,
        **_bound(span),
        account=account,
        limit=limit,
        after_on=on,
        after_merchant=merchant,
        after_entry=entry_no,
        after_leg=leg_no,
        **({"merchant": merchant_id} if merchant_id is not None else {}),
    )
    return [LedgerLine(**row._mapping) for row in rows]


async def revenue(tx: Tx, span: Span) -> list[RevenueRow]:
    """Revenue by month and stream; what takes it back counts against it."""
    rows = await tx.rows(
        f"""
        SELECT entity_id, {_MONTH.format("b")} AS month_on, account, currency,
               sum(credit - debit)::bigint AS revenue_minor
        FROM {BOOKED}
        WHERE account IN ({_codes(tuple(STREAMS))}) AND effective_on >= :from_on AND {_IN_CURRENCY.format("b")}
        GROUP BY 1, 2, 3, 4 HAVING sum(credit - debit) <> 0 ORDER BY 1, 2, 4, 3
        """,
        **_bound(span),
    )
    return [
        RevenueRow(
            entity_id=row.entity_id,
            month_on=row.month_on,
            stream=STREAMS[Account(row.account)],
            currency=row.currency,
            revenue_minor=row.revenue_minor,
        )
        for row in rows
    ]


async def take_rate(tx: Tx, span: Span) -> list[TakeRateRow]:
    """What the platform keeps of what was settled, month by month; see `TakeRateRow` for how metrics differ."""
    rows = await tx.rows(
        f"""
        SELECT entity_id, month_on, currency, sum(settled)::bigint AS settled, sum(fees)::bigint AS fees,
               sum(incentives)::bigint AS incentives
        FROM (
            SELECT entity_id, {_MONTH.format("b")} AS month_on, currency, 0::numeric AS settled,
                   CASE WHEN account IN ({_codes(FEES)}) THEN credit - debit ELSE 0 END AS fees,
                   CASE WHEN account IN (4090, 5000) THEN debit - credit ELSE 0 END AS incentives
            FROM {BOOKED}
            WHERE account IN ({_codes(FEES)}, 4090, 5000) AND effective_on >= :from_on
            UNION ALL
            SELECT h.entity_id, {_MONTH.format("c")}, c.currency, c.goods_minor + c.freight_minor - c.discount_minor,
                   0, 0
            FROM billing.commission_line c JOIN billing.ledger_head h ON h.merchant_id = c.merchant_id
            WHERE c.effective_on >= :from_on AND c.effective_on < :to_on
              AND (CAST(:entity AS integer) IS NULL OR h.entity_id = :entity)
        ) AS s
        WHERE {_IN_CURRENCY.format("s")}
        GROUP BY entity_id, month_on, currency ORDER BY entity_id, month_on, currency
        """,
        **_bound(span),
    )
    return [
        TakeRateRow(
            entity_id=row.entity_id,
            month_on=row.month_on,
            currency=row.currency,
            settled_minor=row.settled,
            fees_minor=row.fees,
            incentives_minor=row.incentives,
            gross_ppm=rate_ppm(row.fees, row.settled),
            net_ppm=rate_ppm(row.fees - row.incentives, row.settled),
        )
        for row in rows
    ]


# The newest debts that together reach the balance are those which nothing has covered.
_AGED = """
SELECT entity_id, party_id, currency, balance::bigint AS balance_minor,
       {buckets},
       least(balance, 0)::bigint AS credit_minor
FROM (
    SELECT aged.*, CAST(:to_on AS date) - 1 - effective_on AS age,
           greatest(least(debit, balance - (newer - debit)), 0) AS uncovered
    FROM (
        SELECT entity_id, party_id, currency, effective_on, debit,
               sum(debit - credit) OVER of_party AS balance, sum(debit) OVER newest_first AS newer
        FROM (
            SELECT h.entity_id, {party} AS party_id, m.currency, m.effective_on, sum(m.debit) AS debit,
                   sum(m.credit) AS credit
            FROM {moved} JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
            WHERE {in_currency} GROUP BY 1, 2, 3, 4
        ) AS day
        WINDOW of_party AS (PARTITION BY entity_id, party_id, currency),
               newest_first AS (PARTITION BY entity_id, party_id, currency ORDER BY effective_on DESC)
    ) AS aged
    WHERE balance <> 0
) AS part
GROUP BY entity_id, party_id, currency, balance ORDER BY entity_id, party_id, currency
"""
_BUCKETS = (
    ("days_0_30", "age <= 30"),
    ("days_31_60", "age BETWEEN 31 AND 60"),
    ("days_61_90", "age BETWEEN 61 AND 90"),
    ("over_90", "age > 90"),
)
_BUCKET_SUMS = ", ".join(
    f"coalesce(sum(uncovered) FILTER (WHERE {when}), 0)::bigint AS {name}_minor" for name, when in _BUCKETS
)


async def ageing(tx: Tx, span: Span) -> list[AgedRow]:
    """What merchants (1100) and payers (1110) owe at the end of the days, by how long."""
    found: list[AgedRow] = []
    for party, account, key in (("merchant", 1100, "m.merchant_id"), ("payer_contract", 1110, "m.dimension")):
        query = _AGED.format(
            buckets=_BUCKET_SUMS,
            party=key,
            moved=MOVED.format(accounts=account),
            in_currency=_IN_CURRENCY.format("m"),
        )
        bound = {name: value for name, value in _bound(span).items() if name != "from_on"}
        found += [AgedRow(party=party, **row._mapping) for row in await tx.rows(query, **bound)]
    return found


async def deferred(tx: Tx, span: Span) -> list[DeferredRow]:
    """When what waits as deferred revenue will be earned, from the first of the days on, to the last charge's end."""
    columns = [charge.c[name] for name in Charge.__struct_fields__]
    query = (
        select(ledger_head.c.entity_id, *columns)
        .join(ledger_head, ledger_head.c.merchant_id == charge.c.merchant_id)
        .where(charge.c.recognised_minor < charge.c.net_minor - charge.c.credited_minor)
        .order_by(charge.c.merchant_id, charge.c.charge_id)
    )
    if span.entity_id is not None:
        query = query.where(ledger_head.c.entity_id == span.entity_id)
    if span.currency is not None:
        query = query.where(charge.c.currency == span.currency)
    sums: dict[tuple[int, date, str], int] = {}
    for row in await tx.rows(query):
        values = {name: getattr(row, name) for name in Charge.__struct_fields__}
        values |= {"source": ChargeSource(row.source), "pays_by": PaysBy(row.pays_by)}
        for month_on, minor in schedule_of(Charge(**values), span.from_on):
            key = (row.entity_id, month_on or date.max, row.currency)
            sums[key] = sums.get(key, 0) + minor
    return [
        DeferredRow(entity_id=entity, month_on=None if on == date.max else on, currency=currency, earned_minor=minor)
        for (entity, on, currency), minor in sorted(sums.items())
    ]


async def cash(tx: Tx, span: Span) -> list[CashRow]:
    """What the bank stood at by the end of each day that is over, as it is booked, and will stand at by the end of
    those to come, as far as it is known what comes and goes.

    It begins with what was booked before the first day. What is known to come counts from today on, on no day before.
    Processors are taken to pay the next day; what is in no payout yet to be paid on the day of the merchant's terms, or
    with the next month's run.
    """
    today = tx.now.date()
    bank = await tx.rows(
        f"""
        SELECT h.entity_id, CASE WHEN m.effective_on >= :from_on THEN m.effective_on END AS on, m.currency,
               sum(m.minor)::bigint AS minor
        FROM {MOVED.format(accounts="1010")} JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
        WHERE {_IN_CURRENCY.format("m")} GROUP BY 1, 2, 3
        """,
        **_bound(span),
    )
    opening = [(row.entity_id, row.currency, row.minor) for row in bank if row.on is None]
    moves = [(row.entity_id, row.on, "booked", row.currency, row.minor) for row in bank if row.on and row.minor]
    if span.to_on > today:
        bound = _bound(span) | {"to_on": date.max, "tomorrow": today + timedelta(days=1)}
        del bound["from_on"]
        coming = await tx.rows(_CASH, **bound, next_run=add_months(first_of_month(today), 1))
        moves += [(entity, max(on, today), source, currency, minor) for entity, on, source, currency, minor in coming]
    return forecast(opening, moves, span.from_on, span.to_on)


_CASH = f"""
SELECT entity_id, due_on, source, currency, sum(minor)::bigint
FROM (
    SELECT h.entity_id, CAST(:tomorrow AS date) AS due_on, 'clearing' AS source, m.currency, m.minor::numeric AS minor
    FROM {MOVED.format(accounts="1020")} JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
    UNION ALL
    SELECT entity_id, due_on, 'claims', currency,
           amount_minor + fee_minor + vat_minor - rejected_minor - remitted_minor
    FROM billing.payer_claim WHERE CAST(:entity AS integer) IS NULL OR entity_id = :entity
    UNION ALL
    SELECT h.entity_id, c.due_on, 'charges', c.currency, c.open_minor
    FROM billing.charge c JOIN billing.ledger_head h ON h.merchant_id = c.merchant_id
    WHERE c.open_minor > 0 AND c.pays_by = 'transfer' AND (CAST(:entity AS integer) IS NULL OR h.entity_id = :entity)
    UNION ALL
    SELECT h.entity_id, p.instructed_on, 'payouts', p.currency, -p.amount_minor
    FROM billing.payout p JOIN billing.ledger_head h ON h.merchant_id = p.merchant_id
    WHERE p.state = 'instructed' AND (CAST(:entity AS integer) IS NULL OR h.entity_id = :entity)
    UNION ALL
    SELECT o.entity_id, coalesce(d.due_on, :next_run), 'payable', o.currency, o.minor
    FROM (
        SELECT h.entity_id, m.merchant_id, m.currency, sum(m.minor) AS minor
        FROM {MOVED.format(accounts="2000")} JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
        GROUP BY 1, 2, 3 HAVING sum(m.minor) < 0
    ) AS o
    LEFT JOIN (
        SELECT merchant_id, currency, min(due_on) AS due_on FROM billing.payout_due WHERE state = 'waiting'
        GROUP BY merchant_id, currency
    ) AS d ON d.merchant_id = o.merchant_id AND d.currency = o.currency
) AS s
WHERE minor <> 0 AND {_IN_CURRENCY.format("s")}
GROUP BY entity_id, due_on, source, currency
"""
