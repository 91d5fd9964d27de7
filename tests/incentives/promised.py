"""What merchants are promised for: orders that are paid and not delivered, and how they are delivered."""

from datetime import UTC, datetime, timedelta

from demand.store import queue_delivered
from incentives.rules.awards import Band, Graduated, Reward
from incentives.rules.model import OrderPlaced
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.settle_orders import settle_through
from tests.billing.market import MAKER
from tests.builders import Line, Order, add_orders
from tests.incentives.trade import WEEK, look

PLACED = {"trigger": OrderPlaced(), "window": WEEK}
"""Trade 100, get 20, of a week in which the orders are placed."""
PERCENT = Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=100_000),)))


def placed(order_id: int, of: int, minor: int = 12_000, merchant_id: int = 1) -> Order:
    at = datetime(2018, 9, of, 10, tzinfo=UTC)
    line = Line(goods_minor=minor)
    return Order(merchant_id=merchant_id, order_id=order_id, lines=(line,), placed_at=at, settles_at=None)


async def pay(db: Database, clock: FixedClock, *orders: Order) -> None:
    clock.move_to(max(clock.now(), max(order.placed_at for order in orders) + timedelta(hours=1)))
    await db.write(WORKER, MAKER, add_orders, orders)
    await look(db)


_DELIVER = """
UPDATE demand.merchant_order SET state = 'delivered', delivered_at = :at, delivered_on = :on WHERE order_id = :order
"""


async def deliver(db: Database, clock: FixedClock, order_id: int, of: int) -> None:
    """Deliver a paid order and settle it."""
    at = datetime(2018, 9, of, 18, tzinfo=UTC)
    clock.move_to(max(clock.now(), at + timedelta(hours=1)))

    async def work(tx: Tx) -> None:
        await tx.execute(_DELIVER, {"at": at, "on": at.date(), "order": order_id})
        merchant_id = await tx.scalar("SELECT merchant_id FROM demand.merchant_order WHERE order_id = :o", o=order_id)
        await queue_delivered(tx, [merchant_id], after_order_id=order_id - 1, upto_order_id=order_id)

    await db.write(WORKER, MAKER, work)
    await settle_through(db, MAKER, clock.now().date())
    await look(db)
