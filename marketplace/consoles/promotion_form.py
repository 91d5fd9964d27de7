"""The promotion form: what was typed, read into the twelve parts of a promotion's terms, every fault at once. Pure.

Amounts are typed as money of the campaign's currency, rates in percent, delays in days; lists of steps one to a line,
`threshold = what it earns`. What is empty takes the default of its part.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from incentives.campaigns.model import Campaign
from incentives.rules.check import Problem, problems
from incentives.rules.model import Terms
from incentives.rules.parts import DAY, SLOTS
from marketplace.consoles.deeds import number
from marketplace.consoles.reader import Reader, ppm, whole
from marketplace.core.rates import PPM

SHAPES = ("percent", "once", "ladder", "every", "fixed", "graduated", "volume")
"""What a promotion gives; `percent` is a graduated percentage of one band."""
PRESETS: dict[str, dict[str, str]] = {
    "percent": {"rate": "3", "cap": "50", "window": "month"},
    "once": {"threshold": "100", "award": "20", "window": "week"},
    "ladder": {"steps": "100 = 5\n300 = 20\n1000 = 80", "window": "week"},
    "every": {"threshold": "100", "award": "5", "window": "month"},
    "fixed": {"award": "10", "window": "event"},
    "graduated": {"steps": "0 = 2\n1000 = 4", "window": "month"},
    "volume": {"steps": "0 = 1\n1000 = 3", "window": "month"},
}
"""What the form begins with, by shape."""
DEFAULTS = {
    "trigger": "order.settled", "measure": "amount", "opt_in": "not_needed", "week_starts": "1", "form": "credit",
    "beneficiary": "merchant", "fund_platform": "1", "shortfall": "reject", "lane": "standard", "base": "original",
    "unit": "merchant", "holdout": "10", "vest_days": "7", "horizon_days": "60", "on_pause": "honour",
    "shown_as": "highest_tier", "window_unit": "day", "buyer_opt_in": "not_needed",
}  # fmt: skip
TEMPLATES: dict[str, dict[str, str]] = {
    "first_order": {"gives": "percent", "rate": "10", "cap": "20", "window": "event", "beneficiary": "buyer",
                    "first_order": "1"},
    "next_order": {"gives": "once", "threshold": "100", "award": "10", "window": "event", "form": "next_order_voucher",
                   "voucher_days": "30"},
    "weekly_threshold": {"gives": "once", "threshold": "100", "award": "20", "window": "week"},
    "milestones": {"gives": "ladder", "steps": "100 = 5\n300 = 20\n1000 = 80", "window": "month",
                   "shown_as": "each_adds"},
    "win_back": {"gives": "once", "threshold": "100", "award": "10", "window": "event", "trigger": "order.placed",
                 "form": "discount", "beneficiary": "buyer", "vest_days": "0",
                 "event_json": '{"is":"range","attribute":"buyer.idle_days","at_least":60}'},
    "new_listing": {"gives": "fixed", "award": "5", "window": "event", "trigger": "listing.published",
                    "measure": "orders", "grants": "20", "vest_days": "14"},
    "category_push": {"gives": "percent", "rate": "5", "cap": "50", "window": "month"},
    "spend_and_save": {"gives": "once", "threshold": "100", "award": "10", "window": "event",
                       "trigger": "order.placed", "form": "discount", "beneficiary": "buyer", "vest_days": "0"},
    "co_funded": {"gives": "percent", "rate": "4", "cap": "80", "window": "month"},
    "joined_buyers": {"gives": "once", "threshold": "200", "award": "10", "window": "month", "beneficiary": "buyer",
                      "buyer_opt_in": "from_opt_in"},
    "referral": {"gives": "fixed", "award": "50", "window": "event", "trigger": "custom", "measure": "orders",
                 "trigger_name": "referral.referrer"},
}  # fmt: skip
"""Rules that people of operations know by name, as the form begins with them."""
_CALENDAR = ("day", "week", "month")


class Filled(msgspec.Struct, frozen=True):
    """The terms that were typed; None where something is wrong with them, which is then said by field."""

    terms: Terms | None
    faults: Mapping[str, str]


def fill(typed: Mapping[str, str], campaign: Campaign) -> Filled:
    """The terms that a form says, under a campaign, which gives them its currency and zone."""
    read = Reader(typed, campaign.currency)
    read.need("name")
    read.need("starts")
    shape = typed.get("gives", "")
    plain = {
        "name": read.words("name") or "?",
        "currency": campaign.currency,
        "trigger": _trigger(read),
        "qualify": {"event": _event(read), "lines": _lines(read), "opt_in": typed.get("opt_in") or "not_needed"},
        "measure": {"of": typed.get("measure") or "amount"},
        "window": _window(read),
        "reward": _reward(read, shape if shape in SHAPES else SHAPES[0]),
        "beneficiary": _beneficiary(read),
        "funding": _funding(read),
        "budgets": _budgets(read),
        "limits": _given(
            per_event_minor=read.money("per_event"),
            order_share_ppm=read.percent("order_share"),
            lifetime_minor=read.money("lifetime"),
            grants=read.integer("grants", most=1_000_000),
        ),
        "stacking": _stacking(read),
        "schedule": {
            "zone": read.words("zone", campaign.schedule.zone),
            "starts": typed.get("starts", "").strip() or campaign.schedule.starts,
            "ends": typed.get("ends", "").strip() or None,
            "only": _hours(read),
        },
        "experiment": _experiment(read),
    }
    if read.faults:
        return Filled(None, {**_more(plain, read), **read.faults})
    try:
        terms = msgspec.convert(plain, Terms)
    except msgspec.ValidationError as fault:
        detail, _, where = str(fault).partition(" - at `$")
        return Filled(None, {field_of(where.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")): detail})
    faults = by_field(problems(terms))
    return Filled(None if faults else terms, faults)


def _more(plain: dict[str, Any], read: Reader) -> Mapping[str, str]:
    """What the parts say together, as far as they can be read while single fields are at fault."""
    try:
        return {name: why for name, why in by_field(problems(msgspec.convert(plain, Terms))).items() if name != "name"}
    except msgspec.ValidationError:
        return {}


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _trigger(read: Reader) -> dict[str, Any]:
    on = read.typed.get("trigger") or "order.settled"
    if on != "custom":
        return {"on": on}
    read.need("trigger_name")
    return {"on": on, "name": read.words("trigger_name") or "?"}


def _event(read: Reader) -> Any:
    def one_of(field: str, attribute: str) -> list[Any]:
        values = read.several(field)
        return [{"is": "in", "attribute": attribute, "values": values}] if values else []

    def least(field: str, attribute: str, value: int | None, bound: str = "at_least") -> list[Any]:
        return [] if value is None else [{"is": "range", "attribute": attribute, bound: value}]

    none: list[int] = []
    merchants = read.get("merchants", lambda: [whole(each) for each in read.several("merchants")], none)
    nodes = [
        *one_of("regions", "merchant.region"),
        *one_of("segments", "merchant.segment"),
        *([{"is": "in", "attribute": "merchant.id", "values": merchants}] if merchants else []),
        *least("min_order", "order.amount", read.money("min_order")),
        *least("new_days", "merchant.days", read.integer("new_days"), "below"),
        *least("idle_days", "merchant.idle_days", read.integer("idle_days")),
        *one_of("buyer_regions", "buyer.region"),
    ]
    if read.typed.get("first_order"):
        nodes.append({"is": "equals", "attribute": "buyer.orders", "value": 0})
    return _all_of([*nodes, *_extra(read.json("event_json"))])


def _lines(read: Reader) -> Any:
    nodes = [
        {"is": "in", "attribute": attribute, "values": values}
        for field, attribute in (("categories", "line.category"), ("brands", "line.brand"))
        if (values := read.several(field))
    ]
    return _all_of([*nodes, *_extra(read.json("lines_json"))])


def _extra(node: Any) -> list[Any]:
    return [] if node is None else [node]


def _all_of(nodes: Sequence[Any]) -> Any:
    if len(nodes) < 2:
        return nodes[0] if nodes else None
    return {"is": "all", "of": list(nodes)}


def _window(read: Reader) -> dict[str, Any]:
    over = read.typed.get("window") or "event"
    if over in _CALENDAR:
        return {"over": "calendar", "period": over, "week_starts": read.integer("week_starts", most=7) or 1}
    if over == "recurring":
        read.need("window_every")
        unit = read.typed.get("window_unit") or "day"
        return {"over": over, "every": read.integer("window_every", most=366) or 1, "unit": unit}
    if over == "opt_in":
        read.need("window_every")
        return {"over": over, "days": read.integer("window_every", most=3_660) or 1}
    return {"over": over}


def _reward(read: Reader, shape: str) -> dict[str, Any]:
    form = read.typed.get("form") or "credit"
    voucher: dict[str, Any] = {}
    if form == "next_order_voucher":
        read.need("voucher_days")
        voucher = {"valid_days": read.integer("voucher_days", most=3_660) or 1}
        voucher["minimum_minor"] = read.money("voucher_minimum", 0) or 0
    return {
        "amount": _amount(read, shape),
        "form": {"as": form, **voucher},
        "vest_seconds": (read.integer("vest_days", least=0, most=366) or 0) * DAY,
        "clawback": {
            "policy": read.typed.get("clawback") or None,
            "ignore_below_minor": read.money("ignore_below", 0) or 0,
            "horizon_seconds": DAY * _or(read.integer("horizon_days", least=0, most=3_660), 60),
        },
        **_given(cap_minor=read.money("cap")),
    }


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _amount(read: Reader, shape: str) -> dict[str, Any]:
    measure = read.typed.get("measure") or "amount"
    left = read.money_of if measure == "amount" else whole
    for name in {"percent": ("rate",), "once": ("threshold", "award"), "every": ("threshold", "award"),
                 "fixed": ("award",)}.get(shape, ("steps",)):  # fmt: skip
        read.need(name)
    match shape:
        case "percent":
            return {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": read.percent("rate") or 0}]}
        case "graduated" | "volume":
            steps = read.pairs("steps", read.money_of, ppm)
            return {"gives": shape, "bands": [{"from_minor": low, "rate_ppm": rate} for low, rate in steps or [(0, 0)]]}
        case "ladder":
            steps = read.pairs("steps", left, read.money_of)
            tiers = [{"threshold": low, "total_minor": total} for low, total in steps or [(1, 0)]]
            return {"gives": shape, "tiers": tiers, "shown_as": read.typed.get("shown_as") or "highest_tier"}
        case "fixed":
            return {"gives": shape, "amount_minor": read.money("award") or 1}
    threshold, award = read.threshold("threshold", measure) or 1, read.money("award") or 1
    if shape == "once":
        return {"gives": shape, "threshold": threshold, "amount_minor": award}
    times = _given(times_max=read.integer("times", most=1_000_000))
    return {"gives": shape, "every": threshold, "amount_minor": award, **times}


def _beneficiary(read: Reader) -> dict[str, Any]:
    to = read.typed.get("beneficiary") or "merchant"
    if to == "buyer":
        return {"to": to, "opt_in": read.typed.get("buyer_opt_in") or "not_needed"}
    if to != "both":
        return {"to": to}
    read.need("buyer_award")
    reward = {"amount": {"gives": "fixed", "amount_minor": read.money("buyer_award") or 1}}
    return {"to": to, "buyer_reward": {**reward, **_given(cap_minor=read.money("buyer_cap"))}}


def _funding(read: Reader) -> list[dict[str, Any]]:
    found = [
        {"by": by, "weight": weight}
        for by in ("platform", "merchant")
        if (weight := read.integer(f"fund_{by}", least=0, most=1_000_000))
    ]
    payers = read.pairs("fund_payers", str, whole)
    found += [{"by": "payer", "contract": contract, "weight": weight} for contract, weight in payers]
    if not found:
        read.faults.setdefault("fund_platform", "somebody must bear it: give one of them a share")
    return found or [{"by": "platform"}]


def _budgets(read: Reader) -> list[dict[str, Any]]:
    shared: dict[str, Any] = {"currency": read.currency, "on_shortfall": read.typed.get("shortfall") or "reject"}
    shared["advisory"] = bool(read.typed.get("advisory"))
    found = [
        {"per": per, "limit_minor": minor, **shared}
        for per, name in (("promotion", "budget"), ("day", "budget_day"))
        if (minor := read.money(name)) is not None
    ]
    for per in ("region", "funder"):
        limits = read.pairs(f"budget_{per}", str, read.money_of)
        found += [{"per": per, per: name, "limit_minor": minor, **shared} for name, minor in limits]
    return found


def _stacking(read: Reader) -> dict[str, Any]:
    def signed() -> int:
        typed = read.typed["priority"].strip()
        return -number({"priority": typed[1:]}, "priority") if typed.startswith("-") else number(read.typed, "priority")

    return {
        "lane": read.words("lane", "standard"),
        "priority": read.get("priority", signed, 0),
        "tags": read.several("tags"),
        "allows": read.several("allows"),
        "base": read.typed.get("base") or "original",
    }


def _hours(read: Reader) -> list[dict[str, Any]]:
    """Lines such as `1 2 3 4 5 = 09:00-18:00`."""

    def days(typed: str) -> list[int]:
        return [whole(each) for each in typed.split()]

    def times(typed: str) -> tuple[str, str]:
        first, _, last = typed.partition("-")
        return first.strip(), last.strip()

    found = read.pairs("hours", days, times)
    return [{"weekdays": on, "from_time": first, "to_time": last} for on, (first, last) in found]


def _experiment(read: Reader) -> dict[str, Any] | None:
    out = read.percent("holdout")
    arms = read.pairs("arms", str, whole)
    if not out and not arms:
        return None
    salt = read.words("salt") or read.words("name") or "?"
    named = [{"name": name, "weight": weight} for name, weight in arms]
    slots = (out or 0) * SLOTS // PPM
    return {"salt": salt, "unit": read.typed.get("unit") or "merchant", "holdout_slots": slots} | (
        {"arms": named} if named else {}
    )


_FIELDS = {
    "/name": "name", "/trigger": "trigger", "/trigger/name": "trigger_name", "/qualify/event": "event_json",
    "/qualify/lines": "lines_json", "/qualify/opt_in": "opt_in", "/measure": "measure", "/window": "window",
    "/window/every": "window_every", "/window/days": "window_every", "/reward": "award", "/reward/amount": "award",
    "/reward/amount/tiers": "steps", "/reward/amount/bands": "steps", "/reward/form": "form",
    "/reward/vest_seconds": "vest_days", "/reward/clawback": "clawback", "/reward/cap_minor": "cap",
    "/beneficiary": "beneficiary", "/beneficiary/opt_in": "buyer_opt_in",
    "/beneficiary/buyer_reward": "buyer_award", "/funding": "fund_platform",
    "/budgets": "budget", "/limits/per_event_minor": "per_event", "/limits/order_share_ppm": "order_share",
    "/limits": "lifetime", "/stacking": "lane", "/stacking/base": "base", "/stacking/priority": "priority",
    "/schedule": "starts", "/schedule/zone": "zone", "/schedule/ends": "ends", "/schedule/only": "hours",
    "/experiment": "arms", "/experiment/holdout_slots": "holdout", "/experiment/unit": "unit",
    "/experiment/salt": "salt", "/effective_from": "effective_from",
}  # fmt: skip
"""Which field says a part of the terms, by its pointer."""


def field_of(pointer: str) -> str:
    """The field that a pointer into the terms is about."""
    at = pointer.removeprefix("/terms")
    while at and at not in _FIELDS:
        at = at.rpartition("/")[0]
    return _FIELDS.get(at, "name")


def by_field(found: Sequence[Problem]) -> dict[str, str]:
    """The first reason for each field."""
    faults: dict[str, str] = {}
    for pointer, reason in found:
        faults.setdefault(field_of(pointer), reason)
    return faults
