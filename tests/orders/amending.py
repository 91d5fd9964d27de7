"""A market with one paid order that can be amended, and short ways to amend it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert

from billing.contracts.terms import Terms
from billing.payments.tables import payment, payment_part
from demand.amendments.model import Add, Amendment, Changes, Reprice, TakeOff
from demand.lifecycle import Party
from demand.model import OrderLine
from demand.store import get_order, queue_delivered
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.orders.amend_order import DecideAmendment, ProposeAmendment, accept_amendment, propose_amendment
from marketplace.flows.orders.pay_amendment import charge_captured
from marketplace.flows.orders.price_amendment import By
from supply.tables import offer, product, stock
from tests.billing.market import FLAT
from tests.builders import PROCESSOR, Line, Order, add_market, add_orders

MERCHANT, ORDER, BUYER = 1, 1, 1
LAMP, CABLE, HIDDEN = 501, 502, 503
FREE = 5
"""Listings: a lamp at 25.00 with 1.00 freight, of which FREE are not promised to the order; a cable at 5.00, uncounted;
and one that is not listed.
"""

AS_MERCHANT, AS_BUYER, AS_PLATFORM = (
    By(party=Party.MERCHANT),
    By(party=Party.BUYER, buyer_id=BUYER),
    By(party=Party.PLATFORM),
)
ONE_LINE = (Line(goods_minor=12_000, category="toys"),)


async def _add(tx: Tx, lines: tuple[Line, ...], quantities: tuple[int, ...], terms: tuple[Terms, ...]) -> None:
    await add_market(tx, [MERCHANT])
    order = Order(merchant_id=MERCHANT, order_id=ORDER, lines=lines, settles_at=None)
    await add_orders(tx, [order])
    await apply_versions(tx, terms)
    for number, quantity in enumerate(quantities, start=1):
        await tx.execute(
            "UPDATE demand.order_line SET quantity = :quantity, product_id = :product WHERE line_no = :number",
            {"quantity": quantity, "number": number, "product": LAMP if number == 1 else None},
        )
    key = {"payment_id": 77, "buyer_id": BUYER, "processor_id": PROCESSOR, "currency": "EUR"}
    paid = {**key, "amount_minor": order.gross_minor, "state": "captured"}
    await tx.execute(insert(payment_part), {**paid, "merchant_id": MERCHANT, "order_id": ORDER})
    row = {"purchase_id": ORDER, "method": "card_visa", "created_at": tx.now, "expires_at": tx.now}
    await tx.execute(insert(payment), {**paid, **row, "captured_minor": order.gross_minor})
    await _add_listings(tx, quantities[0])


async def _add_listings(tx: Tx, lamps: int) -> None:
    for product_id, price, freight, state in (
        (LAMP, 2_500, 100, "listed"),
        (CABLE, 500, 0, "listed"),
        (HIDDEN, 900, 0, "hidden"),
    ):
        await tx.execute(
            insert(product), {"product_id": product_id, "product_ref": f"p{product_id}", "category": "toys"}
        )
        row = {"merchant_id": MERCHANT, "product_id": product_id, "currency": "EUR", "price_minor": price}
        row |= {"state": state, "title": f"product {product_id}", "freight_minor": freight, "updated_at": tx.now}
        row |= {"counted": product_id == LAMP}
        await tx.execute(insert(offer), row)
    units = {"on_hand": lamps + FREE, "reserved": lamps}
    await tx.execute(insert(stock), {"merchant_id": MERCHANT, "product_id": LAMP, **units})


async def add_paid_order(
    db: Database,
    lines: tuple[Line, ...] = ONE_LINE,
    quantities: tuple[int, ...] = (3,),
    terms: tuple[Terms, ...] = (FLAT,),
) -> None:
    """One merchant's paid order of May 1, 2018; its first line is of lamps, of which five more are on the shelf."""
    await db.write(WORKER, "test", _add, lines, quantities, terms)


def off(line_no: int, quantity: int) -> Changes:
    return Changes(take_off=(TakeOff(line_no=line_no, quantity=quantity),))


def more(product_id: int, quantity: int = 1) -> Changes:
    return Changes(add=(Add(product_id=product_id, quantity=quantity),))


def price_of(line_no: int, amount_minor: int) -> Changes:
    return Changes(reprice=(Reprice(line_no=line_no, amount_minor=amount_minor, reason="as agreed"),))


def both(one: Changes, other: Changes) -> Changes:
    return Changes(take_off=one.take_off + other.take_off, add=one.add + other.add, reprice=one.reprice + other.reprice)


async def version(db: Database) -> int:
    async with db.read(WORKER) as tx:
        found: int = await tx.scalar("SELECT version FROM demand.merchant_order WHERE order_id = :order", order=ORDER)
    return found


async def propose(db: Database, changes: Changes, by: By = AS_MERCHANT, **fields: Any) -> Amendment:
    fields.setdefault("base_version", await version(db))
    cmd = ProposeAmendment(
        merchant_id=MERCHANT, order_id=ORDER, by=by, changes=changes, reason="the buyer rang", **fields
    )
    return await db.write(WORKER, f"the {by.party}", propose_amendment, cmd)


def decision(held: Amendment, by: By = AS_BUYER, **fields: Any) -> DecideAmendment:
    fields.setdefault("base_version", held.base_version)
    return DecideAmendment(merchant_id=MERCHANT, order_id=ORDER, amendment_id=held.amendment_id, by=by, **fields)


async def accept(db: Database, held: Amendment, by: By = AS_BUYER, **fields: Any) -> Amendment:
    return await db.write(WORKER, f"the {by.party}", accept_amendment, decision(held, by, **fields))


async def payment_of(db: Database, held: Amendment) -> Any:
    async with db.read(WORKER) as tx:
        return await tx.row("SELECT * FROM billing.payment WHERE payment_id = :payment", payment=held.payment_id)


async def pay(db: Database, held: Amendment) -> Amendment:
    """The processor says that the difference is captured."""
    return await db.write(WORKER, "processor", charge_captured, await payment_of(db, held))


async def amend(db: Database, changes: Changes) -> Amendment:
    """Proposed by the merchant, accepted by the buyer, paid where something is to pay."""
    accepted = await accept(db, await propose(db, changes))
    return await pay(db, accepted) if accepted.delta_minor > 0 else accepted


async def lines_of(db: Database) -> list[OrderLine]:
    async with db.read(WORKER) as tx:
        return (await get_order(tx, MERCHANT, ORDER)).lines


def worth(lines: list[OrderLine]) -> int:
    """What is left of an order, in minor units."""
    return sum(
        line.goods_minor
        - line.discount_minor
        - line.refunded_goods_minor
        + line.freight_minor
        - line.refunded_freight_minor
        for line in lines
    )


async def deliver(db: Database, at: datetime = datetime(2018, 5, 3, 10, tzinfo=UTC)) -> None:
    """The whole order has arrived, by whatever way; it is due for settlement from then on."""
    await db.write(WORKER, "test", _deliver, at)


async def ship(tx: Tx, units: int, delivered: int = 0) -> None:
    """Lamps of the first line leave, and some arrive, without any move of the order."""
    where = {"units": units, "delivered": delivered, "lamp": LAMP}
    await tx.execute(
        "UPDATE demand.order_line SET shipped_quantity = :units, delivered_quantity = :delivered WHERE line_no = 1",
        where,
    )
    await tx.execute(
        "UPDATE supply.stock SET on_hand = on_hand - :units, reserved = reserved - :units WHERE product_id = :lamp",
        where,
    )


async def _deliver(tx: Tx, at: datetime) -> None:
    await tx.execute("UPDATE demand.order_line SET shipped_quantity = quantity - cancelled_quantity")
    await tx.execute("UPDATE supply.stock SET on_hand = on_hand - reserved, reserved = 0")
    await tx.execute(
        "UPDATE demand.merchant_order SET state = 'delivered', delivered_at = :at, delivered_on = :day",
        {"at": at, "day": at.date()},
    )
    await queue_delivered(tx, [MERCHANT], after_order_id=ORDER - 1, upto_order_id=ORDER)
