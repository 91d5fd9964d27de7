"""The statements that roll orders up by day: a merchant's days, the days of a market, and when merchants were alive.

FACTS is the definition: everything rolled must be what it gives over all orders, which `verify` compares.
"""

from marketplace.metrics.tables import ORDER_COUNTS

ACTIVE_DAYS, ACTIVE_ORDERS = 28, 1
"""A merchant is active on a day when it completed so many orders in the days up to it."""
RETAINED_DAYS, RETAINED_GAPS = 60, 3
"""It is retained until it has had no order for so many days, or for so many of its own median gaps if that is longer.
(Section 4 of the research: logo churn of order businesses.)"""

_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in ORDER_COUNTS)
_COLUMNS = ", ".join(ORDER_COUNTS)


def _row(**known: str) -> str:
    """What an order adds to a day; all that is not named is nothing."""
    return ", ".join(f"{known.get(name, '0')} AS {name}" for name in ORDER_COUNTS)


_IS_PAID = """(o.state <> 'placed' AND (o.state <> 'cancelled' OR EXISTS (
    SELECT FROM billing.entry p WHERE p.merchant_id = o.merchant_id AND p.kind = 'order_paid'
      AND p.source_id = o.order_id)))"""
_BY_MERCHANT = """(o.state = 'cancelled' AND EXISTS (
    SELECT FROM demand.order_event v WHERE v.merchant_id = o.merchant_id AND v.order_id = o.order_id
      AND v.state = 'cancelled' AND v.party = 'merchant'))"""
_PLACED = _row(
    placed="1",
    placed_goods_minor="o.goods_minor",
    placed_paid=f"{_IS_PAID}::int",
    placed_paid_goods_minor=f"CASE WHEN {_IS_PAID} THEN o.goods_minor ELSE 0 END",
    placed_accepted="(o.state NOT IN ('placed', 'paid', 'cancelled'))::int",
    placed_cancelled="(o.state = 'cancelled')::int",
    placed_cancelled_by_merchant=f"{_BY_MERCHANT}::int",
    placed_completed="(o.delivered_on IS NOT NULL)::int",
)
_COMPLETED = _row(
    completed="1",
    completed_goods_minor="o.goods_minor",
    completed_discount_minor="o.discount_minor",
    completed_items="""(SELECT coalesce(sum(l.quantity - l.cancelled_quantity), 0) FROM demand.order_line l
     WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id)""",
    completed_refunded="""(EXISTS (SELECT FROM demand.refund b WHERE b.merchant_id = o.merchant_id
     AND b.order_id = o.order_id AND b.state = 'booked'))::int""",
)
_REFUNDED = _row(refunds="1", refunded_goods_minor="r.goods_minor", refunded_freight_minor="r.freight_minor")
_LOCAL = "(r.refunded_at AT TIME ZONE e.zone)::date"


def _facts(placed: str, completed: str, refunded: str) -> str:
    """Rows of FACTS, narrowed by a join or condition for each of the three kinds of days that an order has."""
    return f"""
SELECT merchant_id, day, currency, min(entity_id) AS entity_id, {_SUMS}
FROM (
    SELECT o.merchant_id, o.purchased_on AS day, o.currency, o.entity_id, {_PLACED}
    FROM demand.merchant_order o {placed}
    UNION ALL
    SELECT o.merchant_id, o.delivered_on AS day, o.currency, o.entity_id, {_COMPLETED}
    FROM demand.merchant_order o {completed}
    UNION ALL
    SELECT r.merchant_id, {_LOCAL} AS day, o.currency, o.entity_id, {_REFUNDED}
    FROM demand.refund r
    JOIN demand.merchant_order o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
    JOIN billing.entity e ON e.entity_id = o.entity_id {refunded}
) AS fact
GROUP BY merchant_id, day, currency
"""


_OWN = "{}.merchant_id = ANY(CAST(:merchants AS bigint[]))"
FACTS = _facts("", "WHERE o.delivered_on IS NOT NULL", "WHERE r.state = 'booked'")
"""What order_day must hold, over all orders."""
_OF_MERCHANTS = _facts(
    f"WHERE {_OWN.format('o')}",
    f"WHERE {_OWN.format('o')} AND o.delivered_on IS NOT NULL",
    f"WHERE {_OWN.format('r')} AND r.state = 'booked'",
)
_DAYS = "JOIN unnest(CAST(:merchants AS bigint[]), CAST(:days AS date[])) AS d (merchant_id, day)"
_NEAR = "{at} >= d.day::timestamptz - interval '2 days' AND {at} < d.day::timestamptz + interval '3 days'"
"""So that the index on the instant serves: wherever a market lies, a day is within these."""
_OF_DAYS = _facts(
    f"{_DAYS} ON d.merchant_id = o.merchant_id AND d.day = o.purchased_on AND {_NEAR.format(at='o.placed_at')}",
    f"{_DAYS} ON d.merchant_id = o.merchant_id AND d.day = o.delivered_on",
    f"{_DAYS} ON d.merchant_id = r.merchant_id AND d.day = {_LOCAL} AND {_NEAR.format(at='r.refunded_at')}"
    " WHERE r.state = 'booked'",
)

LOCK = "SELECT pg_advisory_xact_lock(7308327)"
"""One rolls at a time: whoever counts last must also have looked last."""

DAYS_OF_ORDERS = f"""
SELECT o.merchant_id, o.purchased_on AS day FROM demand.merchant_order o
JOIN unnest(CAST(:merchants AS bigint[]), CAST(:orders AS bigint[])) AS c (merchant_id, order_id)
  ON c.merchant_id = o.merchant_id AND c.order_id = o.order_id
UNION
SELECT o.merchant_id, o.delivered_on FROM demand.merchant_order o
JOIN unnest(CAST(:merchants AS bigint[]), CAST(:orders AS bigint[])) AS c (merchant_id, order_id)
  ON c.merchant_id = o.merchant_id AND c.order_id = o.order_id
WHERE o.delivered_on IS NOT NULL
UNION
SELECT r.merchant_id, {_LOCAL} FROM demand.refund r
JOIN unnest(CAST(:merchants AS bigint[]), CAST(:orders AS bigint[])) AS c (merchant_id, order_id)
  ON c.merchant_id = r.merchant_id AND c.order_id = r.order_id
JOIN demand.merchant_order o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
JOIN billing.entity e ON e.entity_id = o.entity_id
"""
"""All days that an order counts on. None of them ever ceases to be one, so no day has to be remembered."""

_INSERT = f"INSERT INTO metrics.order_day (merchant_id, day, currency, entity_id, {_COLUMNS})"
DROP_MERCHANTS = f"DELETE FROM metrics.order_day o WHERE {_OWN.format('o')} RETURNING day"
ROLL_MERCHANTS = f"{_INSERT} {_OF_MERCHANTS} RETURNING day"
DROP_DAYS = """
DELETE FROM metrics.order_day o
USING unnest(CAST(:merchants AS bigint[]), CAST(:days AS date[])) AS d (merchant_id, day)
WHERE d.merchant_id = o.merchant_id AND d.day = o.day
"""
ROLL_DAYS = f"{_INSERT} {_OF_DAYS}"
NOTE_DAYS = "INSERT INTO metrics.day_change (day) SELECT unnest(CAST(:days AS date[])) ON CONFLICT DO NOTHING"

TAKE_DAYS = "DELETE FROM metrics.day_change RETURNING day"
DROP_MARKET = "DELETE FROM metrics.market_day WHERE day = ANY(CAST(:days AS date[]))"
_MARKET = f"SELECT entity_id, currency, day, {_SUMS} FROM metrics.order_day {{}} GROUP BY entity_id, currency, day"
MARKET = _MARKET.format("")
"""What market_day must hold."""
ROLL_MARKET = f"INSERT INTO metrics.market_day (entity_id, currency, day, {_COLUMNS}) " + _MARKET.format(
    "WHERE day = ANY(CAST(:days AS date[]))"
)

_COMPLETED_DAYS = """SELECT merchant_id, day, sum(completed) AS orders, min(entity_id) AS entity_id
    FROM metrics.order_day o WHERE completed > 0 {} GROUP BY merchant_id, day"""


def _spans(of: str) -> str:
    """Both measures of merchants: where one span begins and ends, by the days on which orders were completed."""
    days = _COMPLETED_DAYS.format(of)
    # An order lifts the count of the last days when it is completed, and lowers it when it is too long ago.
    active = f"""
SELECT merchant_id, 'active' AS measure, day AS from_on, next_on - {ACTIVE_DAYS} AS last_on, next_on AS to_on,
       row_number() OVER (PARTITION BY merchant_id ORDER BY day) = 1 AS first, entity_id
FROM (
    SELECT merchant_id, day, entity_id, is_on, lead(day) OVER (PARTITION BY merchant_id ORDER BY day) AS next_on
    FROM (
        SELECT merchant_id, day, entity_id, orders >= {ACTIVE_ORDERS} AS is_on,
               lag(orders, 1, 0::numeric) OVER (PARTITION BY merchant_id ORDER BY day) >= {ACTIVE_ORDERS} AS was_on
        FROM (
            SELECT merchant_id, day, min(entity_id) AS entity_id,
                   sum(sum(change)) OVER (PARTITION BY merchant_id ORDER BY day) AS orders
            FROM (
                SELECT merchant_id, day, entity_id, orders AS change FROM ({days}) AS done
                UNION ALL
                SELECT merchant_id, day + {ACTIVE_DAYS}, entity_id, -orders FROM ({days}) AS done
            ) AS changes GROUP BY merchant_id, day
        ) AS counted
    ) AS stated WHERE is_on <> was_on
) AS edges WHERE is_on
"""
    retained = f"""
SELECT merchant_id, 'retained', min(day), max(day), max(day) + min(grace), island = 0, min(entity_id)
FROM (
    SELECT merchant_id, day, entity_id, grace,
           sum((gap >= grace)::int) OVER (PARTITION BY merchant_id ORDER BY day) AS island
    FROM (
        SELECT d.merchant_id, d.day, d.entity_id, g.grace,
               coalesce(d.day - lag(d.day) OVER (PARTITION BY d.merchant_id ORDER BY d.day), 0) AS gap
        FROM ({days}) AS d
        JOIN (
            SELECT merchant_id, greatest({RETAINED_DAYS}, {RETAINED_GAPS} * coalesce(
                       percentile_disc(0.5) WITHIN GROUP (ORDER BY gap) FILTER (WHERE gap IS NOT NULL), 0)) AS grace
            FROM (SELECT merchant_id, day - lag(day) OVER (PARTITION BY merchant_id ORDER BY day) AS gap
                  FROM ({days}) AS done) AS gaps
            GROUP BY merchant_id
        ) AS g ON g.merchant_id = d.merchant_id
    ) AS gapped
) AS numbered GROUP BY merchant_id, island
"""
    return f"{active} UNION ALL {retained}"


SPANS = _spans("")
"""What merchant_span must hold."""
DROP_SPANS = f"DELETE FROM metrics.merchant_span o WHERE {_OWN.format('o')}"
ROLL_SPANS = (
    "INSERT INTO metrics.merchant_span (merchant_id, measure, from_on, last_on, to_on, first, entity_id) "
    + _spans(f"AND {_OWN.format('o')}")
)
