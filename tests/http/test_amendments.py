"""Amendments and cash over HTTP: preview, proposal, decision, and who may see and do what."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from marketplace.core.db import WORKER, Database, Tx
from tests.billing.market import check_books
from tests.http.market import send
from tests.orders.amending import LAMP, MERCHANT, ORDER, add_paid_order

Make = Callable[..., Awaitable[httpx.AsyncClient]]
PATH = f"/merchants/{MERCHANT}/orders/{ORDER}/amendments"
OFF = {"take_off": [{"line_no": 1, "quantity": 1}]}
BUYER = {"buyer_id": 1}


@pytest.fixture
async def owner(db: Database, caller: Make) -> httpx.AsyncClient:
    await add_paid_order(db)
    return await caller("olga", "merchant_owner", merchant_id=MERCHANT)


@pytest.fixture
async def shop(owner: httpx.AsyncClient, caller: Make) -> httpx.AsyncClient:
    return await caller("shop", "storefront")


async def test_from_preview_to_effect(db: Database, owner: httpx.AsyncClient, shop: httpx.AsyncClient) -> None:
    shown = (await owner.post(f"/api/v1{PATH}/preview", json=OFF)).json()
    assert (shown["base_version"], shown["priced"]["delta_minor"]) == (1, -4_000)
    body = {**OFF, "base_version": shown["base_version"], "reason": "one is broken"}
    proposed = await send(owner, PATH, body)
    assert (proposed.status_code, proposed.json()["state"]) == (201, "proposed")
    assert proposed.json()["changes"]["priced"] == shown["priced"]
    one = f"{PATH}/{proposed.json()['amendment_id']}"
    refused = await send(owner, f"{one}/accept", {"base_version": 1})
    assert (refused.status_code, refused.json()["detail"]) == (
        403, "the merchant proposed this amendment: the other side accepts or declines it",
    )  # fmt: skip
    done = await send(shop, f"{one}/accept", {"base_version": 1, **BUYER}, key="accept-1")
    assert (done.status_code, done.json()["state"]) == (200, "applied")
    again = await send(shop, f"{one}/accept", {"base_version": 1, **BUYER}, key="accept-1")
    assert (again.content, again.headers["Idempotency-Replayed"]) == (done.content, "true")
    assert (await shop.get(f"/api/v1{one}", params=BUYER)).json() == done.json()
    listed = (await owner.get(f"/api/v1{PATH}")).json()
    assert [item["state"] for item in listed["items"]] == ["applied"]
    await check_books(db)


async def test_a_stale_proposal_is_answered_with_the_new_preview(owner: httpx.AsyncClient) -> None:
    answer = await send(owner, PATH, {**OFF, "base_version": 9, "reason": "x"})
    assert answer.status_code == 409
    assert (answer.json()["version"], answer.json()["preview"]["priced"]["delta_minor"]) == (1, -4_000)


async def test_more_waits_for_its_payment_and_can_be_taken_back(
    owner: httpx.AsyncClient, shop: httpx.AsyncClient
) -> None:
    add = {"add": [{"product_id": LAMP, "quantity": 1}], "base_version": 1, "reason": "one more", **BUYER}
    proposed = (await send(shop, PATH, {**add, "method": "card_other"})).json()
    one = f"{PATH}/{proposed['amendment_id']}"
    waiting = (await send(owner, f"{one}/accept", {"base_version": 1})).json()
    assert (waiting["state"], waiting["delta_minor"]) == ("awaiting_payment", 2_600)
    assert waiting["method"] == ""  # the buyer's own affair
    cancelled = (await send(shop, f"{one}/cancel", {"reason": "changed my mind", **BUYER})).json()
    assert (cancelled["state"], cancelled["outcome"]) == ("cancelled", "changed my mind")


async def test_a_difference_is_not_paid_in_cash(owner: httpx.AsyncClient, shop: httpx.AsyncClient) -> None:
    add = {"add": [{"product_id": LAMP, "quantity": 1}], "base_version": 1, "reason": "one more"}
    proposed = (await send(owner, PATH, add)).json()
    for path, body in ((PATH, {**add, **BUYER}), (f"{PATH}/{proposed['amendment_id']}/accept", BUYER)):
        refused = await send(shop, path, {"base_version": 1, **body, "method": "cash"})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/method")
        assert "token" in refused.json()["detail"]


async def test_who_has_paid_in_cash_needs_a_token_to_pay_more(
    db: Database, owner: httpx.AsyncClient, shop: httpx.AsyncClient
) -> None:
    await db.write(WORKER, "test", Tx.execute, "UPDATE billing.payment SET method = 'cash'")
    add = {"add": [{"product_id": LAMP, "quantity": 1}], "base_version": 1, "reason": "one more"}
    one = f"{PATH}/{(await send(owner, PATH, add)).json()['amendment_id']}/accept"
    refused = await send(shop, one, {"base_version": 1, **BUYER})
    assert refused.status_code == 409
    assert "send the processor's token of a card or account" in refused.json()["detail"]
    accepted = await send(shop, one, {"base_version": 1, **BUYER, "method": "tok_ok"})
    assert (accepted.status_code, accepted.json()["state"]) == (200, "awaiting_payment")


async def test_the_shop_names_its_buyer_and_sees_that_buyers_orders_only(
    owner: httpx.AsyncClient, shop: httpx.AsyncClient
) -> None:
    unnamed = await send(shop, PATH, {**OFF, "base_version": 1, "reason": "x"})
    assert (unnamed.status_code, unnamed.json()["errors"][0]["pointer"]) == (422, "/buyer_id")
    for answer in (
        await send(shop, PATH, {**OFF, "base_version": 1, "reason": "x", "buyer_id": 2}),
        await shop.post(f"/api/v1{PATH}/preview", json={**OFF, "buyer_id": 2}),
        await shop.get(f"/api/v1{PATH}", params={"buyer_id": 2}),
    ):
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"take_off": [{"line_no": 1, "quantity": 0}]}, "/take_off/0/quantity"),
        ({"take_off": [{"line_no": 1, "quantity": 4}]}, "/take_off/0/quantity"),
        ({"reprice": [{"line_no": 1, "amount_minor": 10**13, "reason": "x"}]}, "/reprice/0/amount_minor"),
        ({"reprice": [{"line_no": 1, "amount_minor": 5, "reason": "a\0b"}]}, "/reprice/0/reason"),
        ({"add": [{"product_id": "1", "quantity": 1}]}, "/add/0/product_id"),
        ({"swap": []}, "/swap"),
        ({}, ""),
    ],
)
async def test_what_is_wrong_is_named(owner: httpx.AsyncClient, body: dict[str, object], pointer: str) -> None:
    answer = await owner.post(f"/api/v1{PATH}/preview", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_another_merchants_orders_do_not_exist(owner: httpx.AsyncClient) -> None:
    path = f"/merchants/2/orders/{ORDER}"
    for answer in (
        await owner.post(f"/api/v1{path}/amendments/preview", json=OFF),
        await send(owner, f"{path}/amendments", {**OFF, "base_version": 1, "reason": "x"}),
        await owner.get(f"/api/v1{path}/amendments"),
        await send(owner, f"{path}/cash-collected"),
    ):
        assert answer.status_code == 404


async def test_cash_of_an_order_that_is_paid_is_not_collected(owner: httpx.AsyncClient, caller: Make) -> None:
    answer = await send(owner, f"/merchants/{MERCHANT}/orders/{ORDER}/cash-collected")
    assert answer.status_code == 409
    fay = await caller("fay", "controller")
    assert (await fay.get("/api/v1/balances/receivables")).json() == {"items": [], "next": None}
