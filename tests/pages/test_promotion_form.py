"""The promotion form says terms and reads them back; a forecast goes by the pace of the last days."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.campaigns.model import Campaign, Plan
from incentives.grants.rewards import not_payable
from incentives.lifecycle import State
from incentives.rules.awards import EveryN, Fixed, Reward, ToBoth, ToBuyer
from incentives.rules.model import Arm, ByMerchant, ByPlatform, DayBudget, Experiment, Hours, Schedule, SinceOptIn
from incentives.rules.predicates import AllOf, Equals, Exists, In, Range
from marketplace.consoles.burn import burn
from marketplace.consoles.promotion_fields import fresh, is_shown, reshaped, typed_of
from marketplace.consoles.promotion_form import SHAPES, TEMPLATES, fill
from tests.incentives.market import terms

CAMPAIGN = Campaign(
    campaign_id=1,
    name="autumn",
    currency="EUR",
    schedule=Schedule(zone="Europe/Berlin", starts="2026-12-01", ends="2026-12-31"),
    plan=Plan(),
    state=State.LIVE,
    starts_at=datetime(2026, 12, 1, tzinfo=UTC),
    ends_at=None,
    authors=("ida",),
    stopped=(),
    approved_by=None,
    approved_at=None,
    made_at=datetime(2026, 11, 1, tzinfo=UTC),
    version=1,
)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_begins_with_terms_that_hold_and_is_read_back(shape: str) -> None:
    filled = fill({**fresh(shape, CAMPAIGN), "name": "n"}, CAMPAIGN)
    assert filled.faults == {}
    assert filled.terms is not None
    assert fill(typed_of(filled.terms), CAMPAIGN).terms == filled.terms


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_a_promotion_that_can_be_paid_and_is_read_back(name: str) -> None:
    filled = fill({**fresh("", CAMPAIGN, TEMPLATES[name]), "name": name}, CAMPAIGN)
    assert filled.faults == {}
    assert filled.terms is not None
    assert not_payable(filled.terms) == []
    assert fill(typed_of(filled.terms), CAMPAIGN).terms == filled.terms


def test_another_shape_begins_as_it_does_and_keeps_what_was_typed() -> None:
    percent = fresh("percent", CAMPAIGN)
    fixed = reshaped(percent, "fixed")
    assert (fixed["gives"], fixed["window"], fixed["cap"]) == ("fixed", "event", "")
    assert reshaped(fixed, "ladder")["window"] == "week"
    kept = reshaped({**percent, "window": "day", "cap": "70"}, "once")
    assert (kept["window"], kept["cap"], kept["award"]) == ("day", "70", "20")


TWO = (Arm(name="a"), Arm(name="b", weight=3))
REGIONS = In(attribute="merchant.region", values=("SP", "RJ"))
FIRST = Equals(attribute="buyer.orders", value=0)
SAID: list[dict[str, Any]] = [
    {"qualify": {"event": AllOf(of=(REGIONS, Exists(attribute="buyer.id")))}},
    {"qualify": {"event": Range(attribute="order.amount", at_least=12_345), "opt_in": "from_opt_in"}},
    {"qualify": {"event": FIRST, "lines": In(attribute="line.brand", values=("a",))}},
    {"window": SinceOptIn(days=30)},
    {"reward": Reward(amount=EveryN(every=100, amount_minor=7, times_max=3), cap_minor=9)},
    {"beneficiary": ToBuyer(opt_in="from_window_start"), "window": SinceOptIn(days=7)},
    {"beneficiary": ToBoth(buyer_reward=Reward(amount=Fixed(amount_minor=150), cap_minor=300))},
    {"funding": (ByPlatform(weight=2), ByMerchant(weight=1)), "budgets": (DayBudget(limit_minor=5, currency="EUR"),)},
    {"schedule": Schedule(zone="UTC", starts="2026-12-01T08:30", only=(Hours(weekdays=(1, 5), to_time="12:00"),))},
    {"experiment": Experiment(salt="s", unit="region", holdout_slots=512, arms=TWO)},
]  # fmt: skip


@pytest.mark.parametrize("changes", SAID)
def test_the_form_says_what_terms_say(changes: dict[str, Any]) -> None:
    if "qualify" in changes:
        changes = {"qualify": type(terms().qualify)(**changes["qualify"])}
    assert is_shown(terms(**changes), CAMPAIGN)


def test_what_the_form_cannot_say_it_does_not_pretend_to() -> None:
    arm = Arm(name="a", reward=Reward(amount=Fixed(amount_minor=1)))
    assert not is_shown(terms(experiment=Experiment(salt="s", arms=(arm,))), CAMPAIGN)


@pytest.mark.parametrize(
    ("typed", "field", "reason"),
    [
        ({"gives": "ladder", "steps": "100 = 20\n300 = 5"}, "steps", "a ladder may not fall"),
        ({"ends": "2026-11-01"}, "ends", "is not after the start"),
        ({"gives": "volume", "steps": "0 = 3\n1000 = 1"}, "steps", "falling rates"),
        ({"event_json": '{"is": "exists", "attribute": "order.mood"}'}, "event_json", "is no attribute"),
        ({"event_json": "{"}, "event_json", "is no JSON"),
        ({"zone": "Mars/Base"}, "zone", "Mars/Base"),
        ({"budget_funder": "acme = 10"}, "budget", "none of the funders"),
        ({"gives": "percent", "rate": "101"}, "rate", "from 0 to 100 percent"),
        ({"fund_platform": "0"}, "fund_platform", "somebody must bear it"),
        ({"window": "recurring"}, "window_every", "is missing"),
        ({"form": "discount"}, "form", "only a buyer"),
    ],
)
def test_a_bad_rule_is_refused_at_its_field(typed: dict[str, str], field: str, reason: str) -> None:
    filled = fill({**fresh("once", CAMPAIGN), "name": "n", **typed}, CAMPAIGN)
    assert filled.terms is None
    assert reason in filled.faults[field]


@given(
    st.dictionaries(st.sampled_from([*fresh("once", CAMPAIGN), "steps", "hours", "event_json", "regions"]), st.text())
)
def test_whatever_is_typed_is_terms_or_said_to_be_at_fault(typed: dict[str, str]) -> None:
    filled = fill({**fresh("once", CAMPAIGN), "name": "n", **typed}, CAMPAIGN)
    assert (filled.terms is None) == bool(filled.faults)


TODAY = date(2026, 12, 10)


def test_a_budget_is_used_up_at_the_pace_of_the_last_days() -> None:
    granted = {TODAY - timedelta(days=back): 10_00 for back in range(10)}
    assert burn(granted, 100_00, 150_00, TODAY, None).exhausted_on == TODAY + timedelta(days=5)
    assert burn(granted, 100_00, 150_00, TODAY, TODAY + timedelta(days=3)).exhausted_on is None
    assert burn(granted, 150_00, 150_00, TODAY, None).exhausted_on == TODAY
    assert burn({TODAY: 30_00}, 30_00, 100_00, TODAY, None).pace_minor == 30_00
    assert burn({}, 0, None, TODAY, None).exhausted_on is None
