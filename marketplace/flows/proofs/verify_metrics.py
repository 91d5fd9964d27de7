"""The invariants of figures that are rolled up; `verify_books` runs them with the others.

What waits to be rolled is left out: a figure may be behind its facts, and never beside them.
"""

from marketplace.flows.steering.roll_metrics_sql import FACTS, MARKET, SPANS
from marketplace.metrics.tables import ORDER_COUNTS
from supply.funnels.months_sql import CELLS, DAYS


def _same(held: str, facts: str, key: tuple[str, ...], values: tuple[str, ...], waits: str) -> str:
    """A query of all that is rolled up otherwise than the facts say, or of what one of both does not have."""
    names = ", ".join((*key, *values))
    return f"""
SELECT DISTINCT {", ".join(key)} FROM (
    (SELECT {names} FROM {held} EXCEPT ALL SELECT {names} FROM ({facts}) AS said)
    UNION ALL
    (SELECT {names} FROM ({facts}) AS said EXCEPT ALL SELECT {names} FROM {held})
) AS other WHERE NOT EXISTS ({waits})
"""


_MERCHANT_WAITS = "SELECT FROM demand.order_change c WHERE c.merchant_id = other.merchant_id"
_MONTH_WAITS = """SELECT FROM supply.funnel_change c
    WHERE c.model = other.model AND c.version_no = other.version_no AND c.month = {}"""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "days-are-orders",
        "what is rolled up of a merchant's orders by day is what its orders and refunds say",
        _same("metrics.order_day", FACTS, ("merchant_id", "day", "currency"), ORDER_COUNTS, _MERCHANT_WAITS),
    ),
    (
        "market-is-merchants",
        "a market's day is the sum of its merchants' days",
        _same(
            "metrics.market_day", MARKET, ("entity_id", "currency", "day"), ORDER_COUNTS,
            "SELECT FROM metrics.day_change c WHERE c.day = other.day",
        ),
    ),
    (
        "spans-are-days",
        "merchants were active and retained on the days that their completed orders say",
        _same(
            "metrics.merchant_span", SPANS, ("merchant_id", "measure", "from_on"),
            ("last_on", "to_on", "first", "entity_id"), _MERCHANT_WAITS,
        ),
    ),
    (
        "months-are-entries",
        "what is counted of funnels by month is what the entries of leads say",
        _same(
            "supply.funnel_month", CELLS,
            ("model", "version_no", "month", "of", "stage_no", "channel_id", "fate", "days"),
            ("leads", "inferred", "regressions"), _MONTH_WAITS.format("other.month"),
        ),
    ),
    (
        "stage-days-are-entries",
        "what is counted of stages by day is what the entries of leads say",
        _same(
            "supply.stage_day", DAYS, ("model", "stage", "day", "channel_id", "version_no"), ("entered",),
            _MONTH_WAITS.format("date_trunc('month', other.day::timestamp)::date"),
        ),
    ),
)  # fmt: skip
