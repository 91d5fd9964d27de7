"""Live promotions, compiled and put where an event finds those that may match it: cost grows with matches. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from incentives.rules.awards import Discount, Limits, Side, ToBuyer, sides
from incentives.rules.events import Event
from incentives.rules.model import CustomEvent, PerEvent, SinceOptIn, Stacking, Terms, Trigger
from incentives.rules.parts import OptIn, Role
from incentives.rules.predicates import EVENT_ATTRIBUTES, LINE_ATTRIBUTES, Attribute, Predicate, Value
from incentives.rules.qualifying import Test, compiled, reader, required
from incentives.rules.reward import Earned, earned_by
from incentives.rules.stacking import LANES, Lane
from incentives.rules.target import Goal
from incentives.rules.windows import Timeline

LOOKED_UP = (
    "order.code",
    "buyer.id",
    "merchant.id",
    "line.product",
    "line.brand",
    "line.category",
    "merchant.segment",
    "buyer.segment",
    "merchant.region",
    "buyer.region",
    "market.entity",
)
"""The attributes by which promotions are found, those first that leave the fewest; each is filed under one of them."""


class PlanSide(msgspec.Struct, frozen=True, kw_only=True):
    """What one beneficiary gets, compiled."""

    side: Side
    earned: Earned
    goal: Goal
    is_discount: bool
    is_limited: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a promotion, compiled. sides: by the name of the arm; "" without an experiment. joins: who must have
    joined."""

    promotion_id: int
    version: int
    terms: Terms
    on: str
    event_test: Test | None
    lines_test: Test | None
    timeline: Timeline
    per_event: bool
    joins: dict[Role, OptIn]
    roles: tuple[Role, ...]
    sides: dict[str, tuple[PlanSide, ...]]
    weights: tuple[int, ...]

    @property
    def stacking(self) -> Stacking:
        return self.terms.stacking


def plan_of(promotion_id: int, version: int, terms: Terms) -> Plan:
    """Compile a version. Its terms must have no `incentives.rules.check.problems`."""
    qualify = terms.qualify
    rewards = {"": terms.reward}
    if terms.experiment is not None:
        rewards = {arm.name: arm.reward or terms.reward for arm in terms.experiment.arms}
    return Plan(
        promotion_id=promotion_id,
        version=version,
        terms=terms,
        on=event_name(terms.trigger),
        event_test=_compiled(qualify.event, EVENT_ATTRIBUTES),
        lines_test=_compiled(qualify.lines, LINE_ATTRIBUTES),
        timeline=Timeline(terms.schedule, terms.window),
        per_event=isinstance(terms.window, PerEvent),
        joins=_joins(terms),
        roles=tuple(side.role for side in sides(terms.beneficiary, terms.reward, terms.limits)),
        sides={
            name: tuple(_side(side) for side in sides(terms.beneficiary, reward, terms.limits))
            for name, reward in rewards.items()
        },
        weights=tuple(funder.weight for funder in terms.funding),
    )


def _joins(terms: Terms) -> dict[Role, OptIn]:
    """Who must have joined: the merchant, the buyer where it alone gets something, whoever's days the window counts."""
    to = terms.beneficiary
    wanted: dict[Role, OptIn] = {"merchant": terms.qualify.opt_in}
    owner: Role = "merchant"
    if isinstance(to, ToBuyer):
        wanted["buyer"], owner = to.opt_in, "buyer"
    if isinstance(terms.window, SinceOptIn) and wanted[owner] == "not_needed":
        wanted[owner] = "from_opt_in"
    return {role: mode for role, mode in wanted.items() if mode != "not_needed"}


def _compiled(predicate: Predicate | None, attributes: Mapping[str, Attribute]) -> Test | None:
    return None if predicate is None else compiled(predicate, attributes)


def _side(side: Side) -> PlanSide:
    return PlanSide(
        side=side,
        earned=earned_by(side.reward.amount),
        goal=Goal(side.reward, side.limits, side.role),
        is_discount=isinstance(side.reward.form, Discount),
        is_limited=side.limits != Limits(),
    )


def event_name(trigger: Trigger) -> str:
    """The name of the events that a trigger waits for, as `Event.on` carries it."""
    match trigger:
        case CustomEvent(name=name):
            return name
        case _:
            return str(trigger.__struct_config__.tag)


class _Shelf:
    """The promotions of one trigger and currency, filed by one value each, or under none."""

    def __init__(self) -> None:
        self.anything: dict[int, Plan] = {}
        self.by: dict[str, dict[Value, list[Plan]]] = {}

    def add(self, plan: Plan) -> None:
        qualify = plan.terms.qualify
        needs = required(qualify.event) | required(qualify.lines)
        name = next((name for name in LOOKED_UP if name in needs), None)
        if name is None:
            self.anything[plan.promotion_id] = plan
        else:
            for value in needs[name]:
                self.by.setdefault(name, {}).setdefault(value, []).append(plan)

    def matching(self, event: Event) -> dict[int, Plan]:
        found = self.anything.copy()
        for name, by_value in self.by.items():
            for value in _values(name, event):
                for plan in by_value.get(value, ()):
                    found[plan.promotion_id] = plan
        return found


_READERS = {name: reader(attribute) for name, attribute in (EVENT_ATTRIBUTES | LINE_ATTRIBUTES).items()}


def _values(name: str, event: Event) -> Iterable[Value]:
    """What an event carries of an attribute; several values of its lines, and of attributes that are sets."""
    read = _READERS[name]
    if name in LINE_ATTRIBUTES:
        return {value for line in event.lines if (value := read(line)) is not None}
    value = read(event)
    if value is None:
        return ()
    return value if isinstance(value, frozenset) else (value,)


class Index:
    """Live promotions, ready to be asked. Built anew when one of them changes: it is cheap, and never altered."""

    def __init__(self, plans: Iterable[Plan], lanes: Sequence[Lane] = LANES) -> None:
        self.lanes = tuple(lanes)
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        for plan in plans:
            self._shelves.setdefault((plan.on, plan.terms.currency), _Shelf()).add(plan)

    def matching(self, event: Event) -> dict[int, Plan]:
        """The promotions that the event may match, by id; some more than do, none fewer."""
        shelf = self._shelves.get((event.on, event.currency))
        return {} if shelf is None else shelf.matching(event)
