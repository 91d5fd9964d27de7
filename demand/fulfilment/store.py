"""Every statement on shipments, returns and the units of order lines; whoever calls holds the order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Integer, SmallInteger, bindparam, insert, text

from demand.fulfilment.model import Return, ReturnState, Shipment
from demand.fulfilment.tables import return_line, return_request, shipment, shipment_line
from demand.fulfilment.units import LineUnits
from demand.lifecycle import Party
from demand.model import Order
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.ids import time_ordered_id

_OF_ORDER = "merchant_id = :merchant AND order_id = :order"
_COUNTS = ("cancelled_quantity", "shipped_quantity", "delivered_quantity", "returned_quantity")
_ADD_UNITS = {
    count: text(f"""
UPDATE demand.order_line AS l SET {count} = l.{count} + u.quantity
FROM unnest(:numbers, :quantities) AS u (line_no, quantity)
WHERE l.merchant_id = :merchant AND l.order_id = :order AND l.line_no = u.line_no
""").bindparams(bindparam("numbers", type_=ARRAY(SmallInteger)), bindparam("quantities", type_=ARRAY(Integer)))
    for count in _COUNTS
}


def _key(order: Order) -> dict[str, Any]:
    return {"merchant": order.merchant_id, "order": order.order_id}


async def add_units(tx: Tx, order: Order, count: str, units: Sequence[LineUnits]) -> None:
    """Count units of an order's lines as cancelled, shipped, delivered or returned: `count` names the column."""
    bound = {"numbers": [one.line_no for one in units], "quantities": [one.quantity for one in units]}
    await tx.execute(_ADD_UNITS[count], {**_key(order), **bound})


async def add_shipment(tx: Tx, order: Order, units: Sequence[LineUnits], carrier: str, tracking: str) -> Shipment:
    """Store what leaves now; its units count as shipped."""
    shipment_id = time_ordered_id(tx.now)
    key = {"merchant_id": order.merchant_id, "shipment_id": shipment_id}
    row = {**key, "order_id": order.order_id, "carrier": carrier, "tracking": tracking, "shipped_at": tx.now}
    await tx.execute(insert(shipment), row)
    lines = [{**key, "line_no": one.line_no, "quantity": one.quantity} for one in units]
    await tx.execute(insert(shipment_line), lines)
    await add_units(tx, order, "shipped_quantity", units)
    return Shipment(
        shipment_id=shipment_id,
        carrier=carrier,
        tracking=tracking,
        shipped_at=tx.now,
        delivered_at=None,
        lines=list(units),
    )


async def list_shipments(tx: Tx, merchant_id: int, order_id: int) -> list[Shipment]:
    """An order's shipments with their units, the first first."""
    rows = await tx.rows(
        f"""
        SELECT shipment_id, carrier, tracking, shipped_at, delivered_at FROM demand.shipment WHERE {_OF_ORDER}
        ORDER BY shipment_id
        """,
        merchant=merchant_id,
        order=order_id,
    )
    lines = await tx.rows(
        """
        SELECT l.shipment_id AS part_id, l.line_no, l.quantity
        FROM demand.shipment s
        JOIN demand.shipment_line l ON l.merchant_id = s.merchant_id AND l.shipment_id = s.shipment_id
        WHERE s.merchant_id = :merchant AND s.order_id = :order ORDER BY l.shipment_id, l.line_no
        """,
        merchant=merchant_id,
        order=order_id,
    )
    return [Shipment(**row._mapping, lines=_lines_of(row.shipment_id, lines)) for row in rows]


def _lines_of(part_id: int, lines: Sequence[Any]) -> list[LineUnits]:
    return [LineUnits(line.line_no, line.quantity) for line in lines if line.part_id == part_id]


async def get_shipment(tx: Tx, merchant_id: int, order_id: int, shipment_id: int) -> Shipment:
    """One shipment of an order. Raises NotFound."""
    for found in await list_shipments(tx, merchant_id, order_id):
        if found.shipment_id == shipment_id:
            return found
    raise NotFound(f"order {order_id} has no shipment {shipment_id}")


async def last_shipped_at(tx: Tx, order: Order) -> datetime | None:
    """When the last shipment so far left."""
    at: datetime | None = await tx.scalar(
        f"SELECT max(shipped_at) FROM demand.shipment WHERE {_OF_ORDER}", **_key(order)
    )
    return at


async def deliver_one(tx: Tx, order: Order, arrived: Shipment) -> None:
    """Note that a shipment has arrived; its units count as delivered."""
    await tx.execute(
        f"""
        UPDATE demand.shipment SET delivered_at = :now WHERE {_OF_ORDER} AND shipment_id = :shipment
        """,
        {**_key(order), "now": tx.now, "shipment": arrived.shipment_id},
    )
    await add_units(tx, order, "delivered_quantity", arrived.lines)


async def deliver_rest(tx: Tx, order: Order) -> None:
    """Note that everything that was shipped counts as delivered. The shipments do not say so: nobody has seen it."""
    await tx.execute(
        f"UPDATE demand.order_line SET delivered_quantity = shipped_quantity WHERE {_OF_ORDER}", _key(order)
    )


async def cancel_rest(tx: Tx, merchant_id: int, order_id: int) -> None:
    """Count every unit that has not left as cancelled."""
    await tx.execute(
        f"""
        UPDATE demand.order_line SET cancelled_quantity = quantity - shipped_quantity
        WHERE {_OF_ORDER} AND cancelled_quantity + shipped_quantity < quantity
        """,
        {"merchant": merchant_id, "order": order_id},
    )


async def complete_later(tx: Tx, order: Order, at: datetime | None) -> None:
    """Say when an order of which everything has left counts as delivered; None while something has not."""
    await tx.execute(
        f"UPDATE demand.merchant_order SET completes_at = :at WHERE {_OF_ORDER}", {**_key(order), "at": at}
    )


_RETURN_FIELDS = ", ".join(field for field in Return.__struct_fields__ if field != "lines")


async def add_return(tx: Tx, order: Order, party: Party, units: Sequence[LineUnits], reason: str, note: str) -> Return:
    """Store what a party asks to give back."""
    return_id = time_ordered_id(tx.now)
    key: dict[str, Any] = {"merchant_id": order.merchant_id, "return_id": return_id}
    row = {**key, "order_id": order.order_id, "state": ReturnState.REQUESTED.value, "initiator": party.value}
    row |= {"reason": reason, "note": note, "requested_at": tx.now, "requested_by": tx.actor}
    await tx.execute(insert(return_request), row)
    lines = [{**key, "line_no": one.line_no, "quantity": one.quantity} for one in units]
    await tx.execute(insert(return_line), lines)
    return await get_return(tx, order.merchant_id, order.order_id, return_id)


async def list_returns(tx: Tx, merchant_id: int, order_id: int) -> list[Return]:
    """An order's returns with their units, the first first."""
    rows = await tx.rows(
        f"SELECT {_RETURN_FIELDS} FROM demand.return_request WHERE {_OF_ORDER} ORDER BY return_id",
        merchant=merchant_id,
        order=order_id,
    )
    lines = await tx.rows(
        """
        SELECT l.return_id AS part_id, l.line_no, l.quantity
        FROM demand.return_request r
        JOIN demand.return_line l ON l.merchant_id = r.merchant_id AND l.return_id = r.return_id
        WHERE r.merchant_id = :merchant AND r.order_id = :order ORDER BY l.return_id, l.line_no
        """,
        merchant=merchant_id,
        order=order_id,
    )
    return [
        Return(
            **{**row._mapping, "state": ReturnState(row.state), "initiator": Party(row.initiator)},
            lines=_lines_of(row.return_id, lines),
        )
        for row in rows
    ]


async def get_return(tx: Tx, merchant_id: int, order_id: int, return_id: int) -> Return:
    """One return of an order. Raises NotFound."""
    for found in await list_returns(tx, merchant_id, order_id):
        if found.return_id == return_id:
            return found
    raise NotFound(f"order {order_id} has no return {return_id}")


async def change_return(tx: Tx, merchant_id: int, return_id: int, state: ReturnState, **values: Any) -> None:
    """Take a return of a locked order to another state; `values` are further columns."""
    columns = {"state": state.value, **values}
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    await tx.execute(
        f"""
        UPDATE demand.return_request SET {assignments} WHERE merchant_id = :merchant AND return_id = :return_id
        """,
        {**columns, "merchant": merchant_id, "return_id": return_id},
    )
