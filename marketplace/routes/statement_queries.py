"""The entries of a statement, each with the order it comes from: what crosses billing and demand."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from billing.ledger.chart import Account
from billing.runs.model import Statement
from marketplace.core.db import Tx


class StatementLine(msgspec.Struct, frozen=True):
    """One entry of a statement. amount_minor is signed from the merchant's view; order_ref None when it has none."""

    entry_no: int
    effective_on: date
    occurred_at: datetime
    kind: str
    order_ref: str | None
    currency: str
    amount_minor: int


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
  ON r.merchant_id = e.merchant_id AND r.refund_id = e.source_id
 AND e.kind IN ('order_refunded', 'refund_cancelled', 'dispute_lost', 'processor_fee_recharged',
                'processor_fee_returned')
LEFT JOIN LATERAL (
    SELECT p.order_id FROM billing.payment_part p
    WHERE p.merchant_id = e.merchant_id AND p.payment_id = e.source_id AND e.kind = 'processor_fee_recharged' LIMIT 1
) AS part ON true
LEFT JOIN demand.merchant_order refunded
  ON refunded.merchant_id = e.merchant_id AND refunded.order_id = coalesce(r.order_id, part.order_id)
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
