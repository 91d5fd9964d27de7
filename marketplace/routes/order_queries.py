"""What the API reads of orders and purchases."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import structs

from billing.payments import store as payments
from billing.payments.model import PurchasePayment, purchase_payment
from demand.fulfilment import store as fulfilment
from demand.fulfilment.model import Return, Shipment
from demand.lifecycle import CONSEQUENCES, Move, Party, moves_from
from demand.model import Order, OrderLine, OrderState, Refund
from demand.refunds.store import disputes_of
from demand.store import get_orders
from incentives.discounts.model import Discount
from incentives.discounts.store import discounts_of_orders
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import NotFound
from marketplace.flows.payments.take_payment import ENDED
from marketplace.routes.refund_queries import refund_states

PAYMENTS_MAX = 100
"""Payments of a purchase that are shown, the newest."""


class OrderDispute(msgspec.Struct, frozen=True, kw_only=True):
    """An order's share of a payment that the buyer's bank took back: open, won by the platform, or lost."""

    dispute_id: int
    payment_id: int
    amount_minor: int
    state: str
    opened_at: datetime
    due_on: date
    closed_at: datetime | None


class OrderDiscount(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion takes off an order: reserved until it is paid, committed, or released with the order.

    back_minor: what refunds took back of it. line_minor: off each of these lines. funder_minor: what of it each funder
    bears, the merchant among them; buyers are not told.
    """

    promotion_id: int
    promotion: str
    state: str
    amount_minor: int
    back_minor: int
    line_nos: list[int]
    line_minor: list[int]
    funders: list[str]
    funder_minor: list[int]


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its parts. moves: what the caller may do with it in its present state.

    A refund's state is that of `/refunds`, a dispute's that of `/disputes`, where both say more.
    """

    order: Order
    lines: list[OrderLine]
    refunds: list[Refund]
    shipments: list[Shipment]
    returns: list[Return]
    disputes: list[OrderDispute]
    discounts: list[OrderDiscount]
    moves: list[Move]


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer bought at once."""

    buyer_id: int
    purchase_id: int
    order_ref: str
    currency: str
    placed_at: datetime


class PurchaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase with the orders of all its merchants. moves of each: what the buyer may do with it.

    payments: the newest first, those of amendments too. pay_until: until when it can be paid again, after a payment
    that has failed; null when there is nothing to pay, or a payment is under way.
    """

    purchase: Purchase
    payments: list[PurchasePayment]
    pay_until: datetime | None
    orders: list[OrderView]


async def view_order(tx: Tx, merchant_id: int, order_id: int, party: Party) -> OrderView:
    """An order as a party sees it. Raises NotFound."""
    found = await view_orders(tx, [(merchant_id, order_id)], party)
    if not found:
        raise NotFound(f"merchant {merchant_id} has no order {order_id}")
    return found[0]


async def view_orders(tx: Tx, keys: Sequence[tuple[int, int]], party: Party) -> list[OrderView]:
    """Orders by merchant_id and order_id as a party sees them, in so many statements however many they are.

    Under which contract a merchant sells is nothing that its buyers see.
    """
    details = await get_orders(tx, keys)
    shipments, returns = await fulfilment.shipments_of(tx, keys), await fulfilment.returns_of(tx, keys)
    states, disputes = await refund_states(tx, keys), await disputes_of(tx, keys)
    discounts = await discounts_of_orders(tx, keys)
    views = []
    for detail in details:
        key = detail.order.merchant_id, detail.order.order_id
        view = OrderView(
            order=detail.order,
            lines=[structs.replace(line, contract_id=None) for line in detail.lines]
            if party is Party.BUYER
            else detail.lines,
            refunds=[structs.replace(one, state=states[key[0], one.refund_id]) for one in detail.refunds],
            shipments=shipments.get(key, []),
            returns=returns.get(key, []),
            disputes=[
                OrderDispute(**{name: getattr(one, name) for name in OrderDispute.__struct_fields__})
                for one in disputes.get(key, ())
            ],
            discounts=[_discount(one, party) for one in discounts.get(key, ())],
            moves=[move for move in moves_from(detail.order.state, party) if move not in CONSEQUENCES],
        )
        views.append(view)
    return views


def _discount(of: Discount, party: Party) -> OrderDiscount:
    told = party is not Party.BUYER
    return OrderDiscount(
        promotion_id=of.promotion_id,
        promotion=of.name,
        state=of.state,
        amount_minor=of.amount_minor,
        back_minor=of.back_minor,
        line_nos=list(of.line_nos),
        line_minor=list(of.line_minor),
        funders=list(of.funders) if told else [],
        funder_minor=list(of.funder_minor) if told else [],
    )


_PURCHASE_COLUMNS = ", ".join(Purchase.__struct_fields__)


async def list_purchases(
    db: Database, buyer_id: int, *, limit: int, before: tuple[datetime, int] | None
) -> Sequence[Purchase]:
    """At most `limit` purchases of a buyer, the newest first, those behind the key `before`."""
    bound: dict[str, Any] = {"buyer": buyer_id, "limit": limit}
    wanted = "buyer_id = :buyer"
    if before is not None:
        wanted += " AND (placed_at, purchase_id) < (:placed_at, :purchase)"
        bound |= dict(zip(("placed_at", "purchase"), before, strict=True))
    async with db.read(Scope(Role.BUYER, buyer_id)) as tx:
        rows = await tx.rows(
            f"""
            SELECT {_PURCHASE_COLUMNS} FROM demand.purchase WHERE {wanted}
            ORDER BY placed_at DESC, purchase_id DESC LIMIT :limit
            """,
            **bound,
        )
    return [Purchase(**row._mapping) for row in rows]


async def view_purchase(db: Database, buyer_id: int, purchase_id: int) -> PurchaseView:
    """A purchase and its orders. Raises NotFound.

    The purchase is looked for as the buyer; its orders belong to merchants, of whom a buyer's role sees nothing.
    """
    async with db.read(Scope(Role.BUYER, buyer_id)) as tx:
        row = await tx.row(
            f"SELECT {_PURCHASE_COLUMNS} FROM demand.purchase WHERE buyer_id = :buyer AND purchase_id = :purchase",
            buyer=buyer_id,
            purchase=purchase_id,
        )
    if row is None:
        raise NotFound(f"buyer {buyer_id} has no purchase {purchase_id}")
    async with db.read(WORKER) as tx:
        keys = await tx.rows(_ORDERS_OF_PURCHASE, buyer=buyer_id, purchase=purchase_id)
        orders = await view_orders(tx, [(key.merchant_id, key.order_id) for key in keys], Party.BUYER)
        paid = await payments.list_payments(tx, purchase_id=purchase_id, limit=PAYMENTS_MAX)
    waiting = [view.order.expires_at for view in orders if view.order.state is OrderState.PLACED]
    tries = [payment.state for payment in paid if payment.amendment_id is None]
    failed = bool(tries) and all(state in ENDED for state in tries)
    return PurchaseView(
        purchase=Purchase(**row._mapping),
        payments=[purchase_payment(payment) for payment in paid],
        pay_until=min((at for at in waiting if at is not None), default=None) if failed else None,
        orders=orders,
    )


_ORDERS_OF_PURCHASE = """
SELECT merchant_id, order_id FROM demand.merchant_order WHERE buyer_id = :buyer AND purchase_id = :purchase
ORDER BY merchant_id, order_id
"""


async def merchant_of(db: Database, buyer_id: int, purchase_id: int, order_id: int) -> int:
    """The merchant that has to deliver an order of a buyer's purchase. Raises NotFound."""
    async with db.read(WORKER) as tx:
        keys = await tx.rows(_ORDERS_OF_PURCHASE, buyer=buyer_id, purchase=purchase_id)
    for key in keys:
        if key.order_id == order_id:
            merchant_id: int = key.merchant_id
            return merchant_id
    raise NotFound(f"purchase {purchase_id} of buyer {buyer_id} has no order {order_id}")
