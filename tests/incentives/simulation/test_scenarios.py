"""Responses, intervals and warnings against figures computed by hand."""

from collections import Counter
from datetime import date, timedelta

import msgspec
import pytest

from incentives.rules.events import Holdout
from incentives.rules.model import Terms
from incentives.simulation.intervals import intervals
from incentives.simulation.model import Answer, Record
from incentives.simulation.replay import replay
from incentives.simulation.report import Pins, Simulation, Warned, blocking, digest_of, over, simulation
from incentives.simulation.scenarios import Response, scenario, scenarios
from tests.incentives.rules.cases import AT, order, per_order, percent, plan, terms

PINS = Pins(history="", terms="", evaluator="", tzdata="", seed=7)
_LADDER = {"gives": "ladder", "tiers": [{"threshold": 100, "total_minor": 10}, {"threshold": 200, "total_minor": 30}]}


def test_who_is_short_by_a_tenth_reaches_the_next_tier() -> None:
    """80 is short by a fifth, 95 by a twentieth, 150 by a quarter, 190 by a twentieth."""
    promotion = plan(terms(reward={"amount": _LADDER}))
    measures = {("", 0): Counter({80: 1, 95: 2, 150: 1, 190: 1})}
    found = {
        (s.response.reach_ppm, s.response.volume_ppm): (s.cost_minor, s.lifted) for s in scenarios(promotion, measures)
    }
    assert found == {
        (0, 0): (20, 0),
        (0, 50_000): (20, 0),  # 84, 99, 157, 199
        (0, 100_000): (20 + 2 * 10 + 20, 0),  # 88, 104, 165, 209
        (0, 200_000): (20 + 2 * 10 + 20, 0),  # 96, 114, 180, 228
        (50_000, 0): (10 + 20 + 30, 3),
        (100_000, 0): (10 + 20 + 30, 3),
        (200_000, 0): (10 + 10 + 20 + 30, 4),
    }  # fmt: skip


def test_more_volume_is_more_orders_where_every_order_counts() -> None:
    promotion = plan(per_order(percent(100_000), limits={"per_event_minor": 15}))
    measures = {("", 0): Counter({100: 3, 200: 2})}
    assert scenario(promotion, measures, Response()).cost_minor == 60
    assert scenario(promotion, measures, Response(volume_ppm=100_000)).cost_minor == 66


def test_a_cap_holds_in_every_scenario() -> None:
    promotion = plan(terms(reward={"amount": percent(100_000), "cap_minor": 50}))
    assert scenario(promotion, {("", 0): Counter({490: 1})}, Response(volume_ppm=200_000)).cost_minor == 50


def test_intervals_hold_what_is_the_same_for_all_and_spread_with_what_is_not() -> None:
    first = date(2026, 11, 1)
    days = [first + timedelta(days=number) for number in range(10)]
    even = {merchant: dict.fromkeys(days, 10) for merchant in range(50)}
    found = intervals(even, 2_500, seed=1)
    assert found.cost_minor.p10 == found.cost_minor.p50 == found.cost_minor.p90 == 5_000
    assert found.exhausted_on.p10 == found.exhausted_on.p90 == date(2026, 11, 5)
    assert intervals(even, 5_001, seed=1).exhausted_on.p10 is None
    uneven = {merchant: dict.fromkeys(days, merchant) for merchant in range(50)}
    spread = intervals(uneven, 6_000, seed=1)
    assert spread.cost_minor.p10 < 12_250 < spread.cost_minor.p90
    assert spread == intervals(uneven, 6_000, seed=1) != intervals(uneven, 6_000, seed=2)


def test_the_spread_of_the_bootstrap_is_that_of_the_mean() -> None:
    """Of a sum of n values with variance s², 80 % lie within 1.2816 s √n of it."""
    burned = {merchant: {date(2026, 11, 1): merchant % 2 * 100} for merchant in range(400)}
    cost = intervals(burned, None, seed=3, draws=2_000).cost_minor
    assert cost.p90 - cost.p10 == pytest.approx(2 * 1.2816 * 50 * 20, rel=0.08)


def test_nothing_burned_is_no_fault() -> None:
    assert intervals({}, 100, seed=1).cost_minor.p90 == 0


def simulated(promotion: Terms, history: list[Record], expected: Response, holdout: Holdout | None) -> Simulation:
    promotion = over(promotion, date(2026, 11, 1), date(2026, 11, 30))
    both: list[Answer] = []
    for limited in (True, False):
        both += replay([plan(promotion)], history, limited=limited, holdout=holdout, middle=AT)
    return simulation(plan(promotion), *both, pins=PINS, expected=expected, holdout=holdout)


def sales(merchants: int, amount: int = 100) -> list[Record]:
    return [
        Record(AT - timedelta(days=days), f"o{m}-{days}", "settled", order(amount, event_id=f"o{m}-{days}", merchant=m))
        for days in (12, -3)
        for m in range(merchants)
    ]


def test_what_speaks_against_a_promotion_is_named() -> None:
    budget = {"per": "promotion", "limit_minor": 100, "currency": "EUR"}
    made = simulated(per_order(percent(100_000), budgets=[budget]), sales(40), Response(volume_ppm=100_000), None)
    assert (made.limited.cost_minor, made.unlimited.cost_minor, made.deadweight_ppm) == (100, 800, 909_090)
    assert [warning.name for warning in made.warnings] == ["deadweight", "exhaustion", "power"]
    assert blocking(made.warnings, {"deadweight": "a thank-you", "power": " "}) == list(made.warnings[1:])


def test_nothing_speaks_against_a_threshold_that_is_worth_its_cost() -> None:
    """Everybody sells 95 in a week and would sell 100; half are held out, and all sell the same."""
    promotion = terms(reward={"amount": {"gives": "once", "threshold": 100, "amount_minor": 10}})
    holdout = Holdout(salt="half", slots=5_000)
    made = simulated(promotion, sales(60, 95), Response(reach_ppm=100_000, volume_ppm=50_000), holdout)
    assert (made.deadweight_ppm, made.power.smallest_ppm, made.warnings) == (0, 0, ())
    assert made.power.treated == made.power.control == 30


def test_a_breach_is_never_overridden() -> None:
    assert blocking([Warned(name="invariant", detail="")], {"invariant": "never mind"}) != []


def test_the_same_pins_give_the_same_digest() -> None:
    def digest(seed: int) -> str:
        made = simulated(per_order(percent(100_000)), sales(40), Response(), None)
        return digest_of(msgspec.structs.replace(made, pins=msgspec.structs.replace(PINS, seed=seed)))

    assert digest(7) == digest(7) != digest(8)


def test_terms_run_over_recorded_days_as_long_as_they_say() -> None:
    moved = over(terms(), date(2018, 5, 1), date(2018, 5, 31))
    assert (moved.schedule.starts, moved.schedule.ends, moved.schedule.zone) == (
        "2018-05-01",
        "2018-05-31",
        "Europe/Berlin",
    )
    with pytest.raises(ValueError, match="is before"):
        over(terms(), date(2018, 5, 2), date(2018, 5, 1))
