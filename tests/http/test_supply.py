"""Merchants, listings, stock, bank accounts and payouts over HTTP: ETags, keys, pages, and whose is whose."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payouts.pay_merchants import activate_bank_accounts
from tests.billing.accounts import IBAN
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.http.market import ALPHA, BETA, add_small_market, add_supply, close_month, send

Make = Callable[..., Awaitable[httpx.AsyncClient]]
ACCOUNT = {"holder": "Alpha Ltd", "scheme": "iban", "number": IBAN, "currency": "EUR"}


@pytest.fixture
async def ops(db: Database, caller: Make) -> httpx.AsyncClient:
    await add_small_market(db)
    return await caller("olga", "growth")


def at(merchant_id: int, path: str = "") -> str:
    return f"/merchants/{merchant_id}{path}"


async def edit(
    client: httpx.AsyncClient, path: str, body: object, etag: str | None, method: str = "PATCH"
) -> httpx.Response:
    headers = {} if etag is None else {"If-Match": etag}
    return await client.request(method, f"/api/v1{path}", json=body, headers=headers)


async def read(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_merchant_is_taken_in_once_and_edited_by_version(ops: httpx.AsyncClient) -> None:
    body = {"name": "Gamma", "merchant_ref": "gamma", "city": "Bonn"}
    first = await send(ops, "/merchants", body, key="k1")
    assert (first.status_code, first.json()["state"]) == (201, "onboarding")
    again = await send(ops, "/merchants", body, key="k1")
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert (await send(ops, "/merchants", body)).status_code == 409
    path = at(first.json()["merchant_id"])
    shown = await ops.get(f"/api/v1{path}")
    assert shown.headers["etag"] == '"1"'
    assert (await edit(ops, path, {"city": "Kiel"}, None)).status_code == 428
    changed = await edit(ops, path, {"city": "Kiel"}, '"1"')
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["name"], changed.json()["city"]) == ("Gamma", "Kiel")
    stale = await edit(ops, path, {"city": "Ulm"}, '"1"')
    assert (stale.status_code, stale.json()["version"]) == (412, 2)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "a\u0000b"},
        {"name": "x" * 201},
        {"name": "x", "rating": 5},
        {"name": "x", "entity_id": 2**31},
        {"name": "x", "entity_id": 9},
    ],
)
async def test_a_merchant_that_is_none_is_refused_by_field(ops: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await send(ops, "/merchants", body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_the_checklist_over_http_from_missing_to_live(ops: httpx.AsyncClient, caller: Make) -> None:
    m = (await send(ops, "/merchants", {"name": "Gamma"})).json()["merchant_id"]
    owner = await caller("gil", "merchant_owner", merchant_id=m)
    clerk, second = await caller("fay", "accountant"), await caller("con", "controller")
    refused = await send(ops, at(m, "/go-live"))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/onboarding-not-complete")
    assert refused.json()["missing"] == (await read(owner, at(m, "/onboarding")))["missing"]
    assert refused.json()["needs"]["listing"] == "a listing that is not hidden"
    for key in ("legal_name_and_address", "terms", "identity_document"):
        assert (await send(owner, at(m, f"/onboarding/{key}/attest"), {"note": "page 3"})).status_code == 200
    assert (await send(ops, at(m, "/onboarding/identity_document/reject"), {"reason": "blurred"})).status_code == 200
    assert (await send(ops, at(m, "/onboarding/identity_document/verify"))).status_code == 409
    await send(owner, at(m, "/onboarding/identity_document/attest"), {})
    assert (await send(ops, at(m, "/onboarding/identity_document/verify"))).json()["missing"] == [
        "bank_account", "listing",
    ]  # fmt: skip
    assert (await send(owner, at(m, "/listings"), {"sku": "A", "title": "A", "price_minor": 5})).status_code == 201
    account = (await send(owner, at(m, "/bank-accounts"), ACCOUNT)).json()
    assert (account["masked"], "number" in account) == ("…3000", False)
    path = at(m, f"/bank-accounts/{account['account_id']}")
    order = (await clerk.post(f"/api/v1{path}/transfer")).json()
    wrong = await send(owner, f"{path}/verify", {"code": "0000000000"}, key="wrong")
    again = await send(owner, f"{path}/verify", {"code": "0000000000"}, key="wrong")
    for refused in (wrong, again):  # a try is counted once for its key
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/code")
        assert "2 tries are left" in refused.json()["detail"]
    assert (await read(owner, path))["tries"] == 1
    assert (await send(owner, f"{path}/verify", {"code": order["code"]})).json()["state"] == "verified"
    assert (await send(second, f"{path}/approve")).json()["state"] == "cooling"
    live = await send(ops, at(m, "/go-live"))
    assert (live.status_code, live.json()["state"], live.json()["joined_on"]) == (200, "live", str(NOW.date()))
    assert (await send(ops, at(m, "/suspend"), {"reason": "complaints"})).json()["state"] == "suspended"
    assert (await send(ops, at(m, "/onboarding/nothing/waive"), {"reason": "x"})).status_code == 404


async def test_who_lists_goods_can_read_which_categories_there_are(
    ops: httpx.AsyncClient, caller: Make, db: Database
) -> None:
    alpha = await caller("alice", "merchant_manager", merchant_id=ALPHA)
    body = {"sku": "A-1", "title": "Lamp", "price_minor": 1_000, "category": "of my own"}
    refused = await send(alpha, at(ALPHA, "/listings"), body)
    assert refused.json()["errors"] == [
        {
            "pointer": "/category",
            "detail": "category: there is no category 'of my own'; /api/v1/categories lists them",
        }
    ]
    made = "INSERT INTO supply.category VALUES ('a lamp', 'Lamps'), ('a shade', 'Shades')"
    await db.write(WORKER, "test", Tx.execute, made)
    names: list[tuple[str, str]] = []
    cursor: dict[str, str] = {}
    while True:
        found = await read(alpha, "/categories", limit=1, **cursor)
        names += [(one["category"], one["name_en"]) for one in found["items"]]
        if found["next"] is None:
            break
        cursor = {"cursor": found["next"]}
    assert len(names) == len(set(names))
    assert {("a lamp", "Lamps"), ("a shade", "Shades")} <= set(names)
    assert (await send(alpha, at(ALPHA, "/listings"), {**body, "category": "a shade"})).status_code == 201


async def test_a_parameter_that_is_given_twice_is_refused(ops: httpx.AsyncClient) -> None:
    refused = await ops.get("/api/v1/merchants?limit=1&limit=2")
    assert (refused.status_code, refused.json()["errors"]) == (
        422,
        [{"pointer": "/limit", "detail": "limit: is given more than once"}],
    )


async def test_stores_and_listings_are_the_merchants_own_to_edit(ops: httpx.AsyncClient, caller: Make) -> None:
    alpha = await caller("alice", "merchant_manager", merchant_id=ALPHA)
    store = (await send(alpha, at(ALPHA, "/stores"), {"name": "Harbour"})).json()
    path = at(ALPHA, f"/stores/{store['store_id']}")
    assert (await edit(alpha, path, {"name": "Old harbour"}, '"1"')).json()["version"] == 2
    assert (await edit(alpha, path, {"name": "x"}, '"1"')).status_code == 412
    assert [one["name"] for one in (await read(alpha, at(ALPHA, "/stores")))["items"]] == ["Old harbour"]
    for sku in ("A-1", "A-2", "B-1"):
        body = {"sku": sku, "title": "Lamp", "price_minor": 5, "on_hand": 3}
        assert (await send(alpha, at(ALPHA, "/listings"), body)).status_code == 201
    first = await read(alpha, at(ALPHA, "/listings"), sku="A", limit=1)
    rest = await read(alpha, at(ALPHA, "/listings"), sku="A", limit=1, cursor=first["next"])
    assert [one["sku"] for one in first["items"] + rest["items"]] == ["A-1", "A-2"]
    assert rest["next"] is None
    listing = at(ALPHA, f"/listings/{first['items'][0]['product_id']}")
    hidden = await edit(alpha, listing, {"state": "hidden"}, '"1"')
    assert (hidden.json()["state"], hidden.headers["etag"]) == ("hidden", '"2"')
    assert (await edit(alpha, listing, {"category": "none"}, '"2"')).status_code == 422
    wrong = [{"sku": "a/b", "title": "x", "price_minor": 1}]
    assert (await send(alpha, at(ALPHA, "/listings/bulk"), {"rows": wrong})).status_code == 422
    twice = [{"sku": "C", "title": "x", "price_minor": 1}] * 2
    answer = (await send(alpha, at(ALPHA, "/listings/bulk"), {"rows": twice})).json()
    assert answer["errors"] == [{"pointer": "/rows/1/sku", "detail": "row 0 has 'C' too"}]


async def test_stock_is_counted_by_version_and_adjusted_once(ops: httpx.AsyncClient, caller: Make) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    cashier = await caller("cash", "merchant_cashier", merchant_id=ALPHA)
    body = {"sku": "A", "title": "Lamp", "price_minor": 5}
    product = (await send(alpha, at(ALPHA, "/listings"), body)).json()["product_id"]
    path = at(ALPHA, f"/listings/{product}/stock")
    shown = await alpha.get(f"/api/v1{path}")
    assert (shown.json()["on_hand"], shown.headers["etag"]) == (None, '"0"')
    counted = await edit(alpha, path, {"on_hand": 5}, '"0"', "PUT")
    assert (counted.json()["on_hand"], counted.headers["etag"]) == (5, '"1"')
    assert (await edit(alpha, path, {"on_hand": 6}, '"0"', "PUT")).status_code == 412
    for _ in range(2):
        done = await send(cashier, f"{path}/adjustments", {"delta": -2, "reason": "broken"}, key="once")
        assert done.json()["on_hand"] == 3
    short = await send(cashier, f"{path}/adjustments", {"delta": -4, "reason": "broken"})
    assert (short.status_code, short.json()["on_hand"], short.json()["reserved"]) == (409, -1, 0)
    moves = (await read(alpha, f"{path}/movements", limit=1))["items"]
    assert [(move["kind"], move["delta"], move["actor"]) for move in moves] == [("adjusted", -2, "cash")]
    assert (await edit(alpha, path, {"on_hand": None}, '"2"', "PUT")).json()["on_hand"] is None
    assert [one["version"] for one in (await read(alpha, at(ALPHA, "/stock")))["items"]] == [3]


WRITES: list[tuple[str, str, Any]] = [
    ("PATCH", "", {"name": "mine"}),
    ("POST", "/onboarding/terms/attest", {}),
    ("POST", "/stores", {"name": "mine"}),
    ("PATCH", f"/stores/{BETA}", {"name": "mine"}),
    ("POST", "/listings", {"sku": "A", "title": "A", "price_minor": 5}),
    ("POST", "/listings/bulk", {"rows": [{"sku": "A", "title": "A", "price_minor": 5}]}),
    ("PATCH", f"/listings/{BETA}", {"price_minor": 1}),
    ("PUT", f"/listings/{BETA}/stock", {"on_hand": 1}),
    ("POST", f"/listings/{BETA}/stock/adjustments", {"delta": -1, "reason": "x"}),
    ("POST", "/bank-accounts", ACCOUNT),
    ("POST", f"/bank-accounts/{BETA}/verify", {"code": "0000000000"}),
    ("POST", f"/bank-accounts/{BETA}/cancel", {"reason": "x"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_nothing_of_another_merchant_is_written(
    ops: httpx.AsyncClient, caller: Make, db: Database, method: str, path: str, body: Any
) -> None:
    await add_supply(db)
    alice = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    headers = {"Idempotency-Key": "k", "If-Match": '"1"'}
    answer = await alice.request(method, f"/api/v1{at(BETA, path)}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (404, f"there is no merchant {BETA}")


async def test_things_of_one_merchant_are_not_found_under_another(ops: httpx.AsyncClient, db: Database) -> None:
    await add_supply(db)
    for noun in ("stores", "listings"):
        assert (await ops.get(f"/api/v1{at(ALPHA, f'/{noun}/{BETA}')}")).status_code == 404
    for path in ("/stores", "/listings", "/stock", "/onboarding"):
        assert (await ops.get(f"/api/v1{at(99, path)}")).status_code == 404


async def test_the_code_of_a_transfer_is_stored_nowhere(ops: httpx.AsyncClient, caller: Make, db: Database) -> None:
    alice = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    clerk = await caller("fay", "accountant")
    account = (await send(alice, at(ALPHA, "/bank-accounts"), ACCOUNT)).json()["account_id"]
    order = (await clerk.post(f"/api/v1{at(ALPHA, f'/bank-accounts/{account}/transfer')}")).json()
    assert (order["number"], len(order["code"])) == (IBAN.replace(" ", ""), 10)
    async with db.read(WORKER) as tx:
        for table in ("core.idempotency_key", "core.audit", "core.outbox", "billing.bank_account"):
            kept = await tx.scalar(f"SELECT string_agg(t::text, '') FROM {table} t")
            assert order["code"] not in (kept or "")
        bodies = await tx.rows("SELECT body FROM core.idempotency_key")
    assert all(order["number"].encode() not in row.body for row in bodies)


async def test_terms_holds_and_files_of_payouts_over_http(ops: httpx.AsyncClient, caller: Make, db: Database) -> None:
    maker, checker = await caller("fay", "controller"), await caller("cleo", "accountant")
    alice = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    await db.write(WORKER, "operator", policies.switch, "single_operator", on=False)
    await add_supply(db)
    terms = {"currency": "EUR", "reserve_ppm": 100_000, "reserve_days": 30, "reason": "new here"}
    strict = (await send(maker, at(ALPHA, "/payout-terms"), terms)).json()
    assert strict["state"] == "active"
    eased = {**terms, "reserve_ppm": 50_000}
    easy = (await send(maker, at(ALPHA, "/payout-terms"), eased)).json()
    assert (easy["state"], (await send(maker, at(ALPHA, "/payout-terms"), eased)).status_code) == ("proposed", 409)
    path = at(ALPHA, f"/payout-terms/{easy['terms_id']}")
    assert (await send(maker, f"{path}/approve")).status_code == 403
    assert (await send(checker, f"{path}/reject", {"reason": "too soon"})).json()["state"] == "rejected"
    assert [one["state"] for one in (await read(alice, at(ALPHA, "/payout-terms")))["items"]] == ["rejected", "active"]
    hold = (await send(maker, at(BETA, "/payout-holds"), {"reason": "complaints"})).json()
    await db.write(WORKER, "operator", policies.switch, "single_operator", on=True)  # one person closes the month
    run_id = await close_month(maker)
    await db.write(WORKER, "operator", policies.switch, "single_operator", on=False)
    paid = (await read(maker, "/payouts", run_id=run_id))["items"]
    assert [(one["merchant_id"], one["amount_minor"]) for one in paid] == [(ALPHA, 11_044 - 1_104)]
    [kept] = (await read(alice, at(ALPHA, "/payout-reserves")))["items"]
    assert (kept["held_minor"], kept["release_on"], kept["state"]) == (1_104, "2018-07-01", "held")
    [carried] = (await read(maker, at(BETA, "/carried-payouts")))["items"]
    assert (carried["amount_minor"], carried["why"]) == (11_420, "on_hold")
    assert (await alice.get(f"/api/v1{at(BETA, '/carried-payouts')}")).status_code == 404
    release = at(BETA, f"/payout-holds/{hold['hold_id']}/release")
    assert (await send(maker, release, {"reason": "fine"})).status_code == 403
    assert (await send(checker, release, {"reason": "fine"})).json()["released_by"] == "cleo"
    account = {"currency": "EUR", "holder": "The house", "scheme": "iban", "number": "DE89 3704 0044 0532 0130 00"}
    assert (await send(checker, "/debtor-accounts", account)).status_code == 403
    assert (await send(maker, "/debtor-accounts", account)).json()["number"] == "DE89370400440532013000"
    [told] = (await read(checker, "/debtor-accounts"))["accounts"]
    assert (told["currency"], told["party"]["holder"], told["set_by"]) == ("EUR", "The house", "fay")
    file = (await send(maker, "/payout-files", {"currency": "EUR", "pay_on": NOW.date().isoformat()})).json()
    path = f"/payout-files/{file['file_id']}"
    assert (file["payouts"], file["total_minor"]) == (1, 9_940)
    assert (await checker.get(f"/api/v1{path}/pain.001.xml")).status_code == 409
    assert (await send(maker, f"{path}/approve")).status_code == 403
    assert (await send(checker, f"{path}/approve")).json()["approved_by"] == "cleo"
    xml = await checker.get(f"/api/v1{path}/pain.001.xml")
    assert xml.headers["content-type"].startswith("application/xml")
    assert xml.content == (await maker.get(f"/api/v1{path}/pain.001.xml")).content
    assert b'<InstdAmt Ccy="EUR">99.40</InstdAmt>' in xml.content
    assert (await checker.get(f"/api/v1{path}/lines.csv")).text.count("\r\n") == 2
    assert (await alice.get(f"/api/v1{path}/lines.csv")).status_code == 403
    await check_books(db)


async def test_payouts_are_confirmed_returned_and_alarmed_about_over_http(
    ops: httpx.AsyncClient, caller: Make, db: Database, clock: FixedClock
) -> None:
    clerk = await caller("fay", "controller")
    alice = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    await add_supply(db)
    assert await activate_bank_accounts(db, "worker") == 0
    run_id = await close_month(clerk)
    payouts = {p["merchant_id"]: p for p in (await read(clerk, "/payouts", run_id=run_id))["items"]}
    assert {p["bank_account_id"] for p in payouts.values()} == {ALPHA, BETA}
    path = at(ALPHA, f"/payouts/{payouts[ALPHA]['payout_id']}")
    paid = {"bank_ref": "B-1", "on": "2018-06-02"}
    assert (await send(alice, f"{path}/confirm", paid)).status_code == 403
    assert (await send(clerk, f"{path}/confirm", paid)).json()["state"] == "confirmed"
    assert (await send(clerk, f"{path}/confirm", paid)).json()["state"] == "confirmed"
    assert (await send(clerk, f"{path}/confirm", {**paid, "bank_ref": "B-2"})).status_code == 409
    assert (await send(clerk, f"{path}/confirm", {**paid, "on": "2030-01-01"})).status_code == 409
    assert (await read(clerk, "/payouts/owed"))["items"] == []
    back = {"on": "2018-06-09", "reason": "account closed", "bank_ref": "B-3"}
    assert (await send(clerk, f"{path}/return", back)).json()["return_reason"] == "account closed"
    [owed] = (await read(clerk, "/payouts/owed"))["items"]
    assert (owed["merchant_id"], owed["reasons"][0]["why"], owed["owed_minor"]) == (
        ALPHA, "returned", payouts[ALPHA]["amount_minor"],
    )  # fmt: skip
    assert (await read(alice, path))["state"] == "returned"
    assert (await read(clerk, "/balances/negative"))["items"] == []
    clock.move_to(NOW + timedelta(days=1))
    await check_books(db)
