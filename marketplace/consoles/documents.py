"""A merchant's tax documents, each to be had as PDF in the reader's language."""

import asyncio

from litestar import Response, get
from litestar.di import NamedDependency

from billing.documents import store
from marketplace.consoles.layout import PathId, Place
from marketplace.core.db import Database
from marketplace.flows.documents.render_document import render_document
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs


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


PAGES = [document_pdf]
