"""A small market in the files of Olist, to be spoilt one way at a time, and what a database holds, to be compared."""

import csv
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from marketplace.core.db import WORKER, Database
from marketplace.core.tables import qualified
from marketplace.tables import metadata

ORDERS = "olist_orders_dataset.csv"
ITEMS = "olist_order_items_dataset.csv"
PAYMENTS = "olist_order_payments_dataset.csv"
CUSTOMERS = "olist_customers_dataset.csv"
SELLERS = "olist_sellers_dataset.csv"
PRODUCTS = "olist_products_dataset.csv"
CATEGORIES = "product_category_name_translation.csv"

Files = dict[str, list[list[str]]]

_FILES: Files = {
    CATEGORIES: [["product_category_name", "product_category_name_english"], ["moveis", "furniture"]],
    PRODUCTS: [
        [
            "product_id",
            "product_category_name",
            "product_name_lenght",
            "product_description_lenght",
            "product_photos_qty",
            "product_weight_g",
            "product_length_cm",
            "product_height_cm",
            "product_width_cm",
        ],
        ["a", "moveis", "57", "163", "1", "400", "27", "13", "17"],
        ["b", "", "", "", "", "1", "1", "1", "1"],
        ["c", "pc_gamer", "", "", "", "1", "1", "1", "1"],
    ],
    SELLERS: [
        ["seller_id", "seller_zip_code_prefix", "seller_city", "seller_state"],
        ["s1", "13023", "campinas", "SP"],
        ["s2", "01000", "são paulo", "SP"],
        ["s3", "20000", "rio, de janeiro", "RJ"],
    ],
    CUSTOMERS: [
        ["customer_id", "customer_unique_id", "customer_zip_code_prefix", "customer_city", "customer_state"],
        ["c1", "p1", "9790", "sao bernardo", "SP"],
        ["c2", "p2", "8775", "mogi", "SP"],
        ["c3", "p3", "8775", "mogi", "SP"],
        ["c4", "p1", "9790", "moved to recife", "PE"],
        ["c5", "p4", "8775", "mogi", "SP"],
        ["c6", "p5", "8775", "mogi", "SP"],
    ],
    ORDERS: [
        [
            "order_id",
            "customer_id",
            "order_status",
            "order_purchase_timestamp",
            "order_approved_at",
            "order_delivered_carrier_date",
            "order_delivered_customer_date",
            "order_estimated_delivery_date",
        ],
        ["o1", "c1", "delivered", "2018-05-01 12:00:00", "", "", "2018-05-09 07:47:38", "2018-05-20 00:00:00"],
        ["o2", "c2", "canceled", "2018-05-02 12:00:00", "", "", "", "2018-05-20 00:00:00"],
        ["o3", "c3", "unavailable", "2018-05-03 12:00:00", "", "", "", "2018-05-20 00:00:00"],
        # 2018-11-04: clocks skip the first hour of the day. 2018-02-17: they show its last hour twice.
        ["o4", "c4", "delivered", "2018-11-04 00:30:00", "", "", "", "2018-11-20 00:00:00"],
        ["o5", "c5", "shipped", "2018-05-05 12:00:00", "", "", "", "2018-05-20 00:00:00"],
        ["o6", "c6", "delivered", "2018-02-17 23:30:00", "", "", "2018-02-20 10:00:00", "2018-03-20 00:00:00"],
    ],
    ITEMS: [
        ["order_id", "order_item_id", "product_id", "seller_id", "shipping_limit_date", "price", "freight_value"],
        ["o1", "1", "a", "s1", "2018-05-03 00:00:00", "10.00", "1.00"],
        ["o1", "2", "b", "s2", "2018-05-03 00:00:00", "20.01", "2.50"],
        ["o1", "3", "a", "s1", "2018-05-03 00:00:00", "5.00", "0.99"],
        ["o2", "1", "a", "s1", "2018-05-03 00:00:00", "30.00", "3.00"],
        ["o4", "1", "b", "s2", "2018-05-03 00:00:00", "8.00", "1.00"],
        ["o5", "1", "c", "s1", "2018-05-03 00:00:00", "7.00", "0.50"],
        ["o6", "1", "a", "s2", "2018-05-03 00:00:00", "50.00", "5.00"],
    ],
    PAYMENTS: [
        ["order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value"],
        ["o1", "1", "voucher", "1", "10.00"],
        ["o1", "3", "credit_card", "8", "29.50"],
        ["o2", "1", "boleto", "1", "33.00"],
        ["o3", "1", "credit_card", "2", "12.34"],
        ["o4", "1", "credit_card", "0", "9.01"],
        ["o6", "1", "debit_card", "1", "60.00"],
        ["o6", "2", "voucher", "1", "0.00"],
    ],
}


def small_market() -> Files:
    """Six orders, of which one spans two sellers; header and rows of every file, to be changed at will."""
    return deepcopy(_FILES)


def write(files: Files, folder: Path, *, bom: Iterable[str] = (CATEGORIES,)) -> Path:
    """Write the files as CSV; `bom` names those that begin with a byte order mark, as one of the source does."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        encoding = "utf-8-sig" if name in bom else "utf-8"
        with (folder / name).open("w", encoding=encoding, newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


_RANDOM = ("audit_id", "user_id", "change_id")


async def contents(db: Database) -> dict[str, list[str]]:
    """Every row of every table as text, but for random ids."""
    held: dict[str, list[str]] = {}
    async with db.read(WORKER) as tx:
        for table in metadata.sorted_tables:
            columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in _RANDOM)
            rows: Any = await tx.rows(f"SELECT row({columns})::text AS line FROM {qualified(table)} ORDER BY 1")
            held[qualified(table)] = [row.line for row in rows]
    return held
