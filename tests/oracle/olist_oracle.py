"""What the Olist job must yield, computed a second time from the issue's text alone.

Reads the Olist folder and a contracts file and computes import counts, the reconciliation of payments with orders,
the commission rows of one settlement pass, and the statements of one month. Standard library only and no import from
the product: an error shared with the product could not be seen. Clarity goes before speed. Every amount is an integer
of minor units (centavos), every rate parts per million, every rounding one `round(Fraction)`, which is half-even.

    python -m tests.oracle.olist_oracle FOLDER CONTRACTS.toml --through 2018-06-30 --period 2018-06 --out DIR
"""

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path

from .contract_terms import CURRENCY, Contract, Tier, contract_of, read_contracts
from .olist_files import Line, Order, import_counts, read_market, reconcile

PPM = 1_000_000


# --- rating -----------------------------------------------------------------------------------------------------------


def half_even(amount_times_ppm: int) -> int:
    """An amount multiplied by parts per million, back in minor units; a tie goes to the even neighbour."""
    return round(Fraction(amount_times_ppm, PPM))


def graduated_charge(tiers: Sequence[Tier], base: int) -> int:
    """Commission on a cumulative base: each slice at the rate of its tier, rounded once over the total."""
    exact = 0
    for tier, following in zip(tiers, [*tiers[1:], None], strict=True):
        slice_end = base if following is None else min(base, following.from_minor)
        exact += max(0, slice_end - tier.from_minor) * tier.rate_ppm
    return half_even(exact)


def commission_on(contract: Contract, base: int, base_before: int) -> int:
    """An order's commission; `base_before` is the merchant's base under this contract earlier in the month."""
    if contract.graduated:
        rated = graduated_charge(contract.tiers, base_before + base) - graduated_charge(contract.tiers, base_before)
    else:
        rated = half_even(base * contract.tiers[0].rate_ppm)
    commission = rated + contract.fixed_minor
    if contract.min_minor is not None:
        commission = max(commission, contract.min_minor)
    if contract.max_minor is not None:
        commission = min(commission, contract.max_minor)
    return commission


# --- the settlement pass ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unrated:
    """The lines of one merchant's order that fall under one contract."""

    settles_at: datetime
    order_ref: str
    merchant_ref: str
    settled_on: date
    contract: Contract
    lines: tuple[Line, ...]

    @property
    def goods_minor(self) -> int:
        return sum(line.price for line in self.lines)

    @property
    def freight_minor(self) -> int:
        return sum(line.freight for line in self.lines)

    @property
    def base_minor(self) -> int:
        return self.goods_minor + (self.freight_minor if self.contract.base == "goods_and_freight" else 0)


@dataclass(frozen=True)
class Rated:
    """A row of orders.csv (its first seven fields) and the parts a statement adds up."""

    order_ref: str
    merchant_ref: str
    settled_on: date
    contract: str
    base_minor: int
    commission_minor: int
    vat_minor: int
    goods_minor: int
    freight_minor: int

    @property
    def net_minor(self) -> int:
        return self.goods_minor + self.freight_minor - self.commission_minor - self.vat_minor


@dataclass(frozen=True)
class Parked:
    """A merchant's order of which at least one line is under no contract."""

    order_ref: str
    merchant_ref: str
    settled_on: date


def settle(orders: Iterable[Order], contracts: Sequence[Contract], through: date) -> tuple[list[Rated], list[Parked]]:
    """One pass over every delivered order up to and including the local date `through`, none settled before."""
    unrated: list[Unrated] = []
    parked: list[Parked] = []
    for order in orders:
        if order.status != "delivered" or order.settles_on > through:
            continue
        for merchant_ref in sorted({line.merchant_ref for line in order.lines}):
            parts = split_by_contract(order, merchant_ref, contracts)
            if parts is None:
                parked.append(Parked(order.ref, merchant_ref, order.settles_on))
            else:
                unrated += parts
    unrated.sort(key=lambda part: (part.settles_at, part.order_ref, part.contract.name))
    return rate(unrated), parked


def split_by_contract(order: Order, merchant_ref: str, contracts: Sequence[Contract]) -> list[Unrated] | None:
    """A merchant's share of an order by contract; None where a line of it is uncovered."""
    by_contract: dict[Contract, list[Line]] = defaultdict(list)
    for line in order.lines:
        if line.merchant_ref != merchant_ref:
            continue
        contract = contract_of(line, order.purchased_on, contracts)
        if contract is None:
            return None
        by_contract[contract].append(line)
    return [
        Unrated(order.settles_at, order.ref, merchant_ref, order.settles_on, contract, tuple(lines))
        for contract, lines in by_contract.items()
    ]


def rate(in_order: Iterable[Unrated]) -> list[Rated]:
    """Commission and VAT of parts given in the order of the pass.

    Tiers run over the base of (merchant, contract version, month); VAT over the commission of (merchant, VAT rate,
    month), whatever the contract.
    """
    base_before: dict[tuple[str, tuple[int, int], str, date], int] = defaultdict(int)
    commission_before: dict[tuple[str, tuple[int, int], int], int] = defaultdict(int)
    rated: list[Rated] = []
    for part in in_order:
        contract = part.contract
        month = (part.settled_on.year, part.settled_on.month)

        base_key = (part.merchant_ref, month, contract.name, contract.valid_from)
        commission = commission_on(contract, part.base_minor, base_before[base_key])
        base_before[base_key] += part.base_minor

        vat_key = (part.merchant_ref, month, contract.vat_ppm)
        charged = commission_before[vat_key]
        vat = half_even((charged + commission) * contract.vat_ppm) - half_even(charged * contract.vat_ppm)
        commission_before[vat_key] += commission

        rated.append(
            Rated(
                order_ref=part.order_ref,
                merchant_ref=part.merchant_ref,
                settled_on=part.settled_on,
                contract=contract.name,
                base_minor=part.base_minor,
                commission_minor=commission,
                vat_minor=vat,
                goods_minor=part.goods_minor,
                freight_minor=part.freight_minor,
            )
        )
    return rated


# --- statements -------------------------------------------------------------------------------------------------------


@dataclass
class Statement:
    """A merchant's month, signed as the merchant sees it: commission and VAT are negative."""

    merchant_ref: str
    currency: str = CURRENCY
    orders: int = 0
    opening_minor: int = 0
    goods_minor: int = 0
    freight_minor: int = 0
    discount_minor: int = 0
    refund_minor: int = 0
    commission_minor: int = 0
    vat_minor: int = 0
    incentive_minor: int = 0
    rebate_minor: int = 0
    ads_minor: int = 0
    products_minor: int = 0
    other_minor: int = 0
    payout_minor: int = 0
    closing_minor: int = 0


def month_of(day: date) -> str:
    return f"{day.year:04}-{day.month:02}"


def statements(rated: Iterable[Rated], period: str) -> list[Statement]:
    """The first run of every merchant: the opening is all that settled before, as nothing was paid out yet."""
    by_merchant: dict[str, list[Rated]] = defaultdict(list)
    for row in rated:
        by_merchant[row.merchant_ref].append(row)
    found: list[Statement] = []
    for merchant_ref, rows in sorted(by_merchant.items()):
        current = [row for row in rows if month_of(row.settled_on) == period]
        opening = sum(row.net_minor for row in rows if month_of(row.settled_on) < period)
        if not current and opening == 0:
            continue
        found.append(
            Statement(
                merchant_ref=merchant_ref,
                orders=len({row.order_ref for row in current}),
                opening_minor=opening,
                goods_minor=sum(row.goods_minor for row in current),
                freight_minor=sum(row.freight_minor for row in current),
                commission_minor=-sum(row.commission_minor for row in current),
                vat_minor=-sum(row.vat_minor for row in current),
                closing_minor=opening + sum(row.net_minor for row in current),
            )
        )
    return found


# --- files and the command line ---------------------------------------------------------------------------------------


ORDER_COLUMNS = ("order_ref", "merchant_ref", "settled_on", "contract", "base_minor", "commission_minor", "vat_minor")
STATEMENT_COLUMNS = tuple(one.name for one in fields(Statement))
PARKED_COLUMNS = ("order_ref", "merchant_ref", "settled_on")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[object]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([getattr(row, column) for column in columns] for row in rows)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="The Olist job computed independently of the product.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("contracts", type=Path)
    parser.add_argument("--through", type=date.fromisoformat, required=True, help="last local date to settle")
    parser.add_argument("--period", required=True, help="calendar month, YYYY-MM")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)

    orders = read_market(options.folder)
    contracts = read_contracts(options.contracts.read_text(encoding="utf-8"))
    rated, parked = settle(orders, contracts, options.through)
    of_period = sorted(
        (row for row in rated if month_of(row.settled_on) == options.period),
        key=lambda row: (row.merchant_ref, row.order_ref, row.contract),
    )
    parked.sort(key=lambda row: (row.merchant_ref, row.order_ref))

    options.out.mkdir(parents=True, exist_ok=True)
    write_csv(options.out / "orders.csv", ORDER_COLUMNS, of_period)
    write_csv(options.out / "statements.csv", STATEMENT_COLUMNS, statements(rated, options.period))
    write_csv(options.out / "parked.csv", PARKED_COLUMNS, parked)
    merchants = {line.merchant_ref for order in orders for line in order.lines}
    summary = {
        "import": import_counts(orders),
        "reconciliation": reconcile(orders),
        "settled": {
            "orders": len({(row.order_ref, row.merchant_ref) for row in rated}),
            "rows": len(rated),
            "net_minor": sum(row.net_minor for row in rated),
            "commission_minor": sum(row.commission_minor for row in rated),
            "vat_minor": sum(row.vat_minor for row in rated),
        },
        "parked": len(parked),
        "unknown_merchants": sorted({ref for contract in contracts for ref in contract.merchants} - merchants),
    }
    text = json.dumps(summary, indent=2)
    (options.out / "summary.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
