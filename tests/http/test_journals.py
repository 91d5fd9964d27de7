"""Journals by hand and disputes of lines over the API: who may approve how much, and what a merchant sees of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from tests.billing.market import check_books
from tests.http.market import ALPHA, BETA, add_small_market, close_month, send

Make = Callable[..., Awaitable[httpx.AsyncClient]]
GOODWILL: dict[str, Any] = {
    "currency": "EUR", "amount_minor": 2_000, "goodwill_reason": "outage", "reason": "down", "evidence": "ticket 7",
}  # fmt: skip


@pytest.fixture
async def controller(db: Database, caller: Make) -> httpx.AsyncClient:
    """The controller of a small market whose accountants approve up to 10.00; maker is never checker."""
    await add_small_market(db)
    controller = await caller("fay", "controller")
    await close_month(controller)
    await db.write(WORKER, "test", policies.switch, "single_operator", on=False)
    limits = {"entity_id": 1, "currency": "EUR", "accountant_minor": 1_000}
    assert (await send(controller, "/journal-limits", limits)).status_code == 200
    return controller


async def test_an_accountant_approves_up_to_the_limit_and_a_controller_above_it(
    db: Database, caller: Make, controller: httpx.AsyncClient
) -> None:
    clerk, second = await caller("ann", "accountant"), await caller("ben", "accountant")
    made = (await send(clerk, f"/merchants/{ALPHA}/goodwill", GOODWILL)).json()
    path = f"/merchants/{ALPHA}/journals/{made['journal_id']}"
    assert (await send(clerk, f"{path}/approve")).json()["detail"].startswith(f"journal {made['journal_id']}: made")
    refused = await send(second, f"{path}/approve")
    assert (refused.status_code, "above 10.00" in refused.json()["detail"]) == (403, True)
    posted = await send(controller, f"{path}/approve")
    assert (posted.status_code, posted.json()["decided_by"]) == (200, "fay")
    small = (await send(clerk, f"/merchants/{ALPHA}/goodwill", {**GOODWILL, "amount_minor": 1_000})).json()
    assert (await send(second, f"/merchants/{ALPHA}/journals/{small['journal_id']}/approve")).status_code == 200
    listed = (await clerk.get("/api/v1/journals?state=posted")).json()["items"]
    assert [one["journal_id"] for one in listed] == [small["journal_id"], made["journal_id"]]
    await check_books(db)


async def test_bad_legs_are_named_by_their_place(controller: httpx.AsyncClient) -> None:
    body = {"currency": "EUR", "reason": "x", "evidence": "y"}
    legs = [{"account": 6920, "amount_minor": 5}, {"account": 2005, "amount_minor": -5}]
    refused = await send(controller, f"/merchants/{ALPHA}/journals", {**body, "legs": legs})
    assert (refused.status_code, "legs/1/account: 2005" in refused.json()["detail"]) == (422, True)


async def test_a_merchant_disputes_its_own_line_and_reads_what_becomes_of_it(
    db: Database, caller: Make, controller: httpx.AsyncClient
) -> None:
    owner = await caller("olga", "merchant_owner", merchant_id=ALPHA)
    other = await caller("otto", "merchant_owner", merchant_id=BETA)
    clerk = await caller("ann", "accountant")
    entries = (await owner.get(f"/api/v1/merchants/{ALPHA}/entries?limit=100")).json()["items"]
    line = next(entry["entry_no"] for entry in entries if entry["kind"] == "order_settled")
    path = f"/merchants/{ALPHA}/line-disputes"
    body = {"entry_no": line, "disputed_minor": 100, "text": "We agreed on less."}
    assert (await send(other, path, body)).status_code == 404
    case = (await send(owner, path, body)).json()
    one = f"{path}/{case['line_dispute_id']}"
    assert (case["state"], case["disputed_minor"]) == ("open", 100)
    assert (await send(owner, f"{one}/messages", {"text": "See our mail."})).json()["side"] == "merchant"
    assert (await send(clerk, f"{one}/review")).json()["state"] == "in_review"
    assert (await send(clerk, f"{one}/messages", {"text": "We do."})).json()["side"] == "house"
    accepted = (await send(clerk, f"{one}/accept", {"amount_minor": 60, "reason": "partly right"})).json()
    journal = f"/merchants/{ALPHA}/journals/{accepted['journal_id']}"
    assert (await owner.get(f"/api/v1{journal}")).status_code == 403
    assert (await send(controller, f"{journal}/approve")).status_code == 200
    done = (await owner.get(f"/api/v1{one}")).json()
    assert (done["state"], done["accepted_minor"], done["decision_reason"]) == ("accepted", 60, "partly right")
    entry = (await owner.get(f"/api/v1/merchants/{ALPHA}/entries/{done['settled_entry_no']}")).json()
    assert entry["kind"] == "line_dispute_upheld"
    said = (await owner.get(f"/api/v1{one}/messages")).json()["items"]
    assert [(one["side"], one["text"]) for one in said] == [("merchant", "See our mail."), ("house", "We do.")]
    assert "actor" not in said[0]
    for asked in (one, f"{one}/messages"):
        assert (await other.get(f"/api/v1{asked}")).status_code == 404
    assert (await other.get("/api/v1/line-disputes")).json()["items"] == []
    assert (await send(other, f"{one}/withdraw")).status_code == 404
    await check_books(db)
