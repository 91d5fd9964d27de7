"""Why a figure moved: contributions sum to the change, for any tree and any data."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from marketplace.core.errors import Invalid
from marketplace.metrics.contributions import (
    Drivers,
    Op,
    Segment,
    check_tree,
    explain,
    explain_segments,
    log_mean,
    value_of,
    whole_parts,
)
from marketplace.metrics.drivers import DRIVERS

NUMBERS = st.fractions(-1_000, 1_000, max_denominator=50) | st.sampled_from([Fraction(0), Fraction(1)])
POSITIVE = st.fractions(Fraction(1, 50), 10_000, max_denominator=50)


@st.composite
def trees(draw: st.DrawFn, numbers: st.SearchStrategy[Fraction] = NUMBERS) -> Any:
    """A tree of up to three levels with values of two periods, in which what is driven is what its drivers come to."""
    made: dict[str, Drivers] = {}
    values: tuple[dict[str, Fraction | None], dict[str, Fraction | None]] = ({}, {})

    def grow(name: str, level: int) -> None:
        if level == 3 or (level and draw(st.booleans())):
            for period in values:
                period[name] = draw(numbers)
            return
        op = draw(st.sampled_from(list(Op)))
        below = tuple(f"{name}{place}" for place in range(2 if op is Op.RATIO else draw(st.integers(1, 4))))
        minus = frozenset(each for each in below if op is Op.SUM and draw(st.booleans()))
        made[name] = Drivers(op, below, minus)
        for each in below:
            grow(each, level + 1)
        for period in values:
            period[name] = value_of(made[name], period)

    grow("r", 0)
    return made, *values


@settings(max_examples=300)
@given(trees(), st.sampled_from([1, 100, 1_000_000]))
def test_contributions_of_every_level_sum_to_the_change_exactly(grown: Any, scale: int) -> None:
    made, before, after = grown
    check_tree(made, "r")
    parts = {part.name: part for part in explain(made, "r", before, after, scale=scale)}
    if before["r"] is None or after["r"] is None:
        assert parts == {}
        return
    assert parts["r"].contribution == round(after["r"] * scale) - round(before["r"] * scale)
    for name, part in parts.items():
        below = [each.contribution for each in parts.values() if each.parent == name]
        if name in made and not part.unexplained:
            assert sum(below) == part.contribution
            assert [each.name for each in parts.values() if each.parent == name] == list(made[name].names)
        else:
            assert below == []


@given(trees())
def test_what_has_not_changed_has_no_part_in_a_change(grown: Any) -> None:
    made, before, _ = grown
    assert all(part.contribution == 0 for part in explain(made, "r", before, before, scale=100))


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=2, max_size=4))
def test_a_product_is_divided_by_log_mean(factors: list[tuple[Fraction, Fraction]]) -> None:
    """Against the formula as it is written: c = L(Y1, Y0) ln(x1 / x0), in floats."""
    names = tuple(f"x{place}" for place in range(len(factors)))
    made = {"y": Drivers(Op.PRODUCT, names)}
    before: dict[str, Fraction | None] = dict(zip(names, (old for old, _ in factors), strict=True))
    after: dict[str, Fraction | None] = dict(zip(names, (new for _, new in factors), strict=True))
    before["y"], after["y"] = value_of(made["y"], before), value_of(made["y"], after)
    assert before["y"] is not None
    assert after["y"] is not None
    scale = 10**6
    _, *parts = explain(made, "y", before, after, scale=scale)
    mean = log_mean(after["y"], before["y"])
    for (old, new), part in zip(factors, parts, strict=True):
        ratio = Decimal(new.numerator * old.denominator) / Decimal(new.denominator * old.numerator)
        assert abs(part.contribution - mean * ratio.ln() * scale) < Decimal("1.5")


def test_zeros_are_divided_by_shapley() -> None:
    """From nothing: 0 x 5 became 4 x 7. Both orders of the change, on average: 4 x (5 + 7) / 2 and 2 x (0 + 4) / 2."""
    made = {"y": Drivers(Op.PRODUCT, ("a", "b"))}
    before = {"y": Fraction(0), "a": Fraction(0), "b": Fraction(5)}
    after = {"y": Fraction(28), "a": Fraction(4), "b": Fraction(7)}
    assert [part.contribution for part in explain(made, "y", before, after)] == [28, 24, 4]


def test_a_known_change_of_a_market() -> None:
    """100 merchants with 2 orders each, half completed, became 110 with 2.2 and 60 %: by log-mean, 100 became 145.2."""
    made = {
        "o": Drivers(Op.PRODUCT, ("m", "f", "c")),
        "m": Drivers(Op.SUM, ("start", "new", "gone"), frozenset({"gone"})),
    }
    before = {"o": Fraction(100), "m": Fraction(100), "f": Fraction(2), "c": Fraction(1, 2)}
    before |= {"start": Fraction(95), "new": Fraction(10), "gone": Fraction(5)}
    after = {"o": Fraction(1452, 10), "m": Fraction(110), "f": Fraction(22, 10), "c": Fraction(6, 10)}
    after |= {"start": Fraction(100), "new": Fraction(20), "gone": Fraction(10)}
    parts = {part.name: part.contribution for part in explain(made, "o", before, after, scale=100)}
    assert parts == {"o": 4520, "m": 1155, "start": 578, "new": 1155, "gone": -578, "f": 1155, "c": 2210}


def test_what_is_not_defined_is_not_explained_and_never_zero() -> None:
    made = {"y": Drivers(Op.PRODUCT, ("a", "b")), "b": Drivers(Op.RATIO, ("p", "q"))}
    before = {"y": Fraction(0), "a": Fraction(0), "b": None, "p": Fraction(0), "q": Fraction(0)}
    after = {"y": Fraction(6), "a": Fraction(3), "b": Fraction(2), "p": Fraction(4), "q": Fraction(2)}
    [only] = explain(made, "y", before, after)
    assert only.contribution == 6
    assert only.unexplained


@given(st.lists(st.decimals(-1000, 1000, places=3), min_size=1, max_size=6))
@example([Decimal("0.5"), Decimal("0.5"), Decimal(-1)])
def test_whole_parts_sum_and_lie_beside_their_shares(shares: list[Decimal]) -> None:
    whole = int(sum(shares, Decimal()).to_integral_value("ROUND_FLOOR"))
    parts = whole_parts(whole, shares)
    assert sum(parts) == whole
    assert all(abs(part - share) < 2 for part, share in zip(parts, shares, strict=True))


def test_what_drives_itself_is_refused() -> None:
    loop = {"a": Drivers(Op.SUM, ("b",)), "b": Drivers(Op.SUM, ("a",))}
    with pytest.raises(Invalid, match="would drive itself"):
        check_tree(loop, "a")
    with pytest.raises(Invalid, match="two places"):
        check_tree({"a": Drivers(Op.SUM, ("b", "b"))}, "a")


def test_the_trees_of_the_house_hold() -> None:
    for root in DRIVERS:
        check_tree(DRIVERS, root)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.builds(Segment, NUMBERS, NUMBERS)),
    st.dictionaries(st.sampled_from("abcd"), st.builds(Segment, NUMBERS, NUMBERS)),
)
def test_shifts_and_changes_of_segments_sum_to_the_change_of_the_whole(
    before: dict[str, Segment], after: dict[str, Segment]
) -> None:
    parts = explain_segments(before, after)
    change = sum(part.weight * part.ratio for part in after.values()) - sum(
        part.weight * part.ratio for part in before.values()
    )
    assert sum(shift + own for shift, own in parts.values()) == change
