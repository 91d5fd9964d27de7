"""What demand speaks of. Pure. Amounts are minor units of the order's currency."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import msgspec


class OrderState(StrEnum):
    """See `demand.lifecycle` for what leads from one to another. Settled is derived, never stored."""

    PLACED = "placed"
    PAID = "paid"
    ACCEPTED = "accepted"
    FULFILLING = "fulfilling"
    PARTLY_DELIVERED = "partly_delivered"
    DELIVERED = "delivered"
    SETTLED = "settled"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one merchant has to deliver of a purchase.

    order_ref is the source's id of the whole purchase, which several merchants' orders may share. purchased_on is the
    local date in the market's zone. discount_minor is the merchant's own discount on the goods. A delivered order
    that no longer waits for settlement is settled. expires_at: when an order nobody has paid gives its stock back.
    completes_at: when an order that is shipped counts as delivered. version: counts the order's changes.
    """

    merchant_id: int
    order_id: int
    order_ref: str
    purchase_id: int
    buyer_id: int
    entity_id: int
    store_id: int | None
    currency: str
    state: OrderState
    goods_minor: int
    freight_minor: int
    discount_minor: int
    placed_at: datetime
    purchased_on: date
    delivered_at: datetime | None
    refund_policy_id: int
    expires_at: datetime | None
    completes_at: datetime | None
    version: int


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A move an order made: into which state and by whom. version: the order's, after it."""

    merchant_id: int
    order_id: int
    order_ref: str
    move: str
    party: str
    state: OrderState
    version: int
    detail: dict[str, Any]


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A move of an order's history. event_no: the order's version after it; placed it was 1, so the first is 2."""

    event_no: int
    move: str
    party: str
    state: OrderState
    detail: dict[str, Any]
    at: datetime
    actor: str


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """goods_minor is the price of the whole quantity; contract_id None until a commission contract is chosen.

    amendment_id: what added the line after the order was paid. Orders imported as delivered have no shipped units.
    """

    line_no: int
    product_id: int | None
    category: str | None
    quantity: int
    goods_minor: int
    freight_minor: int
    discount_minor: int
    refunded_goods_minor: int
    refunded_freight_minor: int
    contract_id: int | None
    title: str
    cancelled_quantity: int
    shipped_quantity: int
    delivered_quantity: int
    returned_quantity: int
    amendment_id: int | None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """What the buyer gets back of an order; reason is a code, of imported orders the source's own word.

    platform_minor: what of it the platform bears; negative: what it got back of what it had borne. fee_minor: the
    processor's fee that was charged on to the merchant.
    """

    refund_id: int
    goods_minor: int
    freight_minor: int
    reason: str
    refunded_at: datetime
    initiator: str
    platform_minor: int
    fee_minor: int
    state: str


class OrderDetail(msgspec.Struct, frozen=True, kw_only=True):
    order: Order
    lines: list[OrderLine]
    refunds: list[Refund]
