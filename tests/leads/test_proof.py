"""What a rep says of its own lead earns it nothing by itself: facts tell, or somebody else has looked."""

from datetime import timedelta
from typing import Any

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import Forbidden, Invalid
from marketplace.flows.acquisition.claim_leads import claim_lead
from marketplace.flows.acquisition.note_stages import NoteStage, note_milestones, note_stage
from marketplace.flows.acquisition.onboard_merchant import OnboardMerchant, onboard_merchant
from marketplace.flows.acquisition.pay_agents import NewAgent, make_agent, make_plan, pay_agents
from marketplace.flows.acquisition.work_leads import MoveLead, NewLead, add_lead, move_lead
from supply.funnels import store as funnels
from supply.leads import store
from supply.leads.agents.model import AgentTerms
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, LeadState, Model
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import NOW
from tests.leads.market import Organisation, bring, organise


async def field(db: Database, clock: FixedClock, **lead: Any) -> tuple[Organisation, Lead]:
    """Merchant 1 has been here for ten days when Rita brings a lead."""
    await db.write(WORKER, "test", add_market, [1])
    org = await organise(db)
    clock.move_to(NOW + timedelta(days=10))
    known = {"model": Model.PLATFORM, "company": "Shop", "channel": "offline.field", **lead}
    brought = await db.write(WORKER, "rita", add_lead, NewLead(**known), org.rita.user_id)
    return org, brought.lead


def signed(lead: Lead, merchant_id: int | None = 1, **values: Any) -> MoveLead:
    return MoveLead(lead_id=lead.lead_id, move=Move.SIGN, merchant_id=merchant_id, **{"reason": "contract 7", **values})


async def test_a_merchant_that_was_here_before_is_named_by_somebody_else(db: Database, clock: FixedClock) -> None:
    """Also when the rep says that it was there long before."""
    org, lead = await field(db, clock, first_contact_at=NOW - timedelta(days=30))
    rita = org.rita.user_id
    with pytest.raises(Forbidden, match="merchant 1 was here before"):
        await db.write(WORKER, "rita", move_lead, signed(lead), rita)
    await db.write(WORKER, "rita", move_lead, signed(lead, None), rita)
    over = MoveLead(lead_id=lead.lead_id, move=Move.HAND_OVER, merchant_id=1)
    with pytest.raises(Forbidden, match="another person than rita"):
        await db.write(WORKER, "rita", move_lead, over, rita)
    given = await db.write(WORKER, "nina", move_lead, over, org.nina_id)
    assert (given.lead.state, given.lead.merchant_id) == (LeadState.HANDED_OVER, 1)


async def test_its_first_order_since_or_its_own_sign_up_since_is_enough(db: Database, clock: FixedClock) -> None:
    org, lead = await field(db, clock)
    clock.move_to(NOW + timedelta(days=12))
    order = Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=100),), placed_at=clock.now())
    await db.write(WORKER, "test", add_orders, [order])
    moved = await db.write(WORKER, "rita", move_lead, signed(lead), org.rita.user_id)
    assert moved.lead.merchant_id == 1
    second = await db.write(WORKER, "greta", onboard_merchant, OnboardMerchant(name="Second"))
    new = await db.write(WORKER, "rita", add_lead, NewLead(
        model=Model.PLATFORM, company="New", channel="offline.field"), org.rita.user_id)  # fmt: skip
    with pytest.raises(Forbidden):  # the merchant is won by the first lead
        await db.write(WORKER, "rita", move_lead, signed(new.lead), org.rita.user_id)
    moved = await db.write(WORKER, "rita", move_lead, signed(new.lead, second.merchant_id), org.rita.user_id)
    assert moved.lead.merchant_id == second.merchant_id


async def test_a_signature_and_a_fact_name_what_shows_them(db: Database, clock: FixedClock) -> None:
    org, lead = await field(db, clock)
    with pytest.raises(Invalid, match="reason: name what shows"):
        await db.write(WORKER, "rita", move_lead, signed(lead, reason=""), org.rita.user_id)
    await db.write(WORKER, "rita", move_lead, signed(lead, None), org.rita.user_id)
    for stage in ("signed", "live", "first_order"):
        with pytest.raises(Invalid, match=f"evidence: {stage} is a fact"):
            await db.write(WORKER, "greta", note_stage, NoteStage(lead_id=lead.lead_id, stage=stage))
    await db.write(WORKER, "rita", note_stage, NoteStage(lead_id=lead.lead_id, stage="qualified"))
    live = NoteStage(lead_id=lead.lead_id, stage="live", evidence="its page of today")
    await db.write(WORKER, "rita", note_stage, live)
    async with db.read(WORKER) as tx:
        told = {event.stage: event.evidence for event in await funnels.events_of(tx, lead.lead_id)}
    assert told == {"lead": "", "signed": "contract 7", "qualified": "", "live": "its page of today"}


async def test_who_holds_a_lead_does_not_activate_it(db: Database, clock: FixedClock) -> None:
    """300.00 are earned once somebody else says that the merchant sells, or it does."""
    org, lead = await field(db, clock)
    await db.write(WORKER, "nina", move_lead, signed(lead), org.nina_id)

    async def earning(tx: Tx) -> None:
        await make_plan(tx, "flat", tx.now.date(), AgentTerms(currency="EUR", fixed_minor=30_000))
        await make_agent(tx, NewAgent(name="Rita", plan="flat", user_id=org.rita.user_id))

    await db.write(WORKER, "greta", earning)
    said: dict[str, Any] = {"lead_id": lead.lead_id, "evidence": "she said so"}
    for stage in ("first_order", "active"):  # who is further has been activated, too
        with pytest.raises(Forbidden, match="another person than rita"):
            await db.write(WORKER, "rita", note_stage, NoteStage(stage=stage, **said))
    assert await pay_agents(db, "worker") == 0
    await db.write(WORKER, "nina", note_stage, NoteStage(stage="first_order", **said))
    assert await pay_agents(db, "worker") == 1


async def test_a_tool_is_won_by_what_the_merchant_pays(db: Database, clock: FixedClock) -> None:
    """Signed is not paid: a rep's signature does not take a tool's lead behind its first use."""
    org, lead = await field(db, clock, model=Model.TOOL)
    await db.write(WORKER, "rita", move_lead, signed(lead, None), org.rita.user_id)
    assert await note_milestones(db, "worker") == 0
    async with db.read(WORKER) as tx:
        assert [event.stage for event in await funnels.events_of(tx, lead.lead_id)] == ["lead"]


async def test_a_manager_sees_what_waits_in_the_pool_of_its_territory(db: Database) -> None:
    """Before anybody claims it, also when nobody knows where it is; the manager of another sees none of it."""
    org = await organise(db)
    lead = await bring(db, "Nowhere", region="", pool_id=org.pool.pool_id)
    later = await bring(db, "Later", region="")
    pool = MoveLead(lead_id=later.lead_id, move=Move.POOL, pool_id=org.pool.pool_id)
    await db.write(WORKER, "greta", move_lead, pool)

    async def seen(user_id: int) -> set[int]:
        async with db.read(Scope(Role.SALES, user_id)) as tx:
            return {found.lead_id for found in await store.list_leads(tx, limit=10)}

    assert await seen(org.nina_id) == await seen(org.max_id) == {lead.lead_id, later.lead_id}
    assert await seen(org.rita.user_id) == await seen(org.sue.user_id) == set()
    await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id, lead.lead_id)
    assert await seen(org.rita.user_id) == {lead.lead_id}
