"""Amounts are read as people of any country write them, and refused where that may mean two things."""

import pytest
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.money import AMOUNT_MAX, MINOR_DIGITS, minor_from_typed, text_from_minor


@given(
    st.integers(0, AMOUNT_MAX), st.sampled_from(["EUR", "JPY", "KWD"]), st.sampled_from(["en", "pt_BR", "zh", "de_CH"])
)
def test_what_is_shown_in_a_language_can_be_typed_in_it(minor: int, currency: str, locale: str) -> None:
    digits = MINOR_DIGITS[currency]
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    shown = format_decimal(text_from_minor(minor, currency), pattern, locale=locale).replace("’", "'")
    assert minor_from_typed(shown, currency) == minor
    assert minor_from_typed(text_from_minor(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("typed", "minor"),
    [("12,5", 12_50), ("12.50", 12_50), ("1,000.00", 1_000_00), ("1.000,00", 1_000_00), ("1 000,5", 1_000_50),
     ("1,000,000", 1_000_000_00), ("-1.234.567,89", -1_234_567_89), ("0,50", 50), ("1000", 1_000_00)],
)  # fmt: skip
def test_a_mark_is_what_it_can_only_be(typed: str, minor: int) -> None:
    assert minor_from_typed(typed, "EUR") == minor


@pytest.mark.parametrize("typed", ["1,000", "1.000", "12,345"])
def test_a_thousand_here_and_one_there_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=f"'{typed}' may mean .*: write it without a mark between thousands"):
        minor_from_typed(typed, "EUR")


@pytest.mark.parametrize("typed", ["1.000.00", "1,00,000.00", "ten", "1,2,3", "1.2345", "", ",5"])
def test_what_is_refused_is_named_as_it_was_typed(typed: str) -> None:
    with pytest.raises(ValueError, match=f"^'{typed}'"):
        minor_from_typed(typed, "EUR")
