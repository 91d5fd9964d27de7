"""What hardware speaks of, and the moves of an order and of a work order. Pure. Amounts in minor units, net of VAT."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.rates import apply_half_even
from supply.products.model import Means

LINES_MAX = 50
Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class HardwareState(StrEnum):
    QUOTED = "quoted"
    ACCEPTED = "accepted"
    SHIPPED = "shipped"
    RETURNED = "returned"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class OrderMove(StrEnum):
    QUOTE = "quote"
    ACCEPT = "accept"
    DECLINE = "decline"
    EXPIRE = "expire"
    CANCEL = "cancel"
    SHIP = "ship"
    RETURN = "return"
    RETURN_PART = "return_part"


class Rule(msgspec.Struct, frozen=True):
    """From these states a move leads to that one."""

    sources: frozenset[str]
    target: str


_O = HardwareState
ORDER_RULES: dict[OrderMove, Rule] = {
    OrderMove.QUOTE: Rule(frozenset({_O.QUOTED, _O.EXPIRED, _O.DECLINED}), _O.QUOTED),
    OrderMove.ACCEPT: Rule(frozenset({_O.QUOTED}), _O.ACCEPTED),
    OrderMove.DECLINE: Rule(frozenset({_O.QUOTED}), _O.DECLINED),
    OrderMove.EXPIRE: Rule(frozenset({_O.QUOTED}), _O.EXPIRED),
    OrderMove.CANCEL: Rule(frozenset({_O.ACCEPTED}), _O.CANCELLED),
    OrderMove.SHIP: Rule(frozenset({_O.ACCEPTED}), _O.SHIPPED),
    OrderMove.RETURN_PART: Rule(frozenset({_O.SHIPPED}), _O.SHIPPED),
    OrderMove.RETURN: Rule(frozenset({_O.SHIPPED}), _O.RETURNED),
}


class WorkState(StrEnum):
    PLANNED = "planned"
    APPOINTED = "appointed"
    DONE = "done"
    CANCELLED = "cancelled"


class WorkMove(StrEnum):
    APPOINT = "appoint"
    FINISH = "finish"
    CANCEL = "cancel"


_W = WorkState
WORK_RULES: dict[WorkMove, Rule] = {
    WorkMove.APPOINT: Rule(frozenset({_W.PLANNED, _W.APPOINTED}), _W.APPOINTED),
    WorkMove.FINISH: Rule(frozenset({_W.APPOINTED}), _W.DONE),
    WorkMove.CANCEL: Rule(frozenset({_W.PLANNED, _W.APPOINTED}), _W.CANCELLED),
}


class WorkKind(StrEnum):
    INSTALL = "install"
    MAINTAIN = "maintain"
    REPAIR = "repair"


class HardwareItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is sold. Its warranty begins when a unit is installed."""

    item_id: int
    sku: str
    name: str
    currency: str
    price_minor: int
    warranty_months: int
    made_by: str
    made_at: datetime


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Who delivers to the house or works for it: a supplier of goods, a partner with technicians."""

    provider_id: int
    name: str
    made_by: str
    made_at: datetime


class HardwareUnit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing with a serial number: in the house's stock, with a merchant, sold to a buyer, or gone."""

    serial: str
    item_id: int
    house_merchant_id: int
    currency: str
    cost_minor: int
    state: str
    merchant_id: int | None
    order_id: int | None
    received_at: datetime


class HardwareLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many units of an item, each at this price."""

    item_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    quantity: Quantity
    price_minor: Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]


class HardwareQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A version of what is offered. deposit_minor: what is to be paid before anything is shipped."""

    merchant_id: int
    order_id: int
    quote_no: int
    currency: str
    lines: tuple[HardwareLine, ...]
    net_minor: int
    vat_ppm: int
    deposit_minor: int
    expires_on: date
    note: str
    made_by: str
    made_at: datetime


class HardwareOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A deal about hardware. quote_no: the version that counts."""

    merchant_id: int
    order_id: int
    state: HardwareState
    quote_no: int
    pays_by: Means | None
    decided_by: str | None
    shipped_on: date | None
    version: int
    made_at: datetime


class HardwareDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that a merchant has, or had. warranty_until: its last day of warranty, known once it is installed.

    cost_minor is None where it is shown to the merchant.
    """

    merchant_id: int
    order_id: int
    serial: str
    item_id: int
    price_minor: int
    cost_minor: int | None
    shipped_on: date
    installed_on: date | None
    warranty_until: date | None
    returned_on: date | None


class WorkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Work at a merchant's, by an own technician or (provider_id) a partner, who is owed cost_minor for it.

    price_minor: what the merchant pays; nothing for a repair under warranty. evidence: what shows that it is done.
    cost_minor is None where it is shown to the merchant.
    """

    merchant_id: int
    work_order_id: int
    kind: WorkKind
    serials: tuple[str, ...]
    provider_id: int | None
    technician: str
    currency: str
    price_minor: int
    vat_ppm: int
    cost_minor: int | None
    pays_by: Means
    state: WorkState
    appointed_at: datetime | None
    evidence: str
    done_on: date | None
    version: int
    made_by: str
    made_at: datetime


def check_order_move(state: HardwareState, move: OrderMove) -> HardwareState:
    """The state that the move leads to. Raises Conflict."""
    return HardwareState(_target("order", ORDER_RULES[move], state, move))


def check_work_move(state: WorkState, move: WorkMove) -> WorkState:
    """The state that the move leads to. Raises Conflict."""
    return WorkState(_target("work order", WORK_RULES[move], state, move))


def _target(noun: str, rule: Rule, state: str, move: str) -> str:
    if state not in rule.sources:
        allowed = ", ".join(sorted(rule.sources))
        words = move.replace("_", " ")
        raise Conflict(f"state: the {noun} is {state}; {words} needs one that is {allowed}", state=str(state))
    return rule.target


def price_of(lines: Sequence[HardwareLine]) -> int:
    """What a quote comes to. Raises Invalid for nothing, for an item twice, and for more than one amount may be."""
    if len({line.item_id for line in lines}) != len(lines):
        raise Invalid("lines: name each item once", pointer="/lines")
    net = sum(line.quantity * line.price_minor for line in lines)
    if not 0 < net * 2 <= AMOUNT_MAX:
        raise Invalid(f"lines: {net} is not an amount that can be quoted", pointer="/lines")
    return net


def deposit_of(net_minor: int, deposit_ppm: int) -> int:
    """The part of a quote that is paid first, half-even."""
    return apply_half_even(net_minor, deposit_ppm)


def check_serials(lines: Sequence[HardwareLine], units: Sequence[HardwareUnit]) -> None:
    """Raise Invalid unless the units are exactly what the lines ask for."""
    for line in lines:
        chosen = sum(unit.item_id == line.item_id for unit in units)
        if chosen != line.quantity:
            raise Invalid(f"serials: {line.quantity} units of item {line.item_id} are sold, {chosen} named",
                          pointer="/serials")  # fmt: skip
    if len(units) != sum(line.quantity for line in lines):
        raise Invalid("serials: a unit is of an item that is not sold here", pointer="/serials")


def under_warranty(deliveries: Sequence[HardwareDelivery], on: date) -> bool:
    """Whether all of these units are under warranty on a day."""
    return bool(deliveries) and all(one.warranty_until is not None and on <= one.warranty_until for one in deliveries)
