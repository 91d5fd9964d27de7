"""The reference on the real files: the issue's own figures, and worked examples checked by hand."""

import csv
import os
from datetime import date
from pathlib import Path

import pytest

from .contract_terms import read_contracts
from .olist_files import Order, import_counts, read_market, reconcile
from .olist_oracle import ORDER_COLUMNS, Parked, Rated, main, month_of, settle

CONTRACTS = Path(__file__).parent / "contracts"
END = date(2018, 6, 30)
DATA = os.environ.get("MARKETPLACE_DATA")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(DATA is None, reason="MARKETPLACE_DATA does not name the folder with olist/"),
]


@pytest.fixture(scope="module")
def market() -> list[Order]:
    assert DATA is not None
    return read_market(Path(DATA) / "olist")


def settled(market: list[Order], file: str) -> tuple[list[Rated], list[Parked]]:
    return settle(market, read_contracts((CONTRACTS / file).read_text(encoding="utf-8")), END)


def month_rows(rated: list[Rated], merchant: str, period: str) -> list[tuple[str, str, int, int, int]]:
    return [
        (row.order_ref[:6], row.contract, row.base_minor, row.commission_minor, row.vat_minor)
        for row in rated
        if row.merchant_ref.startswith(merchant) and month_of(row.settled_on) == period
    ]


def test_counts_and_bridge_of_the_issue(market: list[Order]) -> None:
    assert import_counts(market) == {
        "orders": 33_213,
        "order_lines": 37_818,
        "merchants": 2_362,
        "buyers": 32_760,
        "payments": 34_779,
        "gmv_minor": 454_971_933,
        "freight_minor": 75_212_372,
        "payments_minor": 535_174_326,
        "rejected": 0,
    }
    report = reconcile(market)
    assert {name: part["count"] for name, part in report.items() if name != "bridge"} == {
        "matched": 32_785,
        "tolerance": 99,
        "amount_break": 101,
        "payment_without_items": 227,
        "order_without_payment": 1,
    }
    assert report["tolerance"]["difference_minor"] + report["amount_break"]["difference_minor"] == 90_822
    assert report["bridge"]["difference_minor"] == 4_990_021 == 535_174_326 - 454_971_933 - 75_212_372


def test_worked_example_tiers_versions_and_two_vat_rates(market: list[Order]) -> None:
    # Bought before 5 June, on goods: 169.99 at 15 % = 25.4985, to 25.50. Cumulative 339.98: 200.00 at 15 % = 30.00,
    #   139.98 at 12.5 % = 17.4975, together 47.4975, to 47.50, so the second order bears 22.00.
    #   VAT 5 %: of 25.50 = 1.275, to 1.28 (tie, even); of 47.50 = 2.375, to 2.38 (tie, even): 1.10.
    # Furniture bought 30 May, goods and freight 83.82 at 10.5 % = 8.8011, to 8.80, plus 1.99 fixed = 10.79.
    # Bought from 5 June, goods and freight, 0.25 fixed, thresholds 150.50 and 800.00:
    #   185.27: 150.50 at 13.5 % = 20.3175, 34.77 at 11.05 % = 3.842085, together 24.159585, to 24.16; 24.41
    #   318.33: 20.3175 + 167.83 at 11.05 % = 18.545215, together 38.862715, to 38.86: 14.70; 14.95
    #   416.66: 20.3175 + 266.16 at 11.05 % = 29.41068, together 49.72818, to 49.73: 10.87; 11.12
    #   (the last is furniture bought after that contract's end)
    # VAT 12.5 %, furniture first: of 10.79 = 1.34875, to 1.35; of 35.20 = 4.40: 3.05; of 50.15 = 6.26875, to 6.27:
    #   1.87; of 61.27 = 7.65875, to 7.66: 1.39.
    rated, parked = settled(market, "tiers.toml")
    assert parked == []
    assert month_rows(rated, "d6b1ce66", "2018-06") == [
        ("c9af6b", "standard", 16999, 2550, 128),
        ("4d60e5", "furniture", 8382, 1079, 135),
        ("4deced", "standard", 16999, 2200, 110),
        ("817320", "standard", 18527, 2441, 305),
        ("24464b", "standard", 13306, 1495, 187),
        ("1dbda1", "standard", 9833, 1112, 139),
    ]


def test_worked_example_two_contracts_in_one_order(market: list[Order]) -> None:
    # A health article of 760.00: "Zebra" of three that cover it, 9.5 % = 72.20, at most 20.00; VAT 20 % of 20.00.
    # A small appliance of 255.00: "base from 2018", 12.25 % = 31.2375, at most 17.50. VAT of 37.50 = 7.50: 3.50.
    rated, _ = settled(market, "precedence.toml")
    assert month_rows(rated, "5bf397d0", "2018-05")[:2] == [
        ("131772", "Zebra", 76000, 2000, 400),
        ("131772", "base from 2018", 25500, 1750, 350),
    ]
    # A product without a category beside a perfume, 11.90 each: 12.25 % = 1.45775, to 1.46, VAT 20 % = 0.292, to
    # 0.29; "alpha" and "Zebra" do not name perfume, so "álbum", 1 % = 0.119, to 0.12, VAT 5 % = 0.006, to 0.01.
    assert month_rows(rated, "2f4b0d3b", "2018-03") == [
        ("d2cbe1", "base from 2018", 1190, 146, 29),
        ("d2cbe1", "álbum", 1190, 12, 1),
    ]


def test_worked_example_a_free_tier_and_a_minimum(market: list[Order]) -> None:
    # 9.95 % to 600.00, then 0 to 900.00, then 6 %; minimum 1.20. Cumulative base and half-even commission:
    #   87.32: 8.68834, 8.69 | 241.85: 24.064075, 24.06, so 15.37 | 374.49: 37.261755, 37.26, so 13.20
    #   638.04: 59.70, so 22.44 | 791.76: 59.70, so 0, minimum 1.20 | 879.98: the same
    #   967.30: 59.70 + 67.30 at 6 % = 63.738, 63.74, so 4.04 | 1680.21: 59.70 + 46.8126 = 106.5126, so 42.77
    rated, parked = settled(market, "gaps.toml")
    assert [(base, commission) for _, _, base, commission, _ in month_rows(rated, "2eb70248", "2018-06")[:8]] == [
        (8732, 869),
        (15453, 1537),
        (13264, 1320),
        (26355, 2244),
        (15372, 120),
        (8822, 120),
        (8732, 404),
        (71291, 4277),
    ]
    assert (len(rated), len(parked)) == (9_864, 19_162)


@pytest.mark.parametrize("file", ["tiers.toml", "precedence.toml", "gaps.toml"])
def test_command_line_files_add_up(tmp_path: Path, file: str) -> None:
    assert DATA is not None
    main([
        f"{DATA}/olist", str(CONTRACTS / file),
        "--through", "2018-06-30", "--period", "2018-06", "--out", str(tmp_path),
    ])  # fmt: skip
    with (tmp_path / "orders.csv").open(encoding="utf-8", newline="") as opened:
        orders = list(csv.DictReader(opened))
    with (tmp_path / "statements.csv").open(encoding="utf-8", newline="") as opened:
        lines = list(csv.DictReader(opened))
    assert tuple(orders[0]) == ORDER_COLUMNS
    assert {row["settled_on"][:7] for row in orders} == {"2018-06"}
    keys = [(row["merchant_ref"], row["order_ref"], row["contract"]) for row in orders]
    assert keys == sorted(set(keys))
    for column in ("commission_minor", "vat_minor"):
        assert sum(int(row[column]) for row in orders) == -sum(int(row[column]) for row in lines)
    amounts = [column for column in lines[0] if column.endswith("_minor") and column != "closing_minor"]
    for row in lines:
        assert int(row["closing_minor"]) == sum(int(row[column]) for column in amounts)
