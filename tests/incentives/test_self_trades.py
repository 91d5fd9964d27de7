"""What a merchant's own people buy of it counts for nothing."""

from datetime import UTC, datetime

import pytest

from incentives.promotions import store as promotions
from incentives.rules.index import plan_of
from incentives.simulation.replay import replay
from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.grant_rewards_sql import Settled
from marketplace.flows.promotions.preview_promotion import preview_terms
from marketplace.flows.promotions.self_trades import with_self_trades
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives import market as m
from tests.incentives.trade import WEEKLY, day, look, settle

AT = datetime(2018, 9, 5, tzinfo=UTC)


async def own_people(tx: Tx) -> None:
    await users.create_user(tx, "ana", "Ana", ["merchant_owner"], merchant_id=1, email="ana@shop.example")
    await users.create_user(tx, "eva", "Eva", ["merchant_owner"], merchant_id=2)
    await tx.execute(
        "INSERT INTO billing.billing_party VALUES (1, 'Shop', 'x', 'PT', 'PT 500.1', '{}', 0, 1, 'ana', :now)",
        {"now": tx.now},
    )


async def known_as(tx: Tx, buyer_id: int, ref: str) -> None:
    await tx.execute(
        "INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at) VALUES (:buyer, :ref, :now)",
        {"buyer": buyer_id, "ref": ref, "now": tx.now},
    )


async def bought_by(tx: Tx, order_id: int, buyer_id: int) -> None:
    await tx.execute(
        "UPDATE demand.merchant_order SET buyer_id = :buyer WHERE order_id = :order",
        {"buyer": buyer_id, "order": order_id},
    )


def order_of(buyer_id: int) -> Settled:
    return Settled(
        order_id=buyer_id, buyer_id=buyer_id, entity_id=1, currency="EUR", placed_at=AT, settled_at=AT, sold_at=AT,
        changed_at=AT, ordered=(), left=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ref", "own"),
    [("Ana", True), ("ANA@shop.example", True), ("pt5001", True), ("eva", False), ("buyer-7", False), ("5001", False)],
)
async def test_they_are_known_by_what_the_shop_calls_them(db: Database, ref: str, own: bool) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1, 2])
    await db.write(WORKER, MAKER, own_people)
    await db.write(WORKER, MAKER, known_as, 7, ref)
    async with db.read(WORKER) as tx:
        marked = await with_self_trades(tx, {1: [order_of(7)], 2: [order_of(8)]})
    assert [each.self_trade for of in marked.values() for each in of] == [own, False]


async def test_their_orders_earn_nothing(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [], [1, 2])
    await db.write(WORKER, MAKER, own_people)
    await db.write(WORKER, MAKER, known_as, 1, "ana")
    await m.live(db, clock, WEEKLY)
    await settle(db, clock, *[paid_order(n, 100 + n, day(5), 12_000) for n in (1, 2)])
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT merchant_id, settled FROM incentives.merchant_progress")
    assert [tuple(row) for row in rows] == [(2, 12_000)]
    await check_books(db)


async def test_a_replay_counts_what_is_counted_live(db: Database, clock: FixedClock) -> None:
    """By login and by tax id; of somebody else's own people it is an order like any other."""
    await db.write(WORKER, MAKER, prepare, [], [1, 2])
    await db.write(WORKER, MAKER, own_people)
    await db.write(WORKER, MAKER, known_as, 1, "ana")
    await db.write(WORKER, MAKER, known_as, 2, "pt-500-1")
    await db.write(WORKER, MAKER, known_as, 3, "eva")
    _, promotion = await m.live(db, clock, WEEKLY)
    orders = [(1, 101, 1), (1, 102, 2), (1, 103, 3), (2, 201, 1), (2, 202, 3), (2, 203, 4)]
    await settle(db, clock, *[paid_order(who, no, day(5), 12_000) for who, no, _ in orders])
    for _, no, by in orders:
        await db.write(WORKER, MAKER, bought_by, no, by)
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT merchant_id, settled, granted_minor FROM incentives.merchant_progress ORDER BY 1")
        terms = (await promotions.get_version(tx, promotion.promotion_id)).terms
        plan = plan_of(promotion.promotion_id, 1, terms)
        span = plan.timeline.span
        assert span.ends is not None
        of = history(tx, "order.settled", span.starts, span.ends, currency="EUR", zone="UTC", buyers=True)
        records = [record async for part in of for record in part]
    live = [tuple(row) for row in rows]
    assert live == [(1, 12_000, 2_000), (2, 24_000, 2_000)]
    seen: list[tuple[int, int, int]] = []
    [answer] = replay([plan], records, sink=lambda g: seen.append((g.party_id, g.settled, g.granted_minor)))
    assert sorted(seen) == live
    assert answer.replayed.granted_minor == sum(granted for _, _, granted in live)
    made_of = await preview_terms(db, terms, (span.starts.date(), day(30)))
    assert made_of is not None
    assert made_of.cost_minor == answer.replayed.cost_minor
