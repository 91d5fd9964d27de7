"""Purchases that several merchants deliver, paid by card, with counted stock; built straight into the tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select

from billing.contracts.terms import Terms
from billing.ledger import store as ledger
from billing.payments.tables import payment, payment_part
from demand.changes.store import note_change
from demand.model import OrderDetail
from demand.store import get_order
from demand.tables import buyer, merchant_order, order_line, purchase, purchase_ref
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.tables import placement
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.tables import metadata
from supply.tables import offer, product, stock
from tests.billing.market import FLAT
from tests.builders import ENTITY, PROCESSOR, Line, Order, add_market, paid

BUYER = 501
PLACED_AT = datetime(2018, 9, 1, 10, tzinfo=UTC)
SHELF = 100
"""Units of every product on every shelf before anything is sold."""


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order: units of a product; the amounts are of all of them."""

    quantity: int
    goods_minor: int
    freight_minor: int = 0
    discount_minor: int = 0
    product_id: int = 1


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """What one merchant sells of a purchase."""

    merchant_id: int
    order_id: int
    lines: tuple[Sold, ...]
    state: str = "paid"


def simple(merchant_id: int = 1, order_id: int = 1, quantity: int = 3, goods_minor: int = 12000) -> Bought:
    """One line of three units for 120.00."""
    return Bought(merchant_id=merchant_id, order_id=order_id, lines=(Sold(quantity=quantity, goods_minor=goods_minor),))


async def add_shop(
    tx: Tx, merchants: Sequence[int], *, zone: str = "UTC", products: Sequence[int] = (1, 2, 3), terms: Terms = FLAT
) -> None:
    """Merchants with full shelves, a buyer, a contract."""
    await add_market(tx, merchants, zone=zone)
    await tx.execute(insert(product), [{"product_id": p, "product_ref": f"p{p}"} for p in products])
    keys = [{"merchant_id": m, "product_id": p} for m in merchants for p in products]
    listed = {"currency": "EUR", "price_minor": 4000, "updated_at": tx.now, "counted": True}
    await tx.execute(insert(offer), [{**key, **listed} for key in keys])
    await tx.execute(insert(stock), [{**key, "on_hand": SHELF} for key in keys])
    await tx.execute(insert(buyer), {"buyer_id": BUYER, "buyer_ref": "buyer-501", "created_at": tx.now})
    await apply_versions(tx, [terms])


async def add_purchase(tx: Tx, purchase_id: int, orders: Sequence[Bought]) -> None:
    """One payment over the orders of a purchase; those that are placed still wait for it, without an entry."""
    key = {"buyer_id": BUYER, "purchase_id": purchase_id}
    ref = f"purchase-{purchase_id}"
    placed = {"currency": "EUR", "source_state": "paid", "placed_at": PLACED_AT, "order_ref": ref}
    await tx.execute(insert(purchase), {**key, **placed})
    await tx.execute(insert(purchase_ref), {**key, "order_ref": ref})
    total = sum(_as_order(one, ref).gross_minor for one in orders)
    is_paid = all(one.state == "paid" for one in orders)
    paid_with = {"payment_id": purchase_id, "processor_id": PROCESSOR, "currency": "EUR"}
    row = {**key, **paid_with, "method": "tok_test", "amount_minor": total, "created_at": PLACED_AT}
    row |= {"expires_at": PLACED_AT, "state": "captured" if is_paid else "authorised"}
    row |= {"captured_minor": total if is_paid else 0}
    await tx.execute(insert(payment), row)
    for one in orders:
        await _add_order(tx, one, ref, key)
        part = {"merchant_id": one.merchant_id, "order_id": one.order_id, "buyer_id": BUYER, **paid_with}
        part |= {"amount_minor": _as_order(one, ref).gross_minor, "state": "captured" if is_paid else "open"}
        await tx.execute(insert(payment_part), part)
    if is_paid:
        await ledger.post(tx, [paid(_as_order(one, ref)) for one in orders])


def _as_order(one: Bought, ref: str) -> Order:
    lines = tuple(
        Line(goods_minor=line.goods_minor, freight_minor=line.freight_minor, discount_minor=line.discount_minor)
        for line in one.lines
    )
    return Order(
        merchant_id=one.merchant_id,
        order_id=one.order_id,
        lines=lines,
        placed_at=PLACED_AT,
        settles_at=None,
        order_ref=ref,
    )


async def _add_order(tx: Tx, one: Bought, ref: str, of_purchase: dict[str, int]) -> None:
    key = {"merchant_id": one.merchant_id, "order_id": one.order_id}
    row = {**key, **of_purchase, "order_ref": ref, "entity_id": ENTITY, "currency": "EUR", "state": one.state}
    row |= {name: sum(getattr(line, name) for line in one.lines) for name in ("goods_minor", "freight_minor")}
    row |= {"discount_minor": sum(line.discount_minor for line in one.lines)}
    row |= {"placed_at": PLACED_AT, "purchased_on": PLACED_AT.date(), "expires_at": PLACED_AT}
    await tx.execute(insert(merchant_order), row)
    await note_change(tx, one.merchant_id, one.order_id)
    lines = [{**key, "line_no": n, **msgspec.structs.asdict(line)} for n, line in enumerate(one.lines, start=1)]
    await tx.execute(insert(order_line), lines)
    for line in one.lines:
        await tx.execute(
            """
            UPDATE supply.stock SET reserved = reserved + :quantity
            WHERE merchant_id = :merchant AND product_id = :product
            """,
            {"quantity": line.quantity, "merchant": one.merchant_id, "product": line.product_id},
        )


async def shop_with(db: Database, *orders: Bought, zone: str = "UTC") -> None:
    """A shop, and one purchase of these orders."""
    await db.write(WORKER, "test", add_shop, sorted({one.merchant_id for one in orders}), zone=zone)
    await db.write(WORKER, "test", add_purchase, 1, orders)


async def read_order(db: Database, merchant_id: int = 1, order_id: int = 1) -> OrderDetail:
    async with db.read(WORKER) as tx:
        return await get_order(tx, merchant_id, order_id)


async def shelf(db: Database, merchant_id: int = 1, product_id: int = 1) -> tuple[int, int]:
    """Units on the shelf, and how many of them are promised."""
    async with db.read(WORKER) as tx:
        row = await tx.row(
            select(stock.c.on_hand, stock.c.reserved).where(
                stock.c.merchant_id == merchant_id, stock.c.product_id == product_id
            )
        )
    assert row is not None
    return row.on_hand, row.reserved


async def rows_of(db: Database, merchant_id: int) -> dict[str, list[Any]]:
    """Every row of every table that belongs to a merchant."""
    owned = [table for table in metadata.sorted_tables if placement(table).distributed_by == "merchant_id"]
    async with db.read(WORKER) as tx:
        return {
            table.fullname: [
                tuple(row)
                for row in await tx.rows(
                    select(table).where(table.c.merchant_id == merchant_id).order_by(*table.primary_key.columns)
                )
            ]
            for table in owned
        }
