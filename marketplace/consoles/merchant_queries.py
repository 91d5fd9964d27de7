"""What the merchant's home shows. Sums are made in SQL; each query reads one merchant's rows."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.ledger.chart import Account
from billing.ledger.store import balances
from marketplace.consoles.books_queries import (
    Merchant,
    PayoutRow,
    StatementRow,
    get_merchant,
    list_payouts,
    list_statements,
)
from marketplace.consoles.figures import Change, Days, month_to
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.rates import divide_half_even
from marketplace.flows.promotions.report_rewards import Reward, rewards, running

CAUSES_MAX = 4
LATEST_MAX = 6
REWARDS_MAX = 20


class Sales(msgspec.Struct, frozen=True):
    """Orders placed in a stretch of days: goods before discounts, without freight, cancelled ones included."""

    orders: int
    goods_minor: int

    @property
    def average_minor(self) -> int:
        return divide_half_even(self.goods_minor, self.orders) if self.orders else 0


class Cause(msgspec.Struct, frozen=True):
    """What one category contributed to a change of sales; None is goods without a category."""

    category: str | None
    by_minor: int


class DaySales(msgspec.Struct, frozen=True):
    on: date
    orders: int
    goods_minor: int
    earlier_minor: int


class MerchantHome(msgspec.Struct, frozen=True):
    """The page. `is_today` is false when it shows an earlier day, asked for or because this month has no orders."""

    merchant: Merchant
    on: date
    is_today: bool
    days: Days
    today: Sales
    yesterday: Sales
    this_month: Sales
    earlier: Sales
    cancelled: Sales
    chart: Sequence[DaySales]
    causes: Sequence[Cause]
    other_causes_minor: int
    payable_minor: int
    pending_minor: int
    in_transit_minor: int
    parked_orders: int
    statement: StatementRow | None
    payouts: Sequence[PayoutRow]
    rewards: Sequence[Reward]

    @property
    def sales(self) -> Change:
        return Change(self.this_month.goods_minor, self.earlier.goods_minor)

    @property
    def orders(self) -> Change:
        return Change(self.this_month.orders, self.earlier.orders)

    @property
    def average(self) -> Change:
        return Change(self.this_month.average_minor, self.earlier.average_minor)

    @property
    def by_orders_minor(self) -> int:
        """The part of the change that more or fewer orders explain, at the average order of before."""
        if not self.earlier.orders:
            return self.sales.by
        return divide_half_even(self.orders.by * self.earlier.goods_minor, self.earlier.orders)

    @property
    def by_average_minor(self) -> int:
        """The rest: larger or smaller orders. Both parts sum to the change exactly."""
        return self.sales.by - self.by_orders_minor


async def home(tx: Tx, merchant_id: int, wished: date | None) -> MerchantHome:
    """The home page as of `wished`, else of today, else of the newest day with orders when this month has none."""
    merchant = await get_merchant(tx, merchant_id)
    today = local_date(tx.now, merchant.zone)
    newest = await tx.scalar(_NEWEST_DAY, merchant=merchant_id)
    on = wished or (today if newest is None or newest >= today.replace(day=1) else newest)
    days = month_to(on)
    stretch: dict[str, Any] = {
        "merchant": merchant_id,
        "currency": merchant.currency,
        "first": days.first,
        "last": days.last,
        "earlier_first": days.earlier_first,
        "earlier_last": days.earlier_last,
    }
    sums = await tx.row(_SUMS, **stretch, yesterday=on - timedelta(days=1))
    assert sums is not None
    causes = [Cause(row.category, int(row.by_minor)) for row in await tx.rows(_CATEGORIES, **stretch)]
    standing = {
        line.account: -line.balance_minor
        for line in await balances(tx, merchant_id, as_of=None if on == today else on)
        if line.currency == merchant.currency
    }
    return MerchantHome(
        merchant=merchant,
        on=on,
        is_today=on == today,
        days=days,
        today=Sales(sums.today_orders, int(sums.today_minor)),
        yesterday=Sales(sums.yesterday_orders, int(sums.yesterday_minor)),
        this_month=Sales(sums.month_orders, int(sums.month_minor)),
        earlier=Sales(sums.earlier_orders, int(sums.earlier_minor)),
        cancelled=Sales(sums.cancelled_orders, int(sums.cancelled_minor)),
        chart=_calendar(days, await tx.rows(_DAYS, **stretch)),
        causes=causes[:CAUSES_MAX],
        other_causes_minor=sum(cause.by_minor for cause in causes[CAUSES_MAX:]),
        payable_minor=standing.get(Account.PAYABLE, 0),
        pending_minor=standing.get(Account.PENDING, 0),
        in_transit_minor=standing.get(Account.PAYOUT_IN_TRANSIT, 0),
        parked_orders=await tx.scalar(_PARKED, merchant=merchant_id),
        statement=next(iter(await list_statements(tx, merchant_id, limit=1)), None),
        payouts=await list_payouts(tx, merchant_id, limit=LATEST_MAX),
        rewards=running(await rewards(tx, merchant_id, limit=REWARDS_MAX, before=None))[:3],
    )


def _calendar(days: Days, rows: Sequence[Any]) -> list[DaySales]:
    """Every day of the stretch, with the same day of the month before beside it."""
    by_day = {row.purchased_on: row for row in rows}
    chart = []
    for number in range(days.count):
        now = by_day.get(days.first + timedelta(days=number))
        then_on = days.earlier_first + timedelta(days=number)
        then = by_day.get(then_on) if then_on <= days.earlier_last else None
        chart.append(
            DaySales(
                on=days.first + timedelta(days=number),
                orders=now.orders if now else 0,
                goods_minor=int(now.goods_minor) if now else 0,
                earlier_minor=int(then.goods_minor) if then else 0,
            )
        )
    return chart


_NEWEST_DAY = """
SELECT purchased_on FROM demand.merchant_order WHERE merchant_id = :merchant ORDER BY placed_at DESC LIMIT 1
"""

# purchased_on is the local date of placed_at, so two days of slack let the index on placed_at find the rows.
_STRETCH = """
o.merchant_id = :merchant AND o.currency = :currency
AND o.placed_at >= CAST(:earlier_first AS date) - 2 AND o.purchased_on BETWEEN :earlier_first AND :last
"""

_SUMS = f"""
SELECT count(*) FILTER (WHERE purchased_on = :last) AS today_orders,
       coalesce(sum(goods_minor) FILTER (WHERE purchased_on = :last), 0) AS today_minor,
       count(*) FILTER (WHERE purchased_on = :yesterday) AS yesterday_orders,
       coalesce(sum(goods_minor) FILTER (WHERE purchased_on = :yesterday), 0) AS yesterday_minor,
       count(*) FILTER (WHERE purchased_on >= :first) AS month_orders,
       coalesce(sum(goods_minor) FILTER (WHERE purchased_on >= :first), 0) AS month_minor,
       count(*) FILTER (WHERE purchased_on <= :earlier_last) AS earlier_orders,
       coalesce(sum(goods_minor) FILTER (WHERE purchased_on <= :earlier_last), 0) AS earlier_minor,
       count(*) FILTER (WHERE purchased_on >= :first AND state = 'cancelled') AS cancelled_orders,
       coalesce(sum(goods_minor) FILTER (WHERE purchased_on >= :first AND state = 'cancelled'), 0) AS cancelled_minor
FROM demand.merchant_order o WHERE {_STRETCH}
"""

_DAYS = f"""
SELECT purchased_on, count(*) AS orders, sum(goods_minor) AS goods_minor
FROM demand.merchant_order o
WHERE {_STRETCH} AND (purchased_on >= :first OR purchased_on <= :earlier_last)
GROUP BY purchased_on
"""

_CATEGORIES = f"""
SELECT coalesce(c.name_en, by_category.category) AS category, by_minor
FROM (
    SELECT l.category, sum(CASE WHEN o.purchased_on >= :first THEN l.goods_minor ELSE -l.goods_minor END) AS by_minor
    FROM demand.merchant_order o
    JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
    WHERE {_STRETCH} AND (o.purchased_on >= :first OR o.purchased_on <= :earlier_last)
    GROUP BY l.category
) AS by_category
LEFT JOIN supply.category c ON c.category = by_category.category
WHERE by_minor <> 0
ORDER BY abs(by_minor) DESC, category
"""

_PARKED = "SELECT count(*) FROM billing.parked_order WHERE merchant_id = :merchant"
