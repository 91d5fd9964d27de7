"""Give buyers what they are owed: through the processor, or into their credit; and what to do when that fails.

A refund that failed is still owed and still counts as refunded. It is retried, turned into credit, or taken back, each
by somebody's decision; or a lost dispute has paid it. While a dispute holds the same money nothing is sent again.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec

from billing import postings
from billing.credit import store as credit
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from billing.payments.charges import store as charges
from billing.payments.model import CASH
from billing.payments.store import command
from billing.refunds import store
from billing.refunds.store import RefundPayment
from demand.model import Order
from demand.store import lock_order
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.flows.refunds.book_refund import mirror, post
from marketplace.flows.refunds.read_funds import funds_of, loss_of


class RefundKey(msgspec.Struct, frozen=True):
    """Names a refund."""

    merchant_id: int
    refund_id: int


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a processor says that it was to give back."""

    processor_id: int
    currency: str
    amount_minor: int


async def send_back(tx: Tx, order: Order, refund_id: int, amount_minor: int) -> None:
    """Give a refund back to the order's payments, the newest first, and of each the processor's money first.

    What is credited is there at once, the rest when the processor says so. What was paid in cash is credited, too:
    the merchant has it and owes it to the platform, and no processor ever had it. An order without payments keeps it
    owed.
    """
    used = await store.used_by_payment(tx, order.merchant_id, order.order_id)
    disputed = await _disputed(tx, order)
    for part in await store.captured_parts(tx, order.merchant_id, order.order_id):
        taken = used.get((part.payment_id, "card"), 0) + disputed.get(part.payment_id, 0)
        card = min(amount_minor, max(0, part.amount_minor - taken))
        amount_minor -= card
        into_credit = min(amount_minor, max(0, part.credit_minor - used.get((part.payment_id, "credit"), 0)))
        amount_minor -= into_credit
        in_cash = card > 0 and await charges.method_of(tx, part.buyer_id, part.payment_id) == CASH
        for way, share in (("card", card), ("credit", into_credit)):
            if share == 0:
                continue
            state = "due" if way == "card" and not in_cash else "credited"
            payment = RefundPayment(
                merchant_id=order.merchant_id,
                refund_id=refund_id,
                payment_id=part.payment_id,
                way=way,
                attempt=1,
                transfer_id=time_ordered_id(tx.now),
                order_id=order.order_id,
                buyer_id=part.buyer_id,
                processor_id=part.processor_id,
                currency=part.currency,
                amount_minor=share,
                covered_minor=0,
                state=state,
                failure=None,
                due_at=tx.now,
                said_at=None,
            )
            await store.add(tx, payment)
            await (_tell(tx, payment) if state == "due" else _credit(tx, order, payment))


async def _disputed(tx: Tx, order: Order) -> dict[int, int]:
    rows = await tx.rows(
        """
        SELECT payment_id, sum(amount_minor)::bigint AS disputed FROM demand.dispute
        WHERE merchant_id = :merchant AND order_id = :order AND state IN ('open', 'lost') GROUP BY payment_id
        """,
        merchant=order.merchant_id,
        order=order.order_id,
    )
    return {row.payment_id: row.disputed for row in rows}


async def _tell(tx: Tx, payment: RefundPayment) -> None:
    await command(
        tx,
        "refund",
        processor_id=payment.processor_id,
        buyer_id=payment.buyer_id,
        payment_id=payment.payment_id,
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        merchant_id=payment.merchant_id,
        refund_id=payment.refund_id,
    )


async def _credit(tx: Tx, order: Order, payment: RefundPayment) -> None:
    """Turn what is owed into the buyer's credit: out of the merchant's books, through a batch, into the house's."""
    house = await tx.row(
        "SELECT house_merchant_id, zone FROM billing.entity WHERE entity_id = :entity", entity=order.entity_id
    )
    assert house is not None
    amount, batch = payment.owed_minor, payment.transfer_id
    sides = (
        (order.merchant_id, postings.refund_credited(amount, batch)),
        (house.house_merchant_id, postings.credit_received(amount, batch, payment.buyer_id)),
    )
    for merchant_id, side in sides:  # one after the other: the merchant's books are held before the house's
        entry = NewEntry(
            merchant_id=merchant_id,
            kind="refund_credited",
            source_id=payment.transfer_id,
            currency=payment.currency,
            occurred_at=tx.now,
            effective_on=local_date(tx.now, house.zone),
            legs=side,
        )
        await ledger.post(tx, [entry])
    await credit.move(
        tx, payment.buyer_id, payment.currency, "refunded", amount, source_id=payment.transfer_id,
        reason=f"refund {payment.refund_id}",
    )  # fmt: skip


async def refund_settled(
    tx: Tx,
    merchant_id: int,
    refund_id: int,
    payment_id: int,
    *,
    ok: bool,
    failure: str | None = None,
    at: datetime,
    sent: Sent | None = None,
) -> None:
    """What the processor says of a refund, by its own clock (`at`): any number of times, in any order.

    What is older than what it said before changes nothing, nor does a failure that it has told of the attempt before:
    its clock is compared with itself only. Raises NotFound for a refund that was never sent to that payment, Invalid
    when another amount was, or by another processor.
    """
    await ledger.lock_books(tx, merchant_id)
    payment = await store.newest(tx, merchant_id, refund_id, payment_id)
    if payment is None:
        raise NotFound(f"merchant {merchant_id} has no refund {refund_id} of payment {payment_id}")
    if payment.said_at is not None and at < payment.said_at:
        return
    if sent is not None:
        _check_sent(payment, sent)
    order = await lock_order(tx, merchant_id, payment.order_id)
    if ok:
        await _paid(tx, order, payment, at)
    else:
        await _failed(tx, order, payment, failure or "refused", at)


def _check_sent(payment: RefundPayment, sent: Sent) -> None:
    if sent.processor_id != payment.processor_id:
        raise Invalid(f"reference: refund {payment.refund_id} is not this processor's")
    if (sent.amount_minor, sent.currency) != (payment.amount_minor, payment.currency):
        raise Invalid(
            f"amount_minor: {payment.amount_minor} {payment.currency} of refund {payment.refund_id} was to be given"
            f" back, not {sent.amount_minor} {sent.currency[:3]!r}"
        )


async def refund_not_sent(tx: Tx, merchant_id: int, refund_id: int, payment_id: int, failure: str) -> None:
    """The processor could not even be told of a refund, for good: it has failed, unless there was news of it since.

    Nothing for money that came for nothing, which is no refund. The caller holds the merchant's books.
    """
    payment = await store.newest(tx, merchant_id, refund_id, payment_id)
    if payment is None or payment.state != "due":
        return
    order = await lock_order(tx, merchant_id, payment.order_id)
    await _given_up(tx, order, payment, failure, tx.now)


async def _paid(tx: Tx, order: Order, payment: RefundPayment, at: datetime) -> None:
    if payment.state in {"paid", "stray"}:
        await store.change(tx, payment, said_at=at)
        return
    # What was given up, or covered by a dispute, is paid after all: nobody is owed it any more.
    amount = payment.amount_minor
    stray = payment.covered_minor if payment.state in {"due", "failed"} else amount
    state = "stray" if stray else "paid"
    if await _booked(tx, payment, "refund_returned"):  # paid, returned, and paid again: by another transfer
        following = store.try_again if payment.state == "failed" else store.add_attempt
        payment = await following(tx, payment, state="due")
    booked = postings.refund_paid(amount, payment.processor_id, stray_minor=stray)
    await post(tx, order, "refund_paid", payment.transfer_id, booked, at)
    await store.change(tx, payment, state=state, said_at=at, failure=None)
    if state == "paid":
        await _tell_world(tx, "demand.refund_paid.v1", payment)


async def _failed(tx: Tx, order: Order, payment: RefundPayment, failure: str, at: datetime) -> None:
    if payment.state == "failed":
        await store.change(tx, payment, said_at=at)
    if payment.state not in {"due", "paid", "stray"} or (payment.state == "due" and at == payment.said_at):
        return
    if payment.state != "due":
        paid = await _booked(tx, payment, "refund_paid")
        assert paid is not None
        await post(tx, order, "refund_returned", payment.transfer_id, mirror(paid), at)
    await store.change(tx, payment, said_at=at)
    await _given_up(tx, order, payment, failure, at)


async def _given_up(tx: Tx, order: Order, payment: RefundPayment, failure: str, at: datetime) -> None:
    state = await _given_up_as(tx, payment) if payment.state == "stray" else "failed"
    await store.change(tx, payment, state=state, failure=failure[:500])
    if state == "failed":
        await cover_refunds(tx, order, at)
        await _tell_world(tx, "demand.refund_failed.v1", payment)


async def _given_up_as(tx: Tx, payment: RefundPayment) -> str:
    """The state of a stray payment before it was one; one beside an attempt that was decided about just ends."""
    state = await tx.scalar(
        "SELECT state FROM demand.refund WHERE merchant_id = :merchant AND refund_id = :refund",
        merchant=payment.merchant_id,
        refund=payment.refund_id,
    )
    if state == "cancelled" or await store.is_beside(tx, payment):
        return "cancelled"
    if await _booked(tx, payment, "refund_credited"):
        return "credited"
    return "failed" if payment.owed_minor else "covered"


async def _booked(tx: Tx, payment: RefundPayment, kind: str) -> Any:
    """The entry of this kind that an attempt has made; None when it has not."""
    return await tx.row(
        "SELECT accounts, dimensions, amounts FROM billing.entry"
        " WHERE merchant_id = :merchant AND kind = :kind AND source_id = :transfer",
        merchant=payment.merchant_id,
        kind=kind,
        transfer=payment.transfer_id,
    )


async def _tell_world(tx: Tx, topic: str, payment: RefundPayment) -> None:
    await outbox.emit(tx, topic, payment, merchant_id=payment.merchant_id)


async def cover_refunds(tx: Tx, order: Order, at: datetime) -> None:
    """Let what a lost dispute took too much pay the order's refunds that failed: the buyer has that money already.

    Not what the merchant has given back of it since: of that the buyer has had its share of the refund it came with.
    """
    lost = await tx.rows(
        """
        SELECT dispute_id, excess_minor - covered_minor AS left FROM demand.dispute
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'lost' AND excess_minor > covered_minor
        ORDER BY dispute_id
        """,
        merchant=order.merchant_id,
        order=order.order_id,
    )
    borne = await loss_of(tx, order.merchant_id, order.order_id) if lost else 0
    for dispute in lost:
        left = may_cover = min(dispute.left, borne)
        for payment in await store.failed_of_order(tx, order.merchant_id, order.order_id):
            covered = min(left, payment.owed_minor)
            if covered == 0:
                continue
            left -= covered
            booked = legs({Account.BUYER_REFUND_DUE: covered, Account.CHARGEBACK_LOSS: -covered})
            await post(tx, order, "refund_covered", time_ordered_id(tx.now), booked, at)
            state = "covered" if covered == payment.owed_minor else "failed"
            await store.change(tx, payment, state=state, covered_minor=payment.covered_minor + covered)
        await tx.execute(
            "UPDATE demand.dispute SET covered_minor = covered_minor + :covered"
            " WHERE merchant_id = :merchant AND dispute_id = :dispute",
            {"covered": may_cover - left, "merchant": order.merchant_id, "dispute": dispute.dispute_id},
        )
        borne -= may_cover - left


async def retry_refund(tx: Tx, key: RefundKey) -> RefundKey:
    """Send again what failed of a refund. Raises NotFound, and Conflict when nothing failed or a dispute holds it."""

    async def send(_: Order, payment: RefundPayment) -> None:
        await _tell(tx, await store.try_again(tx, payment, state="due"))

    return await _decide(tx, key, "refund retried", send)


async def refund_to_credit(tx: Tx, key: RefundKey) -> RefundKey:
    """Turn what failed of a refund into the buyer's credit. Raises as `retry_refund` does."""

    async def to_credit(order: Order, payment: RefundPayment) -> None:
        await _credit(tx, order, payment)
        await store.change(tx, payment, state="credited")

    return await _decide(tx, key, "refund turned into credit", to_credit)


async def _decide(
    tx: Tx, key: RefundKey, action: str, deed: Callable[[Order, RefundPayment], Awaitable[None]]
) -> RefundKey:
    """Do it with every part of the refund that failed."""
    await ledger.lock_books(tx, key.merchant_id)
    order_id = await tx.scalar(
        "SELECT order_id FROM demand.refund WHERE merchant_id = :merchant AND refund_id = :refund",
        merchant=key.merchant_id,
        refund=key.refund_id,
    )
    if order_id is None:
        raise NotFound(f"merchant {key.merchant_id} has no refund {key.refund_id}")
    order = await lock_order(tx, key.merchant_id, order_id)
    failed = [one for one in await store.of_refund(tx, key.merchant_id, key.refund_id) if one.state == "failed"]
    if not failed:
        raise Conflict("state: nothing of this refund has failed")
    funds = await funds_of(tx, key.merchant_id, order_id)
    if funds.buyers_minor < 0:
        raise Conflict(
            f"amount: a dispute holds the same money: captured {funds.captured_minor}, refunded"
            f" {funds.refunded_minor}, disputed {funds.disputed_minor}",
            **msgspec.structs.asdict(funds),
        )
    for payment in failed:
        await deed(order, payment)
    await audit.record(tx, action, f"refund:{key.merchant_id}/{key.refund_id}")
    return key
