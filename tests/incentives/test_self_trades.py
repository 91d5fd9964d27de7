"""What a merchant's own people buy of it counts for nothing."""

from datetime import UTC, datetime

import pytest

from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.grant_rewards_sql import Settled
from marketplace.flows.promotions.self_trades import with_self_trades
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
