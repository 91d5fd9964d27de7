"""One merchant sees nothing of another, on any route, by any parameter."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from demand.refunds.store import add_dispute
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.tables import placement
from marketplace.core.webhooks import deliveries, store
from marketplace.flows.academy.take_courses import Begin, begin
from marketplace.flows.books.dispute_line import DisputeLine, dispute_line
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from marketplace.tables import metadata
from tests.academy.market import offer
from tests.http.busy_ad_orders import add_ad_orders
from tests.http.busy_documents import tell_billing_details
from tests.http.market import (
    ALPHA,
    BETA,
    CONTRACTS,
    SEARCH,
    add_declined_amendment,
    add_small_market,
    add_supply,
    close_month,
    send,
)
from tests.http.plausible import real_ids
from tests.http.products import add_products
from tests.http.serving import api_key, make_client, running
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
    await add_products(db)
    await add_ad_orders(db)
    course = await offer(db)
    for merchant_id in (ALPHA, BETA):
        await db.write(WORKER, f"m{merchant_id}", begin, Begin(merchant_id=merchant_id, course_id=course.course_id))
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
        .replace("{document_id}", str(ids["document"]))
        .replace("{course_id}", str(ids["course"]))
        .replace("{version_no}", "1")
        .replace("{entry_no}", "1")
        .replace("{account}", "2000")
        .replace("{contract_id}", str(ids["contract"]))
        .replace("{endpoint_id}", str(ids["endpoint"]))
        .replace("{event_id}", str(ids["event"]))
        .replace("{store_id}", str(ids["merchant"]))
        .replace("{product_id}", str(ids["merchant"]))
        .replace("{account_id}", str(ids["merchant"]))
        .replace("{amendment_id}", str(ids["amendment"]))
        .replace("{subscription_id}", str(ids["subscription"]))
        .replace("{charge_id}", str(ids["charge"]))
        .replace("{hardware_order_id}", str(ids["hardware_order"]))
        .replace("{work_order_id}", str(ids["work_order"]))
        .replace("{agreement_id}", str(ids["agreement"]))
        .replace("{ad_order_id}", str(ids["ad_order"]))
        .replace("{campaign_id}", str(ids["merchant"]))
        .replace("{placement_id}", str(SEARCH))
        .replace("{line_dispute_id}", str(ids["line_dispute"]))
    )


async def known_ids(db: Database, merchant_id: int, order_id: int, contract: str) -> dict[str, Any]:
    async with db.read(WORKER) as tx:
        payout = await tx.scalar("SELECT payout_id FROM billing.payout WHERE merchant_id = :m", m=merchant_id)
        contract_id = await tx.scalar("SELECT contract_id FROM billing.contract WHERE name = :name", name=contract)
        refund = await tx.scalar("SELECT refund_id FROM demand.refund WHERE merchant_id = :m", m=merchant_id)
        document = await tx.scalar("SELECT document_id FROM billing.document WHERE merchant_id = :m", m=merchant_id)
        products = await _products(tx, merchant_id)
        line = await tx.scalar(
            "SELECT min(entry_no) FROM billing.entry WHERE merchant_id = :m AND kind = 'order_settled'", m=merchant_id
        )
        dispute = await tx.scalar("SELECT dispute_id FROM demand.dispute WHERE merchant_id = :m", m=merchant_id)
        course = await tx.scalar("SELECT course_id FROM supply.attempt WHERE merchant_id = :m", m=merchant_id)
    webhook = await db.write(WORKER, "test", store.create_endpoint, merchant_id, "https://m.example/", "", [])
    tested = await db.write(WORKER, "test", deliveries.send_test, webhook.endpoint)
    case = DisputeLine(merchant_id=merchant_id, entry_no=line, disputed_minor=1, text="too much")
    line_dispute = await db.write(WORKER, "test", dispute_line, case)
    amendment = await db.write(WORKER, "test", add_declined_amendment, merchant_id, order_id)
    return {
        "merchant": merchant_id,
        "order": order_id,
        "payout": payout,
        "contract": contract_id,
        "endpoint": webhook.endpoint.endpoint_id,
        "event": tested.event_id,
        "refund": refund,
        "document": document,
        "dispute": dispute,
        "course": course,
        "amendment": amendment,
        "line_dispute": line_dispute.line_dispute_id,
        **products,
    }


async def _products(tx: Tx, merchant_id: int) -> dict[str, Any]:
    """One thing of each kind that was sold to a merchant."""
    tables = {
        "subscription": "supply.subscription",
        "charge": "billing.charge",
        "work_order": "supply.work_order",
        "agreement": "supply.service_agreement",
    }
    found = {
        noun: await tx.scalar(f"SELECT max({noun}_id) FROM {table} WHERE merchant_id = :m", m=merchant_id)
        for noun, table in tables.items()
    }
    order = "SELECT max(order_id) FROM supply.hardware_order WHERE merchant_id = :m AND state = 'shipped'"
    ad_order = "SELECT max(order_id) FROM billing.ad_order WHERE merchant_id = :m AND state = 'closed'"
    named = {"hardware_order": order, "ad_order": ad_order}
    return found | {noun: await tx.scalar(query, m=merchant_id) for noun, query in named.items()}


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
    await tell_billing_details(finance)
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
        for query in ({"merchant_id": BETA}, {"run_id": run_id}):
            asked = await alpha.get(of(path, run_id, own), params=query)
            unknown = asked.status_code == 422 and "there is no such parameter" in asked.text
            assert unknown or asked.status_code in {200, 404}, (path, asked.text)
            assert not mentions_beta(asked), (path, asked.text)


async def test_the_check_would_notice(finance: httpx.AsyncClient) -> None:
    """The same search finds BETA in what finance sees, so it is no blind one."""
    await close_month(finance)
    supply = [f"/merchants/{BETA}/{noun}" for noun in ("stores", "listings", "stock", "bank-accounts", "onboarding")]
    for path in (
        "/orders",
        "/merchants",
        "/campaigns",
        "/ad-orders",
        "/contracts",
        "/statements",
        "/payouts",
        "/accounts/2000/lines",
        *supply,
    ):
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


@pytest.mark.parametrize("merchant_id", [ALPHA, BETA])
async def test_in_a_busy_market_too_each_reads_its_own_and_nothing_of_another(
    busy_db: Database, tmp_path: Path, merchant_id: int
) -> None:
    """Every read, with real ids of both: orders in every state, shipments, returns, refunds, disputes, movements."""
    other = ALPHA + BETA - merchant_id
    async with busy_db.read(WORKER) as tx:
        theirs = await _own_values(tx, other) - await _own_values(tx, merchant_id)
    key = await api_key(busy_db, "olga", ["merchant_owner"], merchant_id)
    async with running(busy_db, tmp_path) as app, make_client(app, Authorization=f"Bearer {key}") as owner:
        for path in READS:
            for ids in await real_ids(busy_db, path):
                own = await _is_own(busy_db, ids, merchant_id)
                answer = await owner.get(path.format(**ids))
                assert answer.status_code in ({200, 404} if own else {404}), (path, ids, answer.text)
                assert not _values(answer) & (theirs - set(ids.values())), (path, ids, answer.text)
            if "{" not in path:
                listed = await owner.get(path, params={"merchant_id": other})
                assert not _values(listed) & theirs, path


NAMES_A_THING = ("order_id", "subscription_id", "charge_id", "movement_id", "work_order_id", "agreement_id", "task_id",
                 "write_off_id", "refund_id", "return_id", "dispute_id", "amendment_id", "shipment_id", "payout_id",
                 "payment_id", "account_id", "store_id", "transfer_id")  # fmt: skip


async def _own_values(tx: Tx, merchant_id: int) -> set[Any]:
    """Every id of what a merchant has that is long enough to be no other number by chance."""
    found: set[Any] = set()
    for table in metadata.sorted_tables:
        if placement(table).distributed_by == "merchant_id":
            columns = [table.c[name] for name in NAMES_A_THING if name in table.c]
            rows = await tx.rows(select(*columns).where(table.c.merchant_id == merchant_id)) if columns else []
            found |= {value for row in rows for value in row if value is not None and value > 10**9}
    return found | {_named(merchant_id)}


def _named(merchant_id: int | None) -> str:
    """A merchant that is named as such: its short id may be any other number, too."""
    return f"merchant {merchant_id}"


async def _is_own(db: Database, ids: dict[str, Any], merchant_id: int) -> bool:
    if "merchant_id" in ids:
        return bool(ids["merchant_id"] == merchant_id)
    if "endpoint_id" in ids:
        async with db.read(WORKER) as tx:
            query = "SELECT merchant_id FROM core.webhook_endpoint WHERE endpoint_id = :id"
            return bool(await tx.scalar(query, id=ids["endpoint_id"]) == merchant_id)
    return True


def _values(answer: httpx.Response) -> set[Any]:
    """Every single value in an answer, as ids are written in JSON."""
    found: set[Any] = set()
    nodes: list[Any] = [answer.json()] if "json" in answer.headers["content-type"] else []
    for node in nodes:
        if isinstance(node, dict):
            nodes.extend(value for name, value in node.items() if name not in {"detail", "instance"})
            found.add(_named(node.get("merchant_id")))
        elif isinstance(node, list):
            nodes.extend(node)
        elif isinstance(node, int):
            found.add(node)
    return found


async def test_in_a_busy_market_a_route_has_ids_of_both(busy_db: Database) -> None:
    """So that the test above asks for what is there: each read of a merchant's with at least one thing of each."""
    for path in READS:
        known = await real_ids(busy_db, path)
        assert known, path
        if "{merchant_id}" in path:
            assert {ALPHA, BETA} <= {ids["merchant_id"] for ids in known}, path


def test_the_routes_under_test_are_not_few() -> None:
    assert len(READS) >= 15
