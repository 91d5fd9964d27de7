"""What the pass of merchants' rewards reads of orders and their settlement, and how far it has come."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from incentives.grants.model import GrantState
from incentives.grants.store import Window
from incentives.lifecycle import State
from incentives.rules.events import Event, Line, Party
from incentives.rules.parts import Role
from incentives.rules.target import Standing
from marketplace.core.db import Tx


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a reward is for, and in whose market: zone is that of the legal entity."""

    merchant_id: int
    region: str
    since: datetime
    zone: str
    house_merchant_id: int
    entity_id: int


class Earlier(msgspec.Struct, frozen=True):
    """How many orders a merchant and a buyer had before one, and how many days ago the last of them was."""

    of_merchant: int | None = None
    of_buyer: int | None = None
    merchant_idle: int | None = None
    buyer_idle: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was paid, has settled, or was refunded. ordered: its lines as sold; left: as they are now.

    settled_at: None where it settled before the page began, or has not yet. sold_at: when it settled, whenever that
    was. changed_at: when it did any of it last. earlier: what its merchant and its buyer had before it, by what
    happened to it, where anybody asks. self_trade: its buyer is one of the merchant's people.
    """

    order_id: int
    buyer_id: int
    entity_id: int
    currency: str
    placed_at: datetime
    settled_at: datetime | None
    sold_at: datetime | None
    changed_at: datetime
    ordered: tuple[Line, ...]
    left: tuple[Line, ...]
    earlier: dict[str, Earlier] = {}
    self_trade: bool = False

    @property
    def event_id(self) -> str:
        return str(self.order_id)

    @property
    def standing(self) -> Standing:
        return "placed" if self.sold_at is None else "settled"

    def happened(self, *, promised: bool) -> list[tuple[str, datetime]]:
        """What has happened to it in this page, as triggers call it; one that has settled was placed before that, which
        matters where anything is `promised`."""
        is_new = promised and (self.sold_at is None or self.settled_at is not None)
        placed = [("order.placed", self.placed_at)] if is_new else []
        return placed + ([] if self.settled_at is None else [("order.settled", self.settled_at)])

    def event(self, of: Merchant, on: str = "order.settled") -> Event:
        """The order as the engine sees it. Freight counts for nothing, and neither do discounts: goods count
        for what they were worth before."""
        before = self.earlier.get(on, Earlier())
        at = self.placed_at if on == "order.placed" else self.settled_at or self.changed_at
        return Event(
            event_id=self.event_id,
            on=on,
            currency=self.currency,
            merchant=Party(
                party_id=of.merchant_id,
                region=of.region or None,
                orders=before.of_merchant,
                days=(at - of.since).days,
                idle_days=before.merchant_idle,
            ),
            buyer=Party(party_id=self.buyer_id, orders=before.of_buyer, idle_days=before.buyer_idle),
            entity_id=self.entity_id,
            lines=self.ordered,
            self_trade=self.self_trade,
        )


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What has settled or was refunded, by order. upto_no: the last entry looked at, None: all there are."""

    orders: list[Settled]
    upto_no: int | None


async def merchants_behind(tx: Tx, after: int, limit: int) -> Sequence[Any]:
    """Merchants in whose books something was posted since the pass looked, by id, those behind `after`; entries: how
    much."""
    return await tx.rows(
        """
        SELECT h.merchant_id, h.last_entry_no - coalesce(c.entry_no, 0) AS entries FROM billing.ledger_head h
        JOIN supply.merchant m ON m.merchant_id = h.merchant_id
        LEFT JOIN incentives.reward_cursor c ON c.merchant_id = h.merchant_id
        WHERE h.merchant_id > :after AND h.last_entry_no > coalesce(c.entry_no, 0)
        ORDER BY h.merchant_id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )


# Windows of parties, by promotion: in which something was earned that could not be granted then; in which something
# is granted that has not vested, clawbacks among it, or is promised.
_OWED = """
    SELECT g.{role}_id AS party_id, g.promotion_id, g.span FROM incentives.{role}_progress g
    WHERE g.pending_minor > 0 AND g.promotion_id = ANY(:promotions)
"""
_UNVESTED = """
    SELECT g.{role}_id AS party_id, g.promotion_id, g.span FROM incentives.{role}_grant g
    WHERE g.promotion_id = ANY(:promotions) AND g.state = 'pending' AND g.state IN ('pending', 'available')
      AND g.form <> 'discount'
    GROUP BY g.{role}_id, g.promotion_id, g.span HAVING sum(g.amount_minor) > 0
    UNION
    SELECT g.{role}_id, g.promotion_id, g.span FROM incentives.{role}_progress g
    WHERE g.promotion_id = ANY(:promotions) AND cardinality(g.promise_keys) > 0
"""


def _windows(role: Role, *, unvested: bool) -> str:
    found = _OWED + ("UNION" + _UNVESTED if unvested else "")
    return found.format(role=role)


def of_merchants(role: Role, windows: str) -> str:
    """Windows with the merchants whom they concern (merchant_id): their own, or by the orders that count in them, so
    many times over.

    A buyer's windows are found with what counts in them first: on a cluster that is elsewhere than the orders are.
    """
    if role == "merchant":
        return f"(SELECT w.*, w.party_id AS merchant_id FROM ({windows}) w) AS w"
    return f"""
        (SELECT w.*, o.merchant_id
         FROM (SELECT w.*, CAST(c.event_id AS bigint) AS order_id FROM ({windows}) w
               JOIN incentives.buyer_contribution c
                 ON c.buyer_id = w.party_id AND c.promotion_id = w.promotion_id AND c.span = w.span) AS w
         JOIN demand.merchant_order o ON o.buyer_id = w.party_id AND o.order_id = w.order_id) AS w"""


async def granting_again(tx: Tx) -> list[int]:
    """Promotions that may grant what was earned while they could not."""
    rows = await tx.rows(
        "SELECT promotion_id FROM incentives.promotion WHERE state = ANY(:states)",
        states=[State.LIVE.value, State.ENDED.value],
    )
    return [row.promotion_id for row in rows]


async def voiding(tx: Tx) -> list[int]:
    """Paused promotions of which nothing stands that has not vested."""
    rows = await tx.rows(
        "SELECT promotion_id FROM incentives.promotion WHERE state = :paused AND on_pause = 'void'",
        paused=State.PAUSED.value,
    )
    return [row.promotion_id for row in rows]


async def merchants_in(
    tx: Tx, promotion_ids: Sequence[int], after: int, limit: int, *, unvested: bool = False
) -> Sequence[Any]:
    """Merchants that are owed something under these promotions, or whose buyers are for an order of theirs, those
    behind `after`; with `unvested` also those of whose grants some have not vested."""
    if not promotion_ids:
        return []
    return await tx.rows(
        f"""
        SELECT merchant_id FROM (
            SELECT w.merchant_id FROM {of_merchants("merchant", _windows("merchant", unvested=unvested))}
            UNION
            SELECT w.merchant_id FROM {of_merchants("buyer", _windows("buyer", unvested=unvested))}
        ) AS each
        WHERE merchant_id > :after ORDER BY merchant_id LIMIT :limit
        """,
        promotions=list(promotion_ids),
        after=after,
        limit=limit,
    )


async def merchants_vesting(tx: Tx, now: datetime, after: int, limit: int) -> Sequence[Any]:
    """Merchants of whose grants some vest by now, those behind `after`."""
    return await tx.rows(
        """
        SELECT DISTINCT merchant_id FROM incentives.merchant_grant
        WHERE state = :state AND state IN ('pending', 'available') AND form = 'credit' AND vests_at <= :now
          AND merchant_id > :after
        ORDER BY merchant_id LIMIT :limit
        """,
        state=GrantState.PENDING.value,
        now=now,
        after=after,
        limit=limit,
    )


async def vested_of(tx: Tx, merchant_id: int, limit: int) -> Sequence[Any]:
    """A merchant's grants that have vested and are not payable yet, the earliest first."""
    return await tx.rows(
        """
        SELECT grant_id FROM incentives.merchant_grant
        WHERE merchant_id = :merchant AND state = :state AND form = 'credit' AND vests_at <= :now
        ORDER BY vests_at, grant_id LIMIT :limit
        """,
        merchant=merchant_id,
        state=GrantState.PENDING.value,
        now=tx.now,
        limit=limit,
    )


async def windows_in(
    tx: Tx, role: Role, merchant_id: int, promotion_ids: Sequence[int], limit: int, *, unvested: bool = False
) -> list[Window]:
    """The windows that `merchants_in` has found a merchant for: its own, or those of the buyers of its orders."""
    rows = await tx.rows(
        f"""
        SELECT DISTINCT w.party_id, w.promotion_id, w.span FROM {of_merchants(role, _windows(role, unvested=unvested))}
        WHERE w.merchant_id = :merchant ORDER BY w.party_id, w.promotion_id, w.span LIMIT :limit
        """,
        merchant=merchant_id,
        promotions=list(promotion_ids),
        limit=limit,
    )
    return [(row.party_id, row.promotion_id, row.span) for row in rows]


async def get_merchant(tx: Tx, merchant_id: int) -> Merchant:
    [merchant] = await get_merchants(tx, [merchant_id])
    return merchant


async def get_merchants(tx: Tx, merchant_ids: Sequence[int]) -> list[Merchant]:
    """In the order of their ids; all of them have books."""
    rows = await tx.rows(
        """
        SELECT m.merchant_id, m.region, coalesce(m.joined_on::timestamptz, m.created_at) AS since, e.zone,
               e.house_merchant_id, e.entity_id
        FROM supply.merchant m
        JOIN billing.ledger_head h ON h.merchant_id = m.merchant_id
        JOIN billing.entity e ON e.entity_id = h.entity_id
        WHERE m.merchant_id = ANY(:merchants) ORDER BY m.merchant_id
        """,
        merchants=list(merchant_ids),
    )
    assert len(rows) == len(merchant_ids)
    return [Merchant(**row._mapping) for row in rows]


_SOLD = """
    SELECT order_id, kind, occurred_at, entry_no FROM billing.commission_line
    WHERE merchant_id = :merchant AND entry_no > coalesce(
        (SELECT entry_no FROM incentives.reward_cursor WHERE merchant_id = :merchant), 0)
"""
_PAID = """
    UNION ALL
    SELECT coalesce(r.order_id, e.source_id), e.kind, e.occurred_at, e.entry_no
    FROM billing.entry e LEFT JOIN demand.refund r ON r.merchant_id = e.merchant_id AND r.refund_id = e.source_id
     AND e.kind <> 'order_paid'
    WHERE e.merchant_id = :merchant AND e.entry_no > coalesce(
        (SELECT entry_no FROM incentives.reward_cursor WHERE merchant_id = :merchant), 0)
      AND (e.kind = 'order_paid' OR e.kind IN ('order_refunded', 'refund_cancelled') AND r.order_id IS NOT NULL)
"""
"""What happens to an order before it settles."""


async def next_pages(tx: Tx, merchant_ids: Sequence[int], limit: int, *, promised: bool = False) -> dict[int, Page]:
    """What comes next in the books of each of these merchants, whose heads are held: of at most so many lines each.

    promised: whether what was paid and has not settled counts, too.
    """
    settled: dict[tuple[int, int], datetime] = {}
    changed: dict[tuple[int, int], datetime] = {}
    upto: dict[int, int | None] = {}
    for merchant_id in merchant_ids:  # one by one: each ends where its own page is full
        rows = await tx.rows(
            f"{_SOLD} {_PAID if promised else ''} ORDER BY entry_no LIMIT :limit", merchant=merchant_id, limit=limit
        )
        upto[merchant_id] = rows[-1].entry_no if len(rows) == limit else None
        for row in rows:
            key = merchant_id, row.order_id
            if row.kind == "sale":
                settled[key] = row.occurred_at
            if row.kind != "adjustment":
                changed[key] = max(row.occurred_at, changed.get(key, row.occurred_at))
    orders = await _orders(tx, settled, changed)
    return {
        merchant_id: Page(orders=orders.get(merchant_id, []), upto_no=upto_no) for merchant_id, upto_no in upto.items()
    }


async def _orders(
    tx: Tx, settled: Mapping[tuple[int, int], datetime], changed: Mapping[tuple[int, int], datetime]
) -> dict[int, list[Settled]]:
    """The orders, named by merchant and id, with their lines; by merchant, in the order of their ids."""
    rows = await tx.rows(
        """
        SELECT o.merchant_id, o.order_id, o.buyer_id, o.entity_id, o.currency, o.placed_at, s.sold_at,
               l.line_no, l.product_id, l.category, l.quantity,
               l.goods_minor, l.goods_minor - l.discount_minor AS price_minor, l.refunded_goods_minor,
               CASE WHEN l.goods_minor = l.discount_minor THEN
                   (SELECT coalesce(sum(part.back), 0) FROM incentives.order_discount d,
                           unnest(d.line_nos, d.own_back_minor) AS part (line_no, back)
                    WHERE d.merchant_id = l.merchant_id AND d.order_id = l.order_id AND part.line_no = l.line_no)
               END::bigint AS own_back_minor,
               l.cancelled_quantity + l.returned_quantity AS gone
        FROM unnest(CAST(:merchants AS bigint[]), CAST(:orders AS bigint[])) AS k (merchant_id, order_id)
        JOIN demand.merchant_order o ON o.merchant_id = k.merchant_id AND o.order_id = k.order_id
        JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
        LEFT JOIN LATERAL (
            SELECT min(c.occurred_at) AS sold_at FROM billing.commission_line c
            WHERE c.merchant_id = o.merchant_id AND c.order_id = o.order_id AND c.kind = 'sale'
        ) s ON true
        ORDER BY o.merchant_id, o.order_id, l.line_no
        """,
        merchants=[merchant_id for merchant_id, _ in changed],
        orders=[order_id for _, order_id in changed],
    )
    lines: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        lines.setdefault((row.merchant_id, row.order_id), []).append(row)
    found: dict[int, list[Settled]] = {}
    for (merchant_id, order_id), of in lines.items():
        found.setdefault(merchant_id, []).append(
            Settled(
                order_id=order_id,
                buyer_id=of[0].buyer_id,
                entity_id=of[0].entity_id,
                currency=of[0].currency,
                placed_at=of[0].placed_at,
                settled_at=settled.get((merchant_id, order_id)),
                sold_at=of[0].sold_at,
                changed_at=changed[merchant_id, order_id],
                ordered=tuple(_line(row, row.goods_minor, row.quantity) for row in of),
                left=tuple(_line(row, *_left(row)) for row in of),
            )
        )
    return found


def _left(row: Any) -> tuple[int, int]:
    """Amount and pieces that are left of a line: its worth before any discount, in the proportion in which its price is
    left; none of it once all its money went back. Of a line that was given away, what did not come back."""
    if row.price_minor:
        amount = row.goods_minor * (row.price_minor - row.refunded_goods_minor) // row.price_minor
    else:
        amount = row.goods_minor - row.own_back_minor
    return amount, max(0, row.quantity - row.gone) if amount or not row.goods_minor else 0


def _line(row: Any, amount_minor: int, quantity: int) -> Line:
    return Line(
        line_no=row.line_no,
        amount_minor=amount_minor,
        quantity=quantity,
        product_id=row.product_id,
        category=row.category,
    )


async def advance(tx: Tx, uptos: Mapping[int, int | None]) -> None:
    """Note how far the books of merchants, whose heads are held, were looked at; None: to their end."""
    await tx.execute(
        """
        INSERT INTO incentives.reward_cursor AS c (merchant_id, entry_no, changed_at)
        SELECT h.merchant_id, coalesce(k.upto, h.last_entry_no), :now
        FROM unnest(CAST(:merchants AS bigint[]), CAST(:uptos AS bigint[])) AS k (merchant_id, upto)
        JOIN billing.ledger_head h ON h.merchant_id = k.merchant_id
        ON CONFLICT (merchant_id) DO UPDATE SET entry_no = excluded.entry_no, changed_at = excluded.changed_at
        """,
        {"merchants": list(uptos), "uptos": list(uptos.values()), "now": tx.now},
    )
