"""Cursors: opaque, checked, and never the reason for a fault."""

from collections.abc import Awaitable, Callable
from datetime import date

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.core.paging import LIMIT_MAX, decode_cursor, encode_cursor, page
from tests.conftest import NOW
from tests.http.market import ALPHA, add_small_market

Make = Callable[..., Awaitable[httpx.AsyncClient]]


@given(st.dates(), st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_cursor_comes_back_as_the_key_it_was_made_of(on: date, number: int, text: str) -> None:
    key = (on, number, text[:50])
    assert decode_cursor(encode_cursor(key), tuple[date, int, str]) == key


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: encode_cursor([raw.hex()])))
def test_any_other_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        decode_cursor(text, tuple[date, int])


@given(st.lists(st.integers(0, 9), max_size=20).map(sorted), st.integers(1, 5))
def test_pages_put_together_are_the_list_and_ties_are_never_parted(keys: list[int], size: int) -> None:
    def found(after: int) -> list[int]:
        """What a query finds behind a key: one row more than a page, and all that tie with it."""
        behind = [key for key in keys if key > after]
        return [key for key in behind if len(behind) <= size or key <= behind[size]]

    seen: list[int] = []
    cursor = None
    while True:
        (after,) = decode_cursor(cursor, tuple[int]) or (-1,)
        part = page(found(after), size, lambda key: key, lambda key: (key,))
        assert len(part.items) <= size or len(set(part.items)) == 1
        seen += part.items
        cursor = part.next
        if cursor is None:
            break
    assert seen == keys


BAD = [
    ("limit", 0),
    ("limit", LIMIT_MAX + 1),
    ("limit", "many"),
    ("limit", "1.0"),
    ("limit", "+1"),
    ("limt", "1"),
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


async def test_an_entry_with_two_lines_on_an_account_is_on_one_page(caller: Make, db: Database) -> None:
    await add_small_market(db)
    both = NewEntry(
        merchant_id=ALPHA,
        kind="payment_unassigned",
        source_id=1,
        currency="EUR",
        occurred_at=NOW,
        effective_on=date(2018, 5, 1),
        legs=(Leg(1020, 5, 1), Leg(1020, 7, 2), Leg(2900, -12)),
    )
    after = msgspec.structs.replace(both, source_id=2, legs=(Leg(1020, 3, 1), Leg(2900, -3)))
    await db.write(WORKER, "test", ledger.post, [both, after])
    staff = await caller("fay", "controller")
    for size in (1, 2, 3):
        pages, cursor = [], None
        while True:
            query = {"merchant_id": ALPHA, "limit": size} | ({"cursor": cursor} if cursor else {})
            answer = (await staff.get("/api/v1/accounts/1020/lines", params=query)).json()
            pages.append([item["amount_minor"] for item in answer["items"] if item["kind"] == both.kind])
            cursor = answer["next"]
            if cursor is None:
                break
        assert sorted(amount for amounts in pages for amount in amounts) == [3, 5, 7]
        assert [5, 7] in [sorted(amounts)[-2:] for amounts in pages]
