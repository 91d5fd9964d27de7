"""Buyers and carts over the API, as a shop's server uses it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from marketplace.core.db import WORKER, Database, Tx
from supply.model import Offered
from tests.http.market import send
from tests.placing.market import ALPHA, BETA, BUYER, CUP, LAMP, TEA, prepare, stock_of

Make = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def shop(db: Database, caller: Make) -> httpx.AsyncClient:
    await prepare(db)
    return await caller("shop", "storefront")


def lines(*wanted: tuple[int, int, int]) -> list[dict[str, int]]:
    return [{"merchant_id": m, "product_id": p, "quantity": q} for m, p, q in wanted]


async def cart_of(shop: httpx.AsyncClient, *wanted: tuple[int, int, int], buyer: int = BUYER) -> dict[str, Any]:
    answer = await send(shop, f"/buyers/{buyer}/carts", {"currency": "EUR", "lines": lines(*wanted)})
    assert answer.status_code == 201, answer.text
    cart: dict[str, Any] = answer.json()
    return cart


async def test_from_a_new_buyer_to_a_placed_purchase(shop: httpx.AsyncClient, db: Database) -> None:
    buyer = (await send(shop, "/buyers", {"buyer_ref": "anne@shop", "name": "Anne", "city": "Lyon"})).json()
    taken = await send(shop, "/buyers", {"buyer_ref": "anne@shop"})
    assert (taken.status_code, taken.json()["errors"][0]["pointer"]) == (409, "/buyer_ref")
    cart = await cart_of(shop, (ALPHA, TEA, 1), buyer=buyer["buyer_id"])
    path = f"/api/v1/buyers/{buyer['buyer_id']}/carts/{cart['cart_id']}"
    read = await shop.get(path)
    assert read.headers["etag"] == '"1"'
    body = {"lines": lines((BETA, LAMP, 2), (ALPHA, CUP, 1))}
    changed = await shop.put(f"{path}/lines", json=body, headers={"If-Match": read.headers["etag"]})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (await shop.put(f"{path}/lines", json=body, headers={"If-Match": '"1"'})).status_code == 412
    assert (await shop.put(f"{path}/lines", json=body)).status_code == 428
    quote = (await shop.get(f"{path}/quote")).json()
    assert (quote["total_minor"], quote["placeable"]) == (799 + 2 * 5_900, True)
    order = {"quote": quote["quote"], "method": "tok_ok"}
    first = await send(shop, f"{path.removeprefix('/api/v1')}/place", order, key="k1")
    assert first.status_code == 201, first.text
    assert first.json()["total_minor"] == quote["total_minor"]
    again = await send(shop, f"{path.removeprefix('/api/v1')}/place", order, key="k1")
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert (await shop.get(path)).json()["state"] == "placed"
    assert (await shop.put(f"{path}/lines", json=body, headers={"If-Match": '"3"'})).status_code == 409
    assert await stock_of(db, BETA, LAMP) == (3, 2)
    listed = (await shop.get(f"/api/v1/buyers/{buyer['buyer_id']}/carts")).json()["items"]
    assert [one["purchase_id"] for one in listed] == [first.json()["purchase_id"]]


async def test_a_changed_price_is_answered_with_the_present_quote(shop: httpx.AsyncClient) -> None:
    cart = await cart_of(shop, (ALPHA, TEA, 11))
    path = f"/buyers/{BUYER}/carts/{cart['cart_id']}"
    refused = await send(shop, f"{path}/place", {"quote": "0" * 32, "method": "tok_ok"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/quote-changed")
    assert refused.json()["quote"]["lines"][0]["problem"] == "only 10 left"
    dropped = await send(shop, f"{path}/drop")
    assert dropped.json()["state"] == "dropped"
    assert (await send(shop, f"{path}/place", {"quote": "0" * 32, "method": "tok_ok"})).status_code == 409


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"currency": "EUR", "lines": lines((ALPHA, TEA, 0))}, "/lines/0/quantity"),
        ({"currency": "EUR", "lines": lines((ALPHA, TEA, 10_000))}, "/lines/0/quantity"),
        ({"currency": "EUR", "lines": lines((ALPHA, TEA, 1), (ALPHA, TEA, 2))}, "/lines/1"),
        ({"currency": "EUR", "lines": lines((2**63, TEA, 1))}, "/lines/0"),
        ({"currency": "EUR", "lines": [{"merchant_id": "11", "product_id": 1, "quantity": 1}]}, "/lines/0/merchant_id"),
        ({"currency": "EUR", "lines": lines(*((ALPHA, p, 1) for p in range(101)))}, "/lines"),
        ({"currency": "EURO"}, "/currency"),
    ],
)
async def test_a_bad_cart_is_refused_naming_the_field(shop: httpx.AsyncClient, body: Any, pointer: str) -> None:
    answer = await send(shop, f"/buyers/{BUYER}/carts", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_buyer_is_changed_by_whoever_saw_it_last(shop: httpx.AsyncClient) -> None:
    path = f"/api/v1/buyers/{BUYER}"
    tag = (await shop.get(path)).headers["etag"]
    changed = await shop.patch(path, json={"city": "Porto"}, headers={"If-Match": tag})
    assert (changed.json()["city"], changed.json()["version"]) == ("Porto", 2)
    late = await shop.patch(path, json={"city": "Faro"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["type"]) == (412, "/problems/stale")
    assert (await shop.get("/api/v1/buyers", params={"buyer_ref": "ben"})).json()["items"][0]["city"] == "Porto"


async def test_carts_of_another_buyer_do_not_exist(shop: httpx.AsyncClient) -> None:
    cart = await cart_of(shop, (ALPHA, TEA, 1))
    other = (await send(shop, "/buyers", {})).json()["buyer_id"]
    assert (await shop.get(f"/api/v1/buyers/{other}/carts/{cart['cart_id']}")).status_code == 404
    placed = await send(shop, f"/buyers/{other}/carts/{cart['cart_id']}/place", {"quote": "0" * 32, "method": "t"})
    assert placed.status_code == 404


async def test_what_is_out_of_stock_is_named_with_what_is_free(shop: httpx.AsyncClient) -> None:
    cart = await cart_of(shop, (ALPHA, TEA, 1), (BETA, LAMP, 4))
    path = f"/buyers/{BUYER}/carts/{cart['cart_id']}"
    quote = (await shop.get(f"/api/v1{path}/quote")).json()
    assert [(line["problem"], line["free"]) for line in quote["lines"]] == [(None, None), ("only 3 left", 3)]
    refused = await send(shop, f"{path}/place", {"quote": quote["quote"], "method": "tok_ok"})
    said = refused.json()
    assert (refused.status_code, said["type"]) == (409, "/problems/out-of-stock")
    assert said["out_of_stock"] == [
        {"merchant_id": BETA, "product_id": LAMP, "title": "Lamp", "quantity": 4, "free": 3}
    ]  # fmt: skip
    assert (said["quote"], said["detail"]) == (quote, f"product {LAMP} of merchant {BETA} only 3 left")


async def test_the_shop_reads_what_can_be_bought_and_nothing_else(shop: httpx.AsyncClient, db: Database) -> None:
    async def change(tx: Tx) -> None:
        await tx.execute("UPDATE supply.offer SET state = 'hidden' WHERE product_id = :product", {"product": CUP})
        await tx.execute("UPDATE supply.stock SET reserved = 2 WHERE product_id = :product", {"product": LAMP})

    async def read(**query: Any) -> list[dict[str, Any]]:
        items, cursor = [], None
        while True:
            answer = await shop.get(
                "/api/v1/listings", params={"limit": 1, **query, **({"cursor": cursor} if cursor else {})}
            )
            assert answer.status_code == 200, answer.text
            items += answer.json()["items"]
            cursor = answer.json()["next"]
            if cursor is None:
                return items

    await db.write(WORKER, "test", change)
    listed = await read()
    assert [(one["title"], one["price_minor"], one["freight_minor"], one["free"]) for one in listed] == [
        ("Tea", 1_250, 300, 10), ("Lamp", 5_000, 900, 1), ("Mug", 450, 100, 100),
    ]  # fmt: skip
    assert listed[1].keys() == set(Offered.__struct_fields__)
    assert [one["title"] for one in await read(merchant_id=BETA)] == ["Lamp", "Mug"]
    assert [one["title"] for one in await read(title="te")] == ["Tea"]
    assert await read(category="garden") == []
    await db.write(
        WORKER, "test", Tx.execute, f"UPDATE supply.merchant SET state = 'suspended' WHERE merchant_id = {BETA}"
    )
    assert [one["title"] for one in await read()] == ["Tea"]
