"""The pure rules of acquisition: attribution, scoring, identity, turns, stages, durations, unit economics."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from marketplace.core.errors import Invalid
from supply.funnels.model import Funnel, Stage, StageEvent, check_funnel, entries
from supply.funnels.report import Period, counts_of, figures_of, is_mature
from supply.funnels.standard import STANDARD
from supply.funnels.statistics import median, median_survival, ratio_ppm, spread, survival
from supply.leads import economics
from supply.leads.attribution import AttributionModel, Point, attribute
from supply.leads.channels.standard import STANDARD as CHANNELS
from supply.leads.identity import name_key, phone_key, place_key, tax_key
from supply.leads.model import Model
from supply.leads.pools.rules import turn
from supply.leads.scoring import Criterion, Facts, Score, ScoringRules, check_rules, score

NOW = datetime(2018, 9, 3, 12, tzinfo=UTC)
PPM = 1_000_000


def point(hours: int, channel: int, rep: int | None = None, touch_id: int = 0) -> Point:
    return Point(NOW - timedelta(hours=hours), touch_id or 1_000 - hours, channel, "", rep)


def due(points: Sequence[Point], model: AttributionModel, owner: int | None = None) -> dict[int, int]:
    return {share.channel_id: share.share_ppm for share in attribute(points, model, until=NOW, owner_id=owner)}


FOUR = [point(4, 1), point(3, 2, rep=7), point(2, 3), point(1, 4)]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("first", {1: PPM}),
        ("last", {4: PPM}),
        ("linear", {1: 250_000, 2: 250_000, 3: 250_000, 4: 250_000}),
        ("position", {1: 400_000, 2: 100_000, 3: 100_000, 4: 400_000}),
        ("owner", {2: PPM}),
    ],
)
def test_who_is_due_what_of_four_touches(model: str, expected: dict[int, int]) -> None:
    assert due(FOUR, AttributionModel(model), owner=7) == expected


def test_position_of_fewer_than_three_is_in_equal_parts_and_owner_without_a_touch_is_the_last() -> None:
    assert due(FOUR[:2], AttributionModel.POSITION) == {1: 500_000, 2: 500_000}
    assert due(FOUR[:1], AttributionModel.POSITION) == {1: PPM}
    assert due(FOUR, AttributionModel.OWNER, owner=99) == {4: PPM}
    assert attribute(FOUR, AttributionModel.LAST, until=NOW - timedelta(hours=5), owner_id=None) == []


points = st.builds(
    point, st.integers(-5, 50), st.integers(1, 5), st.sampled_from([None, 1, 2]), st.integers(1, 10**6)
)  # fmt: skip


@given(st.lists(points, max_size=30), st.sampled_from(AttributionModel), st.sampled_from([None, 1, 2]))
def test_shares_are_the_whole_or_there_was_no_touch(
    touches: list[Point], model: AttributionModel, owner: int | None
) -> None:
    shares = attribute(touches, model, until=NOW, owner_id=owner)
    counted = [each for each in touches if each.at <= NOW]
    assert sum(share.share_ppm for share in shares) == (PPM if counted else 0)
    assert all(0 < share.share_ppm <= PPM for share in shares)
    assert {share.channel_id for share in shares} <= {each.channel_id for each in counted}


def test_the_same_company_has_the_same_keys() -> None:
    assert tax_key("12.345.678/0001-90") == tax_key("12345678000190")
    assert phone_key("+49 (0)228 123456") == phone_key("0228-123456".rjust(20)) == "228123456"
    assert name_key("Loja São João Ltda.") == name_key("LOJA SAO JOAO") == "loja sao joao"
    assert name_key("北京小店有限公司") == name_key("北京小店")
    assert place_key("Ann's Shop GmbH", "Köln", "NRW") == place_key("Ann s shop", "Koln", "nrw")
    assert (tax_key(" - "), phone_key("12"), place_key("Shop", "", "NRW")) == (None, None, None)
    assert name_key("GmbH") == "gmbh"


FACTS = Facts(
    model="platform", channel="online.ads.search", campaign="", region="NRW", city="Bonn", has_tax_id=1, has_phone=0,
    has_email=0, touches=3, actions=1, forms=1,
)  # fmt: skip


def test_points_are_summed_by_part_and_cut_off() -> None:
    rules = ScoringRules(
        criteria=(
            Criterion(part="fit", field="channel", any_of=("online.ads",), points=60),
            Criterion(part="fit", field="channel", any_of=("online.ad",), points=39),
            Criterion(part="fit", field="has_tax_id", at_least=1, points=70),
            Criterion(part="engagement", field="touches", at_least=4, points=50),
            Criterion(part="engagement", field="region", any_of=("NRW",), points=-20),
        ),
        fit_min=100,
        engagement_min=1,
    )
    assert score(FACTS, rules) == Score(fit=100, engagement=0)
    assert not score(FACTS, rules).qualifies(rules)
    assert Score(fit=100, engagement=1).qualifies(rules)


def test_a_criterion_that_no_lead_could_meet_is_refused() -> None:
    met = Criterion(part="fit", field="has_phone", at_least=0, points=1)
    never = (
        Criterion(part="fit", field="region", points=1),
        Criterion(part="fit", field="city", at_least=1, points=1),
        Criterion(part="engagement", field="touches", any_of=("3",), points=1),
    )
    with pytest.raises(Invalid) as refused:
        check_rules(ScoringRules(criteria=(met, *never), fit_min=0, engagement_min=0))
    assert [each["pointer"] for each in refused.value.extra["errors"]] == [
        "/criteria/1/any_of", "/criteria/2/any_of", "/criteria/3/at_least",
    ]  # fmt: skip
    check_rules(ScoringRules(criteria=(met,), fit_min=0, engagement_min=0))


def test_turns_go_round() -> None:
    assert turn([3, 1, 2], None) == [1, 2, 3]
    assert turn([1, 2, 3], 2) == [3, 1, 2]
    assert turn([1, 2, 3], 9) == [1, 2, 3]


FUNNEL = Funnel(
    model=Model.PLATFORM, version_no=1, won="c", activated="d",
    stages=(Stage(key="a", sla_days=5), Stage(key="b"), Stage(key="c"), Stage(key="d")),
)  # fmt: skip


def event(number: int, stage: str, day: int, voids: int | None = None) -> StageEvent:
    at = datetime(2018, 1, 1, tzinfo=UTC) + timedelta(days=day)
    return StageEvent(
        event_id=number, lead_id=1, stage=stage, at=at, cause="test", evidence="", voids=voids, recorded_at=NOW,
        actor="test",
    )  # fmt: skip


def test_a_skipped_stage_is_inferred_a_late_one_moves_it_and_a_voided_one_is_forgotten() -> None:
    skipped = [event(1, "a", 0), event(2, "c", 9)]
    found = entries(FUNNEL, skipped, zone="UTC", lost_at=None)
    assert [(each.entered_on.day, each.inferred) for each in found] == [(1, False), (10, True), (10, False)]
    assert [each.next_on and each.next_on.day for each in found] == [10, 10, None]
    assert {each.won_on for each in found} == {date(2018, 1, 10)}
    late = entries(FUNNEL, [*skipped, event(3, "b", 4)], zone="UTC", lost_at=None)
    assert [(each.entered_on.day, each.inferred) for each in late] == [(1, False), (5, False), (10, False)]
    assert entries(FUNNEL, [*skipped, event(3, "c", 9, voids=2)], zone="UTC", lost_at=None)[-1].stage_no == 0
    back = entries(FUNNEL, [*skipped, event(3, "a", 20)], zone="UTC", lost_at=None)
    assert [each.regressions for each in back] == [1, 0, 0]


def test_days_are_those_of_the_subjects_zone() -> None:
    [found] = entries(FUNNEL, [event(1, "a", 0)], zone="America/Sao_Paulo", lost_at=None)
    assert found.entered_on == date(2017, 12, 31)


told = st.lists(
    st.tuples(st.sampled_from("abcdx"), st.integers(0, 60)), max_size=12
).map(lambda each: [event(number, stage, day) for number, (stage, day) in enumerate(each, start=1)])  # fmt: skip


@given(told, st.randoms())
def test_entries_never_go_back_in_time_and_do_not_depend_on_who_tells_first(
    events: list[StageEvent], rng: object
) -> None:
    found = entries(FUNNEL, events, zone="UTC", lost_at=None)
    assert [each.stage_no for each in found] == list(range(len(found)))
    for one, following in pairwise(found):
        assert one.began_on <= one.entered_on <= following.entered_on == one.next_on
    mixed = list(events)
    rng.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis' own Random
    assert entries(FUNNEL, mixed, zone="UTC", lost_at=None) == found


@given(st.lists(told, max_size=8), st.one_of(st.none(), st.integers(0, 40)))
def test_conversion_is_never_above_one(subjects: list[list[StageEvent]], window: int | None) -> None:
    today = date(2018, 4, 1)
    rows = []
    for events in subjects:
        for each in entries(FUNNEL, events, zone="UTC", lost_at=None):
            fate = "on" if each.next_on else "open"
            days = ((each.next_on or today) - each.entered_on).days
            rows.append(Counted(fate, days))
    period = Period(from_on=date(2018, 1, 1), to_on=today, as_of=today, window_days=window)
    figures = figures_of(counts_of(rows), period, today)
    assert figures.converted <= figures.done <= figures.entered == len(rows)
    assert (figures.conversion_ppm is None) is (not rows)
    assert (figures.conversion_ppm or 0) <= PPM


class Counted:
    def __init__(self, fate: str, days: int) -> None:
        self.fate, self.days, self.leads = fate, days, 1


def test_a_cohort_is_mature_when_its_last_day_has_had_the_window() -> None:
    ends = date(2018, 2, 1)
    early = Period(from_on=date(2018, 1, 1), to_on=ends, as_of=date(2018, 3, 2), window_days=30)
    assert not is_mature(early, ends, 0)
    assert is_mature(replace(early, as_of=date(2018, 3, 3)), ends, 9)
    forever = replace(early, window_days=None)
    assert (is_mature(forever, ends, 0), is_mature(forever, ends, 1)) == (True, False)


def naive_survival(durations: list[tuple[int, bool]]) -> dict[int, float]:
    """Kaplan-Meier subject by subject, from its definition."""
    curve, still = {}, 1.0
    for day in sorted({days for days, ended in durations if ended}):
        at_risk = sum(1 for days, _ in durations if days >= day)
        gone = sum(1 for days, ended in durations if ended and days == day)
        still *= (at_risk - gone) / at_risk
        curve[day] = still
    return curve


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_survival_is_what_the_definition_says(durations: list[tuple[int, bool]]) -> None:
    ended = spread([days for days, has_ended in durations if has_ended])
    censored = spread([days for days, has_ended in durations if not has_ended])
    found, expected = dict(survival(ended, censored)), naive_survival(durations)
    assert found.keys() == expected.keys()
    assert all(found[day] == pytest.approx(expected[day]) for day in expected)
    half = [day for day, still in expected.items() if still <= 0.5 + 1e-9]
    assert median_survival(ended, censored) == (min(half) if half else None)


def test_survival_by_hand() -> None:
    """Of six, two ended on day 1 and one on day 3; one was last seen on day 2, two on day 5: 2/3, then 2/3 * 2/3."""
    curve = survival({1: 2, 3: 1}, {2: 1, 5: 2})
    assert [day for day, _ in curve] == [1, 3]
    assert [still for _, still in curve] == pytest.approx([4 / 6, 4 / 9])
    assert median_survival({1: 2, 3: 1}, {2: 1, 5: 2}) == 3
    assert median_survival({1: 1}, {2: 5}) is None


@given(st.lists(st.integers(0, 9), max_size=20))
def test_a_median_of_counts_is_the_median(values: list[int]) -> None:
    ordered = sorted(values)
    expected = None if not values else (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    assert median(Counter(values)) == expected


def test_nothing_divided_by_nothing_is_unknown() -> None:
    assert ratio_ppm(0, 0) is None
    assert (economics.cost_per(500, 0), economics.acquisition_cost(500, 0)) == (None, None)
    assert (economics.lifetime_value([5], 0, horizon=3), economics.win_rate(0, 0)) == (None, None)
    assert economics.value_to_cost(None, 5) is None
    assert economics.value_to_cost(5, 0) is None


def test_unit_economics_by_hand() -> None:
    """1,000.00 spent, 600.00 of it variable; 40 leads, 2.5 merchants; they bring 300.00, 250.00, 200.00, 450.00."""
    months = [30_000, 25_000, 20_000, 45_000]
    assert economics.cost_per(100_000, 40) == 2_500
    assert economics.acquisition_cost(60_000, 2_500_000) == 24_000
    assert economics.acquisition_cost(100_000, 2_500_000) == 40_000
    assert economics.payback_months(100_000, months) == 4
    assert economics.payback_months(55_000, months) == 2
    assert economics.payback_months(120_001, months) is None
    assert economics.payback_months(0, months) == 1
    assert economics.lifetime_value(months, 2_500_000, horizon=3) == 30_000
    assert economics.lifetime_value([0, 11_000], PPM, horizon=12, discount_ppm=100_000) == 10_000
    assert economics.value_to_cost(120_000, 40_000) == 3 * PPM
    assert economics.marginal_cost((100_000, 2 * PPM), (160_000, 4 * PPM)) == 30_000
    assert economics.marginal_cost((100_000, 2 * PPM), (160_000, 2 * PPM)) is None
    assert economics.win_rate(3, 1) == 750_000


def test_every_model_has_a_funnel_of_its_own_order() -> None:
    assert [each.model for each in STANDARD] == list(Model)
    for each in STANDARD:
        check_funnel(each.stages, each.won, each.activated)
    tool = STANDARD[list(Model).index(Model.TOOL)]
    hardware = STANDARD[list(Model).index(Model.HARDWARE)]
    assert tool.place(tool.activated) < tool.place(tool.won)  # served first, paid later
    assert hardware.place(hardware.won) < hardware.place(hardware.activated)  # paid first, then installed
    with pytest.raises(Invalid, match="won"):
        check_funnel(tool.stages, "nowhere", tool.activated)


def test_the_tree_of_channels_holds_together() -> None:
    by_id = {each.channel_id: each for each in CHANNELS}
    for each in CHANNELS:
        assert each.path[-1] == each.channel_id
        assert each.code.startswith(by_id[each.path[0]].code)
        assert each.parent_id == (each.path[-2] if len(each.path) > 1 else None)
