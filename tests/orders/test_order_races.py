"""Two connections at one order: whoever comes second finds it as the first has left it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import OrderState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.together import together
from marketplace.flows.commission.settle_orders import settle_bucket, settle_through
from marketplace.flows.orders.cancel_order import CancelLines, CancelOrder, cancel_lines, cancel_order
from marketplace.flows.orders.fulfil_order import DeliverShipment, ShipOrder, complete_due, deliver_shipment, ship_order
from tests.billing.locks import wait_until_blocked
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.orders.market import SHELF, add_purchase, read_order, shelf, shop_with, simple
from tests.orders.test_fulfilment import THE_ORDER, ship

SHIP = ShipOrder(**THE_ORDER, party=Party.MERCHANT)
CANCEL = CancelOrder(**THE_ORDER, party=Party.BUYER)
Flow = Callable[[Tx, Any], Coroutine[Any, Any, Any]]


async def one_then_the_other(db: Database, first: tuple[Flow, Any], second: tuple[Flow, Any]) -> list[Any]:
    """Both outcomes, where the second began while the first held the order and had not committed."""
    did, go_on = asyncio.Event(), asyncio.Event()

    async def leading(tx: Tx) -> Any:
        result = await first[0](tx, first[1])
        did.set()
        await go_on.wait()
        return result

    leader = asyncio.create_task(db.write(WORKER, "first", leading))
    await did.wait()
    follower = asyncio.create_task(db.write(WORKER, "second", second[0], second[1]))
    await wait_until_blocked(db)
    go_on.set()
    return list(await asyncio.gather(leader, follower, return_exceptions=True))


async def test_what_is_shipped_first_is_not_cancelled_by_the_buyer(db: Database) -> None:
    await shop_with(db, simple())
    shipped, cancelled = await one_then_the_other(db, (ship_order, SHIP), (cancel_order, CANCEL))
    assert shipped.moved.state is OrderState.FULFILLING
    assert isinstance(cancelled, Conflict)
    assert (await shelf(db), (await read_order(db)).refunds) == ((SHELF - 3, 0), [])
    await check_books(db)


async def test_what_is_cancelled_first_is_not_shipped(db: Database) -> None:
    await shop_with(db, simple())
    cancelled, shipped = await one_then_the_other(db, (cancel_order, CANCEL), (ship_order, SHIP))
    assert cancelled.state is OrderState.CANCELLED
    assert isinstance(shipped, Conflict)
    assert await shelf(db) == (SHELF, 0)
    await check_books(db)


async def test_units_are_either_shipped_or_cancelled(db: Database) -> None:
    await shop_with(db, simple(quantity=3))
    drop = CancelLines(**THE_ORDER, party=Party.MERCHANT, lines=(LineUnits(1, 2),))
    two = ShipOrder(**THE_ORDER, party=Party.MERCHANT, lines=(LineUnits(1, 2),))
    shipped, cancelled = await one_then_the_other(db, (ship_order, two), (cancel_lines, drop))
    assert shipped.shipment.lines == [LineUnits(1, 2)]
    assert isinstance(cancelled, Invalid)
    assert await shelf(db) == (SHELF - 2, 1)


async def test_two_deliveries_of_one_shipment_are_one(db: Database) -> None:
    await shop_with(db, simple())
    shipment_id = (await ship(db)).shipment.shipment_id
    cmd = DeliverShipment(**THE_ORDER, party=Party.MERCHANT, shipment_id=shipment_id)
    first, second = await one_then_the_other(db, (deliver_shipment, cmd), (deliver_shipment, cmd))
    assert first == second
    assert (await read_order(db)).lines[0].delivered_quantity == 3
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM demand.order_due") == 1
    await check_books(db)


async def test_a_delivery_waits_for_a_settlement_pass_and_the_next_one_takes_it(db: Database) -> None:
    await shop_with(db, simple())
    await db.write(WORKER, "test", add_purchase, 2, [simple(order_id=2)])
    one = await ship(db)
    other = await ship(db, order_id=2)
    first = DeliverShipment(**THE_ORDER, party=Party.BUYER, shipment_id=one.shipment.shipment_id)
    await db.write(WORKER, "test", deliver_shipment, first)
    later = DeliverShipment(merchant_id=1, order_id=2, party=Party.BUYER, shipment_id=other.shipment.shipment_id)

    async def settle(tx: Tx, merchants: Any) -> Any:
        return await settle_bucket(tx, merchants, NOW.date())

    settled, delivered = await one_then_the_other(db, (settle, [1]), (deliver_shipment, later))
    assert (settled.orders, delivered.state) == (1, OrderState.DELIVERED)
    assert (await settle_through(db, "test", NOW.date())).orders == 1
    await check_books(db)


async def test_a_settlement_pass_waits_for_a_delivery_and_takes_it(db: Database) -> None:
    await shop_with(db, simple())
    cmd = DeliverShipment(**THE_ORDER, party=Party.BUYER, shipment_id=(await ship(db)).shipment.shipment_id)

    async def settle(tx: Tx, merchants: Any) -> Any:
        return await settle_bucket(tx, merchants, NOW.date())

    delivered, settled = await one_then_the_other(db, (deliver_shipment, cmd), (settle, [1]))
    assert (delivered.state, settled.orders) == (OrderState.DELIVERED, 1)
    await check_books(db)


async def test_two_workers_complete_every_order_once(db: Database) -> None:
    await shop_with(db, simple())
    for number in range(2, 6):
        await db.write(WORKER, "test", add_purchase, number, [simple(order_id=number)])
    for number in range(1, 6):
        await ship(db, order_id=number)
    due = (await read_order(db)).order.completes_at
    assert due is not None
    await together(*(db.write(WORKER, f"worker-{n}", complete_due, due) for n in range(3)))
    async with db.read(WORKER) as tx:
        events = await tx.scalar("SELECT count(*) FROM demand.order_event WHERE move = 'complete'")
        waiting = await tx.scalar("SELECT count(*) FROM demand.order_due")
    assert (events, waiting) == (5, 5)
    await check_books(db)
