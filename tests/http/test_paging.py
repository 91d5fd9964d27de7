"""Cursors: opaque, checked, and never the reason for a fault."""

from collections.abc import Awaitable, Callable
from datetime import date

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.core.paging import LIMIT_MAX, decode_cursor, encode_cursor, page
from tests.http.market import add_small_market

Make = Callable[..., Awaitable[httpx.AsyncClient]]


@given(st.dates(), st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_cursor_comes_back_as_the_key_it_was_made_of(on: date, number: int, text: str) -> None:
    key = (on, number, text[:50])
    assert decode_cursor(encode_cursor(key), tuple[date, int, str]) == key


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: encode_cursor([raw.hex()])))
def test_any_other_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        decode_cursor(text, tuple[date, int])


@given(st.lists(st.integers(), max_size=12), st.integers(1, 5))
def test_pages_put_together_are_the_list(numbers: list[int], size: int) -> None:
    seen: list[int] = []
    begin = 0
    while True:
        part = page(numbers[begin : begin + size + 1], size, lambda n: n, lambda n: (n,))
        seen += part.items
        begin += size
        if part.next is None:
            break
    assert seen == numbers


BAD = [
    ("limit", 0),
    ("limit", LIMIT_MAX + 1),
    ("limit", "many"),
    ("cursor", "x"),
    ("cursor", "x" * 500),
    ("cursor", encode_cursor(["wrong", "kind"])),
    ("cursor", encode_cursor(["2018-01-01T00:00:00Z", 2**70, 1])),
    ("merchant_id", 2**63),
    ("merchant_id", "abc"),
    ("merchant_id", "1.5"),
    ("state", "lost"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
async def test_a_bad_parameter_is_named(caller: Make, db: Database, name: str, value: object) -> None:
    await add_small_market(db)
    staff = await caller("grace", "growth")
    answer = await staff.get("/api/v1/orders", params={name: str(value)})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith(f"{name}:")
    assert answer.json()["errors"][0]["pointer"] == f"/{name}"


async def test_orders_page_by_page_are_all_orders_once(caller: Make, db: Database) -> None:
    await add_small_market(db)
    staff = await caller("grace", "growth")
    refs, cursor = [], None
    while True:
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        answer = (await staff.get("/api/v1/orders", params=query)).json()
        refs += [item["order_ref"] for item in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert sorted(refs) == ["alpha-1", "alpha-2", "beta-3", "beta-4"]
    paid = (await staff.get("/api/v1/orders", params={"state": "paid"})).json()
    assert [item["order_ref"] for item in paid["items"]] == ["beta-4"]
