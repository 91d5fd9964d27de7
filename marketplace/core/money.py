"""Money is an integer of minor units with a currency; it is divided once, without losing a unit."""

import re
from collections.abc import Sequence

import msgspec

from marketplace.core.errors import Invalid

MINOR_DIGITS: dict[str, int] = {
    "AED": 2, "ARS": 2, "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2, "COP": 2,
    "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2, "HKD": 2, "HUF": 2, "IDR": 2, "ILS": 2, "INR": 2, "JOD": 3,
    "JPY": 0, "KRW": 0, "KWD": 3, "MXN": 2, "MYR": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PEN": 2, "PHP": 2,
    "PLN": 2, "PYG": 0, "RON": 2, "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2, "TND": 3, "TRY": 2, "TWD": 2,
    "USD": 2, "UYU": 2, "VND": 0, "ZAR": 2,
}  # fmt: skip
"""Digits of the minor unit by currency (ISO 4217): the currencies this platform accepts."""

AMOUNT_MAX = 10**12
"""The largest amount one field may carry, in minor units: nine million of them still sum within 64 bits.

Their product with a rate in ppm does too, but that of a sum of ten does not: `billing.at_rate` takes care of it in SQL.
"""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units of `currency` (ISO 4217)."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        check_currency(self.currency)

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise Invalid(f"{self.currency} and {other.currency} cannot be added: exchange is two entries")
        return Money(self.minor + other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)


def check_currency(currency: str) -> str:
    """Return `currency` when the platform accepts it; raise Invalid otherwise."""
    if currency not in MINOR_DIGITS:
        raise Invalid(f"currency: {currency!r} is not a currency this platform accepts", pointer="/currency")
    return currency


def minor_from_text(text: str, currency: str) -> int:
    """A decimal amount as written in a file, such as "199.00", in minor units. Exact: never through a float.

    Raises ValueError when the text is no plain decimal number, has more digits than the currency's minor unit, or
    is larger than AMOUNT_MAX.
    """
    digits = MINOR_DIGITS[check_currency(currency)]
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, point, fraction = body.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (point and not (fraction.isascii() and fraction.isdigit())):
        raise ValueError(f"{text!r} is not a decimal amount")
    if fraction[digits:].strip("0"):
        raise ValueError(f"{text!r} has more than {digits} decimals, {currency} has {digits}")
    minor = int(whole + fraction[:digits].ljust(digits, "0"))
    if minor > AMOUNT_MAX:
        raise ValueError(f"{text!r} is larger than this platform books in one amount")
    return sign * minor


_GROUPED = re.compile(r"(-?[1-9][0-9]{0,2})((?:([,. \u00a0\u202f'])[0-9]{3})(?:\3[0-9]{3})*)(?:([.,])([0-9]+))?")
"""Digits in groups of three, and decimals behind another mark."""


def minor_from_typed(typed: str, currency: str) -> int:
    """An amount as people write it, with a point or a comma before its decimals and its thousands in groups or not.

    Raises ValueError as `minor_from_text` does, and for what is a thousand here and one there, such as "1,000".
    """
    plain, found = typed.replace(",", ".", 1), _GROUPED.fullmatch(typed)
    if found is not None and found[3] != found[4]:
        whole = found[1] + found[2].replace(found[3], "")
        if found[3] not in {".", ","} or found[4] is not None or found[2].count(found[3]) > 1:
            plain = f"{whole}.{found[5]}" if found[4] else whole
        elif (digits := MINOR_DIGITS[check_currency(currency)]) == 0:
            plain = whole
        elif digits != 3:
            raise ValueError(f"{typed!r} may mean {whole} or {plain}: write it without a mark between thousands")
    try:
        return minor_from_text(plain, currency)
    except ValueError as fault:
        raise ValueError(str(fault).replace(repr(plain), repr(typed))) from fault  # in the words that were typed


def text_from_minor(minor: int, currency: str) -> str:
    """Minor units as a plain decimal, the inverse of `minor_from_text`: 19900 BRL is "199.00"."""
    digits = MINOR_DIGITS[check_currency(currency)]
    sign, body = ("-" if minor < 0 else ""), str(abs(minor)).rjust(digits + 1, "0")
    return f"{sign}{body[:-digits]}.{body[-digits:]}" if digits else f"{sign}{body}"


def written(minor: int, currency: str) -> str:
    """An amount as people write it, such as "199.00 BRL"."""
    return f"{text_from_minor(minor, currency)} {currency}"


def allocate(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide `amount` (minor units) over `weights` by largest remainder; ties go to the earlier position.

    The shares sum to `amount`, a weight of zero gets nothing, and no share is a whole unit away from its exact value.
    A negative amount is the mirror of the positive one. Divide once and store the shares: the rule is not monotone,
    so dividing again after a change moves cents between lines. Raises ValueError for a negative weight, or when there
    is something to divide and no weight to carry it.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight cannot be negative")
    if amount < 0:
        return [-share for share in allocate(-amount, weights)]
    total = sum(weights)
    if total == 0:
        if amount:
            raise ValueError("nothing carries the amount: every weight is zero")
        return [0] * len(weights)
    shares = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in by_remainder[: amount - sum(shares)]:
        shares[i] += 1
    return shares
