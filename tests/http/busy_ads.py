"""What a busy market advertises: campaigns of both merchants, clicked and charged, booked slots, grants."""

from datetime import date
from typing import Any

import httpx

from billing.ads import store
from billing.ads.events import read_lines
from billing.ads.tokens import Ticket, sign
from billing.ledger import store as ledger
from marketplace.core.db import WORKER, Database
from marketplace.flows.ads.rate_ads import rate_due
from marketplace.flows.ads.take_ad_events import take_events
from tests.ads.market import HOUR, line, ndjson
from tests.billing.market import goodwill
from tests.http.market import SEARCH, send

CLICKS = 9


async def advertise(
    db: Database,
    *,
    ops: httpx.AsyncClient,
    clerk: httpx.AsyncClient,
    controller: httpx.AsyncClient,
    owners: dict[int, httpx.AsyncClient],
) -> None:
    """Each merchant prepays, has a campaign that is clicked and one with slots, and was granted something."""
    terms = {"entity_id": 1, "currency": "EUR", "valid_from": "2018-01-01", "vat_ppm": 200_000}
    await _done(controller, "/ad-terms", terms)
    by_time = {"name": "front page", "pricing": "slot", "currency": "EUR", "slot_minutes": 60, "slot_price_minor": 100}
    front = (await _done(ops, "/ad-placements", by_time))["placement_id"]
    await db.write(WORKER, "test", store.add_first_key)
    earned = [goodwill(merchant_id, merchant_id, date(2018, 9, 3), 100_000) for merchant_id in owners]
    await db.write(WORKER, "test", ledger.post, earned)  # whatever was refunded, something is owed to them
    for day, (merchant_id, owner) in enumerate(owners.items(), start=10):
        of = f"/merchants/{merchant_id}"
        paid = {"currency": "EUR", "amount_minor": 20_000, "receipt_ref": f"first of {merchant_id}"}
        await _done(clerk, f"{of}/ad-receipts", paid)
        for number in range(4):
            grant = {"currency": "EUR", "amount_minor": 500, "reason": f"welcome {number}"}
            await _done(ops, f"{of}/ad-grants", grant)
        clicked = {"name": "lamps", "bid_minor": 50, "daily_minor": 900, "starts_at": "2018-09-01T00:00:00Z"}
        clicked |= {"placement_id": SEARCH, "product_id": merchant_id, "words": ["lamp"]}
        campaign_id = await _running(owner, ops, of, clicked)
        await _click(db, merchant_id, campaign_id)
        shown = {"name": "front", "placement_id": front, "product_id": merchant_id, "starts_at": "2018-09-01T00:00:00Z"}
        path = f"{of}/campaigns/{await _running(owner, ops, of, shown)}/bookings"
        for hour in range(3):
            edges = {"from_at": f"2018-09-{day}T{hour:02}:00:00Z", "to_at": f"2018-09-{day}T{hour + 1:02}:00:00Z"}
            await _done(owner, path, edges)
    await rate_due(db, "worker", db.clock.now())


async def _running(owner: httpx.AsyncClient, ops: httpx.AsyncClient, of: str, body: dict[str, Any]) -> int:
    campaign_id: int = (await _done(owner, f"{of}/campaigns", body))["campaign"]["campaign_id"]
    await _done(owner, f"{of}/campaigns/{campaign_id}/moves", {"move": "submit"})
    await _done(ops, f"{of}/campaigns/{campaign_id}/moves", {"move": "approve"})
    return campaign_id


async def _click(db: Database, merchant_id: int, campaign_id: int) -> None:
    at = db.clock.now() - 2 * HOUR
    async with db.read(WORKER) as tx:
        keys = await store.read_keys(tx)
    ticket = Ticket(1, merchant_id, campaign_id, SEARCH, 1, 0, 20_000, int(at.timestamp()))
    token = sign(ticket, keys[1])
    lines = [line(token, f"ad-{merchant_id}-{number}", at, buyer_id=1) for number in range(CLICKS)]
    await db.write(WORKER, "the shop", take_events, read_lines(ndjson(lines), keys, db.clock.now()))


async def _done(client: httpx.AsyncClient, path: str, body: object = None) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()
