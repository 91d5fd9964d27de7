"""One merchant sees nothing of another, on any route, by any parameter."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from demand.refunds.store import add_dispute
from marketplace.core.db import WORKER, Database
from marketplace.core.webhooks import deliveries, store
from marketplace.flows.refund_order import RefundLine, RefundOrder, refund_order
from tests.http.market import (
    ALPHA,
    BETA,
    CONTRACTS,
    add_declined_amendment,
    add_small_market,
    add_supply,
    close_month,
    send,
)
from tests.http.test_roles import BOOKS, CASHIER, ROUTES

Make = Callable[..., Awaitable[httpx.AsyncClient]]

READS = sorted(
    name.split()[1]
    for name, roles in ROUTES.items()
    if name.startswith("GET /api/") and roles is not None and roles & (BOOKS | CASHIER)
)
"""Every route that a merchant's person may read."""


@pytest.fixture
async def finance(db: Database, caller: Make) -> httpx.AsyncClient:
    await add_small_market(db)
    await add_supply(db)
    return await caller("fay", "controller")


def of(path: str, run_id: int, ids: dict[str, Any]) -> str:
    """The path about a merchant, with ids of things that it really has."""
    return (
        path.replace("{merchant_id}", str(ids["merchant"]))
        .replace("{order_id}", str(ids["order"]))
        .replace("{run_id}", str(run_id))
        .replace("{payout_id}", str(ids["payout"]))
        .replace("{refund_id}", str(ids["refund"]))
        .replace("{dispute_id}", str(ids["dispute"]))
        .replace("{entry_no}", "1")
        .replace("{account}", "2000")
        .replace("{contract_id}", str(ids["contract"]))
        .replace("{endpoint_id}", str(ids["endpoint"]))
        .replace("{event_id}", str(ids["event"]))
        .replace("{store_id}", str(ids["merchant"]))
        .replace("{product_id}", str(ids["merchant"]))
        .replace("{account_id}", str(ids["merchant"]))
        .replace("{amendment_id}", str(ids["amendment"]))
    )


async def known_ids(db: Database, merchant_id: int, order_id: int, contract: str) -> dict[str, Any]:
    async with db.read(WORKER) as tx:
        payout = await tx.scalar("SELECT payout_id FROM billing.payout WHERE merchant_id = :m", m=merchant_id)
        contract_id = await tx.scalar("SELECT contract_id FROM billing.contract WHERE name = :name", name=contract)
        refund = await tx.scalar("SELECT refund_id FROM demand.refund WHERE merchant_id = :m", m=merchant_id)
        dispute = await tx.scalar("SELECT dispute_id FROM demand.dispute WHERE merchant_id = :m", m=merchant_id)
    webhook = await db.write(WORKER, "test", store.create_endpoint, merchant_id, "https://m.example/", "", [])
    tested = await db.write(WORKER, "test", deliveries.send_test, webhook.endpoint)
    amendment = await db.write(WORKER, "test", add_declined_amendment, merchant_id, order_id)
    return {
        "merchant": merchant_id,
        "order": order_id,
        "payout": payout,
        "contract": contract_id,
        "endpoint": webhook.endpoint.endpoint_id,
        "event": tested.event_id,
        "refund": refund,
        "dispute": dispute,
        "amendment": amendment,
    }


async def _refunded_and_disputed(db: Database) -> None:
    """Something of both of the merchants: a refund of one order, a dispute of the same."""
    for merchant_id, order_id in ((ALPHA, 1), (BETA, 3)):
        cmd = RefundOrder(
            merchant_id=merchant_id, order_id=order_id, reason="late", lines=(RefundLine(1, merchant_id),)
        )
        await db.write(WORKER, "test", refund_order, cmd)
        at = datetime(2018, 6, 1, tzinfo=UTC)
        row = {"merchant_id": merchant_id, "dispute_id": merchant_id, "dispute_ref": f"d{merchant_id}", "buyer_id": 1}
        row |= {"order_id": order_id, "payment_id": 1, "processor_id": 1, "currency": "EUR", "amount_minor": 1}
        row |= {"fee_minor": 0, "state": "open", "recourse": True, "opened_at": at, "due_on": at.date()}
        await db.write(WORKER, "test", add_dispute, row)


def mentions_beta(answer: httpx.Response) -> bool:
    """Whether an answer carries anything of BETA: its id as a value, its refs or its contract."""
    if "json" not in answer.headers["content-type"]:
        return "beta" in answer.text
    values: list[Any] = [answer.json()]
    for value in values:
        if isinstance(value, dict):
            values.extend(item for name, item in value.items() if name not in {"detail", "instance"})
        elif isinstance(value, list):
            values.extend(value)
        elif value == BETA or (isinstance(value, str) and ("beta" in value or value == f"m{BETA}")):
            return True
    return False


async def test_a_merchant_reads_its_own_and_nothing_of_another(
    finance: httpx.AsyncClient, caller: Make, db: Database
) -> None:
    run_id = await close_month(finance)
    await _refunded_and_disputed(db)
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    own, others = await known_ids(db, ALPHA, 1, "standard"), await known_ids(db, BETA, 3, "for beta")
    for path in READS:
        mine = await alpha.get(of(path, run_id, own))
        assert mine.status_code == 200, (path, mine.text)
        assert not mentions_beta(mine), (path, mine.text)
        theirs = await alpha.get(of(path, run_id, others))
        if any(named in path for named in ("{merchant_id}", "{contract_id}", "{endpoint_id}")):
            assert theirs.status_code == 404, (path, theirs.text)
        assert not mentions_beta(theirs), (path, theirs.text)
        asked = await alpha.get(of(path, run_id, own), params={"merchant_id": BETA, "run_id": run_id})
        assert asked.status_code in {200, 404}, (path, asked.text)
        assert not mentions_beta(asked), (path, asked.text)


async def test_the_check_would_notice(finance: httpx.AsyncClient) -> None:
    """The same search finds BETA in what finance sees, so it is no blind one."""
    await close_month(finance)
    supply = [f"/merchants/{BETA}/{noun}" for noun in ("stores", "listings", "stock", "bank-accounts", "onboarding")]
    for path in ("/orders", "/merchants", "/contracts", "/statements", "/payouts", "/accounts/2000/lines", *supply):
        assert mentions_beta(await finance.get(f"/api/v1{path}")), path


async def test_paging_through_another_merchants_cursor_shows_nothing_of_it(
    finance: httpx.AsyncClient, caller: Make, db: Database
) -> None:
    await close_month(finance)
    await _refunded_and_disputed(db)
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    for path in ("/orders", "/statements", "/payouts", "/merchants", "/contracts", "/refunds", "/disputes"):
        cursor = (await finance.get(f"/api/v1{path}", params={"limit": 1})).json()["next"]
        answer = await alpha.get(f"/api/v1{path}", params={"cursor": cursor})
        assert answer.status_code == 200
        assert not mentions_beta(answer), path


async def test_a_preview_is_the_houses_own(finance: httpx.AsyncClient, caller: Make) -> None:
    await send(finance, "/contracts", CONTRACTS)
    await send(finance, "/settlements", {"through": "2018-05-31"})
    run_id = (await send(finance, "/billing-runs", {"period": "2018-05"})).json()["run"]["run_id"]
    alpha = await caller("alice", "merchant_manager", merchant_id=ALPHA)
    for client, count in ((finance, 2), (alpha, 0)):
        listed = (await client.get("/api/v1/statements", params={"run_id": run_id})).json()
        assert len(listed["items"]) == count
    path = f"/api/v1/merchants/{ALPHA}/statements/{run_id}"
    assert (await finance.get(path)).json()["state"] == "preview"
    assert (await alpha.get(path)).status_code == 404
    assert (await alpha.get(f"{path}/lines.csv")).status_code == 404


async def test_a_merchant_sees_list_plans_and_its_own_terms(finance: httpx.AsyncClient, caller: Make) -> None:
    await close_month(finance)
    beta = await caller("bob", "merchant_owner", merchant_id=BETA)
    listed = (await beta.get("/api/v1/contracts")).json()["items"]
    assert [(item["terms"]["name"], item["negotiated"]) for item in listed] == [("for beta", True), ("standard", False)]
    assert listed[0]["terms"]["tiers"] == CONTRACTS["contract"][1]["tiers"]
    one = (await beta.get(f"/api/v1/contracts/{listed[0]['contract_id']}")).json()
    assert one == listed[0]
    seen_by_finance = (await finance.get(f"/api/v1/contracts/{one['contract_id']}")).json()
    assert seen_by_finance["terms"].pop("merchants") == [f"m{BETA}"]
    one["terms"].pop("merchants")
    assert seen_by_finance == one


async def test_the_house_books_are_not_a_merchants(finance: httpx.AsyncClient, caller: Make) -> None:
    alpha = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    assert (await finance.get("/api/v1/merchants/-1/entries")).status_code == 200
    assert (await alpha.get("/api/v1/merchants/-1/entries")).status_code == 404


def test_the_routes_under_test_are_not_few() -> None:
    assert len(READS) >= 15
