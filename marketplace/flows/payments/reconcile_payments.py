"""What the processor says was paid against what was ordered, purchase by purchase.

Due is price and freight as ordered, whatever became of the order later; a refund is another fact, with its own proof.
Orders that were placed here are left out: their payments are parts of orders from the start, and `verify` proves them.
"""

from enum import StrEnum
from typing import Any

import msgspec

from marketplace.core.db import Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency

TOLERANCE_MINOR = 1
"""How far paid and due may lie apart, in minor units, before it is a break: rounding on one of the two sides."""

BREAKS_MAX = 201


class MatchKind(StrEnum):
    """How a purchase's payments and orders fit."""

    MATCHED = "matched"
    TOLERANCE = "tolerance"
    AMOUNT_BREAK = "amount_break"
    PAYMENT_WITHOUT_ITEMS = "payment_without_items"
    ORDER_WITHOUT_PAYMENT = "order_without_payment"


class Tally(msgspec.Struct, frozen=True):
    """sum_minor: what was matched, and of everything else paid less due."""

    count: int
    sum_minor: int


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Every purchase counted once. The bridge is the sum of what does not match; it equals paid less due."""

    currency: str
    matched: Tally
    tolerance: Tally
    amount_break: Tally
    payment_without_items: Tally
    order_without_payment: Tally
    paid_minor: int
    due_minor: int
    difference_minor: int
    bridge_minor: int


class PaymentBreak(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase whose payments and orders do not fit. difference_minor: paid less due."""

    order_ref: str
    kind: MatchKind
    paid_minor: int
    due_minor: int
    difference_minor: int


# Lines lie by order ref and orders by merchant, so each side is summed for itself and the two sums meet.
_PURCHASES = f"""
WITH paid AS MATERIALIZED (
    SELECT order_ref, sum(amount_minor)::bigint AS minor FROM billing.payment_line
    WHERE currency = :currency {{behind}} GROUP BY order_ref
), due AS MATERIALIZED (
    SELECT order_ref, sum(goods_minor - discount_minor + freight_minor)::bigint AS minor FROM demand.merchant_order o
    WHERE currency = :currency {{behind}} AND NOT EXISTS (
        SELECT FROM billing.payment_part p WHERE p.merchant_id = o.merchant_id AND p.order_id = o.order_id)
    GROUP BY order_ref
), purchase AS (
    SELECT order_ref, coalesce(paid.minor, 0) AS paid_minor, coalesce(due.minor, 0) AS due_minor,
           coalesce(paid.minor, 0) - coalesce(due.minor, 0) AS difference_minor,
           CASE WHEN due.minor IS NULL THEN '{MatchKind.PAYMENT_WITHOUT_ITEMS}'
                WHEN paid.minor IS NULL THEN '{MatchKind.ORDER_WITHOUT_PAYMENT}'
                WHEN paid.minor = due.minor THEN '{MatchKind.MATCHED}'
                WHEN abs(paid.minor - due.minor) <= {TOLERANCE_MINOR} THEN '{MatchKind.TOLERANCE}'
                ELSE '{MatchKind.AMOUNT_BREAK}' END AS kind
    FROM paid FULL JOIN due USING (order_ref)
)"""
_COUNTS = (
    _PURCHASES.format(behind="")
    + """
SELECT kind, count(*) AS purchases, sum(paid_minor) AS paid_minor, sum(due_minor) AS due_minor
FROM purchase GROUP BY kind"""
)
_BREAKS = (
    _PURCHASES.format(behind="AND order_ref > :after")
    + """
SELECT order_ref, kind, paid_minor, due_minor, difference_minor
FROM purchase WHERE kind = ANY(CAST(:kinds AS text[])) ORDER BY order_ref LIMIT :limit"""
)


_KEEP_BREAKS = (
    "INSERT INTO billing.payment_break (currency, kind, order_ref, paid_minor, due_minor)"
    + _PURCHASES.format(behind="")
    + f"""
SELECT :currency, kind, order_ref, paid_minor, due_minor FROM purchase WHERE kind <> '{MatchKind.MATCHED}'"""
)


async def keep_payment_breaks(tx: Tx, currency: str) -> Reconciliation:
    """Count every purchase of a currency, and keep those that do not match, to be listed."""
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # the breaks and their sums are of one instant
    await tx.plan_in_bulk()
    await tx.execute("DELETE FROM billing.payment_break WHERE currency = :currency", {"currency": currency})
    await tx.execute(_KEEP_BREAKS, {"currency": currency})
    return await reconcile_payments(tx, currency)


async def reconcile_payments(tx: Tx, currency: str | None = None) -> Reconciliation:
    """Count every purchase by how its payments fit. Without a currency the one that payments are in is taken.

    Raises Invalid for a currency that is none, and when there are several and none was named.
    """
    currency = await _one_currency(tx, currency)
    rows = {row.kind: row for row in await tx.rows(_COUNTS, currency=currency)}
    tallies = {kind.value: _tally(kind, rows.get(kind)) for kind in MatchKind}
    paid = sum(int(row.paid_minor) for row in rows.values())
    due = sum(int(row.due_minor) for row in rows.values())
    return Reconciliation(
        currency=currency,
        **tallies,
        paid_minor=paid,
        due_minor=due,
        difference_minor=paid - due,
        bridge_minor=sum(tally.sum_minor for kind, tally in tallies.items() if kind != MatchKind.MATCHED),
    )


def _tally(kind: MatchKind, row: Any | None) -> Tally:
    if row is None:
        return Tally(0, 0)
    return Tally(row.purchases, int(row.paid_minor if kind is MatchKind.MATCHED else row.paid_minor - row.due_minor))


async def list_payment_breaks(
    tx: Tx, kind: MatchKind | None = None, *, currency: str | None = None, limit: int = 50, after: str = ""
) -> list[PaymentBreak]:
    """Purchases that do not match, in the order of their refs, those behind `after`: of one kind or of all four."""
    kinds = [kind] if kind else [each for each in MatchKind if each is not MatchKind.MATCHED]
    rows = await tx.rows(
        _BREAKS,
        currency=await _one_currency(tx, currency),
        kinds=[each.value for each in kinds],
        after=after,
        limit=min(limit, BREAKS_MAX),
    )
    return [_break(row) for row in rows]


def _break(row: Any) -> PaymentBreak:
    return PaymentBreak(**{**row._mapping, "kind": MatchKind(row.kind)})


async def _one_currency(tx: Tx, currency: str | None) -> str:
    if currency is not None:
        return check_currency(currency)
    held: list[str] = [
        row.currency for row in await tx.rows("SELECT DISTINCT currency FROM billing.entity ORDER BY currency")
    ]
    if len(held) > 1:
        raise Invalid(f"currency: name one of {', '.join(held)}, sums of several would mean nothing")
    if not held:
        raise Invalid("currency: there is no legal entity yet, so nothing to reconcile")
    return held[0]
