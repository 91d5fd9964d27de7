"""Rates are integer parts per million; every division names how it rounds."""

PPM = 1_000_000
"""One, in parts per million."""


def divide_half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` rounded to the nearest integer, ties to the even one (IEEE 754 roundTiesToEven).

    Raises ZeroDivisionError for a zero denominator and ValueError for a negative one.
    """
    if denominator < 0:
        raise ValueError("the denominator must be positive")
    quotient, remainder = divmod(numerator, denominator)
    doubled = 2 * remainder
    return quotient + (doubled > denominator or (doubled == denominator and quotient % 2 == 1))


def apply_half_even(amount: int, rate_ppm: int) -> int:
    """`amount` (minor units) times `rate_ppm`, half-even, in minor units."""
    return divide_half_even(amount * rate_ppm, PPM)
