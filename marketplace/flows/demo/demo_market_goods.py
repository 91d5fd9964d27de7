"""What the demonstration's merchants have on their shelves: titles, SKUs, freight and stock, so that one can trade."""

from collections.abc import Iterator

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.flows.demo.demo_market import CURRENCY, DemoMarket, Shop
from marketplace.flows.demo.demo_market_names import GOODS, CategoryMake

_UNCOUNTED_EVERY = 6


async def stock_shelves(tx: Tx, market: DemoMarket) -> int:
    """List every product of every merchant and count its units; returns how many listings are new to it.

    Units that orders on their way still wait for are on the shelf besides, and promised to them. Listings that have a
    SKU are somebody's own by now and stay as they are.
    """
    rows = list(_goods(market))
    listed = (
        await tx.execute(
            _LIST,
            {
                "products": [row[0] for row in rows],
                "merchants": [row[1] for row in rows],
                "titles": [row[2] for row in rows],
                "prices": [row[3] for row in rows],
                "freights": [row[4] for row in rows],
                "currency": CURRENCY,
                "now": tx.now,
            },
        )
    ).rowcount
    if listed:
        counted = [row for row in rows if row[5] is not None]
        shelf = {"products": [row[0] for row in counted], "merchants": [row[1] for row in counted]}
        await tx.execute(_COUNT, {**shelf, "units": [row[5] for row in counted]})
        await tx.execute(_COUNTED)
        await tx.execute(_REMEMBER, {"now": tx.now, "actor": tx.actor})
        await audit.record(tx, "goods listed", "demonstration", created=listed)
    return listed


def _goods(market: DemoMarket) -> Iterator[tuple[str, str, str, int, int, int | None]]:
    """Of each product its ref, its merchant's, its title, price, freight, and the units on the shelf if counted."""
    number = 0
    for shop in market.shops:
        for (ref, make, price), title in zip(shop.products, _titles(shop), strict=True):
            number += 1
            units = None if number % _UNCOUNTED_EVERY == 0 else 20 + number * 37 % 180
            yield ref, shop.merchant_ref, title, price, make.freight_minor, units


def _titles(shop: Shop) -> Iterator[str]:
    """A different title for each of a shop's products."""
    sold: dict[CategoryMake, int] = {}
    for _, make, _ in shop.products:
        place = sold.get(make, 0)
        sold[make] = place + 1
        things, kinds = GOODS[make.category]
        yield f"{things[place % len(things)]}, {kinds[place // len(things) % len(kinds)]}"


_LIST = """
INSERT INTO supply.offer AS o
       (merchant_id, product_id, currency, price_minor, updated_at, sku, title, category, freight_minor)
SELECT m.merchant_id, p.product_id, :currency, g.price, :now, g.product, g.title, p.category, g.freight
FROM unnest(CAST(:products AS text[]), CAST(:merchants AS text[]), CAST(:titles AS text[]),
            CAST(:prices AS bigint[]), CAST(:freights AS bigint[])) AS g (product, merchant, title, price, freight)
JOIN supply.product p ON p.product_ref = g.product
JOIN supply.merchant_ref m ON m.merchant_ref = g.merchant
ON CONFLICT (merchant_id, product_id) DO UPDATE
SET sku = excluded.sku, title = excluded.title, category = excluded.category, freight_minor = excluded.freight_minor,
    version = o.version + 1
WHERE o.sku IS NULL
"""
_COUNT = """
INSERT INTO supply.stock (merchant_id, product_id, on_hand, reserved)
SELECT m.merchant_id, p.product_id, g.units + coalesce(w.units, 0), coalesce(w.units, 0)
FROM unnest(CAST(:products AS text[]), CAST(:merchants AS text[]), CAST(:units AS int[]))
     AS g (product, merchant, units)
JOIN supply.product p ON p.product_ref = g.product
JOIN supply.merchant_ref m ON m.merchant_ref = g.merchant
LEFT JOIN (
    SELECT l.merchant_id, l.product_id, sum(l.quantity - l.cancelled_quantity - l.shipped_quantity)::int AS units
    FROM demand.merchant_order o
    JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
    WHERE o.state IN ('placed', 'paid', 'accepted', 'fulfilling', 'partly_delivered')
    GROUP BY l.merchant_id, l.product_id
) AS w ON w.merchant_id = m.merchant_id AND w.product_id = p.product_id
ON CONFLICT (merchant_id, product_id) DO NOTHING
"""
_COUNTED = """
UPDATE supply.offer o SET counted = true FROM supply.stock s
WHERE s.merchant_id = o.merchant_id AND s.product_id = o.product_id AND NOT o.counted
"""
_REMEMBER = """
INSERT INTO supply.stock_movement
       (merchant_id, product_id, movement_no, kind, delta, on_hand, reserved, reason, at, actor)
SELECT merchant_id, product_id, version, 'counted', on_hand, on_hand, reserved, 'first count', :now, :actor
FROM supply.stock WHERE version = 1
ON CONFLICT (merchant_id, product_id, movement_no) DO NOTHING
"""
