"""The drawings are pure: same input, same bytes; nothing outside the frame; words escaped."""

from datetime import date
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.consoles.figures import Change, month_to, weeks_to
from marketplace.consoles.trend import Column, bars, ceiling, top

VALUES = st.integers(0, 10**13)
COLUMNS = st.lists(
    st.builds(Column, value=VALUES, words=st.text(alphabet="ab<>&\"'é "), earlier=st.none() | VALUES), max_size=90
)


@given(st.integers(0, 10**15))
def test_an_axis_ends_at_or_above_the_value_and_not_far(value: int) -> None:
    assert max(value, 10) <= ceiling(value) <= max(2 * value, 10)
    assert ceiling(value) % 2 == 0


@given(COLUMNS)
def test_columns_stay_inside_the_frame_and_are_well_formed(columns: list[Column]) -> None:
    drawn = bars(columns, 'a <title> & "more"')
    assert drawn == bars(columns, 'a <title> & "more"')
    svg = ET.fromstring(drawn)
    width, height = map(int, svg.attrib["viewBox"].split()[2:])
    assert svg.attrib["aria-label"] == 'a <title> & "more"'
    for rect in svg.iter("rect"):
        x, y, w, h = (int(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
    assert [title.text or "" for title in svg.iter("title")] == [column.words for column in columns]


@given(st.lists(VALUES, min_size=1, max_size=60))
def test_a_taller_value_is_a_taller_column(values: list[int]) -> None:
    columns = [Column(value, "") for value in values]
    svg = ET.fromstring(bars(columns, ""))
    heights = [int(rect.attrib["height"]) for rect in svg.iter("rect") if rect.attrib["class"] == "now"]
    assert heights == [value * 1000 // top(columns) for value in values]


def test_a_negative_column_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        bars([Column(-1, "")], "")


def test_no_drawing_carries_style_or_script() -> None:
    drawn = bars([Column(3, "x", "/there", 2)], "t")
    assert "style" not in drawn
    assert "<script" not in drawn


@given(st.dates(min_value=date(1990, 1, 1)))
def test_a_month_is_compared_with_the_same_days_before(on: date) -> None:
    days = month_to(on)
    assert days.first.day == days.earlier_first.day == 1
    assert days.last == on
    assert days.earlier_last < days.first
    assert (days.earlier_last - days.earlier_first).days + 1 <= days.count
    weeks = weeks_to(days.last, 4)
    assert weeks.count == 28
    assert (weeks.earlier_last - weeks.earlier_first).days + 1 == 28


def test_a_change_from_nothing_has_no_rate() -> None:
    assert Change(5, 0).by_ppm is None
    assert Change(110, 100).by_ppm == 100_000
