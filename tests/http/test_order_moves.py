"""A purchase over two merchants on its way, over HTTP: the merchants', the shop's and the platform's moves."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest

from demand.lifecycle import Party
from marketplace.core.db import WORKER, Database, Tx
from marketplace.routes.order_queries import view_order, view_purchase
from tests.billing.market import check_books
from tests.http.market import ALPHA, BETA, send
from tests.orders.market import BUYER, Bought, Sold, add_purchase, shelf, shop_with
from tests.statements import statements

Make = Callable[..., Awaitable[httpx.AsyncClient]]

OF_ALPHA = f"/merchants/{ALPHA}/orders/1"
OF_BETA = f"/merchants/{BETA}/orders/2"
PURCHASE = f"/buyers/{BUYER}/purchases/1"
CARRIED = (Sold(quantity=3, goods_minor=10_000, freight_minor=500),)


def sold(merchant_id: int, order_id: int) -> Bought:
    return Bought(merchant_id=merchant_id, order_id=order_id, lines=(Sold(quantity=3, goods_minor=10_000),))


@pytest.fixture
async def alpha(db: Database, caller: Make) -> httpx.AsyncClient:
    """ALPHA's manager, in a market in which a buyer has bought of ALPHA and of BETA."""
    await shop_with(db, sold(ALPHA, 1), sold(BETA, 2))
    return await caller("alice", "merchant_manager", merchant_id=ALPHA)


@pytest.fixture
async def shop(alpha: httpx.AsyncClient, caller: Make) -> httpx.AsyncClient:
    return await caller("shop", "storefront")


async def read(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def done(client: httpx.AsyncClient, path: str, body: object = None) -> Any:
    answer = await send(client, path, body)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


@pytest.mark.parametrize("text", ["two\nlines", "x" * 201])
async def test_the_name_of_a_carrier_is_one_line(alpha: httpx.AsyncClient, text: str) -> None:
    for field in ("carrier", "tracking"):
        refused = await send(alpha, f"{OF_ALPHA}/shipments", {field: text})
        assert (refused.status_code, field in refused.text) == (422, True)


async def test_a_purchase_is_read_in_as_many_statements_however_many_merchants(
    alpha: httpx.AsyncClient, db: Database
) -> None:
    """Each of its orders with its own parts, as the merchant sees it."""
    await db.write(WORKER, "test", add_purchase, 2, [sold(ALPHA, 3)])
    for number, path in enumerate((OF_ALPHA, OF_ALPHA, f"/merchants/{ALPHA}/orders/3"), start=1):
        body = {"lines": [{"line_no": 1, "quantity": 1}], "tracking": f"t-{number}"}
        await done(alpha, f"{path}/shipments", body)
    sent = {}
    for purchase_id in (1, 2):
        with statements(db) as heard:
            view = await view_purchase(db, BUYER, purchase_id)
        sent[purchase_id] = len(heard)
        for one in view.orders:
            async with db.read(WORKER) as tx:
                assert one == await view_order(tx, one.order.merchant_id, one.order.order_id, Party.BUYER)
        tracked = [[shipment.tracking for shipment in one.shipments] for one in view.orders]
        assert tracked == ([["t-1", "t-2"], []] if purchase_id == 1 else [["t-3"]])
    assert sent[1] == sent[2]


async def test_an_order_from_acceptance_to_return(
    alpha: httpx.AsyncClient, shop: httpx.AsyncClient, db: Database
) -> None:
    assert (await read(alpha, OF_ALPHA))["moves"] == ["accept", "ship", "cancel", "cancel_part"]
    assert (await done(alpha, f"{OF_ALPHA}/accept"))["state"] == "accepted"
    lines = [{"line_no": 1, "quantity": 1}]
    body = {"lines": lines, "carrier": "post", "tracking": "t-1"}
    first = await done(alpha, f"{OF_ALPHA}/shipments", body)
    assert first["moved"]["state"] == "fulfilling"
    assert first["shipment"]["lines"] == lines
    cancelled = await done(alpha, f"{OF_ALPHA}/cancel-lines", {"lines": lines})
    assert (cancelled["state"], cancelled["refund"]["gross_minor"]) == ("fulfilling", 3334)
    arrived = {"shipment_id": first["shipment"]["shipment_id"]}
    assert (await done(alpha, f"{OF_ALPHA}/deliveries", arrived))["state"] == "partly_delivered"
    await done(alpha, f"{OF_ALPHA}/shipments", {})
    completed = await done(shop, f"{PURCHASE}/orders/1/complete")
    assert completed["state"] == "delivered"
    assert await done(shop, f"{PURCHASE}/orders/1/complete") == completed
    asked = await done(shop, f"{PURCHASE}/orders/1/returns", {"reason": "changed_mind", "note": "too small"})
    assert (asked["state"], asked["lines"]) == ("requested", [{"line_no": 1, "quantity": 2}])
    returns = f"{OF_ALPHA}/returns/{asked['return_id']}"
    assert (await done(alpha, f"{returns}/approve", {}))["state"] == "approved"
    received = await done(alpha, f"{returns}/receive", {"restock": True})
    assert (received["returned"]["state"], received["refund"]["gross_minor"]) == ("refunded", 6666)
    seen = await read(alpha, OF_ALPHA)
    assert [one["carrier"] for one in seen["shipments"]] == ["post", ""]
    assert [one["state"] for one in seen["returns"]] == ["refunded"]
    assert (seen["lines"][0]["returned_quantity"], seen["moves"]) == (2, [])
    await check_books(db)


async def test_the_history_pages_and_keeps_the_houses_people_to_itself(
    alpha: httpx.AsyncClient, shop: httpx.AsyncClient, caller: Make
) -> None:
    await done(alpha, f"{OF_ALPHA}/accept")
    await done(alpha, f"{OF_ALPHA}/shipments", {})
    ops = await caller("olga", "growth")
    await done(ops, f"{OF_ALPHA}/complete")
    first = await read(alpha, f"{OF_ALPHA}/events?limit=2")
    rest = await read(alpha, f"{OF_ALPHA}/events?limit=2&cursor={first['next']}")
    moves = [(one["event_no"], one["move"], one["actor"]) for one in first["items"] + rest["items"]]
    assert moves == [(2, "accept", "alice"), (3, "ship", "alice"), (4, "complete", "")]
    assert (await read(ops, f"{OF_ALPHA}/events"))["items"][2]["actor"] == "olga"


async def test_the_etag_is_honoured_where_it_is_sent(alpha: httpx.AsyncClient) -> None:
    seen = (await alpha.get(f"/api/v1{OF_ALPHA}")).headers["ETag"]
    assert seen == '"1"'

    async def accept(tag: str, key: str) -> httpx.Response:
        headers = {"Idempotency-Key": key, "If-Match": tag}
        return await alpha.post(f"/api/v1{OF_ALPHA}/accept", headers=headers)

    assert (await accept('"7"', "k-1")).status_code == 412
    assert (await accept("never", "k-2")).status_code == 412
    first = await accept(seen, "k-3")
    assert first.status_code == 200
    again = await accept(seen, "k-3")
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert (await alpha.get(f"/api/v1{OF_ALPHA}")).headers["ETag"] == '"2"'


async def test_a_buyer_cancels_one_order_of_the_purchase(shop: httpx.AsyncClient, db: Database) -> None:
    listed = await read(shop, f"/buyers/{BUYER}/purchases")
    assert [one["purchase_id"] for one in listed["items"]] == [1]
    orders = (await read(shop, PURCHASE))["orders"]
    assert [(one["order"]["merchant_id"], one["moves"]) for one in orders] == [
        (ALPHA, ["cancel", "cancel_part"]),
        (BETA, ["cancel", "cancel_part"]),
    ]
    assert (await done(shop, f"{PURCHASE}/orders/2/cancel", {}))["state"] == "cancelled"
    orders = (await read(shop, PURCHASE))["orders"]
    assert [one["order"]["state"] for one in orders] == ["paid", "cancelled"]
    assert (await shelf(db, ALPHA), await shelf(db, BETA)) == ((100, 3), (100, 0))
    await check_books(db)


async def test_a_reason_that_keeps_the_freight_is_refused_with_those_that_give_it_back(
    shop: httpx.AsyncClient, db: Database
) -> None:
    await db.write(WORKER, "test", add_purchase, 2, [msgspec.structs.replace(sold(ALPHA, 3), lines=CARRIED)])
    path = f"/buyers/{BUYER}/purchases/2/orders/3/cancel"
    refused = await send(shop, path, {"reason": "changed_mind"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (409, "/reason")
    assert "give a reason that gives all of it back: buyer_cancelled, " in refused.json()["detail"]
    cancelled = await done(shop, path, {"reason": "buyer_cancelled"})
    assert (cancelled["state"], cancelled["refund"]["gross_minor"]) == ("cancelled", 10_500)
    await check_books(db)


async def test_a_shop_sees_nothing_of_the_merchants_books(
    alpha: httpx.AsyncClient, shop: httpx.AsyncClient, db: Database
) -> None:
    await db.write(WORKER, "test", Tx.execute, "UPDATE demand.order_line SET contract_id = 7")
    [ours, _] = (await read(shop, PURCHASE))["orders"]
    assert [line["contract_id"] for line in ours["lines"]] == [None]
    assert [line["contract_id"] for line in (await read(alpha, OF_ALPHA))["lines"]] == [7]
    refund = (await done(shop, f"{PURCHASE}/orders/2/cancel", {}))["refund"]
    assert refund["gross_minor"] == 10_000
    books = ("entry_no", "commission_minor", "vat_minor", "platform_minor", "fee_minor")
    assert [refund[name] for name in books] == [None] * 5


async def test_purchases_page(shop: httpx.AsyncClient) -> None:
    page = await read(shop, f"/buyers/{BUYER}/purchases?limit=1")
    assert (len(page["items"]), page["next"]) == (1, None)
    assert (await read(shop, f"/buyers/{BUYER + 1}/purchases"))["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        f"/buyers/{BUYER + 1}/purchases/1/orders/1/cancel",
        f"/buyers/{BUYER}/purchases/2/orders/1/cancel",
        f"/buyers/{BUYER}/purchases/1/orders/3/cancel",
    ],
)
async def test_another_buyers_order_does_not_exist(shop: httpx.AsyncClient, path: str) -> None:
    assert (await send(shop, path, {})).status_code == 404
    assert (await shop.get(f"/api/v1/buyers/{BUYER + 1}/purchases/1")).status_code == 404


async def test_another_merchants_order_does_not_exist(alpha: httpx.AsyncClient, db: Database) -> None:
    for path, body in (
        ("accept", None),
        ("shipments", {}),
        ("deliveries", {"shipment_id": 1}),
        ("cancel", {}),
        ("cancel-lines", {"lines": [{"line_no": 1, "quantity": 1}]}),
        ("returns/1/approve", {}),
        ("returns/1/refuse", {"note": "no"}),
        ("returns/1/receive", {}),
    ):
        answer = await send(alpha, f"{OF_BETA}/{path}", body)
        assert answer.status_code == 404, (path, answer.text)
        own_path = await send(alpha, f"/merchants/{ALPHA}/orders/2/{path}", body)
        assert own_path.status_code == 404, (path, own_path.text)
    assert await shelf(db, BETA) == (100, 3)


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("shipments", {"lines": [{"line_no": 1, "quantity": 4}]}, "/lines/0/quantity"),
        ("shipments", {"lines": [{"line_no": 9, "quantity": 1}]}, "/lines/0/line_no"),
        ("cancel-lines", {"lines": [{"line_no": 1, "quantity": 1}] * 2}, "/lines/1/line_no"),
        ("returns/1/refuse", {}, "/note"),
    ],
)
async def test_a_refusal_names_the_field(alpha: httpx.AsyncClient, path: str, body: object, pointer: str) -> None:
    answer = await send(alpha, f"{OF_ALPHA}/{path}", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("shipments", {"lines": []}),
        ("shipments", {"lines": [{"line_no": 1, "quantity": 0}]}),
        ("shipments", {"lines": [{"line_no": 1, "quantity": 2**31}]}),
        ("shipments", {"carrier": "a\0b"}),
        ("shipments", {"carrier": "x" * 501}),
        ("cancel", {"reason": "Because!"}),
        ("cancel", {"why": "typo"}),
        ("deliveries", {"shipment_id": "1"}),
    ],
)
async def test_a_body_that_cannot_be_meant_is_refused(alpha: httpx.AsyncClient, path: str, body: object) -> None:
    assert (await send(alpha, f"{OF_ALPHA}/{path}", body)).status_code == 422


async def test_a_cashier_ships_and_gives_no_money_back(alpha: httpx.AsyncClient, caller: Make) -> None:
    cashier = await caller("cash", "merchant_cashier", merchant_id=ALPHA)
    await done(cashier, f"{OF_ALPHA}/shipments", {})
    assert (await send(cashier, f"{OF_ALPHA}/cancel", {})).status_code == 403
