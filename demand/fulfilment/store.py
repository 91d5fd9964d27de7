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
from demand.store import OF_ORDERS, by_order, order_keys
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
    return (await shipments_of(tx, [(merchant_id, order_id)])).get((merchant_id, order_id), [])


async def shipments_of(tx: Tx, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Shipment]]:
    """The same of several orders by merchant_id and order_id; those that have none are not in it."""
    rows = await tx.rows(
        f"""
        SELECT merchant_id, order_id, shipment_id, carrier, tracking, shipped_at, delivered_at FROM demand.shipment
        WHERE {OF_ORDERS} ORDER BY shipment_id
        """,
        **order_keys(keys),
    )
    lines = await tx.rows(
        f"""
        SELECT merchant_id, shipment_id AS part_id, l.line_no, l.quantity
        FROM demand.shipment s JOIN demand.shipment_line l USING (merchant_id, shipment_id)
        WHERE {OF_ORDERS} ORDER BY shipment_id, l.line_no
        """,
        **order_keys(keys),
    )
    units = _units_by_part(lines)
    return {
        key: [
            Shipment(
                shipment_id=row.shipment_id,
                carrier=row.carrier,
                tracking=row.tracking,
                shipped_at=row.shipped_at,
                delivered_at=row.delivered_at,
                lines=units[row.merchant_id, row.shipment_id],
            )
            for row in found
        ]
        for key, found in by_order(rows).items()
    }


def _units_by_part(lines: Sequence[Any]) -> dict[tuple[int, int], list[LineUnits]]:
    """What each shipment, or return, of each merchant holds."""
    units: dict[tuple[int, int], list[LineUnits]] = {}
    for line in lines:
        units.setdefault((line.merchant_id, line.part_id), []).append(LineUnits(line.line_no, line.quantity))
    return units


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


_RETURN_FIELDS = [field for field in Return.__struct_fields__ if field != "lines"]


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
    return (await returns_of(tx, [(merchant_id, order_id)])).get((merchant_id, order_id), [])


async def returns_of(tx: Tx, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Return]]:
    """The same of several orders by merchant_id and order_id; those that have none are not in it."""
    rows = await tx.rows(
        f"""
        SELECT merchant_id, order_id, {", ".join(_RETURN_FIELDS)} FROM demand.return_request
        WHERE {OF_ORDERS} ORDER BY return_id
        """,
        **order_keys(keys),
    )
    lines = await tx.rows(
        f"""
        SELECT merchant_id, return_id AS part_id, l.line_no, l.quantity
        FROM demand.return_request r JOIN demand.return_line l USING (merchant_id, return_id)
        WHERE {OF_ORDERS} ORDER BY return_id, l.line_no
        """,
        **order_keys(keys),
    )
    units = _units_by_part(lines)
    return {
        key: [_return(row, units[row.merchant_id, row.return_id]) for row in found]
        for key, found in by_order(rows).items()
    }


def _return(row: Any, lines: list[LineUnits]) -> Return:
    values = {field: getattr(row, field) for field in _RETURN_FIELDS}
    return Return(**{**values, "state": ReturnState(row.state), "initiator": Party(row.initiator)}, lines=lines)


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
