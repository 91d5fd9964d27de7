"""Leads by every business model, from the first contact to the stage that pays: each story ends in a number."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.acquisition.import_costs import import_costs
from marketplace.flows.acquisition.note_stages import note_milestones
from marketplace.flows.acquisition.show_funnel import ShowFunnel, show_funnel
from marketplace.flows.acquisition.weigh_channels import ChannelEconomics, WeighChannels, weigh_channels
from marketplace.flows.acquisition.work_leads import MoveLead, move_lead
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.products import bill_services as services
from marketplace.flows.products import order_work as working
from marketplace.flows.products.note_usage import NoteUsage, finish_task, note_usage
from marketplace.flows.products.subscribe_merchant import Agree, agree
from supply.funnels import store as funnels
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, Model
from supply.products.hardware.model import WorkKind
from supply.products.model import Means
from supply.products.subscriptions import store as subscriptions
from supply.products.subscriptions.lifecycle import By
from tests.billing.market import check_books, order, settled_market
from tests.builders import Order, add_orders
from tests.leads.market import bring
from tests.products.market import MONTHLY, M, books, charges, day, earn, offered, open_market, subscribed, tick
from tests.products.test_hardware_story import Shop, shop

__all__ = ["shop"]

MAY_1, JUNE_1 = date(2018, 5, 1), date(2018, 6, 1)
HEADER = "ref,channel,campaign,day,kind,currency,amount\n"


async def won(db: Database, model: Model, channel: str = "online.form") -> Lead:
    """Somebody who is merchant 1 becomes interested in one product more."""
    return await bring(db, "Corner shop", model=model, channel=channel, merchant_id=M)


async def entered(db: Database, lead: Lead) -> dict[str, str]:
    """On which days a lead has entered its stages, as far as they were seen."""
    await note_milestones(db, "worker")
    async with db.read(WORKER) as tx:
        funnel = await funnels.get_funnel(tx, lead.model, lead.funnel_version)
        found = await funnels.list_entries(tx, lead.lead_id)
    return {funnel.stages[each.stage_no].key: str(each.entered_on) for each in found if not each.inferred}


async def spend(db: Database, *rows: str) -> None:
    await db.write(WORKER, "test", import_costs, (HEADER + "\n".join(rows) + "\n").encode())


async def weigh(db: Database, model: Model, month: date = MAY_1) -> ChannelEconomics:
    cmd = WeighChannels(
        from_on=month, to_on=(month + timedelta(days=32)).replace(day=1), currency="EUR", model=model
    )  # fmt: skip
    async with db.read(WORKER) as tx:
        return (await weigh_channels(tx, cmd)).total


async def test_a_lead_form_becomes_an_activated_merchant_with_a_cac(db: Database, clock: FixedClock) -> None:
    """Two forms, 300.00 of ads and 100.00 of tools; one is activated on day 12: 300.00 paid, 400.00 fully loaded."""
    day(clock, MAY_1)
    await open_market(db)
    await spend(db, "1,online.form,,2018-05-01,media,EUR,300.00", "2,online.form,,2018-05-01,tool,EUR,100.00")
    lead = await bring(db, "First")
    await bring(db, "Second")
    day(clock, date(2018, 5, 6))
    sign = MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=M)
    await db.write(WORKER, "rita", move_lead, sign)
    day(clock, date(2018, 5, 13))
    first = order(M, 1, date(2018, 5, 12))
    await db.write(WORKER, "test", add_orders, [first])
    assert await entered(db, lead) == {"lead": "2018-05-01", "signed": "2018-05-06", "first_order": "2018-05-12"}
    found = await weigh(db, Model.PLATFORM)
    assert (found.cac_paid_minor, found.cac_loaded_minor) == (30_000, 40_000)
    assert [(each.stage, each.cost_minor) for each in found.stages if each.stage in {"lead", "signed"}] == [
        ("lead", 20_000), ("signed", 40_000),
    ]  # fmt: skip
    async with db.read(WORKER) as tx:
        report = await show_funnel(tx, ShowFunnel(model=Model.PLATFORM))
    assert (report.won.entered, report.won.done) == (2, 1)


async def test_a_trial_that_converts_by_the_product(db: Database, clock: FixedClock) -> None:
    """30.00 a month after 14 days free; nobody has spoken to them: paid on day 14, for 50.00 of ads."""
    day(clock, MAY_1)
    await open_market(db)
    await spend(db, "1,online.form,,2018-05-01,media,EUR,50.00")
    lead = await won(db, Model.TOOL)
    plan = await offered(db, MONTHLY, trial_days=14, follow_up_day=7, follow_up_uses=1)
    trial = await subscribed(db, plan)
    day(clock, date(2018, 5, 3))
    used = NoteUsage(merchant_id=M, subscription_id=trial.subscription_id, used_on=date(2018, 5, 3), uses=4)
    await db.write(WORKER, "tool", note_usage, used)
    await tick(db, clock, date(2018, 5, 15))
    assert await entered(db, lead) == {
        "lead": "2018-05-01", "sign_up": "2018-05-01", "key_action": "2018-05-03", "paid": "2018-05-15",
    }  # fmt: skip
    async with db.read(WORKER) as tx:
        assert await subscriptions.list_tasks(tx, limit=9, state=None, owner=None) == []
    [charge] = await charges(db)
    assert (charge.net_minor, (await weigh(db, Model.TOOL)).cac_loaded_minor) == (3_000, 5_000)
    await tick(db, clock, date(2018, 6, 15))
    assert (await entered(db, lead))["renewed"] == "2018-06-15"


async def test_a_trial_that_converts_by_the_follow_up(db: Database, clock: FixedClock) -> None:
    """No means of payment: usage raises a task, a person calls, and they pay on day 17: 80.00 of people, one won."""
    day(clock, MAY_1)
    await open_market(db)
    lead = await won(db, Model.TOOL, "offline.field")
    plan = await offered(db, MONTHLY, trial_days=14, follow_up_day=7, follow_up_uses=3)
    trial = await subscribed(db, plan, pays_by=None)
    day(clock, date(2018, 5, 4))
    used = NoteUsage(merchant_id=M, subscription_id=trial.subscription_id, used_on=date(2018, 5, 4), uses=5)
    await db.write(WORKER, "tool", note_usage, used)
    await tick(db, clock, date(2018, 5, 8))
    async with db.read(WORKER) as tx:
        [task] = await subscriptions.list_tasks(tx, limit=9, state=None, owner=None)
    assert (task.kind, task.owner) == ("trial_follow_up", "olga")
    await tick(db, clock, date(2018, 5, 15))  # the trial has ended, and nothing was charged
    assert "paid" not in await entered(db, lead)
    day(clock, date(2018, 5, 18))
    await spend(db, "1,offline.field,,2018-05-18,people,EUR,80.00")
    await db.write(WORKER, "olga", finish_task, M, task.task_id, "they take it")
    means = Agree(merchant_id=M, subscription_id=trial.subscription_id, pays_by=Means.TRANSFER)
    await db.write(WORKER, "olga", agree, means, By.PLATFORM)
    assert (await entered(db, lead))["paid"] == "2018-05-18"
    found = await weigh(db, Model.TOOL)
    assert (found.activated_ppm, found.cac_paid_minor, found.cac_loaded_minor) == (1_000_000, 0, 8_000)
    await check_books(db)


async def test_hardware_from_lead_to_installed(shop: Shop, db: Database, clock: FixedClock) -> None:
    """250.00 for a till that cost 140.00, installed by a partner for 30.00 on day 18: 80.00 are left of the sale."""
    lead = await won(db, Model.HARDWARE)
    quoted = await shop.quoted(deposit_ppm=300_000)
    day(clock, date(2018, 5, 5))
    await earn(db, M, 40_000, date(2018, 5, 5))
    accepted = await shop.accepted(quoted, Means.NETTING)
    day(clock, date(2018, 5, 9))
    await shop.shipped(accepted, "T-1")
    plan = working.PlanWork(
        merchant_id=M, kind=WorkKind.INSTALL, serials=("T-1",), provider_id=shop.provider.provider_id,
        technician="Tim", currency="EUR", price_minor=0, vat_ppm=0, cost_minor=3_000, pays_by=Means.NETTING,
    )  # fmt: skip
    work = await shop.do(working.plan_work, plan)
    at = datetime(2018, 5, 20, 9, tzinfo=UTC)
    await shop.do(working.appoint_work, working.Appoint(merchant_id=M, work_order_id=work.work_order_id, at=at))
    day(clock, date(2018, 5, 20))
    done = working.FinishWork(
        merchant_id=M, work_order_id=work.work_order_id, on=date(2018, 5, 20), evidence="signed by Ann"
    )
    await shop.do(working.finish_work, done)
    assert await entered(db, lead) == {
        "lead": "2018-05-02", "quote": "2018-05-02", "deposit": "2018-05-05", "shipped": "2018-05-09",
        "installed": "2018-05-20",
    }  # fmt: skip
    found = await weigh(db, Model.HARDWARE)
    assert (found.activated_ppm, found.contribution_minor) == (1_000_000, [25_000 - 14_000 - 3_000])
    assert (await books(db))[1030] == -17_000
    await check_books(db)


async def test_a_service_is_paid_from_turnover(db: Database, clock: FixedClock) -> None:
    """A tenth of what is above the baseline: May turned over 400.00 against 150.00, so 25.00 and VAT are set off."""
    march, april = date(2018, 3, 1), date(2018, 4, 30)
    day(clock, date(2018, 5, 2))
    await settled_market(db, [order(M, 1, march, 10_000), order(M, 2, april, 20_000)], april)
    lead = await won(db, Model.SERVICE)
    terms: dict[str, Any] = {"name": "Growth", "currency": "EUR", "share_ppm": 100_000, "vat_ppm": 200_000}
    proposed = services.ProposeShare(
        merchant_id=M, **terms, due_days=14, baseline_from=march, baseline_to=MAY_1, starts_on=MAY_1, ends_on=None
    )
    made = await db.write(WORKER, "test", services.propose_share, proposed)
    await db.write(WORKER, "test", services.accept_agreement, M, made.agreement_id, Means.NETTING)
    await sell(db, [order(M, 4, MAY_1, 30_000), order(M, 5, date(2018, 5, 31), 10_000)], date(2018, 5, 31))
    await tick(db, clock, JUNE_1)
    assert await entered(db, lead) == {
        "lead": "2018-05-02", "proposal": "2018-05-02", "contract": "2018-05-02", "milestone": "2018-06-01",
        "cash_collected": "2018-06-01",
    }  # fmt: skip
    [charge] = await charges(db)
    assert (charge.net_minor, charge.vat_minor, charge.open_minor) == (2_500, 500, 0)
    assert (await books(db))[4040] == -2_500
    await check_books(db)


async def sell(db: Database, orders: Sequence[Order], through: date) -> None:
    await db.write(WORKER, "test", add_orders, orders)
    await settle_through(db, "test", through)
