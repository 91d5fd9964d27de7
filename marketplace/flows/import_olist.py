"""The Olist orders (Brazilian e-commerce public dataset), read strictly and as a stream from its CSV files.

Every row is checked by itself here; what rows owe each other is checked where they are staged (`load_orders`). A bad
row goes on with a harmless value in place of the bad one, so that its fault is not reported again on every row that
refers to it: with one fault anywhere nothing of the source is stored.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency, minor_from_text
from marketplace.flows.load_orders import OnProgress, load_orders
from marketplace.flows.load_orders_model import (
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

ZONE = "America/Sao_Paulo"
CURRENCY = "BRL"
ENTITY = "Olist"
PROCESSOR = "Olist payments"

REF_LENGTH_MAX = 100
TEXT_LENGTH_MAX = 1000
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


class Table(msgspec.Struct, frozen=True):
    """One file of the folder. columns: those that are read; others: those that may stand beside them, unread."""

    file: str
    columns: tuple[str, ...]
    others: tuple[str, ...] = ()


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
        for fault in _header_faults(path, table):
            rejections.add(table.file, 1, fault)
    rejections.raise_if_any("olist")
    return digest.digest(), lines


def _header_faults(path: Path, table: Table) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            header = next(csv.reader(file, strict=True), [])
        except csv.Error as fault:
            return [f"the header is no CSV: {fault}"]
    wanted = {*table.columns, *table.others}
    missing = [f"column {name!r} is missing" for name in (*table.columns, *table.others) if name not in header]
    unknown = [f"column {name!r} is unknown" for name in header if name not in wanted]
    twice = [f"column {name!r} stands there twice" for name in sorted(wanted) if header.count(name) > 1]
    return missing + unknown + twice


def _open(folder: Path, currency: str, rejections: Rejections) -> Streams:
    read = partial(_rows, folder, rejections=rejections)
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


class Faults:
    """What is wrong with the row that is being read."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, column: str, reason: str) -> None:
        self.found.append(f"{column}: {reason}")


Row = tuple[int, Sequence[str], Faults]
"""The line a row begins on, the wanted cells in the order of Table.columns, and where to say what is wrong."""


def _rows(folder: Path, table: Table, *, rejections: Rejections) -> Iterator[Row]:
    """The rows of a file; one that the consumer finds a fault in is rejected as it asks for the next."""
    odd: list[str] = []
    with (folder / table.file).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(_checked_lines(file, odd), strict=True)
        header = next(reader)
        pick = [header.index(name) for name in table.columns]
        while True:
            line = reader.line_num + 1
            odd.clear()
            try:
                cells = next(reader, None)
            except csv.Error as fault:
                rejections.add(table.file, line, f"the row is no CSV: {fault}")
                continue
            if cells is None:
                return
            faults = Faults()
            faults.found += odd
            if len(cells) == len(header):
                yield line, [cells[place] for place in pick], faults
            elif cells:  # an empty line holds nothing to lose
                faults.found.append(f"{len(cells)} columns where the header names {len(header)}")
            if faults.found:
                rejections.add(table.file, line, "; ".join(faults.found))


def _checked_lines(file: Iterator[str], odd: list[str]) -> Iterator[str]:
    """The lines, saying in `odd` of those just read that they held what no text column takes."""
    for line in file:
        if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
            odd.append("the row is not UTF-8 text")
            yield line.encode("utf-8", "replace").decode()
        elif "\0" in line:
            odd.append("the row holds a NUL")
            yield line.replace("\0", "?")
        else:
            yield line


def _categories(rows: Iterator[Row]) -> Iterator[Category]:
    for line, (category, name), faults in rows:
        yield Category(
            line, _ref(category, "product_category_name", faults), _text(name, CATEGORIES.columns[1], faults)
        )


def _products(rows: Iterator[Row]) -> Iterator[Product]:
    for line, (product, category), faults in rows:
        named = _ref(category, "product_category_name", faults) if category else None
        yield Product(line, _ref(product, "product_id", faults), named)


def _sellers(rows: Iterator[Row]) -> Iterator[Merchant]:
    for line, (seller, city, state), faults in rows:
        ref = _ref(seller, "seller_id", faults)
        name = f"Seller {ref[:8]}"  # the source does not tell sellers' names
        yield Merchant(
            line, ref, name, _text(city, "seller_city", faults), _text(state, "seller_state", faults), joined_on=None
        )


def _customers(rows: Iterator[Row]) -> Iterator[Buyer]:
    for line, (customer, person, city, state), faults in rows:
        yield Buyer(
            line,
            _ref(customer, "customer_id", faults),
            _ref(person, "customer_unique_id", faults),
            _text(city, "customer_city", faults),
            _text(state, "customer_state", faults),
        )


def _orders(rows: Iterator[Row]) -> Iterator[Purchase]:
    zone = ZoneInfo(ZONE)
    for line, (order, customer, status, purchased, delivered, estimated), faults in rows:
        fate = FATES.get(status)
        if fate is None:
            faults.add("order_status", f"{status!r} is none of {', '.join(FATES)}")
        placed_at = _instant(purchased, "order_purchase_timestamp", zone, faults)
        delivered_at = _optional_instant(delivered, "order_delivered_customer_date", zone, faults)
        estimated_at = _optional_instant(estimated, "order_estimated_delivery_date", zone, faults)
        settles_at = delivered_at or estimated_at if fate is Fate.DELIVERED else None
        if fate is Fate.DELIVERED and settles_at is None:
            faults.add("order_delivered_customer_date", "delivered, with neither a delivery nor an estimated date")
        yield Purchase(
            line,
            _ref(order, "order_id", faults),
            _ref(customer, "customer_id", faults),
            status,
            fate or Fate.OPEN,
            placed_at,
            settles_at,
        )


def _items(rows: Iterator[Row], money: Callable[[str, str, Faults], int]) -> Iterator[OrderLine]:
    for line, (order, item, product, seller, price, freight), faults in rows:
        yield OrderLine(
            line,
            _ref(order, "order_id", faults),
            _number(item, "order_item_id", 1, faults),
            _ref(product, "product_id", faults),
            _ref(seller, "seller_id", faults),
            1,
            money(price, "price", faults),
            money(freight, "freight_value", faults),
        )


def _payments(rows: Iterator[Row], money: Callable[[str, str, Faults], int]) -> Iterator[PaymentLine]:
    for line, (order, sequential, method, instalments, value), faults in rows:
        yield PaymentLine(
            line,
            _ref(order, "order_id", faults),
            _number(sequential, "payment_sequential", 1, faults),
            _ref(method, "payment_type", faults),
            _number(instalments, "payment_installments", 0, faults),
            money(value, "payment_value", faults),
        )


def _ref(cell: str, column: str, faults: Faults) -> str:
    """An id of the source; "" for one that cannot be used, which the checks on staged rows pass over."""
    if 0 < len(cell) <= REF_LENGTH_MAX and cell[0].isalnum():  # so no spreadsheet takes it for a formula
        return cell
    reason = f"{cell!r} must begin with a letter or digit" if cell else "is empty"
    faults.add(column, reason if len(cell) <= REF_LENGTH_MAX else f"is longer than {REF_LENGTH_MAX} characters")
    return ""


def _text(cell: str, column: str, faults: Faults) -> str:
    if len(cell) > TEXT_LENGTH_MAX:
        faults.add(column, f"is longer than {TEXT_LENGTH_MAX} characters")
        return ""
    return cell


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


_WALL_TIME = re.compile(r"(?:19|20|21)\d\d-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_UNREADABLE = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(cell: str, column: str, zone: ZoneInfo, faults: Faults) -> datetime:
    """The instant of a local wall-clock time.

    Of an hour that clocks show twice it is the first; a time that clocks skip is read on the clock before the change,
    so it lies as long after the change as it claims to lie after the skipped hour began.
    """
    if _WALL_TIME.fullmatch(cell):
        try:
            return datetime.fromisoformat(cell).replace(tzinfo=zone)
        except ValueError:
            pass  # such as a 30th of February: reported below like any other unreadable time
    faults.add(column, f"{cell!r} is no time of the form 2018-01-31 23:59:59" if cell else "is empty")
    return _UNREADABLE


def _optional_instant(cell: str, column: str, zone: ZoneInfo, faults: Faults) -> datetime | None:
    return _instant(cell, column, zone, faults) if cell else None
