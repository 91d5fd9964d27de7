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
    "order.amount": Attribute("amount", "amount_minor", "amount"),
    "order.quantity": Attribute("number", "quantity", "quantity"),
    "order.channel": Attribute("text", "channel", "channel"),
    "order.code": Attribute("texts", "codes", "code"),
    "market.entity": Attribute("number", "entity_id", "legal entity"),
    "merchant.id": Attribute("number", "merchant.party_id", "merchant"),
    "merchant.region": Attribute("text", "merchant.region", "merchant's region"),
    "merchant.segment": Attribute("texts", "merchant.segments", "merchant's segment"),
    "merchant.level": Attribute("number", "merchant.level", "merchant's level"),
    "merchant.orders": Attribute("number", "merchant.orders", "merchant's earlier orders"),
    "merchant.days": Attribute("number", "merchant.days", "merchant's days since it joined"),
    "merchant.idle_days": Attribute("number", "merchant.idle_days", "merchant's days since its last order"),
    "merchant.referred": Attribute("flag", "merchant.referred", "merchant was referred"),
    "buyer.id": Attribute("number", "buyer.party_id", "buyer"),
    "buyer.region": Attribute("text", "buyer.region", "buyer's region"),
    "buyer.segment": Attribute("texts", "buyer.segments", "buyer's segment"),
    "buyer.level": Attribute("number", "buyer.level", "buyer's level"),
    "buyer.orders": Attribute("number", "buyer.orders", "buyer's earlier orders"),
    "buyer.days": Attribute("number", "buyer.days", "buyer's days since it joined"),
    "buyer.idle_days": Attribute("number", "buyer.idle_days", "buyer's days since its last order"),
    "buyer.referred": Attribute("flag", "buyer.referred", "buyer was referred"),
}

LINE_ATTRIBUTES: dict[str, Attribute] = {
    "line.amount": Attribute("amount", "amount_minor", "line's amount"),
    "line.quantity": Attribute("number", "quantity", "line's quantity"),
    "line.product": Attribute("number", "product_id", "product"),
    "line.category": Attribute("text", "category", "category"),
    "line.brand": Attribute("text", "brand", "brand"),
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
