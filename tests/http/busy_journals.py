"""Journals by hand in the busy market: one of each merchant posted, and some that wait for a second person."""

from typing import Any

import httpx

from tests.http.market import ALPHA, BETA, send

GOODWILL: dict[str, Any] = {
    "currency": "EUR", "amount_minor": 500, "goodwill_reason": "outage", "reason": "down", "evidence": "ticket 7",
}  # fmt: skip


async def keep_journals(clerk: httpx.AsyncClient, controller: httpx.AsyncClient) -> None:
    """A clerk proposes, the controller approves the first of each merchant."""
    await done(controller, "/journal-limits", {"entity_id": 1, "currency": "EUR", "accountant_minor": 100})
    for merchant_id in (ALPHA, BETA):
        first, *_ = [await done(clerk, f"/merchants/{merchant_id}/goodwill", GOODWILL) for _ in range(3)]
        await done(controller, f"/merchants/{merchant_id}/journals/{first['journal_id']}/approve", {})


async def done(client: httpx.AsyncClient, path: str, body: object) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()
