"""Acquisition over HTTP: a form becomes a merchant and a cost, and everybody sees what is for them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from tests.builders import add_market
from tests.conftest import NOW
from tests.http.market import send
from tests.leads.market import organise

Make = Callable[..., Awaitable[httpx.AsyncClient]]
FORM = {
    "model": "platform",
    "company": "Ann's Shop",
    "channel": "online.form",
    "region": "North",
    "phone": "0228 123456",
}
COSTS = "ref,channel,campaign,day,kind,currency,amount\n1,online.form,,2018-09-03,media,EUR,250.00\n"


async def done(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()


async def sign_in(db: Database, caller: Make, login: str, role: str, user_id: int) -> httpx.AsyncClient:
    """A program that acts as a rep or manager who is there already: its key takes over the user's id."""
    client = await caller(f"key of {login}", role)

    async def same(tx: Tx) -> None:
        other = await tx.scalar("SELECT user_id FROM core.app_user WHERE login = :login", login=f"key of {login}")
        await tx.execute(
            "UPDATE core.api_key SET user_id = :user WHERE user_id = :other", {"user": user_id, "other": other}
        )

    await db.write(WORKER, "test", same)
    return client


async def test_a_form_becomes_a_merchant_with_a_known_cost(db: Database, caller: Make, clock: FixedClock) -> None:
    """250.00 were spent, one merchant was activated: its CAC is 250.00, twelve days after the form."""

    async def market(tx: Tx) -> None:
        await add_market(tx, [1])

    await db.write(WORKER, "test", market)
    org = await organise(db)
    growth = await caller("greta", "growth")
    rita = await sign_in(db, caller, "rita", "sales_rep", org.rita.user_id)
    rolf = await sign_in(db, caller, "rolf", "sales_rep", org.rolf.user_id)
    await done(growth, "/channel-costs", {"content": COSTS})
    lead = (await done(growth, "/leads", {**FORM, "pool_id": org.pool.pool_id}))["lead"]
    path = f"/leads/{lead['lead_id']}"
    assert (await rita.get(f"/api/v1{path}")).status_code == 404
    [card] = (await rita.get(f"/api/v1/lead-pools/{org.pool.pool_id}/leads")).json()["items"]
    assert (card["company"], "phone" in card) == ("Ann's Shop", False)
    sue = await sign_in(db, caller, "sue", "sales_rep", org.sue.user_id)
    assert (await sue.get(f"/api/v1/lead-pools/{org.pool.pool_id}/leads")).status_code == 403
    await done(rita, f"/lead-pools/{org.pool.pool_id}/claim", {"lead_id": card["lead_id"]})
    taken = await send(rolf, f"/lead-pools/{org.pool.pool_id}/claim", {"lead_id": card["lead_id"]})
    assert (taken.status_code, "somebody was faster" in taken.json()["detail"]) == (409, True)
    for other in (rolf, await caller("sam", "sales_manager")):
        assert (await other.get("/api/v1/leads")).json()["items"] == []
        assert (await send(other, f"{path}/touches", {"kind": "call"})).status_code == 404
    clock.move_to(NOW + timedelta(days=5))
    await done(rita, f"{path}/touches", {"kind": "visit", "channel": "offline.field"})
    await done(rita, f"{path}/moves", {"move": "visit"})
    await done(rita, f"{path}/moves", {"move": "sign", "reason": "contract 7", "merchant_id": 1})
    clock.move_to(NOW + timedelta(days=12))
    assert (await send(rita, f"{path}/stages", {"stage": "nowhere"})).status_code == 422
    own = await send(rita, f"{path}/stages", {"stage": "first_order", "evidence": "order 1"})
    assert (own.status_code, "another person" in own.json()["detail"]) == (403, True)
    await done(growth, f"{path}/stages", {"stage": "first_order", "evidence": "order 1"})
    shares = (await rita.get(f"/api/v1{path}/attribution")).json()
    assert {each["model"]: each["locked"] for each in shares} == dict.fromkeys(
        ("first", "last", "linear", "owner", "position"), True
    )
    asked = {"from_on": "2018-09-01", "to_on": "2018-10-01", "currency": "EUR", "attribution": "first"}
    [form] = (await growth.get("/api/v1/channel-economics", params=asked)).json()["channels"]
    assert (form["cac_paid_minor"], form["activated_ppm"]) == (25_000, 1_000_000)
    found = (await rita.get("/api/v1/funnels/platform")).json()
    assert [found["won"][name] for name in ("entered", "done", "median_days")] == [1, 1, 5]
    assert (await rolf.get("/api/v1/funnels/platform")).json()["won"]["entered"] == 0
    [stage] = [each for each in found["stages"] if each["stage"] == "live"]
    assert (stage["inferred"], stage["figures"]["median_days"]) == (1, 0)
    history = (await rita.get(f"/api/v1{path}/history")).json()
    assert [event["move"] for event in history["events"]] == ["add", "claim", "visit", "sign"]


async def test_who_is_in_a_stage_for_too_long_is_on_the_list(db: Database, caller: Make, clock: FixedClock) -> None:
    growth = await caller("greta", "growth")
    await done(growth, "/leads", FORM)
    clock.move_to(NOW + timedelta(days=10))
    young = (await done(growth, "/leads", {**FORM, "company": "Young", "phone": ""}))["lead"]
    clock.move_to(NOW + timedelta(days=14))
    assert (await growth.get("/api/v1/funnels/platform/stuck")).json()["items"] == []
    clock.move_to(NOW + timedelta(days=15))
    [stuck] = (await growth.get("/api/v1/funnels/platform/stuck")).json()["items"]
    assert (stuck["company"], stuck["stage"], stuck["days"]) == ("Ann's Shop", "lead", 15)
    await done(growth, f"/leads/{young['lead_id']}/moves", {"move": "lose"})
    found = (await growth.get("/api/v1/funnels/platform")).json()
    assert found["stages"][0]["stuck"] == 1
    assert [found["stages"][0]["figures"][name] for name in ("open", "lost", "median_days")] == [1, 1, None]


async def test_a_new_version_of_a_funnel_moves_nobody(caller: Make) -> None:
    growth = await caller("greta", "growth")
    old = (await done(growth, "/leads", FORM))["lead"]
    stages = [{"key": "asked", "sla_days": 3}, {"key": "signed"}]
    made = await done(
        growth, "/funnels", {"model": "platform", "stages": stages, "won": "signed", "activated": "signed"}
    )
    assert made["version_no"] == 2
    new = (await done(growth, "/leads", {**FORM, "company": "New"}))["lead"]
    assert (old["funnel_version"], new["funnel_version"]) == (1, 2)
    for version, stage in ((1, "lead"), (2, "asked")):
        found = (await growth.get("/api/v1/funnels/platform", params={"version_no": version})).json()
        assert (found["stages"][0]["stage"], found["won"]["entered"]) == (stage, 1)


async def test_an_edit_needs_the_present_version_and_finds_duplicates(caller: Make) -> None:
    growth = await caller("greta", "growth")
    one = await done(growth, "/leads", FORM)
    two = await done(growth, "/leads", {**FORM, "company": "Another", "phone": "+49 228 123456"})
    assert two["duplicates"] == [one["lead"]["lead_id"]]
    path = f"/api/v1/leads/{two['lead']['lead_id']}"
    stale = await growth.patch(path, json={"phone": ""}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    edited = await growth.patch(path, json={"phone": ""}, headers={"If-Match": '"1"'})
    assert (edited.status_code, edited.json()["duplicates"], edited.headers["etag"]) == (200, [], '"2"')
    alice = await caller("alice", "merchant_owner", merchant_id=1)
    assert (await alice.get("/api/v1/leads")).status_code == 403
