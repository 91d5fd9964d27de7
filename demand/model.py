"""What demand speaks of. Pure. Amounts are minor units of the order's currency."""

from datetime import date, datetime
from enum import StrEnum

import msgspec


class OrderState(StrEnum):
    PLACED = "placed"
    PAID = "paid"
    DELIVERED = "delivered"
    SETTLED = "settled"
    CANCELLED = "cancelled"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one merchant has to deliver of a purchase.

    order_ref is the source's id of the whole purchase, which several merchants' orders may share. purchased_on is the
    local date in the market's zone. discount_minor is the merchant's own discount on the goods. A delivered order
    that no longer waits for settlement is settled.
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


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """goods_minor is the price of the whole quantity; contract_id None until a commission contract is chosen."""

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


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """What the buyer gets back of an order; reason is a code."""

    refund_id: int
    goods_minor: int
    freight_minor: int
    reason: str
    refunded_at: datetime


class OrderDetail(msgspec.Struct, frozen=True, kw_only=True):
    order: Order
    lines: list[OrderLine]
    refunds: list[Refund]
