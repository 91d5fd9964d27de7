"""Units of order lines: which may be taken, and what they are worth. Pure; amounts are minor units."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec

from demand.model import OrderLine
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
    """Units of a delivered order that the buyer has: all that was neither cancelled nor given back.

    Not the delivered quantity, which orders that were imported delivered do not have.
    """
    return line.quantity - line.cancelled_quantity - line.returned_quantity


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
    """What comes back for the next units of a line that are cancelled or returned, freight included.

    The units bear the line's price less its discount in equal parts by largest remainder, the earlier units the odd
    cents: taken one by one or at once they come to the line exactly. What was given back otherwise is not given again.
    """
    gone = line.cancelled_quantity + line.returned_quantity

    def share(total: int, left: int) -> int:
        return min(_first(total, line.quantity, gone + quantity) - _first(total, line.quantity, gone), left)

    goods = line.goods_minor - line.discount_minor
    return Worth(
        share(goods, goods - line.refunded_goods_minor),
        share(line.freight_minor, line.freight_minor - line.refunded_freight_minor),
    )


def _first(total: int, quantity: int, units: int) -> int:
    """What the first of `quantity` equal units bear of `total`: the sum of `money.allocate` over that many weights."""
    each, odd = divmod(total, quantity)
    return each * units + min(odd, units)
