"""A conference, from the badges to deals per cost: everybody is met once, whoever says so and however late."""

from datetime import timedelta

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.together import together
from marketplace.flows.acquisition import attend_fairs as fairs
from marketplace.flows.acquisition.note_stages import note_milestones
from marketplace.flows.acquisition.work_leads import MoveLead, move_lead
from supply.leads import store as leads
from supply.leads.events import store
from supply.leads.events.model import Fair, FairKind, TaskState
from supply.leads.lifecycle import Move
from supply.leads.model import CostKind
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import NOW
from tests.leads.market import bring, organise


async def opened(db: Database) -> Fair:
    """A conference of three days with five badges."""

    async def make(tx: Tx) -> Fair:
        new = fairs.NewFair(
            code="expo", name="Expo", kind=FairKind.CONFERENCE, starts_on=NOW.date(),
            ends_on=(NOW + timedelta(days=2)).date(),
        )  # fmt: skip
        fair = await fairs.make_fair(tx, new)
        who = [
            fairs.NewAttendee(badge=f"b{n}", company=f"Shop {n}", phone=f"0228 12345{n}", region="North")
            for n in range(5)
        ]
        assert await fairs.register(tx, fair.fair_id, who) == 5
        assert await fairs.register(tx, fair.fair_id, who[:1]) == 0
        return fair

    return await db.write(WORKER, "greta", make)


def scan(fair: Fair, device: str, *badges: str, company: str = "") -> fairs.SyncScans:
    met = tuple(fairs.Scan(badge=badge, at=NOW + timedelta(hours=1), company=company) for badge in badges)
    return fairs.SyncScans(fair_id=fair.fair_id, device_id=device, sent_at=NOW + timedelta(days=1), scans=met)


async def test_a_conference_from_badges_to_deals_per_cost(db: Database, clock: FixedClock) -> None:
    """4,500.00 spent, five met, two signed: 2,250.00 a deal, 0.444444 deals for each 1,000."""
    await db.write(WORKER, "test", add_market, [1, 2])
    org = await organise(db)
    known = await bring(db, "Known before", phone="0228 123451")  # is who has badge b1
    fair = await opened(db)
    clock.move_to(NOW + timedelta(days=1))  # the halls had no network
    first, second = await together(
        db.write(WORKER, "rita", fairs.sync_scans, scan(fair, "phone", "b0", "b1", "b2"), org.rita.user_id),
        db.write(WORKER, "rolf", fairs.sync_scans, scan(fair, "tablet", "b2", "b3", "b9"), org.rolf.user_id),
    )
    both = [*first, *second]
    assert [one.badge for one in both if one.known] == ["b2"]
    [refused] = [one for one in both if one.refused]
    assert (refused.badge, "is not registered" in refused.refused) == ("b9", True)
    again = await db.write(WORKER, "rita", fairs.sync_scans, scan(fair, "phone", "b0", "b1"), org.rita.user_id)
    assert [one.known for one in again] == [True, True]
    walked_in = scan(fair, "tablet", "b9", company="Walked in")
    [stranger] = await db.write(WORKER, "rolf", fairs.sync_scans, walked_in, org.rolf.user_id)
    ids = {one.badge: one.lead_id for one in (*both, stranger) if one.lead_id is not None}
    assert ids["b1"] == known.lead_id
    async with db.read(WORKER) as tx:
        tasks = await store.list_tasks(tx, limit=9)
        touches = await leads.touches_of(tx, known.lead_id)
    assert {task.lead_id for task in tasks} == set(ids.values())
    assert {task.due_on for task in tasks} == {(NOW + timedelta(days=3)).date()}
    assert [touch.campaign for touch in touches] == ["", "expo"]

    async def costs(tx: Tx) -> None:
        for ref, kind, minor in (("1", CostKind.EVENT, 400_000), ("2", CostKind.TRAVEL, 50_000)):
            cmd = fairs.NewCost(
                fair_id=fair.fair_id, ref=ref, kind=kind, spent_on=NOW.date(), currency="EUR", amount_minor=minor
            )
            assert await fairs.add_cost(tx, cmd) == await fairs.add_cost(tx, cmd)
        await fairs.end_task(tx, tasks[0].task_id, TaskState.DONE, "wants a quote", org.max_id)
        for badge, merchant_id in (("b0", 1), ("b1", 2)):
            await move_lead(tx, MoveLead(lead_id=ids[badge], move=Move.SIGN, reason="signed", merchant_id=merchant_id))
        order = Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=1),), placed_at=tx.now, settles_at=tx.now)
        await add_orders(tx, [order])

    clock.move_to(NOW + timedelta(days=20))
    await db.write(WORKER, "greta", costs)
    await note_milestones(db, "worker")
    async with db.read(WORKER) as tx:
        report = await fairs.weigh_fair(tx, fair.fair_id, "EUR")
        nothing = await fairs.weigh_fair(tx, fair.fair_id, "USD")
    assert report.spent_by_kind == {"event": 400_000, "travel": 50_000}
    assert (report.registered, report.met, report.leads, report.followed_up) == (6, 5, 5, 1)
    assert (report.deals, report.activated) == (2, 1)
    assert (report.cost_per_lead_minor, report.cost_per_deal_minor, report.cost_per_activated_minor) == (
        90_000, 225_000, 450_000,
    )  # fmt: skip
    assert report.deals_per_thousand_ppm == 444_444
    assert (nothing.spent_minor, nothing.deals_per_thousand_ppm) == (0, None)
