"""Terms that two sides speak of have one source: figures say what comparing merchants and weighing channels do."""

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.flows.acquisition.compare_sales import compare_merchants
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage, put_stage
from marketplace.flows.acquisition.weigh_channels import weigh_channels
from marketplace.flows.acquisition.work_leads import MoveLead, NewTouch, move_lead, touch_lead
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.show_metrics import AskMetrics, show_metrics
from supply.leads import store
from supply.leads.lifecycle import Move
from supply.leads.model import TouchKind
from supply.leads.visits import store as visits
from supply.leads.visits.model import Flag, Oddity, VisitState
from tests.builders import add_market, add_orders
from tests.conftest import NOW
from tests.leads.market import bring, organise
from tests.leads.test_sales import SEPTEMBER, sold
from tests.metrics.test_rolling import sale, shown

MONTH: Any = {"from_on": SEPTEMBER.from_on, "to_on": SEPTEMBER.to_on}
TRADE = [(1, 2017, 100), (1, 8, 100), (1, 9, 130), (2, 6, 50), (2, 9, 20), (3, 9, 10), (4, 2017, 80), (4, 8, 100)]
"""Merchant, month of 2018 (or July of 2017), and what the house earned in whole EUR."""


async def trade(tx: Tx) -> None:
    await add_market(tx, [1, 2, 3, 4])
    for number, (merchant_id, month, major) in enumerate(TRADE):
        on = date(2018, month, 2) if month < 13 else date(month, 7, 2)
        entry = NewEntry(
            merchant_id=merchant_id, kind="order_settled", source_id=number, currency="EUR", occurred_at=tx.now,
            effective_on=on, legs=legs({Account.PAYABLE: major * 100, Account.COMMISSION: -major * 100}),
        )  # fmt: skip
        await ledger.post(tx, [entry])
    await tx.execute("UPDATE supply.merchant SET joined_on = '2018-09-02' WHERE merchant_id IN (2, 3)")


async def test_growth_and_activation_have_one_answer(db: Database, clock: FixedClock) -> None:
    """In August 200.00 by 1 and 4; in September 1 brings 130.00, 2 is back, 3 is new; 2 and 3 went live in it."""
    clock.move_to(NOW + timedelta(days=40))
    await db.write(WORKER, "test", trade)
    orders = [sale(2, 1, date(2018, 9, 5), 4_000), sale(1, 2, date(2018, 8, 5), 8_000)]
    await db.write(WORKER, "test", add_orders, [*orders, sale(1, 3, date(2018, 9, 6), 6_000)])
    await roll_metrics(db, "worker")
    async with db.read(WORKER) as tx:
        found = await compare_merchants(tx, SEPTEMBER.from_on, SEPTEMBER.to_on, "EUR")
    figures = await shown(db, "nrr", "grr", "quick_ratio", "activation_rate", "gmv_nrr", **MONTH)
    assert figures == {
        "nrr": found.growth.nrr_ppm, "grr": found.growth.grr_ppm, "quick_ratio": found.growth.quick_ratio_ppm,
        "activation_rate": found.activation_ppm, "gmv_nrr": 750_000,
    }  # fmt: skip
    assert list(figures.values()) == [650_000, 500_000, 600_000, 500_000, 750_000]
    # July to September against the same of 2017: merchants 1 (100.00) and 4 (80.00) bring 230.00 and 100.00.
    assert await shown(db, "nrr_year", **MONTH) == {"nrr_year": 1_833_333}
    async with db.read(WORKER) as tx:
        other = await compare_merchants(tx, SEPTEMBER.from_on, SEPTEMBER.to_on, "EUR", entity_id=99)
    assert (other.live, other.growth.start, other.growth.nrr_ppm) == (0, 0, None)


async def test_costs_and_what_came_of_them_have_one_answer(db: Database) -> None:
    """1,300.00 and 400.00 of commission for two merchants; each earns the house 500.00 in its first month."""
    await sold(db)
    await db.write(WORKER, "test", earn, (1, 2))
    async with db.read(WORKER) as tx:
        whole = msgspec.structs.replace(SEPTEMBER, horizon=12)
        weighed = await weigh_channels(tx, whole)
        field = await tx.scalar("SELECT channel_id FROM supply.channel WHERE code = 'offline.field'")
        offline = await tx.scalar("SELECT channel_id FROM supply.channel WHERE code = 'offline'")
    names = ("paid_cac", "loaded_cac", "payback", "ltv", "ltv_to_cac", "cohort_activated_merchants")
    total = weighed.total
    assert await shown(db, *names, **MONTH) == dict(
        zip(names, (total.cac_paid_minor, total.cac_loaded_minor, total.payback_months, total.ltv_minor,
                    total.ltv_to_cac_ppm, total.activated_ppm // 1_000_000), strict=True)
    )  # fmt: skip
    assert (total.cac_loaded_minor, total.ltv_minor, total.ltv_to_cac_ppm) == (85_000, 50_000, 588_235)
    by_code = {each.channel: each for each in weighed.channels}
    loaded = by_code["offline.field"].cac_loaded_minor
    assert await shown(db, "loaded_cac", **MONTH, channel_id=field) == {"loaded_cac": loaded}
    both = by_code["offline.field"].spent_minor + by_code["offline.agent"].spent_minor
    assert await shown(db, "cohort_cost", **MONTH, channel_id=offline) == {"cohort_cost": both}


async def earn(tx: Tx, merchants: tuple[int, ...]) -> None:
    for merchant_id in merchants:
        entry = NewEntry(
            merchant_id=merchant_id, kind="order_settled", source_id=77, currency="EUR", occurred_at=tx.now,
            effective_on=date(2018, 9, 20), legs=legs({Account.PAYABLE: 50_000, Account.COMMISSION: -50_000}),
        )  # fmt: skip
        await ledger.post(tx, [entry])


async def test_visits_by_the_days_that_reps_worked(db: Database) -> None:
    """Rita is on the road on two days and on the telephone on a third: of three visits two count, one is cleared."""
    org = await organise(db)
    await db.write(WORKER, "test", add_market, [1])
    lead = await bring(db)

    async def visit(tx: Tx) -> None:
        rita = org.rita.user_id
        odd = [Flag(oddity=Oddity.FAR, reason="far")]
        for day, flags in ((1, []), (2, odd), (3, odd)):
            began = datetime(2018, 9, min(day, 2), 9, tzinfo=NOW.tzinfo)
            known: dict[str, Any] = {"state": VisitState.DONE, "in_at": began, "out_at": began, "flags": flags}
            held = await visits.add_visit(tx, visits.blank(tx, lead.lead_id, rita, **known))
            if day == 3:
                await visits.change_visit(tx, held, valid=True, reviewed_by="nina")
        told = NewTouch(lead_id=lead.lead_id, kind=TouchKind.CALL, rep_id=rita, at=NOW)
        await touch_lead(tx, told)

    await db.write(WORKER, "test", visit)
    assert await shown(db, "visits_per_rep_day", "signed_per_visit", **MONTH) == {
        "visits_per_rep_day": 666_667, "signed_per_visit": 0,
    }  # fmt: skip
    for whose, value in (({"rep_id": org.rita.user_id}, 666_667), ({"territory_id": org.north}, 666_667),
                         ({"rep_id": org.sue.user_id}, None)):  # fmt: skip
        assert await shown(db, "visits_per_rep_day", **MONTH, **whose) == {"visits_per_rep_day": value}


async def test_leads_that_the_score_and_people_qualify(db: Database, clock: FixedClock) -> None:
    """Of two that the score qualifies one is confirmed by a person in time; both are signed, after 2 and 6 days."""
    org = await organise(db)
    await db.write(WORKER, "test", add_market, [1, 2])
    leads = [await bring(db, f"Shop {n}") for n in range(3)]

    async def qualify(tx: Tx) -> None:
        for lead in leads[:2]:
            held = await store.get_lead(tx, lead.lead_id, lock=True)
            await put_stage(tx, held, "qualified", tx.now, cause="score")
        await note_stage(tx, NoteStage(lead_id=leads[0].lead_id, stage="qualified"))
        await move_lead(tx, MoveLead(lead_id=leads[0].lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id))

    await db.write(WORKER, "test", qualify)
    for number, days in ((0, 2), (1, 6)):
        clock.move_to(NOW + timedelta(days=days))
        if number:
            taken = MoveLead(lead_id=leads[1].lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id)
            await db.write(WORKER, "test", move_lead, taken)
        signed = MoveLead(lead_id=leads[number].lead_id, move=Move.SIGN, reason="signed", merchant_id=number + 1)
        await db.write(WORKER, "test", move_lead, signed)
    await roll_metrics(db, "worker")
    names = ("marketing_qualified_leads", "accepted_leads", "mql_to_sql", "mql_to_sql_period", "sales_cycle",
             "time_to_value")  # fmt: skip
    assert await shown(db, *names, **MONTH) == dict(zip(names, (2, 2, 500_000, 500_000, 2, None), strict=True))


@pytest.mark.parametrize("name", ["cohort_retention", "pipeline_velocity", "lift"])
async def test_what_nothing_measures_stays_undefined_and_named(db: Database, name: str) -> None:
    await db.write(WORKER, "test", add_market, [1])
    assert await shown(db, name, **MONTH) == {name: None}


async def test_the_whole_list_is_answered(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    async with db.read(STAFF) as tx:
        found = await show_metrics(tx, AskMetrics(**MONTH))
    assert {each.name for each in found.figures if not each.missing} >= {"nrr", "installed_units", "turnover_served"}
