"""Pricing of change sets: what is shown is what the lines come to, and units telescope."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demand.amendments.model import Add, Changes, GivenBack, Listing, NewLine, Priced, Reprice, TakeOff
from demand.amendments.pricing import price_changes
from demand.fulfilment.units import unit_share
from demand.model import OrderLine
from marketplace.core.errors import Invalid
from tests.orders.amending import worth

LISTING = Listing(product_id=9, title="a cable", category="toys", price_minor=333, freight_minor=7)
LISTINGS: Mapping[int, Listing] = {LISTING.product_id: LISTING}


def a_line(line_no: int = 1, quantity: int = 3, goods_minor: int = 1_000, **fields: int) -> OrderLine:
    amounts = {"freight_minor": 100, "discount_minor": 0, "refunded_goods_minor": 0, "refunded_freight_minor": 0}
    units = dict.fromkeys(("cancelled_quantity", "shipped_quantity", "delivered_quantity", "returned_quantity"), 0)
    known = {"category": "toys", "title": "a lamp", "product_id": 5, "contract_id": None, "amendment_id": None}
    named = {"line_no": line_no, "quantity": quantity, "goods_minor": goods_minor}
    return msgspec.convert({**known, **amounts, **units, **named, **fields}, OrderLine)


def applied(lines: list[OrderLine], priced: Priced) -> list[OrderLine]:
    """The lines after a change set, by the rule in words: what is given back is given back, what is new is new."""
    back: dict[int, GivenBack] = {one.line_no: one for one in priced.given_back}
    changed = [
        msgspec.structs.replace(
            line,
            cancelled_quantity=line.cancelled_quantity + back[line.line_no].quantity,
            refunded_goods_minor=line.refunded_goods_minor + back[line.line_no].goods_minor,
            refunded_freight_minor=line.refunded_freight_minor + back[line.line_no].freight_minor,
        )
        if line.line_no in back
        else line
        for line in lines
    ]
    return [*changed, *map(_as_line, priced.added)]


def _as_line(new: NewLine) -> OrderLine:
    return a_line(new.line_no, new.quantity, new.goods_minor, freight_minor=new.freight_minor)


@st.composite
def orders(draw: st.DrawFn) -> list[OrderLine]:
    """Lines in all conditions: discounted, partly refunded, cancelled, shipped."""
    lines = []
    for line_no in range(1, draw(st.integers(1, 4)) + 1):
        quantity = draw(st.integers(1, 6))
        goods, freight = draw(st.integers(0, 10_000)), draw(st.integers(0, 500))
        discount = draw(st.integers(0, goods))
        shipped = draw(st.integers(0, quantity))
        line = a_line(
            line_no,
            quantity,
            goods,
            freight_minor=freight,
            discount_minor=discount,
            refunded_goods_minor=draw(st.integers(0, goods - discount)),
            refunded_freight_minor=draw(st.integers(0, freight)),
            shipped_quantity=shipped,
            cancelled_quantity=draw(st.integers(0, quantity - shipped)),
        )
        lines.append(line)
    return lines


@st.composite
def change_sets(draw: st.DrawFn) -> tuple[list[OrderLine], Changes]:
    lines = draw(orders())
    offs, reprices = [], []
    for line in lines:
        unshipped = line.quantity - line.shipped_quantity - line.cancelled_quantity
        if unshipped and draw(st.booleans()):
            offs.append(TakeOff(line_no=line.line_no, quantity=draw(st.integers(1, unshipped))))
        if draw(st.booleans()):
            amount = draw(st.integers(-3_000, 3_000).filter(bool))
            reprices.append(Reprice(line_no=line.line_no, amount_minor=amount, reason="why not"))
    adds = [Add(product_id=9, quantity=draw(st.integers(1, 9)))] if draw(st.booleans()) else []
    return lines, Changes(take_off=tuple(offs), add=tuple(adds), reprice=tuple(reprices))


@given(change_sets())
def test_the_difference_is_what_the_order_is_worth_after_less_before(case: tuple[list[OrderLine], Changes]) -> None:
    lines, changes = case
    try:
        priced = price_changes(lines, changes, LISTINGS).priced
    except Invalid:
        return  # what the lines do not bear is refused; which that is, the tests below say
    after = applied(lines, priced)
    assert priced.delta_minor == worth(after) - worth(lines)
    assert priced.delta_minor == priced.goods_delta_minor + priced.freight_delta_minor
    back = sum(one.goods_minor + one.freight_minor for one in priced.given_back)
    added = sum(one.goods_minor + one.freight_minor for one in priced.added)
    carried = sum(one.carried_goods_minor + one.carried_freight_minor for one in priced.given_back)
    assert carried == priced.carried_minor == min(back, added)
    for one in priced.given_back:
        assert 0 <= one.carried_goods_minor <= one.goods_minor
        assert 0 <= one.carried_freight_minor <= one.freight_minor
    for line, view in zip(after, priced.lines, strict=True):
        left = line.goods_minor - line.discount_minor - line.refunded_goods_minor
        assert (view.line_no, view.goods_after_minor) == (line.line_no, left)
        assert view.quantity_after == line.quantity - line.cancelled_quantity - line.returned_quantity
        assert 0 <= line.refunded_goods_minor <= line.goods_minor - line.discount_minor
        assert 0 <= line.refunded_freight_minor <= line.freight_minor


@given(st.integers(0, 10**9), st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_units_taken_in_any_steps_come_to_the_line_and_to_the_same_at_every_step(left: int, steps: list[int]) -> None:
    units, total = sum(steps), left
    given = 0
    for step in steps:
        share = unit_share(left - given, units, step)
        given, units = given + share, units - step
        assert given == unit_share(total, sum(steps), sum(steps) - units)
    assert given == left


def test_a_preview_shows_every_line_before_and_after() -> None:
    lines = [a_line(), a_line(2, 1, 500, freight_minor=0)]
    changes = Changes(take_off=(TakeOff(line_no=1, quantity=1),), add=(Add(product_id=9, quantity=2),))
    priced = price_changes(lines, changes, LISTINGS).priced
    shown = [
        (v.line_no, v.quantity_before, v.quantity_after, v.goods_before_minor, v.goods_after_minor)
        for v in priced.lines
    ]
    assert shown == [(1, 3, 2, 1_000, 666), (2, 1, 1, 500, 500), (3, 0, 2, 0, 666)]
    assert (priced.goods_delta_minor, priced.freight_delta_minor, priced.delta_minor) == (332, -34 + 14, 312)
    assert priced.carried_minor == 368


OFF, UP = TakeOff(line_no=1, quantity=1), Reprice(line_no=1, amount_minor=5, reason="x")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        (Changes(), ""),
        (Changes(take_off=(TakeOff(line_no=7, quantity=1),)), "/take_off/0/line_no"),
        (Changes(take_off=(TakeOff(line_no=1, quantity=3),)), "/take_off/0/quantity"),
        (Changes(take_off=(OFF, OFF)), "/take_off/1/line_no"),
        (Changes(add=(Add(product_id=1, quantity=1),)), "/add/0/product_id"),
        (Changes(reprice=(UP, UP)), "/reprice/1/line_no"),
        (Changes(reprice=(Reprice(line_no=1, amount_minor=0, reason="x"),)), "/reprice/0/amount_minor"),
        (Changes(reprice=(Reprice(line_no=1, amount_minor=-1_001, reason="x"),)), "/reprice/0/amount_minor"),
        (Changes(reprice=(Reprice(line_no=9, amount_minor=-1, reason="x"),)), "/reprice/0/line_no"),
    ],
)
def test_what_the_lines_do_not_bear_is_refused_by_name(changes: Changes, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        price_changes([a_line(shipped_quantity=1)], changes, LISTINGS)
    assert refused.value.extra["pointer"] == pointer


def test_an_amendment_leaves_something_of_the_order() -> None:
    with pytest.raises(Invalid, match="cancel it instead"):
        price_changes([a_line()], Changes(take_off=(TakeOff(line_no=1, quantity=3),)), LISTINGS)
