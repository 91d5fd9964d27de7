"""The lists of a merchant's own books: orders, statements, payouts and documents."""

from datetime import date
from typing import Any

import msgspec

from marketplace.consoles import books_sql as sql
from marketplace.consoles.books_queries import Merchant
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core.db import Tx

_CURRENCY = Column("currency", "col.currency", by="", shown=Shown.IN_FILES)

ORDERS = Roll(
    name="orders",
    first="-purchased_on",
    key=("order_id",),
    columns=(
        Column("order_ref", "col.order"),
        Column("purchased_on", "col.bought", Kind.DAY, by="placed_at", by_kind=Kind.INSTANT),
        Column("state", "col.state"),
        _CURRENCY,
        Column("goods_minor", "col.goods", Kind.MONEY),
        Column("freight_minor", "col.freight", Kind.MONEY),
        Column("discount_minor", "col.discount", Kind.MONEY),
        Column("total_minor", "col.total", Kind.MONEY),
    ),
    query=f"""
SELECT {sql.ORDER_COLUMNS}, o.goods_minor + o.freight_minor - o.discount_minor AS total_minor
FROM demand.merchant_order o WHERE {sql.WANTED}
""",
)
STATEMENTS = Roll(
    name="statements",
    first="-from_on",
    key=("run_id", "currency"),
    texts=frozenset({"currency"}),
    columns=(
        Column("from_on", "col.period", Kind.DAY, shown=Shown.ON_PAGES),
        Column("from_on", "audit.first", Kind.DAY, by="", shown=Shown.IN_FILES),
        Column("last_on", "audit.last", Kind.DAY, by="", shown=Shown.IN_FILES),
        Column("state", "col.state"),
        _CURRENCY,
        Column("orders", "kpi.orders", Kind.NUMBER),
        Column("opening_minor", "statement.opening", Kind.MONEY),
        Column("earned_minor", "statement.earned", Kind.MONEY),
        Column("payout_minor", "statement.payout", Kind.MONEY),
        Column("closing_minor", "statement.closing", Kind.MONEY),
    ),
    query="""
SELECT run_id, currency, from_on, to_on, to_on - 1 AS last_on, orders, opening_minor, payout_minor, closing_minor,
       state, closing_minor - opening_minor - payout_minor AS earned_minor
FROM billing.statement
WHERE merchant_id = :merchant AND state IN ('final', 'reversed')
  AND (CAST(:state AS text) IS NULL OR state = :state)
""",
)
"""Final and reversed ones: a preview is not yet the merchant's to read."""

PAYOUTS = Roll(
    name="payouts",
    first="-instructed_on",
    key=("payout_id",),
    columns=(
        Column("instructed_on", "col.instructed", Kind.DAY),
        Column("state", "col.state"),
        _CURRENCY,
        Column("amount_minor", "col.amount", Kind.MONEY),
    ),
    query=f"{sql.PAYOUTS} AND (CAST(:state AS text) IS NULL OR state = :state)",
)
DOCUMENTS = Roll(
    name="documents",
    first="-issued_on",
    key=("document_id",),
    columns=(
        Column("number", "documents.number"),
        Column("kind", "documents.kind"),
        Column("issued_on", "col.day", Kind.DAY),
        Column("from_on", "col.period", Kind.DAY, shown=Shown.ON_PAGES),
        Column("from_on", "audit.first", Kind.DAY, by="", shown=Shown.IN_FILES),
        Column("last_on", "audit.last", Kind.DAY, by="", shown=Shown.IN_FILES),
        Column("state", "col.state"),
        _CURRENCY,
        Column("net_minor", "documents.net", Kind.MONEY),
        Column("vat_minor", "column.vat", Kind.MONEY),
        Column("gross_minor", "col.total", Kind.MONEY),
    ),
    query="""
SELECT document_id, series || '-' || lpad(serial::text, greatest(length(serial::text), 6), '0') AS number, kind,
       issued_on, from_on, to_on - 1 AS last_on, state, void_reason, currency, net_minor, vat_minor,
       net_minor + vat_minor AS gross_minor
FROM billing.document
WHERE merchant_id = :merchant AND (CAST(:kind AS text) IS NULL OR kind = :kind)
  AND (CAST(:state AS text) IS NULL OR state = :state)
""",
)


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders: purchased on the days from `first` to `last`, in `state`; None leaves a side open."""

    first: date | None = None
    last: date | None = None
    state: str | None = None


class OrdersPage(msgspec.Struct, frozen=True):
    """The sums of all orders that the filter finds."""

    merchant: Merchant
    wanted: OrderFilter
    count_all: int
    goods_minor: int
    freight_minor: int
    discount_minor: int


def bound_of(merchant: Merchant, wanted: OrderFilter) -> dict[str, Any]:
    """What the list of orders binds."""
    return {
        "merchant": merchant.merchant_id,
        "currency": merchant.currency,
        "first": wanted.first or date(1, 1, 1),
        "last": wanted.last or date(9999, 12, 31),
        "state": wanted.state,
    }


async def orders_page(tx: Tx, merchant: Merchant, wanted: OrderFilter) -> OrdersPage:
    sums = await tx.row(sql.ORDER_SUMS, **bound_of(merchant, wanted))
    assert sums is not None
    return OrdersPage(
        merchant=merchant,
        wanted=wanted,
        count_all=sums.orders,
        goods_minor=int(sums.goods_minor),
        freight_minor=int(sums.freight_minor),
        discount_minor=int(sums.discount_minor),
    )
