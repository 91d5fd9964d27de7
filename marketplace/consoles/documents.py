"""A merchant's tax documents on a page, each to be had as PDF in the reader's language."""

import asyncio
from collections.abc import Sequence
from datetime import date

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from billing.documents import store
from billing.documents.model import Document
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.layout import PathId, Place, send
from marketplace.core.db import Database
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.documents.render_document import render_document
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs

LISTED_MAX = 50


class DocumentsPage(msgspec.Struct, frozen=True):
    """The newest first, void ones among them."""

    merchant: Merchant
    documents: Sequence[Document]


@get("/documents", guards=[needs(MERCHANT_BOOKS, FINANCE)])
async def documents(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """Invoices, credit notes and self-billed invoices."""
    key = decode_cursor(before, tuple[date, int, int])
    async with db.read(place.scope) as tx:
        merchant = await get_merchant(tx, place.merchant_id)
        found = await store.list_documents(tx, merchant_id=place.merchant_id, limit=LISTED_MAX + 1, after=key)
    shown = found[:LISTED_MAX]
    last = shown[-1] if len(found) > LISTED_MAX else None
    older = encode_cursor((last.issued_on, last.document_id, last.merchant_id)) if last else None
    return send(request, "books/documents.html", DocumentsPage(merchant, shown), "documents", place, cursor=older)


@get("/documents/{document_id:int}/document.pdf", guards=[needs(MERCHANT_BOOKS, FINANCE)])
async def document_pdf(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    place: NamedDependency[Place],
    document_id: PathId,
) -> Response[bytes]:
    """The document to be printed; shown in the browser, and saved under its number."""
    async with db.read(place.scope) as tx:
        written = await store.get_document(tx, place.merchant_id, document_id)
    content = await asyncio.to_thread(render_document, written, request.user.locale, settings.fonts)
    name = {"content-disposition": f'inline; filename="{written.number}.pdf"'}
    return Response(content, media_type="application/pdf", headers=name)


PAGES = [documents, document_pdf]
