"""A market with listings and stock, and carts to be placed."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from demand.carts import store
from demand.carts.model import Cart, CartLine
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.idempotency import Ticket
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.quote_cart import quote_cart
from marketplace.flows.orders.read_placed import Placed
from supply.tables import offer, stock
from tests.builders import add_market

ALPHA, BETA = 11, 22
BUYER = 501
TEA, CUP, LAMP, MUG = 1, 2, 3, 4
PROCESSOR = "simulator"
AT = datetime(2018, 5, 1, 10, tzinfo=UTC)
LISTINGS = (
    # merchant, product, title, price, freight, on hand (None: not counted)
    (ALPHA, TEA, "Tea", 1_250, 300, 10),
    (ALPHA, CUP, "Cup", 799, 0, None),
    (BETA, LAMP, "Lamp", 5_000, 900, 3),
    (BETA, MUG, "Mug", 450, 100, 100),
)


async def add_listings(tx: Tx) -> None:
    """Two live merchants with two listings each, one buyer, and the processor `simulator`."""
    await add_market(tx, [ALPHA, BETA])
    await tx.execute("INSERT INTO billing.processor VALUES (2, 'simulator')")
    for merchant_id, product_id, title, price, freight, on_hand in LISTINGS:
        key = {"merchant_id": merchant_id, "product_id": product_id}
        row = {"currency": "EUR", "price_minor": price, "freight_minor": freight, "title": title, "updated_at": tx.now}
        await tx.execute(insert(offer), {**key, **row, "counted": on_hand is not None})
        if on_hand is not None:
            await tx.execute(insert(stock), {**key, "on_hand": on_hand})
    await tx.execute(
        "INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at) VALUES (:buyer, 'ben', :now)",
        {"buyer": BUYER, "now": tx.now},
    )
    await tx.execute("INSERT INTO demand.buyer_ref (buyer_ref, buyer_id) VALUES ('ben', :buyer)", {"buyer": BUYER})


async def prepare(db: Database) -> None:
    await db.write(WORKER, "test", add_listings)


def line(merchant_id: int, product_id: int, quantity: int = 1) -> CartLine:
    return CartLine(merchant_id=merchant_id, product_id=product_id, quantity=quantity)


async def new_cart(db: Database, *lines: CartLine, currency: str = "EUR") -> Cart:
    return await db.write(WORKER, "shop", store.insert_cart, BUYER, currency, lines)


def ticket(key: str = "k1", body: bytes = b"") -> Ticket:
    return Ticket("shop", key, body.ljust(32, b"."), 201)


async def command(db: Database, cart: Cart, *, method: str = "tok_ok", credit_minor: int = 0) -> PlaceOrder:
    """Place this cart at what it costs now."""
    async with db.read(WORKER) as tx:
        quote = await quote_cart(tx, cart)
    return PlaceOrder(
        buyer_id=cart.buyer_id,
        cart_id=cart.cart_id,
        quote=quote.quote,
        method=method,
        credit_minor=credit_minor,
        processor=PROCESSOR,
    )


async def place(db: Database, cart: Cart, key: str = "k1", *, credit_minor: int = 0) -> Placed:
    cmd = await command(db, cart, credit_minor=credit_minor)
    answer = await db.write(WORKER, "shop", place_order, ticket(key), cmd, citus=db.citus)
    return msgspec.json.decode(answer.body, type=Placed)


async def stock_of(db: Database, merchant_id: int, product_id: int) -> tuple[int, int]:
    """On hand and reserved."""
    async with db.read(WORKER) as tx:
        row = await tx.row(
            "SELECT on_hand, reserved FROM supply.stock WHERE merchant_id = :m AND product_id = :p",
            m=merchant_id,
            p=product_id,
        )
    assert row is not None
    return row.on_hand, row.reserved


class Counting:
    """A transaction that notes every statement sent through it."""

    def __init__(self, tx: Any, sent: list[str]) -> None:
        self._tx, self._sent = tx, sent
        self.raw = self

    def __getattr__(self, name: str) -> Any:
        if name in {"now", "actor"}:
            return getattr(self._tx, name)

        async def send(sql: str, *given: Any) -> Any:
            self._sent.append(sql)
            return await getattr(self._tx.raw, name)(sql, *given)

        return send
