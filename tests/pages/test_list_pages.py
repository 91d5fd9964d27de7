"""Every list of the consoles, as it is shown: each heading sorts it, its pages are all of its rows, so is its file, and
its filters stay."""

import csv
import io
import re
from collections.abc import Mapping

import httpx
import pytest

from marketplace.consoles import lists
from marketplace.core.db import Database
from tests.pages.conftest import SignIn, plain
from tests.pages.everything import addresses, fill
from tests.pages.list_pages import LISTS
from tests.pages.test_pages import Page

PEOPLE = ("admin", "merchant", "payer", "rita", "nina", "dora")
TWICE = ("/books/", "/finance/payers/")
"""Lists that are the same under another address, where the house sees them."""

MORE_THAN_ONE = 20
"""Of how many lists the market has several rows, at least."""


@pytest.fixture(scope="module")
async def reached(market: Database, sign_in: SignIn) -> Mapping[str, tuple[str, str]]:
    """By the name of a list's page an address of it, and who may open that."""
    more = await fill(market, *[await sign_in(login) for login in ("ops", "admin", "finance")])
    found: dict[str, tuple[str, str]] = {}
    for login in PEOPLE:
        own = await addresses(await sign_in(login), more if login == "admin" else [])
        for name, path in own.items():
            page = name.removeprefix("GET ")
            if page in LISTS:
                found.setdefault(page, (path.partition("?")[0], login))
    return found


def table_of(html: str) -> str:
    """What the headings sort; "" where there is nothing to sort."""
    return next((each for each in re.findall(r"<table.*?</table>", html, re.DOTALL) if "aria-sort" in each), "")


def rows_of(html: str) -> list[str]:
    body = re.search(r"<tbody>(.*)</tbody>", table_of(html), re.DOTALL)
    assert body is not None
    return [
        plain(re.sub(r'name="form_key" value="[^"]+"', "", row))
        for row in re.findall(r"<tr>.*?</tr>", body[1], re.DOTALL)
    ]


def linked(html: str, pattern: str) -> list[str]:
    return [found.replace("&amp;", "&") for found in re.findall(pattern, html)]


async def walked(browser: httpx.AsyncClient, path: str) -> list[str]:
    """The rows of a list over all its pages."""
    rows: list[str] = []
    following = [path]
    while following:
        answer = await browser.get(following[0])
        assert answer.status_code == 200, following[0]
        rows += rows_of(answer.text)
        following = linked(answer.text, r'class="more"><a class="button" href="([^"]+)"')
    return rows


async def filed(browser: httpx.AsyncClient, html: str) -> list[list[str]]:
    """The lines of the file of a list."""
    [link] = linked(html, r'href="(/[^"]+\.csv[^"]*)" download')
    answer = await browser.get(link)
    assert answer.status_code == 200, link
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.text)))[1:]


async def test_every_list_is_looked_at(reached: Mapping[str, tuple[str, str]]) -> None:
    assert set(LISTS) - set(reached) == set()


@pytest.mark.parametrize("page", [each for each in sorted(LISTS) if not each.startswith(TWICE)])
async def test_a_list_is_sorted_by_its_headings_and_taken_along_whole(
    reached: Mapping[str, tuple[str, str]], sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    path, login = reached[page]
    browser = await sign_in(login)
    html = (await browser.get(path)).text
    assert Page(html).faults == []
    if not table_of(html):
        return
    table = table_of(html)
    first = await filed(browser, html)
    columns = len(re.findall(r"<th[ >]", table.partition("</thead>")[0]))
    body = table.partition("<tbody>")[2].partition("</tbody>")[0]
    assert {row.count("<td") for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)} == {columns}
    headings = linked(table, r'class="sort" href="([^"]+)"')
    assert len(headings) > 1
    for heading in headings:
        assert re.search(r"[?&]sort=-?\w+$", heading)
        found = []
        for direction in ("", "-"):
            asked = re.sub(r"sort=-?", f"sort={direction}", heading)
            monkeypatch.setattr(lists, "PAGE_ROWS", 10_000)
            html = (await browser.get(asked)).text
            assert f'aria-sort="{"descending" if direction else "ascending"}"' in html
            whole, lines = rows_of(html), await filed(browser, html)
            monkeypatch.setattr(lists, "PAGE_ROWS", max(1, len(whole) // 3))
            assert await walked(browser, asked) == whole, asked
            assert len(lines) == len(whole), asked
            assert sorted(lines) == sorted(first), asked
            found.append(whole)
        assert sorted(found[0]) == sorted(found[1]), heading
    assert (await browser.get(f"{path}?sort=nothing")).status_code == 422


async def test_most_lists_of_the_market_have_several_rows(
    reached: Mapping[str, tuple[str, str]], sign_in: SignIn
) -> None:
    several = 0
    for path, login in reached.values():
        html = (await (await sign_in(login)).get(path)).text
        several += bool(table_of(html)) and len(rows_of(html)) > 1
    assert several >= MORE_THAN_ONE


@pytest.mark.parametrize(
    ("login", "path"),
    [
        ("merchant", "/merchant/orders?first=2018-08-01&last=2018-08-31&state=delivered"),
        ("merchant", "/merchant/documents?kind=self_billed_invoice"),
        ("ops", "/ops/merchants?on=2018-08-31"),
        ("ops", "/ops/leads?model=platform"),
        ("ops", "/ops/tasks?state=any"),
        ("finance", "/finance/payouts?now=instructed"),
        ("finance", "/finance/breaks?early=true"),
        ("finance", "/audit?subject=user"),
    ],
)
async def test_a_filter_stays_when_the_list_is_sorted_and_paged(
    reached: Mapping[str, tuple[str, str]], sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, login: str, path: str
) -> None:
    del reached
    monkeypatch.setattr(lists, "PAGE_ROWS", 1)
    html = (await (await sign_in(login)).get(path)).text
    wanted = path.partition("?")[2].split("&")
    table = table_of(html)
    if not table:
        return
    more = linked(html, r'class="more"><a class="button" href="([^"]+)"')
    file = linked(html, r'href="(/[^"]+\.csv[^"]*)" download')
    for link in [*linked(table, r'class="sort" href="([^"]+)"'), *more, *file]:
        assert all(one in link for one in wanted), link
