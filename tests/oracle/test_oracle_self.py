"""The reference checked by hand: tiny cases worked out on paper."""

from datetime import date

import pytest

from .contract_terms import contract_of, read_contracts
from .olist_files import Line, Order, instant, minor_units, reconcile
from .olist_oracle import Parked, half_even, settle, statements

END = date(2018, 6, 30)


def line(price: int, freight: int = 0, *, merchant: str = "m", category: str | None = None) -> Line:
    return Line(merchant_ref=merchant, category=category, price=price, freight=freight)


def order(
    ref: str,
    *lines: Line,
    settles: str = "2018-06-10 12:00:00",
    bought: str = "2018-06-01",
    status: str = "delivered",
    payments: tuple[int, ...] = (),
) -> Order:
    return Order(ref, f"buyer of {ref}", status, date.fromisoformat(bought), instant(settles), lines, payments)


def contract_text(name: str, terms: str, *, valid_from: str = "2018-01-01") -> str:
    base = "" if "base" in terms else 'base = "goods"'
    return f'[[contract]]\nname = "{name}"\ncurrency = "BRL"\nvalid_from = {valid_from}\n{base}\n{terms}\n'


def charges(terms: str, *orders: Order) -> list[tuple[int, int]]:
    """Commission and VAT of each row under one contract, in the order of the pass."""
    rated, parked = settle(orders, read_contracts(contract_text("c", terms)), END)
    assert not parked
    return [(row.commission_minor, row.vat_minor) for row in rated]


# --- rounding, money and time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [(499_999, 0), (500_000, 0), (500_001, 1), (1_500_000, 2), (2_500_000, 2), (3_500_000, 4), (2_500_001, 3)],
)
def test_half_even_ties(exact: int, rounded: int) -> None:
    assert half_even(exact) == rounded


def test_money_is_whole_centavos() -> None:
    assert minor_units("58.90") == 5890
    assert minor_units("0.1") == 10
    with pytest.raises(ValueError, match="centavos"):
        minor_units("1.005")


def test_settlement_date_is_local_though_the_instant_is_the_next_day_in_utc() -> None:
    late = order("o", line(1000), settles="2018-06-30 23:59:59")
    assert late.settles_at.isoformat() == "2018-07-01T02:59:59+00:00"
    assert late.settles_on == END
    assert [row.order_ref for row in settle([late], read_contracts(contract_text("c", "rate_ppm = 1")), END)[0]] == [
        "o"
    ]


# --- commission ------------------------------------------------------------------------------------------------------


def test_flat_rate_rounds_ties_to_even_per_order() -> None:
    # 5 %: 1010 gives 50.5, to 50; 1030 gives 51.5, to 52; together they would give 102.
    assert charges("rate_ppm = 50000", order("a", line(1010)), order("b", line(1030))) == [(50, 0), (52, 0)]


def test_lines_of_one_contract_are_rated_together() -> None:
    # 5 % of 10 + 10 is 1; line by line, 0.5 would round to 0 twice.
    assert charges("rate_ppm = 50000", order("a", line(10), line(10))) == [(1, 0)]


def test_base_with_freight() -> None:
    assert charges('base = "goods_and_freight"\nrate_ppm = 100000', order("a", line(1000, 250))) == [(125, 0)]


@pytest.mark.parametrize(
    ("price", "commission"),
    [
        (1000, 700),  # 100 + 500 fixed = 600, below the minimum
        (2000, 700),  # 200 + 500 = 700: the minimum counts the fixed part
        (2010, 701),
        (4000, 900),
        (9000, 900),  # 900 + 500 = 1400, above the maximum, which counts the fixed part too
    ],
)
def test_fixed_then_minimum_then_maximum(price: int, commission: int) -> None:
    terms = "rate_ppm = 100000\nfixed_minor = 500\nmin_minor = 700\nmax_minor = 900"
    assert charges(terms, order("a", line(price))) == [(commission, 0)]


TIERS = """tiers = [
    { from_minor = 0, rate_ppm = 150000 },
    { from_minor = 1000, rate_ppm = 100000 },
    { from_minor = 3000, rate_ppm = 50000 },
]"""


def test_tiers_crossed_inside_one_order() -> None:
    # 900 at 15 % = 135. The next 2200 fill 100 at 15 %, 2000 at 10 %, 100 at 5 %: 15 + 200 + 5 = 220.
    # The last 110 at 5 % = 5.5, cumulative 360.5, to 360: the order bears 360 - 355 = 5.
    orders = [order(ref, line(price)) for ref, price in (("a", 900), ("b", 2200), ("c", 110))]
    assert charges(TIERS, *orders) == [(135, 0), (220, 0), (5, 0)]


def test_tiers_round_the_cumulative_and_orders_bear_differences() -> None:
    # 15 % of 3, 6, 9, 12 is 0.45, 0.9, 1.35, 1.8: cumulative 0, 1, 1, 2.
    assert charges(TIERS, *(order(ref, line(3)) for ref in "abcd")) == [(0, 0), (1, 0), (0, 0), (1, 0)]


def test_minimum_does_not_shift_the_tiers() -> None:
    # The third order's difference is 1.35 - 0.9, from cumulative 1 to 1, whatever the minimum added before.
    assert charges(TIERS + "\nmin_minor = 40", order("a", line(900)), order("b", line(100))) == [(135, 0), (40, 0)]
    assert charges(TIERS + "\nmin_minor = 40", *(order(ref, line(ref_price)) for ref, ref_price in (
        ("a", 100), ("b", 900), ("c", 1000),
    ))) == [(40, 0), (135, 0), (100, 0)]  # fmt: skip


def test_tiers_begin_again_each_local_month_merchant_and_version() -> None:
    text = contract_text("c", TIERS + "\nvalid_until = 2018-06-01") + contract_text("c", TIERS, valid_from="2018-06-01")
    orders = [
        order("a", line(1000), settles="2018-05-31 23:30:00", bought="2018-05-01"),  # already June in UTC
        order("b", line(1000), settles="2018-06-01 00:10:00", bought="2018-05-01"),
        order("c", line(1000), settles="2018-06-02 00:10:00", bought="2018-05-31"),
        order("d", line(1000), settles="2018-06-03 00:10:00", bought="2018-06-01"),
        order("e", line(1000, merchant="n"), settles="2018-06-04 00:10:00", bought="2018-06-01"),
    ]
    rated, _ = settle(orders, read_contracts(text), END)
    assert [row.commission_minor for row in rated] == [150, 150, 100, 150, 150]


def test_the_pass_takes_instant_then_order_then_contract() -> None:
    text = contract_text("z", "rate_ppm = 500000\nvat_ppm = 500000") + contract_text(
        "B", 'rate_ppm = 500000\nvat_ppm = 500000\ncategories = ["x"]'
    )
    later = order("a", line(2), settles="2018-06-02 00:00:00")
    second = order("c", line(2), line(2, category="x"), settles="2018-06-01 00:00:00")
    first = order("b", line(2), settles="2018-06-01 00:00:00")
    rated, _ = settle([later, second, first], read_contracts(text), END)
    # Commission is 1 each, VAT 50 %: cumulative 0.5, 1, 1.5, 2 rounds to 0, 1, 2, 2.
    assert [(row.order_ref, row.contract, row.vat_minor) for row in rated] == [
        ("b", "z", 0),
        ("c", "B", 1),
        ("c", "z", 1),
        ("a", "z", 0),
    ]


# --- VAT -------------------------------------------------------------------------------------------------------------


def test_vat_telescopes_over_the_month() -> None:
    # Commission 10 each, VAT 5 %: cumulative 0.5, 1, 1.5, 2, 2.5 rounds to 0, 1, 2, 2, 2.
    orders = [order(ref, line(100)) for ref in "abcde"]
    assert [vat for _, vat in charges("rate_ppm = 100000\nvat_ppm = 50000", *orders)] == [0, 1, 1, 0, 0]


def test_vat_runs_over_all_contracts_of_one_rate_and_apart_for_another() -> None:
    text = (
        contract_text("five", "rate_ppm = 100000\nvat_ppm = 50000")
        + contract_text("five too", 'rate_ppm = 100000\nvat_ppm = 50000\ncategories = ["x"]')
        + contract_text("ten", 'rate_ppm = 100000\nvat_ppm = 100000\ncategories = ["y"]')
        + contract_text("none", 'rate_ppm = 100000\ncategories = ["z"]')
    )
    orders = [
        order(ref, line(100, category=category)) for ref, category in (("a", ""), ("b", "y"), ("c", "x"), ("d", "z"))
    ]
    rated, _ = settle(orders, read_contracts(text), END)
    assert [(row.contract, row.vat_minor) for row in rated] == [("five", 0), ("ten", 1), ("five too", 1), ("none", 0)]


# --- which contract --------------------------------------------------------------------------------------------------


def chosen(text: str, one: Line, bought: str = "2018-06-01") -> str | None:
    contract = contract_of(one, date.fromisoformat(bought), read_contracts(text))
    return contract.name if contract else None


def test_precedence() -> None:
    neither = contract_text("neither", "rate_ppm = 1", valid_from="2018-05-04")
    categories = contract_text("categories", 'categories = ["x"]\nrate_ppm = 1', valid_from="2018-05-03")
    merchants = contract_text("merchants", 'merchants = ["m"]\nrate_ppm = 1', valid_from="2018-05-02")
    both = contract_text("both", 'merchants = ["m"]\ncategories = ["x"]\nrate_ppm = 1', valid_from="2018-05-01")
    text = neither + categories + merchants + both
    assert chosen(text, line(1, merchant="m", category="x")) == "both"
    assert chosen(text, line(1, merchant="m", category="y")) == "merchants"
    assert chosen(text, line(1, merchant="n", category="x")) == "categories"
    assert chosen(text, line(1, merchant="n", category="y")) == "neither"
    assert chosen(text, line(1, merchant="n", category=None)) == "neither"


def test_latest_start_then_name_by_code_point() -> None:
    names = ["álbum", "alpha", "Zebra"]
    assert chosen("".join(contract_text(name, "rate_ppm = 1") for name in names), line(1)) == "Zebra"
    assert chosen("".join(contract_text(name, "rate_ppm = 1") for name in names[:2]), line(1)) == "alpha"
    later = contract_text("zz", "rate_ppm = 1", valid_from="2018-01-02")
    assert chosen(contract_text("Zebra", "rate_ppm = 1") + later, line(1)) == "zz"


def test_validity_is_half_open_on_the_purchase_date() -> None:
    text = contract_text("c", "rate_ppm = 1\nvalid_until = 2018-07-01")
    days = ("2017-12-31", "2018-01-01", "2018-06-30", "2018-07-01")
    assert [chosen(text, line(1), bought=day) for day in days] == [None, "c", "c", None]


def test_an_uncovered_line_parks_that_merchants_share_only() -> None:
    text = contract_text("c", 'categories = ["x"]\nrate_ppm = 100000')
    mixed = order("a", line(1, category="x"), line(1, category="y"), line(100, merchant="n", category="x"))
    rated, parked = settle([mixed], read_contracts(text), END)
    assert parked == [Parked("a", "m", date(2018, 6, 10))]
    assert [(row.merchant_ref, row.commission_minor) for row in rated] == [("n", 10)]


def test_only_delivered_orders_up_to_the_date_settle() -> None:
    text = contract_text("c", "rate_ppm = 1")
    orders = [
        order("a", line(1), settles="2018-06-30 23:59:59"),
        order("b", line(1), settles="2018-07-01 00:00:00"),
        order("c", line(1), status="shipped"),
        order("d", line(1), status="canceled"),
    ]
    assert [row.order_ref for row in settle(orders, read_contracts(text), END)[0]] == ["a"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (contract_text("c", "rate_ppm = 1") + contract_text("c", "rate_ppm = 1", valid_from="2019-01-01"), "overlap"),
        (contract_text("c", "tiers = [{ from_minor = 1, rate_ppm = 1 }]"), "start at 0"),
        (contract_text("c", "tiers = [{ from_minor = 0, rate_ppm = 1 }, { from_minor = 0, rate_ppm = 2 }]"), "rise"),
        (contract_text("c", "rate_ppm = 1.0"), "whole number"),
        (contract_text("c", "rate_ppm = 1\nmin_minor = -1"), "whole number"),
        (contract_text("c", "rate_ppm = 1\nmerchants = []"), "empty"),
        (contract_text("c", "rate_ppm = 1\nvalid_until = 2018-01-01"), "not after"),
        (contract_text("c", "rate_ppm = 1\ntiers = [{ from_minor = 0, rate_ppm = 1 }]"), "rate_ppm or tiers"),
        (contract_text("c", "rate_ppm = 1\ncolour = 1"), "colour"),
    ],
)
def test_a_wrong_contract_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_contracts(text)


# --- statements and reconciliation -----------------------------------------------------------------------------------


def test_statement_opens_with_what_settled_before() -> None:
    text = contract_text("c", "rate_ppm = 100000\nvat_ppm = 50000")
    orders = [
        order("a", line(1000, 200), settles="2018-05-31 12:00:00"),  # 100 commission, 5 VAT: net 1095
        order("b", line(2000, 300), line(500, 50)),  # 250 commission, 12.5 VAT to 12
        order("c", line(2000, 300)),  # 200 commission, cumulative VAT 22.5 to 22: 10
        order("d", line(700, merchant="early"), settles="2018-05-02 12:00:00"),  # 70, 3.5 to 4: net 626
        order("e", line(700, merchant="late"), settles="2018-07-02 12:00:00"),
    ]
    rated, _ = settle(orders, read_contracts(text), date(2018, 7, 31))
    early, one = statements(rated, "2018-06")
    assert (early.merchant_ref, early.orders, early.opening_minor, early.closing_minor) == ("early", 0, 626, 626)
    assert (one.orders, one.opening_minor, one.goods_minor, one.freight_minor) == (2, 1095, 4500, 650)
    assert (one.commission_minor, one.vat_minor, one.closing_minor) == (-450, -22, 5773)


def test_reconciliation_by_hand() -> None:
    orders = [
        order("matched", line(100, 10), payments=(60, 50)),
        order("under by one", line(100), payments=(99,)),
        order("over by one", line(100), payments=(101,)),
        order("over by two", line(100), payments=(102,)),
        order("no items", payments=(7,)),
        order("no payment", line(30, 5)),
        order("neither"),
    ]
    report = reconcile(orders)
    assert {name: (part["count"], part["difference_minor"]) for name, part in report.items()} == {
        "matched": (1, 0),
        "tolerance": (2, 0),
        "amount_break": (1, 2),
        "payment_without_items": (1, 7),
        "order_without_payment": (1, -35),
        "bridge": (6, -26),
    }
