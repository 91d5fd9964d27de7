"""Placing an order on a cluster, which keeps the rows on different nodes: the two statements taken apart.

They run one after another, in the same transaction (`marketplace.flows.orders.place_order_sql`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from demand.refunds.store import policy_for
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.idempotency import CLAIM
from marketplace.flows.discounts.quote_discounts import BUYER
from marketplace.flows.orders.place_order_sql import (
    COUNTED,
    DISCOUNT_COUNTED,
    DISCOUNT_WRITES,
    LOCKS,
    ROWS,
    WRITES,
    Asked,
    numbered,
)

CART = """
SELECT c.state AS cart_state, c.currency, c.version, c.purchase_id, l.merchant_id, l.product_id, l.quantity
FROM demand.cart c LEFT JOIN demand.cart_line l ON l.buyer_id = c.buyer_id AND l.cart_id = c.cart_id
WHERE c.buyer_id = $1 AND c.cart_id = $2 ORDER BY l.merchant_id, l.product_id
"""
LISTINGS = """
SELECT DISTINCT ON (o.merchant_id, o.product_id) o.merchant_id, o.product_id, o.title, o.category,
       o.currency AS offer_currency, o.price_minor, o.freight_minor,
       o.state = 'listed' AND m.state = 'live' AS sold, m.entity_id, e.zone, o.counted,
       CASE WHEN o.counted THEN s.on_hand - s.reserved END AS free,
       CASE WHEN NOT t.negotiated OR n.contract_id IS NOT NULL THEN t.contract_id END AS contract_id, m.merchant_ref,
       m.region, coalesce(m.joined_on::timestamptz, m.created_at) AS since
FROM supply.offer o
JOIN supply.merchant m ON m.merchant_id = o.merchant_id
JOIN billing.entity e ON e.entity_id = m.entity_id
LEFT JOIN supply.stock s ON s.merchant_id = o.merchant_id AND s.product_id = o.product_id
LEFT JOIN billing.contract t ON t.currency = o.currency
 AND t.valid_from <= ($3::timestamptz AT TIME ZONE e.zone)::date
 AND (t.valid_until IS NULL OR ($3::timestamptz AT TIME ZONE e.zone)::date < t.valid_until)
 AND (t.first_months IS NULL OR ($3::timestamptz AT TIME ZONE e.zone)::date
                                < m.joined_on + make_interval(months => t.first_months))
 AND (t.categories IS NULL OR o.category = ANY(t.categories))
LEFT JOIN billing.contract_merchant n ON n.merchant_id = o.merchant_id AND n.contract_id = t.contract_id
WHERE o.merchant_id = ANY($1::bigint[]) AND o.product_id = ANY($2::bigint[])
ORDER BY o.merchant_id, o.product_id,
         CASE WHEN NOT t.negotiated OR n.contract_id IS NOT NULL THEN 0 ELSE 1 END,
         t.negotiated DESC, (t.categories IS NOT NULL) DESC, (t.first_months IS NOT NULL) DESC, t.valid_from DESC,
         t.name COLLATE "C"
"""


async def read(tx: Tx, asked: Asked, processor: str, codes: Sequence[str]) -> list[Any]:
    """As `place_order_sql.read`, of one cart."""
    ticket, buyer_id = asked.ticket, asked.buyer_id
    claimed = dict((await tx.raw.fetchrow(CLAIM, ticket.lock_number, ticket.actor, ticket.key)).items())
    claimed["processor_id"] = await tx.raw.fetchval(
        "SELECT processor_id FROM billing.processor WHERE name = $1", processor
    )
    claimed["payers"] = await tx.raw.fetchval("SELECT EXISTS (SELECT FROM billing.payer_contract WHERE pays = 'order')")
    buyer = await tx.raw.fetchrow(
        BUYER.format(buyer="$1", codes="$2", now="$3", locks=LOCKS.format(buyer="$1")), buyer_id, list(codes), tx.now
    )
    claimed |= dict(buyer.items()) if buyer is not None else {"epoch": None}
    lines = await tx.raw.fetch(CART, buyer_id, asked.cart_id)
    wanted = [line["merchant_id"] for line in lines], [line["product_id"] for line in lines]
    listings = {(row["merchant_id"], row["product_id"]): row for row in await tx.raw.fetch(LISTINGS, *wanted, tx.now)}
    for zone in {row["zone"] for row in listings.values()}:  # of one legal entity, or the cart is refused
        claimed["policy_id"] = await policy_for(tx, local_date(tx.now, zone))
    nothing = defaultdict[str, Any](lambda: None)
    return [
        nothing | claimed | dict(listings.get((line["merchant_id"], line["product_id"]), {})) | dict(line)
        for line in lines
    ] or [nothing | claimed]


# A cluster locks no rows of several shards in one statement, and changes a row that it can find by its key alone.
_ONE_BY_ONE: dict[str, tuple[str, tuple[str, ...]]] = {
    "uncounted": (
        """
SELECT product_id FROM supply.offer WHERE merchant_id = $1 AND product_id = $2 AND NOT counted FOR SHARE""",
        ("uncounted_merchants", "uncounted_products"),
    ),
    "reserved": (
        """
UPDATE supply.stock SET reserved = reserved + $3
WHERE merchant_id = $1 AND product_id = $2 AND on_hand - reserved >= $3 RETURNING product_id""",
        ("stock_merchants", "stock_products", "stock_quantities"),
    ),
    "windows": (
        """
SELECT 1 FROM (SELECT count(*) AS windows FROM incentives.buyer_progress WHERE buyer_id = $1) AS p
WHERE p.windows = $2""",
        ("window_buyers", "windows"),
    ),
    "carts": (
        """
UPDATE demand.cart SET state = 'placed', purchase_id = $4, version = version + 1, updated_at = $5
WHERE buyer_id = $1 AND cart_id = $2 AND state = 'open' AND version = $3 RETURNING cart_id""",
        ("bought_buyer_id", "bought_cart_id", "bought_version", "bought_purchase_id", "now_for_each"),
    ),
    "credit": (
        """
UPDATE billing.credit_account SET reserved_minor = reserved_minor + $3
WHERE buyer_id = $1 AND currency = $2 AND $3 > 0
  AND balance_minor - greatest(reserved_minor, (
      SELECT coalesce(sum(g.left_minor), 0)::bigint FROM billing.credit_grant g
      WHERE g.buyer_id = $1 AND g.currency = $2 AND g.expires_at <= $4
  )) >= $3
RETURNING buyer_id""",
        ("bought_buyer_id", "bought_currency", "bought_credit_minor", "now_for_each"),
    ),
}


async def write(raw: asyncpg.Connection, values: Mapping[str, Any]) -> dict[str, int]:
    """As `place_order_sql.write`; stock comes first, in the order of its keys."""
    given = {**values, "now_for_each": [values["now"]] * len(values["bought_cart_id"])}
    writes = dict.fromkeys(("uncounted", "reserved"), "") | (DISCOUNT_WRITES if "discounts" in values else {}) | WRITES
    counts = {}
    for name, sql in writes.items():
        if name in _ONE_BY_ONE:
            statement, names = _ONE_BY_ONE[name]
            rows = zip(*(given[each] for each in names), strict=True)
            found = sum([len(await raw.fetch(statement, *row)) for row in rows])
        else:
            named: list[str] = []
            statement = numbered(sql.format(**ROWS), named)
            found = len(await raw.fetch(statement, *(given[each] for each in named)))
        if name in DISCOUNT_COUNTED + COUNTED:
            counts[name] = found
    return counts
