"""What the API reads of statements and payouts, in pages that a merchant and finance can both walk."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import func, select

from billing.ledger.chart import Account
from billing.runs.model import Payout, Statement
from billing.tables import payout, statement
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

StatementKey = tuple[date, int, int, str]
"""(from_on, run_id, merchant_id, currency)."""

PayoutKey = tuple[date, int, int]
"""(instructed_on, merchant_id, payout_id)."""


class StatementLine(msgspec.Struct, frozen=True):
    """One entry of a statement. amount_minor is signed from the merchant's view; order_ref None when it has none."""

    entry_no: int
    effective_on: date
    occurred_at: datetime
    kind: str
    order_ref: str | None
    currency: str
    amount_minor: int


async def list_statements(
    tx: Tx,
    *,
    merchant_id: int | None,
    run_id: int | None,
    only_final: bool,
    limit: int,
    after: StatementKey | None,
) -> Sequence[Statement]:
    """At most `limit` statements, the newest period first, those behind the key `after`."""
    key = [statement.c[name] for name in ("from_on", "run_id", "merchant_id", "currency")]
    query = select(statement).order_by(*(column.desc() for column in key)).limit(limit)
    if merchant_id is not None:
        query = query.where(statement.c.merchant_id == merchant_id)
    if run_id is not None:
        query = query.where(statement.c.run_id == run_id)
    else:
        query = query.where(statement.c.state != "reversed")
    if only_final:
        query = query.where(statement.c.state == "final")
    if after is not None:
        query = query.where(func.row(*key) < func.row(*after))
    return [Statement(**row._mapping) for row in await tx.rows(query)]


async def get_statement(tx: Tx, merchant_id: int, run_id: int, currency: str | None, *, only_final: bool) -> Statement:
    """A statement, in its first currency unless one is named. Raises NotFound."""
    query = select(statement).where(statement.c.merchant_id == merchant_id, statement.c.run_id == run_id)
    if currency is not None:
        query = query.where(statement.c.currency == currency)
    if only_final:
        query = query.where(statement.c.state == "final")
    row = await tx.row(query.order_by(statement.c.currency).limit(1))
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no statement in run {run_id}")
    return Statement(**row._mapping)


# The roll-up says where the period's entries begin, so the journal of earlier years is not read.
_LINES = f"""
SELECT e.entry_no, e.effective_on, e.occurred_at, e.kind, coalesce(o.order_ref, refunded.order_ref) AS order_ref,
       e.currency, -leg.amount AS amount_minor
FROM billing.entry e
CROSS JOIN LATERAL (
    SELECT sum(part.amount)::bigint AS amount
    FROM unnest(e.accounts, e.amounts) AS part (account, amount) WHERE part.account = {Account.PAYABLE:d}
) AS leg
LEFT JOIN demand.merchant_order o
  ON o.merchant_id = e.merchant_id AND o.order_id = e.source_id AND e.kind = 'order_settled'
LEFT JOIN demand.refund r
  ON r.merchant_id = e.merchant_id AND r.refund_id = e.source_id AND e.kind = 'order_refunded'
LEFT JOIN demand.merchant_order refunded ON refunded.merchant_id = r.merchant_id AND refunded.order_id = r.order_id
WHERE e.merchant_id = :merchant AND e.currency = :currency AND leg.amount IS NOT NULL
  AND e.entry_no > :after AND e.entry_no <= :to_no AND e.effective_on >= :from_on AND e.effective_on < :to_on
  AND e.entry_no >= least(
    (SELECT min(d.first_entry_no) FROM billing.account_day d
     WHERE d.merchant_id = :merchant AND d.account = {Account.PAYABLE:d}
       AND d.effective_on >= :from_on AND d.effective_on < :to_on),
    (SELECT r.rolled_no + 1 FROM billing.ledger_roll r WHERE r.merchant_id = :merchant))
ORDER BY e.entry_no LIMIT :limit"""


async def list_lines(tx: Tx, of: Statement, *, limit: int, after_no: int = 0) -> Sequence[StatementLine]:
    """The entries behind `after_no` that move the statement's payable account in its period."""
    rows = await tx.rows(
        _LINES,
        merchant=of.merchant_id,
        currency=of.currency,
        from_on=of.from_on,
        to_on=of.to_on,
        to_no=of.to_no,
        after=after_no,
        limit=limit,
    )
    return [StatementLine(*row) for row in rows]


async def list_payouts(
    tx: Tx, *, merchant_id: int | None, run_id: int | None, limit: int, after: PayoutKey | None
) -> Sequence[Payout]:
    """At most `limit` payouts, the newest first, those behind the key `after`."""
    key: list[Any] = [payout.c[name] for name in ("instructed_on", "merchant_id", "payout_id")]
    query = select(payout).order_by(*(column.desc() for column in key)).limit(limit)
    if merchant_id is not None:
        query = query.where(payout.c.merchant_id == merchant_id)
    if run_id is not None:
        query = query.where(payout.c.run_id == run_id)
    if after is not None:
        query = query.where(func.row(*key) < func.row(*after))
    return [Payout(**row._mapping) for row in await tx.rows(query)]


async def get_payout(tx: Tx, merchant_id: int, payout_id: int) -> Payout:
    """One payout. Raises NotFound."""
    row = await tx.row(select(payout).where(payout.c.merchant_id == merchant_id, payout.c.payout_id == payout_id))
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no payout {payout_id}")
    return Payout(**row._mapping)
