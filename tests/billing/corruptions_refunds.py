"""What `test_verify` plants to have the proofs of refunds, disputes and credit fail, and the books it plants it in."""

from datetime import UTC, date, datetime

import msgspec
from sqlalchemy import insert

from billing.payments.facts import DisputeFact, DisputeState, payment_reference
from billing.payments.tables import payment, payment_part
from demand.tables import buyer
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.refunds.dispute_order import dispute_changed
from marketplace.flows.refunds.grant_credit import GrantCredit, grant_credit
from marketplace.flows.refunds.pay_refund import refund_settled
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import order
from tests.builders import PROCESSOR, Order, add_orders

ORDER, PAYMENT, BUYER = 8, 508, 1
AT = datetime(2018, 7, 10, 12, tzinfo=UTC)


async def add_refunds(db: Database, maker: str) -> None:
    """An order of merchant 3 that is not delivered: paid by card, some of it refunded and some disputed; a credit."""
    await db.write(WORKER, maker, _sell)
    line = RefundLine(1, 2_000)
    cmd = RefundOrder(merchant_id=3, order_id=ORDER, reason="late", lines=(line,), refunded_at=AT)
    done = await db.write(WORKER, maker, refund_order, cmd)
    await db.write(WORKER, maker, refund_settled, 3, done.refund_id, PAYMENT, ok=True, at=AT)
    fact = DisputeFact(
        dispute_ref="d", reference=payment_reference(BUYER, PAYMENT), state=DisputeState.OPENED, amount_minor=3_000,
        fee_minor=100, currency="EUR", occurred_at=AT,
    )  # fmt: skip
    await db.write(WORKER, maker, dispute_changed, PROCESSOR, fact)


async def _sell(tx: Tx) -> None:
    await tx.execute(insert(buyer), {"buyer_id": BUYER, "buyer_ref": "b1", "created_at": tx.now})
    await grant_credit(tx, GrantCredit(buyer_id=BUYER, currency="EUR", amount_minor=700, reason="test"))
    ends = GrantCredit(buyer_id=BUYER, currency="EUR", amount_minor=200, reason="test", expires_on=tx.now.date())
    await grant_credit(tx, ends)
    sold = _order()
    await add_orders(tx, [sold])
    row = {"buyer_id": BUYER, "payment_id": PAYMENT, "purchase_id": ORDER, "processor_id": PROCESSOR, "method": "card"}
    row |= {"currency": "EUR", "amount_minor": sold.gross_minor, "state": "captured", "created_at": AT}
    await tx.execute(insert(payment), {**row, "expires_at": AT})
    part = {"merchant_id": 3, "payment_id": PAYMENT, "order_id": ORDER, "buyer_id": BUYER, "currency": "EUR"}
    part |= {"processor_id": PROCESSOR, "amount_minor": sold.gross_minor, "state": "captured"}
    await tx.execute(insert(payment_part), part)


def _order() -> Order:
    return msgspec.structs.replace(order(3, ORDER, date(2018, 7, 9)), settles_at=None)


OF_CARD = "merchant_id = 3 AND order_id = 8"

REFUND_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a refund that nobody booked": (
        [
            """INSERT INTO demand.refund (merchant_id, refund_id, order_id, goods_minor, freight_minor, reason,
                   refunded_at)
               SELECT 1, 77, 1, 10, 0, 'late', refunded_at FROM demand.refund LIMIT 1"""
        ],
        {"refunds-are-entries", "given-back-is-refunds"},
    ),
    "a refund's line that is off": (
        [f"UPDATE demand.refund_line SET goods_minor = goods_minor + 1 WHERE {OF_CARD}"],
        {"refund-lines-are-refunds"},
    ),
    "an order's line that shrank too much": (
        ["UPDATE demand.order_line SET refunded_goods_minor = refunded_goods_minor + 1 WHERE order_id = 8"],
        {"refund-lines-are-refunds", "given-back-is-refunds", "pending-is-unsettled"},
    ),
    "a platform that got back what it never bore": (
        [
            f"UPDATE demand.refund SET platform_minor = -1 WHERE {OF_CARD}",
            f"UPDATE demand.refund_line SET merchant_goods_minor = merchant_goods_minor + 1 WHERE {OF_CARD}",
            "UPDATE demand.order_line SET refunded_goods_minor = refunded_goods_minor + 1 WHERE order_id = 8",
        ],
        {"regained-was-borne", "pending-is-unsettled"},
    ),
    "less captured than was given back": (
        [f"UPDATE billing.payment_part SET amount_minor = 4999 WHERE {OF_CARD}"],
        {"nothing-refunded-twice"},
    ),
    "a dispute beyond what is left": (
        [
            f"UPDATE demand.dispute SET amount_minor = 10001 WHERE {OF_CARD}",
            """UPDATE billing.entry SET amounts = ARRAY[10001, 100, -10101]
               WHERE merchant_id = 3 AND kind = 'dispute_opened'""",
        ],
        {"nothing-refunded-twice"},
    ),
    "more on its way than was refunded": (
        [
            """INSERT INTO billing.refund_payment SELECT merchant_id, refund_id, payment_id, way, attempt + 1, 77,
                   order_id, buyer_id, processor_id, currency, 1, 0, 'due', NULL, due_at, NULL
               FROM billing.refund_payment WHERE order_id = 8"""
        ],
        {"refund-payments-are-refunds"},
    ),
    "a payment of a refund that was not booked": (
        ["UPDATE billing.refund_payment SET transfer_id = 77 WHERE order_id = 8"],
        {"refund-payments-are-entries"},
    ),
    "a refund booked as paid that was not": (
        ["UPDATE billing.refund_payment SET state = 'due' WHERE order_id = 8"],
        {"refund-payments-are-entries"},
    ),
    "a dispute closed but not in the books": (
        [f"UPDATE demand.dispute SET state = 'won' WHERE {OF_CARD}"],
        {"disputes-are-entries"},
    ),
    "a fee that was never charged": (
        [f"UPDATE demand.refund SET fee_minor = 1 WHERE {OF_CARD}"],
        {"fees-are-entries"},
    ),
    "a buyer's credit that is off": (
        ["UPDATE billing.credit_account SET balance_minor = balance_minor + 1"],
        {"credit-is-ledger"},
    ),
    "a movement of credit that is off": (
        [
            """UPDATE billing.credit_movement SET amount_minor = amount_minor + 1
               WHERE source_id NOT IN (SELECT grant_id FROM billing.credit_grant)"""
        ],
        {"credit-is-ledger"},
    ),
    "a grant that was never made": (
        ["UPDATE billing.credit_grant SET grant_id = 77"],
        {"grants-are-credit"},
    ),
    "more left of a grant than the buyer has": (
        ["UPDATE billing.credit_grant SET left_minor = left_minor + 900"],
        {"grants-are-credit"},
    ),
}
