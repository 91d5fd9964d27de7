"""Units of order lines: which may be taken, and what they are worth. Pure; amounts are minor units."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec

from demand.model import OrderLine, OrderState
from marketplace.core.errors import Conflict, Invalid

LINES_MAX = 1000


class LineUnits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of units of an order line."""

    line_no: Annotated[int, msgspec.Meta(ge=1, le=2**15 - 1)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Worth(msgspec.Struct, frozen=True):
    """What units of a line are worth, and so what comes back for them."""

    goods_minor: int
    freight_minor: int


def unshipped(line: OrderLine) -> int:
    """Units that still have to leave."""
    return line.quantity - line.cancelled_quantity - line.shipped_quantity


def undelivered(line: OrderLine) -> int:
    """Units that still have to arrive."""
    return line.quantity - line.cancelled_quantity - line.delivered_quantity


def kept(line: OrderLine) -> int:
    """Units that the buyer has or waits for: all that was neither cancelled nor given back.

    Of a delivered order it has them; the delivered quantity would not do, which orders imported delivered do not have.
    """
    return line.quantity - line.cancelled_quantity - line.returned_quantity


def is_out(line: OrderLine, state: OrderState) -> bool:
    """Whether units of an order in this state are under way to the buyer or with it."""
    delivered = state in {OrderState.DELIVERED, OrderState.SETTLED}
    return (kept(line) if delivered else line.shipped_quantity - line.returned_quantity) > 0


def left_by(lines: Sequence[OrderLine], measure: Callable[[OrderLine], int]) -> list[LineUnits]:
    """The lines of which something is left by that measure, and how much."""
    return [LineUnits(line.line_no, left) for line in lines if (left := measure(line))]


def check_units(wanted: Sequence[LineUnits], left: Mapping[int, int], deed: str) -> None:
    """Raise Invalid unless every line exists, is named once and has as many units left; Conflict for none at all.

    left: units by line number. deed: what is to become of them, such as "shipped".
    """
    if not wanted:
        raise Conflict(f"lines: nothing is left to be {deed}")
    for position, units in enumerate(wanted):
        where = f"/lines/{position}"
        if units.line_no not in left:
            raise Invalid(f"line_no: the order has no line {units.line_no}", pointer=f"{where}/line_no")
        if any(other.line_no == units.line_no for other in wanted[:position]):
            raise Invalid(f"line_no: line {units.line_no} is named twice", pointer=f"{where}/line_no")
        if not 0 < units.quantity <= left[units.line_no]:
            raise Invalid(
                f"quantity: {units.quantity} is not between 1 and {left[units.line_no]}, what is left to be {deed}",
                pointer=f"{where}/quantity",
            )


def worth_of_units(line: OrderLine, quantity: int) -> Worth:
    """What comes back for the next units of a line that are cancelled, returned or amended away, freight included.

    Each bears its share of what is left of the line: what was given back otherwise, as a price cut, is not given again,
    and what the buyer keeps stays paid.
    """
    goods = line.goods_minor - line.discount_minor - line.refunded_goods_minor
    freight = line.freight_minor - line.refunded_freight_minor
    return Worth(unit_share(goods, kept(line), quantity), unit_share(freight, kept(line), quantity))


def unit_share(left_minor: int, units: int, taken: int) -> int:
    """What `taken` of `units` units give back of an amount, minor units.

    The amount is divided over the units as `allocate` does with equal weights, and the first are taken first. So it
    does not matter in how many steps units are taken, and the last takes what is left.
    """
    each, dearer = divmod(left_minor, units)
    return each * taken + min(taken, dearer)
