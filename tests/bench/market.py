"""A large market made in the database: merchants with Zipf-like sizes, delivered orders under mixed contracts."""

from datetime import date

import msgspec

from billing.contracts.terms import Terms, Tier
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.commission.apply_contracts import apply_versions
from tests.bench.scratch import ACTOR, as_owner
from tests.builders import add_market

CURRENCY = "EUR"
FIRST_DAY, LAST_DAY = date(2018, 5, 1), date(2018, 5, 31)
_SINCE = date(2018, 1, 1)
CATEGORIES = 20

CONTRACTS = (
    Terms(name="flat", currency=CURRENCY, valid_from=_SINCE, rate_ppm=120_000),
    Terms(
        name="tiers",
        currency=CURRENCY,
        valid_from=_SINCE,
        tiers=(Tier(0, 150_000), Tier(1_000_000, 120_000), Tier(10_000_000, 90_000)),
        vat_ppm=200_000,
    ),
    Terms(
        name="bounded",
        currency=CURRENCY,
        valid_from=_SINCE,
        rate_ppm=100_000,
        fixed_minor=30,
        min_minor=100,
        max_minor=2_500,
        vat_ppm=200_000,
    ),
    Terms(
        name="with freight",
        currency=CURRENCY,
        valid_from=_SINCE,
        base="goods_and_freight",
        rate_ppm=85_000,
        vat_ppm=190_000,
    ),
    Terms(
        name="tiers with minimum",
        currency=CURRENCY,
        valid_from=_SINCE,
        tiers=(Tier(0, 180_000), Tier(500_000, 125_000)),
        min_minor=50,
        vat_ppm=50_000,
    ),
)
ANALYZED = (
    "billing.ledger_head",
    "billing.ledger_roll",
    "billing.entry",
    "billing.contract",
    "demand.merchant_order",
    "demand.order_line",
    "demand.order_due",
)


async def build_market(db: Database, *, merchants: int, orders: int, exponent: float) -> None:
    """Paid and delivered orders of May, in the order of their time, their journal written and rolled up.

    The merchant of rank r has a share of about r ** -exponent of the orders, one order at least. One order in nine has
    two lines, one in forty three; a line's contract, frozen at the sale, is that of its category.
    """
    await db.write(WORKER, ACTOR, _parties, merchants)
    shape = {"merchants": merchants, "orders": orders, "exponent": exponent, "categories": CATEGORIES}
    statements = [statement.format(**shape, contracts=len(CONTRACTS), currency=CURRENCY) for statement in _FILL]
    await as_owner(db, *statements)
    await db.analyze(*ANALYZED)
    await roll_ledger(db, ACTOR)


async def _parties(tx: Tx, merchants: int) -> None:
    await add_market(tx, range(1, merchants + 1), currency=CURRENCY)
    by_category = [
        msgspec.structs.replace(
            terms, categories=tuple(f"c{n}" for n in range(CATEGORIES) if n % len(CONTRACTS) == position)
        )
        for position, terms in enumerate(CONTRACTS)
    ]
    await apply_versions(tx, by_category)


# Owner statements over generated rows: hashes instead of random(), so that every run measures the same market.
_FILL = (
    "CREATE SCHEMA bench",
    """
CREATE UNLOGGED TABLE bench.size AS
SELECT merchant_id, greatest(1, round({orders} * share))::int AS orders
FROM (SELECT merchant_id, power(merchant_id, -{exponent}) / sum(power(merchant_id, -{exponent})) OVER () AS share
      FROM generate_series(1, {merchants}) AS merchant_id) AS ranked
""",
    # order_id follows the time of the sale, as it does in a market that is alive
    """
CREATE UNLOGGED TABLE bench.sale AS
SELECT row_number() OVER (ORDER BY placed_at, merchant_id, position) AS order_id, merchant_id, placed_at
FROM (
    SELECT merchant_id, position, timestamptz '2018-05-01 00:00:00+00'
           + make_interval(secs => (hashint8extended(merchant_id::bigint * 1000003 + position, 1) & 1048575) * 2.0)
               AS placed_at
    FROM bench.size, generate_series(1, orders) AS position
    ORDER BY merchant_id, position LIMIT {orders}
) AS placed
""",
    """
CREATE UNLOGGED TABLE bench.line AS
SELECT merchant_id, order_id, line_no, goods_minor, 300 + (hashint8extended(order_id, 5) & 1023) AS freight_minor,
       CASE WHEN order_id % 10 = 0 THEN goods_minor / 10 ELSE 0 END AS discount_minor, category
FROM (
    SELECT merchant_id, order_id, line_no, 500 + (hashint8extended(order_id * 4 + line_no, 3) & 16383) AS goods_minor,
           (hashint8extended(order_id * 4 + line_no, 4) & 1048575) % {categories} AS category
    FROM bench.sale,
         generate_series(1, 1 + (order_id % 9 = 0)::int + (order_id % 40 = 0)::int) AS line_no
) AS line ORDER BY order_id, line_no
""",
    """
INSERT INTO demand.merchant_order (merchant_id, order_id, order_ref, purchase_id, buyer_id, entity_id, currency, state,
    goods_minor, freight_minor, discount_minor, placed_at, purchased_on, delivered_at, delivered_on)
SELECT s.merchant_id, order_id, md5(order_id::text), order_id, order_id, 1, '{currency}', 'delivered',
       l.goods_minor, l.freight_minor, l.discount_minor, placed_at, (placed_at AT TIME ZONE 'UTC')::date,
       placed_at + interval '5 days', (placed_at AT TIME ZONE 'UTC')::date + 5
FROM bench.sale s
JOIN (SELECT order_id, sum(goods_minor) AS goods_minor, sum(freight_minor) AS freight_minor,
             sum(discount_minor) AS discount_minor FROM bench.line GROUP BY order_id) AS l USING (order_id)
ORDER BY order_id
""",
    """
INSERT INTO demand.order_line (merchant_id, order_id, line_no, category, quantity, goods_minor, freight_minor,
    discount_minor, contract_id)
SELECT merchant_id, order_id, line_no, 'c' || category, 1, goods_minor, freight_minor, discount_minor,
       category % {contracts} + 1
FROM bench.line ORDER BY order_id, line_no
""",
    # as deliveries fill it: in the order of time, whoever the merchant is
    """
INSERT INTO demand.order_due (merchant_id, order_id, contract_id, settles_at, settles_on, goods_minor, freight_minor,
    discount_minor, order_ref)
SELECT o.merchant_id, o.order_id, l.contract_id, o.delivered_at, o.delivered_on, sum(l.goods_minor),
       sum(l.freight_minor), sum(l.discount_minor), o.order_ref
FROM demand.merchant_order o
JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
GROUP BY o.merchant_id, o.order_id, l.contract_id ORDER BY o.order_id
""",
    """
INSERT INTO billing.entry (merchant_id, entry_no, kind, source_id, entity_id, currency, occurred_at, effective_on,
    prior_period, accounts, dimensions, amounts, posted_at, posted_by)
SELECT merchant_id, row_number() OVER (PARTITION BY merchant_id ORDER BY order_id), 'order_paid', order_id, 1, currency,
       placed_at, purchased_on, false, ARRAY[1020, 2005], ARRAY[1, 0]::bigint[],
       ARRAY[goods_minor + freight_minor - discount_minor, -(goods_minor + freight_minor - discount_minor)],
       placed_at, 'bench'
FROM demand.merchant_order ORDER BY order_id
""",
    """
UPDATE billing.ledger_head h SET last_entry_no = posted.entries
FROM (SELECT merchant_id, count(*) AS entries FROM billing.entry GROUP BY merchant_id) AS posted
WHERE posted.merchant_id = h.merchant_id
""",
)
