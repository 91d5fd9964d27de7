"""The lists of a merchant's orders and statements: filtered, sorted by a column, a page at a time or all for a file."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from marketplace.consoles import books_sql as sql
from marketplace.consoles.books_queries import (
    LINES_MAX,
    LISTED_MAX,
    Merchant,
    OrderRow,
    StatementRow,
    get_merchant,
)
from marketplace.consoles.lists import Sort
from marketplace.core.db import Tx

EXPORTED_MAX = 20_000
"""Rows of one file; a longer list is narrowed by its days first."""

ORDER_SORTS = {
    "bought": "{o}.placed_at",
    "goods": "{o}.goods_minor",
    "total": "{o}.goods_minor + {o}.freight_minor - {o}.discount_minor",
}
STATEMENT_SORTS = {"period": "from_on", "orders": "orders", "closing": "closing_minor"}
"""What lists can be sorted by, and the column or sum behind it."""


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders: purchased on the days from `first` to `last`, in `state`; None leaves a side open."""

    first: date | None = None
    last: date | None = None
    state: str | None = None


class OrdersPage(msgspec.Struct, frozen=True):
    """Orders, newest first, and the sums of all that the filter finds. `older` is the key of the next page."""

    merchant: Merchant
    wanted: OrderFilter
    count_all: int
    goods_minor: int
    freight_minor: int
    discount_minor: int
    rows: Sequence[OrderRow]
    older: int | None


class StatementsPage(msgspec.Struct, frozen=True):
    merchant: Merchant
    state: str | None
    statements: Sequence[StatementRow]


async def orders_page(tx: Tx, merchant_id: int, wanted: OrderFilter, sort: Sort, before: int | None) -> OrdersPage:
    """One page of orders, those behind the order `before` in the sort's order."""
    merchant = await get_merchant(tx, merchant_id)
    bound = _bound(merchant, wanted)
    sums = await tx.row(sql.ORDER_SUMS, **bound)
    assert sums is not None
    rows = await _orders(tx, bound, sort, before, LINES_MAX + 1)
    return OrdersPage(
        merchant=merchant,
        wanted=wanted,
        count_all=sums.orders,
        goods_minor=int(sums.goods_minor),
        freight_minor=int(sums.freight_minor),
        discount_minor=int(sums.discount_minor),
        rows=rows[:LINES_MAX],
        older=rows[LINES_MAX - 1].order_id if len(rows) > LINES_MAX else None,
    )


async def all_orders(tx: Tx, merchant_id: int, wanted: OrderFilter, sort: Sort) -> list[OrderRow]:
    """Every order that the list shows, over all its pages; one more than EXPORTED_MAX says that there are more."""
    merchant = await get_merchant(tx, merchant_id)
    return await _orders(tx, _bound(merchant, wanted), sort, None, EXPORTED_MAX + 1)


def _bound(merchant: Merchant, wanted: OrderFilter) -> dict[str, Any]:
    return {
        "merchant": merchant.merchant_id,
        "currency": merchant.currency,
        "first": wanted.first or date(1, 1, 1),
        "last": wanted.last or date(9999, 12, 31),
        "state": wanted.state,
    }


async def _orders(tx: Tx, bound: dict[str, Any], sort: Sort, before: int | None, limit: int) -> list[OrderRow]:
    by = ORDER_SORTS[sort.key]
    statement = sql.ORDERS.format(
        by=by.format(o="o"), by_last=by.format(o="b"), direction=sort.sql, beyond="<" if sort.falling else ">"
    )
    return [OrderRow(*row) for row in await tx.rows(statement, **bound, before=before, limit=limit)]


async def statements_page(tx: Tx, merchant_id: int, state: str | None, sort: Sort) -> StatementsPage:
    """Final and reversed statements: a preview is not yet the merchant's to read."""
    statement = sql.STATEMENTS_SORTED.format(by=STATEMENT_SORTS[sort.key], direction=sort.sql)
    rows = await tx.rows(statement, merchant=merchant_id, state=state, limit=LISTED_MAX)
    return StatementsPage(await get_merchant(tx, merchant_id), state, [StatementRow(*row) for row in rows])
