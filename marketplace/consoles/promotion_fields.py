"""Terms as the promotion form shows them: the other way round than `promotion_form`. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from incentives.campaigns.model import Campaign
from incentives.rules.model import SinceOptIn, Terms
from incentives.rules.parts import DAY, SLOTS
from incentives.rules.predicates import AllOf, Equals, In, Predicate, Range
from marketplace.consoles.promotion_form import DEFAULTS, PRESETS, fill
from marketplace.core.money import text_from_minor
from marketplace.core.rates import PPM

_LISTS = {
    "merchant.region": "regions", "merchant.segment": "segments", "buyer.region": "buyer_regions",
    "merchant.id": "merchants", "line.category": "categories", "line.brand": "brands",
}  # fmt: skip


def fresh(shape: str, campaign: Campaign, template: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a new form of this shape begins with, or one after a template."""
    schedule = campaign.schedule
    times = {"zone": schedule.zone, "starts": schedule.starts, "ends": schedule.ends or ""}
    return {**DEFAULTS, **times, **(template or {**PRESETS[shape], "gives": shape})}


def reshaped(typed: Mapping[str, str], shape: str) -> dict[str, str]:
    """What was typed, in another shape: what still stands as the old one began begins as the new one does."""
    old, new = PRESETS.get(typed.get("gives", ""), {}), PRESETS[shape]
    untouched = {name for name in {*old, *new} if typed.get(name, "").strip() in {"", old.get(name)}}
    return {**typed, **{name: new.get(name, "") for name in untouched}, "gives": shape}


def typed_of(terms: Terms, on_pause: str = "honour") -> dict[str, str]:
    """What the form would have been told for these terms."""
    of = _Of(terms)
    return {
        **dict.fromkeys(DEFAULTS, ""),
        "name": terms.name,
        "on_pause": on_pause,
        "opt_in": terms.qualify.opt_in,
        "measure": terms.measure.of,
        **of.trigger(),
        **of.conditions(terms.qualify.event, "event_json"),
        **of.conditions(terms.qualify.lines, "lines_json"),
        **of.window(),
        **of.reward(),
        **of.beneficiary(),
        **of.money(),
        **of.rest(),
    }


def is_shown(terms: Terms, campaign: Campaign) -> bool:
    """Whether the form says all of the terms: arms with rewards of their own, for one, it does not."""
    again = fill(typed_of(terms), campaign).terms
    return again is not None and _unordered(again) == _unordered(terms)


def _unordered(terms: Terms) -> Any:
    """The terms without the order of conditions, which means nothing."""
    plain = msgspec.to_builtins(terms)
    for name in ("event", "lines"):
        node = plain["qualify"][name]
        of = node["of"] if node and node["is"] == "all" else [node]
        plain["qualify"][name] = sorted(map(repr, of))
    plain["budgets"] = sorted(map(repr, plain["budgets"]))
    plain["funding"] = sorted(map(repr, (each for each in plain["funding"] if each["weight"])))
    return plain


class _Of:
    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.plain: dict[str, Any] = msgspec.to_builtins(terms)

    def minor(self, value: int | None) -> str:
        return "" if value is None else text_from_minor(value, self.terms.currency)

    def units(self, value: int) -> str:
        return self.minor(value) if self.terms.measure.of == "amount" else str(value)

    def trigger(self) -> dict[str, str]:
        trigger = self.plain["trigger"]
        return {"trigger": trigger["on"], "trigger_name": trigger.get("name", "")}

    def conditions(self, predicate: Predicate | None, rest: str) -> dict[str, str]:
        """Each condition in its field, those without one as JSON."""
        nodes = () if predicate is None else predicate.of if isinstance(predicate, AllOf) else (predicate,)
        shown: dict[str, str] = {}
        left = []
        for node in nodes:
            name, value = self._condition(node)
            if name and name not in shown:
                shown[name] = value
            else:
                left.append(node)
        if left:
            shown[rest] = msgspec.json.encode(left[0] if len(left) == 1 else AllOf(of=tuple(left))).decode()
        return shown

    def _condition(self, node: Predicate) -> tuple[str, str]:
        match node:
            case In(attribute=attribute, values=values) if attribute in _LISTS:
                if all("," not in str(value) for value in values):
                    return _LISTS[attribute], ", ".join(map(str, values))
            case Range(attribute="order.amount", at_least=least, below=None) if least:
                return "min_order", self.minor(least)
            case Range(attribute="merchant.days", at_least=None, below=below) if below:
                return "new_days", str(below)
            case Range(attribute="merchant.idle_days", at_least=least, below=None) if least:
                return "idle_days", str(least)
            case Equals(attribute="buyer.orders", value=0):
                return "first_order", "1"
        return "", ""

    def window(self) -> dict[str, str]:
        window = self.plain["window"]
        every = self.terms.window.days if isinstance(self.terms.window, SinceOptIn) else window.get("every", "")
        return {
            "window": window.get("period", window["over"]),
            "week_starts": str(window.get("week_starts", 1)),
            "window_every": str(every),
            "window_unit": window.get("unit", "day"),
        }

    def reward(self) -> dict[str, str]:
        reward = self.terms.reward
        form = self.plain["reward"]["form"]
        clawback = reward.clawback
        return {
            **self._amount(self.plain["reward"]["amount"]),
            "cap": self.minor(reward.cap_minor),
            "form": form["as"],
            "voucher_days": str(form.get("valid_days", "")),
            "voucher_minimum": self.minor(form.get("minimum_minor")),
            "vest_days": str(reward.vest_seconds // DAY),
            "clawback": clawback.policy or "",
            "ignore_below": self.minor(clawback.ignore_below_minor),
            "horizon_days": str(clawback.horizon_seconds // DAY),
        }

    def _amount(self, of: Mapping[str, Any]) -> dict[str, str]:
        gives = of["gives"]
        match gives:
            case "graduated" | "volume":
                bands = of["bands"]
                if gives == "graduated" and len(bands) == 1 and not bands[0]["from_minor"]:
                    return {"gives": "percent", "rate": _percent(bands[0]["rate_ppm"])}
                lines = [f"{self.minor(band['from_minor'])} = {_percent(band['rate_ppm'])}" for band in bands]
                return {"gives": gives, "steps": "\n".join(lines)}
            case "ladder":
                tiers = [f"{self.units(tier['threshold'])} = {self.minor(tier['total_minor'])}" for tier in of["tiers"]]
                return {"gives": gives, "steps": "\n".join(tiers), "shown_as": of["shown_as"]}
            case "every":
                shown = {"threshold": self.units(of["every"]), "times": str(of["times_max"] or "")}
                return {"gives": gives, "award": self.minor(of["amount_minor"]), **shown}
            case "once":
                threshold = self.units(of["threshold"])
                return {"gives": gives, "award": self.minor(of["amount_minor"]), "threshold": threshold}
        return {"gives": gives, "award": self.minor(of["amount_minor"])}

    def beneficiary(self) -> dict[str, str]:
        whom = self.plain["beneficiary"]
        buyer = whom.get("buyer_reward")
        if buyer is None:
            return {"beneficiary": whom["to"], "buyer_opt_in": whom.get("opt_in", "not_needed")}
        award = self.minor(buyer["amount"].get("amount_minor"))
        return {"beneficiary": whom["to"], "buyer_award": award, "buyer_cap": self.minor(buyer["cap_minor"])}

    def money(self) -> dict[str, str]:
        """Funding, budgets and limits."""
        shown = {"fund_platform": "", "fund_merchant": ""}
        payers = []
        for funder in self.plain["funding"]:
            if funder["by"] == "payer":
                payers.append(f"{funder['contract']} = {funder['weight']}")
            else:
                shown[f"fund_{funder['by']}"] = str(funder["weight"])
        shown["fund_payers"] = "\n".join(payers)
        for per, name in (("promotion", "budget"), ("day", "budget_day")):
            shown[name] = next((self.minor(each["limit_minor"]) for each in self._budgets(per)), "")
        for per in ("region", "funder"):
            shown[f"budget_{per}"] = "\n".join(f"{e[per]} = {self.minor(e['limit_minor'])}" for e in self._budgets(per))
        for budget in self.plain["budgets"][:1]:
            shown |= {"shortfall": budget["on_shortfall"], "advisory": "1" if budget["advisory"] else ""}
        limits = self.terms.limits
        share = limits.order_share_ppm
        return shown | {
            "per_event": self.minor(limits.per_event_minor),
            "order_share": "" if share is None else _percent(share),
            "lifetime": self.minor(limits.lifetime_minor),
            "grants": "" if limits.grants is None else str(limits.grants),
        }

    def _budgets(self, per: str) -> Sequence[Mapping[str, Any]]:
        return [each for each in self.plain["budgets"] if each["per"] == per]

    def rest(self) -> dict[str, str]:
        """Stacking, schedule and experiment."""
        stacking, schedule, experiment = self.terms.stacking, self.terms.schedule, self.terms.experiment
        only = [f"{' '.join(map(str, each.weekdays))} = {each.from_time}-{each.to_time}" for each in schedule.only]
        shown = {
            "lane": stacking.lane,
            "priority": str(stacking.priority),
            "tags": ", ".join(stacking.tags),
            "allows": ", ".join(stacking.allows),
            "base": stacking.base,
            "zone": schedule.zone,
            "starts": schedule.starts,
            "ends": schedule.ends or "",
            "hours": "\n".join(only),
            "holdout": "0",
            "unit": "merchant",
        }
        if experiment is None:
            return shown
        arms = "\n".join(f"{arm.name} = {arm.weight}" for arm in experiment.arms)
        out = _percent(experiment.holdout_slots * PPM // SLOTS)
        return shown | {"salt": experiment.salt, "unit": experiment.unit, "holdout": out, "arms": arms}


def _percent(ppm: int) -> str:
    whole, rest = divmod(ppm, PPM // 100)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".") if rest else str(whole)
