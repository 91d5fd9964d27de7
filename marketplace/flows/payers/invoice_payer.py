"""The tax documents that a payer gets: an invoice for the platform's fee on a claim, a credit note for what of it a
rejection takes back. They say what the ledger says, and are numbered as those of merchants are, in the same series.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from billing.documents.model import Category, Fact, Party, Subject, draft_one
from billing.payers import store as payers
from billing.payers.claims.store import PayerClaim, Rejection
from billing.payers.invoices import store as invoices
from billing.payers.invoices.store import PayerDocument, PayerIssue
from billing.payers.store import Payer
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.flows.documents.issue_documents import get_entity, parties_of


class Fee(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform earns by a claim's line, or by the claim itself. Negative: what it gives back."""

    category: Category
    contract: str
    vat_ppm: int
    fee_minor: int
    vat_minor: int


async def invoice_claim(tx: Tx, claim: PayerClaim, fees: Sequence[Fee], from_on: date) -> PayerDocument | None:
    """Issue what a claim that was just made charges; from_on: the first day of what is claimed. No fee: nothing.

    What is set off may be more than what is charged: then it is a credit note.
    """
    to_on = min(claim.through, claim.sent_on) + timedelta(days=1)
    issue = PayerIssue(
        claim_id=claim.claim_id,
        rejection_id=None,
        entity_id=claim.entity_id,
        from_on=min(from_on, claim.sent_on),
        to_on=max(to_on, from_on + timedelta(days=1)),
        issued_on=claim.sent_on,
        **await parties(tx, claim.entity_id, await payers.get_payer(tx, claim.payer_id)),
    )
    return await _issue(tx, claim, issue, fees, corrects_id=None)


async def credit_rejection(tx: Tx, claim: PayerClaim, rejection: Rejection, fee: Fee) -> PayerDocument | None:
    """Give back in a credit note what a rejection takes back of a documented claim's fee. No fee: nothing."""
    if not claim.documented:
        return None
    invoice = await invoices.find_invoice(tx, claim)
    issue = PayerIssue(
        claim_id=claim.claim_id,
        rejection_id=rejection.rejection_id,
        entity_id=claim.entity_id,
        from_on=rejection.booked_on if invoice is None else invoice.from_on,
        to_on=rejection.booked_on + timedelta(days=1) if invoice is None else invoice.to_on,
        issued_on=rejection.booked_on,
        **await parties(tx, claim.entity_id, await payers.get_payer(tx, claim.payer_id)),
    )
    return await _issue(tx, claim, issue, [fee], corrects_id=None if invoice is None else invoice.document_id)


async def _issue(
    tx: Tx, claim: PayerClaim, issue: PayerIssue, fees: Sequence[Fee], *, corrects_id: int | None
) -> PayerDocument | None:
    facts = [
        Fact(
            merchant_id=0,
            currency=claim.currency,
            subject=Subject.CLAIM,
            category=fee.category,
            vat_ppm=fee.vat_ppm,
            net_minor=fee.fee_minor,
            vat_minor=fee.vat_minor,
            source_id=claim.claim_id,
            description=f"{fee.contract} · {claim.claim_no}",
            due_on=claim.due_on,
        )
        for fee in fees
        if fee.fee_minor or fee.vat_minor
    ]
    draft = draft_one(facts, time_ordered_id(tx.now), corrects_id) if facts else None
    if draft is None:
        return None
    if draft.kind.credits:
        draft = msgspec.structs.replace(draft, due_on=None)
    return await invoices.add_document(tx, claim.payer_id, issue, draft)


async def parties(tx: Tx, entity_id: int, payer: Payer) -> dict[str, Party]:
    """Who stands on a document to a payer, as they are known now."""
    return {
        "seller": (await parties_of(tx, await get_entity(tx, entity_id), []))[0],
        "buyer": Party(name=payer.name, address=payer.address, country=payer.country, tax_id=payer.tax_id),
    }
