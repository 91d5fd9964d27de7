"""The market as the Olist files tell it: orders with lines and payments, import counts, payments against orders."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

MARKET_ZONE = ZoneInfo("America/Sao_Paulo")


@dataclass(frozen=True)
class Line:
    """One bought item: `price` and `freight` in minor units; `category` is None where the product has none."""

    merchant_ref: str
    category: str | None
    price: int
    freight: int


@dataclass(frozen=True)
class Order:
    """A source order with all its lines, of one or several merchants, and its payment rows in minor units."""

    ref: str
    buyer_ref: str
    status: str
    purchased_on: date
    settles_at: datetime
    lines: tuple[Line, ...]
    payments: tuple[int, ...]

    @property
    def settles_on(self) -> date:
        return self.settles_at.astimezone(MARKET_ZONE).date()


def minor_units(text: str) -> int:
    """Centavos of a decimal text; raises ValueError where it has more than two decimals."""
    scaled = Decimal(text) * 100
    if scaled != int(scaled):
        raise ValueError(f"{text!r} is not a whole number of centavos")
    return int(scaled)


def instant(local_text: str) -> datetime:
    """The instant of a local time without offset; the earlier one where the clock was set back."""
    return datetime.fromisoformat(local_text).replace(tzinfo=MARKET_ZONE).astimezone(UTC)


def read_rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"olist_{name}_dataset.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def read_market(folder: Path) -> list[Order]:
    buyers = {row["customer_id"]: row["customer_unique_id"] for row in read_rows(folder, "customers")}
    categories = {row["product_id"]: row["product_category_name"] or None for row in read_rows(folder, "products")}
    merchants = {row["seller_id"] for row in read_rows(folder, "sellers")}
    lines: dict[str, list[Line]] = defaultdict(list)
    for row in read_rows(folder, "order_items"):
        if row["seller_id"] not in merchants:
            raise ValueError(f"order {row['order_id']} names the unknown seller {row['seller_id']}")
        lines[row["order_id"]].append(
            Line(
                merchant_ref=row["seller_id"],
                category=categories[row["product_id"]],
                price=minor_units(row["price"]),
                freight=minor_units(row["freight_value"]),
            )
        )
    payments: dict[str, list[int]] = defaultdict(list)
    for row in read_rows(folder, "order_payments"):
        payments[row["order_id"]].append(minor_units(row["payment_value"]))
    orders = [
        Order(
            ref=row["order_id"],
            buyer_ref=buyers[row["customer_id"]],
            status=row["order_status"],
            # The file's times are local already, so the local purchase date is what is written.
            purchased_on=datetime.fromisoformat(row["order_purchase_timestamp"]).date(),
            settles_at=instant(row["order_delivered_customer_date"] or row["order_estimated_delivery_date"]),
            lines=tuple(lines.pop(row["order_id"], ())),
            payments=tuple(payments.pop(row["order_id"], ())),
        )
        for row in read_rows(folder, "orders")
    ]
    if lines or payments:
        raise ValueError(f"items or payments of unknown orders: {sorted({*lines, *payments})[:5]}")
    return orders


# --- import counts and the reconciliation of payments with orders ----------------------------------------------------


def import_counts(orders: Sequence[Order]) -> dict[str, int]:
    """The figures `import olist` prints; merchants and buyers are those that orders name."""
    lines = [line for order in orders for line in order.lines]
    payments = [payment for order in orders for payment in order.payments]
    return {
        "orders": len(orders),
        "order_lines": len(lines),
        "merchants": len({line.merchant_ref for line in lines}),
        "buyers": len({order.buyer_ref for order in orders}),
        "payments": len(payments),
        "gmv_minor": sum(line.price for line in lines),
        "freight_minor": sum(line.freight for line in lines),
        "payments_minor": sum(payments),
        "rejected": 0,
    }


def reconciliation_class(order: Order) -> str | None:
    """The class of an order by presence and amount; None where there is nothing to compare at all."""
    if not order.lines:
        return "payment_without_items" if order.payments else None
    if not order.payments:
        return "order_without_payment"
    difference = abs(sum(order.payments) - sum(line.price + line.freight for line in order.lines))
    return "matched" if difference == 0 else "tolerance" if difference == 1 else "amount_break"


def reconcile(orders: Sequence[Order]) -> dict[str, dict[str, int]]:
    """Per class: count of orders, what was paid, what was ordered (price + freight), and paid less ordered.

    `bridge` adds the differences of all classes; it equals all payments less all price and freight.
    """
    names = ("matched", "tolerance", "amount_break", "payment_without_items", "order_without_payment")
    report = {name: {"count": 0, "paid_minor": 0, "ordered_minor": 0, "difference_minor": 0} for name in names}
    for order in orders:
        name = reconciliation_class(order)
        if name is None:
            continue
        paid, ordered = sum(order.payments), sum(line.price + line.freight for line in order.lines)
        report[name]["count"] += 1
        report[name]["paid_minor"] += paid
        report[name]["ordered_minor"] += ordered
        report[name]["difference_minor"] += paid - ordered
    report["bridge"] = {key: sum(report[name][key] for name in names) for key in report["matched"]}
    return report
