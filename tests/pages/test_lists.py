"""Lists: sorted by a column, a page at a time without a row twice, filtered, and the same rows as a file."""

import csv
import io
import re
from datetime import date

import pytest

from marketplace.consoles.lists import Listing, Sort, sort_of
from marketplace.consoles.lists_queries import ORDERS
from marketplace.core.db import STAFF, Database
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.web.files import Amount, csv_file
from tests.pages.conftest import MINE, OTHERS, SignIn, plain

TOTAL = "goods_minor + freight_minor - discount_minor"


@pytest.mark.parametrize(
    ("sort", "by"), [("-total", f"{TOTAL} DESC"), ("goods", "goods_minor"), ("-purchased_on", "placed_at DESC")]
)
async def test_pages_of_a_sorted_list_are_all_orders_once(
    sign_in: SignIn, market: Database, sort: str, by: str
) -> None:
    browser, refs, query = await sign_in("merchant"), list[str](), f"/merchant/orders?sort={sort}"
    while query:
        html = (await browser.get(query)).text
        refs += re.findall(r'class="ref" href="/merchant/orders/\d+">([^<]+)</a>', html)
        older = re.search(r'class="more"><a class="button" href="([^"]+)"', html)
        query = older[1].replace("&amp;", "&") if older else ""
    async with market.read(STAFF) as tx:
        direction = "DESC" if by.endswith("DESC") else "ASC"
        rows = await tx.rows(
            f"SELECT order_ref FROM demand.merchant_order WHERE merchant_id = :m ORDER BY {by}, order_id {direction}",
            m=MINE,
        )
    assert len(rows) > 50  # more than a page
    assert refs == [row.order_ref for row in rows]


async def test_a_file_holds_what_the_list_shows(sign_in: SignIn, market: Database) -> None:
    browser = await sign_in("merchant")
    page = await browser.get("/merchant/orders?first=2018-08-01&last=2018-08-31&sort=-goods")
    link = re.search(r'href="(/merchant/orders\.csv[^"]*)"', page.text)
    assert link is not None
    answer = await browser.get(link[1].replace("&amp;", "&"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header[:2] == ["Order", "Bought"]
    async with market.read(STAFF) as tx:
        wanted = await tx.rows(
            """
            SELECT order_ref, purchased_on, goods_minor, currency FROM demand.merchant_order
            WHERE merchant_id = :m AND purchased_on BETWEEN '2018-08-01' AND '2018-08-31'
            ORDER BY goods_minor DESC, order_id DESC
            """,
            m=MINE,
        )
    assert [(row[0], row[1], row[4]) for row in rows] == [
        (one.order_ref, one.purchased_on.isoformat(), text_from_minor(one.goods_minor, one.currency)) for one in wanted
    ]


async def test_statements_are_filtered_sorted_and_taken_along(sign_in: SignIn) -> None:
    browser = await sign_in("merchant")
    [newest, *_] = re.findall(r"/merchant/statements/(\d+)/EUR", (await browser.get("/merchant/statements")).text)
    [oldest, *_] = re.findall(
        r"/merchant/statements/(\d+)/EUR", (await browser.get("/merchant/statements?sort=from_on")).text
    )
    assert int(oldest) < int(newest)
    assert (
        "/merchant/statements/"
        not in (await browser.get("/merchant/statements?state=reversed")).text.split("<table")[-1]
    )
    rows = list(csv.reader(io.StringIO((await browser.get("/merchant/statements.csv?sort=from_on")).text)))
    assert len(rows) == 3
    assert rows[1][0] < rows[2][0]


async def test_another_merchants_orders_are_in_no_file(sign_in: SignIn, market: Database) -> None:
    mine = (await (await sign_in("merchant")).get("/merchant/orders.csv")).text
    async with market.read(STAFF) as tx:
        theirs = await tx.rows("SELECT order_ref FROM demand.merchant_order WHERE merchant_id = :m", m=OTHERS)
        own = {
            row.order_ref
            for row in await tx.rows("SELECT order_ref FROM demand.merchant_order WHERE merchant_id = :m", m=MINE)
        }
    assert not [row.order_ref for row in theirs if row.order_ref in mine and row.order_ref not in own]
    assert (await (await sign_in("cashier")).get("/merchant/statements.csv")).status_code == 403
    assert (await (await sign_in("merchant")).get("/merchant/orders?sort=name")).status_code == 422


def test_a_listing_says_itself_in_addresses() -> None:
    wanted = {"first": date(2018, 8, 1), "last": None, "state": "paid & sent"}
    listing = Listing(ORDERS, "/o", "/o.csv", wanted, {}, (), Sort("goods", True), None, is_file=False)
    said = "first=2018-08-01&state=paid+%26+sent"
    goods, total, ref = (ORDERS.sorts[name] for name in ("goods", "total", "order_ref"))
    assert listing.file == f"/o.csv?{said}&sort=-goods"
    assert listing.by(goods) == f"/o?{said}&sort=goods"  # turned
    assert listing.by(total).endswith("sort=-total")
    assert listing.by(ref).endswith("sort=order_ref")  # words from A on
    assert (listing.turned(goods), listing.turned(total)) == ("descending", "none")
    assert listing.narrowed(state="", last="x") == "/o?first=2018-08-01&last=x&sort=-goods"
    assert listing.more is None
    with pytest.raises(Invalid):
        sort_of("-secret", ["goods"], "-goods")


def test_no_cell_of_a_file_is_a_formula() -> None:
    answer = csv_file("x", ["a"], [["=1+1", "@cmd", "-5", Amount("-5.00"), "fine", None, 7]])
    assert answer.content.splitlines()[1] == "'=1+1,'@cmd,'-5,-5.00,fine,,7"


@pytest.mark.parametrize(
    ("login", "path"),
    [
        ("merchant", "/merchant?on="),
        ("merchant", "/merchant/orders?first=&last=&state="),
        ("ops", "/ops?on="),
        ("ops", "/ops/merchants?on="),
        ("ops", "/ops/steering?on="),
        ("finance", "/audit?actor=&subject=&first=&last="),
        ("finance", "/finance/close?month="),
    ],
)
async def test_a_filter_that_is_sent_empty_filters_nothing(sign_in: SignIn, login: str, path: str) -> None:
    assert (await (await sign_in(login)).get(path)).status_code == 200


async def test_a_day_with_none_beyond_it_is_refused(sign_in: SignIn) -> None:
    assert (await (await sign_in("finance")).get("/audit?last=9999-12-31")).status_code == 422


@pytest.mark.parametrize(
    ("login", "page", "column"),
    [
        ("ops", "/ops/merchants", 0),
        ("ops", "/ops/parked", 0),
        ("ops", "/ops/leads?state=new", 0),
        ("merchant", "/merchant/payouts", 3),
    ],
)
async def test_the_file_of_a_list_begins_as_the_list_does(sign_in: SignIn, login: str, page: str, column: int) -> None:
    browser = await sign_in(login)
    html = (await browser.get(page)).text
    link = re.search(r'href="(/[^"]+\.csv[^"]*)" download', html)
    path = link[1].replace("&amp;", "&") if link else page.partition("?")[0] + ".csv"
    answer = await browser.get(path)
    assert answer.status_code == 200
    _, *rows = csv.reader(io.StringIO(answer.text))
    shown = re.findall(r"<tbody>.*?</tbody>", html, re.DOTALL)
    assert bool(rows) == bool(shown) == bool(link)
    if rows:
        assert rows[0][column] in plain(shown[0]).replace(",", "")
