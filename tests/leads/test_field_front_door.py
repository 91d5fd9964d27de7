"""Visits, fairs, commission and referrals over HTTP: a rep sees its own, a manager the territory, merchants nothing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.pay_agents import pay_agents
from tests.builders import add_market
from tests.conftest import NOW
from tests.http.market import send
from tests.leads.market import Organisation, organise
from tests.leads.test_front_door import done, sign_in

Make = Callable[..., Awaitable[httpx.AsyncClient]]
LEAD = {"model": "platform", "company": "Ann's Shop", "channel": "offline.field", "region": "North"}


def fix(at: Any, **changes: Any) -> dict[str, Any]:
    return {"at": at.isoformat(), "latitude": 50.73743, "longitude": 7.09821, "accuracy_m": 10, **changes}


class People:
    """Everybody of the organisation, and greta of growth, signed in."""

    def __init__(self, org: Organisation, **clients: httpx.AsyncClient) -> None:
        self.org, self.clients = org, clients

    def __getattr__(self, name: str) -> httpx.AsyncClient:
        return self.clients[name]

    async def see(self, path: str, among: tuple[str, ...] = ("rita", "rolf", "sue", "nina", "max")) -> dict[str, int]:
        """How many items each of those who sell sees."""
        answers = {name: await self.clients[name].get(f"/api/v1{path}") for name in among}
        return {name: len(answer.json()["items"]) for name, answer in answers.items()}


async def signed_in(db: Database, caller: Make) -> People:
    async def market(tx: Tx) -> None:
        await add_market(tx, [1, 2])

    await db.write(WORKER, "test", market)
    org = await organise(db)
    clients = {"greta": await caller("greta", "growth"), "finn": await caller("finn", "controller")}
    for name in ("rita", "rolf", "sue"):
        clients[name] = await sign_in(db, caller, name, "sales_rep", getattr(org, name).user_id)
    for name, user_id in (("nina", org.nina_id), ("max", org.max_id)):
        clients[name] = await sign_in(db, caller, name, "sales_manager", user_id)
    return People(org, **clients)


NORTHERN = {"rita": 1, "rolf": 0, "sue": 0, "nina": 1, "max": 1}
"""Rita's own, and what those see who manage the north."""


async def test_a_visit_over_http(db: Database, caller: Make, clock: FixedClock) -> None:
    who = await signed_in(db, caller)
    lead = (await done(who.rita, "/leads", LEAD))["lead"]["lead_id"]
    await done(who.rita, f"/leads/{lead}/sites", {"name": "shop", "latitude": 50.73743, "longitude": 7.09821})
    assert (await who.rolf.get(f"/api/v1/leads/{lead}/sites")).status_code == 404
    assert (await send(who.rolf, "/visits", {"lead_id": lead, "planned_at": NOW.isoformat()})).status_code == 404
    other = {"lead_id": lead, "planned_at": NOW.isoformat(), "rep_id": who.org.rolf.user_id}
    for planner in (who.rita, who.nina, who.greta):
        refused = await send(planner, "/visits", other)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/rep_id")
    visit = await done(who.nina, "/visits", {**other, "rep_id": who.org.rita.user_id})
    path = f"/visits/{visit['visit_id']}"
    assert await who.see("/visits") == NORTHERN
    assert (await who.rolf.get(f"/api/v1{path}")).status_code == 404
    body = {"sent_at": clock.now().isoformat(), "fix": fix(clock.now(), latitude=50.8)}
    statuses = [(await send(each, f"{path}/check-in", body)).status_code for each in (who.rolf, who.nina, who.greta)]
    assert statuses == [404, 403, 403]
    late = {**body, "fix": fix(clock.now() + timedelta(hours=1))}
    assert (await send(who.rita, f"{path}/check-in", late)).status_code == 422
    wrong = {"sent_at": "0001-01-01T00:00:00+14:00", "fix": {**fix(NOW), "at": "0001-01-01T00:00:00+14:00"}}
    assert (await send(who.rita, f"{path}/check-in", wrong)).status_code == 422
    assert (await done(who.rita, f"{path}/check-in", body))["distance_m"] > 6_000
    assert (await send(who.rita, f"{path}/cancel", {})).status_code == 409
    clock.move_to(NOW + timedelta(hours=1))
    left = {"sent_at": clock.now().isoformat(), "fix": fix(clock.now()), "photo_hash": "0" * 64}
    over = await done(who.rita, f"{path}/check-out", left)
    assert ([flag["oddity"] for flag in over["flags"]], over["valid"]) == (["far"], None)
    assert (await who.rita.get("/api/v1/visits", params={"odd": "true"})).json()["items"] == [over]
    assert (await who.rita.get("/api/v1/visits", params={"odd": "false"})).json()["items"] == []
    review = {"valid": True, "reason": "they met at the market"}
    statuses = [(await send(each, f"{path}/review", review)).status_code for each in (who.rita, who.sue)]
    assert statuses == [403, 403]
    assert (await done(who.nina, f"{path}/review", review))["valid"] is True
    history = (await who.rita.get(f"/api/v1/leads/{lead}/history")).json()
    assert [event["state"] for event in history["events"]] == ["claimed", "visited"]
    assert [touch["kind"] for touch in history["touches"]] == ["form", "visit"]
    told = {"ref": "1", "lead_id": lead, "came": fix(NOW), "left": fix(NOW + timedelta(minutes=30))}
    sync = {"device_id": "phone", "sent_at": clock.now().isoformat(), "visits": [told]}
    [stored] = await done(who.rita, "/visit-syncs", sync)
    assert [flag["oddity"] for flag in stored["visit"]["flags"]] == ["overlap"]
    [unknown] = await done(who.rolf, "/visit-syncs", {**sync, "device_id": "tablet"})
    assert unknown["refused"] == f"there is no lead {lead}"


async def test_commission_over_http(db: Database, caller: Make) -> None:
    who = await signed_in(db, caller)
    terms = {"currency": "EUR", "fixed_minor": 20_000}
    plan = {"code": "flat", "from_on": "2018-09-01", "terms": terms}
    assert (await send(who.greta, "/agent-plans", plan)).status_code == 403
    assert (await send(who.finn, "/agent-plans", {**plan, "terms": {"currency": "EUR"}})).status_code == 422
    await done(who.finn, "/agent-plans", plan)
    assert (await send(who.finn, "/agent-plans", plan)).status_code == 409
    own = await done(who.greta, "/agents", {"name": "Rita", "plan": "flat", "user_id": who.org.rita.user_id})
    acme = await done(who.greta, "/agents", {"name": "Acme", "plan": "flat", "territory_id": who.org.south})
    assert await who.see("/agents") == {"rita": 1, "rolf": 0, "sue": 0, "nina": 1, "max": 2}
    lead = (await done(who.rita, "/leads", LEAD))["lead"]["lead_id"]
    await done(who.rita, f"/leads/{lead}/moves", {"move": "sign", "reason": "contract 7", "merchant_id": 1})
    await done(who.nina, f"/leads/{lead}/stages", {"stage": "first_order", "evidence": "order 1"})
    await pay_agents(db, "worker")
    path = f"/agents/{own['agent_id']}"
    [earned] = (await who.rita.get(f"/api/v1{path}/commissions")).json()["items"]
    assert (earned["earned_minor"], earned["state"], earned["merchant_id"]) == (20_000, "open", 1)
    asked = {"from_on": "2018-09-01", "to_on": "2018-10-01"}
    statement = (await who.rita.get(f"/api/v1{path}/statement", params=asked)).json()
    assert statement["balances"][0]["closing_minor"] == 20_000
    for other in (who.rolf, who.sue):
        assert (await other.get(f"/api/v1{path}/statement", params=asked)).status_code == 404
        assert (await other.get(f"/api/v1{path}/commissions")).status_code == 404
    assert (await who.nina.get(f"/api/v1{path}/statement", params=asked)).status_code == 200
    second = (await done(who.rita, "/leads", {**LEAD, "company": "Second"}))["lead"]["lead_id"]
    await done(who.greta, f"/leads/{second}/agent", {"agent_id": acme["agent_id"]})
    claimed = await send(who.greta, f"/leads/{second}/agent", {"agent_id": own["agent_id"]})
    assert (claimed.status_code, "has brought the lead" in claimed.json()["detail"]) == (409, True)
    retired = await who.greta.patch(f"/api/v1{path}", json={"active": False}, headers={"If-Match": '"1"'})
    assert (retired.status_code, retired.json()["active"]) == (200, False)
    teams = (await who.greta.get("/api/v1/team-comparison", params={**asked, "currency": "EUR"})).json()
    assert (teams["own"]["activated"], teams["own"]["cost_minor"], teams["agents"]["leads"]) == (1, 20_000, 1)
    growth = (await who.greta.get("/api/v1/merchant-growth", params={**asked, "currency": "EUR"})).json()
    assert growth["growth"]["nrr_ppm"] is None


async def test_a_distributor_sees_what_it_brought_and_earns(db: Database, caller: Make) -> None:
    """Also once its lead lives on in another; of the others' leads, commission and plans it sees nothing."""
    who = await signed_in(db, caller)
    plan = {"code": "flat", "from_on": "2018-09-01", "terms": {"currency": "EUR", "fixed_minor": 20_000}}
    await done(who.finn, "/agent-plans", plan)
    own = await done(who.greta, "/agents", {"name": "Rita", "plan": "flat", "user_id": who.org.rita.user_id})
    acme, other = [
        (await done(who.greta, "/agents", {"name": name, "plan": "flat"}))["agent_id"] for name in ("Acme", "Bolt")
    ]
    dora = who.clients["dora"] = await caller("dora", "distributor")
    leads = [
        (await done(who.rita, "/leads", {**LEAD, "company": name}))["lead"]["lead_id"] for name in ("One", "Two", "Six")
    ]
    await done(who.greta, f"/leads/{leads[0]}/agent", {"agent_id": acme})
    await done(who.greta, f"/leads/{leads[1]}/agent", {"agent_id": other})
    assert [await who.see(path, ("dora",)) for path in ("/leads", "/agents")] == [{"dora": 0}, {"dora": 0}]
    for agent_id, login, status in (
        (own["agent_id"], "dora", 409), (acme, "rita", 422), (acme, "nobody", 422), (1, "dora", 404),
    ):  # fmt: skip
        assert (await send(who.greta, f"/agents/{agent_id}/people", {"login": login})).status_code == status
    person = await done(who.greta, f"/agents/{acme}/people", {"login": "dora"})
    assert (await who.greta.get(f"/api/v1/agents/{acme}/people")).json() == [person]
    assert (await send(who.greta, f"/agents/{other}/people", {"login": "dora"})).status_code == 409
    await done(who.rita, f"/leads/{leads[0]}/moves", {"move": "sign", "reason": "contract 7", "merchant_id": 1})
    await done(who.nina, f"/leads/{leads[0]}/stages", {"stage": "first_order", "evidence": "order 1"})
    await pay_agents(db, "worker")
    [lead] = (await dora.get("/api/v1/leads")).json()["items"]
    [agent] = (await dora.get("/api/v1/agents")).json()["items"]
    assert (lead["lead_id"], agent["name"]) == (leads[0], "Acme")
    assert (await dora.get(f"/api/v1/leads/{leads[0]}/stages")).json()["entries"]
    [earned] = (await dora.get(f"/api/v1/agents/{acme}/commissions")).json()["items"]
    assert (earned["earned_minor"], earned["state"]) == (20_000, "open")
    asked = {"from_on": "2018-09-01", "to_on": "2018-10-01"}
    statement = (await dora.get(f"/api/v1/agents/{acme}/statement", params=asked)).json()
    assert statement["balances"][0]["closing_minor"] == 20_000
    for path in (f"/leads/{leads[1]}", f"/agents/{other}", f"/agents/{own['agent_id']}/commissions"):
        assert (await dora.get(f"/api/v1{path}")).status_code == 404, path
    for path in (
        "/agent-plans",
        "/lead-pools",
        "/visits",
        "/channels",
        "/team-comparison",
        f"/leads/{leads[0]}/history",
    ):
        assert (await dora.get(f"/api/v1{path}")).status_code == 403, path
    assert (await send(dora, f"/leads/{leads[0]}/moves", {"move": "lose", "reason": "x"})).status_code == 403
    await done(who.greta, f"/leads/{leads[2]}/agent", {"agent_id": acme})
    await done(who.rita, f"/leads/{leads[2]}/merge", {"into": leads[1], "reason": "the same shop"})
    seen = [each["lead_id"] for each in (await dora.get("/api/v1/leads")).json()["items"]]
    assert seen == [leads[2], leads[0]]  # Bolt was the first to bring what it lives on in
    assert await who.see("/leads") == {"rita": 3, "rolf": 0, "sue": 0, "nina": 3, "max": 3}


async def test_a_fair_and_a_referral_over_http(db: Database, caller: Make) -> None:
    who = await signed_in(db, caller)
    fair = {"code": "expo", "name": "Expo", "kind": "conference", "starts_on": "2018-09-03", "ends_on": "2018-09-04"}
    path = f"/fairs/{(await done(who.greta, '/fairs', fair))['fair_id']}"
    guests = {"attendees": [{"badge": "b1", "company": "Guest", "region": "North"}, {"badge": "b2", "company": "Two"}]}
    assert await done(who.greta, f"{path}/attendees", guests) == {"new": 2}
    assert await who.see(f"{path}/attendees") == dict.fromkeys(NORTHERN, 0)
    scans = {"device_id": "phone", "sent_at": NOW.isoformat(), "scans": [{"badge": "b1", "at": NOW.isoformat()}]}
    [met] = await done(who.rita, f"{path}/scans", scans)
    assert await who.see(f"{path}/attendees") == NORTHERN
    assert await who.see("/lead-tasks") == NORTHERN
    [known] = await done(who.rolf, f"{path}/scans", scans)
    assert (known["known"], known["lead_id"]) == (True, None)
    [task] = (await who.rita.get("/api/v1/lead-tasks")).json()["items"]
    assert (await send(who.rolf, f"/lead-tasks/{task['task_id']}/end", {"outcome": "x"})).status_code == 404
    ended = await done(who.rita, f"/lead-tasks/{task['task_id']}/end", {"outcome": "wants a price"})
    assert (ended["state"], ended["due_on"]) == ("done", "2018-09-06")
    report = (await who.greta.get(f"/api/v1{path}/report", params={"currency": "EUR"})).json()
    assert (report["registered"], report["met"], report["cost_per_deal_minor"]) == (2, 1, None)
    await done(who.greta, "/referral-programmes", {"name": "friends", "terms": {"currency": "EUR"}})
    await done(who.greta, "/referral-codes", {"code": "FRIEND-1", "programme": "friends", "merchant_id": 1})
    bring = {"code": "FRIEND-1", "lead_id": met["lead_id"]}
    assert (await send(who.rolf, "/referrals", bring)).status_code == 404
    assert (await done(who.rita, "/referrals", bring))["state"] == "pending"
    assert (await send(who.rita, "/referrals", bring)).status_code == 409
    assert await who.see("/referrals") == NORTHERN


async def test_merchants_see_none_of_it(db: Database, caller: Make) -> None:
    await signed_in(db, caller)
    for role in ("merchant_owner", "merchant_manager", "merchant_cashier"):
        alice = await caller(f"alice {role}", role, merchant_id=1)
        for path in ("visits", "fairs", "lead-tasks", "agents", "agent-plans", "referrals", "referral-codes",
                     "referral-programmes", "team-comparison", "merchant-growth"):  # fmt: skip
            asked = {"from_on": "2018-09-01", "to_on": "2018-10-01", "currency": "EUR"}
            params = asked if path in {"team-comparison", "merchant-growth"} else {}
            assert (await alice.get(f"/api/v1/{path}", params=params)).status_code == 403, path
