"""A shop is visited, signed, activated, and lost: what its rep earned and gave back, to the cent and the day."""

from datetime import timedelta

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition import make_visits as visits
from marketplace.flows.acquisition.note_stages import note_milestones
from marketplace.flows.acquisition.onboard_merchant import move_merchant
from marketplace.flows.acquisition.pay_agents import NewAgent, make_agent, make_plan, pay_agents, read_statement
from marketplace.flows.acquisition.work_leads import MoveLead, NewLead, add_lead, move_lead
from marketplace.flows.products.stock_hardware import PayProvider, pay_provider
from supply.leads.agents.model import Agent, AgentTerms, ClawbackRule
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, LeadState, Model
from supply.leads.visits.model import Fix, Oddity, Place
from supply.lifecycle import MerchantMove
from tests.billing.market import check_books
from tests.builders import HOUSE, Line, Order, add_market, add_orders
from tests.conftest import NOW
from tests.leads.market import Organisation, organise
from tests.products.market import books

TERMS = AgentTerms(currency="EUR", fixed_minor=30_000, clawback=ClawbackRule.PRO_RATA, clawback_days=90)
DOOR = Place(latitude_udeg=50_737_430, longitude_udeg=7_098_210)
NEXT_DOOR = Place(latitude_udeg=50_737_880, longitude_udeg=7_098_210)
"""Some fifty metres to the north."""


async def rewarded(db: Database, org: Organisation, terms: AgentTerms = TERMS) -> Agent:
    """Rita earns commission from today on."""

    async def make(tx: Tx) -> Agent:
        await make_plan(tx, "field", tx.now.date(), terms)
        return await make_agent(tx, NewAgent(name="Rita", plan="field", user_id=org.rita.user_id))

    return await db.write(WORKER, "greta", make)


async def found(db: Database, org: Organisation) -> Lead:
    """A lead that Rita has found herself, and where it is."""

    async def find(tx: Tx) -> Lead:
        new = NewLead(model=Model.PLATFORM, company="Corner shop", channel="offline.field", region="North")
        detail = await add_lead(tx, new, org.rita.user_id)
        await visits.add_site(tx, detail.lead.lead_id, "shop", DOOR, org.rita.user_id)
        return detail.lead

    return await db.write(WORKER, "rita", find)


async def sell(db: Database, clock: FixedClock, order_id: int = 1) -> None:
    """Merchant 1 delivers an order, now."""
    order = Order(
        merchant_id=1, order_id=order_id, lines=(Line(goods_minor=10_000),), placed_at=clock.now(),
        settles_at=clock.now(),
    )  # fmt: skip
    await db.write(WORKER, "test", add_orders, [order])
    await note_milestones(db, "worker")


async def test_a_field_visit_is_signed_activated_and_clawed_back_at_day_60(db: Database, clock: FixedClock) -> None:
    """300.00 for an activated merchant; closed on day 60 of 90, it keeps two thirds: 200.00, and 100.00 go back."""
    await db.write(WORKER, "test", add_market, [1])
    org = await organise(db)
    agent, lead = await rewarded(db, org), await found(db, org)
    plan = visits.PlanVisit(lead_id=lead.lead_id, planned_at=NOW + timedelta(hours=2))
    planned = await db.write(WORKER, "rita", visits.plan_visit, plan, org.rita.user_id)
    clock.move_to(NOW + timedelta(hours=2))
    came = visits.CheckIn(
        visit_id=planned.visit_id, sent_at=clock.now(), fix=Fix(at=clock.now(), place=NEXT_DOOR, accuracy_m=10)
    )
    there = await db.write(WORKER, "rita", visits.check_in, came, org.rita.user_id)
    assert there.distance_m == 50
    clock.move_to(NOW + timedelta(hours=3))
    left = visits.CheckOut(
        visit_id=planned.visit_id, sent_at=clock.now(), fix=Fix(at=clock.now(), place=NEXT_DOOR, accuracy_m=10),
        photo_hash="ab" * 32, result="signs tomorrow",
    )  # fmt: skip
    done = await db.write(WORKER, "rita", visits.check_out, left, org.rita.user_id)
    assert (done.flags, done.counts) == ([], True)
    sign = MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=1)
    signed = await db.write(WORKER, "rita", move_lead, sign, org.rita.user_id)
    assert signed.lead.state is LeadState.SIGNED
    assert await pay_agents(db, "worker") == 0  # signed is not activated
    await sell(db, clock)
    assert await pay_agents(db, "worker") == 1
    assert await pay_agents(db, "worker") == 0
    assert await books(db, HOUSE) == {2060: -30_000, 5500: 30_000}
    clock.move_to(NOW + timedelta(days=60))
    await db.write(WORKER, "ops", move_merchant, 1, MerchantMove.CLOSE, "gone out of business")
    clock.move_to(NOW + timedelta(days=95))  # nobody looked until the time was over
    assert await pay_agents(db, "worker") == 1
    assert await books(db, HOUSE) == {2060: -20_000, 5500: 20_000}
    paid = PayProvider(provider_id=agent.provider_id, currency="EUR", amount_minor=20_000, bank_ref="b-1")
    await db.write(WORKER, "finance", pay_provider, paid)
    async with db.read(WORKER) as tx:
        statement = await read_statement(tx, agent.agent_id, NOW.date(), (NOW + timedelta(days=96)).date())
    [line] = statement.balances
    assert (line.opening_minor, line.earned_minor, line.clawed_back_minor) == (0, 30_000, 10_000)
    assert (line.paid_minor, line.closing_minor) == (20_000, 0)
    assert [(m.amount_minor, m.reason) for m in statement.movements] == [
        (30_000, ""), (-10_000, "the merchant was closed"),
    ]  # fmt: skip
    await check_books(db)


async def test_a_visit_from_home_is_odd(db: Database, clock: FixedClock) -> None:
    """Told two days late by a device whose clock is ten minutes slow, eleven kilometres from the door."""
    await db.write(WORKER, "test", add_market, [1])
    org = await organise(db)
    lead = await found(db, org)
    clock.move_to(NOW + timedelta(days=3))
    slow = timedelta(minutes=10)
    home = Place(latitude_udeg=50_837_430, longitude_udeg=7_098_210)
    told = visits.ToldVisit(
        ref="v1", lead_id=lead.lead_id, came=Fix(at=NOW + timedelta(hours=1) - slow, place=home, accuracy_m=20),
        left=Fix(at=NOW + timedelta(hours=1, seconds=30) - slow, place=home, accuracy_m=20, mocked=True),
    )  # fmt: skip
    cmd = visits.SyncVisits(device_id="phone", sent_at=clock.now() - slow, visits=(told,))
    [first] = await db.write(WORKER, "rita", visits.sync_visits, cmd, org.rita.user_id)
    [again] = await db.write(WORKER, "rita", visits.sync_visits, cmd, org.rita.user_id)
    assert (first.known, again.known, first.visit) == (False, True, again.visit)
    assert first.visit is not None
    assert first.visit.in_at == NOW + timedelta(hours=1)
    assert first.visit.distance_m == 11_120
    assert [flag.oddity for flag in first.visit.flags] == [
        Oddity.FAR, Oddity.MOCKED, Oddity.CLOCK, Oddity.LATE, Oddity.SHORT,
    ]  # fmt: skip
    assert not first.visit.counts
