"""What merchants do for their rewards: orders that settle and are refunded, and the worker that looks at them."""

from datetime import date, timedelta

from incentives.rules.awards import Reward
from incentives.rules.model import Calendar, Schedule
from incentives.rules.parts import DAY
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.vest_rewards import vest_rewards
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import MAKER
from tests.builders import Order, add_orders
from tests.incentives.market import terms

WEEK = Calendar(period="week")
SCHEDULE = Schedule(zone="UTC", starts="2018-09-04", ends="2018-09-30")
WEEKLY = terms(window=WEEK, reward=Reward(amount=terms().reward.amount, vest_seconds=2 * DAY))


def day(of: int) -> date:
    return date(2018, 9, of)


async def settle(db: Database, clock: FixedClock, *orders: Order) -> None:
    """Deliver the orders and settle them in the evening of the last one's day."""
    clock.move_to(max(order.settles_at for order in orders if order.settles_at) + timedelta(hours=8))
    await db.write(WORKER, MAKER, add_orders, orders)
    await settle_through(db, MAKER, clock.now().date())


async def refund(db: Database, order_id: int, minor: int) -> None:
    cmd = RefundOrder(merchant_id=1, order_id=order_id, reason="damaged", lines=(RefundLine(1, minor),))
    await db.write(WORKER, MAKER, refund_order, cmd)


async def look(db: Database) -> None:
    await grant_rewards(db, "worker")
    await vest_rewards(db, "worker")
