"""A merchant's orders, statements and payouts, from the sum on a statement down to the single order."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from marketplace.consoles import books_sql as sql
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

LINES_MAX = 50
LISTED_MAX = 100

STATEMENT_COLUMNS = (
    "goods", "freight", "discount", "refund", "commission", "vat", "incentive", "rebate", "ads", "products", "other",
    "payout",
)  # fmt: skip


class Merchant(msgspec.Struct, frozen=True):
    """A merchant, with the currency and the clocks of its legal entity."""

    merchant_id: int
    merchant_ref: str
    name: str
    city: str
    region: str
    state: str
    entity_id: int
    entity_name: str
    currency: str
    zone: str


class StatementRow(msgspec.Struct, frozen=True):
    run_id: int
    currency: str
    from_on: date
    to_on: date
    orders: int
    opening_minor: int
    payout_minor: int
    closing_minor: int
    state: str

    @property
    def last_on(self) -> date:
        return self.to_on - timedelta(days=1)

    @property
    def earned_minor(self) -> int:
        """What the period added, before payouts."""
        return self.closing_minor - self.opening_minor - self.payout_minor


class PayoutRow(msgspec.Struct, frozen=True):
    """held: why it cannot leave, "" when it can: no_account, while the merchant has no active bank account."""

    payout_id: int
    run_id: int
    currency: str
    amount_minor: int
    instructed_on: date
    state: str
    held: str


PayoutKey = tuple[date, int]
"""(instructed_on, payout_id)."""


class OrderRow(msgspec.Struct, frozen=True):
    order_id: int
    order_ref: str
    state: str
    currency: str
    goods_minor: int
    freight_minor: int
    discount_minor: int
    placed_at: datetime
    purchased_on: date
    delivered_at: datetime | None


class OrderLineRow(msgspec.Struct, frozen=True):
    """title: what was sold, empty for imported orders. gone: units cancelled or returned."""

    line_no: int
    title: str
    category: str | None
    quantity: int
    gone: int
    shipped: int
    delivered: int
    goods_minor: int
    freight_minor: int
    discount_minor: int
    refunded_minor: int


class CommissionRow(msgspec.Struct, frozen=True):
    """What an entry earned under one contract; `contract` is None when its terms are not this reader's to see."""

    entry_no: int
    order_id: int
    order_ref: str
    kind: str
    effective_on: date
    contract: str | None
    goods_minor: int
    freight_minor: int
    discount_minor: int
    base_minor: int
    commission_minor: int
    vat_minor: int


class BookedRow(msgspec.Struct, frozen=True):
    """A journal entry in one line; `payable_minor` is what it did to the payable account, the merchant's way round."""

    entry_no: int
    kind: str
    effective_on: date
    moved_minor: int
    payable_minor: int


class MoveRow(msgspec.Struct, frozen=True):
    """A move of an order's history. reason: a code, empty when none was given."""

    event_no: int
    move: str
    party: str
    state: str
    at: datetime
    reason: str


class AnnexRow(msgspec.Struct, frozen=True):
    """What belongs to an order beside its lines: a payment, shipment, return, amendment, refund or dispute.

    amount_minor: what it brings the merchant's order, or takes from it; None where it is not about money.
    """

    kind: str
    at: datetime | None
    state: str
    amount_minor: int | None
    words: str
    annex_id: int


class OrderPage(msgspec.Struct, frozen=True):
    merchant: Merchant
    order: OrderRow
    history: Sequence[MoveRow]
    annexes: Sequence[AnnexRow]
    lines: Sequence[OrderLineRow]
    commissions: Sequence[CommissionRow]
    entries: Sequence[BookedRow]
    paid_minor: int
    refunded_minor: int
    parked_because: str | None


class StatementPage(msgspec.Struct, frozen=True):
    """A statement, what makes it up, and the proof: movements of the payable account in the journal, by kind.

    columns: (name, amount) in the order of the identity; they sum to the closing balance.
    """

    merchant: Merchant
    run_id: int
    currency: str
    from_on: date
    to_on: date
    state: str
    reason: str | None
    orders: int
    opening_minor: int
    columns: Sequence[tuple[str, int]]
    closing_minor: int
    movements: Sequence["Movement"]
    lines: Sequence[CommissionRow]
    older: int | None
    payouts: Sequence[PayoutRow]

    @property
    def last_on(self) -> date:
        return self.to_on - timedelta(days=1)

    @property
    def journal_minor(self) -> int:
        """The closing balance as the journal has it."""
        return self.opening_minor + sum(movement.amount_minor for movement in self.movements)

    @property
    def ties(self) -> bool:
        return self.journal_minor == self.closing_minor


class Movement(msgspec.Struct, frozen=True):
    """What entries of one kind did to the payable account in a period, the merchant's way round."""

    kind: str
    entries: int
    amount_minor: int


class PayoutPage(msgspec.Struct, frozen=True):
    merchant: Merchant
    payout: PayoutRow
    items: Sequence["PayoutItem"]
    entries: Sequence[BookedRow]


class PayoutItem(msgspec.Struct, frozen=True):
    run_id: int
    from_on: date
    to_on: date
    amount_minor: int

    @property
    def last_on(self) -> date:
        return self.to_on - timedelta(days=1)


async def get_merchant(tx: Tx, merchant_id: int) -> Merchant:
    """Raises NotFound; another merchant's id is not found, because the database shows nothing of it."""
    row = await tx.row(sql.MERCHANT, merchant=merchant_id)
    if row is None:
        raise NotFound(f"there is no merchant {merchant_id}")
    return Merchant(*row)


async def list_statements(tx: Tx, merchant_id: int, *, limit: int = LISTED_MAX) -> list[StatementRow]:
    """Final and reversed statements, newest first: a preview is not yet the merchant's to read."""
    return [StatementRow(*row) for row in await tx.rows(sql.STATEMENTS, merchant=merchant_id, limit=limit)]


async def list_payouts(tx: Tx, merchant_id: int, *, limit: int = LISTED_MAX) -> list[PayoutRow]:
    """The newest payouts."""
    return [PayoutRow(*row) for row in await tx.rows(sql.PAYOUTS_NEWEST, merchant=merchant_id, limit=limit)]


async def order_page(tx: Tx, merchant_id: int, order_id: int) -> OrderPage:
    """One order with everything that was booked for it. Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    key = {"merchant": merchant_id, "order": order_id}
    row = await tx.row(sql.ORDER, **key)
    if row is None:
        raise NotFound(f"there is no order {order_id}")
    facts = [(fact.kind, fact.id) for fact in await tx.rows(sql.FACTS, **key)]
    return OrderPage(
        merchant=merchant,
        order=OrderRow(*row),
        history=[MoveRow(*move) for move in await tx.rows(sql.HISTORY, **key, limit=LISTED_MAX)],
        annexes=[AnnexRow(*annex) for annex in await tx.rows(sql.ANNEXES, **key)],
        lines=[OrderLineRow(*line) for line in await tx.rows(sql.ORDER_LINES, **key)],
        commissions=[CommissionRow(*line) for line in await tx.rows(sql.ORDER_COMMISSIONS, **key)],
        entries=await _booked(tx, merchant_id, facts),
        paid_minor=int(await tx.scalar(sql.PAID, **key)),
        refunded_minor=int(await tx.scalar(sql.REFUNDED, **key)),
        parked_because=await tx.scalar(sql.PARKED, **key),
    )


async def _booked(tx: Tx, merchant_id: int, facts: Sequence[tuple[str, int]]) -> list[BookedRow]:
    """The entries of these facts (kind, source id), in the order they were posted."""
    rows = await tx.rows(
        sql.BOOKED, merchant=merchant_id, kinds=[kind for kind, _ in facts], sources=[source for _, source in facts]
    )
    return [BookedRow(row.entry_no, row.kind, row.effective_on, int(row.moved), int(row.payable)) for row in rows]


async def statement_page(tx: Tx, merchant_id: int, run_id: int, currency: str, before: int | None) -> StatementPage:
    """One statement with a page of its commission lines below the entry `before`. Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    row = await tx.row(sql.STATEMENT, merchant=merchant_id, run=run_id, currency=currency)
    if row is None:
        raise NotFound(f"there is no statement of run {run_id} in {currency}")
    window = {"merchant": merchant_id, "currency": currency, "from_on": row.from_on, "to_on": row.to_on}
    bounds = await tx.row(sql.ENTRY_BOUNDS, **window, to_no=row.to_no)
    assert bounds is not None
    within = window | {"first_no": bounds.first_no, "to_no": row.to_no}
    lines = await tx.rows(sql.STATEMENT_LINES, **within, before=before, limit=LINES_MAX + 1)
    shown, older = _whole_entries(lines)
    return StatementPage(
        merchant=merchant,
        run_id=run_id,
        currency=currency,
        from_on=row.from_on,
        to_on=row.to_on,
        state=row.state,
        reason=row.reason,
        orders=row.orders,
        opening_minor=row.opening_minor,
        columns=[(name, getattr(row, f"{name}_minor")) for name in STATEMENT_COLUMNS],
        closing_minor=row.closing_minor,
        movements=[Movement(m.kind, m.entries, int(m.amount)) for m in await tx.rows(sql.MOVEMENTS, **within)],
        lines=[CommissionRow(*line) for line in shown],
        older=older,
        payouts=[PayoutRow(*p) for p in await tx.rows(sql.PAYOUTS_OF_RUN, merchant=merchant_id, run=run_id)],
    )


def _whole_entries(lines: Sequence[Any]) -> tuple[Sequence[Any], int | None]:
    """At most LINES_MAX lines, never cutting an entry in two, and the entry that the next page begins below."""
    if len(lines) <= LINES_MAX:
        return lines, None
    cut = lines[LINES_MAX].entry_no
    shown = [line for line in lines if line.entry_no > cut]
    return shown, shown[-1].entry_no


async def payout_page(tx: Tx, merchant_id: int, payout_id: int) -> PayoutPage:
    """One payout: what it pays, and its entries. Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    row = await tx.row(f"{sql.PAYOUTS} AND payout_id = :payout", merchant=merchant_id, payout=payout_id)
    if row is None:
        raise NotFound(f"there is no payout {payout_id}")
    facts = [(kind, payout_id) for kind in ("payout_instructed", "payout_confirmed", "payout_returned")]
    items = await tx.rows(sql.PAYOUT_ITEMS, merchant=merchant_id, payout=payout_id, currency=row.currency)
    return PayoutPage(
        merchant=merchant,
        payout=PayoutRow(*row),
        items=[PayoutItem(*item) for item in items],
        entries=await _booked(tx, merchant_id, facts),
    )
