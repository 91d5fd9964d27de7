"""Journals by hand and exchange in the busy market: of each merchant something posted, and some that waits."""

from typing import Any

import httpx

from tests.http.market import ALPHA, BETA, done

GOODWILL: dict[str, Any] = {
    "currency": "EUR", "amount_minor": 500, "goodwill_reason": "outage", "reason": "down", "evidence": "ticket 7",
}  # fmt: skip


async def keep_journals(clerk: httpx.AsyncClient, controller: httpx.AsyncClient) -> None:
    """A clerk proposes, the controller approves the first of each merchant."""
    await done(controller, "/journal-limits", {"entity_id": 1, "currency": "EUR", "accountant_minor": 100})
    for merchant_id in (ALPHA, BETA):
        first, *_ = [await done(clerk, f"/merchants/{merchant_id}/goodwill", GOODWILL) for _ in range(3)]
        await done(controller, f"/merchants/{merchant_id}/journals/{first['journal_id']}/approve")


async def exchange(clerk: httpx.AsyncClient, controller: httpx.AsyncClient) -> None:
    """Books in dollars, a rate, and a little of each merchant's euros exchanged at it."""
    await done(controller, "/entity-currencies", {"entity_id": 1, "currency": "USD"})
    pair = {"from_currency": "EUR", "to_currency": "USD"}
    for day in ("2018-09-01", "2018-09-02", "2018-09-03"):
        rate = await done(clerk, "/exchange-rates", {**pair, "rate_on": day, "rate": "1.25", "source": "ECB"})
    await done(controller, f"/exchange-rates/{rate['rate_id']}/approve", None)
    back = {"from_currency": "USD", "to_currency": "EUR", "rate_on": "2018-09-03", "rate": "0.79", "source": "ECB"}
    rates = {"to": rate["rate_id"], "back": (await done(clerk, "/exchange-rates", back))["rate_id"]}
    await done(controller, f"/exchange-rates/{rates['back']}/approve", None)
    for merchant_id in (ALPHA, BETA):
        asked = {"rate_id": rates["to"], "from_minor": 400, "reason": "asked for"}
        await done(clerk, f"/merchants/{merchant_id}/exchanges", asked)
    await done(clerk, "/exchange-revaluations", {"entity_id": 1, "revalued_on": "2018-09-03"})


async def dispute(clerk: httpx.AsyncClient, owners: dict[int, httpx.AsyncClient]) -> None:
    """Each merchant disputes the commission of its settled order, cent by cent; some of it is looked into."""
    for merchant_id, owner in owners.items():
        entries = (await clerk.get(f"/api/v1/merchants/{merchant_id}/entries?limit=100")).json()["items"]
        line = min(entry["entry_no"] for entry in entries if entry["kind"] == "order_settled")
        path = f"/merchants/{merchant_id}/line-disputes"
        body = {"entry_no": line, "disputed_minor": 1, "text": "too much"}
        cases = [(await done(owner, path, body))["line_dispute_id"] for _ in range(6)]
        await done(owner, f"{path}/{cases[0]}/messages", {"text": "we had agreed on less"})
        for case in cases[:3]:
            await done(clerk, f"{path}/{case}/review", None)
