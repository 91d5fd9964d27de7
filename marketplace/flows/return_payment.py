"""Money that came for an order that was cancelled meanwhile, or an amendment that was void, on its way back."""

from typing import Any

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.payments import store as payments
from billing.payments.facts import RefundFact, ids_of
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid

SUBJECTS = {"payment_unwanted": "payment", "amendment_voided": "amendment"}
"""The kinds of entry by which such money is owed to the buyer, and whose id each has for its source."""


async def returned(tx: Tx, processor_id: int, merchant_id: int, source_id: int, fact: RefundFact) -> bool:
    """The buyer has the money again: book it, once. One that failed is parked for a person, and stays owed.

    source_id: what the fact's reference names beside the merchant, a payment or an amendment. False when it is neither,
    and so a refund. Raises Conflict while the money's coming in is not booked, Invalid when the amount is another.
    """
    await ledger.lock_books(tx, merchant_id)
    _, payment_id = ids_of(fact.payment_reference)
    came = await _came(tx, merchant_id, source_id, payment_id)
    if came is None:
        if source_id == payment_id:
            raise Conflict(f"reference: nothing of payment {payment_id} was to be given back yet")
        return False
    if came.returned:
        return True
    if not fact.ok:
        failure = f"the processor could not give the money back: {fact.failure or 'no reason given'}"
        await payments.park_refund(tx, merchant_id, source_id, failure)
        subject = f"{SUBJECTS[came.kind]}:{source_id}"
        await audit.record(tx, "refund failed", subject, merchant_id=merchant_id, failure=failure)
        return True
    if (fact.currency, fact.amount_minor, processor_id) != (came.currency, came.minor, came.via):
        raise Invalid(f"amount_minor: {came.minor} {came.currency} was to be given back, not {fact.amount_minor}")
    entry = NewEntry(
        merchant_id=merchant_id,
        kind="unwanted_returned",
        source_id=source_id,
        currency=came.currency,
        occurred_at=fact.occurred_at,
        effective_on=local_date(fact.occurred_at, came.zone),
        legs=postings.payment_unwanted(-came.minor, processor_id),
    )
    await ledger.post(tx, [entry])
    return True


async def _came(tx: Tx, merchant_id: int, source_id: int, payment_id: int) -> Any:
    """The entry by which the money of this payment is owed, and whether it has gone back."""
    return await tx.row(
        """
        SELECT e.kind, e.currency, y.zone, e.amounts[1] AS minor, e.dimensions[1] AS via,
               EXISTS (SELECT FROM billing.entry r WHERE r.merchant_id = e.merchant_id
                         AND r.kind = 'unwanted_returned' AND r.source_id = e.source_id) AS returned
        FROM billing.entry e JOIN billing.entity y ON y.entity_id = e.entity_id
        WHERE e.merchant_id = :merchant AND e.source_id = :source
          AND (e.kind = 'payment_unwanted' AND e.source_id = :payment
               OR e.kind = 'amendment_voided' AND EXISTS (
                   SELECT FROM demand.amendment a WHERE a.merchant_id = e.merchant_id
                      AND a.amendment_id = e.source_id AND a.payment_id = :payment))
        """,
        merchant=merchant_id,
        source=source_id,
        payment=payment_id,
    )
