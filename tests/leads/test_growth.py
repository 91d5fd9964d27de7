"""What became of merchants between two periods, on hand-made figures with known answers, and for any figures."""

from hypothesis import given
from hypothesis import strategies as st

from supply.leads.growth import growth

amounts = st.dictionaries(st.integers(1, 8), st.integers(0, 1_000), max_size=8)


def test_every_figure_of_growth() -> None:
    """1 grows by 50, 2 shrinks by 40, 3 goes (100), 4 is new (30), 5 is back (20), 6 has long gone."""
    found = growth({1: 100, 2: 200, 3: 100, 7: 0}, {1: 150, 2: 160, 4: 30, 5: 20, 7: -5}, {1, 5, 6})
    assert (found.start, found.new, found.retained, found.reactivated, found.churned, found.end) == (3, 1, 2, 1, 1, 4)
    assert (found.start_minor, found.new_minor, found.reactivated_minor, found.existing_minor) == (400, 30, 20, 310)
    assert (found.expansion_minor, found.contraction_minor, found.churned_minor) == (50, 40, 100)
    assert (found.retention_ppm, found.reactivation_ppm) == (666_667, 500_000)
    assert (found.nrr_ppm, found.grr_ppm) == (775_000, 650_000)
    assert found.quick_ratio_ppm == 714_286  # 100 / 140


def test_what_divides_by_nothing_is_none() -> None:
    found = growth({}, {1: 10}, set())
    assert (found.retention_ppm, found.reactivation_ppm, found.nrr_ppm, found.grr_ppm, found.quick_ratio_ppm) == (
        None, None, None, None, None,
    )  # fmt: skip


@given(amounts, amounts, st.sets(st.integers(1, 8)))
def test_counts_and_amounts_tie(before: dict[int, int], now: dict[int, int], earlier: set[int]) -> None:
    found = growth(before, now, earlier)
    assert found.end == found.start + found.new + found.reactivated - found.churned
    grown = found.start_minor + found.expansion_minor - found.contraction_minor - found.churned_minor
    assert grown == found.existing_minor
    assert grown + found.new_minor + found.reactivated_minor == sum(minor for minor in now.values() if minor > 0)
    assert found.grr_ppm is None or 0 <= found.grr_ppm <= 1_000_000
    assert found.grr_ppm is None or (found.nrr_ppm or 0) >= found.grr_ppm
