"""Counting that begins while an amendment's units are promised: they are reserved, though no order has them yet."""

from datetime import timedelta

import pytest

from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.orders import count_stock as counting
from marketplace.flows.orders.amend_order import expire_amendments
from marketplace.flows.orders.fulfil_order import ShipOrder, ship_order
from supply.model import Stock
from supply.stock import store as stock
from supply.stock.store import Units
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.orders.amending import CABLE, MERCHANT, ORDER, accept, add_paid_order, more, pay, propose


async def begin(db: Database, on_hand: int) -> Stock:
    async def work(tx: Tx) -> Stock:
        now = await counting.hold_stock(tx, MERCHANT, CABLE)
        return await counting.count_stock(tx, now, on_hand, "first count")

    return await db.write(WORKER, "mia", work)


async def cables(db: Database) -> tuple[int | None, int]:
    async with db.read(WORKER) as tx:
        found = await stock.get_stock(tx, MERCHANT, CABLE)
    return found.on_hand, found.reserved


@pytest.mark.parametrize("paid", [True, False])
async def test_counting_reserves_the_units_of_an_amendment_that_waits_for_its_payment(
    db: Database, *, paid: bool
) -> None:
    await add_paid_order(db)
    held = await accept(db, await propose(db, more(CABLE, 2)))
    assert held.state == "awaiting_payment"
    with pytest.raises(Conflict, match="1 units would be on hand, and 2 are reserved"):
        await begin(db, 1)
    assert (await begin(db, 10)).reserved == 2
    await check_books(db)
    if paid:
        await pay(db, held)
        await db.write(WORKER, "mia", ship_order, ShipOrder(merchant_id=MERCHANT, order_id=ORDER, party=Party.MERCHANT))
        assert await cables(db) == (8, 0)
    else:
        assert await expire_amendments(db, "clock", NOW + timedelta(days=30)) == 1
        assert await cables(db) == (10, 0)
    await check_books(db)


async def test_a_proposal_promises_nothing(db: Database) -> None:
    await add_paid_order(db)
    await propose(db, more(CABLE, 2))
    assert (await begin(db, 1)).reserved == 0
    await check_books(db)


async def test_units_are_not_promised_while_a_listing_ceases_to_be_counted(db: Database) -> None:
    """Seen as counted, gone when it was to be reserved: the order is not to be sold on a guess."""
    await add_paid_order(db)
    await begin(db, 1)
    await db.write(WORKER, "test", Tx.execute, f"DELETE FROM supply.stock WHERE product_id = {CABLE}")
    with pytest.raises(Conflict, match="just ceased to be counted"):
        await db.write(WORKER, "shop", stock.exchange, [Units(MERCHANT, CABLE, 1)])
