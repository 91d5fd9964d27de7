"""Bad input: each fault is named with file, line and reason, all faults at once, and nothing is stored."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.flows.imports.import_olist import import_olist
from marketplace.flows.imports.load_orders_model import REJECTIONS_SHOWN_MAX
from tests.conftest import NOW, copy_template
from tests.load.folders import (
    CATEGORIES,
    CUSTOMERS,
    ITEMS,
    ORDERS,
    PAYMENTS,
    PRODUCTS,
    SELLERS,
    Files,
    contents,
    small_market,
    write,
)

Spoil = Callable[[Files], object]


def cell(file: str, line: int, column: str, value: str) -> Spoil:
    """Put `value` into the column of the row on a line of the file."""

    def spoil(files: Files) -> None:
        files[file][line - 1][files[file][0].index(column)] = value

    return spoil


def repeat(file: str, line: int) -> Spoil:
    return lambda files: files[file].append(list(files[file][line - 1]))


def without_column(file: str, column: str) -> Spoil:
    def spoil(files: Files) -> None:
        place = files[file][0].index(column)
        for row in files[file]:
            del row[place]

    return spoil


@pytest.fixture(scope="module", name="db")
async def one_database(maintenance_url: str) -> AsyncIterator[Database]:
    """One for all of these tests: each proves that it has left the database as it was, but for the last."""
    database = Database(await copy_template(maintenance_url), FixedClock(NOW), pool_size=2)
    yield database
    await database.close()


FAULTS: list[tuple[Spoil, str, int, str]] = [
    (lambda files: files.pop(PAYMENTS), PAYMENTS, 0, "the file is missing"),
    (without_column(ITEMS, "freight_value"), ITEMS, 1, "column 'freight_value' is missing"),
    (without_column(ORDERS, "order_approved_at"), ORDERS, 1, "column 'order_approved_at' is missing"),
    (lambda files: files[SELLERS][0].append("seller_mood"), SELLERS, 1, "column 'seller_mood' is unknown"),
    (lambda files: files[SELLERS][0].append("seller_id"), SELLERS, 1, "column 'seller_id' stands there twice"),
    (lambda files: files[SELLERS].clear(), SELLERS, 1, "column 'seller_id' is missing"),
    (cell(ITEMS, 2, "price", "-10.00"), ITEMS, 2, "price: '-10.00' is negative"),
    (cell(ITEMS, 3, "price", "ten"), ITEMS, 3, "price: 'ten' is not a decimal amount"),
    (cell(ITEMS, 3, "price", "1e3"), ITEMS, 3, "price: '1e3' is not a decimal amount"),
    (cell(ITEMS, 3, "price", "20,01"), ITEMS, 3, "price: '20,01' is not a decimal amount"),
    (cell(ITEMS, 3, "price", "NaN"), ITEMS, 3, "price: 'NaN' is not a decimal amount"),
    (cell(ITEMS, 3, "price", ""), ITEMS, 3, "price: '' is not a decimal amount"),
    (cell(ITEMS, 3, "price", "99999999999999.00"), ITEMS, 3, "price: '99999999999999.00' is larger"),
    (cell(ITEMS, 4, "freight_value", "0.995"), ITEMS, 4, "freight_value: '0.995' has more than 2 decimals"),
    (cell(PAYMENTS, 2, "payment_value", "-0.00"), PAYMENTS, 2, "payment_value: '-0.00' is negative"),
    (cell(PAYMENTS, 2, "payment_installments", "1.0"), PAYMENTS, 2, "payment_installments: '1.0' is no whole number"),
    (cell(PAYMENTS, 2, "payment_sequential", "0"), PAYMENTS, 2, "payment_sequential: '0' is no whole number from 1"),
    (cell(ITEMS, 2, "order_item_id", "40000"), ITEMS, 2, "order_item_id: '40000' is no whole number"),
    (repeat(ORDERS, 2), ORDERS, 8, "order_id: 'o1' stands on line 2 already"),
    (repeat(CUSTOMERS, 3), CUSTOMERS, 8, "customer_id: 'c2' stands on line 3 already"),
    (repeat(SELLERS, 2), SELLERS, 5, "seller_id: 's1' stands on line 2 already"),
    (repeat(PRODUCTS, 2), PRODUCTS, 5, "product_id: 'a' stands on line 2 already"),
    (repeat(CATEGORIES, 2), CATEGORIES, 3, "product_category_name: 'moveis' stands on line 2 already"),
    (repeat(ITEMS, 3), ITEMS, 9, "order_id and order_item_id: 'o1 2' stands on line 3 already"),
    (repeat(PAYMENTS, 3), PAYMENTS, 9, "order_id and payment_sequential: 'o1 3' stands on line 3 already"),
    (cell(ITEMS, 5, "order_id", "o9"), ITEMS, 5, f"order_id: 'o9' is not in {ORDERS}"),
    (cell(ITEMS, 5, "seller_id", "s9"), ITEMS, 5, f"seller_id: 's9' is not in {SELLERS}"),
    (cell(ITEMS, 5, "product_id", "z"), ITEMS, 5, f"product_id: 'z' is not in {PRODUCTS}"),
    (cell(PAYMENTS, 5, "order_id", "o9"), PAYMENTS, 5, f"order_id: 'o9' is not in {ORDERS}"),
    (cell(ORDERS, 5, "customer_id", "c9"), ORDERS, 5, f"customer_id: 'c9' is not in {CUSTOMERS}"),
    (cell(ORDERS, 5, "order_id", ""), ORDERS, 5, "order_id: is empty"),
    (cell(SELLERS, 4, "seller_id", "s" * 101), SELLERS, 4, "seller_id: is longer than 100 characters"),
    (cell(ORDERS, 5, "order_id", "=1+1"), ORDERS, 5, "order_id: '=1+1' must begin with a letter or digit"),
    (cell(SELLERS, 4, "seller_id", "@s4"), SELLERS, 4, "seller_id: '@s4' must begin with a letter or digit"),
    (cell(CUSTOMERS, 4, "customer_unique_id", "+p3"), CUSTOMERS, 4, "customer_unique_id: '+p3' must begin with"),
    (cell(PRODUCTS, 4, "product_id", "-c"), PRODUCTS, 4, "product_id: '-c' must begin with a letter or digit"),
    (cell(PRODUCTS, 4, "product_id", "\tc"), PRODUCTS, 4, "product_id: '\\tc' must begin with a letter or digit"),
    (cell(ORDERS, 2, "order_status", "lost"), ORDERS, 2, "order_status: 'lost' is none of"),
    (cell(ORDERS, 2, "order_purchase_timestamp", ""), ORDERS, 2, "order_purchase_timestamp: is empty"),
    (cell(ORDERS, 2, "order_purchase_timestamp", "2018-02-30 00:00:00"), ORDERS, 2, "'2018-02-30 00:00:00' is no time"),
    (cell(ORDERS, 2, "order_purchase_timestamp", "2018-05-01"), ORDERS, 2, "'2018-05-01' is no time"),
    (cell(ORDERS, 2, "order_purchase_timestamp", "2018-05-01T12:00:00"), ORDERS, 2, "'2018-05-01T12:00:00' is no time"),
    (cell(ORDERS, 2, "order_purchase_timestamp", "2018-W18-2 12:00:00"), ORDERS, 2, "'2018-W18-2 12:00:00' is no time"),
    (
        cell(ORDERS, 2, "order_delivered_customer_date", "soon"),
        ORDERS,
        2,
        "order_delivered_customer_date: 'soon' is no",
    ),
    (cell(ORDERS, 5, "order_estimated_delivery_date", ""), ORDERS, 5, "neither a delivery nor an estimated date"),
    (lambda files: files[ITEMS][2].append("more"), ITEMS, 3, "8 columns where the header names 7"),
    (lambda files: files[SELLERS][2].pop(), SELLERS, 3, "3 columns where the header names 4"),
    (cell(SELLERS, 3, "seller_city", "x" * 1001), SELLERS, 3, "seller_city: is longer than 1000 characters"),
]


@pytest.mark.parametrize(("spoil", "file", "line", "reason"), FAULTS, ids=[fault[3][:60] for fault in FAULTS])
async def test_a_bad_row_is_named_and_nothing_is_stored(
    db: Database, tmp_path: Path, spoil: Spoil, file: str, line: int, reason: str
) -> None:
    before = await contents(db)
    files = small_market()
    spoil(files)
    with pytest.raises(Invalid) as refused:
        await import_olist(db, "operator", write(files, tmp_path))
    rejections = refused.value.extra["rejections"]
    named = [(found["file"], found["line"]) for found in rejections]
    assert (file, line) in named
    assert any(reason in found["reason"] for found in rejections if (found["file"], found["line"]) == (file, line))
    assert refused.value.extra["rejected"] == len(rejections)
    assert await contents(db) == before


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b's1,1,"campinas,SP\ns2,1,x,SP\ns3,1,x,SP\n', 2, "the row is no CSV"),
        (b"s1,1,caf\xe9,SP\ns2,1,x,SP\ns3,1,x,SP\n", 2, "the row is not UTF-8 text"),
        (b"s1,1,x,SP\ns2,1,\xff\xfe,SP\ns3,1,x,SP\n", 3, "the row is not UTF-8 text"),
        (b"s1,1,x,SP\ns2,1,x,SP\ns3,1,x\0,SP\n", 4, "the row holds a NUL"),
    ],
)
async def test_bytes_that_are_no_csv_text(db: Database, tmp_path: Path, content: bytes, line: int, reason: str) -> None:
    before = await contents(db)
    folder = write(small_market(), tmp_path)
    (folder / SELLERS).write_bytes(b"seller_id,seller_zip_code_prefix,seller_city,seller_state\n" + content)
    with pytest.raises(Invalid) as refused:
        await import_olist(db, "operator", folder)
    found = [r for r in refused.value.extra["rejections"] if r["file"] == SELLERS]
    assert [(r["line"], reason in r["reason"]) for r in found] == [(line, True)]
    assert await contents(db) == before


async def test_an_unreadable_header_is_a_fault_of_line_one(db: Database, tmp_path: Path) -> None:
    folder = write(small_market(), tmp_path)
    (folder / SELLERS).write_bytes(b"\xff\xfes\0e\0")
    with pytest.raises(Invalid, match="seller_id' is missing"):
        await import_olist(db, "operator", folder)


async def test_a_missing_folder(db: Database, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="there is no such folder"):
        await import_olist(db, "operator", tmp_path / "none")


async def test_an_unknown_currency(db: Database, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="'XXX' is not a currency"):
        await import_olist(db, "operator", write(small_market(), tmp_path), currency="XXX")


async def test_a_currency_without_cents_refuses_cents(db: Database, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="JPY has 0"):
        await import_olist(db, "operator", write(small_market(), tmp_path), currency="JPY")


async def test_a_bad_order_is_not_blamed_again_on_its_items(db: Database, tmp_path: Path) -> None:
    """Every fault once, in the order of files and lines; two faults of a row are one rejection."""
    files = small_market()
    cell(ORDERS, 2, "order_status", "lost")(files)
    cell(ORDERS, 2, "order_purchase_timestamp", "never")(files)
    cell(ITEMS, 8, "price", "-1")(files)
    cell(PAYMENTS, 5, "order_id", "o9")(files)
    with pytest.raises(Invalid) as refused:
        await import_olist(db, "operator", write(files, tmp_path))
    found = [(r["file"], r["line"]) for r in refused.value.extra["rejections"]]
    assert found == [(ITEMS, 8), (PAYMENTS, 5), (ORDERS, 2)]
    assert refused.value.extra["rejected"] == 3
    assert "lost" in refused.value.extra["rejections"][2]["reason"]
    assert "never" in refused.value.extra["rejections"][2]["reason"]


async def test_all_bad_rows_are_counted_and_the_first_shown(db: Database, tmp_path: Path) -> None:
    files = small_market()
    files[ITEMS] += [["o5", str(n), "c", "s1", "", "-1", "0"] for n in range(10, 160)]
    files[PAYMENTS] += [[f"x{n}", "1", "card", "1", "1.00"] for n in range(150)]
    with pytest.raises(Invalid) as refused:
        await import_olist(db, "operator", write(files, tmp_path))
    assert refused.value.extra["rejected"] == 300
    assert len(refused.value.extra["rejections"]) == REJECTIONS_SHOWN_MAX


async def test_byte_order_marks_blank_lines_and_line_ends_are_no_faults(db: Database, tmp_path: Path) -> None:
    files = small_market()
    folder = write(files, tmp_path, bom=files)
    for name in files:
        content = (folder / name).read_bytes().replace(b"\r\n", b"\n")
        (folder / name).write_bytes(content + b"\n")
    assert (await import_olist(db, "operator", folder)).orders == 6
