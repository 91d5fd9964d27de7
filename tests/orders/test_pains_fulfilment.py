"""Pains that users of other marketplaces report (research/marketplace.md, section 2), as far as fulfilment answers."""

from typing import Any

import pytest

from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import OrderState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.cancel_order import CancelLines, CancelOrder, cancel_lines, cancel_order
from marketplace.flows.orders.fulfil_order import complete_order
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.orders.market import BUYER, SHELF, Bought, Sold, rows_of, shelf, shop_with
from tests.orders.test_fulfilment import BY_BUYER, arrive, ship


def sold(merchant_id: int, state: str = "paid") -> Bought:
    """The same products from every merchant, so that a slip would touch a sibling's stock."""
    lines = (Sold(quantity=2, goods_minor=3001, freight_minor=99), Sold(quantity=1, goods_minor=500, product_id=2))
    return Bought(merchant_id=merchant_id, order_id=10 + merchant_id, lines=lines, state=state)


async def everything(db: Database) -> dict[str, Any]:
    """Every row of the siblings, and those of the buyer."""
    async with db.read(WORKER) as tx:
        purchases = [tuple(row) for row in await tx.rows("SELECT * FROM demand.purchase WHERE buyer_id = :b", b=BUYER)]
        payments = [tuple(row) for row in await tx.rows("SELECT * FROM billing.payment WHERE buyer_id = :b", b=BUYER)]
    return {"one": await rows_of(db, 1), "three": await rows_of(db, 3), "purchases": purchases, "payments": payments}


async def test_pain_1_a_second_completion_returns_the_first_result(db: Database) -> None:
    """mercur#909: a repeated completion ran again, and undid what the first had done."""
    await shop_with(db, Bought(merchant_id=1, order_id=1, lines=(Sold(quantity=2, goods_minor=3000),)))
    await ship(db)
    first = await db.write(WORKER, "shop", complete_order, BY_BUYER)
    assert first.state is OrderState.DELIVERED
    before = await rows_of(db, 1)
    assert await db.write(WORKER, "worker", complete_order, BY_BUYER) == first
    assert await rows_of(db, 1) == before
    await settle_through(db, "test", NOW.date())
    before = await rows_of(db, 1)
    assert await db.write(WORKER, "shop", complete_order, BY_BUYER) == first
    assert await rows_of(db, 1) == before
    await check_books(db)


async def test_pain_1_a_shipment_that_arrives_twice_has_arrived_once(db: Database) -> None:
    await shop_with(db, Bought(merchant_id=1, order_id=1, lines=(Sold(quantity=2, goods_minor=3000),)))
    part = await ship(db, (1, 1))
    first = await arrive(db, part)
    assert await arrive(db, part) == first
    await arrive(db, await ship(db))
    before = await rows_of(db, 1)
    assert await arrive(db, part) == first
    assert await rows_of(db, 1) == before


@pytest.mark.parametrize("party", [Party.BUYER, Party.MERCHANT, Party.PLATFORM])
async def test_pain_2_cancelling_one_merchants_order_leaves_its_siblings_byte_identical(
    db: Database, party: Party
) -> None:
    """mercur#214: the siblings were cancelled too, and the stock stayed reserved."""
    await shop_with(db, sold(1), sold(2), sold(3))
    before = await everything(db)
    cmd = CancelOrder(merchant_id=2, order_id=12, party=party)
    done = await db.write(WORKER, "test", cancel_order, cmd)
    assert done.refund is not None
    assert (done.state, done.refund.gross_minor) == (OrderState.CANCELLED, 3600)
    assert await everything(db) == before
    assert (await shelf(db, 2), await shelf(db, 2, 2)) == ((SHELF, 0), (SHELF, 0))
    assert (await shelf(db, 1), await shelf(db, 3)) == ((SHELF, 2), (SHELF, 2))
    await check_books(db)


async def test_pain_2_holds_for_units_of_a_line_too(db: Database) -> None:
    await shop_with(db, sold(1), sold(2), sold(3))
    before = await everything(db)
    cmd = CancelLines(merchant_id=2, order_id=12, party=Party.MERCHANT, lines=(LineUnits(1, 1),))
    await db.write(WORKER, "test", cancel_lines, cmd)
    assert await everything(db) == before
    assert await shelf(db, 2) == (SHELF, 1)
    await check_books(db)


async def test_pain_2_an_unpaid_part_goes_alone(db: Database) -> None:
    """The payment waits on for what is left of it; the buyer pays less."""
    await shop_with(db, sold(1, "placed"), sold(2, "placed"), sold(3, "placed"))
    before = await everything(db)
    await db.write(WORKER, "test", cancel_order, CancelOrder(merchant_id=2, order_id=12, party=Party.BUYER))
    assert await everything(db) == before
    async with db.read(WORKER) as tx:
        parts = await tx.rows("SELECT merchant_id, state FROM billing.payment_part ORDER BY merchant_id")
    assert [tuple(part) for part in parts] == [(1, "open"), (2, "released"), (3, "open")]
    assert await shelf(db, 2) == (SHELF, 0)


async def test_the_comparison_would_notice(db: Database) -> None:
    """The search for changes sees a sibling's stock, and the payment."""
    await shop_with(db, sold(1), sold(3))
    for change in (
        "UPDATE supply.stock SET reserved = 0 WHERE merchant_id = 3",
        "UPDATE billing.payment SET method = ''",
    ):
        before = await everything(db)
        await db.write(WORKER, "test", Tx.execute, change)
        assert await everything(db) != before


async def test_a_cancelled_order_stays_cancelled(db: Database) -> None:
    await shop_with(db, sold(1), sold(2))
    cmd = CancelOrder(merchant_id=2, order_id=12, party=Party.BUYER)
    await db.write(WORKER, "test", cancel_order, cmd)
    before = await rows_of(db, 2)
    with pytest.raises(Conflict):
        await db.write(WORKER, "test", cancel_order, cmd)
    assert await rows_of(db, 2) == before
