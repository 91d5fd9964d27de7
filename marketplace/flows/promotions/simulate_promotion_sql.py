"""The history of orders as records of a replay, in the order of arrival, read as one stream of one snapshot."""

from collections.abc import AsyncIterator, Mapping, Sequence, Set
from datetime import date, datetime
from typing import Any

from incentives.rules.events import Event, Line, Party
from incentives.rules.index import event_name
from incentives.rules.model import ListingPublished
from incentives.rules.target import Standing
from incentives.simulation.model import Record
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.promotions.self_trades import own_people, self_trades

PREFETCH = 2_000
LISTED = event_name(ListingPublished())
_HAPPENS = 0
"""The turn of records that are orders; of later ones something has only changed."""

HISTORY = """
WITH wanted AS (
    SELECT o.merchant_id, o.order_id, o.buyer_id, o.entity_id, o.state, o.placed_at, o.delivered_at
    FROM demand.merchant_order o
    WHERE o.{happens} >= $1 AND o.{happens} < $2 AND o.currency = $3
      AND ($4 = 1 OR (hashint8(o.merchant_id) & 2147483647) % $4 = 0)
), cancelled AS (
    SELECT w.merchant_id, w.order_id, coalesce(
        (SELECT min(e.at) FROM demand.order_event e
         WHERE e.merchant_id = w.merchant_id AND e.order_id = w.order_id AND e.state IN ('cancelled', 'returned')),
        (SELECT min(r.refunded_at) FROM demand.refund r
         WHERE r.merchant_id = w.merchant_id AND r.order_id = w.order_id), w.placed_at) AS at
    FROM wanted w WHERE w.state IN ('cancelled', 'returned')
), returned AS (
    SELECT r.merchant_id, r.order_id, r.refund_id, r.refunded_at AS at
    FROM wanted w JOIN demand.refund r ON r.merchant_id = w.merchant_id AND r.order_id = w.order_id
    WHERE r.state = 'booked'
)
SELECT w.{happens} AS at, 0 AS turn, CAST({standing} AS text) AS standing, w.merchant_id, w.order_id, w.buyer_id,
       w.entity_id, l.line_nos, l.amounts, l.quantities, l.products, l.categories
FROM wanted w JOIN (
    SELECT l.merchant_id, l.order_id, array_agg(l.line_no ORDER BY l.line_no) AS line_nos,
           array_agg(l.goods_minor ORDER BY l.line_no) AS amounts,
           array_agg(l.quantity ORDER BY l.line_no) AS quantities,
           array_agg(l.product_id ORDER BY l.line_no) AS products,
           array_agg(l.category ORDER BY l.line_no) AS categories
    FROM wanted w JOIN demand.order_line l ON l.merchant_id = w.merchant_id AND l.order_id = w.order_id
    GROUP BY l.merchant_id, l.order_id
) l ON l.merchant_id = w.merchant_id AND l.order_id = w.order_id
UNION ALL
SELECT w.delivered_at, 1, 'settled', w.merchant_id, w.order_id, w.buyer_id, w.entity_id, NULL, NULL, NULL, NULL, NULL
FROM wanted w WHERE w.delivered_at IS NOT NULL AND w.state = 'delivered' AND {standing} = 'placed'
UNION ALL
SELECT r.at, 2, 'placed', r.merchant_id, r.order_id, NULL, NULL, array_agg(l.line_no ORDER BY l.line_no),
       array_agg(CAST(CASE WHEN l.goods_minor > l.discount_minor THEN
                     div(CAST(l.goods_minor AS numeric)
                         * (l.goods_minor - l.discount_minor - coalesce(b.minor, l.refunded_goods_minor)),
                         l.goods_minor - l.discount_minor)
                 ELSE l.goods_minor - (
                     SELECT coalesce(sum(part.minor), 0) FROM returned q
                     JOIN incentives.discount_back d ON d.merchant_id = q.merchant_id AND d.refund_id = q.refund_id,
                          unnest(d.line_nos, d.own_minor) AS part (line_no, minor)
                     WHERE q.merchant_id = r.merchant_id AND q.order_id = r.order_id AND part.line_no = l.line_no
                       AND (q.at, q.refund_id) <= (r.at, r.refund_id)
                 ) END AS bigint) ORDER BY l.line_no),
       array_agg(l.quantity ORDER BY l.line_no), NULL, NULL
FROM returned r JOIN demand.order_line l ON l.merchant_id = r.merchant_id AND l.order_id = r.order_id
LEFT JOIN LATERAL (
    SELECT sum(x.goods_minor) FILTER (WHERE x.line_no = l.line_no AND (q.at, q.refund_id) <= (r.at, r.refund_id))
           AS back, count(x.line_no) AS parts
    FROM returned q
    JOIN demand.refund_line x ON x.merchant_id = q.merchant_id AND x.refund_id = q.refund_id
    WHERE q.merchant_id = r.merchant_id AND q.order_id = r.order_id
) p ON true
CROSS JOIN LATERAL (SELECT CASE WHEN p.parts > 0 THEN coalesce(p.back, 0) END AS minor) b
GROUP BY r.at, r.refund_id, r.merchant_id, r.order_id
UNION ALL
SELECT c.at, 3, 'cancelled', c.merchant_id, c.order_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM cancelled c
ORDER BY 1, 2, 4, 5
"""
"""$1, $2: [from, to) of what happens; $3: the currency; $4: one merchant in how many, by lot. What is settled, refunded
and cancelled follows however late. Orders of a merchant's own people are marked, as when they are judged.

An order settles when it is delivered: the pass that books it comes within the day. Amounts are of goods, before any
discount; what is left of them is worked out as `grant_rewards_sql` does. Refunds of imported orders have no lines: they
take back what the lines say in the end.
"""

MERCHANTS = """
SELECT m.merchant_id, m.region, m.joined_on, count(o.order_id) AS orders, max(o.{happens}) AS last_at
FROM supply.merchant m LEFT JOIN demand.merchant_order o ON o.merchant_id = m.merchant_id AND o.{happens} < $1 AND $2
WHERE $3 = 1 OR (hashint8(m.merchant_id) & 2147483647) % $3 = 0
GROUP BY m.merchant_id, m.region, m.joined_on
"""
LISTINGS = """
SELECT o.listed_at AS at, o.merchant_id, o.product_id, o.price_minor, o.category, m.region,
       extract(day FROM o.listed_at - coalesce(m.joined_on::timestamptz, m.created_at))::int AS days,
       CASE WHEN o.state = 'hidden' THEN greatest(o.updated_at, o.listed_at) END AS hidden_at
FROM supply.offer o JOIN supply.merchant m ON m.merchant_id = o.merchant_id
WHERE o.listed_at >= $1 AND o.listed_at < $2 AND o.currency = $3
  AND ($4 = 1 OR (hashint8(o.merchant_id) & 2147483647) % $4 = 0)
ORDER BY o.listed_at, o.merchant_id, o.product_id
"""
"""Those that could be bought first in [$1, $2); what is hidden by now has been so since it was last changed."""
COMMISSION = """
SELECT coalesce(sum(commission_minor), 0)::bigint FROM billing.commission_line
WHERE effective_on >= :first AND effective_on < :end AND currency = :currency
"""
"""What the platform earned on the days from `first` to before `end`."""

BUYERS = """
SELECT b.buyer_id, b.region, b.created_at FROM demand.buyer b
"""
BUYER_ORDERS = """
SELECT o.buyer_id, count(*) AS orders, max(o.{happens}) AS last_at
FROM demand.merchant_order o WHERE o.{happens} < $1 GROUP BY o.buyer_id
"""


class _Known:
    """What is known of a party while history passes by."""

    __slots__ = ("joined_on", "last_at", "orders", "region")

    def __init__(self, region: str | None, joined_on: date | None, orders: int, last_at: datetime | None) -> None:
        self.region, self.joined_on, self.orders, self.last_at = region or None, joined_on, orders, last_at

    def party(self, party_id: int, at: datetime, on: date) -> Party:
        """As it was before an order; then count that order."""
        found = Party(
            party_id=party_id,
            region=self.region,
            orders=self.orders,
            days=None if self.joined_on is None else max(0, (on - self.joined_on).days),
            idle_days=None if self.last_at is None else max(0, (at - self.last_at).days),
        )
        self.orders += 1
        self.last_at = at
        return found


async def history(
    tx: Tx,
    on: str,
    starts: datetime,
    ends: datetime,
    *,
    currency: str,
    zone: str,
    buyers: bool,
    earlier: bool = True,
    one_in: int = 1,
) -> AsyncIterator[list[Record]]:
    """Records of the orders that were placed (`order.placed`) or settled (`order.settled`) in [starts, ends), in parts.

    buyers: whether what is known of buyers counts, too; it is kept in memory. earlier: whether merchants' orders before
    `starts` count. one_in: of so many merchants one, always the same.
    """
    await tx.plan_in_bulk()
    placed = on == "order.placed"
    happens = "placed_at" if placed else "delivered_at"
    merchants = {
        row["merchant_id"]: _Known(row["region"], row["joined_on"], row["orders"], row["last_at"])
        for row in await tx.raw.fetch(MERCHANTS.format(happens=happens), starts, earlier, one_in)
    }
    known_buyers = await _buyers(tx, starts, happens) if buyers else {}
    query = HISTORY.format(happens=happens, standing="'placed'" if placed else "'settled'")
    people = await own_people(tx)

    async def records(rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        own = await self_trades(tx, people, [row["buyer_id"] for row in rows if row["turn"] == _HAPPENS])
        return [_record(row, on, currency, zone, merchants, known_buyers, own) for row in rows]

    part: list[Mapping[str, Any]] = []
    async for row in tx.raw.cursor(query, starts, ends, currency, one_in, prefetch=PREFETCH):
        part.append(row)
        if len(part) == PREFETCH:
            yield await records(part)
            part = []
    if part:
        yield await records(part)


async def listings(
    tx: Tx, starts: datetime, ends: datetime, *, currency: str, one_in: int = 1
) -> AsyncIterator[list[Record]]:
    """Records of the listings that could be bought first in [starts, ends), as they are rewarded live; in parts."""
    records: list[Record] = []
    for row in await tx.raw.fetch(LISTINGS, starts, ends, currency, one_in):
        event_id = f"listing:{row['product_id']}"
        line = Line(
            line_no=1, amount_minor=row["price_minor"], product_id=row["product_id"], category=row["category"]
        )  # fmt: skip
        party = Party(party_id=row["merchant_id"], region=row["region"] or None, days=row["days"])
        event = Event(event_id=event_id, on=LISTED, currency=currency, merchant=party, lines=(line,))
        records.append(Record(row["at"], event_id, "settled", event))
        if row["hidden_at"] is not None:
            records.append(Record(row["hidden_at"], event_id, "cancelled"))
    records.sort(key=lambda record: record.at)
    for first in range(0, len(records), PREFETCH):
        yield records[first : first + PREFETCH]


async def _buyers(tx: Tx, starts: datetime, happens: str) -> dict[int, _Known]:
    earlier = await tx.raw.fetch(BUYER_ORDERS.format(happens=happens), starts)
    counts = {row["buyer_id"]: (row["orders"], row["last_at"]) for row in earlier}
    return {
        row["buyer_id"]: _Known(row["region"], row["created_at"].date(), *counts.get(row["buyer_id"], (0, None)))
        for row in await tx.raw.fetch(BUYERS)
    }


def _record(
    row: Mapping[str, Any],
    on: str,
    currency: str,
    zone: str,
    merchants: Mapping[int, _Known],
    buyers: Mapping[int, _Known],
    own: Set[tuple[int, int]],
) -> Record:
    event_id = f"order:{row['order_id']}"
    standing: Standing = row["standing"]
    at, turn = row["at"], row["turn"]
    if turn in {1, 3}:
        return Record(at, event_id, standing)
    if turn == 2:
        return Record(
            at, event_id, standing, left=tuple(map(_left, row["line_nos"], row["amounts"], row["quantities"]))
        )
    day = local_date(at, zone)
    buyer = buyers.get(row["buyer_id"])
    numbers = zip(row["line_nos"], row["amounts"], row["quantities"], row["products"], row["categories"], strict=True)
    event = Event(
        event_id=event_id,
        on=on,
        currency=currency,
        merchant=merchants[row["merchant_id"]].party(row["merchant_id"], at, day),
        buyer=Party(party_id=row["buyer_id"]) if buyer is None else buyer.party(row["buyer_id"], at, day),
        entity_id=row["entity_id"],
        lines=tuple(
            Line(line_no=no, amount_minor=minor, quantity=quantity, product_id=product, category=category)
            for no, minor, quantity, product, category in numbers
        ),
        self_trade=(row["merchant_id"], row["buyer_id"]) in own,
    )
    return Record(at, event_id, standing, event)


def _left(line_no: int, amount_minor: int, quantity: int) -> Line:
    """A line after refunds; with nothing left of its amount, none of its pieces is."""
    left = max(0, amount_minor)
    return Line(line_no=line_no, amount_minor=left, quantity=quantity if left else 0)
