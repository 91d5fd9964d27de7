"""Orders on their way to the buyer: accepted, shipped and delivered in parts, completed by the clock."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demand.changes.store import note_change
from demand.fulfilment.model import COMPLETES_AFTER
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import OrderState
from demand.store import list_events
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders import fulfil_order
from marketplace.flows.orders.fulfil_order import (
    DeliverShipment,
    ShipOrder,
    Shipped,
    accept_order,
    complete_due,
    complete_order,
    deliver_shipment,
    ship_order,
)
from marketplace.flows.orders.hold_order import Act
from marketplace.settings import Settings
from marketplace.worker import jobs_of
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.orders.market import SHELF, Bought, Sold, add_purchase, read_order, shelf, shop_with, simple

THE_ORDER: dict[str, Any] = {"merchant_id": 1, "order_id": 1}
BY_MERCHANT = Act(**THE_ORDER, party=Party.MERCHANT)
BY_BUYER = Act(**THE_ORDER, party=Party.BUYER)


async def ship(db: Database, *lines: tuple[int, int], order_id: int = 1) -> Shipped:
    units = tuple(LineUnits(*line) for line in lines) or None
    cmd = ShipOrder(merchant_id=1, order_id=order_id, party=Party.MERCHANT, lines=units, carrier="post", tracking="t-1")
    return await db.write(WORKER, "mia", ship_order, cmd)


async def arrive(db: Database, shipped: Shipped, party: Party = Party.MERCHANT) -> Any:
    cmd = DeliverShipment(**THE_ORDER, party=party, shipment_id=shipped.shipment.shipment_id)
    return await db.write(WORKER, "mia", deliver_shipment, cmd)


async def test_an_order_goes_its_way_in_parts_and_is_settled(db: Database) -> None:
    await shop_with(db, simple(quantity=3))
    assert (await db.write(WORKER, "mia", accept_order, BY_MERCHANT)).state == "accepted"
    first = await ship(db, (1, 2))
    assert (first.moved.state, await shelf(db)) == ("fulfilling", (SHELF - 2, 1))
    assert (await read_order(db)).order.completes_at is None
    assert (await arrive(db, first)).state == "partly_delivered"
    second = await ship(db)
    assert (second.moved.state, await shelf(db)) == ("partly_delivered", (SHELF - 3, 0))
    detail = await read_order(db)
    assert detail.order.completes_at == NOW + COMPLETES_AFTER
    assert (detail.lines[0].shipped_quantity, detail.lines[0].delivered_quantity) == (3, 2)
    assert (await arrive(db, second)).state == "delivered"
    detail = await read_order(db)
    assert (detail.order.state, detail.order.delivered_at) == (OrderState.DELIVERED, NOW)
    await check_books(db)
    assert (await settle_through(db, "test", NOW.date())).orders == 1
    assert (await read_order(db)).order.state is OrderState.SETTLED
    await check_books(db)


async def test_the_history_says_who_did_what_and_counts_the_versions(db: Database) -> None:
    await shop_with(db, simple())
    await db.write(WORKER, "mia", accept_order, BY_MERCHANT)
    await arrive(db, await ship(db), Party.BUYER)
    async with db.read(WORKER) as tx:
        events = await list_events(tx, 1, 1, limit=10)
        later = await list_events(tx, 1, 1, limit=10, after_no=2)
    told = [(event.event_no, event.move, event.party, event.state, event.actor) for event in events]
    assert told == [
        (2, "accept", "merchant", "accepted", "mia"),
        (3, "ship", "merchant", "fulfilling", "mia"),
        (4, "deliver", "buyer", "delivered", "mia"),
    ]
    assert later == events[1:]
    assert (await read_order(db)).order.version == 4


async def test_the_day_of_delivery_is_the_markets(db: Database, clock: FixedClock) -> None:
    await shop_with(db, simple(), zone="America/Sao_Paulo")
    clock.move_to(datetime(2018, 9, 5, 1, 30, tzinfo=UTC))
    await arrive(db, await ship(db))
    async with db.read(WORKER) as tx:
        on = await tx.scalar("SELECT delivered_on FROM demand.merchant_order")
        due = await tx.scalar("SELECT settles_on FROM demand.order_due")
    assert (on, due) == (date(2018, 9, 4), date(2018, 9, 4))


@pytest.mark.parametrize(
    ("lines", "field"),
    [([(2, 1)], "line_no"), ([(1, 4)], "quantity"), ([(1, 1), (1, 1)], "twice")],
)
async def test_what_is_not_there_is_not_shipped(db: Database, lines: list[tuple[int, int]], field: str) -> None:
    await shop_with(db, simple(quantity=3))
    with pytest.raises(Invalid, match=field):
        await ship(db, *lines)
    assert await shelf(db) == (SHELF, 3)


async def test_nothing_is_shipped_twice(db: Database) -> None:
    await shop_with(db, simple())
    await ship(db)
    with pytest.raises(Conflict, match="nothing is left"):
        await ship(db)
    with pytest.raises(NotFound):
        await db.write(
            WORKER, "mia", deliver_shipment, DeliverShipment(**THE_ORDER, party=Party.MERCHANT, shipment_id=9)
        )


async def test_an_order_is_not_complete_before_all_of_it_has_left(db: Database) -> None:
    await shop_with(db, simple(quantity=3))
    await ship(db, (1, 2))
    with pytest.raises(Conflict, match="line 1: 1 units have not been shipped"):
        await db.write(WORKER, "shop", complete_order, BY_BUYER)
    with pytest.raises(Forbidden):
        await db.write(WORKER, "mia", complete_order, BY_MERCHANT)


async def test_the_clock_completes_what_nobody_speaks_of(db: Database, clock: FixedClock) -> None:
    """The delay runs from the last shipment, and an order that is not shipped whole waits."""
    await shop_with(db, simple(quantity=3), simple(merchant_id=2, order_id=2))
    await ship(db, (1, 2))
    clock.move_to(NOW + timedelta(days=3))
    await ship(db)
    completed = jobs_of(Settings(home=Path()))["complete_orders"]
    clock.move_to(NOW + COMPLETES_AFTER + timedelta(days=2, hours=23))
    await completed.run(db, None)
    assert (await read_order(db)).order.state is OrderState.FULFILLING
    clock.move_to(NOW + COMPLETES_AFTER + timedelta(days=3))
    await completed.run(db, None)
    detail = await read_order(db)
    assert (detail.order.state, detail.order.delivered_at) == (OrderState.DELIVERED, clock.now())
    assert detail.lines[0].delivered_quantity == 3
    assert (await read_order(db, 2, 2)).order.state is OrderState.PAID
    async with db.read(WORKER) as tx:
        [*_, last] = await list_events(tx, 1, 1, limit=10)
    assert (last.move, last.party, last.actor) == ("complete", "clock", "worker")
    await check_books(db)


async def test_the_clock_goes_through_more_orders_than_one_commit_takes(
    db: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop_with(db, *(simple(merchant_id=1 + n % 2, order_id=1 + n, quantity=1) for n in range(2)))
    for n in range(2, 5):
        await db.write(WORKER, "test", add_purchase, n, [simple(merchant_id=1 + n % 2, order_id=1 + n, quantity=1)])
    for n in range(5):
        cmd = ShipOrder(merchant_id=1 + n % 2, order_id=1 + n, party=Party.MERCHANT)
        await db.write(WORKER, "mia", ship_order, cmd)
    monkeypatch.setattr(fulfil_order, "BATCH", 2)
    clock.move_to(NOW + COMPLETES_AFTER)
    assert await db.write(WORKER, "worker", complete_due, clock.now()) == 2
    await jobs_of(Settings(home=Path()))["complete_orders"].run(db, None)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM demand.merchant_order WHERE state = 'delivered'") == 5
    await check_books(db)


async def test_a_line_that_came_later_stops_the_clock(db: Database, clock: FixedClock) -> None:
    await shop_with(db, simple())
    await ship(db)
    await db.write(WORKER, "test", Tx.execute, "UPDATE demand.order_line SET quantity = quantity + 1")
    clock.move_to(NOW + COMPLETES_AFTER)
    await jobs_of(Settings(home=Path()))["complete_orders"].run(db, None)
    detail = await read_order(db)
    assert (detail.order.state, detail.order.completes_at) == (OrderState.FULFILLING, None)


async def test_what_is_worth_nothing_is_delivered_too_and_owes_nothing(db: Database) -> None:
    gift = Bought(merchant_id=1, order_id=1, lines=(Sold(quantity=1, goods_minor=500, discount_minor=500),))
    await shop_with(db, simple(order_id=2))
    await db.write(WORKER, "test", add_free, gift)
    await arrive(db, await ship(db))
    await check_books(db)
    assert (await settle_through(db, "test", NOW.date())).orders == 0
    assert (await read_order(db)).order.state is OrderState.SETTLED
    await check_books(db)


async def add_free(tx: Tx, one: Bought) -> None:
    """An order that cost nothing: paid without a payment."""
    await tx.execute(
        """
        INSERT INTO demand.merchant_order (merchant_id, order_id, order_ref, purchase_id, buyer_id, entity_id, currency,
            state, goods_minor, freight_minor, discount_minor, placed_at, purchased_on)
        SELECT merchant_id, :order, 'free', purchase_id, buyer_id, entity_id, currency, state, :goods, 0, :goods,
               placed_at, purchased_on
        FROM demand.merchant_order WHERE order_id = 2
        """,
        {"order": one.order_id, "goods": one.lines[0].goods_minor},
    )
    await note_change(tx, one.merchant_id, one.order_id)
    await tx.execute(
        """
        INSERT INTO demand.order_line (merchant_id, order_id, line_no, quantity, goods_minor, freight_minor,
            discount_minor)
        VALUES (:merchant, :order, 1, 1, :goods, 0, :goods)
        """,
        {"merchant": one.merchant_id, "order": one.order_id, "goods": one.lines[0].goods_minor},
    )
