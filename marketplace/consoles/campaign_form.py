"""The form of a campaign, read into its plan with every fault at once; and a plan as the form shows it. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from incentives.campaigns.model import Campaign, OnDay, Plan, SpentShare
from incentives.rules.model import Schedule
from marketplace.consoles.deeds import day
from marketplace.consoles.reader import Reader
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency, text_from_minor
from marketplace.core.rates import PPM

METRICS = ("gmv", "orders", "active_merchants", "new_listings", "buyers", "retention_ppm")
_FIELDS = {
    "target": "target_value", "budget_minor": "budget", "funders": "funders", "stops": "stop_share",
    "reviewer": "reviewer", "gains": "gains", "loses": "loses", "ends": "ends", "starts": "starts", "zone": "zone",
}  # fmt: skip


class FilledCampaign(msgspec.Struct, frozen=True):
    """What was typed; plan and schedule are None where something is wrong, which is then said by field."""

    name: str
    currency: str
    schedule: Schedule | None
    plan: Plan | None
    faults: Mapping[str, str]


def fill_campaign(typed: Mapping[str, str]) -> FilledCampaign:
    """A campaign as it was typed: what is empty is left out of its plan."""
    currency = typed.get("currency", "").strip().upper()
    faults: dict[str, str] = {}
    try:
        check_currency(currency)
    except Invalid as fault:
        faults["currency"] = fault.detail.removeprefix("currency: ")
        currency = "EUR"
    read = Reader(typed, currency)
    for name in ("name", "zone", "starts"):
        read.need(name)
    metric = typed.get("target_metric") or METRICS[0]
    value = read.threshold("target_value", "amount" if metric == "gmv" else "orders")
    by = read.get("target_by", lambda: day(typed, "target_by"), None)
    stop_day = read.get("stop_day", lambda: day(typed, "stop_day"), None)
    share = read.percent("stop_share")
    plan: dict[str, Any] = {
        "target": None if value is None else {"metric": metric, "value": value, "by": by},
        "budget_minor": read.money("budget"),
        "funders": [
            {"funder": funder, "amount_minor": minor} for funder, minor in read.pairs("funders", str, read.money_of)
        ],
        "stops": [
            *([] if not share else [{"when": "spent_share", "share_ppm": share}]),
            *([] if not stop_day else [{"when": "day", "on": stop_day}]),
        ],
        "reviewer": read.words("reviewer"),
        "gains": typed.get("gains", "").strip(),
        "loses": typed.get("loses", "").strip(),
    }
    ends = typed.get("ends", "").strip() or None
    schedule = {"zone": read.words("zone"), "starts": typed.get("starts", "").strip(), "ends": ends}
    faults = {**faults, **read.faults}
    made: dict[str, Any] = {"plan": None, "schedule": None}
    for name, plain, kind in (("plan", plan, Plan), ("schedule", schedule, Schedule)):
        try:
            made[name] = msgspec.convert(plain, kind)
        except msgspec.ValidationError as fault:
            detail, _, where = str(fault).partition(" - at `$.")
            faults.setdefault(campaign_field(f"/{name}/{where.rstrip('`')}"), detail)
    if faults:
        made = {"plan": None, "schedule": None}
    return FilledCampaign(read.words("name"), currency, made["schedule"], made["plan"], faults)


def campaign_field(pointer: str) -> str:
    """The field that a pointer into a campaign is about."""
    parts = [part.partition("[")[0].partition(".")[0] for part in pointer.strip("/").split("/")]
    if pointer.endswith("target/by"):
        return "target_by"
    return _FIELDS.get(parts[1], parts[1]) if len(parts) > 1 else parts[0]


def typed_of_campaign(of: Campaign) -> dict[str, str]:
    """What the form would have been told for this campaign."""

    def money(minor: int | None) -> str:
        return "" if minor is None else text_from_minor(minor, of.currency)

    plan, target = of.plan, of.plan.target
    share = next((stop.share_ppm for stop in plan.stops if isinstance(stop, SpentShare)), None)
    on = next((stop.on for stop in plan.stops if isinstance(stop, OnDay)), None)
    return {
        "name": of.name,
        "currency": of.currency,
        "zone": of.schedule.zone,
        "starts": of.schedule.starts,
        "ends": of.schedule.ends or "",
        "target_metric": METRICS[0] if target is None else target.metric,
        "target_value": "" if target is None else money(target.value) if target.metric == "gmv" else str(target.value),
        "target_by": "" if target is None or target.by is None else target.by.isoformat(),
        "budget": money(plan.budget_minor),
        "funders": "\n".join(f"{part.funder} = {money(part.amount_minor)}" for part in plan.funders),
        "stop_share": "" if share is None else str(share * 100 // PPM),
        "stop_day": "" if on is None else on.isoformat(),
        "reviewer": plan.reviewer,
        "gains": plan.gains,
        "loses": plan.loses,
    }
