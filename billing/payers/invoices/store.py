"""Every statement on payers' documents. Who issues one holds the claim; the series comes last."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Row, func, insert, select, update

from billing.documents.model import Document, Draft, Kind, Line, Party, State, Subject, Tax, Written, number, series_of
from billing.documents.store import take_numbers
from billing.payers.claims.store import PayerClaim
from billing.payers.tables import payer_document
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound


class PayerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document to a payer, the platform's legal entity being the seller. from_on, to_on: its period, half-open.

    rejection_id: the rejection whose fee it gives back. corrects_id: the document whose amounts it changes;
    replaces_id: the void one in whose place it stands.
    """

    payer_id: int
    document_id: int
    entity_id: int
    claim_id: int
    rejection_id: int | None
    kind: Kind
    number: str
    currency: str
    from_on: date
    to_on: date
    issued_on: date
    due_on: date | None
    net_minor: int
    vat_minor: int
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    corrects_id: int | None
    replaces_id: int | None
    state: State
    void_reason: str | None
    void_asked_by: str | None
    voided_by: str | None
    voided_at: datetime | None
    issued_by: str
    issued_at: datetime


class PayerIssue(msgspec.Struct, frozen=True, kw_only=True):
    """What a document to a payer is about, for which days, and when it is issued."""

    claim_id: int
    rejection_id: int | None
    entity_id: int
    from_on: date
    to_on: date
    issued_on: date
    seller: Party
    buyer: Party


_OF = payer_document.c


async def add_document(tx: Tx, payer_id: int, issue: PayerIssue, draft: Draft) -> PayerDocument:
    """Number and store a document. Its series is held from here to the commit: call it last."""
    series = series_of(issue.entity_id, draft.kind, payer_id)
    before = await take_numbers(tx, issue.entity_id, {series: 1})
    said = ("document_id", "kind", "currency", "due_on", "net_minor", "vat_minor", "corrects_id", "replaces_id")
    row = {
        "payer_id": payer_id,
        **msgspec.structs.asdict(issue),
        **{name: getattr(draft, name) for name in said},
        "series": series,
        "serial": before[series] + 1,
        **{name: msgspec.to_builtins(getattr(issue, name)) for name in ("seller", "buyer")},
        **{name: msgspec.to_builtins(getattr(draft, name)) for name in ("lines", "taxes")},
        "issued_by": tx.actor,
        "issued_at": tx.now,
    }
    await tx.execute(insert(payer_document), row)
    return await get_document(tx, payer_id, draft.document_id)


async def get_document(tx: Tx, payer_id: int, document_id: int) -> PayerDocument:
    """Raises NotFound."""
    query = select(payer_document).where(_OF.payer_id == payer_id, _OF.document_id == document_id)
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"payer {payer_id} has no document {document_id}")
    return _document(row)


async def find_invoice(tx: Tx, claim: PayerClaim) -> PayerDocument | None:
    """The document that stands for a claim's own fee, if it has one."""
    query = select(payer_document).where(
        _OF.payer_id == claim.payer_id, _OF.claim_id == claim.claim_id, _OF.rejection_id.is_(None)
    )
    row = await tx.row(query.where(_OF.state == State.ISSUED))
    return None if row is None else _document(row)


async def list_documents(
    tx: Tx, payer_id: int, *, limit: int, after: int | None = None, claim_id: int | None = None
) -> Sequence[PayerDocument]:
    """At most `limit` documents of a payer, the newest first, those behind the id `after`: of one claim or of all."""
    query = select(payer_document).where(_OF.payer_id == payer_id).order_by(_OF.document_id.desc()).limit(limit)
    if claim_id is not None:
        query = query.where(_OF.claim_id == claim_id)
    if after is not None:
        query = query.where(_OF.document_id < after)
    return [_document(row) for row in await tx.rows(query)]


async def is_corrected(tx: Tx, one: PayerDocument) -> bool:
    """Whether a document that stands changes the amounts of this one."""
    of_it = (_OF.payer_id == one.payer_id, _OF.corrects_id == one.document_id, _OF.state == State.ISSUED)
    return bool(await tx.scalar(select(func.count()).where(*of_it)))


async def find_replacement(tx: Tx, one: PayerDocument) -> PayerDocument | None:
    """The document that stands in this one's place, if there is one."""
    query = select(payer_document).where(_OF.payer_id == one.payer_id, _OF.replaces_id == one.document_id)
    row = await tx.row(query)
    return None if row is None else _document(row)


async def change_document(tx: Tx, one: PayerDocument, **values: Any) -> PayerDocument:
    """Ask for a void, withdraw that, or make it: nothing else of a document ever changes."""
    key = (_OF.payer_id == one.payer_id, _OF.document_id == one.document_id)
    await tx.execute(update(payer_document).where(*key).values(**values))
    return await get_document(tx, one.payer_id, one.document_id)


async def written(tx: Tx, payer_id: int, document_id: int) -> Written:
    """A document as it is printed or sent, with the numbers of those that it points to. Raises NotFound."""
    one = await get_document(tx, payer_id, document_id)
    others = [other for other in (one.corrects_id, one.replaces_id) if other is not None]
    numbers = {str(other): (await get_document(tx, payer_id, other)).number for other in others}
    own = {name: getattr(one, name) for name in PayerDocument.__struct_fields__ if name in Document.__struct_fields__}
    document = Document(**own, **_OF_NO_MERCHANT, source_id=one.claim_id)
    return Written(document=document, lines=one.lines, taxes=one.taxes, numbers=numbers)


_OF_NO_MERCHANT: Mapping[str, Any] = {"merchant_id": 0, "run_id": 0, "subject": Subject.CLAIM, "reverses_id": None}


def _document(row: Row[Any]) -> PayerDocument:
    values = {name: getattr(row, name) for name in PayerDocument.__struct_fields__ if name != "number"}
    return msgspec.convert({**values, "number": number(row.series, row.serial)}, PayerDocument)
