"""Every statement of demand."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, bindparam, insert, text

from demand.changes.store import note_change
from demand.lifecycle import Move, Party, check_move
from demand.model import Moved, Order, OrderDetail, OrderEvent, OrderLine, OrderState, Refund
from demand.tables import order_event
from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

# Settlement is a fact of the ledger; of an order it says no more than that the order no longer waits for it.
ORDER_STATE = """CASE WHEN o.state = 'delivered' AND NOT EXISTS (
    SELECT FROM demand.order_due d WHERE d.merchant_id = o.merchant_id AND d.order_id = o.order_id)
    THEN 'settled' ELSE o.state END"""
"""The state of the order `o` as people speak of it."""

_ORDER_COLUMNS = ", ".join(
    f"{ORDER_STATE} AS state" if field == "state" else f"o.{field}" for field in Order.__struct_fields__
)
_LINE_COLUMNS = ", ".join(OrderLine.__struct_fields__)
_EVENT_COLUMNS = ", ".join(OrderEvent.__struct_fields__)
_REFUND_COLUMNS = ", ".join(Refund.__struct_fields__)

OF_ORDERS = "merchant_id = ANY(CAST(:merchants AS bigint[])) AND order_id = ANY(CAST(:orders AS bigint[]))"
"""Every order of these merchants that has one of these ids: at least those that are named in pairs."""

OrderKey = tuple[datetime, int, int]
"""Where an order stands in a list: (placed_at, merchant_id, order_id)."""


async def get_order(tx: Tx, merchant_id: int, order_id: int) -> OrderDetail:
    """A merchant's order with its lines and refunds. Raises NotFound."""
    found = await get_orders(tx, [(merchant_id, order_id)])
    if not found:
        raise NotFound(f"merchant {merchant_id} has no order {order_id}")
    return found[0]


async def get_orders(tx: Tx, keys: Sequence[tuple[int, int]]) -> list[OrderDetail]:
    """Orders by merchant_id and order_id, with their lines and refunds, in three statements however many they are."""
    bound = order_keys(keys)
    orders = await tx.rows(
        f"SELECT {_ORDER_COLUMNS} FROM demand.merchant_order o WHERE {OF_ORDERS} ORDER BY merchant_id, order_id",
        **bound,
    )
    lines = await tx.rows(
        f"SELECT merchant_id, order_id, {_LINE_COLUMNS} FROM demand.order_line WHERE {OF_ORDERS} ORDER BY line_no",
        **bound,
    )
    refunds = await tx.rows(
        f"SELECT merchant_id, order_id, {_REFUND_COLUMNS} FROM demand.refund WHERE {OF_ORDERS} ORDER BY refund_id",
        **bound,
    )
    lines_of, refunds_of = by_order(lines), by_order(refunds)
    details = []
    for order in map(_order, orders):
        key = order.merchant_id, order.order_id
        if key in keys:
            details.append(
                OrderDetail(
                    order=order,
                    lines=[_line(row) for row in lines_of.get(key, ())],
                    refunds=[_refund(row) for row in refunds_of.get(key, ())],
                )
            )
    return details


def order_keys(keys: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    """The parameters of OF_ORDERS for orders by merchant_id and order_id."""
    return {"merchants": [merchant_id for merchant_id, _ in keys], "orders": [order_id for _, order_id in keys]}


def by_order(rows: Sequence[Any]) -> dict[tuple[int, int], list[Any]]:
    """Rows by the order that each names, in the order in which they come."""
    found: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        found.setdefault((row.merchant_id, row.order_id), []).append(row)
    return found


def _line(row: Any) -> OrderLine:
    return OrderLine(**{field: getattr(row, field) for field in OrderLine.__struct_fields__})


def _refund(row: Any) -> Refund:
    return Refund(**{field: getattr(row, field) for field in Refund.__struct_fields__})


async def get_lines(tx: Tx, merchant_id: int, order_id: int) -> list[OrderLine]:
    """An order's lines by number."""
    rows = await tx.rows(
        f"""
        SELECT {_LINE_COLUMNS} FROM demand.order_line WHERE merchant_id = :merchant AND order_id = :order
        ORDER BY line_no
        """,
        merchant=merchant_id,
        order=order_id,
    )
    return [_line(row) for row in rows]


async def list_events(
    tx: Tx, merchant_id: int, order_id: int, *, limit: int, after_no: int = 0
) -> Sequence[OrderEvent]:
    """At most `limit` moves of an order, in their order, those behind the number `after_no`."""
    rows = await tx.rows(
        f"""
        SELECT {_EVENT_COLUMNS} FROM demand.order_event
        WHERE merchant_id = :merchant AND order_id = :order AND event_no > :after ORDER BY event_no LIMIT :limit
        """,
        merchant=merchant_id,
        order=order_id,
        after=after_no,
        limit=limit,
    )
    return [_event(row) for row in rows]


async def find_event(
    tx: Tx, merchant_id: int, order_id: int, *, into: OrderState | None = None, **detail: Any
) -> OrderEvent | None:
    """The first move of an order that carries that detail and led into that state, if one is named."""
    row = await tx.row(
        f"""
        SELECT {_EVENT_COLUMNS} FROM demand.order_event
        WHERE merchant_id = :merchant AND order_id = :order AND (CAST(:state AS text) IS NULL OR state = :state)
          AND detail @> CAST(:detail AS jsonb) ORDER BY event_no LIMIT 1
        """,
        merchant=merchant_id,
        order=order_id,
        state=None if into is None else into.value,
        detail=msgspec.json.encode(detail).decode(),
    )
    return None if row is None else _event(row)


def _event(row: Any) -> OrderEvent:
    return OrderEvent(**{**row._mapping, "state": OrderState(row.state)})


async def list_orders(
    tx: Tx,
    *,
    merchant_id: int | None = None,
    state: OrderState | None = None,
    limit: int,
    after: OrderKey | None = None,
) -> Sequence[Order]:
    """At most `limit` orders, the newest first, those behind the order at `after`: of one merchant or of all."""
    wanted = ["true"]
    bound: dict[str, Any] = {"limit": limit}
    if merchant_id is not None:
        wanted.append("merchant_id = :merchant")
        bound["merchant"] = merchant_id
    if state is not None:
        wanted += [f"{ORDER_STATE} = :state", "o.state = :stored"]  # the latter spares most of the former
        stored = OrderState.DELIVERED if state is OrderState.SETTLED else state
        bound |= {"state": state.value, "stored": stored.value}
    if after is not None:
        wanted.append("(placed_at, merchant_id, order_id) < (:placed_at, :after_merchant, :after_order)")
        bound |= dict(zip(("placed_at", "after_merchant", "after_order"), after, strict=True))
    rows = await tx.rows(
        f"SELECT {_ORDER_COLUMNS} FROM demand.merchant_order o WHERE {' AND '.join(wanted)}"
        " ORDER BY placed_at DESC, merchant_id DESC, order_id DESC LIMIT :limit",
        **bound,
    )
    return [_order(row) for row in rows]


def _order(row: Any) -> Order:
    return Order(**{**row._mapping, "state": OrderState(row.state)})


async def lock_order(tx: Tx, merchant_id: int, order_id: int) -> Order:
    """An order, held until the transaction ends; whoever also posts locks the books first. Raises NotFound."""
    bound = {"merchant": merchant_id, "order": order_id}
    of_order = "WHERE merchant_id = :merchant AND order_id = :order"
    await tx.execute(f"SELECT order_id FROM demand.merchant_order {of_order} FOR UPDATE", bound)
    # Read only now: what the statement that waited saw is from before its wait.
    row = await tx.row(f"SELECT {_ORDER_COLUMNS} FROM demand.merchant_order o {of_order}", **bound)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no order {order_id}")
    return _order(row)


async def move_order(
    tx: Tx, order: Order, move: Move, party: Party, *, target: OrderState | None = None, **detail: Any
) -> Moved:
    """Take a locked order from one state to the next, as `demand.lifecycle` allows it; nothing else changes a state.

    The order's version counts the move, its history records it, and `demand.order_moved.v1` tells the world.
    Raises Forbidden and Conflict as `check_move` does.
    """
    state = check_move(order.state, move, party, target)
    key = {"merchant": order.merchant_id, "order": order.order_id}
    version = await tx.scalar(
        """
        UPDATE demand.merchant_order SET state = :state, version = version + 1
        WHERE merchant_id = :merchant AND order_id = :order RETURNING version
        """,
        state=state.value,
        **key,
    )
    moved = await _remember(tx, order, move.value, party, state, version, detail)
    await outbox.emit(tx, "demand.order_moved.v1", moved, merchant_id=order.merchant_id)
    return moved


AMEND = "amend"
"""What an order's history says of an amendment: not a move, for the state stays."""


async def amend_order(tx: Tx, order: Order, party: Party, **detail: Any) -> Moved:
    """Record that a locked order was amended: its totals follow its lines, its version counts, its state stays.

    The lines are the caller's. `demand.order_amended.v1` tells the world.
    """
    version = await tx.scalar(
        """
        UPDATE demand.merchant_order AS o SET version = o.version + 1, goods_minor = l.goods,
               freight_minor = l.freight, discount_minor = l.discount
        FROM (SELECT merchant_id, order_id, sum(goods_minor) AS goods, sum(freight_minor) AS freight,
                     sum(discount_minor) AS discount
              FROM demand.order_line WHERE merchant_id = :merchant AND order_id = :order
              GROUP BY merchant_id, order_id) AS l
        WHERE o.merchant_id = :merchant AND o.order_id = :order AND l.merchant_id = o.merchant_id
          AND l.order_id = o.order_id
        RETURNING o.version
        """,
        merchant=order.merchant_id,
        order=order.order_id,
    )
    amended = await _remember(tx, order, AMEND, party, order.state, version, detail)
    await outbox.emit(tx, "demand.order_amended.v1", amended, merchant_id=order.merchant_id)
    return amended


async def _remember(
    tx: Tx, order: Order, move: str, party: Party, state: OrderState, version: int, detail: dict[str, Any]
) -> Moved:
    """Add to an order's history what has made this its version."""
    row = {"merchant_id": order.merchant_id, "order_id": order.order_id, "event_no": version, "move": move}
    row |= {"party": party.value, "state": state.value, "detail": detail, "at": tx.now, "actor": tx.actor}
    await tx.execute(insert(order_event), row)
    await note_change(tx, order.merchant_id, order.order_id)
    return Moved(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        order_ref=order.order_ref,
        move=move,
        party=party.value,
        state=state,
        version=version,
        detail=detail,
    )


# The queue of delivered orders that wait for settlement: filled at delivery, kept level with the orders' lines.
_merchants = bindparam("merchants", type_=ARRAY(BigInteger))
_FILL = """
INSERT INTO demand.order_due AS due (merchant_id, order_id, contract_id, settles_at, settles_on, goods_minor,
    freight_minor, discount_minor, order_ref)
SELECT o.merchant_id, o.order_id, coalesce(l.contract_id, 0) AS contract_id, min(o.settles_at), min(o.settles_on),
       sum(l.goods_minor - l.refunded_goods_minor), sum(l.freight_minor - l.refunded_freight_minor),
       sum(l.discount_minor), min(o.order_ref)
FROM ({orders}) AS o JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
GROUP BY o.merchant_id, o.order_id, coalesce(l.contract_id, 0)
"""
_REFRESH = """
ON CONFLICT (merchant_id, order_id, contract_id) DO UPDATE SET goods_minor = excluded.goods_minor,
    freight_minor = excluded.freight_minor, discount_minor = excluded.discount_minor
"""
_DROP_STALE = """
DELETE FROM demand.order_due AS due
WHERE {wanted} AND NOT EXISTS (
    SELECT FROM demand.order_line l
    WHERE l.merchant_id = due.merchant_id AND l.order_id = due.order_id
      AND coalesce(l.contract_id, 0) = due.contract_id)
"""
_DELIVERED = """
SELECT merchant_id, order_id, delivered_at AS settles_at, delivered_on AS settles_on, order_ref
FROM demand.merchant_order
WHERE merchant_id = ANY(:merchants) AND order_id > :after AND order_id <= :upto AND state = 'delivered'
"""
_QUEUED = (
    "SELECT DISTINCT merchant_id, order_id, settles_at, settles_on, order_ref FROM demand.order_due WHERE {wanted}"
)
_OF_ORDER = "merchant_id = :merchant AND order_id = :order"
_UNCOVERED = "merchant_id = ANY(:merchants) AND contract_id = 0 AND settles_on <= :through"

_FILL_DELIVERED = text(_FILL.format(orders=_DELIVERED)).bindparams(_merchants)
_REFRESH_ORDER = text(_FILL.format(orders=_QUEUED.format(wanted=_OF_ORDER)) + _REFRESH)
_DROP_OF_ORDER = text(_DROP_STALE.format(wanted=_OF_ORDER))
_REFRESH_UNCOVERED = text(_FILL.format(orders=_QUEUED.format(wanted=_UNCOVERED)) + _REFRESH).bindparams(_merchants)
_DROP_COVERED = text(_DROP_STALE.format(wanted=_UNCOVERED)).bindparams(_merchants)


async def queue_delivered(tx: Tx, merchant_ids: Sequence[int], *, after_order_id: int, upto_order_id: int) -> None:
    """Queue new orders for settlement: the delivered ones of these merchants with ids in (after, upto]."""
    bound = {"merchants": list(merchant_ids), "after": after_order_id, "upto": upto_order_id}
    await tx.execute(_FILL_DELIVERED, bound)


async def refresh_due_order(tx: Tx, merchant_id: int, order_id: int) -> None:
    """Bring an order's rows in the queue level with its lines; one that is not due has none and gets none."""
    bound = {"merchant": merchant_id, "order": order_id}
    await tx.execute(_REFRESH_ORDER, bound)
    await tx.execute(_DROP_OF_ORDER, bound)


async def refresh_due_uncovered(tx: Tx, merchant_ids: Sequence[int], through: date) -> None:
    """Bring what no contract covered and is due through a local date level with its lines."""
    bound = {"merchants": list(merchant_ids), "through": through}
    await tx.execute(_REFRESH_UNCOVERED, bound)
    await tx.execute(_DROP_COVERED, bound)


async def remove_due_order(tx: Tx, merchant_id: int, order_id: int) -> None:
    """Take an order out of the queue without settling it."""
    bound = {"merchant": merchant_id, "order": order_id}
    await tx.execute("DELETE FROM demand.order_due WHERE merchant_id = :merchant AND order_id = :order", bound)
