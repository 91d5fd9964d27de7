"""What is wrong with a promotion's terms, field by field, before anybody approves them. Pure.

Types and bounds of single fields are refused when the terms are decoded; here is what they say together.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import msgspec

from incentives.rules.awards import (
    Band,
    Clawback,
    Discount,
    FeeReduction,
    Graduated,
    Ladder,
    Limits,
    Reward,
    ToBoth,
    ToBuyer,
    ToMerchant,
    Volume,
)
from incentives.rules.model import (
    CustomEvent,
    FunderBudget,
    ListingPublished,
    OrderPlaced,
    OrderSettled,
    PerEvent,
    RegionBudget,
    Schedule,
    Terms,
    funder_name,
)
from incentives.rules.parts import SLOTS, Role
from incentives.rules.predicates import (
    DEPTH_MAX,
    EVENT_ATTRIBUTES,
    LINE_ATTRIBUTES,
    NODES_MAX,
    AllOf,
    AnyOf,
    Attribute,
    Equals,
    In,
    Not,
    Predicate,
    Range,
)
from incentives.rules.qualifying import accepted_by
from incentives.rules.windows import schedule_span, zone_named
from marketplace.core.errors import Invalid
from marketplace.core.money import MINOR_DIGITS

Problem = tuple[str, str]
"""The JSON Pointer of a field, and what is wrong with it."""

RESERVED = ("order.placed", "order.settled", "listing.published")
YEARS = range(2000, 2201)


def check_terms(terms: Terms, lanes: Collection[str] | None = None) -> None:
    """Raise Invalid, naming the first field at fault, when the terms contradict themselves."""
    for pointer, reason in problems(terms, lanes):
        raise Invalid(f"{pointer[1:]}: {reason}", pointer=pointer)


def refuse(found: Sequence[Problem]) -> None:
    """Raise Invalid with all that was found, if anything was."""
    if found:
        pointer, reason = found[0]
        errors = [{"pointer": where, "detail": why} for where, why in found]
        raise Invalid(f"{pointer[1:].replace('/', '.')}: {reason}", errors=errors)


def problems(terms: Terms, lanes: Collection[str] | None = None) -> list[Problem]:
    """Everything that is wrong with the terms; none when a version of them may be approved and compiled.

    lanes: the names of the platform's lanes, where they are to be checked.
    """
    found = [*_of_terms(terms, lanes), *_of_schedule(terms.schedule), *_of_funding(terms), *_of_experiment(terms)]
    for name, predicate, attributes in (
        ("event", terms.qualify.event, EVENT_ATTRIBUTES),
        ("lines", terms.qualify.lines, LINE_ATTRIBUTES),
    ):
        if predicate is not None:
            found += _of_tree(predicate, attributes, f"/qualify/{name}")
    for pointer, role, reward in rewards_of(terms):
        found += _of_reward(terms, role, reward, pointer)
    found += _of_limits(terms, terms.limits, "/limits")
    if isinstance(terms.beneficiary, ToBoth):
        found += _of_limits(terms, terms.beneficiary.buyer_limits, "/beneficiary/buyer_limits")
    return found


def rewards_of(terms: Terms) -> Iterator[tuple[str, Role, Reward]]:
    """Each reward that the terms hold, with its pointer and who gets it."""
    own: Role = "buyer" if isinstance(terms.beneficiary, ToBuyer) else "merchant"
    yield "/reward", own, terms.reward
    if isinstance(terms.beneficiary, ToBoth):
        yield "/beneficiary/buyer_reward", "buyer", terms.beneficiary.buyer_reward
    for number, arm in enumerate(terms.experiment.arms if terms.experiment else ()):
        if arm.reward is not None:
            yield f"/experiment/arms/{number}/reward", own, arm.reward


def _of_terms(terms: Terms, lanes: Collection[str] | None) -> Iterator[Problem]:
    if not terms.name.strip():
        yield "/name", "is blank"
    if terms.currency not in MINOR_DIGITS:
        yield "/currency", f"{terms.currency!r} is not a currency this platform accepts"
    if isinstance(terms.trigger, CustomEvent) and terms.trigger.name in RESERVED:
        yield "/trigger/name", f"{terms.trigger.name!r} is a trigger of its own"
    if isinstance(terms.trigger, ListingPublished) and not isinstance(terms.beneficiary, ToMerchant):
        yield "/beneficiary", "a listing has no buyer"
    if terms.measure.of == "distinct_buyers":
        if not isinstance(terms.beneficiary, ToMerchant):
            yield "/measure/of", "distinct buyers can be counted for a merchant only"
        elif isinstance(terms.trigger, ListingPublished):
            yield "/measure/of", "a listing has no buyer"
    if lanes is not None and terms.stacking.lane not in lanes:
        yield "/stacking/lane", f"{terms.stacking.lane!r} is none of the lanes {', '.join(lanes)}"
    if terms.stacking.base != "original" and not isinstance(terms.window, PerEvent):
        yield "/stacking/base", "what earlier lanes left is known per event only: the window must be one event"


def _of_schedule(schedule: Schedule) -> Iterator[Problem]:
    sound = True
    try:
        zone_named(schedule.zone)
    except ValueError as fault:
        sound = False
        yield "/schedule/zone", str(fault)
    for field, text in (("starts", schedule.starts), ("ends", schedule.ends)):
        try:
            if text is not None and datetime.fromisoformat(text).year not in YEARS:
                raise ValueError
        except ValueError:
            sound = False
            yield f"/schedule/{field}", f"{text!r} is no date, or none from {YEARS[0]} to {YEARS[-1]}"
    if sound and (span := schedule_span(schedule)).ends is not None and span.ends <= span.starts:
        yield "/schedule/ends", f"{schedule.ends} is not after the start {schedule.starts}"
    for number, hours in enumerate(schedule.only):
        if hours.to_time <= hours.from_time:
            yield f"/schedule/only/{number}/to_time", f"{hours.to_time} is not after {hours.from_time}; name two spans"


def _of_funding(terms: Terms) -> Iterator[Problem]:
    names = [funder_name(funder) for funder in terms.funding]
    if not any(funder.weight for funder in terms.funding):
        yield "/funding", "every weight is zero: nobody bears it"
    if twice := _twice(names):
        yield "/funding", f"{twice!r} is named twice"
    seen = set()
    for number, budget in enumerate(terms.budgets):
        where = f"/budgets/{number}"
        if budget.currency != terms.currency:
            yield f"{where}/currency", f"the budget is in {budget.currency}, the promotion in {terms.currency}"
        of = ""
        if isinstance(budget, RegionBudget):
            of = budget.region
        elif isinstance(budget, FunderBudget):
            of = budget.funder
            if of not in names:
                yield f"{where}/funder", f"{of!r} is none of the funders {', '.join(names)}"
        if (type(budget), of) in seen:
            yield where, "there is such a budget already"
        seen.add((type(budget), of))


def _of_experiment(terms: Terms) -> Iterator[Problem]:
    experiment = terms.experiment
    if experiment is None:
        return
    if not any(arm.weight for arm in experiment.arms):
        yield "/experiment/arms", "every weight is zero: no arm is drawn"
    if twice := _twice([arm.name for arm in experiment.arms]):
        yield "/experiment/arms", f"{twice!r} is named twice"
    if experiment.holdout_slots == SLOTS:
        yield "/experiment/holdout_slots", "everybody would be held out"
    if experiment.unit == "buyer" and isinstance(terms.trigger, ListingPublished):
        yield "/experiment/unit", "a listing has no buyer"


def _of_limits(terms: Terms, limits: Limits, pointer: str) -> Iterator[Problem]:
    per_event = isinstance(terms.window, PerEvent)
    for field in ("per_event_minor", "order_share_ppm"):
        if getattr(limits, field) is not None and not per_event:
            yield f"{pointer}/{field}", "needs a window of one event: in a longer one no event earns anything by itself"
    if limits.order_share_ppm is not None and not isinstance(terms.trigger, OrderPlaced | OrderSettled):
        yield f"{pointer}/order_share_ppm", "the trigger is no order"


def _of_reward(terms: Terms, role: Role, reward: Reward, pointer: str) -> Iterator[Problem]:
    amount = reward.amount
    if isinstance(amount, Ladder):
        steps = [(tier.threshold, tier.total_minor) for tier in amount.tiers]
        yield from _rising(steps, f"{pointer}/amount/tiers", "threshold", "total_minor", falls="a ladder may not fall")
    elif isinstance(amount, Graduated | Volume):
        if terms.measure.of != "amount":
            yield f"{pointer}/amount", f"a percentage needs an amount, the measure counts {terms.measure.of}"
        yield from _of_bands(amount.bands, f"{pointer}/amount/bands", volume=isinstance(amount, Volume))
    yield from _of_form(terms, role, reward, f"{pointer}/form")
    yield from _of_clawback(reward.clawback, f"{pointer}/clawback", volume=isinstance(amount, Volume))


def _of_bands(bands: Sequence[Band], pointer: str, *, volume: bool) -> Iterator[Problem]:
    steps = [(band.from_minor, band.rate_ppm) for band in bands]
    falls = "with falling rates a higher amount would earn less than a lower one" if volume else None
    yield from _rising(steps, pointer, "from_minor", "rate_ppm", falls=falls)


def _rising(
    steps: Sequence[tuple[int, int]], pointer: str, first: str, second: str, *, falls: str | None
) -> Iterator[Problem]:
    for number, (lower, upper) in enumerate(pairwise(steps), start=1):
        if upper[0] <= lower[0]:
            yield f"{pointer}/{number}/{first}", f"{upper[0]} is not above the {lower[0]} before it"
        if falls is not None and upper[1] < lower[1]:
            yield f"{pointer}/{number}/{second}", f"{upper[1]} is below the {lower[1]} before it: {falls}"


def _of_form(terms: Terms, role: Role, reward: Reward, pointer: str) -> Iterator[Problem]:
    match reward.form:
        case FeeReduction() if role != "merchant":
            yield pointer, "only merchants pay fees that can be reduced"
        case Discount() if role != "buyer":
            yield pointer, "only a buyer gets a discount at checkout"
        case Discount() if not isinstance(terms.trigger, OrderPlaced) or not isinstance(terms.window, PerEvent):
            yield pointer, "a discount at checkout needs the trigger order.placed and a window of one event"
        case Discount() if any(budget.on_shortfall == "queue" for budget in terms.budgets):
            yield pointer, "a discount at checkout cannot wait for a budget: its budgets may not queue"
        case Discount() if reward.vest_seconds:
            yield pointer.replace("/form", "/vest_seconds"), "a discount at checkout is given at once"


def _of_clawback(clawback: Clawback, pointer: str, *, volume: bool) -> Iterator[Problem]:
    if clawback.policy == "keep_tier" and not volume:
        yield f"{pointer}/policy", "only a volume percentage has a tier whose rate can be kept"


def _of_tree(predicate: Predicate, attributes: Mapping[str, Attribute], pointer: str) -> Iterator[Problem]:
    nodes = list(nodes_of(predicate, pointer, 1))
    if len(nodes) > NODES_MAX:
        yield pointer, f"it has {len(nodes)} nodes, more than {NODES_MAX}"
    if max(depth for _, _, depth in nodes) > DEPTH_MAX:
        yield pointer, f"it is nested deeper than {DEPTH_MAX}"
    for node, where, _ in nodes:
        if isinstance(node, AllOf | AnyOf | Not):
            continue
        attribute = attributes.get(node.attribute)
        if attribute is None:
            known = node.attribute in EVENT_ATTRIBUTES or node.attribute in LINE_ATTRIBUTES
            reason = "cannot be asked here" if known else "is no attribute"
            yield f"{where}/attribute", f"{node.attribute!r} {reason}; there are {', '.join(attributes)}"
        elif isinstance(node, Range):
            yield from _of_range(node, attribute, where)
        elif isinstance(node, Equals | In):
            wanted = _TYPES[attribute.kind]
            wrong = next((value for value in accepted_by(node) if type(value) is not wanted), None)
            if wrong is not None:
                field = "value" if isinstance(node, Equals) else "values"
                yield f"{where}/{field}", f"{wrong!r} is no {_CALLED[wanted]}, which {node.attribute} is"


_TYPES: dict[str, type] = {"amount": int, "number": int, "text": str, "texts": str, "flag": bool}
_CALLED = {int: "whole number", str: "text", bool: "truth value"}


def _of_range(node: Range, attribute: Attribute, pointer: str) -> Iterator[Problem]:
    if attribute.kind not in ("amount", "number"):
        yield f"{pointer}/attribute", f"{node.attribute} is no number that could lie in a range"
    if node.at_least is None and node.below is None:
        yield pointer, "give at_least, below, or both"
    elif node.at_least is not None and node.below is not None and node.below <= node.at_least:
        yield f"{pointer}/below", f"{node.below} is not above at_least {node.at_least}"


def nodes_of(predicate: Predicate, pointer: str, depth: int) -> Iterator[tuple[Predicate, str, int]]:
    yield predicate, pointer, depth
    if depth > DEPTH_MAX:
        return
    match predicate:
        case AllOf(of=of) | AnyOf(of=of):
            for number, each in enumerate(of):
                yield from nodes_of(each, f"{pointer}/of/{number}", depth + 1)
        case Not(of=each):
            yield from nodes_of(each, f"{pointer}/of", depth + 1)


def _twice(names: Sequence[str]) -> str | None:
    return next((name for number, name in enumerate(names) if name in names[:number]), None)


def read_terms(document: bytes) -> Terms:
    """Terms from JSON, decoded strictly. Raises Invalid, saying what is wrong and where."""
    try:
        return msgspec.json.decode(document, type=Terms, strict=True)
    except msgspec.DecodeError as fault:  # of which a ValidationError is one
        raise Invalid(f"not the terms of a promotion: {fault}") from fault
    except RecursionError as fault:
        raise Invalid("not the terms of a promotion: it is nested too deeply") from fault
