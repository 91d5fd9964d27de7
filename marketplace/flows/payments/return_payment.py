"""Money that came for an order that was cancelled meanwhile, or an amendment that was void, on its way back."""

from datetime import datetime
from typing import Any

import msgspec

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
    """The buyer has the money again: book it, once. One that failed is parked for a person, and stays owed; one that
    bounces after it was booked is owed again, and parked as well.

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
    attempt = await _attempt(tx, merchant_id, source_id, payment_id)
    if attempt.said_at is not None and fact.occurred_at <= attempt.said_at:
        return True
    if attempt.returned and fact.ok:
        return True
    if not fact.ok:
        if attempt.returned:
            await _post(tx, merchant_id, came, "unwanted_bounced", attempt.source_id, fact)
        failure = f"the processor could not give the money back: {fact.failure or 'no reason given'}"
        await payments.park_refund(tx, merchant_id, source_id, payment_id, failure)
        subject = f"{SUBJECTS[came.kind]}:{source_id}"
        await audit.record(tx, "refund failed", subject, merchant_id=merchant_id, failure=failure)
        return True
    if (fact.currency, fact.amount_minor, processor_id) != (came.currency, came.minor, came.via):
        raise Invalid(f"amount_minor: {came.minor} {came.currency} was to be given back, not {fact.amount_minor}")
    await _post(tx, merchant_id, came, "unwanted_returned", attempt.source_id, fact)
    return True


async def _post(tx: Tx, merchant_id: int, came: Any, kind: str, source_id: int, fact: RefundFact) -> None:
    minor = came.minor if kind == "unwanted_bounced" else -came.minor
    entry = NewEntry(
        merchant_id=merchant_id,
        kind=kind,
        source_id=source_id,
        currency=came.currency,
        occurred_at=fact.occurred_at,
        effective_on=local_date(fact.occurred_at, came.zone),
        legs=postings.payment_unwanted(minor, came.via),
    )
    await ledger.post(tx, [entry])


class _Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The present attempt to give money back: the source of its entries, whether it is booked as returned, and what
    was booked last of all attempts, by the processor's clock.
    """

    source_id: int
    returned: bool
    said_at: datetime | None


async def _attempt(tx: Tx, merchant_id: int, source_id: int, payment_id: int) -> _Attempt:
    """The first attempt has the source of what came; one after a bounce the command that was parked by it."""
    commands = await tx.rows(
        "SELECT command_id FROM billing.payment_command"
        " WHERE payment_id = :payment AND merchant_id = :merchant AND refund_id = :source AND kind = 'refund'",
        merchant=merchant_id,
        source=source_id,
        payment=payment_id,
    )
    sources = [source_id, *(command.command_id for command in commands)]
    rows = await tx.rows(
        """
        SELECT kind, source_id, occurred_at FROM billing.entry
        WHERE merchant_id = :merchant AND source_id = ANY(CAST(:sources AS bigint[]))
          AND kind IN ('unwanted_returned', 'unwanted_bounced')
        """,
        merchant=merchant_id,
        sources=sources,
    )
    bounced = {row.source_id for row in rows if row.kind == "unwanted_bounced"}
    present = next((source for source in sources if source not in bounced), source_id)
    return _Attempt(
        source_id=present,
        returned=any(row.kind == "unwanted_returned" and row.source_id == present for row in rows),
        said_at=max((row.occurred_at for row in rows), default=None),
    )


async def _came(tx: Tx, merchant_id: int, source_id: int, payment_id: int) -> Any:
    """The entry by which the money of this payment is owed."""
    return await tx.row(
        """
        SELECT e.kind, e.currency, y.zone, e.amounts[1] AS minor, e.dimensions[1] AS via
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
