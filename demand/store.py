"""Every statement of demand."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from demand.model import Order, OrderDetail, OrderLine, OrderState, Refund
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

_ORDER_COLUMNS = ", ".join(Order.__struct_fields__)
_LINE_COLUMNS = ", ".join(OrderLine.__struct_fields__)
_REFUND_COLUMNS = ", ".join(Refund.__struct_fields__)

OrderKey = tuple[datetime, int, int]
"""Where an order stands in a list: (placed_at, merchant_id, order_id)."""


async def get_order(tx: Tx, merchant_id: int, order_id: int) -> OrderDetail:
    """A merchant's order with its lines and refunds. Raises NotFound."""
    bound = {"merchant": merchant_id, "order": order_id}
    of_order = "WHERE merchant_id = :merchant AND order_id = :order"
    row = await tx.row(f"SELECT {_ORDER_COLUMNS} FROM demand.merchant_order {of_order}", **bound)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no order {order_id}")
    lines = await tx.rows(f"SELECT {_LINE_COLUMNS} FROM demand.order_line {of_order} ORDER BY line_no", **bound)
    refunds = await tx.rows(f"SELECT {_REFUND_COLUMNS} FROM demand.refund {of_order} ORDER BY refund_id", **bound)
    return OrderDetail(
        order=_order(row),
        lines=[OrderLine(**line._mapping) for line in lines],
        refunds=[Refund(**refund._mapping) for refund in refunds],
    )


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
        wanted.append("state = :state")
        bound["state"] = state.value
    if after is not None:
        wanted.append("(placed_at, merchant_id, order_id) < (:placed_at, :after_merchant, :after_order)")
        bound |= dict(zip(("placed_at", "after_merchant", "after_order"), after, strict=True))
    rows = await tx.rows(
        f"SELECT {_ORDER_COLUMNS} FROM demand.merchant_order WHERE {' AND '.join(wanted)}"
        " ORDER BY placed_at DESC, merchant_id DESC, order_id DESC LIMIT :limit",
        **bound,
    )
    return [_order(row) for row in rows]


def _order(row: Any) -> Order:
    return Order(**{**row._mapping, "state": OrderState(row.state)})
