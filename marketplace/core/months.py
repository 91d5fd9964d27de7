"""Time measured in calendar months, exactly: what a yearly price is worth each month, and what is left of a period.

A day's place is the number of its month, plus the part of that month that is over when the day begins. So a year is
twelve equal months, as an accountant writes it, and within a month every day counts the same. Pure.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction

from marketplace.core.rates import divide_half_even


def place(on: date) -> Fraction:
    """Where a day begins, in months."""
    return on.year * 12 + on.month - 1 + Fraction(on.day - 1, monthrange(on.year, on.month)[1])


def elapsed(from_on: date, to_on: date, on: date) -> Fraction:
    """Which part of [from_on, to_on) is over when the day `on` begins: 0 before it, 1 after it.

    Raises ValueError for an empty period.
    """
    if to_on <= from_on:
        raise ValueError("a period ends after it begins")
    within = min(max(on, from_on), to_on)
    return (place(within) - place(from_on)) / (place(to_on) - place(from_on))


def used(amount: int, from_on: date, to_on: date, on: date) -> int:
    """The part of an amount for [from_on, to_on) that is used when the day `on` begins, half-even.

    It telescopes: over any days the differences sum to the amount.
    """
    share = elapsed(from_on, to_on, on)
    return divide_half_even(amount * share.numerator, share.denominator)


def add_months(on: date, months: int) -> date:
    """The same day so many months later, the last of the month where that has no such day."""
    years, month = divmod(on.year * 12 + on.month - 1 + months, 12)
    return date(years, month + 1, min(on.day, monthrange(years, month + 1)[1]))


def first_of_month(on: date) -> date:
    return on.replace(day=1)


def last_of_month(on: date) -> date:
    return add_months(first_of_month(on), 1) - timedelta(days=1)


def month_ends(from_on: date, to_on: date) -> Iterator[date]:
    """The last day of each calendar month that begins before `to_on`, from that of `from_on` on."""
    month = first_of_month(from_on)
    while month < to_on:
        yield last_of_month(month)
        month = add_months(month, 1)
