"""How fast the funnel and the tree are answered, and how long it takes to roll up everything, and what has changed."""

from datetime import date, timedelta
from typing import Any

from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.flows.acquisition.show_funnel import ShowFunnel, show_funnel
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.proofs.verify_metrics import PROOFS
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.show_metrics import AskMetrics, show_metrics, show_tree
from supply.leads.model import Model
from tests.bench.scratch import ACTOR, Stopwatch, as_owner, at_most, main, median_ms, note, scratch_database
from tests.builders import add_market

_TIMES = 15
_DAYS = 730
_BEGIN = date(2016, 9, 1)


async def measure(orders: int, merchants: int, leads: int) -> dict[str, Any]:
    """Two years of orders, two in five of them settled by the journal, and as many of leads in eight stages."""
    async with scratch_database() as db:
        await fill_years(db, orders, merchants, leads)
        watch = Stopwatch()
        rolled = await roll_metrics(db, ACTOR)
        whole_s = watch.seconds
        note(f"all rolled up in {whole_s} s: {rolled}")
        await db.analyze("metrics.order_day", "metrics.market_day", "metrics.merchant_span", "supply.funnel_month",
                         "supply.stage_day")  # fmt: skip
        await as_owner(db, _CHANGE)
        watch = Stopwatch()
        changed = await roll_metrics(db, ACTOR)
        changed_s = watch.seconds
        figures = await _answers(db)
        watch = Stopwatch()
        for name, _, query in PROOFS:
            async with db.read(WORKER) as tx:
                await tx.plan_in_bulk()
                if wrong := await tx.rows(query):
                    raise SystemExit(f"{name}: {wrong[:3]}")
        return {
            "orders": orders,
            "merchants": merchants,
            "leads": leads,
            "rolled_up": {"seconds": whole_s, "orders_per_second": round(orders / whole_s)},
            "a_thousand_changes": {"seconds": changed_s, "taken": changed.changes},
            "proved_s": watch.seconds,
            "median_ms": figures,
            "bars": {name: at_most(value, 200) for name, value in figures.items()},
        }


async def fill_years(db: Database, orders: int, merchants: int, leads: int) -> None:
    """The market, with its journal rolled up and nothing else of it."""
    await db.write(WORKER, ACTOR, _parties, merchants)
    shape = {"orders": orders, "merchants": merchants, "leads": leads, "days": _DAYS, "begin": _BEGIN}
    await as_owner(db, *(statement.format(**shape) for statement in _FILL))
    await db.analyze("demand.merchant_order", "demand.order_line", "billing.entry", "supply.lead",
                     "supply.stage_entry")  # fmt: skip
    await roll_ledger(db, ACTOR)


async def _answers(db: Database) -> dict[str, float]:
    """Medians of what people ask, in milliseconds, each in a transaction of its own."""
    last = _BEGIN + timedelta(days=_DAYS - 40)
    week = AskMetrics(from_on=last, to_on=last + timedelta(days=7))
    year = AskMetrics(from_on=last - timedelta(days=365), to_on=last)
    cut = ShowFunnel(model=Model.PLATFORM, from_on=_BEGIN + timedelta(days=40), to_on=last, window_days=60)

    async def tree_of_week() -> Any:
        async with db.read(STAFF) as tx:
            return await show_tree(tx, week, "platform_revenue")

    async def tree_of_year() -> Any:
        async with db.read(STAFF) as tx:
            return await show_tree(tx, year, "platform_revenue")

    async def funnel() -> Any:
        async with db.read(STAFF) as tx:
            return await show_funnel(tx, ShowFunnel(model=Model.PLATFORM))

    async def funnel_cut() -> Any:
        async with db.read(STAFF) as tx:
            return await show_funnel(tx, cut)

    async def funnel_of_channel() -> Any:
        async with db.read(STAFF) as tx:
            return await show_funnel(tx, ShowFunnel(model=Model.PLATFORM, channel="online"))

    async def aov() -> Any:
        async with db.read(STAFF) as tx:
            return await show_metrics(tx, week, ["aov"])

    asked = (tree_of_week, tree_of_year, funnel, funnel_cut, funnel_of_channel, aov)
    return {ask.__name__: await median_ms(_TIMES, ask) for ask in asked}


async def _parties(tx: Tx, merchants: int) -> None:
    await add_market(tx, range(1, merchants + 1))


# Owner statements over generated rows: hashes instead of random(), so that every run measures the same market.
_FILL = (
    """
INSERT INTO demand.merchant_order (merchant_id, order_id, order_ref, purchase_id, buyer_id, entity_id, currency, state,
    goods_minor, freight_minor, discount_minor, placed_at, purchased_on, delivered_at, delivered_on)
SELECT merchant_id, order_id, order_id::text, order_id, order_id, 1, 'EUR',
       CASE WHEN order_id % 20 = 0 THEN 'paid' ELSE 'delivered' END, goods_minor, 300, 0, placed_at, placed_at::date,
       CASE WHEN order_id % 20 <> 0 THEN placed_at + interval '5 days' END,
       CASE WHEN order_id % 20 <> 0 THEN (placed_at + interval '5 days')::date END
FROM (
    SELECT order_id, 500 + (hashint8extended(order_id, 3) & 16383) AS goods_minor,
           1 + floor({merchants} * power((hashint8extended(order_id, 1) & 1048575) / 1048576.0, 3))::bigint
               AS merchant_id,
           timestamptz '{begin} 00:00:00+00' + make_interval(secs => order_id * ({days} * 86400.0 / {orders}))
               AS placed_at
    FROM generate_series(1, {orders}) AS order_id
) AS sale
""",
    """
INSERT INTO demand.order_line (merchant_id, order_id, line_no, category, quantity, goods_minor, freight_minor)
SELECT merchant_id, order_id, 1, 'c', 1, goods_minor, 300 FROM demand.merchant_order
""",
    """
INSERT INTO demand.refund (merchant_id, refund_id, order_id, goods_minor, freight_minor, reason, refunded_at)
SELECT merchant_id, order_id, order_id, 100, 0, 'damaged', delivered_at + interval '9 days'
FROM demand.merchant_order WHERE order_id % 33 = 0 AND delivered_at IS NOT NULL
""",
    """
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT merchant_id, row_number() OVER (PARTITION BY merchant_id ORDER BY order_id), 'order_settled', order_id, 1,
       currency, delivered_at, delivered_on, false, ARRAY[2005, 4000, 2000], ARRAY[0, 0, 0]::bigint[],
       ARRAY[goods_minor, -(goods_minor / 10), goods_minor / 10 - goods_minor], delivered_at, 'bench'
FROM demand.merchant_order WHERE order_id % 5 < 2 AND delivered_on IS NOT NULL
""",
    """
UPDATE billing.ledger_head h SET last_entry_no = posted.entries
FROM (SELECT merchant_id, count(*) AS entries FROM billing.entry GROUP BY merchant_id) AS posted
WHERE posted.merchant_id = h.merchant_id
""",
    """
INSERT INTO demand.order_change (change_id, merchant_id)
SELECT merchant_id, merchant_id FROM generate_series(1, {merchants}) AS merchant_id
""",
    """
INSERT INTO supply.lead (lead_id, model, funnel_version, company, zone, channel_id, state, first_contact_at, made_by,
    made_at)
SELECT lead_id, 'platform', 1, 'Shop', 'UTC',
       channels[1 + (hashint8extended(lead_id, 7) & 1023) % cardinality(channels)], 'new',
       timestamptz '{begin} 00:00:00+00', 'bench', timestamptz '{begin} 00:00:00+00'
FROM generate_series(1, {leads}) AS lead_id, (SELECT array_agg(channel_id) AS channels FROM supply.channel) AS c
""",
    # a lead goes on with seven in ten from stage to stage, after up to a month each
    """
INSERT INTO supply.stage_entry (lead_id, stage_no, model, version_no, channel_id, began_on, entered_on, next_on, won_on,
    lost_on, inferred, regressions)
SELECT lead_id, stage_no, 'platform', 1, channel_id, began_on, entered_on,
       CASE WHEN stage_no < furthest THEN next_on END, CASE WHEN furthest >= 2 THEN won_on END,
       CASE WHEN lead_id % 9 = 0 AND furthest < 2 THEN last_on + 30 END, false, 0
FROM (
    SELECT e.*, max(stage_no) OVER w AS furthest,
           lead(entered_on) OVER (PARTITION BY lead_id ORDER BY stage_no) AS next_on,
           max(entered_on) OVER w AS last_on, max(entered_on) FILTER (WHERE stage_no = 2) OVER w AS won_on
    FROM (
        SELECT lead_id, channel_id, stage_no, began_on,
               began_on + sum(CASE WHEN stage_no = 0 THEN 0 ELSE (hashint8extended(lead_id * 8 + stage_no, 5) & 31) END)
                          OVER (PARTITION BY lead_id ORDER BY stage_no)::int AS entered_on
        FROM (
            SELECT lead_id, channel_id, date '{begin}' + (lead_id % {days})::int AS began_on FROM supply.lead
        ) AS l, generate_series(0, 7) AS stage_no
        WHERE stage_no = 0 OR power(0.7, stage_no) * 1024 > (hashint8extended(lead_id, 6) & 1023)
    ) AS e WINDOW w AS (PARTITION BY lead_id)
) AS made
""",
    """
INSERT INTO supply.funnel_change (change_id, model, version_no, month)
SELECT row_number() OVER (), model, version_no, month
FROM (SELECT DISTINCT model, version_no, date_trunc('month', entered_on::timestamp)::date AS month
      FROM supply.stage_entry) AS months
""",
)
_CHANGE = """
INSERT INTO demand.order_change (change_id, merchant_id, order_id)
SELECT order_id, merchant_id, order_id FROM demand.merchant_order ORDER BY order_id DESC LIMIT 1000
"""

if __name__ == "__main__":
    main(measure, orders=1_000_000, merchants=3_000, leads=100_000)
