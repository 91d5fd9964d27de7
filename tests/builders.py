"""Small markets built straight into the tables, for tests that are not about how orders get in."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
from sqlalchemy import insert

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from billing.ledger.tables import entity, processor
from demand.changes.store import note_merchants
from demand.store import queue_delivered
from demand.tables import merchant_order, order_line
from marketplace.core.db import Tx
from supply.tables import merchant, merchant_ref

ENTITY = 1
HOUSE = -1
PROCESSOR = 1


class Line(msgspec.Struct, frozen=True, kw_only=True):
    goods_minor: int
    freight_minor: int = 0
    discount_minor: int = 0
    category: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a merchant; delivered (and due) when settles_at is given. Instants are UTC, so is the market."""

    merchant_id: int
    order_id: int
    lines: tuple[Line, ...]
    placed_at: datetime = datetime(2018, 5, 1, 10, tzinfo=UTC)
    settles_at: datetime | None = datetime(2018, 5, 3, 10, tzinfo=UTC)
    order_ref: str = ""

    @property
    def ref(self) -> str:
        return self.order_ref or f"order-{self.order_id}"

    @property
    def gross_minor(self) -> int:
        return sum(line.goods_minor + line.freight_minor - line.discount_minor for line in self.lines)


async def add_market(tx: Tx, merchants: Sequence[int], *, currency: str = "EUR", zone: str = "UTC") -> None:
    """One entity with a house, and merchants `m<id>` with open books."""
    await tx.execute(
        insert(entity),
        {"entity_id": ENTITY, "name": "Test", "currency": currency, "zone": zone, "house_merchant_id": HOUSE},
    )
    await tx.execute(insert(processor), {"processor_id": PROCESSOR, "name": "card"})
    rows = [{"merchant_id": m, "merchant_ref": f"m{m}"} for m in merchants]
    await tx.execute(insert(merchant_ref), rows)
    named = [{**row, "name": row["merchant_ref"], "entity_id": ENTITY, "created_at": tx.now} for row in rows]
    await tx.execute(insert(merchant), named)
    await ledger.open_books(tx, [HOUSE, *merchants], ENTITY)


async def add_orders(tx: Tx, orders: Sequence[Order], *, currency: str = "EUR") -> None:
    """Paid orders with their entries; those with settles_at are delivered and wait for settlement."""
    for order in orders:
        delivered = order.settles_at is not None
        key = {"merchant_id": order.merchant_id, "order_id": order.order_id}
        row = {
            **key,
            "order_ref": order.ref,
            "purchase_id": order.order_id,
            "buyer_id": 1,
            "entity_id": ENTITY,
            "currency": currency,
            "state": "delivered" if delivered else "paid",
            "goods_minor": sum(line.goods_minor for line in order.lines),
            "freight_minor": sum(line.freight_minor for line in order.lines),
            "discount_minor": sum(line.discount_minor for line in order.lines),
            "placed_at": order.placed_at,
            "purchased_on": order.placed_at.date(),
            "delivered_at": order.settles_at,
            "delivered_on": order.settles_at.date() if order.settles_at else None,
        }
        await tx.execute(insert(merchant_order), row)
        lines = [
            {**key, "line_no": number, "quantity": 1, **msgspec.structs.asdict(line)}
            for number, line in enumerate(order.lines, start=1)
        ]
        await tx.execute(insert(order_line), lines)
        await queue_delivered(tx, [order.merchant_id], after_order_id=order.order_id - 1, upto_order_id=order.order_id)
    await note_merchants(tx, sorted({order.merchant_id for order in orders}))
    await ledger.post(tx, [paid(order, currency) for order in orders if order.gross_minor])


def paid(order: Order, currency: str = "EUR") -> NewEntry:
    """Posting A or C: the buyer paid the order by card."""
    return NewEntry(
        merchant_id=order.merchant_id,
        kind="order_paid",
        source_id=order.order_id,
        currency=currency,
        occurred_at=order.placed_at,
        effective_on=order.placed_at.date(),
        legs=legs(
            {Account.PROCESSOR_CLEARING: order.gross_minor, Account.PENDING: -order.gross_minor},
            dimensions={Account.PROCESSOR_CLEARING: PROCESSOR},
        ),
    )


def month_end(day: date) -> date:
    """The last day of the month of `day`."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
