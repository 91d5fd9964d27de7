"""What is read for the review of a promotion: merchants that it reached, merchants that it did not, and its cost."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from incentives.experiments.guardrails import Near, Others
from incentives.experiments.model import Exposed
from incentives.uplift.estimates import Moments
from marketplace.core.db import Tx

FOUR_WEEKS = timedelta(weeks=4)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """[starts, ends) is when a promotion ran; first, last: the same as local days."""

    starts: datetime
    ends: datetime
    first: date
    last: date

    @property
    def bound(self) -> dict[str, datetime]:
        """Each time as long before the start, and the four weeks after the end and before the start."""
        length = self.ends - self.starts
        before, price, dear = self.starts - length, self.starts - FOUR_WEEKS, self.starts - 2 * FOUR_WEEKS
        return {
            "starts": self.starts,
            "ends": self.ends,
            "before": before,
            "earlier": before - length,
            "later": self.ends + FOUR_WEEKS,
            "price": price,
            "dear": dear,
            "oldest": min(before - length, dear),
        }


_EXPOSED = """
WITH who AS (
    SELECT merchant_id, min(unit) AS unit, (array_agg(arm ORDER BY at, unit))[1] AS arm FROM incentives.exposure
    WHERE promotion_id = :promotion GROUP BY merchant_id
)
SELECT e.merchant_id, e.unit, e.arm, s.after_minor, s.before_minor, s.earlier_minor, s.later_minor, s.sold_minor,
       s.refunded_minor, s.price_ppm, p.orders, p.cancelled, coalesce(c.margin_minor, 0)::bigint AS margin_minor,
       coalesce(g.cost_minor, 0)::bigint AS cost_minor
FROM who e
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.net) FILTER (WHERE o.delivered_at >= :starts AND o.delivered_at < :ends), 0)::bigint
           AS after_minor,
           coalesce(sum(l.net) FILTER (WHERE o.delivered_at >= :before AND o.delivered_at < :starts), 0)::bigint
           AS before_minor,
           coalesce(sum(l.net) FILTER (WHERE o.delivered_at >= :earlier AND o.delivered_at < :before), 0)::bigint
           AS earlier_minor,
           coalesce(sum(l.net) FILTER (WHERE o.delivered_at >= :ends), 0)::bigint AS later_minor,
           coalesce(sum(l.sold) FILTER (WHERE o.delivered_at >= :starts AND o.delivered_at < :ends), 0)::bigint
           AS sold_minor,
           coalesce(sum(l.sold - l.net) FILTER (WHERE o.delivered_at >= :starts AND o.delivered_at < :ends), 0)::bigint
           AS refunded_minor,
           (1000000 * (sum(l.sold) FILTER (WHERE o.delivered_at >= :price AND o.delivered_at < :starts)
                       / sum(l.pieces) FILTER (WHERE o.delivered_at >= :price AND o.delivered_at < :starts))
            / nullif(sum(l.sold) FILTER (WHERE o.delivered_at >= :dear AND o.delivered_at < :price)
                     / sum(l.pieces) FILTER (WHERE o.delivered_at >= :dear AND o.delivered_at < :price), 0))::bigint
           AS price_ppm
    FROM demand.merchant_order o CROSS JOIN LATERAL (
        SELECT sum(l.goods_minor - l.discount_minor) AS sold, sum(l.quantity) AS pieces,
               sum(l.goods_minor - l.discount_minor - l.refunded_goods_minor) AS net
        FROM demand.order_line l WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id
    ) AS l
    WHERE o.merchant_id = e.merchant_id AND o.state = 'delivered' AND o.currency = :currency
      AND o.delivered_at >= :oldest AND o.delivered_at < :later
) AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS orders, count(*) FILTER (WHERE o.state IN ('cancelled', 'returned')) AS cancelled
    FROM demand.merchant_order o
    WHERE o.merchant_id = e.merchant_id AND o.currency = :currency AND o.placed_at >= :starts AND o.placed_at < :ends
) AS p
CROSS JOIN LATERAL (
    SELECT sum(c.commission_minor) AS margin_minor FROM billing.commission_line c
    WHERE c.merchant_id = e.merchant_id AND c.currency = :currency
      AND c.occurred_on >= :first AND c.occurred_on < :last
) AS c
CROSS JOIN LATERAL (
    SELECT sum(g.amount_minor) AS cost_minor FROM incentives.merchant_grant g
    WHERE g.merchant_id = e.merchant_id AND g.promotion_id = :promotion AND g.state <> 'void'
) AS g
ORDER BY e.merchant_id
"""


async def exposed(tx: Tx, promotion_id: int, currency: str, times: Times) -> list[Exposed]:
    """The merchants that a promotion reached or held out, with what they sold, by their ids."""
    bound = times.bound | {"first": times.first, "last": times.last}
    rows = await tx.rows(_EXPOSED, promotion=promotion_id, currency=currency, **bound)
    return [Exposed(**row._mapping) for row in rows]


async def others(tx: Tx, promotion_id: int, currency: str, times: Times) -> Others:
    """The merchants that sold anything in those times and were not reached: only their moments leave the database."""
    bound = {name: times.bound[name] for name in ("starts", "ends", "before", "earlier")}
    row = await tx.row(
        """
        SELECT count(*) AS units, coalesce(avg(after - before), 0)::float8 AS change,
               coalesce(var_samp(after - before), 0)::float8 AS change_variance,
               coalesce(avg(before - earlier), 0)::float8 AS trend,
               coalesce(var_samp(before - earlier), 0)::float8 AS trend_variance
        FROM (
            SELECT coalesce(sum(l.net) FILTER (WHERE o.delivered_at >= :starts), 0) AS after,
                   coalesce(sum(l.net) FILTER (WHERE o.delivered_at >= :before AND o.delivered_at < :starts), 0)
                   AS before,
                   coalesce(sum(l.net) FILTER (WHERE o.delivered_at < :before), 0) AS earlier
            FROM demand.merchant_order o CROSS JOIN LATERAL (
                SELECT sum(l.goods_minor - l.discount_minor - l.refunded_goods_minor) AS net FROM demand.order_line l
                WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id
            ) AS l
            WHERE o.state = 'delivered' AND o.currency = :currency AND o.delivered_at >= :earlier
              AND o.delivered_at < :ends
              AND NOT EXISTS (SELECT FROM incentives.exposure e
                              WHERE e.merchant_id = o.merchant_id AND e.promotion_id = :promotion)
            GROUP BY o.merchant_id
        ) AS sales
        """,
        promotion=promotion_id,
        currency=currency,
        **bound,
    )
    assert row is not None
    return Others(
        change=Moments(units=row.units, mean=row.change, variance=row.change_variance),
        trend=Moments(units=row.units, mean=row.trend, variance=row.trend_variance),
    )


async def near(tx: Tx, promotion_id: int, thresholds: Sequence[int]) -> list[Near]:
    """How many windows ended less than a tenth above, and below, each of these thresholds."""
    rows = await tx.rows(
        """
        SELECT t AS threshold, count(*) FILTER (WHERE p.settled >= t) AS above,
               count(*) FILTER (WHERE p.settled < t) AS below
        FROM unnest(CAST(:thresholds AS bigint[])) AS t
        LEFT JOIN incentives.merchant_progress p ON p.promotion_id = :promotion
         AND p.settled >= t - t / 10 AND p.settled < t + t / 10
        GROUP BY t ORDER BY t
        """,
        thresholds=list(thresholds),
        promotion=promotion_id,
    )
    return [Near(row.threshold, row.above, row.below) for row in rows]


async def cost(tx: Tx, promotion_id: int) -> tuple[int, int]:
    """What was granted less what was taken back, and what was taken back."""
    row = await tx.row(
        """
        SELECT coalesce(sum(minor), 0)::bigint AS cost,
               coalesce(-sum(minor) FILTER (WHERE minor < 0), 0)::bigint AS clawed
        FROM (
            SELECT amount_minor AS minor FROM incentives.merchant_grant
            WHERE promotion_id = :promotion AND state <> 'void'
            UNION ALL
            SELECT amount_minor FROM incentives.buyer_grant WHERE promotion_id = :promotion AND state <> 'void'
        ) AS g
        """,
        promotion=promotion_id,
    )
    assert row is not None
    return row.cost, row.clawed
