"""Why a figure moved: its change divided over what drives it, so that the parts sum to the change exactly. Pure.

Each way of joining drivers gives every driver a slope k, so that the change is the sum of k x the driver's change:
of a sum, k is 1 (of what is taken off, -1); of a product by log-mean (LMDI-I, Ang 2004), k = L(Y1, Y0) / L(x1, x0) with
L(a, b) = (a - b) / (ln a - ln b), L(a, a) = a; where a factor is zero or negative, by Shapley: k is the mean of what
the others multiply to, over all orders in which the factors may change. Slopes multiply down a tree, so drivers of
drivers sum up, too. What is left by rounding goes by largest remainder: whole numbers that sum, at every level.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from math import factorial, prod

import msgspec

from marketplace.core.errors import Invalid

_DIGITS = 60


class Op(StrEnum):
    """How drivers make up what they drive. RATIO: the first by the second."""

    SUM = "sum"
    PRODUCT = "product"
    RATIO = "ratio"


class Drivers(msgspec.Struct, frozen=True):
    """What drives a figure. minus: which drivers of a sum are taken off."""

    op: Op
    names: tuple[str, ...]
    minus: frozenset[str] = frozenset()


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """A driver's part of the change of what it drives, in the whole units of the root of the tree.

    unexplained: what drives it is not defined in one of the periods, so its own change is all that can be said.
    """

    name: str
    level: int
    parent: str | None
    before: Fraction | None
    after: Fraction | None
    contribution: int
    unexplained: bool = False


Trees = Mapping[str, Drivers]
Values = Mapping[str, Fraction | None]


def check_tree(trees: Trees, root: str) -> None:
    """Raise Invalid for a tree in which something drives itself, or drives two things at once."""

    def walk(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise Invalid(f"tree: {name} would drive itself, by {' <- '.join((*above, name))}")
        if name in seen:
            raise Invalid(f"tree: {name} stands at two places")
        seen.add(name)
        for below in trees[name].names if name in trees else ():
            walk(below, (*above, name))

    seen: set[str] = set()
    walk(root, ())


def value_of(drivers: Drivers, values: Values) -> Fraction | None:
    """What drivers come to; None where one is not defined, or the second of a ratio is zero."""
    found = [values.get(name) for name in drivers.names]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    if drivers.op is Op.SUM:
        signed = zip(drivers.names, known, strict=True)
        return sum((-each if name in drivers.minus else each for name, each in signed), Fraction())
    if drivers.op is Op.PRODUCT:
        return prod(known, start=Fraction(1))
    return known[0] / known[1] if known[1] else None


def explain(trees: Trees, root: str, before: Values, after: Values, *, scale: int = 1) -> list[Contribution]:
    """The contributions of all that drives `root`, from the top down, in units of 1 / scale.

    Those below one driver sum to its own exactly, and those at the first level to the change of the root, rounded. The
    first is the root itself. Empty where the root is not defined in both periods.
    """
    first, last = before.get(root), after.get(root)
    if first is None or last is None:
        return []
    change = round(last * scale) - round(first * scale)
    found: list[Contribution] = []

    def walk(name: str, parent: str | None, level: int, slope: Decimal, whole: int) -> None:
        drivers = trees.get(name)
        slopes = _slopes(drivers, before, after) if drivers else None
        found.append(
            Contribution(
                name=name, level=level, parent=parent, before=before.get(name), after=after.get(name),
                contribution=whole, unexplained=drivers is not None and slopes is None,
            )
        )  # fmt: skip
        if drivers is None or slopes is None:
            return
        steep = [slope * each for each in slopes]
        shares = [
            each * _decimal(_known(after, below) - _known(before, below))
            for below, each in zip(drivers.names, steep, strict=True)
        ]
        for below, each, part in zip(drivers.names, steep, whole_parts(whole, shares), strict=True):
            walk(below, name, level + 1, each, part)

    with localcontext() as context:
        context.prec = _DIGITS
        walk(root, None, 0, Decimal(scale), change)
    return found


def whole_parts(whole: int, shares: Sequence[Decimal]) -> list[int]:
    """Whole numbers that sum to `whole`, each near its share: what is missing goes, evenly, to the largest remainders.

    The shares sum to about `whole`; of equal remainders the first is served.
    """
    floors = [int(share.to_integral_value("ROUND_FLOOR")) for share in shares]
    missing = whole - sum(floors)
    each, odd = divmod(missing, len(shares))
    first = sorted(range(len(shares)), key=lambda place: (floors[place] - shares[place], place))
    return [floor + each + (1 if place in first[:odd] else 0) for place, floor in enumerate(floors)]


def _slopes(drivers: Drivers, before: Values, after: Values) -> list[Decimal] | None:
    """Each driver's slope; None where the drivers do not come to something in both periods."""
    first, last = value_of(drivers, before), value_of(drivers, after)
    if first is None or last is None:
        return None
    x0 = [_known(before, name) for name in drivers.names]
    x1 = [_known(after, name) for name in drivers.names]
    if drivers.op is Op.SUM:
        return [Decimal(-1 if name in drivers.minus else 1) for name in drivers.names]
    if drivers.op is Op.PRODUCT:
        return _product_slopes(x0, x1)
    # a / b is a x (1 / b), and the change of 1 / b is that of b by -1 / (b0 b1)
    over, inverse = _product_slopes([x0[0], 1 / x0[1]], [x1[0], 1 / x1[1]])
    return [over, inverse * _decimal(-1 / (x0[1] * x1[1]))]


def _product_slopes(x0: Sequence[Fraction], x1: Sequence[Fraction]) -> list[Decimal]:
    if all(each > 0 for each in (*x0, *x1)):
        whole = log_mean(prod(x1, start=Fraction(1)), prod(x0, start=Fraction(1)))
        return [whole / log_mean(new, old) for old, new in zip(x0, x1, strict=True)]
    return [_decimal(_shapley_slope(place, x0, x1)) for place in range(len(x0))]


def log_mean(a: Fraction, b: Fraction) -> Decimal:
    """L(a, b) of two that are above zero: between both, and either of them where they are equal."""
    if a == b:
        return _decimal(a)
    return _decimal(a - b) / _decimal(a / b).ln()


def _shapley_slope(place: int, x0: Sequence[Fraction], x1: Sequence[Fraction]) -> Fraction:
    others = [number for number in range(len(x0)) if number != place]
    slope = Fraction()
    for size in range(len(x0)):
        weight = Fraction(factorial(size) * factorial(len(others) - size), factorial(len(x0)))
        for changed in combinations(others, size):
            slope += weight * prod((x1[n] if n in changed else x0[n] for n in others), start=Fraction(1))
    return slope


class Segment(msgspec.Struct, frozen=True):
    """A part of the whole: its weight, and the ratio within it."""

    weight: Fraction
    ratio: Fraction


def explain_segments(
    before: Mapping[str, Segment], after: Mapping[str, Segment]
) -> dict[str, tuple[Fraction, Fraction]]:
    """Of each segment, what the shift of its weight and what the change of its ratio did to the weighted sum.

    delta = sum of (w1 - w0) x mean(r) + mean(w) x (r1 - r0), exactly (Marshall-Edgeworth). A segment that is new or
    gone has the weight 0 then, and the ratio that it has in the other period: all of it is a shift of weight.
    """
    found = {}
    for name in sorted({*before, *after}):
        w0, r0 = _part(before, after, name)
        w1, r1 = _part(after, before, name)
        found[name] = ((w1 - w0) * (r0 + r1) / 2, (w0 + w1) / 2 * (r1 - r0))
    return found


def _part(here: Mapping[str, Segment], there: Mapping[str, Segment], name: str) -> tuple[Fraction, Fraction]:
    if name in here:
        return here[name].weight, here[name].ratio
    return Fraction(), there[name].ratio


def _known(values: Values, name: str) -> Fraction:
    found = values[name]
    assert found is not None, "value_of has looked at it"
    return found


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
