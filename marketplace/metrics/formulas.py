"""What a figure is made of: sums, products and ratios of measured inputs, exact. Pure.

An input that is not known makes what needs it unknown, and so does a ratio by zero: undefined is None, never 0.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import TypeAlias

import msgspec

Number: TypeAlias = Fraction | int
Inputs: TypeAlias = Mapping[str, Number | None]


class Sum(msgspec.Struct, frozen=True):
    """All of `plus` less all of `minus`."""

    plus: tuple["Expression", ...]
    minus: tuple["Expression", ...] = ()


class Product(msgspec.Struct, frozen=True):
    factors: tuple["Expression", ...]


class Ratio(msgspec.Struct, frozen=True):
    over: "Expression"
    under: "Expression"


Expression: TypeAlias = str | int | Sum | Product | Ratio
"""A name stands for an input, a number for itself."""


def evaluate(expression: Expression, inputs: Inputs) -> Fraction | None:
    """The value of an expression; None where an input is not known, or something is divided by zero."""
    match expression:
        case str():
            known = inputs.get(expression)
            return None if known is None else Fraction(known)
        case int():
            return Fraction(expression)
        case Sum(plus, minus):
            added, taken = _all(plus, inputs), _all(minus, inputs)
            return None if added is None or taken is None else sum(added, Fraction()) - sum(taken, Fraction())
        case Product(factors):
            found = _all(factors, inputs)
            return None if found is None else prod(found, start=Fraction(1))
        case Ratio(over, under):
            both = _all((over, under), inputs)
            return both[0] / both[1] if both is not None and both[1] else None


def _all(expressions: tuple[Expression, ...], inputs: Inputs) -> list[Fraction] | None:
    found = [evaluate(each, inputs) for each in expressions]
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else None


def inputs_of(expression: Expression) -> frozenset[str]:
    """The names of what an expression is made of."""
    match expression:
        case str():
            return frozenset({expression})
        case int():
            return frozenset()
        case Sum(plus, minus):
            parts: tuple[Expression, ...] = (*plus, *minus)
        case Product(factors):
            parts = factors
        case Ratio(over, under):
            parts = (over, under)
    return frozenset().union(*(inputs_of(part) for part in parts))
