"""MetricFigures rolled up by day equal a full recomputation, whatever came late."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from demand.changes.store import note_change
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.show_funnel import ShowFunnel, show_funnel
from marketplace.flows.acquisition.work_leads import merge_leads
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.proofs.verify_metrics import PROOFS
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.flows.steering import roll_metrics_sql as rolling
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.show_metrics import AskMetrics, MetricFigures, show_metrics, show_tree
from supply.leads.model import Model
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import fresh_database
from tests.leads.market import bring, organise

MONDAY = date(2018, 7, 2)


def sale(merchant_id: int, order_id: int, on: date, goods: int, *, after: int | None = 2) -> Order:
    """Sold at ten, delivered so many days later."""
    at = datetime(on.year, on.month, on.day, 10, tzinfo=UTC)
    delivered = None if after is None else at + timedelta(days=after)
    line = Line(goods_minor=goods, freight_minor=100)
    return Order(merchant_id=merchant_id, order_id=order_id, lines=(line,), placed_at=at, settles_at=delivered)


async def proved(db: Database) -> None:
    async with db.read(WORKER) as tx:
        for name, _, query in PROOFS:
            assert await tx.rows(query) == [], name


async def shown(db: Database, *names: str, **asked: Any) -> dict[str, int | None]:
    async with db.read(STAFF) as tx:
        figures: MetricFigures = await show_metrics(tx, AskMetrics(**asked), names)
    return {each.name: each.value for each in figures.figures}


async def test_figures_of_a_small_market(db: Database, clock: FixedClock) -> None:
    """Two weeks of three merchants, by hand."""
    orders = [
        sale(1, 1, MONDAY, 10_000), sale(1, 2, MONDAY + timedelta(days=1), 5_000),
        sale(2, 3, MONDAY + timedelta(days=2), 3_000, after=None), sale(2, 4, MONDAY + timedelta(days=6), 7_000),
        sale(1, 5, MONDAY + timedelta(days=8), 4_000), sale(3, 6, MONDAY + timedelta(days=9), 6_000),
    ]  # fmt: skip
    await db.write(WORKER, "test", add_market, [1, 2, 3])
    await db.write(WORKER, "test", add_orders, orders)
    rolled = await roll_metrics(db, "worker")
    assert rolled.changes == 3
    await proved(db)
    week: Any = {"from_on": MONDAY, "to_on": MONDAY + timedelta(days=7)}
    names = ("placed_orders", "gmv_placed", "completed_orders", "gmv_completed", "aov", "completion_rate")
    assert await shown(db, *names, **week) == {
        "placed_orders": 4, "gmv_placed": 25_000, "completed_orders": 2, "gmv_completed": 15_000, "aov": 7_500,
        "completion_rate": 750_000,
    }  # fmt: skip
    alive = ("active_at_start", "new_active_merchants", "reactivated_merchants", "deactivated_merchants")
    assert await shown(db, *alive, "active_merchants", **week) == dict(
        zip((*alive, "active_merchants"), (0, 1, 0, 0, 1), strict=True)
    )
    following: Any = {"from_on": MONDAY + timedelta(days=7), "to_on": MONDAY + timedelta(days=14)}
    assert await shown(db, *alive, "active_merchants", **following) == dict(
        zip((*alive, "active_merchants"), (1, 2, 0, 0, 3), strict=True)
    )
    async with db.read(STAFF) as tx:
        tree = await show_tree(tx, AskMetrics(**following), "gmv_completed")
    parts = {node.name: node.contribution for node in tree.nodes}
    assert parts["gmv_completed"] == tree.change == 17_000 - 15_000
    assert sum(node.contribution or 0 for node in tree.nodes if node.parent == "gmv_completed") == 2_000


async def test_late_refunds_restate_the_days_of_the_sale(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "test", add_orders, [sale(1, 1, MONDAY, 10_000), sale(1, 2, MONDAY, 5_000)])
    await roll_metrics(db, "worker")
    await settle_through(db, "worker", date(2018, 8, 1))
    refund = RefundOrder(merchant_id=1, order_id=1, reason="damaged")
    await db.write(WORKER, "test", refund_order, refund)
    week: Any = {"from_on": MONDAY, "to_on": MONDAY + timedelta(days=7)}
    assert (await shown(db, "refund_rate", **week)) == {"refund_rate": 0}
    assert (await roll_metrics(db, "worker")).changes
    assert (await shown(db, "refund_rate", **week)) == {"refund_rate": 500_000}
    await proved(db)


async def test_the_identity_of_active_merchants_holds_for_any_market(maintenance_url: str) -> None:
    """active at the end = at the start + new + reactivated - active no more, over any days; and no cohort's conversion
    is above one. What is rolled up in steps, as orders come late and out of order, is what all of it says."""
    draw = Random(7)
    clock = FixedClock(datetime(2018, 12, 1, tzinfo=UTC))
    async with fresh_database(maintenance_url, clock) as db:
        await db.write(WORKER, "test", add_market, list(range(1, 7)))
        orders = [
            sale(draw.randrange(1, 7), number, date(2018, 1, 1) + timedelta(days=draw.randrange(320)),
                 draw.randrange(100, 9_999), after=draw.choice([None, 1, 5, 40]))
            for number in range(1, 121)
        ]  # fmt: skip
        for first in range(0, len(orders), 40):
            await db.write(WORKER, "test", add_orders, orders[first : first + 40])
            await roll_metrics(db, "worker")
            await proved(db)
        for number in draw.sample(range(1, 121), 20):
            order = orders[number - 1]
            cmd = RefundOrder(merchant_id=order.merchant_id, order_id=number, reason="damaged")
            await db.write(WORKER, "test", refund_order, cmd)
        await roll_metrics(db, "worker")
        await proved(db)
        alive = ("active_at_start", "new_active_merchants", "reactivated_merchants", "deactivated_merchants")
        seen = set()
        for _ in range(60):
            from_on = date(2018, 1, 1) + timedelta(days=draw.randrange(360))
            asked: Any = {"from_on": from_on, "to_on": from_on + timedelta(days=draw.randrange(1, 90))}
            names = (*alive, "active_merchants", "net_active_change", "completion_rate", "refund_rate",
                     "seller_cancel_rate", "acceptance_rate", "logo_churn", "reactivation_rate")  # fmt: skip
            found = await shown(db, *names, **asked)
            start, new, back, gone = (found[name] or 0 for name in alive)
            assert found["active_merchants"] == start + new + back - gone
            assert found["net_active_change"] == (found["active_merchants"] or 0) - start
            for name in names[6:]:
                assert found[name] is None or 0 <= (found[name] or 0) <= 1_000_000, name
            seen |= {name for name in alive if found[name]}
        assert seen == set(alive)


async def test_an_order_that_changes_while_figures_are_made_is_counted_the_next_time(db: Database) -> None:
    """Between taking changes and counting, another order comes: its change stays in the queue, whatever was counted."""
    await db.write(WORKER, "test", add_market, [1])
    await db.write(WORKER, "test", add_orders, [sale(1, 1, MONDAY, 10_000)])
    await asyncio.gather(
        roll_metrics(db, "worker"),
        db.write(WORKER, "test", add_orders, [sale(1, 2, MONDAY, 5_000)]),
        roll_metrics(db, "worker"),
    )
    await roll_metrics(db, "worker")
    await proved(db)
    week: Any = {"from_on": MONDAY, "to_on": MONDAY + timedelta(days=7)}
    assert await shown(db, "placed_orders", **week) == {"placed_orders": 2}


async def test_a_day_is_counted_once_for_all_its_changes(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,300 changes of two orders of one day, among those of another merchant: two days of sale, two of delivery."""
    await db.write(WORKER, "test", add_market, [1, 2])
    sales = [sale(1, 1, MONDAY, 10_000), sale(1, 2, MONDAY, 2_000), sale(2, 3, MONDAY, 500)]
    await db.write(WORKER, "test", add_orders, sales)
    await roll_metrics(db, "worker")

    async def change(tx: Tx) -> None:
        for number in range(1_300):
            await note_change(tx, 1 + number % 2, 3 if number % 2 else 1 + number % 4 // 2)

    await db.write(WORKER, "test", change)
    counted: list[tuple[int, date]] = []
    roll_days = rolling.ROLL_DAYS
    execute = Tx.execute

    async def watched(tx: Tx, statement: Any, bound: Any = None) -> Any:
        if statement is roll_days:
            counted.extend(zip(bound["merchants"], bound["days"], strict=True))
        return await execute(tx, statement, bound)

    monkeypatch.setattr(Tx, "execute", watched)
    assert (await roll_metrics(db, "worker")).changes == 1_300
    assert sorted(counted) == [(each, MONDAY + timedelta(days=after)) for each in (1, 2) for after in (0, 2)]
    await proved(db)


async def test_the_funnel_is_the_same_counted_and_read_one_by_one(db: Database) -> None:
    """Before it is counted, after it, after late events and a merge, and after it is counted again."""
    await organise(db)
    draw = Random(3)
    leads = [await bring(db, f"Shop {number}", phone=f"0151 {number:06}") for number in range(12)]
    half: dict[str, Any] = {"from_on": date(2018, 2, 10), "to_on": date(2018, 8, 20)}
    cuts: tuple[dict[str, Any], ...] = ({}, half, {"channel": "online"}, {"window_days": 20})

    async def compare() -> None:
        for cut in cuts:
            cmd = ShowFunnel(model=Model.PLATFORM, **cut)
            async with db.read(STAFF) as tx:
                counted, one_by_one = await show_funnel(tx, cmd), await show_funnel(tx, cmd, counted=False)
            assert counted == one_by_one

    for step in range(4):
        for lead in draw.sample(leads, 6):
            at = datetime(2018, draw.randrange(1, 9), draw.randrange(1, 28), tzinfo=UTC)
            stage = draw.choice(["qualified", "signed", "live", "first_order", "repeat"])
            await db.write(
                WORKER, "test", note_stage, NoteStage(lead_id=lead.lead_id, stage=stage, at=at, evidence="seen")
            )
        await compare()
        if step == 2:
            merged = leads.pop()
            await db.write(WORKER, "test", merge_leads, merged.lead_id, leads[0].lead_id, "the same shop")
            await compare()
        if step != 1:
            await roll_metrics(db, "worker")
        await proved(db)
        await compare()
