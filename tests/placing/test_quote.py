"""What a cart costs: pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demand.carts.model import CartLine, Listing, price

lines_of = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 50)),
    min_size=1,
    max_size=8,
    unique_by=lambda x: x[:2],
).map(lambda found: [CartLine(merchant_id=m, product_id=p, quantity=q) for m, p, q in found])
prices = st.fixed_dictionaries(
    {(m, p): st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)) for m in range(1, 4) for p in range(1, 5)}
)


def listed(merchant_id: int, product_id: int, amounts: tuple[int, int], **more: Any) -> Listing:
    values = {"currency": "EUR", "sold": True, "entity_id": 1, "price_minor": amounts[0], "freight_minor": amounts[1]}
    return Listing(merchant_id=merchant_id, product_id=product_id, **{**values, **more})


@given(lines_of, prices)
def test_a_quote_is_the_sum_of_its_lines_in_any_order(
    lines: list[CartLine], amounts: dict[tuple[int, int], tuple[int, int]]
) -> None:
    listings = [listed(m, p, both) for (m, p), both in amounts.items()]
    quote = price("EUR", lines, listings)
    assert quote == price("EUR", lines[::-1], listings[::-1])
    assert quote.goods_minor == sum(amounts[one.merchant_id, one.product_id][0] * one.quantity for one in lines)
    assert quote.freight_minor == sum(amounts[one.merchant_id, one.product_id][1] * one.quantity for one in lines)
    assert quote.total_minor == quote.goods_minor + quote.freight_minor == sum(o.total_minor for o in quote.orders)
    assert [order.merchant_id for order in quote.orders] == sorted({one.merchant_id for one in lines})
    assert quote.placeable is all(order.total_minor > 0 for order in quote.orders)


@given(lines_of, prices, st.data())
def test_another_price_or_quantity_is_another_quote(
    lines: list[CartLine], amounts: dict[tuple[int, int], tuple[int, int]], data: st.DataObject
) -> None:
    before = price("EUR", lines, [listed(m, p, both) for (m, p), both in amounts.items()])
    one = data.draw(st.sampled_from(lines))
    key = one.merchant_id, one.product_id
    dearer = {**amounts, key: (amounts[key][0] + 1, amounts[key][1])}
    assert price("EUR", lines, [listed(m, p, both) for (m, p), both in dearer.items()]).quote != before.quote
    more = [
        CartLine(merchant_id=o.merchant_id, product_id=o.product_id, quantity=o.quantity + (o is one)) for o in lines
    ]
    assert price("EUR", more, [listed(m, p, both) for (m, p), both in amounts.items()]).quote != before.quote


@pytest.mark.parametrize(
    ("listing", "problem"),
    [
        (None, "is not for sale"),
        (listed(1, 1, (100, 0), sold=False), "is not for sale"),
        (listed(1, 1, (100, 0), currency="USD"), "is sold in USD, not in EUR"),
        (listed(1, 1, (100, 0), free=1), "only 1 left"),
        (listed(1, 1, (100, 0), free=2), None),
        (listed(1, 1, (100, 0)), None),
    ],
)
def test_what_cannot_be_bought_is_said(listing: Listing | None, problem: str | None) -> None:
    quote = price("EUR", [CartLine(merchant_id=1, product_id=1, quantity=2)], [listing] if listing else [])
    assert quote.lines[0].problem == problem
    assert quote.placeable is (problem is None)


def test_two_legal_entities_cannot_be_paid_at_once() -> None:
    lines = [CartLine(merchant_id=m, product_id=1, quantity=1) for m in (1, 2)]
    listings = [listed(1, 1, (100, 0), entity_id=1), listed(2, 1, (100, 0), entity_id=2)]
    assert not price("EUR", lines, listings).placeable
