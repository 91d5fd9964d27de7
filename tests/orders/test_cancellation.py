"""Orders cancelled before and after payment, whole and unit by unit, to the cent and to the unit."""

from datetime import timedelta
from typing import Any

import pytest

from billing.ledger.store import balances
from demand.fulfilment.model import COMPLETES_AFTER
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import OrderState
from demand.store import list_events
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.cancel_order import Cancelled, CancelLines, CancelOrder, cancel_lines, cancel_order
from marketplace.flows.orders.fulfil_order import accept_order
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.orders.market import SHELF, Bought, Sold, read_order, shelf, shop_with, simple
from tests.orders.test_fulfilment import BY_MERCHANT, THE_ORDER, arrive, ship

ODD = Bought(
    merchant_id=1,
    order_id=1,
    lines=(
        Sold(quantity=3, goods_minor=1000, freight_minor=100, discount_minor=80),
        Sold(quantity=1, goods_minor=700, product_id=2),
    ),
)
"""A line of which no unit is worth a third."""


async def cancel(db: Database, party: Party = Party.BUYER, **values: Any) -> Cancelled:
    return await db.write(WORKER, "shop", cancel_order, CancelOrder(**THE_ORDER, party=party, **values))


async def drop(db: Database, *lines: tuple[int, int], party: Party = Party.MERCHANT) -> Cancelled:
    cmd = CancelLines(**THE_ORDER, party=party, lines=tuple(LineUnits(*line) for line in lines))
    return await db.write(WORKER, "mia", cancel_lines, cmd)


async def accounts(db: Database, merchant_id: int = 1) -> dict[int, int]:
    async with db.read(WORKER) as tx:
        return {one.account: one.balance_minor for one in await balances(tx, merchant_id)}


async def test_an_order_nobody_has_paid_gives_back_its_stock_and_its_payment(db: Database) -> None:
    await shop_with(db, placed(simple()))
    done = await cancel(db)
    assert (done.state, done.refund, done.version) == (OrderState.CANCELLED, None, 2)
    assert await shelf(db) == (SHELF, 0)
    assert (await read_order(db)).lines[0].cancelled_quantity == 3
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM billing.payment") == "voided"
    await check_books(db)


def placed(one: Bought) -> Bought:
    return Bought(merchant_id=one.merchant_id, order_id=one.order_id, lines=one.lines, state="placed")


async def test_a_paid_order_is_refunded_and_its_stock_is_free(db: Database) -> None:
    await shop_with(db, ODD)
    done = await cancel(db)
    assert done.refund is not None
    assert (done.state, done.refund.gross_minor) == (OrderState.CANCELLED, 1720)
    assert await accounts(db) == {1020: 1720, 2400: -1720}
    assert (await shelf(db), await shelf(db, product_id=2)) == ((SHELF, 0), (SHELF, 0))
    detail = await read_order(db)
    assert [line.cancelled_quantity for line in detail.lines] == [3, 1]
    assert [refund.reason for refund in detail.refunds] == ["buyer_cancelled"]
    with pytest.raises(Conflict):
        await cancel(db)
    await check_books(db)


async def test_units_that_have_left_are_refunded_and_stay_away(db: Database) -> None:
    await shop_with(db, simple(quantity=3))
    await ship(db, (1, 2))
    done = await cancel(db, Party.MERCHANT)
    assert done.refund is not None
    assert done.refund.gross_minor == 12000
    assert await shelf(db) == (SHELF - 2, 0)
    [line] = (await read_order(db)).lines
    assert (line.cancelled_quantity, line.shipped_quantity) == (1, 2)
    await check_books(db)


async def test_who_may_not_cancel_is_told_and_nothing_changes(db: Database) -> None:
    await shop_with(db, simple())
    await db.write(WORKER, "mia", accept_order, BY_MERCHANT)
    with pytest.raises(Conflict, match="state"):
        await cancel(db, Party.BUYER)
    with pytest.raises(Forbidden):
        await cancel(db, Party.CLOCK, reason="late")
    assert await shelf(db) == (SHELF, 3)
    assert (await read_order(db)).refunds == []


async def test_unit_by_unit_the_line_comes_back_to_the_cent(db: Database) -> None:
    await shop_with(db, ODD)
    given = []
    for _ in range(3):
        done = await drop(db, (1, 1))
        assert done.refund is not None
        given.append(done.refund.gross_minor)
    assert given == [307 + 34, 307 + 33, 306 + 33]
    assert sum(given) == 1000 - 80 + 100
    assert (await shelf(db), await shelf(db, product_id=2)) == ((SHELF, 0), (SHELF, 1))
    assert (await read_order(db)).order.state is OrderState.PAID
    await check_books(db)
    done = await drop(db, (2, 1))
    assert done.state is OrderState.CANCELLED
    assert await accounts(db) == {1020: 1720, 2400: -1720}
    assert await shelf(db, product_id=2) == (SHELF, 0)
    await check_books(db)


async def test_what_has_left_is_not_cancelled_by_the_unit(db: Database) -> None:
    await shop_with(db, simple(quantity=3))
    await ship(db, (1, 2))
    with pytest.raises(Invalid, match="what is left to be cancelled") as refused:
        await drop(db, (1, 2))
    assert refused.value.extra == {"pointer": "/lines/0/quantity"}
    assert (await read_order(db)).refunds == []


async def test_the_last_unit_that_was_waited_for_makes_the_order_delivered(db: Database) -> None:
    await shop_with(db, simple(quantity=3))
    await arrive(db, await ship(db, (1, 2)))
    done = await drop(db, (1, 1))
    assert done.state is OrderState.DELIVERED
    assert (await read_order(db)).order.delivered_at == NOW
    await check_books(db)
    assert (await settle_through(db, "test", NOW.date())).orders == 1
    assert await accounts(db) == {1020: 12000, 2000: -7040, 2300: -160, 2400: -4000, 4000: -800}
    await check_books(db)


async def test_cancelling_the_rest_starts_the_clock_at_the_last_shipment(db: Database, clock: FixedClock) -> None:
    await shop_with(db, simple(quantity=3))
    await ship(db, (1, 2))
    clock.move_to(NOW + timedelta(days=5))
    done = await drop(db, (1, 1))
    assert done.state is OrderState.FULFILLING
    assert (await read_order(db)).order.completes_at == NOW + COMPLETES_AFTER


async def test_the_history_names_the_units_and_the_refund(db: Database) -> None:
    await shop_with(db, simple(quantity=3))
    done = await drop(db, (1, 2))
    assert done.refund is not None
    async with db.read(WORKER) as tx:
        [event] = await list_events(tx, 1, 1, limit=10)
    assert (event.move, event.party, event.state) == ("cancel_part", "merchant", OrderState.PAID)
    assert event.detail == {
        "reason": "merchant_cancelled",
        "refund_id": done.refund.refund_id,
        "lines": [{"line_no": 1, "quantity": 2}],
    }


async def test_a_reason_that_leaves_the_merchant_something_does_not_cancel_an_order(db: Database) -> None:
    """What stayed with the merchant of a cancelled order would never be settled."""
    await shop_with(db, ODD)
    with pytest.raises(Conflict, match="leaves 100 of the order with the merchant"):
        await cancel(db, Party.BUYER, reason="changed_mind")
    with pytest.raises(Invalid, match="reason"):
        await cancel(db, Party.BUYER, reason="because")
    assert (await read_order(db)).order.state is OrderState.PAID
    assert await shelf(db) == (SHELF, 3)
    await check_books(db)
