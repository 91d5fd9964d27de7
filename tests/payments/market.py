"""A purchase that waits for its payment, built straight into the tables, and what a processor says of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from billing.payments import store as payments
from billing.payments.facts import PaymentFact, PaymentState, payment_reference
from billing.payments.tables import credit_account, credit_movement, payment, payment_part
from demand.changes.store import note_change
from demand.lifecycle import Move, Party
from demand.store import lock_order
from demand.tables import merchant_order, order_line, purchase
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.ids import time_ordered_id
from marketplace.flows.orders.release_order import release_unpaid
from tests.builders import ENTITY, HOUSE, PROCESSOR, add_market
from tests.conftest import NOW

BUYER = 5
MERCHANTS = (11, 22, 33)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant's order of the purchase costs: by card, and out of the buyer's credit."""

    merchant_id: int
    card_minor: int
    credit_minor: int = 0


A, B, C = (Part(merchant_id=m, card_minor=minor) for m, minor in zip(MERCHANTS, (12000, 3001, 500), strict=True))


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as placed: its payment, and order ids by merchant."""

    buyer_id: int
    payment_id: int
    orders: dict[int, int]
    amount_minor: int

    @property
    def reference(self) -> str:
        return payment_reference(self.buyer_id, self.payment_id)


async def add_merchants(tx: Tx) -> None:
    await add_market(tx, MERCHANTS)


async def add_credit(tx: Tx, minor: int) -> None:
    """The buyer gets credit, as a rebate is issued: posting G, its first line."""
    source = time_ordered_id(tx.now)
    entry = NewEntry(
        merchant_id=HOUSE, kind="credit_granted", source_id=source, currency="EUR", occurred_at=tx.now,
        effective_on=tx.now.date(),
        legs=legs(
            {Account.INCENTIVE_COST: minor, Account.BUYER_CREDIT: -minor}, dimensions={Account.BUYER_CREDIT: BUYER}
        ),
    )  # fmt: skip
    await ledger.post(tx, [entry])
    await tx.execute(insert(credit_account), {"buyer_id": BUYER, "currency": "EUR", "balance_minor": minor})
    row = {"buyer_id": BUYER, "movement_id": source, "currency": "EUR", "kind": "granted", "amount_minor": minor}
    await tx.execute(insert(credit_movement), row | {"source_id": source, "at": tx.now, "actor": tx.actor})


async def place(tx: Tx, parts: Sequence[Part], method: str = "tok_ok", processor_id: int = PROCESSOR) -> Placed:
    """What the placement leaves behind: orders, the payment, its parts, and the command to authorise."""
    purchase_id, payment_id = time_ordered_id(tx.now), time_ordered_id(tx.now)
    expires_at = tx.now + timedelta(minutes=30)
    bought: dict[str, Any] = {
        "buyer_id": BUYER,
        "purchase_id": purchase_id,
        "order_ref": f"p-{purchase_id}",
        "currency": "EUR",
    }
    await tx.execute(insert(purchase), bought | {"source_state": "placed", "placed_at": tx.now})
    card, credit = sum(part.card_minor for part in parts), sum(part.credit_minor for part in parts)
    paid: dict[str, Any] = {
        "buyer_id": BUYER,
        "payment_id": payment_id,
        "purchase_id": purchase_id,
        "processor_id": processor_id,
    }
    paid |= {"method": method, "currency": "EUR", "amount_minor": card, "credit_minor": credit, "state": "created"}
    await tx.execute(insert(payment), paid | {"created_at": tx.now, "expires_at": expires_at})
    orders = {}
    for part in parts:
        order_id = orders[part.merchant_id] = time_ordered_id(tx.now)
        key = {"merchant_id": part.merchant_id, "order_id": order_id}
        row: dict[str, Any] = {
            "order_ref": bought["order_ref"],
            "purchase_id": purchase_id,
            "buyer_id": BUYER,
            "entity_id": ENTITY,
        }
        row |= {"currency": "EUR", "state": "placed", "goods_minor": part.card_minor + part.credit_minor}
        row |= {"freight_minor": 0, "placed_at": tx.now, "purchased_on": tx.now.date(), "expires_at": expires_at}
        await tx.execute(insert(merchant_order), key | row)
        await note_change(tx, part.merchant_id, order_id)
        line: dict[str, Any] = {"line_no": 1, "quantity": 2, "goods_minor": row["goods_minor"], "freight_minor": 0}
        await tx.execute(insert(order_line), key | line)
        share: dict[str, Any] = {
            "payment_id": payment_id,
            "buyer_id": BUYER,
            "processor_id": processor_id,
            "currency": "EUR",
        }
        share |= {"amount_minor": part.card_minor, "credit_minor": part.credit_minor}
        await tx.execute(insert(payment_part), key | share)
    if credit:
        await tx.execute(
            "UPDATE billing.credit_account SET reserved_minor = reserved_minor + :credit WHERE buyer_id = :buyer",
            {"credit": credit, "buyer": BUYER},
        )
    if card:
        await payments.command(
            tx, "authorise", processor_id=processor_id, buyer_id=BUYER, payment_id=payment_id, currency="EUR",
            amount_minor=card, method=method,
        )  # fmt: skip
    return Placed(buyer_id=BUYER, payment_id=payment_id, orders=orders, amount_minor=card)


async def cancel(tx: Tx, placed: Placed, merchant_id: int) -> None:
    """The buyer changes its mind about one merchant's order, before it is paid."""
    order = await lock_order(tx, merchant_id, placed.orders[merchant_id])
    await release_unpaid(tx, order, Move.CANCEL, Party.BUYER, reason="changed mind")


def fact(
    placed: Placed, state: PaymentState, minor: int | None = None, failure: str | None = None, at: datetime = NOW
) -> PaymentFact:
    return PaymentFact(
        reference=placed.reference, state=state, amount_minor=placed.amount_minor if minor is None else minor,
        currency="EUR", processor_ref="pay_1", occurred_at=at, failure=failure,
    )  # fmt: skip


async def states(db: Database, placed: Placed) -> dict[int, str]:
    """The orders' states by merchant."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT merchant_id, state FROM demand.merchant_order WHERE order_id = ANY(CAST(:orders AS bigint[]))",
            orders=list(placed.orders.values()),
        )
    return {row.merchant_id: row.state for row in rows}


async def commands(db: Database, placed: Placed) -> list[tuple[str, int, str]]:
    """What the processor is told of a payment: kind, amount, state."""
    async with db.read(WORKER) as tx:
        detail = await payments.get_detail(tx, placed.payment_id)
    return [(command.kind, command.amount_minor, command.state) for command in detail.commands]


async def booked(db: Database, merchant_id: int) -> list[tuple[str, dict[int, int]]]:
    """The kinds and legs of a merchant's entries, the oldest first."""
    async with db.read(WORKER) as tx:
        found = await ledger.list_entries(tx, merchant_id)
    return [(one.kind, {leg.account: leg.amount_minor for leg in one.legs}) for one in reversed(found)]


async def balances(db: Database, merchant_id: int) -> dict[tuple[int, int], int]:
    """What a merchant's accounts stand at, by account and dimension."""
    async with db.read(WORKER) as tx:
        found = await ledger.balances(tx, merchant_id)
    return {(one.account, one.dimension): one.balance_minor for one in found}


async def row(db: Database, statement: str, **values: Any) -> Any:
    async with db.read(WORKER) as tx:
        return await tx.row(statement, **values)
