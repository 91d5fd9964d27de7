"""An order that is being placed: what was asked for, what it was agreed at, and the rows that it becomes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from billing.payments.model import CASH
from demand.carts.model import Quote, QuoteLine
from marketplace.core.clock import local_date
from marketplace.core.idempotency import Ticket
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate
from marketplace.flows.discounts.quote_discounts import Taken, own_discounts
from marketplace.flows.orders.place_order_sql import columns_of
from marketplace.flows.orders.read_placed import Placed, PlacedOrder, order_ref

TIME_TO_PAY = timedelta(minutes=30)
"""How long stock stays reserved for a purchase that is not paid."""

TIME_TO_COLLECT = timedelta(days=30)
"""The same where it is cash, and the merchants collect the money themselves."""


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Place this cart at the price of this quote. method: the processor's token of what the buyer pays with.

    codes: what the buyer has typed in. processor: the name of the one that is asked for the money. credit_minor: how
    much of it the buyer pays out of its credit. voucher: the code of one that it uses up for this order. A method of
    `cash` asks nobody: each merchant collects at the door.
    """

    buyer_id: int
    cart_id: int
    quote: str
    method: str
    credit_minor: int = 0
    codes: tuple[str, ...] = ()
    voucher: str | None = None
    processor: str


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """A cart that is placed at a quote. rows: what it was read as, a line each. taken: what promotions take off it."""

    ticket: Ticket
    cmd: PlaceOrder
    quote: Quote
    placed: Placed
    rows: Sequence[Any]
    taken: Sequence[Taken] = ()
    body: bytes

    @property
    def order_ids(self) -> dict[int, int]:
        """Its orders by merchant."""
        return {order.merchant_id: order.order_id for order in self.placed.orders}


def placement_of(
    now: datetime,
    ticket: Ticket,
    cmd: PlaceOrder,
    quote: Quote,
    rows: Sequence[Any],
    taken: Sequence[Taken] = (),
    purchase_id: int | None = None,
) -> Placement:
    """The placement of a cart whose quote is agreed. purchase_id: where something was done under it already."""
    placed = _placed(now, cmd, quote, time_ordered_id(now) if purchase_id is None else purchase_id)
    body = msgspec.json.encode(placed)
    return Placement(ticket=ticket, cmd=cmd, quote=quote, placed=placed, rows=rows, taken=taken, body=body)


def _placed(now: datetime, cmd: PlaceOrder, quote: Quote, purchase_id: int) -> Placed:
    return Placed(
        purchase_id=purchase_id,
        order_ref=order_ref(purchase_id),
        buyer_id=cmd.buyer_id,
        currency=quote.currency,
        total_minor=quote.total_minor,
        pay_minor=quote.due_minor - cmd.credit_minor,
        credit_minor=cmd.credit_minor,
        payment_id=time_ordered_id(now),
        expires_at=now + (TIME_TO_COLLECT if cmd.method == CASH else TIME_TO_PAY),
        orders=[
            PlacedOrder(
                merchant_id=order.merchant_id,
                order_id=time_ordered_id(now),
                goods_minor=order.goods_minor,
                freight_minor=order.freight_minor,
                total_minor=order.total_minor,
                payer_minor=order.total_minor - order.discount_minor - order.due_minor,
                discount_minor=order.discount_minor,
            )
            for order in quote.orders
        ],
        payer_minor=quote.total_minor - quote.discount_minor - quote.due_minor,
        discount_minor=quote.discount_minor,
    )


def values_of(now: datetime, placements: Sequence[Placement]) -> dict[str, Any]:
    """The parameters of the writes, by name."""
    rows = [row for each in placements for row in each.rows]
    own = [_own_discounts(each.quote, each.taken) for each in placements]
    lines = [line for each in placements for line in each.quote.lines]
    return {
        "now": now,
        "processor": rows[0]["processor_id"],
        **columns_of("bought", [_bought(now, each) for each in placements]),
        **columns_of("orders", [row for each, off in zip(placements, own, strict=True) for row in _orders(each, off)]),
        **_stock_values(rows),
        **_line_values(lines, placements, [row["contract_id"] for row in rows]),
        "line_discounts": [
            minor for each, off in zip(placements, own, strict=True) for of in each.placed.orders
            for minor in off[of.merchant_id]
        ],
    }  # fmt: skip


def _bought(now: datetime, one: Placement) -> dict[str, Any]:
    ticket, cmd, placed, row = one.ticket, one.cmd, one.placed, one.rows[0]
    return {
        "actor": ticket.actor,
        "key": ticket.key,
        "fingerprint": ticket.fingerprint,
        "status": ticket.status,
        "body": one.body,
        "buyer_id": cmd.buyer_id,
        "cart_id": cmd.cart_id,
        "version": row["version"],
        "currency": placed.currency,
        "purchase_id": placed.purchase_id,
        "order_ref": placed.order_ref,
        "entity_id": row["entity_id"],
        "purchased_on": local_date(now, row["zone"]),
        "refund_policy_id": row["policy_id"],
        "expires_at": placed.expires_at,
        "payment_id": placed.payment_id,
        "method": cmd.method,
        "amount_minor": placed.pay_minor,
        "credit_minor": placed.credit_minor,
        "command_id": time_ordered_id(now),
        "event_id": time_ordered_id(now),
    }


def _orders(one: Placement, off: Mapping[int, Sequence[int]]) -> Iterable[dict[str, Any]]:
    """The orders of a placement. off: what each merchant itself takes off its lines."""
    dues = [order.total_minor - order.discount_minor - order.payer_minor for order in one.placed.orders]
    credits_ = allocate(one.placed.credit_minor, dues)
    for order, due, credit in zip(one.placed.orders, dues, credits_, strict=True):
        yield {
            "payment_id": one.placed.payment_id,
            "merchant_id": order.merchant_id,
            "order_id": order.order_id,
            "goods_minor": order.goods_minor,
            "freight_minor": order.freight_minor,
            "discount_minor": sum(off[order.merchant_id]),
            "part_minor": due - credit,
            "part_credit_minor": credit,
        }


def _stock_values(rows: Iterable[Any]) -> dict[str, list[int]]:
    """What is to be reserved of each listing, and those that are not counted, in the order of their keys."""
    wanted: Counter[tuple[int, int]] = Counter()
    uncounted = set()
    for row in rows:
        key = row["merchant_id"], row["product_id"]
        if row["counted"]:
            wanted[key] += row["quantity"]
        else:
            uncounted.add(key)
    counted, others = sorted(wanted), sorted(uncounted)
    return {
        "uncounted_merchants": [merchant_id for merchant_id, _ in others],
        "uncounted_products": [product_id for _, product_id in others],
        "stock_merchants": [merchant_id for merchant_id, _ in counted],
        "stock_products": [product_id for _, product_id in counted],
        "stock_quantities": [wanted[key] for key in counted],
    }


def _own_discounts(quote: Quote, taken: Sequence[Taken]) -> dict[int, list[int]]:
    """What each merchant itself takes off the lines of its order. Quote and orders stand in the same order."""
    lines = Counter(line.merchant_id for line in quote.lines)
    return {merchant_id: own_discounts(taken, merchant_id, count) for merchant_id, count in lines.items()}


def _line_values(
    lines: Sequence[QuoteLine], placements: Sequence[Placement], contracts: Sequence[int | None]
) -> dict[str, list[Any]]:
    """Lines are numbered within their merchant's order. Quote and rows stand in the same order."""
    orders, numbers = [], []
    for one in placements:
        order_of = one.order_ids
        of = [order_of[line.merchant_id] for line in one.quote.lines]
        numbers += [at - of.index(order_id) + 1 for at, order_id in enumerate(of)]
        orders += of
    return {
        "line_merchants": [line.merchant_id for line in lines],
        "line_orders": orders,
        "line_nos": numbers,
        "line_products": [line.product_id for line in lines],
        "line_categories": [line.category for line in lines],
        "line_titles": [line.title for line in lines],
        "line_quantities": [line.quantity for line in lines],
        "line_goods": [line.goods_minor for line in lines],
        "line_freights": [line.freight_minor for line in lines],
        "line_contracts": list(contracts),
    }
