"""What units of a line are worth: any way to take them comes to the line exactly, and never to more than is left."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demand.fulfilment.units import LineUnits, check_units, worth_of_units
from demand.model import OrderLine
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import allocate


def line(quantity: int, goods: int, **values: Any) -> OrderLine:
    empty = {name: 0 for name in OrderLine.__struct_fields__ if name.endswith(("_minor", "_quantity"))}
    known: dict[str, Any] = {"line_no": 1, "product_id": 1, "category": None, "contract_id": None, "title": ""}
    return OrderLine(**{**empty, **known, "amendment_id": None, "quantity": quantity, "goods_minor": goods, **values})


@st.composite
def lines(draw: st.DrawFn) -> OrderLine:
    goods = draw(st.integers(0, 10**6))
    return line(
        draw(st.integers(1, 12)),
        goods,
        freight_minor=draw(st.integers(0, 10**4)),
        discount_minor=draw(st.integers(0, goods)),
    )


@given(lines(), st.data())
def test_however_the_units_go_they_come_to_the_line(of: OrderLine, data: st.DataObject) -> None:
    whole, goods, freight = of, 0, 0
    while left := of.quantity - of.cancelled_quantity - of.returned_quantity:
        taken = data.draw(st.integers(1, left))
        worth = worth_of_units(of, taken)
        column = data.draw(st.sampled_from(["cancelled_quantity", "returned_quantity"]))
        goods, freight = goods + worth.goods_minor, freight + worth.freight_minor
        of = msgspec.structs.replace(
            of,
            **{column: getattr(of, column) + taken},
            refunded_goods_minor=goods,
            refunded_freight_minor=freight,
        )
    assert (goods, freight) == (whole.goods_minor - whole.discount_minor, whole.freight_minor)


@given(lines(), st.data())
def test_one_by_one_is_the_largest_remainder(of: OrderLine, data: st.DataObject) -> None:
    each = [1] * of.quantity
    goods, freight = allocate(of.goods_minor - of.discount_minor, each), allocate(of.freight_minor, each)
    gone = data.draw(st.integers(0, of.quantity - 1))
    worth = worth_of_units(
        msgspec.structs.replace(
            of,
            cancelled_quantity=gone,
            refunded_goods_minor=sum(goods[:gone]),
            refunded_freight_minor=sum(freight[:gone]),
        ),
        1,
    )
    assert (worth.goods_minor, worth.freight_minor) == (goods[gone], freight[gone])


def test_what_was_given_back_otherwise_is_not_given_again() -> None:
    assert worth_of_units(line(2, 4000, refunded_goods_minor=2000), 1).goods_minor == 1000
    assert worth_of_units(line(2, 4000, refunded_goods_minor=2500, cancelled_quantity=1), 1).goods_minor == 1500


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ([LineUnits(1, 3)], "/lines/0/quantity"),
        ([LineUnits(1, 0)], "/lines/0/quantity"),
        ([LineUnits(1, 1), LineUnits(3, 1)], "/lines/1/line_no"),
        ([LineUnits(1, 1), LineUnits(1, 1)], "/lines/1/line_no"),
        ([LineUnits(2, 1)], "/lines/0/quantity"),
    ],
)
def test_units_that_are_not_there_are_refused_by_name(wanted: list[LineUnits], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_units(wanted, {1: 2, 2: 0}, "shipped")
    assert refused.value.extra == {"pointer": pointer}


def test_nothing_at_all_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        check_units([], {1: 0}, "shipped")
