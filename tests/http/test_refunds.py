"""Refunds, disputes and credit as programs ask for them."""

from collections.abc import Awaitable, Callable

import httpx
import msgspec
import pytest

from demand.refund_policy import DEFAULT
from marketplace.core.db import Database
from marketplace.flows.refunds.refund_order import Refunded
from tests.billing.market import check_books
from tests.http.market import send
from tests.orders.paid import BUYER, Paid, balances, market, of, says, sent
from tests.orders.test_disputes import OPENED, fact

Make = Callable[..., Awaitable[httpx.AsyncClient]]
OF_ORDER = "/merchants/1/orders/1/refunds"


async def test_who_asks_decides_by_which_row_of_the_matrix(caller: Make, db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    owner = await caller("olga", "merchant_owner", merchant_id=1)
    shop, ops = await caller("shop", "storefront"), await caller("otto", "growth")
    asked = {"reason": "goodwill", "goodwill_minor": 600}
    assert (await send(shop, OF_ORDER, {**asked, "buyer_id": BUYER})).status_code == 409
    previews = [(await send(one, f"{OF_ORDER}/preview", asked)).json() for one in (owner, ops)]
    assert [(one["merchant_minor"], one["platform_minor"]) for one in previews] == [(600, 0), (0, 600)]
    assert (await balances(db))[2005] == -12_000
    done = await send(ops, OF_ORDER, asked)
    assert (done.status_code, done.json()["platform_minor"]) == (201, 600)
    wanted = {"reason": "late", "buyer_id": BUYER, "lines": [{"line_no": 1, "goods_minor": 400}]}
    late = await send(shop, OF_ORDER, wanted)
    assert late.status_code == 201, late.text
    listed = (await owner.get("/api/v1/refunds", params={"limit": 1})).json()
    assert [(one["initiator"], one["state"]) for one in listed["items"]] == [("buyer", "due")]
    rest = (await owner.get("/api/v1/refunds", params={"cursor": listed["next"]})).json()["items"]
    assert [one["initiator"] for one in rest] == ["platform"]
    too_much = await send(ops, OF_ORDER, {"reason": "late", "goodwill_minor": 11_001})
    assert too_much.status_code == 409
    assert "captured 12000, refunded 1000, disputed 0" in too_much.json()["detail"]
    await check_books(db)


async def test_a_shop_names_its_buyer_and_learns_nothing_of_the_merchants_terms(caller: Make, db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    shop, owner = await caller("shop", "storefront"), await caller("olga", "merchant_owner", merchant_id=1)
    asked = {"reason": "late", "whole": True}
    for buyer in (None, BUYER + 1):
        for path in (OF_ORDER, f"{OF_ORDER}/preview"):
            assert (await send(shop, path, {**asked, "buyer_id": buyer})).status_code == 404
    seen = (await send(shop, f"{OF_ORDER}/preview", {**asked, "buyer_id": BUYER})).json()
    assert (seen["gross_minor"], seen["commission_minor"], seen["rule"]) == (12_000, None, None)
    assert (await send(owner, f"{OF_ORDER}/preview", asked)).json()["rule"] is not None
    done = (await send(shop, OF_ORDER, {**asked, "buyer_id": BUYER})).json()
    assert (done["gross_minor"], done["payer_minor"]) == (seen["gross_minor"], seen["payer_minor"])
    books = ("commission_minor", "vat_minor", "platform_minor", "fee_minor")
    assert [(seen[name], done[name]) for name in books] == [(None, None)] * 4
    assert done["entry_no"] is None


@pytest.mark.parametrize(
    "asked",
    [
        {"reason": "late"},
        {"reason": "late", "whole": True, "goodwill_minor": 1},
        {"reason": "whim", "whole": True},
        {"reason": "dispute_lost", "whole": True},
        {"reason": "late", "lines": []},
        {"reason": "late", "lines": [{"line_no": 1, "goods_minor": "1"}]},
        {"reason": "late", "goodwill_minor": -1},
    ],
)
async def test_a_refund_that_makes_no_sense_is_refused(caller: Make, db: Database, asked: dict[str, object]) -> None:
    await market(db, Paid(order=of(1, 1)))
    ops = await caller("otto", "growth")
    assert (await send(ops, OF_ORDER, asked)).status_code in {400, 422}


async def test_a_failed_refund_is_decided_by_ops(caller: Make, db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    ops, owner = await caller("otto", "growth"), await caller("olga", "merchant_owner", merchant_id=1)
    refund_id = (await send(ops, OF_ORDER, {"reason": "late", "whole": True})).json()["refund_id"]
    of_refund = f"/merchants/1/refunds/{refund_id}"
    done = msgspec.convert(
        {"refund_id": refund_id, "entry_no": 1, "gross_minor": 12_000, "commission_minor": 0, "vat_minor": 0,
         "platform_minor": 0, "fee_minor": 0},
        Refunded,
    )  # fmt: skip
    assert (await send(ops, f"{of_refund}/retry")).status_code == 409
    await says(db, done, ok=False)
    assert (await owner.get(f"/api/v1{of_refund}")).json()["refund"]["state"] == "failed"
    retried = (await send(ops, f"{of_refund}/retry")).json()
    assert (retried["refund"]["state"], len(retried["payments"])) == ("due", 2)
    await says(db, done, ok=False, after=1)
    credited = (await send(ops, f"{of_refund}/to-credit")).json()
    assert credited["refund"]["state"] == "paid"
    assert [one["kind"] for one in credited["entries"]] == ["order_refunded", "refund_credited"]
    held = (await ops.get("/api/v1/buyers/1/credit")).json()
    assert held["accounts"] == [{"currency": "EUR", "balance_minor": 12_000, "reserved_minor": 0}]
    assert (await send(ops, f"{of_refund}/cancel")).status_code == 409
    assert [one.state for one in await sent(db, done)] == ["retried", "credited"]
    await check_books(db)


async def test_a_policy_is_a_new_version_and_checked_whole(caller: Make, db: Database) -> None:
    controller = await caller("cora", "controller")
    rules = msgspec.to_builtins(DEFAULT.rules)
    made = await send(controller, "/refund-policies", {"name": "next", "valid_from": "2018-10-01", "rules": rules})
    assert made.status_code == 201, made.text
    listed = (await controller.get("/api/v1/refund-policies")).json()["items"]
    assert [one["name"] for one in listed] == ["default", "next"]
    bad = [*rules, {**rules[0], "goods": "buyer"}]
    refused = await send(controller, "/refund-policies", {"name": "bad", "valid_from": "2018-10-01", "rules": bad})
    assert refused.status_code == 422
    assert f"rules[{len(rules)}]" in refused.text


async def test_a_merchant_answers_a_dispute_of_its_own(caller: Make, db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), Paid(order=of(2, 2)))
    mine, _ = await fact(db, OPENED, 24_000, 0)
    owner, other = [await caller(f"o{n}", "merchant_owner", merchant_id=n) for n in (1, 2)]
    said = {"text": "signed for"}
    path = f"/merchants/1/disputes/{mine.dispute_id}"
    assert (await send(other, f"{path}/evidence", said)).status_code == 404
    assert (await send(owner, f"{path}/evidence", said)).json()["evidence"] == "signed for"
    listed = (await owner.get("/api/v1/disputes", params={"state": "open"})).json()["items"]
    assert [one["dispute_id"] for one in listed] == [mine.dispute_id]
    assert (await owner.get("/api/v1/disputes", params={"state": "won"})).json()["items"] == []
    assert (await other.get(f"/api/v1{path}")).status_code == 404


async def test_credit_is_granted_by_ops(caller: Make, db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    ops = await caller("otto", "growth")
    granted = await send(ops, "/buyers/1/credit", {"currency": "EUR", "amount_minor": 300, "reason": "sorry"}, key="k")
    again = await send(ops, "/buyers/1/credit", {"currency": "EUR", "amount_minor": 300, "reason": "sorry"}, key="k")
    assert (granted.status_code, again.content) == (201, granted.content)
    held = (await ops.get("/api/v1/buyers/1/credit")).json()
    assert held["accounts"][0]["balance_minor"] == 300
    assert [one["amount_minor"] for one in held["movements"]["items"]] == [300]
    assert (
        await send(ops, "/buyers/9/credit", {"currency": "EUR", "amount_minor": 1, "reason": "x"})
    ).status_code == 404
    await check_books(db)
