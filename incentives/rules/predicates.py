"""Predicates over a closed list of typed attributes: who and what qualifies, as values, never as code. Pure.

An attribute is of the event (the order, its merchant, its buyer) or of one of its lines. What an event has no value
for, such as the buyer of a listing, satisfies no comparison.
"""

from typing import Annotated, Literal

import msgspec

from incentives.rules.parts import Part, Text

NODES_MAX = 100
DEPTH_MAX = 8
VALUES_MAX = 10_000

Value = bool | Annotated[int, msgspec.Meta(ge=-(10**18), le=10**18)] | Text

Kind = Literal["amount", "number", "text", "texts", "flag"]
"""amount: minor units of the promotion's currency. texts: several texts; a comparison holds when it does for one."""


class Attribute(msgspec.Struct, frozen=True):
    """path: where an event, or a line, carries the value. label: how reasons call it."""

    kind: Kind
    path: str
    label: str


EVENT_ATTRIBUTES: dict[str, Attribute] = {
    "order.amount": Attribute("amount", "amount_minor", "the amount"),
    "order.quantity": Attribute("number", "quantity", "the quantity"),
    "order.channel": Attribute("text", "channel", "the channel"),
    "order.code": Attribute("texts", "codes", "the code"),
    "market.entity": Attribute("number", "entity_id", "the legal entity"),
    "merchant.id": Attribute("number", "merchant.party_id", "the merchant"),
    "merchant.region": Attribute("text", "merchant.region", "the merchant's region"),
    "merchant.segment": Attribute("texts", "merchant.segments", "the merchant's segment"),
    "merchant.level": Attribute("number", "merchant.level", "the merchant's level"),
    "merchant.orders": Attribute("number", "merchant.orders", "the number of the merchant's earlier orders"),
    "merchant.days": Attribute("number", "merchant.days", "the days since the merchant joined"),
    "merchant.idle_days": Attribute("number", "merchant.idle_days", "the days since the merchant's last order"),
    "merchant.referred": Attribute("flag", "merchant.referred", "whether the merchant was referred"),
    "buyer.id": Attribute("number", "buyer.party_id", "the buyer"),
    "buyer.region": Attribute("text", "buyer.region", "the buyer's region"),
    "buyer.segment": Attribute("texts", "buyer.segments", "the buyer's segment"),
    "buyer.level": Attribute("number", "buyer.level", "the buyer's level"),
    "buyer.orders": Attribute("number", "buyer.orders", "the number of the buyer's earlier orders"),
    "buyer.days": Attribute("number", "buyer.days", "the days since the buyer joined"),
    "buyer.idle_days": Attribute("number", "buyer.idle_days", "the days since the buyer's last order"),
    "buyer.referred": Attribute("flag", "buyer.referred", "whether the buyer was referred"),
}

LINE_ATTRIBUTES: dict[str, Attribute] = {
    "line.amount": Attribute("amount", "amount_minor", "the line's amount"),
    "line.quantity": Attribute("number", "quantity", "the line's quantity"),
    "line.product": Attribute("number", "product_id", "the product"),
    "line.category": Attribute("text", "category", "the category"),
    "line.brand": Attribute("text", "brand", "the brand"),
}


class _Predicate(Part, frozen=True, tag_field="is"):
    """One node of a predicate tree."""


class AllOf(_Predicate, frozen=True, kw_only=True, tag="all"):
    of: Annotated[tuple["Predicate", ...], msgspec.Meta(min_length=1, max_length=NODES_MAX)]


class AnyOf(_Predicate, frozen=True, kw_only=True, tag="any"):
    of: Annotated[tuple["Predicate", ...], msgspec.Meta(min_length=1, max_length=NODES_MAX)]


class Not(_Predicate, frozen=True, kw_only=True, tag="not"):
    of: "Predicate"


class Equals(_Predicate, frozen=True, kw_only=True, tag="equals"):
    attribute: Text
    value: Value


class In(_Predicate, frozen=True, kw_only=True, tag="in"):
    attribute: Text
    values: Annotated[tuple[Value, ...], msgspec.Meta(min_length=1, max_length=VALUES_MAX)]


class Range(_Predicate, frozen=True, kw_only=True, tag="range"):
    """at_least: inclusive. below: exclusive. In minor units for amounts."""

    attribute: Text
    at_least: int | None = None
    below: int | None = None


class Exists(_Predicate, frozen=True, kw_only=True, tag="exists"):
    """The event has a value for it."""

    attribute: Text


Predicate = AllOf | AnyOf | Not | Equals | In | Range | Exists
