"""Reps against distributors, and economics by campaign, rep, distributor and segment, on hand-made data."""

from datetime import UTC, date, datetime

import msgspec

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.compare_sales import compare_merchants, compare_teams
from marketplace.flows.acquisition.import_costs import import_costs
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.pay_agents import NewAgent, credit_lead, make_agent, make_plan, pay_agents
from marketplace.flows.acquisition.weigh_channels import ChannelEconomics, WeighChannels, weigh_channels
from marketplace.flows.acquisition.work_leads import MoveLead, NewTouch, move_lead, touch_lead
from marketplace.flows.steering.roll_metrics import roll_metrics
from supply.leads.agents.model import AgentTerms
from supply.leads.attribution import AttributionModel
from supply.leads.lifecycle import Move
from supply.leads.model import TouchKind
from tests.builders import add_market
from tests.leads.market import Organisation, bring, organise

SEPTEMBER = WeighChannels(from_on=date(2018, 9, 1), to_on=date(2018, 10, 1), currency="EUR", horizon=2)
COSTS = (
    "ref,channel,campaign,day,kind,currency,amount,seller\n"
    "1,offline.field,tour,2018-09-03,people,EUR,600.00,rita\n"
    "2,offline.field,tour,2018-09-04,travel,EUR,100.00,\n"
    "3,offline.agent,,2018-09-04,people,EUR,90.00,Acme\n"
    "4,offline.agent,,2018-09-04,tool,EUR,10.00,\n"
    "5,online.ads,,2018-09-04,media,EUR,500.00,\n"
    "6,offline.field,tour,2018-08-04,people,EUR,300.00,rita\n"
)


async def sold(db: Database) -> Organisation:
    """Rita wins one of two leads, Acme one of one, for 200.00 each; nobody holds a fourth."""
    await db.write(WORKER, "test", add_market, [1, 2])
    org = await organise(db)

    async def make(tx: Tx) -> int:
        await make_plan(tx, "flat", tx.now.date(), AgentTerms(currency="EUR", fixed_minor=20_000))
        await make_agent(tx, NewAgent(name="Rita", plan="flat", user_id=org.rita.user_id))
        acme = await make_agent(tx, NewAgent(name="Acme", plan="flat"))
        await import_costs(tx, COSTS.encode())
        return acme.agent_id

    acme = await db.write(WORKER, "greta", make)
    fields = {"channel": "offline.field", "campaign": "tour"}
    leads = [await bring(db, f"Shop {n}", **fields, segment=f"s{n}") for n in range(2)]
    leads.append(await bring(db, "Shop 2", channel="offline.agent", segment="s1"))
    await bring(db, "Nobody's", channel="online.ads", segment="s9")

    async def win(tx: Tx) -> None:
        for lead in leads[:2]:
            assign = MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id)
            await move_lead(tx, assign)
        await credit_lead(tx, leads[2].lead_id, acme)
        for merchant_id, lead in ((1, leads[0]), (2, leads[2])):
            await move_lead(
                tx, MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=merchant_id)
            )
            await note_stage(tx, NoteStage(lead_id=lead.lead_id, stage="first_order", evidence="order 1"))

    await db.write(WORKER, "greta", win)
    assert await pay_agents(db, "worker") == 2
    return org


async def weigh(
    db: Database, by: str, attribution: AttributionModel = AttributionModel.LAST
) -> dict[str, ChannelEconomics]:
    async with db.read(WORKER) as tx:
        found = await weigh_channels(tx, msgspec.structs.replace(SEPTEMBER, by=by, attribution=attribution))
    assert sum(each.spent_minor for each in found.channels) == found.total.spent_minor
    assert sum(each.activated_ppm for each in found.channels) == found.total.activated_ppm
    return {each.channel: each for each in [found.total, *found.channels] if each is not found.total or by == "channel"}


async def test_economics_by_rep_distributor_campaign_and_segment(db: Database) -> None:
    await sold(db)
    by_rep = await weigh(db, "rep")
    rita = by_rep["rita"]
    assert (rita.spent_by_kind, rita.activated_ppm) == ({"people": 60_000, "commission": 20_000}, 1_000_000)
    assert (rita.cac_paid_minor, rita.cac_loaded_minor) == (20_000, 80_000)
    assert (rita.stages[0].reached, rita.stages[0].cost_minor) == (2, 40_000)
    assert rita.marginal_cac_minor == 50_000  # 800.00 less August's 300.00 for one merchant more
    acme = (await weigh(db, "distributor"))["Acme"]
    assert (acme.spent_minor, acme.cac_loaded_minor, acme.marginal_cac_minor) == (29_000, 29_000, 29_000)
    tour = (await weigh(db, "campaign"))["tour"]
    assert (tour.spent_minor, tour.activated_ppm, tour.cac_loaded_minor) == (90_000, 1_000_000, 90_000)
    segments = await weigh(db, "segment")
    assert segments["s0"].spent_minor == 35_000 + 20_000  # half of field push, and its own commission
    assert segments["s1"].spent_minor == 35_000 + 10_000 + 20_000
    assert (segments["s9"].spent_minor, segments["s9"].cac_loaded_minor) == (50_000, None)
    ads = (await weigh(db, "channel"))["online.ads"]
    assert (ads.spent_minor, ads.activated_ppm, ads.marginal_cac_minor) == (50_000, 0, None)


async def test_what_a_merchant_cost_by_itself_stands_where_it_is_said_to_come_from(db: Database) -> None:
    """Rita's merchant came by the last touch from an ad: so did what rita earned for it, not from field push."""
    org = await organise(db)
    await db.write(WORKER, "test", add_market, [1])

    async def make(tx: Tx) -> None:
        await make_plan(tx, "flat", tx.now.date(), AgentTerms(currency="EUR", fixed_minor=20_001))
        await make_agent(tx, NewAgent(name="Rita", plan="flat", user_id=org.rita.user_id))

    await db.write(WORKER, "greta", make)
    lead = await bring(db, channel="offline.field")

    async def win(tx: Tx) -> None:
        await move_lead(tx, MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id))
        await touch_lead(tx, NewTouch(lead_id=lead.lead_id, kind=TouchKind.SEEN, channel="online.ads"))
        await move_lead(tx, MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=1))
        await note_stage(tx, NoteStage(lead_id=lead.lead_id, stage="first_order", evidence="order 1"))

    await db.write(WORKER, "greta", win)
    assert await pay_agents(db, "worker") == 1
    last = await weigh(db, "channel")
    assert (last["online.ads"].spent_by_kind, last["online.ads"].cac_loaded_minor) == ({"commission": 20_001}, 20_001)
    assert (last["offline.field"].spent_minor, last["offline.field"].activated_ppm) == (0, 0)
    linear = await weigh(db, "channel", AttributionModel.LINEAR)
    assert sorted(linear[code].spent_minor for code in ("online.ads", "offline.field")) == [10_000, 10_001]


async def test_the_own_team_against_agents(db: Database) -> None:
    """Own: 700.00 and 200.00 of commission, three heads; agents: 100.00 and 200.00, one."""
    await sold(db)
    async with db.read(WORKER) as tx:
        teams = await compare_teams(tx, SEPTEMBER.from_on, SEPTEMBER.to_on, "EUR")
        nothing = await compare_teams(tx, date(2019, 1, 1), date(2019, 2, 1), "EUR")
    own, agents = teams.own, teams.agents
    assert (own.heads, own.leads, own.won, own.activated, own.cost_minor) == (3, 2, 1, 1, 90_000)
    assert (own.won_ppm, own.activated_per_head_ppm, own.cost_per_head_minor) == (500_000, 333_333, 30_000)
    assert (own.cost_per_activated_minor, own.activated_per_thousand_ppm) == (90_000, 1_111_111)
    assert (agents.heads, agents.leads, agents.won, agents.cost_minor) == (1, 1, 1, 30_000)
    assert (agents.cost_per_activated_minor, agents.activated_per_thousand_ppm) == (30_000, 3_333_333)
    assert (nothing.agents.cost_per_activated_minor, nothing.agents.activated_per_thousand_ppm) == (None, None)


async def test_new_against_existing_merchants(db: Database, clock: FixedClock) -> None:
    """Merchant 1: 100.00, then 130.00; merchant 2: back after a pause; merchant 3: new; merchant 4: gone."""

    async def trade(tx: Tx) -> None:
        await add_market(tx, [1, 2, 3, 4])
        earned = [(1, 8, 100), (1, 9, 130), (2, 6, 50), (2, 9, 20), (3, 9, 10), (4, 8, 100)]
        for number, (merchant_id, month, major) in enumerate(earned):
            entry = NewEntry(
                merchant_id=merchant_id, kind="order_settled", source_id=number, currency="EUR", occurred_at=tx.now,
                effective_on=date(2018, month, 2),
                legs=legs({Account.PAYABLE: major * 100, Account.COMMISSION: -major * 100}),
            )  # fmt: skip
            await ledger.post(tx, [entry])
        await tx.execute("UPDATE supply.merchant SET joined_on = '2018-09-02' WHERE merchant_id = 3")

    await db.write(WORKER, "test", trade)
    await roll_metrics(db, "worker")
    async with db.read(WORKER) as tx:
        found = await compare_merchants(tx, SEPTEMBER.from_on, SEPTEMBER.to_on, "EUR")
    growth = found.growth
    assert (growth.new, growth.retained, growth.reactivated, growth.churned) == (1, 1, 1, 1)
    assert (growth.nrr_ppm, growth.grr_ppm, growth.quick_ratio_ppm) == (650_000, 500_000, 600_000)
    assert (found.live, found.activated, found.activation_ppm, found.mature) == (1, 0, 0, False)
    assert (found.against_from, found.against_to) == (date(2018, 8, 1), date(2018, 8, 3))  # two days are over
    clock.move_to(datetime(2018, 10, 1, 9, tzinfo=UTC))
    async with db.read(WORKER) as tx:
        begun = await compare_merchants(tx, date(2018, 10, 1), date(2018, 11, 1), "EUR")
    assert (begun.against_from, begun.against_to) == (date(2018, 9, 1), date(2018, 9, 2))  # a day against a day
    clock.move_to(datetime(2018, 10, 2, 9, tzinfo=UTC))
    async with db.read(WORKER) as tx:
        running = await compare_merchants(tx, date(2018, 10, 1), date(2018, 11, 1), "EUR")
    assert (running.against_from, running.against_to, running.mature) == (date(2018, 9, 1), date(2018, 9, 2), False)
    assert running.growth.start == 0  # what September brought came on the 2nd
    for day, mature in ((2, False), (3, True)):  # merchant 3 had its thirty days until the end of the 2nd
        clock.move_to(datetime(2018, 10, day, 23, tzinfo=UTC))
        async with db.read(WORKER) as tx:
            over = await compare_merchants(tx, SEPTEMBER.from_on, SEPTEMBER.to_on, "EUR")
        assert (over.against_from, over.against_to, over.mature) == (date(2018, 8, 1), date(2018, 9, 1), mature)
