"""Recorded orders out of the database, replayed: events, settlement, refunds with their delay, and the command."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from demand.tables import refund
from incentives.rules.model import Terms
from incentives.simulation import store
from incentives.simulation.model import Record
from incentives.simulation.report import EXPECTED, digest_of
from incentives.simulation.store import Asked, State
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.promotions.simulate_promotion import (
    Ask,
    Recorded,
    ask_simulation,
    run_simulation,
    simulate_terms,
)
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.builders import Line, Order, add_market, add_orders
from tests.incentives.market import MAKER, drafted, drafted_campaign, people
from tests.incentives.rules.cases import per_order, percent, terms

MAY = Recorded(from_on=date(2018, 5, 1), to_on=date(2018, 5, 31))
FIRST = datetime(2018, 5, 1, 10, tzinfo=UTC)
UTC_ZONE = {"zone": "UTC", "starts": "2026-12-01", "ends": "2026-12-31"}


async def market(tx: Tx) -> None:
    """Two merchants; one order is refunded ten days later, one is not delivered, one is of April."""
    await add_market(tx, [1, 2])
    one = Line(goods_minor=100, discount_minor=10)
    await add_orders(
        tx,
        [
            Order(merchant_id=1, order_id=1, lines=(one, Line(goods_minor=50, category="toys"))),
            Order(merchant_id=1, order_id=2, lines=(one,), placed_at=FIRST + timedelta(days=1), settles_at=None),
            Order(merchant_id=2, order_id=3, lines=(one,), placed_at=FIRST + timedelta(days=2)),
            Order(merchant_id=2, order_id=4, lines=(one,), placed_at=FIRST - timedelta(days=9)),
        ],
    )
    await tx.execute("UPDATE demand.order_line SET refunded_goods_minor = 40 WHERE order_id = 3")
    row = {"merchant_id": 2, "refund_id": 9, "order_id": 3, "goods_minor": 40, "freight_minor": 0, "reason": "x"}
    await tx.execute(insert(refund), row | {"refunded_at": FIRST + timedelta(days=12)})


async def records(db: Database, on: str) -> list[Record]:
    async with db.read(WORKER) as tx:
        parts = history(tx, on, FIRST, FIRST + timedelta(days=30), currency="EUR", zone="UTC", buyers=True)
        return [record async for part in parts for record in part]


async def test_history_comes_in_the_order_in_which_it_arrived(db: Database) -> None:
    await db.write(WORKER, "test", market)
    found = await records(db, "order.placed")
    assert [(r.event_id, r.standing, (r.at - FIRST).days) for r in found] == [
        ("order:1", "placed", 0),
        ("order:2", "placed", 1),
        ("order:3", "placed", 2),
        ("order:1", "settled", 2),
        ("order:3", "settled", 2),
        ("order:3", "placed", 12),
    ]
    first, refunded = found[0].event, found[-1].left
    assert first is not None
    assert refunded is not None
    assert [(line.line_no, line.amount_minor, line.category) for line in first.lines] == [
        (1, 100, None),
        (2, 50, "toys"),
    ]
    assert [(line.line_no, line.amount_minor) for line in refunded] == [
        (1, 55)
    ]  # of 90 that it was sold for 50 are left
    third = found[2].event
    assert third is not None
    assert (third.merchant.orders, third.merchant.idle_days) == (1, 11)


async def test_what_is_rewarded_on_settlement_happens_then(db: Database) -> None:
    await db.write(WORKER, "test", market)
    found = await records(db, "order.settled")
    assert [(r.event_id, r.standing, r.event is not None) for r in found] == [
        ("order:1", "settled", True),
        ("order:3", "settled", True),
        ("order:4", "settled", True),
        ("order:3", "placed", False),
    ]


async def test_a_promotion_is_simulated_over_recorded_orders(db: Database) -> None:
    """10 % of 150 and of what is left of 100; an order that is not delivered is on the way; another is refused."""
    await db.write(WORKER, "test", market)
    promotion = per_order(
        percent(100_000), schedule=UTC_ZONE, budgets=[{"per": "promotion", "limit_minor": 30, "currency": "EUR"}]
    )
    made = await simulate_terms(db, promotion, MAY)
    assert (made.unlimited.granted_minor, made.unlimited.cost_minor, made.unlimited.clawed_minor) == (20, 30, 5)
    assert (made.limited.cost_minor, str(made.limited.exhausted_on)) == (25, "2018-05-03")
    assert {warning.name for warning in made.warnings} == {"deadweight", "exhaustion", "power"}
    assert digest_of(await simulate_terms(db, promotion, MAY)) == digest_of(made)


@pytest.mark.parametrize(
    ("promotion", "reason"),
    [
        (terms(trigger={"on": "custom", "name": "visit"}), "only orders and listings are recorded"),
        (
            terms(trigger={"on": "listing.published"}, qualify={"event": {"is": "exists", "attribute": "buyer.id"}}),
            "recorded listings have no buyer.id",
        ),
        (terms(qualify={"event": {"is": "exists", "attribute": "buyer.level"}}), "recorded orders have no buyer.level"),
        (terms(qualify={"lines": {"is": "exists", "attribute": "line.brand"}}), "recorded orders have no line.brand"),
    ],
)
async def test_what_history_does_not_know_is_refused(db: Database, promotion: Terms, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        await simulate_terms(db, promotion, MAY)


async def test_a_worker_does_what_was_asked_for_and_twice_is_once(db: Database) -> None:
    await db.write(WORKER, "test", market)
    await people(db)
    promotion = await drafted(db, await drafted_campaign(db))
    asked = Asked(from_on=MAY.from_on, to_on=MAY.to_on, expected=EXPECTED, seed=3)
    cmd = Ask(promotion_id=promotion.promotion_id, asked=asked)
    queued = await db.write(WORKER, MAKER, ask_simulation, cmd)
    assert (queued.state, queued.version_no, queued.made_by) == (State.QUEUED, 1, MAKER)
    await run_simulation(db, "worker", queued.simulation_id)
    await run_simulation(db, "worker", queued.simulation_id)
    async with db.read(WORKER) as tx:
        done = await store.get_simulation(tx, promotion.promotion_id, queued.simulation_id)
        [listed] = await store.list_simulations(tx, promotion.promotion_id, limit=2, before=None)
    assert (done.state, done.progress_ppm, listed.digest) == (State.DONE, 1_000_000, done.digest)
    assert done.result is not None
    assert digest_of(done.result) == done.digest
    assert done.result.pins.seed == 3


async def test_what_cannot_be_replayed_is_not_queued(db: Database) -> None:
    await people(db)
    promotion = await drafted(db, await drafted_campaign(db))
    backwards = Asked(from_on=MAY.to_on, to_on=MAY.from_on, expected=EXPECTED, seed=1)
    with pytest.raises(Invalid, match="to_on"):
        await db.write(WORKER, MAKER, ask_simulation, Ask(promotion_id=promotion.promotion_id, asked=backwards))
