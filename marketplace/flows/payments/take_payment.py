"""What becomes of orders when the processor says what became of their payment.

Facts are absolute and states only go forward, so that facts may come in any order and any number of times: captured
wins over everything, what has ended stays ended. Locks: the merchants' books in id order, the houses', the orders, the
payment, its parts, the buyer's credit.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from billing import postings
from billing.credit import store as credit
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from billing.payments import store as payments
from billing.payments.facts import PaymentFact, PaymentState, ids_of
from billing.payments.model import Payment, PaymentCommand, PaymentPart
from billing.payments.sharing import Claim, Share, share_capture
from demand.lifecycle import Move, Party
from demand.model import OrderState
from demand.store import lock_order, move_order
from marketplace.core import outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.discounts.commit_discounts import commit_discounts
from marketplace.flows.orders.pay_amendment import charge_captured, charge_failed
from marketplace.flows.orders.release_order import release_unpaid
from marketplace.flows.payers.bear_order import commit_shares, with_others

ENDED = (PaymentState.FAILED, PaymentState.VOIDED)
"""States in which a payment brings nothing, unless the processor says that it was captured after all."""


class PaymentEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A payment was captured, or it failed. captured_minor: through the processor, in minor units."""

    buyer_id: int
    payment_id: int
    purchase_id: int
    state: PaymentState
    currency: str
    captured_minor: int
    credit_minor: int
    failure: str | None


async def payment_changed(tx: Tx, processor_id: int, fact: PaymentFact) -> None:
    """Apply what a processor says of a payment. Raises NotFound while it is unknown, Invalid when it is another's."""
    payment = await payments.get_payment(tx, *ids_of(fact.reference))
    if payment.processor_id != processor_id:
        raise Invalid(f"reference: payment {payment.payment_id} is not this processor's")
    if fact.currency != payment.currency:
        raise Invalid(f"currency: the payment is in {payment.currency}, the event in {fact.currency[:3]!r}")
    if not 0 <= fact.amount_minor <= payment.amount_minor:
        raise Invalid(f"amount_minor: {fact.amount_minor} is not within the payment's {payment.amount_minor}")
    if fact.state is PaymentState.AUTHORISED:
        await _authorised(tx, payment, fact)
    elif payment.amendment_id is not None:
        await _amendment_fact(tx, payment, fact)
    elif fact.state is PaymentState.CAPTURED:
        await _take(tx, payment, fact.amount_minor, fact.occurred_at, Party.PROCESSOR, fact.processor_ref)
    else:
        await _ended(tx, payment, fact.state, fact.processor_ref, fact.failure)


async def payment_refused(tx: Tx, command: PaymentCommand, reason: str) -> None:
    """The processor does not take a payment on, so that no event will come of it: it has failed."""
    payment = await payments.get_payment(tx, command.buyer_id, command.payment_id)
    if payment.amendment_id is None:
        await _ended(tx, payment, PaymentState.FAILED, None, reason)
    elif payment.state is not PaymentState.CAPTURED:
        await _amendment_unpaid(tx, payment, PaymentState.FAILED, None, reason)
    await payments.note_sent(tx, command.command_id, reason)


async def capture_credit_only(tx: Tx, buyer_id: int, payment_id: int) -> None:
    """Pay the orders of a payment that the buyer's credit covers wholly: nothing goes through a processor.

    Raises Conflict when some of it is to be paid by card.
    """
    payment = await payments.get_payment(tx, buyer_id, payment_id)
    if payment.amount_minor:
        raise Conflict(f"payment {payment_id} is not covered by credit: {payment.amount_minor} are to be paid by card")
    await _take(tx, payment, 0, tx.now, Party.PLATFORM, None)


async def _amendment_fact(tx: Tx, payment: Payment, fact: PaymentFact) -> None:
    """What an amendment costs more was paid, or will not be: its flow decides what that means for the order.

    What was captured in part pays nothing and goes back; a capture of nothing is a payment that failed.
    """
    if payment.state is PaymentState.CAPTURED:
        return
    if fact.state is PaymentState.CAPTURED and fact.amount_minor:
        await charge_captured(tx, payment, fact.amount_minor)
        for part in await payments.parts_of(tx, payment.payment_id):
            await payments.note_part(tx, part, paid=part.state == "captured", captured_minor=fact.amount_minor)
        await payments.note_captured(
            tx, payment, captured_minor=fact.amount_minor, processor_ref=fact.processor_ref, at=fact.occurred_at
        )
        return
    reason = fact.failure or "the processor has given the payment up"
    state = PaymentState.FAILED if fact.state is PaymentState.CAPTURED else fact.state
    await _amendment_unpaid(tx, payment, state, fact.processor_ref, reason)


async def _amendment_unpaid(
    tx: Tx, payment: Payment, state: PaymentState, processor_ref: str | None, reason: str
) -> None:
    await charge_failed(tx, payment, f"payment failed: {reason}")
    await payments.note_ended(tx, payment, state, processor_ref=processor_ref, failure=reason)


async def _authorised(tx: Tx, payment: Payment, fact: PaymentFact) -> None:
    """Have what is still wanted captured; a processor that has nothing left to capture is told to let go."""
    wanted = [part for part in await payments.parts_of(tx, payment.payment_id) if part.state == "open"]
    by_card = sum(part.amount_minor for part in wanted)
    if (
        wanted and not by_card and payment.state not in ENDED
    ):  # what was to be paid by card is cancelled, the rest is paid by credit
        await _take(tx, payment, 0, fact.occurred_at, Party.PROCESSOR, fact.processor_ref)
        await payments.note_authorised(tx, payment, fact.processor_ref, fact.occurred_at)
        await _tell(tx, payment, "void", payment.amount_minor)
        return
    await payments.get_payment(tx, payment.buyer_id, payment.payment_id, lock=True)
    asked = await payments.ask_capture(tx, payment.payment_id)
    news = await payments.note_authorised(tx, payment, fact.processor_ref, fact.occurred_at)
    if not news or not asked:
        return
    if not sum(asked):
        raise Conflict(f"the orders of payment {payment.payment_id} are being cancelled: to be seen again")
    await _tell(tx, payment, "capture", sum(asked))


async def _tell(tx: Tx, payment: Payment, kind: str, amount_minor: int) -> None:
    await payments.command(
        tx,
        kind,
        processor_id=payment.processor_id,
        buyer_id=payment.buyer_id,
        payment_id=payment.payment_id,
        currency=payment.currency,
        amount_minor=amount_minor,
    )


async def _ended(tx: Tx, payment: Payment, state: PaymentState, processor_ref: str | None, failure: str | None) -> None:
    """The processor will not pay: the orders wait for another payment until their time is over, see `pay_purchase`."""
    reason = failure or "the processor has given the payment up"
    if await payments.note_ended(tx, payment, state, processor_ref=processor_ref, failure=reason):
        await _report(tx, payment, state, 0, 0, reason)


async def _take(
    tx: Tx, payment: Payment, captured_minor: int, at: datetime, party: Party, processor_ref: str | None
) -> None:
    """Book a capture: orders that wait for it are paid, money for those that are gone goes back."""
    books = _Books(payment, at)
    parts = await payments.parts_of(tx, payment.payment_id)
    await books.lock(tx, parts)
    orders = [await lock_order(tx, part.merchant_id, part.order_id) for part in parts]
    present = await payments.get_payment(tx, payment.buyer_id, payment.payment_id, lock=True)
    parts = await payments.parts_of(tx, payment.payment_id)  # again: now nobody changes them
    if present.state is PaymentState.CAPTURED:
        return
    waiting = [
        part.state == "open" and order.state is OrderState.PLACED for part, order in zip(parts, orders, strict=True)
    ]
    claims = [
        Claim(amount_minor=part.amount_minor, waiting=waits, asked=part.capture_asked)
        for part, waits in zip(parts, waiting, strict=True)
    ]
    shares = share_capture(captured_minor, claims)
    for part, share in zip(parts, shares, strict=True):
        await payments.note_part(tx, part, paid=share.paid, captured_minor=share.captured_minor)
    await payments.note_captured(tx, payment, captured_minor=captured_minor, processor_ref=processor_ref, at=at)
    used = sum(part.credit_minor for part, share in zip(parts, shares, strict=True) if share.paid)
    if used:
        await credit.use(tx, payment, used)
    discounts = await commit_discounts(tx, [order for order, share in zip(orders, shares, strict=True) if share.paid])
    for order, share in zip(orders, shares, strict=True):
        if share.paid:
            borne = await commit_shares(tx, order.merchant_id, order.order_id)
            books.others[order.order_id] = borne + discounts[order.order_id]
    await ledger.post(tx, books.entries(parts, shares, used))
    for order, share, waits in zip(orders, shares, waiting, strict=True):
        if share.paid:
            await move_order(tx, order, Move.PAY, party, payment_id=payment.payment_id)
        elif waits:
            await release_unpaid(tx, order, Move.EXPIRE, party, reason="the processor captured less than was asked")
    for merchant_id, minor in _unwanted(parts, shares).items():
        await _give_back(tx, payment, merchant_id, minor)
    await _report(tx, payment, PaymentState.CAPTURED, captured_minor, used, None)


def _unwanted(parts: Sequence[PaymentPart], shares: Sequence[Share]) -> dict[int, int]:
    """What came for orders that are gone, by merchant."""
    sums: dict[int, int] = {}
    for part, share in zip(parts, shares, strict=True):
        if share.captured_minor and not share.paid:
            sums[part.merchant_id] = sums.get(part.merchant_id, 0) + share.captured_minor
    return sums


async def _give_back(tx: Tx, payment: Payment, merchant_id: int, amount_minor: int) -> None:
    await payments.command(
        tx,
        "refund",
        processor_id=payment.processor_id,
        buyer_id=payment.buyer_id,
        payment_id=payment.payment_id,
        merchant_id=merchant_id,
        refund_id=payment.payment_id,
        currency=payment.currency,
        amount_minor=amount_minor,
    )


async def hold_books(
    tx: Tx, merchant_ids: Iterable[int], *, with_house: bool, other_houses: Collection[int] = ()
) -> Sequence[Any]:
    """Hold the books of merchants in id order, then those of their house and of others, too; returns zone and house of
    each merchant.

    Raises Conflict for a merchant without books.
    """
    wanted = sorted(set(merchant_ids))
    rows = await tx.rows(
        """
        SELECT h.merchant_id, e.zone, e.house_merchant_id FROM billing.ledger_head h
        JOIN billing.entity e ON e.entity_id = h.entity_id
        WHERE h.merchant_id = ANY(CAST(:merchants AS bigint[])) ORDER BY h.merchant_id
        """,
        merchants=wanted,
    )
    known = {row.merchant_id for row in rows}
    for merchant_id in wanted:
        if merchant_id not in known:
            raise Conflict(f"merchant {merchant_id} has no books")
        await ledger.lock_books(tx, merchant_id)
    for house in sorted({*other_houses, *([rows[0].house_merchant_id] if with_house else [])}):
        await ledger.lock_books(tx, house)
    return rows


class _Books:
    """The books that a payment is booked in, and the entries that its capture makes."""

    def __init__(self, payment: Payment, at: datetime) -> None:
        self.payment = payment
        self.at = at
        self.zones: dict[int, str] = {}
        self.house: Any = None
        self.others: dict[int, tuple[Leg, ...]] = {}

    async def lock(self, tx: Tx, parts: Sequence[PaymentPart]) -> None:
        """Hold the merchants' books in id order, then the house's when credit is used."""
        by_credit = self.payment.credit_minor > 0
        rows = await hold_books(tx, [part.merchant_id for part in parts], with_house=by_credit)
        self.zones = {row.merchant_id: row.zone for row in rows}
        self.house = rows[0] if by_credit else None

    def entries(self, parts: Sequence[PaymentPart], shares: Sequence[Share], used_minor: int) -> list[NewEntry]:
        payment = self.payment
        made = [
            self._entry(
                part.merchant_id,
                self.zones[part.merchant_id],
                "order_paid",
                part.order_id,
                with_others(
                    postings.order_paid_with_credit(
                        part.amount_minor, part.credit_minor, payment.processor_id, payment.payment_id
                    ),
                    self.others[part.order_id],
                ),
            )
            for part, share in zip(parts, shares, strict=True)
            if share.paid
        ]
        for merchant_id, minor in _unwanted(parts, shares).items():
            legs = postings.payment_unwanted(minor, payment.processor_id)
            made.append(self._entry(merchant_id, self.zones[merchant_id], "payment_unwanted", payment.payment_id, legs))
        if used_minor:
            legs = postings.credit_used(used_minor, payment.buyer_id, payment.payment_id)
            made.append(
                self._entry(self.house.house_merchant_id, self.house.zone, "credit_used", payment.payment_id, legs)
            )
        return made

    def _entry(self, merchant_id: int, zone: str, kind: str, source_id: int, legs: tuple[Leg, ...]) -> NewEntry:
        return NewEntry(
            merchant_id=merchant_id,
            kind=kind,
            source_id=source_id,
            currency=self.payment.currency,
            occurred_at=self.at,
            effective_on=local_date(self.at, zone),
            legs=legs,
        )


async def _report(
    tx: Tx, payment: Payment, state: PaymentState, captured_minor: int, credit_minor: int, failure: str | None
) -> None:
    ended = PaymentEnded(
        buyer_id=payment.buyer_id,
        payment_id=payment.payment_id,
        purchase_id=payment.purchase_id,
        state=state,
        currency=payment.currency,
        captured_minor=captured_minor,
        credit_minor=credit_minor,
        failure=failure,
    )
    await outbox.emit(tx, "billing.payment_ended.v1", ended)
