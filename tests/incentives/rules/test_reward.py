"""What a measure earns: never less for more, nothing for nothing, rounded down."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.rules.awards import Amount, Band, EveryN, Graduated, Ladder, Limits, Once, Reward, Tier, Volume
from incentives.rules.reward import earned_by, ladder_totals, next_step
from incentives.rules.target import Goal, Progress
from tests.incentives.rules.cases import AMOUNTS, MEASURES, PERCENTAGES, REWARDS, bands


@given(AMOUNTS, MEASURES, MEASURES)
def test_invariant_3_a_reward_never_falls_and_nothing_earns_nothing(amount: Amount, one: int, other: int) -> None:
    earned = earned_by(amount)
    low, high = sorted((one, other))
    assert earned(0, 0) == 0
    assert earned(-high, -high) == 0
    assert 0 <= earned(low, low) <= earned(high, high)


@given(REWARDS, MEASURES)
def test_invariant_3_a_cap_holds(reward: Reward, measure: int) -> None:
    target = Goal(reward, Limits(), "merchant").target(Progress(promised=measure, settled=measure, reached=measure))
    assert target.available_minor <= (reward.cap_minor or target.available_minor)
    assert target.available_minor <= earned_by(reward.amount)(measure, measure)


@given(bands(rising=True), MEASURES)
def test_invariant_3_graduated_is_at_most_volume_at_rates_that_do_not_fall(tiers: tuple[Band, ...], m: int) -> None:
    assert earned_by(Graduated(bands=tiers))(m, m) <= earned_by(Volume(bands=tiers))(m, m)


@given(st.integers(1, 700), st.integers(1, 500), MEASURES, MEASURES)
def test_invariant_3_every_n_earns_at_least_its_parts(every: int, minor: int, one: int, other: int) -> None:
    earned = earned_by(EveryN(every=every, amount_minor=minor))
    assert earned(one + other, one + other) >= earned(one, one) + earned(other, other)


@given(bands(rising=False), MEASURES)
def test_graduated_is_the_sum_over_its_bands_rounded_down_once(tiers: tuple[Band, ...], measure: int) -> None:
    exact = Fraction(0)
    for lower, upper in pairwise((*tiers, Band(from_minor=10**9, rate_ppm=0))):
        within = max(0, min(measure, upper.from_minor) - lower.from_minor)
        exact += Fraction(within * lower.rate_ppm, 1_000_000)
    assert earned_by(Graduated(bands=tiers))(measure, measure) == exact.__floor__()


@given(PERCENTAGES, MEASURES, MEASURES)
def test_a_base_below_the_measure_earns_no_more(amount: Amount, measure: int, base: int) -> None:
    earned = earned_by(amount)
    assert earned(measure, min(base, measure)) <= earned(measure, measure)


@given(AMOUNTS, MEASURES)
def test_the_next_step_is_where_more_is_earned(amount: Amount, measure: int) -> None:
    earned, step = earned_by(amount), next_step(amount, measure)
    if step is None:
        if not isinstance(amount, Graduated | Volume):
            assert earned(10**6, 10**6) == earned(measure, measure)
    else:
        assert step.threshold == measure + step.missing > measure
        assert step.total_minor == earned(step.threshold, step.threshold) >= earned(measure, measure)
        if not isinstance(amount, Graduated | Volume):
            assert earned(step.threshold - 1, step.threshold - 1) == earned(measure, measure)


@pytest.mark.parametrize(
    ("amount", "measure", "minor"),
    [
        (Once(threshold=100_00, amount_minor=20_00), 99_99, 0),
        (Once(threshold=100_00, amount_minor=20_00), 100_00, 20_00),
        (EveryN(every=5, amount_minor=1_00, times_max=2), 14, 2_00),
        (
            Graduated(bands=(Band(from_minor=0, rate_ppm=10_000), Band(from_minor=100_00, rate_ppm=50_000))),
            150_00,
            3_50,
        ),
        (Volume(bands=(Band(from_minor=0, rate_ppm=10_000), Band(from_minor=100_00, rate_ppm=50_000))), 150_00, 7_50),
        (Graduated(bands=(Band(from_minor=0, rate_ppm=50_000),)), 1_99, 9),
    ],
)
def test_worked_rewards(amount: Amount, measure: int, minor: int) -> None:
    assert earned_by(amount)(measure, measure) == minor


def test_milestones_that_add_are_kept_as_what_is_earned_in_all() -> None:
    milestones = [(100, 5), (200, 10), (500, 20)]
    tiers = tuple(Tier(threshold=threshold, total_minor=total) for threshold, total in ladder_totals(milestones))
    earned = earned_by(Ladder(tiers=tiers, shown_as="each_adds"))
    for measure in (0, 99, 100, 250, 500, 900):
        assert earned(measure, measure) == sum(adds for threshold, adds in milestones if measure >= threshold)


def test_the_base_of_rounding_is_the_window() -> None:
    """5 % of 1.99, a thousand times: each by itself earns 9 cents, all together 99.50 (research 2.5)."""
    earned = earned_by(Graduated(bands=(Band(from_minor=0, rate_ppm=50_000),)))
    assert 1_000 * earned(1_99, 1_99) == 90_00
    assert earned(1_990_00, 1_990_00) == 99_50
