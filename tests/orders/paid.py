"""Orders that were paid through a processor and with credit, as the payment's flows would leave them."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from billing.payments.tables import payment, payment_part
from billing.refunds import store as refund_payments
from billing.refunds.store import RefundPayment
from demand.lifecycle import Party
from demand.tables import buyer
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.grant_credit import GrantCredit, grant_credit
from marketplace.flows.refunds.pay_refund import refund_settled
from marketplace.flows.refunds.refund_order import Refunded, RefundLine, RefundOrder, refund_order
from tests.billing.market import FLAT
from tests.builders import HOUSE, PROCESSOR, Line, Order, add_market, add_orders
from tests.conftest import NOW

BUYER = 1
PAYMENT = 500
THROUGH = date(2018, 6, 30)


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """An order of merchants in one purchase: its gross was paid by card but for credit_minor. fee_minor: see part."""

    order: Order
    credit_minor: int = 0
    fee_minor: int = 0


def of(merchant_id: int, order_id: int, *lines: Line, delivered: bool = True) -> Order:
    given = lines or (Line(goods_minor=12_000),)
    made = Order(merchant_id=merchant_id, order_id=order_id, lines=given, order_ref="p1")
    return made if delivered else msgspec.structs.replace(made, settles_at=None)


async def paid_market(tx: Tx, sold: Sequence[Paid], payment_id: int = PAYMENT) -> None:
    """Merchants 1 to 3 with 10 % commission and 20 % VAT; one purchase of one buyer, paid at once and captured."""
    await add_market(tx, [1, 2, 3])
    await apply_versions(tx, [FLAT])
    await tx.execute(insert(buyer), {"buyer_id": BUYER, "buyer_ref": "b1", "created_at": tx.now})
    await add_purchase(tx, sold, payment_id)


async def add_purchase(tx: Tx, sold: Sequence[Paid], payment_id: int) -> None:
    credit = sum(one.credit_minor for one in sold)
    if credit:
        await grant_credit(tx, GrantCredit(buyer_id=BUYER, currency="EUR", amount_minor=credit, reason="to be used"))
        await _use_credit(tx, sold, payment_id)
    await add_orders(tx, [one.order for one in sold])
    for one in sold:
        await tx.execute(
            "UPDATE demand.merchant_order SET purchase_id = :purchase, buyer_id = 1 WHERE order_id = :order",
            {"purchase": payment_id, "order": one.order.order_id},
        )
    gross = sum(one.order.gross_minor for one in sold)
    row: dict[str, Any] = {
        "buyer_id": BUYER,
        "payment_id": payment_id,
        "purchase_id": payment_id,
        "processor_id": PROCESSOR,
    }
    row |= {"method": "card", "currency": "EUR", "amount_minor": gross - credit, "credit_minor": credit}
    row |= {"state": "captured", "created_at": NOW, "expires_at": NOW + timedelta(days=1), "captured_at": NOW}
    await tx.execute(insert(payment), {**row, "captured_minor": gross - credit})
    parts = [
        {
            "merchant_id": one.order.merchant_id,
            "payment_id": payment_id,
            "order_id": one.order.order_id,
            "buyer_id": BUYER,
            "processor_id": PROCESSOR,
            "currency": "EUR",
            "amount_minor": one.order.gross_minor - one.credit_minor,
            "credit_minor": one.credit_minor,
            "state": "captured",
            "captured_minor": one.order.gross_minor - one.credit_minor,
            "fee_minor": one.fee_minor,
        }
        for one in sold
    ]
    await tx.execute(insert(payment_part), parts)


async def _use_credit(tx: Tx, sold: Sequence[Paid], payment_id: int) -> None:
    """Posting G: credit pays; the builders' own entry says card, so the difference is booked beside it."""
    credit = sum(one.credit_minor for one in sold)
    for merchant_id, amount in [(HOUSE, -credit)] + [(one.order.merchant_id, one.credit_minor) for one in sold]:
        account = Account.BUYER_CREDIT if merchant_id == HOUSE else Account.PROCESSOR_CLEARING
        dimension = BUYER if merchant_id == HOUSE else PROCESSOR
        if amount == 0:
            continue
        used = NewEntry(
            merchant_id=merchant_id,
            kind="credit_used",
            source_id=payment_id,
            currency="EUR",
            occurred_at=NOW,
            effective_on=NOW.date(),
            legs=legs(
                {Account.CONTROL: amount, account: -amount},
                dimensions={Account.CONTROL: payment_id, account: dimension},
            ),
        )
        await ledger.post(tx, [used])
    await tx.execute("UPDATE billing.credit_account SET balance_minor = balance_minor - :used", {"used": credit})
    await tx.execute(
        """
        INSERT INTO billing.credit_movement (buyer_id, movement_id, currency, kind, amount_minor, source_id, at, actor)
        VALUES (:buyer, :payment, 'EUR', 'used', :used, :payment, :at, 'test')
        """,
        {"buyer": BUYER, "payment": payment_id, "used": -credit, "at": NOW},
    )


async def market(db: Database, *sold: Paid, settled: bool = False) -> None:
    await db.write(WORKER, "test", paid_market, sold)
    if settled:
        await settle_through(db, "test", THROUGH)


async def refund(
    db: Database,
    *lines: RefundLine,
    reason: str = "damaged",
    initiator: Party = Party.PLATFORM,
    goodwill: int | None = None,
    merchant_id: int = 1,
    order_id: int = 1,
) -> Refunded:
    """Everything when neither lines nor goodwill is named."""
    cmd = RefundOrder(
        merchant_id=merchant_id,
        order_id=order_id,
        reason=reason,
        lines=lines or None,
        goodwill_minor=goodwill,
        initiator=initiator,
    )
    return await db.write(WORKER, "test", refund_order, cmd)


async def says(db: Database, done: Refunded, *, ok: bool, after: int = 0, payment_id: int = PAYMENT) -> None:
    """The processor says of a refund that it was paid or that it failed, so many minutes after NOW."""
    at = NOW + timedelta(minutes=after)
    await db.write(
        WORKER, "test", refund_settled, 1, done.refund_id, payment_id, ok=ok, failure=None if ok else "closed", at=at
    )


async def entry(db: Database, kind: str, merchant_id: int = 1, nth: int = 0) -> dict[int, int]:
    """The legs of a merchant's n-th entry of a kind."""
    async with db.read(WORKER) as tx:
        entries = [one for one in await ledger.list_entries(tx, merchant_id, limit=200) if one.kind == kind]
    assert len(entries) > nth, f"no {kind} entry {nth}"
    return {leg.account: leg.amount_minor for leg in entries[::-1][nth].legs}


async def count(db: Database, kind: str, merchant_id: int = 1) -> int:
    async with db.read(WORKER) as tx:
        return sum(one.kind == kind for one in await ledger.list_entries(tx, merchant_id, limit=200))


async def balances(db: Database, merchant_id: int = 1) -> dict[int, int]:
    async with db.read(WORKER) as tx:
        return {one.account: one.balance_minor for one in await ledger.balances(tx, merchant_id)}


async def sent(db: Database, done: Refunded) -> list[RefundPayment]:
    async with db.read(WORKER) as tx:
        return await refund_payments.of_refund(tx, 1, done.refund_id)


async def commands(db: Database) -> list[tuple[int, int]]:
    """What the processor has to be told to refund: payment and amount."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT payment_id, amount_minor FROM billing.payment_command WHERE kind = 'refund' ORDER BY command_id"
        )
    return [(row.payment_id, row.amount_minor) for row in rows]
