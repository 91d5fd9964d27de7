"""What happens, as the engine sees it, and what it must know besides. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import msgspec

from incentives.rules.parts import Role
from marketplace.core.rates import PPM

T = TypeVar("T")


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """The merchant or the buyer of an event, as it was then; None: not known. days, idle_days: since it joined, since
    its last order."""

    party_id: int
    region: str | None = None
    segments: frozenset[str] = frozenset()
    level: int | None = None
    orders: int | None = None
    days: int | None = None
    idle_days: int | None = None
    referred: bool | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """amount_minor: of the whole quantity, before any incentive; after a refund, of what is left."""

    line_no: int
    amount_minor: int
    quantity: int = 1
    product_id: int | None = None
    category: str | None = None
    brand: str | None = None


class once(Generic[T]):  # noqa: N801  # a decorator
    """A property that is worked out when it is first asked for. That of functools holds a lock before Python 3.12."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out, self._name = work_out, work_out.__name__

    def __get__(self, of: Any, _owner: type) -> T:
        value = of.__dict__[self._name] = self._work_out(of)
        return value


class Event(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """event_id: of its source, such as the order: placed and settled, an order is one event. on: `order.placed`,
    `order.settled`, `listing.published`, or a custom event's name. A listing is an event with one line.

    self_trade: merchant and buyer are the same, as somebody else decided.
    """

    event_id: str
    on: str
    currency: str
    merchant: Party
    lines: tuple[Line, ...]
    buyer: Party | None = None
    entity_id: int | None = None
    channel: str | None = None
    codes: frozenset[str] = frozenset()
    self_trade: bool = False

    @once
    def amount_minor(self) -> int:
        return sum([line.amount_minor for line in self.lines])

    @once
    def quantity(self) -> int:
        return sum([line.quantity for line in self.lines])

    def party(self, role: Role) -> Party | None:
        return self.merchant if role == "merchant" else self.buyer


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What a beneficiary has got of a promotion in all other windows: in how many, and how much."""

    grants: int = 0
    minor: int = 0


NOTHING_USED = Used()


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What the tightest budget of a promotion still gives, and what becomes of an award that does not fit."""

    minor: int
    on_shortfall: Literal["reject", "partial", "queue"] = "reject"


class Holdout(msgspec.Struct, frozen=True, kw_only=True):
    """Merchants that no promotion for orders reaches, so that all together can be measured: 500 slots are 5 %.

    since: they are held out of windows that begin from then on, None: of all.
    """

    salt: str
    slots: int = 500
    since: datetime | None = None


Who = tuple[int, Role, int]
"""A promotion and one of its beneficiaries: promotion id, role, the party's id."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluation must know beside the event. What is not named has not joined, has used nothing, has no limit.

    clamp_ppm: the largest share of an order that the incentives decided on it may come to in all.
    """

    joined_at: Mapping[Who, datetime] = {}
    used: Mapping[Who, Used] = {}
    room: Mapping[int, Room] = {}
    holdout: Holdout | None = None
    clamp_ppm: int = PPM


def measured(of: str, lines: Sequence[Line]) -> int:
    """What qualifying lines add to a measure (`incentives.rules.model.Measure`); those of refunds, of what is left.

    An event of which nothing is left is no order, and its buyer no buyer.
    """
    if of == "amount":
        return sum([line.amount_minor for line in lines])
    quantity = sum([line.quantity for line in lines])
    return quantity if of == "quantity" else int(quantity > 0)
