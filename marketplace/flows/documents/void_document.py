"""Void a document that says something wrong, as two people, and issue it again with another number.

The amounts are the books', so nothing is posted: what may be wrong is who stands on it. A void document keeps its
number and is listed; until it is issued again, `verify_books` counts it among what is open.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from billing.documents import store
from billing.documents.model import Document, Draft, State, Written
from billing.documents.store import Issue
from billing.documents.voiding import Voidable, check_asked, check_reissuable, check_stands, check_unasked
from billing.ledger import store as ledger
from billing.runs import store as runs
from billing.runs.model import RunState
from marketplace.core import audit, outbox, policies
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.core.ids import time_ordered_id
from marketplace.flows.documents.issue_documents import get_entity, parties_of

V = TypeVar("V", bound=Voidable)


async def ask_void(tx: Tx, merchant_id: int, document_id: int, reason: str) -> Document:
    """Ask for a document to be void; another person decides.

    Raises Conflict unless it stands, nobody has asked, and no document that stands corrects it.
    """
    one = await _held(tx, merchant_id, document_id)
    check_stands(one, is_corrected=await store.is_corrected(tx, one))
    check_unasked(one)
    asked = await store.change_document(tx, one, void_reason=reason, void_asked_by=tx.actor)
    await audit.record(tx, "void of document asked for", _subject(one), number=one.number, reason=reason)
    return asked


async def approve_void(tx: Tx, merchant_id: int, document_id: int) -> Document:
    """Make it void. Raises Forbidden for who asked, Conflict unless somebody has and it still stands alone."""
    one = await _asked(tx, merchant_id, document_id)
    check_stands(one, is_corrected=await store.is_corrected(tx, one))
    single = await policies.check_second_person(tx, one.void_asked_by or "", f"document {one.number}")
    void = await store.change_document(tx, one, state=State.VOID.value, voided_by=tx.actor, voided_at=tx.now)
    await audit.record(tx, "document made void", _subject(one), single_operator=single, number=one.number)
    await outbox.emit(tx, "billing.document_voided.v1", _told(void), merchant_id=merchant_id)
    return void


async def withdraw_void(tx: Tx, merchant_id: int, document_id: int) -> Document:
    """Leave the document as it is. Raises Conflict when nobody has asked for anything else."""
    one = await _asked(tx, merchant_id, document_id)
    left = await store.change_document(tx, one, void_reason=None, void_asked_by=None)
    await audit.record(tx, "void of document withdrawn", _subject(one), number=one.number)
    return left


async def reissue_document(tx: Tx, merchant_id: int, document_id: int) -> Written:
    """Issue a void document again: the same lines, a new number, today's date, the parties as they are known now.

    What it corrects may have been issued again itself, then it points to that. Raises Conflict unless it is void and
    not issued again yet, when its run is not final any more, or when what it corrects is void.
    """
    one = await _held(tx, merchant_id, document_id)
    check_reissuable(one, await store.find_replacement(tx, one))
    run = await runs.share_run(tx, one.run_id)
    if run.state not in {RunState.FINALISING, RunState.FINALISED} and one.reverses_id is None:
        raise Conflict(f"document {one.number}: run {run.run_id} is {run.state}, so nothing is to be issued for it")
    written = await store.get_document(tx, merchant_id, document_id)
    draft = Draft(
        merchant_id=merchant_id,
        document_id=time_ordered_id(tx.now),
        kind=one.kind,
        subject=one.subject,
        source_id=one.source_id,
        currency=one.currency,
        corrects_id=await standing(
            one.corrects_id, partial(store.lock_document, tx, merchant_id), partial(store.find_replacement, tx)
        ),
        reverses_id=one.reverses_id,
        replaces_id=one.document_id,
        due_on=one.due_on,
        lines=written.lines,
        taxes=written.taxes,
    )
    entity = await get_entity(tx, one.entity_id)
    issue = Issue(
        run_id=one.run_id,
        entity_id=one.entity_id,
        from_on=one.from_on,
        to_on=one.to_on,
        issued_on=local_date(tx.now, entity.zone),
    )
    await store.insert_documents(tx, issue, [draft], await parties_of(tx, entity, [merchant_id]))
    again = await store.get_document(tx, merchant_id, draft.document_id)
    await audit.record(tx, "document issued again", _subject(one), number=one.number, as_number=again.number)
    await outbox.emit(tx, "billing.document_reissued.v1", _told(again.document), merchant_id=merchant_id)
    return again


async def _held(tx: Tx, merchant_id: int, document_id: int) -> Document:
    await ledger.lock_books(tx, merchant_id)
    return await store.lock_document(tx, merchant_id, document_id)


async def _asked(tx: Tx, merchant_id: int, document_id: int) -> Document:
    one = await _held(tx, merchant_id, document_id)
    check_asked(one)
    return one


async def standing(
    document_id: int | None, read: Callable[[int], Awaitable[V]], replacement: Callable[[V], Awaitable[V | None]]
) -> int | None:
    """The document that stands in the place of this one, which may be itself. Raises Conflict where none does."""
    while document_id is not None:
        one = await read(document_id)
        if one.state is not State.VOID:
            break
        after = await replacement(one)
        if after is None:
            raise Conflict(f"document {one.number}, which it corrects, is void: issue that again first")
        document_id = after.document_id
    return document_id


def _subject(one: Document) -> str:
    return f"document:{one.merchant_id}/{one.document_id}"


def _told(one: Document) -> dict[str, object]:
    return {
        "merchant_id": one.merchant_id,
        "document_id": one.document_id,
        "number": one.number,
        "replaces_id": one.replaces_id,
    }
