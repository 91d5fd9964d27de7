"""Amounts as people write them, in SQL."""

from marketplace.core.money import MINOR_DIGITS

_USUAL = 2
_OTHERS = " ".join(f"WHEN '{name}' THEN {digits}" for name, digits in MINOR_DIGITS.items() if digits != _USUAL)


def written_sql(minor: str, currency: str) -> str:
    """An expression that says what `core.money.written` does, of two others: an integer and a currency."""
    digits = f"CASE {currency} {_OTHERS} ELSE {_USUAL} END"
    return f"(round(({minor}) / power(10::numeric, {digits}), {digits}) || ' ' || {currency})"
