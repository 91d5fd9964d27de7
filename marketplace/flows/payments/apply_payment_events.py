"""The inbox of processors' events: stored as they come, applied in any order, each in one transaction with its mark.

An event that cannot be applied yet, because what it speaks of is not here, waits and is tried again; after
`inbox.ATTEMPTS_MAX` attempts it is parked, where people see it and may have it tried again.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from billing.payments.facts import DisputeFact, PaymentFact, RefundFact, ids_of
from billing.payments.inbox import store as inbox
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.work import reason
from marketplace.flows.payments.return_payment import returned
from marketplace.flows.payments.take_payment import payment_changed
from marketplace.flows.refunds.dispute_order import dispute_changed
from marketplace.flows.refunds.pay_refund import Sent, refund_settled
from marketplace.processors.wire import read_event

ACTOR = "processor"
"""Who changes what a processor's event changes."""

log = structlog.get_logger(__name__)

Apply = Callable[[Tx, int, Any], Awaitable[object]]
"""Applies a fact that the processor of this id tells of."""


async def receive_event(tx: Tx, processor_id: int, event_ref: str, body: bytes) -> int | None:
    """Store an event; returns its id here, None when it is known. Raises Invalid for what is no text."""
    try:
        known = b"\0" not in body and body.decode()
    except UnicodeDecodeError as fault:
        raise Invalid("body: is not UTF-8") from fault
    if not known:
        raise Invalid("body: is empty, or holds a NUL")
    return await inbox.store_event(tx, processor_id, event_ref, body)


async def apply_event(db: Database, inbox_id: int | None = None) -> bool:
    """Apply the event of this id, or the oldest that is due. False when there was none to take."""
    claimed: list[int] = []
    try:
        return await db.write(WORKER, ACTOR, _claim_and_apply, inbox_id, claimed)
    except Exception as fault:
        if not claimed:
            raise
        log.warning("payment event not applied", inbox_id=claimed[-1], error=reason(fault))
        await db.write(WORKER, ACTOR, inbox.note_failed, claimed[-1], reason(fault))
        return True


async def apply_events(db: Database) -> int:
    """Apply whatever is due; returns how many events were taken up."""
    taken = 0
    while await apply_event(db):
        taken += 1
    return taken


async def _claim_and_apply(tx: Tx, inbox_id: int | None, claimed: list[int]) -> bool:
    event = await inbox.claim_event(tx, inbox_id)
    if event is None:
        return False
    claimed.append(event.inbox_id)
    fact = read_event(event.body)
    await APPLY[type(fact)](tx, event.processor_id, fact)
    await inbox.note_applied(tx, event.inbox_id)
    return True


async def _refund_changed(tx: Tx, processor_id: int, fact: RefundFact) -> None:
    """A refund, or money that came for nothing: its reference names that where a refund would stand."""
    merchant_id, refund_id = ids_of(fact.reference)
    _, payment_id = ids_of(fact.payment_reference)
    if await returned(tx, processor_id, merchant_id, refund_id, fact):
        return
    sent = Sent(processor_id=processor_id, currency=fact.currency, amount_minor=fact.amount_minor)
    await refund_settled(
        tx, merchant_id, refund_id, payment_id, ok=fact.ok, failure=fact.failure, at=fact.occurred_at, sent=sent
    )


APPLY: dict[type, Apply] = {
    PaymentFact: payment_changed,
    RefundFact: _refund_changed,
    DisputeFact: dispute_changed,
}
"""What applies each kind of fact."""
