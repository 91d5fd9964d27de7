"""What the Olist import makes of a small market, and of a second one that follows it."""

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.imports.import_olist import import_olist
from marketplace.flows.imports.load_orders_model import Loaded
from tests.load import folders
from tests.load.folders import CUSTOMERS, ITEMS, ORDERS, PAYMENTS, contents, small_market, write

LOADED = Loaded(
    orders=6,
    order_lines=7,
    merchants=3,
    buyers=5,
    payments=7,
    gmv_minor=130_01,
    freight_minor=13_99,
    payments_minor=153_85,
)


async def ask(db: Database, query: str) -> list[tuple[Any, ...]]:
    async with db.read(WORKER) as tx:
        return [tuple(row) for row in await tx.rows(query)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(small_market(), tmp_path / "olist")


async def test_counts_and_sums_are_the_files_own(db: Database, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert await import_olist(db, "operator", folder, on_progress=lambda *step: seen.append(step)) == LOADED
    assert seen == sorted(seen)
    assert all(0 < done <= total for done, total in seen)


async def test_every_seller_of_a_purchase_has_an_order_of_its_own(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    orders = await ask(
        db,
        "SELECT merchant_ref, order_ref, o.state, goods_minor, freight_minor, order_id FROM demand.merchant_order o"
        " JOIN supply.merchant USING (merchant_id) ORDER BY order_id",
    )
    assert orders == [  # numbered by instant, order, seller
        ("s2", "o6", "delivered", 5000, 500, 1),
        ("s1", "o1", "delivered", 1500, 199, 2),
        ("s2", "o1", "delivered", 2001, 250, 3),
        ("s1", "o2", "cancelled", 3000, 300, 4),
        ("s1", "o5", "paid", 700, 50, 5),
        ("s2", "o4", "delivered", 800, 100, 6),
    ]


async def test_wall_clock_times_are_read_in_the_markets_zone(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    times = await ask(
        db,
        "SELECT order_ref, placed_at, purchased_on FROM demand.merchant_order"
        " WHERE order_ref IN ('o4', 'o6') ORDER BY 1",
    )
    assert times == [
        ("o4", datetime(2018, 11, 4, 3, 30, tzinfo=UTC), date(2018, 11, 4)),  # 00:30 was skipped: it was 01:30
        ("o6", datetime(2018, 2, 18, 1, 30, tzinfo=UTC), date(2018, 2, 17)),  # 23:30 came twice: the first
    ]
    due = await ask(
        db,
        "SELECT o.order_ref, merchant_ref, settles_at, settles_on FROM demand.order_due"
        " JOIN demand.merchant_order o USING (merchant_id, order_id) JOIN supply.merchant USING (merchant_id)"
        " ORDER BY 1, 2",
    )
    delivered = (datetime(2018, 5, 9, 10, 47, 38, tzinfo=UTC), date(2018, 5, 9))
    assert due == [
        ("o1", "s1", *delivered),
        ("o1", "s2", *delivered),
        ("o4", "s2", datetime(2018, 11, 20, 2, tzinfo=UTC), date(2018, 11, 20)),  # no delivery date: the estimate
        ("o6", "s2", datetime(2018, 2, 20, 13, tzinfo=UTC), date(2018, 2, 20)),
    ]


async def test_entries_book_what_was_paid_refunded_and_not_assigned(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    entries = await ask(
        db,
        "SELECT coalesce(merchant_ref, 'house'), entry_no, kind, source_id, effective_on, accounts, dimensions, amounts"
        " FROM billing.entry LEFT JOIN supply.merchant USING (merchant_id) ORDER BY 1, 2",
    )
    paid, refunded, unassigned = ([1020, 2005], [1, 0]), ([2005, 2400], [0, 0]), ([1020, 2900], [1, 0])
    assert entries == [
        ("house", 1, "payment_unassigned", 4, date(2018, 5, 3), *unassigned, [1234, -1234]),
        ("s1", 1, "order_paid", 2, date(2018, 5, 1), *paid, [1699, -1699]),
        ("s1", 2, "order_paid", 4, date(2018, 5, 2), *paid, [3300, -3300]),
        ("s1", 3, "order_refunded", 1, date(2018, 5, 2), *refunded, [3300, -3300]),
        ("s1", 4, "order_paid", 5, date(2018, 5, 5), *paid, [750, -750]),
        ("s2", 1, "order_paid", 1, date(2018, 2, 17), *paid, [5500, -5500]),
        ("s2", 2, "order_paid", 3, date(2018, 5, 1), *paid, [2251, -2251]),
        ("s2", 3, "order_paid", 6, date(2018, 11, 4), *paid, [900, -900]),
    ]
    heads = await ask(
        db,
        "SELECT merchant_id, last_entry_no, rolled_no FROM billing.ledger_head"
        " JOIN billing.ledger_roll USING (merchant_id) ORDER BY 1",
    )
    assert heads == [(-1, 1, 0), (1, 4, 0), (2, 3, 0), (3, 0, 0)]


async def test_a_cancelled_order_is_refunded_in_full(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    assert await ask(db, "SELECT order_id, goods_minor, freight_minor, reason FROM demand.refund") == [
        (4, 3000, 300, "canceled")
    ]
    assert await ask(
        db,
        "SELECT order_id, line_no, refunded_goods_minor, refunded_freight_minor FROM demand.order_line"
        " WHERE refunded_goods_minor > 0 OR refunded_freight_minor > 0",
    ) == [(4, 1, 3000, 300)]


async def test_payments_are_divided_over_the_sellers(db: Database, folder: Path) -> None:
    """10.00 and 29.50 over 16.99 and 22.51: the cent left over goes to the larger remainder."""
    await import_olist(db, "operator", folder)
    shares = await ask(
        db,
        "SELECT merchant_ref, line_no, amount_minor FROM billing.payment_share"
        " JOIN supply.merchant USING (merchant_id) WHERE order_id IN (2, 3) ORDER BY 2, 1",
    )
    assert shares == [("s1", 1, 430), ("s2", 1, 570), ("s1", 3, 1269), ("s2", 3, 1681)]


async def test_parties_and_catalogue(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    assert await ask(db, "SELECT merchant_ref, city, joined_on FROM supply.merchant ORDER BY merchant_id") == [
        ("s1", "campinas", date(2018, 5, 1)),
        ("s2", "são paulo", date(2018, 2, 17)),
        ("s3", "rio, de janeiro", None),
    ]
    assert await ask(db, "SELECT buyer_id, buyer_ref, city FROM demand.buyer ORDER BY 1") == [
        (1, "p1", "moved to recife"),
        (2, "p2", "mogi"),
        (3, "p3", "mogi"),
        (4, "p4", "mogi"),
        (5, "p5", "mogi"),
    ]
    assert await ask(db, "SELECT category, name_en FROM supply.category ORDER BY 1") == [
        ("moveis", "furniture"),
        ("pc_gamer", "pc gamer"),
    ]
    assert await ask(db, "SELECT product_ref, category FROM supply.product ORDER BY 1") == [
        ("a", "moveis"),
        ("b", None),
        ("c", "pc_gamer"),
    ]
    assert await ask(db, "SELECT merchant_id, product_id, price_minor FROM supply.offer ORDER BY 1, 2") == [
        (1, 1, 3000),
        (1, 3, 700),
        (2, 1, 5000),
        (2, 2, 800),
    ]


async def test_the_same_files_again_change_nothing(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    before = await contents(db)
    assert await import_olist(db, "operator", folder) == LOADED
    assert await contents(db) == before


async def test_an_order_that_is_there_refuses_the_whole_import(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    before = await contents(db)
    files = small_market()
    files[ORDERS][1][0] = "o7"
    for name in (ITEMS, PAYMENTS):
        files[name] = [["o7", *row[1:]] if row[0] == "o1" else row for row in files[name]]
    with pytest.raises(Conflict, match="'o2'"):
        await import_olist(db, "operator", write(files, folder.parent / "again"))
    assert await contents(db) == before


def next_month(files: folders.Files) -> folders.Files:
    """The same sellers, products and people with one more order each of s1 and s3."""
    files[CUSTOMERS] = [files[CUSTOMERS][0], ["c7", "p1", "1", "x", "SP"], ["c8", "p6", "1", "x", "SP"]]
    files[ORDERS] = [
        files[ORDERS][0],
        ["o7", "c7", "delivered", "2018-05-31 20:00:00", "", "", "2018-06-03 10:00:00", ""],
        ["o8", "c8", "shipped", "2018-06-01 09:00:00", "", "", "", ""],
    ]
    files[ITEMS] = [
        files[ITEMS][0],
        ["o7", "1", "a", "s1", "", "11.00", "0.00"],
        ["o8", "1", "b", "s3", "", "2.00", "1.00"],
    ]
    files[PAYMENTS] = [files[PAYMENTS][0], ["o7", "1", "card", "1", "11.00"], ["o8", "1", "card", "1", "3.00"]]
    return files


async def test_more_orders_of_known_merchants_go_on_in_their_books(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    await import_olist(db, "operator", write(next_month(small_market()), folder.parent / "next"))
    assert await ask(db, "SELECT merchant_id, last_entry_no FROM billing.ledger_head ORDER BY 1") == [
        (-1, 1),
        (1, 5),
        (2, 3),
        (3, 1),
    ]
    assert await ask(
        db, "SELECT merchant_id, entry_no, source_id FROM billing.entry WHERE source_id > 6 ORDER BY 1"
    ) == [
        (1, 5, 7),
        (3, 1, 8),
    ]
    assert await ask(
        db, "SELECT buyer_id, buyer_ref FROM demand.buyer_ref WHERE buyer_ref IN ('p1', 'p6') ORDER BY 1"
    ) == [
        (1, "p1"),
        (6, "p6"),
    ]
    assert await ask(db, "SELECT price_minor FROM supply.offer WHERE merchant_id = 1 AND product_id = 1") == [(1100,)]


async def test_what_comes_after_the_close_takes_the_first_open_day(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)

    async def close(tx: Any) -> None:
        await tx.execute("UPDATE billing.ledger_head SET closed_through = '2018-05-31' WHERE merchant_id = 1")
        await tx.execute("UPDATE billing.entity SET closed_through = '2018-06-30'")

    await db.write(WORKER, "operator", close)
    files = next_month(small_market())
    files[ITEMS].append(["o8", "2", "b", "s4", "", "4.00", "1.00"])
    files[folders.SELLERS].append(["s4", "1", "x", "SP"])
    await import_olist(db, "operator", write(files, folder.parent / "next"))
    entries = await ask(
        db,
        "SELECT merchant_id, effective_on, prior_period, occurred_at FROM billing.entry WHERE source_id > 6 ORDER BY 1",
    )
    o7, o8 = datetime(2018, 5, 31, 23, tzinfo=UTC), datetime(2018, 6, 1, 12, tzinfo=UTC)
    assert entries == [
        (1, date(2018, 6, 1), True, o7),
        (3, date(2018, 6, 1), False, o8),  # these books are open still: only new ones inherit the entity's close
        (4, date(2018, 7, 1), True, o8),
    ]


async def test_lines_carry_the_contract_of_their_sale(db: Database, folder: Path) -> None:
    await apply_file(
        db,
        "operator",
        b"""
[[contract]]
name = "all"
currency = "BRL"
valid_from = 2018-05-01
base = "goods"
rate_ppm = 100000

[[contract]]
name = "s1"
currency = "BRL"
valid_from = 2018-05-02
merchants = ["s1", "nobody"]
base = "goods"
rate_ppm = 50000
""",
    )
    await import_olist(db, "operator", folder)
    assert await ask(
        db,
        "SELECT o.order_ref, merchant_ref, line_no, c.name FROM demand.order_line l"
        " JOIN demand.merchant_order o USING (merchant_id, order_id) JOIN supply.merchant USING (merchant_id)"
        " LEFT JOIN billing.contract c USING (contract_id) ORDER BY 1, 3",
    ) == [
        ("o1", "s1", 1, "all"),
        ("o1", "s2", 2, "all"),
        ("o1", "s1", 3, "all"),
        ("o2", "s1", 1, "s1"),
        ("o4", "s2", 1, "all"),
        ("o5", "s1", 1, "s1"),
        ("o6", "s2", 1, None),  # sold before any contract
    ]
    assert await ask(db, "SELECT merchant_id, name FROM billing.contract_merchant") == [(1, "s1")]


async def test_an_entity_keeps_its_currency(db: Database, folder: Path) -> None:
    await import_olist(db, "operator", folder)
    before = await contents(db)
    with pytest.raises(Conflict, match="keeps BRL"):
        await import_olist(db, "operator", write(next_month(small_market()), folder.parent / "next"), currency="USD")
    assert await contents(db) == before


async def test_two_imports_of_the_same_files_at_once_store_them_once(db: Database, folder: Path) -> None:
    results = await asyncio.gather(*(import_olist(db, f"user {n}", folder) for n in range(2)))
    assert results == [LOADED, LOADED]
    assert await ask(db, "SELECT count(*) FROM billing.data_import") == [(1,)]
    assert await ask(db, "SELECT count(*) FROM demand.purchase") == [(6,)]
