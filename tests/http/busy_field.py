"""Visits, a fair, agents and a referral in the busy market, after its leads."""

from typing import Any

import httpx

from marketplace.core import users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition import attend_fairs as fairs
from marketplace.flows.acquisition import make_visits as visits
from marketplace.flows.acquisition.pay_agents import pay_agents
from supply.leads.visits.model import Fix, Place
from tests.conftest import NOW
from tests.http.market import ALPHA, send

_FORM = {"model": "platform", "channel": "offline.agent", "city": "Bonn", "region": "NRW"}
_HERE = Place(latitude_udeg=50_737_430, longitude_udeg=7_098_210)


async def go_out(db: Database, ops: httpx.AsyncClient, controller: httpx.AsyncClient) -> None:
    """Over HTTP where the API can."""
    rep = (await ops.get("/api/v1/reps")).json()["items"][0]["user_id"]
    plan = {"code": "flat", "from_on": "2018-09-01", "terms": {"currency": "EUR", "fixed_minor": 20_000}}
    await _done(controller, "/agent-plans", plan)
    await _done(ops, "/agents", {"name": "Rhine sales", "plan": "flat", "since_on": "2018-01-01"})
    await _done(ops, "/agents", {"name": "the rep", "plan": "flat", "user_id": rep, "since_on": "2018-01-01"})
    for name in range(8):
        await _done(ops, "/lead-tasks", {"lead_id": await _lead(ops, name), "what": "call", "due_on": "2018-09-09"})
    assert await pay_agents(db, "worker") == 1
    await _done(ops, "/referral-programmes", {"name": "friends", "terms": {"currency": "EUR"}})
    await _done(ops, "/referral-codes", {"code": "FRIEND-1", "programme": "friends", "merchant_id": ALPHA})
    await _done(ops, "/referrals", {"code": "FRIEND-1", "lead_id": await _lead(ops, 9)})
    fair = {"code": "expo", "name": "Expo", "kind": "conference", "starts_on": "2018-09-03", "ends_on": "2018-09-04"}
    fair_id = (await _done(ops, "/fairs", fair))["fair_id"]
    await _done(ops, f"/fairs/{fair_id}/attendees", {"attendees": [{"badge": "b1", "company": "Guest"}]})
    lead_id = await _lead(ops, 10)
    await _done(ops, f"/leads/{lead_id}/moves", {"move": "assign", "owner_id": rep})
    for _ in range(8):
        await _done(ops, "/visits", {"lead_id": lead_id, "planned_at": "2018-09-04T10:00:00Z", "rep_id": rep})
    await db.write(WORKER, "test", users.create_user, "the distributor", "Rhine sales", ["distributor"])

    async def meet(tx: Tx) -> None:
        scan = fairs.Scan(badge="b1", at=NOW)
        scans = fairs.SyncScans(fair_id=fair_id, device_id="phone", sent_at=NOW, scans=(scan,))
        [met] = await fairs.sync_scans(tx, scans, rep)
        assert met.lead_id is not None
        fix = Fix(at=NOW, place=_HERE, accuracy_m=10)
        told = visits.ToldVisit(ref="v1", lead_id=met.lead_id, came=fix, left=fix)
        [synced] = await visits.sync_visits(tx, visits.SyncVisits(device_id="phone", sent_at=NOW, visits=(told,)), rep)
        assert synced.visit is not None
        await visits.add_site(tx, met.lead_id, "shop", _HERE)

    await db.write(WORKER, "the rep", meet)


async def _lead(ops: httpx.AsyncClient, number: int) -> int:
    made = await _done(ops, "/leads", {**_FORM, "company": f"Field {number}"})
    lead_id: int = made["lead"]["lead_id"]
    return lead_id


async def _done(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()
