"""How many orders a merchant and a buyer had before, asked of an order that settles or is placed."""

from typing import Any

import pytest

from incentives.promotions import store as promotions
from incentives.rules.awards import Fixed, Reward
from incentives.rules.index import event_name, plan_of
from incentives.rules.model import OrderPlaced, OrderSettled, PerEvent, Qualify
from incentives.rules.predicates import Equals, Range
from incentives.simulation.replay import replay
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives.market import live, terms
from tests.incentives.trade import day, look, settle

FIRST = Equals(attribute="merchant.orders", value=0)
SECOND_AND_THIRD = Range(attribute="buyer.orders", at_least=1, below=3)
BACK = Range(attribute="merchant.idle_days", at_least=2)
AGAIN = Range(attribute="buyer.idle_days", below=2)

_BUYER = "INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at) VALUES (1, 'b1', :at)"


@pytest.mark.parametrize("trigger", [OrderSettled(), OrderPlaced()])
@pytest.mark.parametrize(
    ("asked", "wanted"), [(FIRST, [1, 4]), (SECOND_AND_THIRD, [2, 4]), (BACK, [3]), (AGAIN, [2, 3, 4])]
)
async def test_the_first_and_the_next_orders_are_told_apart_live_and_replayed(
    db: Database, clock: FixedClock, trigger: Any, asked: Any, wanted: list[int]
) -> None:
    """Orders 1, 2 and 3 of merchant 1 and 4 of merchant 2, all of one buyer; 4 comes after 2."""
    await db.write(WORKER, MAKER, prepare, [])
    await db.write(WORKER, "test", Tx.execute, _BUYER, {"at": clock.now()})
    each = Reward(amount=Fixed(amount_minor=100))
    rule = terms(trigger=trigger, qualify=Qualify(event=asked), window=PerEvent(), reward=each)
    _, promotion = await live(db, clock, rule)
    orders = [paid_order(1, 1, day(4)), paid_order(1, 2, day(5)), paid_order(2, 4, day(6)), paid_order(1, 3, day(7))]
    await settle(db, clock, *orders)
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT span FROM incentives.merchant_grant ORDER BY span")
        version = await promotions.get_version(tx, promotion.promotion_id)
        plan = plan_of(promotion.promotion_id, version.version_no, version.terms)
        span = plan.timeline.span
        assert span.ends is not None
        of = history(tx, event_name(trigger), span.starts, span.ends, currency="EUR", zone="UTC", buyers=True)
        records = [record async for part in of for record in part]
    seen: list[str] = []
    replay([plan], records, sink=lambda grant: seen.append(grant.window))
    assert [int(row.span) for row in rows] == wanted
    assert sorted(seen) == [f"order:{number}" for number in wanted]
    await check_books(db)


async def test_orders_count_although_the_pass_comes_late(db: Database, clock: FixedClock) -> None:
    """What came before is told by when orders were delivered, not by when anybody looked."""
    await db.write(WORKER, MAKER, prepare, [])
    each = Reward(amount=Fixed(amount_minor=100))
    await live(db, clock, terms(qualify=Qualify(event=FIRST), window=PerEvent(), reward=each))
    await settle(db, clock, paid_order(1, 2, day(5)))
    await settle(db, clock, paid_order(1, 1, day(6)))
    await look(db)
    await db.write(WORKER, "test", Tx.execute, "DELETE FROM incentives.reward_cursor")
    await look(db)
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT span FROM incentives.merchant_grant")
    assert [row.span for row in rows] == ["2"]
