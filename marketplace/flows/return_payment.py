"""Money that came for an order that was cancelled meanwhile, on its way back to the buyer."""

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.payments import store as payments
from billing.payments.facts import RefundFact
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid


async def unwanted_returned(tx: Tx, processor_id: int, merchant_id: int, payment_id: int, fact: RefundFact) -> None:
    """The buyer has the money again: book it, once. One that failed is parked for a person, and stays owed.

    Raises Conflict while the money's coming in is not booked, Invalid when the amount is another.
    """
    await ledger.lock_books(tx, merchant_id)
    came = await tx.row(
        """
        SELECT e.currency, y.zone, e.amounts[1] AS minor, e.dimensions[1] AS via,
               EXISTS (SELECT FROM billing.entry r WHERE r.merchant_id = e.merchant_id
                         AND r.kind = 'unwanted_returned' AND r.source_id = e.source_id) AS returned
        FROM billing.entry e JOIN billing.entity y ON y.entity_id = e.entity_id
        WHERE e.merchant_id = :merchant AND e.kind = 'payment_unwanted' AND e.source_id = :payment
        """,
        merchant=merchant_id,
        payment=payment_id,
    )
    if came is None:
        raise Conflict(f"reference: nothing of payment {payment_id} was to be given back yet")
    if came.returned:
        return
    if not fact.ok:
        failure = f"the processor could not give the money back: {fact.failure or 'no reason given'}"
        await payments.park_refund(tx, merchant_id, payment_id, failure)
        await audit.record(tx, "refund failed", f"payment:{payment_id}", merchant_id=merchant_id, failure=failure)
        return
    if (fact.currency, fact.amount_minor, processor_id) != (came.currency, came.minor, came.via):
        raise Invalid(f"amount_minor: {came.minor} {came.currency} was to be given back, not {fact.amount_minor}")
    entry = NewEntry(
        merchant_id=merchant_id,
        kind="unwanted_returned",
        source_id=payment_id,
        currency=came.currency,
        occurred_at=fact.occurred_at,
        effective_on=local_date(fact.occurred_at, came.zone),
        legs=postings.payment_unwanted(-came.minor, processor_id),
    )
    await ledger.post(tx, [entry])
