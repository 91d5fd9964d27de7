"""Every statement on buyers and their carts."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from demand.carts.model import Cart, CartLine
from demand.tables import buyer, buyer_ref, cart, cart_line
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer. buyer_ref is its id in the shop, unique; version counts its changes."""

    buyer_id: int
    buyer_ref: str
    name: str
    city: str
    region: str
    version: int


_BUYER = [buyer.c[name] for name in Buyer.__struct_fields__]


async def insert_buyer(tx: Tx, *, ref: str | None, name: str, city: str, region: str) -> Buyer:
    """A new buyer; without a ref of its own its id serves as one. Raises Conflict for a ref that is taken."""
    buyer_id = time_ordered_id(tx.now)
    new = Buyer(buyer_id=buyer_id, buyer_ref=ref or f"b{buyer_id}", name=name, city=city, region=region, version=1)
    try:
        await tx.execute(insert(buyer_ref), {"buyer_ref": new.buyer_ref, "buyer_id": buyer_id})
    except IntegrityError as fault:
        raise Conflict(f"buyer_ref: {new.buyer_ref!r} is taken", pointer="/buyer_ref") from fault
    await tx.execute(insert(buyer), msgspec.structs.asdict(new) | {"created_at": tx.now})
    return new


async def get_buyer(tx: Tx, buyer_id: int) -> Buyer:
    """Raises NotFound."""
    row = await tx.row(select(*_BUYER).where(buyer.c.buyer_id == buyer_id))
    if row is None:
        raise NotFound(f"there is no buyer {buyer_id}")
    return Buyer(**row._mapping)


async def list_buyers(tx: Tx, *, limit: int, after: int = 0, ref: str | None = None) -> list[Buyer]:
    """At most `limit` buyers in the order of their ids, those behind the id `after`; or the one with a ref."""
    query = select(*_BUYER).where(buyer.c.buyer_id > after).order_by(buyer.c.buyer_id).limit(limit)
    if ref is not None:
        known = await tx.scalar(select(buyer_ref.c.buyer_id).where(buyer_ref.c.buyer_ref == ref))
        query = query.where(buyer.c.buyer_id == known)
    return [Buyer(**row._mapping) for row in await tx.rows(query)]


async def lock_buyer(tx: Tx, buyer_id: int) -> Buyer:
    """A buyer, held until the transaction ends. Raises NotFound."""
    row = await tx.row(select(*_BUYER).where(buyer.c.buyer_id == buyer_id).with_for_update())
    if row is None:
        raise NotFound(f"there is no buyer {buyer_id}")
    return Buyer(**row._mapping)


async def update_buyer(tx: Tx, changed: Buyer) -> Buyer:
    """Store a locked buyer's new name and place as its next version."""
    new = msgspec.structs.replace(changed, version=changed.version + 1)
    values = {"name": new.name, "city": new.city, "region": new.region, "version": new.version}
    await tx.execute(update(buyer).where(buyer.c.buyer_id == new.buyer_id).values(values))
    return new


_CART = [cart.c[name] for name in Cart.__struct_fields__ if name != "lines"]


async def insert_cart(tx: Tx, buyer_id: int, currency: str, lines: Sequence[CartLine]) -> Cart:
    """A new open cart of an existing buyer. Raises NotFound."""
    await get_buyer(tx, buyer_id)
    key = {"buyer_id": buyer_id, "cart_id": time_ordered_id(tx.now)}
    await tx.execute(insert(cart), {**key, "currency": currency, "created_at": tx.now, "updated_at": tx.now})
    await _insert_lines(tx, key, lines)
    return await get_cart(tx, buyer_id, key["cart_id"])


async def get_cart(tx: Tx, buyer_id: int, cart_id: int, *, lock: bool = False) -> Cart:
    """A buyer's cart with its lines by merchant and product; `lock` holds it. Raises NotFound."""
    query = select(*_CART).where(cart.c.buyer_id == buyer_id, cart.c.cart_id == cart_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"buyer {buyer_id} has no cart {cart_id}")
    lines = await tx.rows(
        select(cart_line.c.merchant_id, cart_line.c.product_id, cart_line.c.quantity)
        .where(cart_line.c.buyer_id == buyer_id, cart_line.c.cart_id == cart_id)
        .order_by(cart_line.c.merchant_id, cart_line.c.product_id)
    )
    return Cart(**row._mapping, lines=[CartLine(**line._mapping) for line in lines])


async def list_carts(tx: Tx, buyer_id: int, *, limit: int, before: int | None = None) -> list[Cart]:
    """At most `limit` of a buyer's carts, the newest first, those behind the id `before`."""
    query = select(cart.c.cart_id).where(cart.c.buyer_id == buyer_id).order_by(cart.c.cart_id.desc()).limit(limit)
    if before is not None:
        query = query.where(cart.c.cart_id < before)
    return [await get_cart(tx, buyer_id, row.cart_id) for row in await tx.rows(query)]


async def replace_lines(tx: Tx, locked: Cart, lines: Sequence[CartLine]) -> Cart:
    """Give a locked open cart other lines. Raises Conflict for one that is placed or dropped."""
    _check_open(locked)
    key = {"buyer_id": locked.buyer_id, "cart_id": locked.cart_id}
    await tx.execute(
        "DELETE FROM demand.cart_line WHERE buyer_id = :buyer_id AND cart_id = :cart_id",
        key,
    )
    await _insert_lines(tx, key, lines)
    return await _next_version(tx, locked, {})


async def drop_cart(tx: Tx, locked: Cart) -> Cart:
    """Give up a locked open cart. Raises Conflict."""
    _check_open(locked)
    return await _next_version(tx, locked, {"state": "dropped"})


def _check_open(locked: Cart) -> None:
    if locked.state != "open":
        raise Conflict(f"cart {locked.cart_id} is {locked.state}: it cannot be changed any more", state=locked.state)


async def _next_version(tx: Tx, locked: Cart, values: dict[str, Any]) -> Cart:
    of_cart = (cart.c.buyer_id == locked.buyer_id) & (cart.c.cart_id == locked.cart_id)
    values = {**values, "version": locked.version + 1, "updated_at": tx.now}
    await tx.execute(update(cart).where(of_cart).values(values))
    return await get_cart(tx, locked.buyer_id, locked.cart_id)


async def _insert_lines(tx: Tx, key: dict[str, int], lines: Sequence[CartLine]) -> None:
    if lines:
        await tx.execute(insert(cart_line), [{**key, **msgspec.structs.asdict(line)} for line in lines])
