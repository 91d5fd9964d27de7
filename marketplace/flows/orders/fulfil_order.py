"""Deliver a paid order: accept it, ship it in parts, have the parts arrive, and complete it when nobody says so.

A delivered order waits for settlement from the same commit on.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from billing.ledger import store as ledger
from demand.fulfilment import store as fulfilment
from demand.fulfilment.model import COMPLETES_AFTER, Shipment
from demand.fulfilment.units import LineUnits, check_units, left_by, undelivered, unshipped
from demand.lifecycle import UNDELIVERED, Move, Party, check_move
from demand.model import Moved, Order, OrderLine, OrderState
from demand.store import find_event, get_lines, lock_order, move_order, queue_delivered
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.orders.hold_order import Act, hold_order, told_again
from supply.stock import store as stock
from supply.stock.store import Units

BATCH = 100
"""Orders that one commit completes by the clock; so long do postings to their merchants wait."""


class ShipOrder(Act, frozen=True, kw_only=True):
    """Ship these units; None means all that is left to ship."""

    lines: tuple[LineUnits, ...] | None = None
    carrier: str = ""
    tracking: str = ""


class DeliverShipment(Act, frozen=True, kw_only=True):
    """A shipment has arrived."""

    shipment_id: int


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """What left, and what that made of the order."""

    shipment: Shipment
    moved: Moved


async def accept_order(tx: Tx, cmd: Act) -> Moved:
    """The merchant takes a paid order on. Raises NotFound, Forbidden, Conflict."""
    order = await hold_order(tx, cmd, with_books=False)
    return await move_order(tx, order, Move.ACCEPT, cmd.party)


async def ship_order(tx: Tx, cmd: ShipOrder) -> Shipped:
    """Units leave the merchant: off its shelf, and on their way. Raises NotFound, Forbidden, Conflict, Invalid.

    With the last of them the clock is set that completes the order when nobody says that it has arrived.
    """
    order = await hold_order(tx, cmd, with_books=False)
    partly = order.state is OrderState.PARTLY_DELIVERED
    target = OrderState.PARTLY_DELIVERED if partly else OrderState.FULFILLING
    check_move(order.state, Move.SHIP, cmd.party, target)
    lines = await get_lines(tx, cmd.merchant_id, cmd.order_id)
    wanted = cmd.lines if cmd.lines is not None else left_by(lines, unshipped)
    check_units(wanted, {line.line_no: unshipped(line) for line in lines}, "shipped")
    shipment = await fulfilment.add_shipment(tx, order, wanted, cmd.carrier, cmd.tracking)
    is_last = sum(map(unshipped, lines)) == sum(units.quantity for units in wanted)
    await fulfilment.complete_later(tx, order, tx.now + COMPLETES_AFTER if is_last else None)
    moved = await move_order(tx, order, Move.SHIP, cmd.party, target=target, shipment_id=shipment.shipment_id)
    product_of = {line.line_no: line.product_id for line in lines}
    units = [(product_of[one.line_no], one.quantity) for one in wanted]
    await stock.ship(tx, [Units(cmd.merchant_id, product, count) for product, count in units if product is not None])
    return Shipped(shipment=shipment, moved=moved)


async def deliver_shipment(tx: Tx, cmd: DeliverShipment) -> Moved:
    """A shipment has arrived; with the last unit of the order the order is delivered and waits for settlement.

    Told a second time, it answers as it did the first time. Raises NotFound, Forbidden, Conflict.
    """
    order = await hold_order(tx, cmd)
    shipment = await fulfilment.get_shipment(tx, cmd.merchant_id, cmd.order_id, cmd.shipment_id)
    before = await find_event(tx, cmd.merchant_id, cmd.order_id, arrived_id=cmd.shipment_id)
    if before is not None:
        return told_again(order, before)
    check_move(order.state, Move.DELIVER, cmd.party, OrderState.DELIVERED)
    await fulfilment.deliver_one(tx, order, shipment)
    if not left_by(await get_lines(tx, cmd.merchant_id, cmd.order_id), undelivered):
        return await end_delivery(tx, order, Move.DELIVER, cmd.party, arrived_id=cmd.shipment_id)
    partly = OrderState.PARTLY_DELIVERED
    return await move_order(tx, order, Move.DELIVER, cmd.party, target=partly, arrived_id=cmd.shipment_id)


async def complete_order(tx: Tx, cmd: Act) -> Moved:
    """Count an order of which everything has left as delivered. Raises NotFound, Forbidden, Conflict.

    Of an order that is delivered already, however that came, it gives the first result and changes nothing.
    """
    order = await hold_order(tx, cmd)
    if order.state in {OrderState.DELIVERED, OrderState.SETTLED}:
        before = await find_event(tx, cmd.merchant_id, cmd.order_id, into=OrderState.DELIVERED)
        if before is not None:
            return told_again(order, before)
    return await _complete(tx, order, cmd.party)


async def _complete(tx: Tx, order: Order, party: Party) -> Moved:
    check_move(order.state, Move.COMPLETE, party)
    left = left_by(await get_lines(tx, order.merchant_id, order.order_id), unshipped)
    if left:
        raise Conflict(f"line {left[0].line_no}: {left[0].quantity} units have not been shipped yet")
    await fulfilment.deliver_rest(tx, order)
    return await end_delivery(tx, order, Move.COMPLETE, party)


async def end_delivery(tx: Tx, order: Order, move: Move, party: Party, **detail: object) -> Moved:
    """An order of which all is there is delivered and waits for settlement; the caller holds the merchant's books."""
    zone = await tx.scalar("SELECT zone FROM billing.entity WHERE entity_id = :entity", entity=order.entity_id)
    key = {"merchant": order.merchant_id, "order": order.order_id}
    moved = await move_order(tx, order, move, party, target=OrderState.DELIVERED, **detail)
    await tx.execute(
        """
        UPDATE demand.merchant_order SET delivered_at = :now, delivered_on = :today
        WHERE merchant_id = :merchant AND order_id = :order
        """,
        {**key, "now": tx.now, "today": local_date(tx.now, zone)},
    )
    await queue_delivered(tx, [order.merchant_id], after_order_id=order.order_id - 1, upto_order_id=order.order_id)
    return moved


async def end_if_all_there(tx: Tx, order: Order, move: Move, party: Party, **detail: object) -> Moved:
    """The move that cancelled the last units an order waited for ends its delivery; else the order stays in its state.

    When it is only to arrive now, the clock that completes it runs from its last shipment.
    """
    lines = await get_lines(tx, order.merchant_id, order.order_id)
    if is_all_there(lines):
        return await end_delivery(tx, order, move, party, **detail)
    await start_clock(tx, order, lines)
    return await move_order(tx, order, move, party, target=order.state, **detail)


def is_all_there(lines: Sequence[OrderLine]) -> bool:
    """Whether something has arrived and nothing is still to come."""
    return not left_by(lines, undelivered) and any(line.delivered_quantity for line in lines)


async def start_clock(tx: Tx, order: Order, lines: Sequence[OrderLine]) -> None:
    """The clock that completes an order runs from its last shipment; not at all while something has to leave."""
    if left_by(lines, unshipped):
        await fulfilment.complete_later(tx, order, None)
    elif (shipped_at := await fulfilment.last_shipped_at(tx, order)) is not None:
        await fulfilment.complete_later(tx, order, shipped_at + COMPLETES_AFTER)


async def complete_due(tx: Tx, upto: datetime) -> int:
    """Complete orders whose delay has passed, at most `BATCH` of them by merchant and id; returns how many were due.

    Several workers may do it at once: each holds the books of its batch, in the order of the merchants.
    """
    due = await tx.rows(
        """
        SELECT merchant_id, order_id FROM demand.merchant_order
        WHERE state IN ('fulfilling', 'partly_delivered') AND completes_at <= :upto
        ORDER BY merchant_id, order_id LIMIT :limit
        """,
        upto=upto,
        limit=BATCH,
    )
    for merchant_id in sorted({row.merchant_id for row in due}):
        await ledger.lock_books(tx, merchant_id)
    for row in due:
        order = await lock_order(tx, row.merchant_id, row.order_id)
        still_due = order.completes_at is not None and order.completes_at <= upto
        if order.state not in UNDELIVERED or not still_due:
            continue
        if left_by(await get_lines(tx, order.merchant_id, order.order_id), unshipped):  # added after the last shipment
            await fulfilment.complete_later(tx, order, None)
        else:
            await _complete(tx, order, Party.CLOCK)
    return len(due)
