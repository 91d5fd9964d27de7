"""Merchants and orders as the API and the pages read them."""

from pathlib import Path

import pytest

from demand import store as demand
from demand.model import Order, OrderState
from demand.store import OrderKey
from marketplace.core.db import STAFF, Database, Role, Scope
from marketplace.core.errors import NotFound
from marketplace.flows.imports.import_olist import import_olist
from supply import store as supply
from tests.load.folders import small_market, write


@pytest.fixture
async def market(db: Database, tmp_path: Path) -> Database:
    await import_olist(db, "operator", write(small_market(), tmp_path))
    return db


async def test_merchants(market: Database) -> None:
    async with market.read(STAFF) as tx:
        assert [merchant.merchant_ref for merchant in await supply.list_merchants(tx, limit=2)] == ["s1", "s2"]
        assert [merchant.merchant_ref for merchant in await supply.list_merchants(tx, limit=2, after=2)] == ["s3"]
        assert (await supply.get_merchant(tx, 2)).city == "são paulo"
        with pytest.raises(NotFound, match="no merchant 9"):
            await supply.get_merchant(tx, 9)


def place(order: Order) -> OrderKey:
    return order.placed_at, order.merchant_id, order.order_id


async def test_orders_come_newest_first_page_by_page(market: Database) -> None:
    async with market.read(STAFF) as tx:
        whole = await demand.list_orders(tx, limit=50)
        paged: list[Order] = []
        while page := await demand.list_orders(tx, limit=2, after=place(paged[-1]) if paged else None):
            paged += page
        cancelled = await demand.list_orders(tx, state=OrderState.CANCELLED, limit=50)
        of_second = await demand.list_orders(tx, merchant_id=2, limit=50)
    assert [order.order_id for order in whole] == [6, 5, 4, 3, 2, 1]
    assert paged == whole
    assert [order.order_ref for order in cancelled] == ["o2"]
    assert [order.order_id for order in of_second] == [6, 3, 1]


async def test_an_order_with_its_lines_and_refunds(market: Database) -> None:
    async with market.read(STAFF) as tx:
        detail = await demand.get_order(tx, 1, 2)
        refunded = await demand.get_order(tx, 1, 4)
        with pytest.raises(NotFound, match="merchant 1 has no order 3"):
            await demand.get_order(tx, 1, 3)
    assert [(line.line_no, line.goods_minor, line.category) for line in detail.lines] == [
        (1, 1000, "moveis"),
        (3, 500, "moveis"),
    ]
    assert detail.order.goods_minor == 1500
    assert detail.refunds == []
    assert [(refund.goods_minor, refund.freight_minor) for refund in refunded.refunds] == [(3000, 300)]


async def test_a_merchant_reads_its_own_orders_only(market: Database) -> None:
    async with market.read(Scope(Role.MERCHANT, 2)) as tx:
        assert {order.merchant_id for order in await demand.list_orders(tx, limit=50)} == {2}
        with pytest.raises(NotFound):
            await demand.get_order(tx, 1, 2)
