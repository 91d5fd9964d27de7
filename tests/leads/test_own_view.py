"""What concerns people of the field, of distributors and of merchants is shown to them, and nothing of others."""

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.acquisition.refer_merchants import reward_referrals
from tests.builders import add_market
from tests.leads.test_field_front_door import LEAD, Make, signed_in
from tests.leads.test_front_door import done
from tests.stories.test_referred import activated, promoted, referred

GOAL = {"metric": "signed_merchants", "grain": "week", "on": "2018-09-03", "owner": "greta", "reason": "to grow"}


async def test_goals_are_read_by_whom_they_are_of(db: Database, caller: Make) -> None:
    """A rep its own and its team's; a manager its territories'; the house's none of them."""
    who = await signed_in(db, caller)
    own = {"rita": {"rep_id": who.org.rita.user_id}, "sue": {"rep_id": who.org.sue.user_id}}
    own |= {"north": {"territory_id": who.org.north}, "house": {}}
    ids = {
        name: (await done(who.greta, "/goals", {**GOAL, **of, "target": 3}))["goal_id"] for name, of in own.items()
    }  # fmt: skip
    seen = {}
    for name in ("rita", "rolf", "sue", "nina", "max", "greta"):
        rows = (await who.clients[name].get("/api/v1/goals")).json()["items"]
        of = {row["goal"]["goal_id"] for row in rows}
        seen[name] = {key for key, goal_id in ids.items() if goal_id in of}
        for key, goal_id in ids.items():
            status = (await who.clients[name].get(f"/api/v1/goals/{goal_id}")).status_code
            assert status == (200 if key in seen[name] else 404), (name, key)
    assert seen == {
        "rita": {"rita", "north"}, "rolf": {"north"}, "sue": {"sue"}, "nina": {"rita", "north"},
        "max": {"rita", "sue", "north"}, "greta": {"rita", "sue", "north", "house"},
    }  # fmt: skip


async def test_who_owns_a_decision_reads_it_and_nothing_else_of_the_review(db: Database, caller: Make) -> None:
    who = await signed_in(db, caller)
    decisions = [
        {"decision": f"{owner} calls the {what}", "owner": owner, "due_on": "2018-09-10"}
        for owner, what in (("nina", "town"), ("rita", "mill"), ("nina", "port"))
    ]
    week = {"on": "2018-09-03", "causes": "the rain", "learned": "to wait", "decisions": decisions}
    held = await done(who.greta, "/reviews", week)
    for number in (1, 2, 3):
        await done(who.greta, f"/reviews/{held['review_id']}/notes", {"note": f"note {number}", "decision_no": number})
    await done(who.greta, f"/reviews/{held['review_id']}/notes", {"note": "of all"})
    seen = {}
    for name in ("greta", "nina", "rita", "rolf"):
        items = (await who.clients[name].get("/api/v1/reviews")).json()["items"]
        seen[name] = [
            (each["causes"], len(each["decisions"]), [(note["decision_no"], note["note"]) for note in each["notes"]])
            for each in items
        ]
    whole = [(1, "note 1"), (2, "note 2"), (3, "note 3"), (None, "of all")]
    assert seen == {
        "greta": [("the rain", 3, whole)], "nina": [("", 2, [(1, "note 1"), (3, "note 3")])],
        "rita": [("", 1, [(2, "note 2")])], "rolf": [],
    }  # fmt: skip
    home = (await who.rita.get("/field")).text
    assert "rita calls the mill" in home
    assert "note 2" in home
    assert "nina" not in home


async def test_who_leaves_a_distributor_sees_nothing_of_it(db: Database, caller: Make) -> None:
    who = await signed_in(db, caller)
    plan = {"code": "flat", "from_on": "2018-09-01", "terms": {"currency": "EUR", "fixed_minor": 20_000}}
    await done(who.finn, "/agent-plans", plan)
    acme = (await done(who.greta, "/agents", {"name": "Acme", "plan": "flat"}))["agent_id"]
    lead = (await done(who.rita, "/leads", LEAD))["lead"]["lead_id"]
    await done(who.greta, f"/leads/{lead}/agent", {"agent_id": acme})
    dora = await caller("dora", "distributor")
    person = await done(who.greta, f"/agents/{acme}/people", {"login": "dora"})
    assert len((await dora.get("/api/v1/leads")).json()["items"]) == 1
    path = f"/api/v1/agents/{acme}/people/{person['user_id']}"
    assert (await who.nina.delete(path)).status_code == 403
    assert [(await who.greta.delete(path)).status_code for _ in range(2)] == [204, 404]
    assert (await dora.get("/api/v1/leads")).json()["items"] == []
    assert (await who.greta.get(f"/api/v1/agents/{acme}/people")).json() == []


async def test_a_merchant_sees_its_code_and_what_came_of_it(db: Database, caller: Make, clock: FixedClock) -> None:
    """Not who it was; and nothing of what another merchant's code has brought."""
    await db.write(WORKER, "test", add_market, [1, 2])
    await promoted(db, clock)
    alice = await caller("alice", "merchant_owner", merchant_id=1)
    bob = await caller("bob", "merchant_owner", merchant_id=2)
    lead, _ = await referred(db)
    [code] = (await alice.get("/api/v1/merchants/1/referral-codes")).json()
    assert (code["code"], code["brought"], code["rewarded"]) == ("FRIEND-1", 1, 0)
    await activated(db, clock, lead)
    assert await reward_referrals(db, "worker") == 2
    [brought] = (await alice.get("/api/v1/merchants/1/referrals")).json()["items"]
    assert (brought["state"], brought["earned_minor"], brought["currency"]) == ("rewarded", 5_000, "EUR")
    assert {"lead_id", "merchant_id", "device"} & brought.keys() == set()
    for path, nothing in (("referral-codes", []), ("referrals", {"items": [], "next": None})):
        assert (await bob.get(f"/api/v1/merchants/1/{path}")).status_code == 404
        assert (await bob.get(f"/api/v1/merchants/2/{path}")).json() == nothing
