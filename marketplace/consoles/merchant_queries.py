"""What the merchant's home shows. Sums are made in SQL; each query reads one merchant's rows."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.ledger.chart import Account
from billing.ledger.store import balances
from incentives.grants.progress_queries import Reward, rewards
from marketplace.consoles import books_sql as sql
from marketplace.consoles.books_queries import (
    STATEMENT_COLUMNS,
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

CAUSES_MAX = 4
LATEST_MAX = 6
REWARDS_MAX = 3
REWARDS_LOOKED_AT_MAX = 20


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


class Kept(msgspec.Struct, frozen=True):
    """What the latest run owed and did not pay. why: on_hold, or the minimum that it misses."""

    amount_minor: int
    currency: str
    why: str
    limit_minor: int | None


class Ahead(msgspec.Struct, frozen=True):
    """What is next: orders that wait for the merchant, what comes of its promotions, and what is paid when, or why not.

    without_account_minor: payouts that are instructed and cannot leave, for there is no active bank account.
    """

    to_accept: int
    to_ship: int
    rewards: Sequence[Reward]
    kept: Sequence[Kept]
    due_on: date | None
    without_account_minor: int

    @property
    def nothing(self) -> bool:
        open_ends = self.to_accept or self.to_ship or self.rewards or self.kept or self.without_account_minor
        return not open_ends and self.due_on is None


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
    steps: Sequence[tuple[str, int]]
    payouts: Sequence[PayoutRow]
    ahead: Ahead

    @property
    def day_before(self) -> date:
        return self.on - timedelta(days=1)

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
    by_day = await tx.rows(_DAYS, **stretch)

    def sales(first: date, last: date) -> Sales:
        placed = [row for row in by_day if first <= row.purchased_on <= last]
        return Sales(sum(row.orders for row in placed), int(sum(row.goods_minor for row in placed)))

    causes = [Cause(row.category, int(row.by_minor)) for row in await tx.rows(_CATEGORIES, **stretch)]
    standing = {
        line.account: -line.balance_minor
        for line in await balances(tx, merchant_id, as_of=None if on == today else on)
        if line.currency == merchant.currency
    }
    statement = next(iter(await list_statements(tx, merchant_id, limit=1)), None)
    return MerchantHome(
        merchant=merchant,
        on=on,
        is_today=on == today,
        days=days,
        today=sales(on, on),
        yesterday=sales(on - timedelta(days=1), on - timedelta(days=1)),
        this_month=sales(days.first, days.last),
        earlier=sales(days.earlier_first, days.earlier_last),
        cancelled=Sales(sum(row.cancelled for row in by_day), int(sum(row.cancelled_minor for row in by_day))),
        chart=_calendar(days, by_day),
        causes=causes[:CAUSES_MAX],
        other_causes_minor=sum(cause.by_minor for cause in causes[CAUSES_MAX:]),
        payable_minor=standing.get(Account.PAYABLE, 0),
        pending_minor=standing.get(Account.PENDING, 0),
        in_transit_minor=standing.get(Account.PAYOUT_IN_TRANSIT, 0),
        parked_orders=await tx.scalar(_PARKED, merchant=merchant_id),
        statement=statement,
        steps=await _steps(tx, merchant_id, statement) if statement else [],
        payouts=await list_payouts(tx, merchant_id, limit=LATEST_MAX),
        ahead=await _ahead(tx, merchant_id, merchant.currency, on, statement),
    )


async def _steps(tx: Tx, merchant_id: int, statement: StatementRow) -> list[tuple[str, int]]:
    """The columns of a statement that are not nought, payouts aside."""
    row = await tx.row(sql.STATEMENT, merchant=merchant_id, run=statement.run_id, currency=statement.currency)
    columns = [(name, getattr(row, f"{name}_minor")) for name in STATEMENT_COLUMNS if name != "payout"]
    return [(name, minor) for name, minor in columns if minor]


async def _ahead(tx: Tx, merchant_id: int, currency: str, on: date, statement: StatementRow | None) -> Ahead:
    waiting = await tx.row(_WAITING, merchant=merchant_id, currency=currency, on=on)
    assert waiting is not None
    kept = await tx.rows(_KEPT, merchant=merchant_id, run=statement.run_id) if statement else []
    found = await rewards(tx, "merchant", merchant_id, limit=REWARDS_LOOKED_AT_MAX, before=None)
    return Ahead(
        to_accept=waiting.to_accept,
        to_ship=waiting.to_ship,
        rewards=[reward for reward in found if reward.missing is not None][:REWARDS_MAX],
        kept=[Kept(*row) for row in kept],
        due_on=waiting.due_on,
        without_account_minor=int(waiting.without_account),
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

# Of what was cancelled, only this month's is shown.
_DAYS = f"""
SELECT purchased_on, count(*) AS orders, sum(goods_minor) AS goods_minor,
       count(*) FILTER (WHERE purchased_on >= :first AND state = 'cancelled') AS cancelled,
       coalesce(sum(goods_minor) FILTER (WHERE purchased_on >= :first AND state = 'cancelled'), 0) AS cancelled_minor
FROM demand.merchant_order o WHERE {_STRETCH}
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

_WAITING = """
SELECT (SELECT count(*) FROM demand.merchant_order o WHERE o.merchant_id = :merchant AND o.state = 'paid') AS to_accept,
       (SELECT count(*) FROM demand.merchant_order o
        WHERE o.merchant_id = :merchant AND o.state = 'accepted') AS to_ship,
       (SELECT min(d.due_on) FROM billing.payout_due d
        WHERE d.merchant_id = :merchant AND d.state = 'waiting') AS due_on,
       (SELECT coalesce(sum(p.amount_minor), 0) FROM billing.payout p WHERE p.merchant_id = :merchant
        AND p.currency = :currency AND p.state = 'instructed' AND p.bank_account_id IS NULL
        AND p.instructed_on <= :on) AS without_account
"""

_KEPT = """
SELECT amount_minor, currency, why, limit_minor FROM billing.payout_carried
WHERE merchant_id = :merchant AND run_id = :run ORDER BY currency
"""

_PARKED = "SELECT count(*) FROM billing.parked_order WHERE merchant_id = :merchant"
