"""What a review warns of, planted and found; and the estimate where nobody was drawn by lot."""

import random
from statistics import fmean

import pytest
from scipy import stats

from incentives.experiments.findings import Findings, findings
from incentives.experiments.guardrails import Near, Others, guardrails, observed
from incentives.experiments.model import Exposed
from incentives.rules.model import Experiment
from incentives.uplift.estimates import moments

HALF = Experiment(salt="lots", holdout_slots=5_000)
FAIR = {
    "after_minor": 100_000, "before_minor": 90_000, "earlier_minor": 80_000, "later_minor": 60_000, "orders": 50,
    "cancelled": 2, "sold_minor": 104_000, "refunded_minor": 4_000, "price_ppm": 1_000_000, "margin_minor": 0,
    "cost_minor": 0,
}  # fmt: skip
"""What a merchant does that no promotion has spoiled."""


def merchants(lot: random.Random, arm: str, number: int, **planted: int) -> list[Exposed]:
    """So many of an arm, each a little different; what is planted, is for all of them."""
    made = []
    for each in range(number):
        values = {name: value + lot.randrange(-value // 10 - 1, value // 10 + 2) for name, value in FAIR.items()}
        values |= {name: values[name] + more for name, more in planted.items()}
        made.append(Exposed(merchant_id=each, unit=str(each), arm=arm, **values))
    return made


@pytest.mark.parametrize(
    ("planted", "name"),
    [({"cancelled": 5}, "cancelled"), ({"refunded_minor": 9_000}, "refunded"), ({"price_ppm": 90_000}, "price_before"),
     ({"later_minor": -9_000}, "pulled_forward"), ({}, None)],
)  # fmt: skip
def test_what_is_planted_is_flagged_and_nothing_else(planted: dict[str, int], name: str | None) -> None:
    treated = merchants(random.Random(5), "treated", 200, **planted)
    found = guardrails(treated + merchants(random.Random(5), "", 200), [])  # alike but for what is planted
    assert [each.name for each in found] == ["cancelled", "refunded", "price_before", "pulled_forward"]
    assert [each.name for each in found if each.flagged] == ([name] if name else [])


def test_the_dip_afterwards_is_that_of_welch() -> None:
    lot = random.Random(6)
    treated, control = merchants(lot, "treated", 30), merchants(lot, "", 20)
    [dip] = [each for each in guardrails(treated + control, []) if each.name == "pulled_forward"]
    oracle = stats.ttest_ind([e.later_minor for e in treated], [e.later_minor for e in control], equal_var=False)
    low, high = oracle.confidence_interval(0.95)
    assert (dip.value.low, dip.value.high) == (round(low), round(high))


@pytest.mark.parametrize(
    ("above", "below", "flagged"), [(60, 20, True), (45, 40, False), (20, 60, False), (0, 1, False)]
)
def test_a_heap_above_a_threshold_is_flagged(above: int, below: int, flagged: bool) -> None:
    [found] = guardrails([], [Near(10_000, above, below), Near(30_000, 0, 0)])
    assert found.value.estimate == round(above / (above + below) * 1_000_000)
    assert found.flagged is flagged
    exact = stats.binomtest(above, above + below, alternative="greater").pvalue
    assert found.value.p_ppm == pytest.approx(exact * 1_000_000, abs=25_000)


def looked_at(exposed: list[Exposed], others: Others) -> Findings:
    return findings(None, exposed, others=others, planned_minor=None, cost_minor=0, clawed_minor=0)


def test_where_nobody_was_drawn_differences_are_compared_and_called_observational() -> None:
    """Planted: those it reached sell 5,000 more than they would have; all grow by 10,000."""
    lot = random.Random(7)
    reached = merchants(lot, "treated", 150, after_minor=5_000)
    rest = merchants(lot, "none", 400)
    others = Others(
        change=moments([float(e.after_minor - e.before_minor) for e in rest]),
        trend=moments([float(e.before_minor - e.earlier_minor) for e in rest]),
    )
    found = looked_at(reached, others)
    assert found.observational
    assert found.comparisons == ()
    assert found.guardrails == ()
    assert found.observed is not None
    assert found.observed.effect_minor.low < 5_000 < found.observed.effect_minor.high
    assert found.observed.effect_minor.is_clear
    assert not found.observed.trend_minor.is_clear
    plain = fmean(e.after_minor - e.before_minor for e in reached) - others.change.mean
    assert found.observed.effect_minor.estimate == round(plain)


def test_those_who_grew_before_are_told_by_their_trend() -> None:
    lot = random.Random(8)
    reached = merchants(lot, "treated", 150, before_minor=6_000, after_minor=12_000)
    rest = merchants(lot, "none", 400)
    others = Others(
        change=moments([float(e.after_minor - e.before_minor) for e in rest]),
        trend=moments([float(e.before_minor - e.earlier_minor) for e in rest]),
    )
    found = observed(reached, others)
    assert found is not None
    assert found.trend_minor.is_clear
    assert observed(reached[:1], others) is None


def test_what_was_drawn_by_lot_needs_no_others() -> None:
    lot = random.Random(9)
    drawn = merchants(lot, "treated", 20) + merchants(lot, "", 20)
    others = Others(change=moments([1.0, 2.0]), trend=moments([1.0, 2.0]))
    made = findings(HALF, drawn, others=others, planned_minor=None, cost_minor=0, clawed_minor=0)
    assert made.observed is None
    assert len(made.guardrails) == 4
