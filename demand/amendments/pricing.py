"""What a set of changes to a paid order comes to, line by line. Pure.

Paid lines are never rewritten: units taken off give back their share of what is left of the line, a price cut gives
back part of it, units and surcharges added are lines of their own. What is given back pays for what is added first;
only the difference moves money.
"""

from collections.abc import Mapping, Sequence

from demand.amendments.model import (
    Changes,
    ChangeSet,
    GivenBack,
    LineChange,
    Listing,
    NewLine,
    Priced,
    Reprice,
    TakeOff,
)
from demand.fulfilment.units import kept, worth_of_units
from demand.model import OrderLine
from marketplace.core.errors import Invalid
from marketplace.core.money import AMOUNT_MAX, allocate


def price_changes(lines: Sequence[OrderLine], changes: Changes, listings: Mapping[int, Listing]) -> ChangeSet:
    """Price a set of changes against an order's lines as they stand.

    Raises Invalid, naming the change, for one that the lines do not bear, for a listing that is not there, and when
    nothing would be changed or nothing be left of the order.
    """
    if not (changes.take_off or changes.add or changes.reprice):
        raise Invalid("changes: nothing is changed", pointer="")
    of = {line.line_no: line for line in lines}
    _check_named_once(changes)
    taken = {}
    for position, off in enumerate(changes.take_off):
        taken[off.line_no] = _check_take_off(of, off, f"take_off/{position}")
    worth = {number: worth_of_units(of[number], off.quantity) for number, off in taken.items()}
    back = {number: (taken[number].quantity, minor.goods_minor, minor.freight_minor) for number, minor in worth.items()}
    added: list[NewLine] = []
    next_no = max(of, default=0) + 1
    for position, more in enumerate(changes.add):
        if more.product_id not in listings:
            raise _invalid(f"add/{position}/product_id", f"the merchant lists no product {more.product_id}")
        listing = listings[more.product_id]
        added.append(_units_added(next_no + len(added), listing, more.quantity, f"add/{position}"))
    for position, change in enumerate(changes.reprice):
        _check_reprice(of, change, f"reprice/{position}")
        quantity, goods, freight = back.get(change.line_no, (0, 0, 0))
        line = of[change.line_no]
        left = line.goods_minor - line.discount_minor - line.refunded_goods_minor - goods
        if kept(line) == quantity:
            raise _invalid(f"reprice/{position}/line_no", f"nothing is left of line {change.line_no}")
        if change.amount_minor > 0:
            added.append(_surcharge(next_no + len(added), line, change))
        elif -change.amount_minor > left:
            raise _invalid(f"reprice/{position}/amount_minor", f"{left} is left of line {change.line_no}")
        else:
            back[change.line_no] = (quantity, goods - change.amount_minor, freight)
    priced = _put_together(lines, back, added)
    used = tuple(listings[more.product_id] for more in changes.add)
    return ChangeSet(changes=changes, listings=used, priced=priced)


def _invalid(pointer: str, reason: str) -> Invalid:
    return Invalid(f"{pointer}: {reason}", pointer=f"/{pointer}")


def _check_named_once(changes: Changes) -> None:
    for field, name, named in (
        ("take_off", "line_no", [off.line_no for off in changes.take_off]),
        ("add", "product_id", [more.product_id for more in changes.add]),
        ("reprice", "line_no", [change.line_no for change in changes.reprice]),
    ):
        for position, number in enumerate(named):
            if number in named[:position]:
                raise _invalid(f"{field}/{position}/{name}", f"{number} is named twice")


def _check_take_off(of: Mapping[int, OrderLine], off: TakeOff, where: str) -> TakeOff:
    line = of.get(off.line_no)
    if line is None:
        raise _invalid(f"{where}/line_no", f"the order has no line {off.line_no}")
    unshipped = line.quantity - line.cancelled_quantity - line.shipped_quantity
    if off.quantity > unshipped:
        raise _invalid(f"{where}/quantity", f"{unshipped} units of line {off.line_no} are not shipped yet")
    return off


def _check_reprice(of: Mapping[int, OrderLine], change: Reprice, where: str) -> None:
    if change.line_no not in of:
        raise _invalid(f"{where}/line_no", f"the order has no line {change.line_no}")
    if change.amount_minor == 0:
        raise _invalid(f"{where}/amount_minor", "nothing is changed by it")


def _units_added(line_no: int, listing: Listing, quantity: int, where: str) -> NewLine:
    goods, freight = listing.price_minor * quantity, listing.freight_minor * quantity
    if goods > AMOUNT_MAX or freight > AMOUNT_MAX:
        raise _invalid(f"{where}/quantity", "it comes to more than this platform books in one amount")
    return NewLine(
        line_no=line_no,
        product_id=listing.product_id,
        category=listing.category,
        title=listing.title,
        quantity=quantity,
        goods_minor=goods,
        freight_minor=freight,
        surcharge_on=None,
    )


def _surcharge(line_no: int, line: OrderLine, change: Reprice) -> NewLine:
    """A line of its own, of the same category and so the same contract; no stock belongs to it."""
    return NewLine(
        line_no=line_no,
        product_id=None,
        category=line.category,
        title=change.reason,
        quantity=1,
        goods_minor=change.amount_minor,
        freight_minor=0,
        surcharge_on=line.line_no,
    )


def _put_together(
    lines: Sequence[OrderLine], back: Mapping[int, tuple[int, int, int]], added: Sequence[NewLine]
) -> Priced:
    """back: units, goods and freight given back, by line."""
    plus = sum(line.goods_minor + line.freight_minor for line in added)
    minus = sum(goods + freight for _, goods, freight in back.values())
    carried = min(plus, minus)
    views = [*(_changed(line, *back.get(line.line_no, (0, 0, 0))) for line in lines), *map(_new, added)]
    if sum(view.goods_after_minor + view.freight_after_minor for view in views) == 0:
        raise Invalid("changes: nothing would be left of the order; cancel it instead", pointer="")
    weights = [part for _, goods, freight in back.values() for part in (goods, freight)]
    shares = iter(allocate(carried, weights))
    given_back = [
        GivenBack(
            line_no=number,
            quantity=quantity,
            goods_minor=goods,
            freight_minor=freight,
            carried_goods_minor=next(shares),
            carried_freight_minor=next(shares),
        )
        for number, (quantity, goods, freight) in back.items()
    ]
    return Priced(
        lines=tuple(views),
        given_back=tuple(given_back),
        added=tuple(added),
        goods_delta_minor=sum(view.goods_after_minor - view.goods_before_minor for view in views),
        freight_delta_minor=sum(view.freight_after_minor - view.freight_before_minor for view in views),
        delta_minor=plus - minus,
        carried_minor=carried,
    )


def _changed(line: OrderLine, quantity: int, goods_minor: int, freight_minor: int) -> LineChange:
    units = kept(line)
    goods = line.goods_minor - line.discount_minor - line.refunded_goods_minor
    freight = line.freight_minor - line.refunded_freight_minor
    return LineChange(
        line_no=line.line_no,
        product_id=line.product_id,
        title=line.title,
        quantity_before=units,
        quantity_after=units - quantity,
        goods_before_minor=goods,
        goods_after_minor=goods - goods_minor,
        freight_before_minor=freight,
        freight_after_minor=freight - freight_minor,
    )


def _new(line: NewLine) -> LineChange:
    return LineChange(
        line_no=line.line_no,
        product_id=line.product_id,
        title=line.title,
        quantity_before=0,
        quantity_after=line.quantity,
        goods_before_minor=0,
        goods_after_minor=line.goods_minor,
        freight_before_minor=0,
        freight_after_minor=line.freight_minor,
    )
