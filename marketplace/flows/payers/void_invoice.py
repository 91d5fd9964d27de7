"""Make a payer's document void, by two people, and issue it again: the same amounts under a new number, with the
payer's details as they are known now. What is void keeps its number and stays listed.
"""

from functools import partial

from billing.documents.model import Draft, State, Subject
from billing.documents.voiding import check_asked, check_reissuable, check_stands, check_unasked
from billing.payers import store as payers
from billing.payers.claims import store as claims
from billing.payers.invoices import store as invoices
from billing.payers.invoices.store import PayerDocument, PayerIssue
from marketplace.core import audit, outbox, policies
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.flows.documents.issue_documents import get_entity
from marketplace.flows.documents.void_document import standing
from marketplace.flows.payers.invoice_payer import parties


async def ask_void(tx: Tx, payer_id: int, document_id: int, reason: str) -> PayerDocument:
    """Ask for a document to be void; another person decides.

    Raises Conflict unless it stands, nobody has asked, and no document that stands corrects it.
    """
    one = await _held(tx, payer_id, document_id)
    check_stands(one, is_corrected=await invoices.is_corrected(tx, one))
    check_unasked(one)
    asked = await invoices.change_document(tx, one, void_reason=reason, void_asked_by=tx.actor)
    await audit.record(tx, "void of document asked for", _subject(one), number=one.number, reason=reason)
    return asked


async def approve_void(tx: Tx, payer_id: int, document_id: int) -> PayerDocument:
    """Make it void. Raises Forbidden for who asked, Conflict unless somebody has and it still stands alone."""
    one = await _asked(tx, payer_id, document_id)
    check_stands(one, is_corrected=await invoices.is_corrected(tx, one))
    single = await policies.check_second_person(tx, one.void_asked_by or "", f"document {one.number}")
    void = await invoices.change_document(tx, one, state=State.VOID.value, voided_by=tx.actor, voided_at=tx.now)
    await audit.record(tx, "document made void", _subject(one), single_operator=single, number=one.number)
    await outbox.emit(tx, "billing.payer_document_voided.v1", _told(void))
    return void


async def withdraw_void(tx: Tx, payer_id: int, document_id: int) -> PayerDocument:
    """Leave the document as it is. Raises Conflict when nobody has asked for anything else."""
    one = await _asked(tx, payer_id, document_id)
    left = await invoices.change_document(tx, one, void_reason=None, void_asked_by=None)
    await audit.record(tx, "void of document withdrawn", _subject(one), number=one.number)
    return left


async def reissue_document(tx: Tx, payer_id: int, document_id: int) -> PayerDocument:
    """Issue a void document again, dated today; what it corrects may have been issued again itself.

    Raises Conflict unless it is void and not issued again yet, or when what it corrects is void.
    """
    one = await _held(tx, payer_id, document_id)
    check_reissuable(one, await invoices.find_replacement(tx, one))
    draft = Draft(
        merchant_id=0,
        document_id=time_ordered_id(tx.now),
        kind=one.kind,
        subject=Subject.CLAIM,
        source_id=one.claim_id,
        currency=one.currency,
        corrects_id=await standing(
            one.corrects_id, partial(invoices.get_document, tx, payer_id), partial(invoices.find_replacement, tx)
        ),
        replaces_id=one.document_id,
        due_on=one.due_on,
        lines=one.lines,
        taxes=one.taxes,
    )
    issue = PayerIssue(
        claim_id=one.claim_id,
        rejection_id=one.rejection_id,
        entity_id=one.entity_id,
        from_on=one.from_on,
        to_on=one.to_on,
        issued_on=local_date(tx.now, (await get_entity(tx, one.entity_id)).zone),
        **await parties(tx, one.entity_id, await payers.get_payer(tx, payer_id)),
    )
    again = await invoices.add_document(tx, payer_id, issue, draft)
    await audit.record(tx, "document issued again", _subject(one), number=one.number, as_number=again.number)
    await outbox.emit(tx, "billing.payer_document_reissued.v1", _told(again))
    return again


async def _held(tx: Tx, payer_id: int, document_id: int) -> PayerDocument:
    """The document, as long as its claim is held: whoever corrects it holds that, too."""
    one = await invoices.get_document(tx, payer_id, document_id)
    await claims.get_claim(tx, payer_id, one.claim_id, lock=True)
    return await invoices.get_document(tx, payer_id, document_id)


async def _asked(tx: Tx, payer_id: int, document_id: int) -> PayerDocument:
    one = await _held(tx, payer_id, document_id)
    check_asked(one)
    return one


def _subject(one: PayerDocument) -> str:
    return f"payer_document:{one.payer_id}/{one.document_id}"


def _told(one: PayerDocument) -> dict[str, object]:
    return {
        "payer_id": one.payer_id,
        "document_id": one.document_id,
        "number": one.number,
        "replaces_id": one.replaces_id,
    }
