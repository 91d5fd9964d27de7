"""What figures draw: values, order, colours and lines, as Plotly will take them; and the rules that it needs."""

import json
import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.consoles import plots
from marketplace.consoles.plots import Bar, Burn, Driver, Figure, Point, Step
from marketplace.core.money import minor_from_text
from marketplace.web.templating import PLOTLY, STATIC, plotly_style_id

DAY = date(2018, 8, 30)


def tokens(figure: Figure) -> set[str]:
    return set(re.findall(r'"token:([\w-]+)"', json.dumps(figure)))


def test_a_trend_draws_both_stretches_and_leads_to_its_days() -> None:
    points = [Point(DAY + timedelta(days=n), 1000 + n, 900, f"day {n}", f"/orders?first={n}") for n in range(3)]
    figure = plots.trend(points, "EUR", now="August", earlier="July")
    was, is_ = figure["data"]
    assert (was["name"], was["y"]) == ("July", ["9.00", "9.00", "9.00"])
    assert (is_["name"], is_["y"]) == ("August", ["10.00", "10.01", "10.02"])
    assert is_["x"] == was["x"] == ["2018-08-30", "2018-08-31", "2018-09-01"]
    assert is_["customdata"] == [point.href for point in points]
    assert is_["hovertext"] == ["day 0", "day 1", "day 2"]
    assert is_["width"] < was["width"]  # so the stretch before is seen behind


def test_a_trend_in_a_currency_without_minor_units() -> None:
    figure = plots.trend([Point(DAY, 1000, 0, "", "/")], "JPY", now="", earlier="")
    assert figure["data"][1]["y"] == ["1000"]


@given(st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=12))
def test_a_waterfall_adds_its_steps_and_not_its_totals(amounts: list[int]) -> None:
    steps = [Step(f"step {place}", minor, str(minor)) for place, minor in enumerate(amounts)]
    [trace] = plots.waterfall([*steps, Step("all", sum(amounts), "x", total=True)], "EUR")["data"]
    assert trace["measure"] == ["relative"] * len(amounts) + ["total"]
    added = [minor_from_text(y, "EUR") for y in trace["x"][:-1]]
    assert sum(added) == minor_from_text(trace["x"][-1], "EUR")
    assert trace["text"] == [*map(str, amounts), "x"]


def test_ageing_shows_the_oldest_as_what_is_wrong() -> None:
    bars = [Bar("new", 500, "5.00"), Bar("old", 100, "1.00"), Bar("very old", 0, "0.00")]
    [trace] = plots.ageing(bars, "EUR")["data"]
    assert trace["x"] == ["new", "old", "very old"]
    assert trace["y"] == ["5.00", "1.00", "0.00"]
    assert trace["marker"]["color"] == ["token:accent", "token:accent", "token:bad"]


def test_a_funnel_keeps_the_order_of_its_stages() -> None:
    [trace] = plots.funnel([("lead", 100), ("visit", 40), ("live", 8)])["data"]
    assert trace["type"] == "funnel"
    assert (trace["y"], trace["x"]) == (["lead", "visit", "live"], [100, 40, 8])


def test_cohorts_leave_out_what_is_not_yet() -> None:
    figure = plots.cohorts(["June", "July"], ["0", "1"], [[1_000_000, 500_000], [1_000_000, None]])
    [trace] = figure["data"]
    assert list(zip(trace["y"], trace["x"], trace["text"], strict=True)) == [
        (0, 0, "100%"), (0, 1, "50%"), (1, 0, "100%"),
    ]  # fmt: skip
    full, half, _ = figure["layout"]["shapes"]
    assert full["opacity"] > half["opacity"]
    assert figure["layout"]["yaxis"]["range"] == [1.5, -0.5]  # the first cohort is on top


def test_a_burn_down_draws_the_interval_behind_what_is_left() -> None:
    days = [Burn(DAY, 9000, 8000, 9500), Burn(DAY + timedelta(days=1), None, 6000, 9000)]
    high, low, left = plots.burn_down(days, "EUR", left="left", expected="expected")["data"]
    assert (high["y"], low["y"]) == (["95.00", "90.00"], ["80.00", "60.00"])
    assert low["fill"] == "tonexty"  # between the two, the high one being named first
    assert left["y"] == ["90.00", None]


DRIVERS = [
    Driver("gmv", None, "GMV", "100", better=True),
    Driver("orders", "gmv", "Orders", "10", better=True),
    Driver("average", "gmv", "Average", "10", better=False),
    Driver("live", "orders", "Live", "5"),
]


def test_a_driver_tree_stands_from_left_to_right_without_overlap() -> None:
    figure = plots.driver_tree(DRIVERS)
    [trace] = figure["data"]
    places = dict(zip([driver.key for driver in DRIVERS], zip(trace["x"], trace["y"], strict=True), strict=True))
    assert [places[key][0] for key in ("gmv", "orders", "average", "live")] == [0, 1, 1, 2]
    assert len(set(places.values())) == len(DRIVERS)
    assert places["gmv"][1] == (places["orders"][1] + places["average"][1]) / 2
    assert len(figure["layout"]["shapes"]) == 3
    assert trace["marker"]["color"] == ["token:good", "token:good", "token:bad", "token:soft"]


def test_a_driver_stands_behind_its_parent() -> None:
    with pytest.raises(ValueError, match="orders"):
        plots.driver_tree(DRIVERS[1:])


EVERY = [
    plots.trend([Point(DAY, 1, 2, "", "/")], "EUR", now="", earlier=""),
    plots.waterfall([Step("a", 1, "")], "EUR"),
    plots.ageing([Bar("a", 1, "")], "EUR"),
    plots.funnel([("a", 1)]),
    plots.cohorts(["a"], ["b"], [[1]]),
    plots.burn_down([Burn(DAY, 1, 1, 1)], "EUR", left="", expected=""),
    plots.driver_tree(DRIVERS),
]


def test_every_colour_is_a_token_that_the_script_can_read() -> None:
    rules = STATIC["plots.css"].read_text()
    for figure in EVERY:
        assert tokens(figure)
        assert not re.findall(r'"#[0-9a-f]{3,6}"', json.dumps(figure))
        for token in tokens(figure):
            assert f".probe-{token} {{ color: var(--{token}); }}" in rules


def test_the_rules_that_plotly_injects_are_those_of_our_stylesheet() -> None:
    """Positions, pointers and cursors as in the wheel's script: with another version they are taken over anew."""
    script = STATIC[PLOTLY].read_text()
    start = script.index('"X,X div":')
    wanted = dict(re.findall(r'"X (\.(?:main-svg|crisp|cursor)[^"]*)":"([^"]*)"', script[start : start + 6000]))
    assert {".main-svg", ".main-svg .draglayer", ".cursor-pointer"} <= wanted.keys()
    ours = re.sub(r"\s+", "", STATIC["plots.css"].read_text())
    for selector, rule in wanted.items():
        declared = rule.replace("cursor:-webkit-grab;", "").replace(" ", "")
        assert f".js-plotly-plot.plotly{selector.replace(' ', '')}{{{declared}}}" in ours, selector
    assert "no-inline-styles" in script


def test_no_figure_needs_what_the_policy_refuses() -> None:
    """Formatted text sets style attributes, heat maps and images are `data:` addresses."""
    for figure in EVERY:
        assert not re.findall(r"<(?!br>|extra>|/extra>)", json.dumps(figure))
        assert not {trace["type"] for trace in figure["data"]} & {"heatmap", "image"}
        assert len(plotly_style_id()) == 64
