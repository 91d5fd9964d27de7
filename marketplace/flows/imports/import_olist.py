"""The Olist orders (Brazilian e-commerce public dataset), read strictly and as a stream from its CSV files.

Every row is checked by itself here; what rows owe each other is checked where they are staged (`load_orders`). A bad
row goes on with a harmless value in place of the bad one, so that its fault is not reported again on every row that
refers to it: with one fault anywhere nothing of the source is stored.
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency, minor_from_text
from marketplace.flows.imports.load_orders import OnProgress, load_orders
from marketplace.flows.imports.load_orders_model import (
    Buyer,
    Category,
    Fate,
    Loaded,
    Merchant,
    OrderLine,
    OrderSource,
    PaymentLine,
    Place,
    Product,
    Purchase,
    Rejections,
    Streams,
)
from marketplace.flows.imports.read_csv import Faults, Row, Table, header_faults, instant, read_rows, reference, text

ZONE = "America/Sao_Paulo"
CURRENCY = "BRL"
ENTITY = "Olist"
PROCESSOR = "Olist payments"

SMALLINT_MAX = 32767

FATES = {
    "created": Fate.OPEN,
    "approved": Fate.OPEN,
    "invoiced": Fate.OPEN,
    "processing": Fate.OPEN,
    "shipped": Fate.OPEN,
    "delivered": Fate.DELIVERED,
    "canceled": Fate.CANCELLED,
    "unavailable": Fate.CANCELLED,
}
"""What each status of the source means for the money: a cancelled order that has items is refunded in full."""


CATEGORIES = Table("product_category_name_translation.csv", ("product_category_name", "product_category_name_english"))
PRODUCTS = Table(
    "olist_products_dataset.csv",
    ("product_id", "product_category_name"),
    (
        "product_name_lenght",
        "product_description_lenght",
        "product_photos_qty",
        "product_weight_g",
        "product_length_cm",
        "product_height_cm",
        "product_width_cm",
    ),
)
SELLERS = Table("olist_sellers_dataset.csv", ("seller_id", "seller_city", "seller_state"), ("seller_zip_code_prefix",))
CUSTOMERS = Table(
    "olist_customers_dataset.csv",
    ("customer_id", "customer_unique_id", "customer_city", "customer_state"),
    ("customer_zip_code_prefix",),
)
ORDERS = Table(
    "olist_orders_dataset.csv",
    (
        "order_id",
        "customer_id",
        "order_status",
        "order_purchase_timestamp",
        "order_delivered_customer_date",
        "order_estimated_delivery_date",
    ),
    ("order_approved_at", "order_delivered_carrier_date"),
)
ITEMS = Table(
    "olist_order_items_dataset.csv",
    ("order_id", "order_item_id", "product_id", "seller_id", "price", "freight_value"),
    ("shipping_limit_date",),
)
PAYMENTS = Table(
    "olist_order_payments_dataset.csv",
    ("order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value"),
)
TABLES = (CATEGORIES, PRODUCTS, SELLERS, CUSTOMERS, ORDERS, ITEMS, PAYMENTS)

PLACES = {
    "categories": Place(CATEGORIES.file, {"category": "product_category_name"}),
    "products": Place(PRODUCTS.file, {"product": "product_id"}),
    "merchants": Place(SELLERS.file, {"merchant": "seller_id"}),
    "buyers": Place(CUSTOMERS.file, {"customer": "customer_id"}),
    "purchases": Place(ORDERS.file, {"order": "order_id", "customer": "customer_id"}),
    "lines": Place(
        ITEMS.file,
        {
            "order": "order_id",
            "order_line": "order_id and order_item_id",
            "product": "product_id",
            "merchant": "seller_id",
        },
    ),
    "payments": Place(PAYMENTS.file, {"order": "order_id", "order_payment": "order_id and payment_sequential"}),
}


async def import_olist(
    db: Database,
    actor: str,
    folder: Path,
    *,
    currency: str = CURRENCY,
    on_progress: OnProgress = lambda done, total: None,
) -> Loaded:
    """Import a folder with the Olist files; the same content again changes nothing.

    Raises Invalid with every bad row (file, line, reason), and Conflict as `load_orders` does. Then nothing is stored.
    """
    check_currency(currency)
    digest, rows = _identify(folder, currency)
    source = OrderSource(
        name="olist",
        digest=digest,
        entity=ENTITY,
        currency=currency,
        zone=ZONE,
        processor=PROCESSOR,
        rows=rows,
        places=PLACES,
        open=partial(_open, folder, currency),
    )
    return await load_orders(db, actor, source, on_progress)


def _identify(folder: Path, currency: str) -> tuple[bytes, int]:
    """What the files hold as a digest, and how many lines. Reports all files that are missing or wrongly headed."""
    rejections = Rejections()
    if not folder.is_dir():
        raise Invalid(f"{folder}: there is no such folder")
    digest, lines = hashlib.sha256(f"olist {currency}".encode()), 0
    for table in TABLES:
        path = folder / table.file
        if not path.is_file():
            rejections.add(table.file, 0, "the file is missing")
            continue
        digest.update(f"\0{table.file}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                lines += chunk.count(b"\n")
        for fault in header_faults(path, table):
            rejections.add(table.file, 1, fault)
    rejections.raise_if_any("olist")
    return digest.digest(), lines


def _open(folder: Path, currency: str, rejections: Rejections) -> Streams:
    read = partial(read_rows, folder, rejections=rejections)
    money = partial(_money, currency)
    return Streams(
        categories=_categories(read(CATEGORIES)),
        products=_products(read(PRODUCTS)),
        merchants=_sellers(read(SELLERS)),
        buyers=_customers(read(CUSTOMERS)),
        purchases=_orders(read(ORDERS)),
        lines=_items(read(ITEMS), money),
        payments=_payments(read(PAYMENTS), money),
    )


def _categories(rows: Iterator[Row]) -> Iterator[Category]:
    for line, (category, name), faults in rows:
        yield Category(
            line, reference(category, "product_category_name", faults), text(name, CATEGORIES.columns[1], faults)
        )


def _products(rows: Iterator[Row]) -> Iterator[Product]:
    for line, (product, category), faults in rows:
        named = reference(category, "product_category_name", faults) if category else None
        yield Product(line, reference(product, "product_id", faults), named)


def _sellers(rows: Iterator[Row]) -> Iterator[Merchant]:
    for line, (seller, city, state), faults in rows:
        ref = reference(seller, "seller_id", faults)
        name = f"Seller {ref[:8]}"  # the source does not tell sellers' names
        yield Merchant(
            line, ref, name, text(city, "seller_city", faults), text(state, "seller_state", faults), joined_on=None
        )


def _customers(rows: Iterator[Row]) -> Iterator[Buyer]:
    for line, (customer, person, city, state), faults in rows:
        yield Buyer(
            line,
            reference(customer, "customer_id", faults),
            reference(person, "customer_unique_id", faults),
            text(city, "customer_city", faults),
            text(state, "customer_state", faults),
        )


def _orders(rows: Iterator[Row]) -> Iterator[Purchase]:
    zone = ZoneInfo(ZONE)
    for line, (order, customer, status, purchased, delivered, estimated), faults in rows:
        fate = FATES.get(status)
        if fate is None:
            faults.add("order_status", f"{status!r} is none of {', '.join(FATES)}")
        placed_at = instant(purchased, "order_purchase_timestamp", zone, faults)
        delivered_at = _optional_instant(delivered, "order_delivered_customer_date", zone, faults)
        estimated_at = _optional_instant(estimated, "order_estimated_delivery_date", zone, faults)
        settles_at = delivered_at or estimated_at if fate is Fate.DELIVERED else None
        if fate is Fate.DELIVERED and settles_at is None:
            faults.add("order_delivered_customer_date", "delivered, with neither a delivery nor an estimated date")
        yield Purchase(
            line,
            reference(order, "order_id", faults),
            reference(customer, "customer_id", faults),
            status,
            fate or Fate.OPEN,
            placed_at,
            settles_at,
        )


def _items(rows: Iterator[Row], money: Callable[[str, str, Faults], int]) -> Iterator[OrderLine]:
    for line, (order, item, product, seller, price, freight), faults in rows:
        yield OrderLine(
            line,
            reference(order, "order_id", faults),
            _number(item, "order_item_id", 1, faults),
            reference(product, "product_id", faults),
            reference(seller, "seller_id", faults),
            1,
            money(price, "price", faults),
            money(freight, "freight_value", faults),
        )


def _payments(rows: Iterator[Row], money: Callable[[str, str, Faults], int]) -> Iterator[PaymentLine]:
    for line, (order, sequential, method, instalments, value), faults in rows:
        yield PaymentLine(
            line,
            reference(order, "order_id", faults),
            _number(sequential, "payment_sequential", 1, faults),
            reference(method, "payment_type", faults),
            _number(instalments, "payment_installments", 0, faults),
            money(value, "payment_value", faults),
        )


def _number(cell: str, column: str, least: int, faults: Faults) -> int:
    if cell.isascii() and cell.isdigit() and len(cell) <= 5 and least <= int(cell) <= SMALLINT_MAX:
        return int(cell)
    faults.add(column, f"{cell!r} is no whole number from {least} to {SMALLINT_MAX}")
    return 0


def _money(currency: str, cell: str, column: str, faults: Faults) -> int:
    try:
        minor = minor_from_text(cell, currency)
    except ValueError as fault:
        faults.add(column, str(fault))
        return 0
    if minor < 0 or cell.startswith("-"):
        faults.add(column, f"{cell!r} is negative")
        return 0
    return minor


def _optional_instant(cell: str, column: str, zone: ZoneInfo, faults: Faults) -> datetime | None:
    return instant(cell, column, zone, faults) if cell else None
