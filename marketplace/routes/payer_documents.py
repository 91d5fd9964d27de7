"""Tax documents to payers: listed, read, as PDF and e-invoice, void and issued again. A payer's person sees its own."""

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.payers import store as payers
from billing.payers.invoices import store
from billing.payers.invoices.store import PayerDocument
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payers import void_invoice as flow
from marketplace.routes.documents import AS_PDF, AS_XML, AskedSyntax, Because, Language, pdf_of, xml_of
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId
from marketplace.routes.payers import check_payer
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, PAYER, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_ONE = "/payers/{payer_id:int}/documents/{document_id:int}"


@get("/payers/{payer_id:int}/documents", guards=[needs(FINANCE, PAYER)])
async def list_payer_documents(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    claim_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[PayerDocument]:
    """A payer's invoices and credit notes, the newest first, void ones among them: of one claim or of all."""
    check_payer(request.user, payer_id)
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await payers.get_payer(tx, payer_id)
        rows = await store.list_documents(tx, payer_id, limit=limit + 1, after=after, claim_id=claim_id)
    return page(rows, limit, lambda row: row, lambda row: (row.document_id,))


@get(_ONE, guards=[needs(FINANCE, PAYER)])
async def get_payer_document(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, document_id: PathId
) -> PayerDocument:
    """One document with its number, its lines, and its VAT by rate."""
    check_payer(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_document(tx, payer_id, document_id)


@get(_ONE + "/document.pdf", guards=[needs(FINANCE, PAYER)], responses=AS_PDF, opt={ALSO: (409,)})
async def get_payer_document_pdf(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    payer_id: PathId,
    document_id: PathId,
    language: Language = None,
) -> Response[bytes]:
    """The document to be printed, the same bytes every time. Refused when no font has one of its characters."""
    check_payer(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        written = await store.written(tx, payer_id, document_id)
    return await pdf_of(written, language or request.user.locale, settings)


@get(_ONE + "/document.xml", guards=[needs(FINANCE, PAYER)], responses=AS_XML, opt={ALSO: (409,)})
async def get_payer_document_xml(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    document_id: PathId,
    syntax: AskedSyntax = "cii",
    language: Language = None,
) -> Response[bytes]:
    """The document as e-invoice, the same bytes every time. Refused while the country of a party is not known."""
    check_payer(request.user, payer_id)
    async with db.read(request.user.scope) as tx:
        written = await store.written(tx, payer_id, document_id)
    return await xml_of(written, language or request.user.locale, syntax)


@post(_ONE + "/void", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def void_payer_document(
    request: ActorRequest,
    db: NamedDependency[Database],
    payer_id: PathId,
    document_id: PathId,
    data: JSONBody[Because],
) -> Response[PayerDocument]:
    """Ask for a document to be void; it is once another person approves. Its number stays."""
    return await once(request, db, flow.ask_void, payer_id, document_id, data.reason)


@post(_ONE + "/void/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_payer_void(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, document_id: PathId
) -> Response[PayerDocument]:
    """Make a document void, as another person than who asked."""
    return await once(request, db, flow.approve_void, payer_id, document_id)


@post(_ONE + "/void/withdraw", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def withdraw_payer_void(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, document_id: PathId
) -> Response[PayerDocument]:
    """Leave a document as it is after all."""
    return await once(request, db, flow.withdraw_void, payer_id, document_id)


@post(_ONE + "/reissue", guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def reissue_payer_document(
    request: ActorRequest, db: NamedDependency[Database], payer_id: PathId, document_id: PathId
) -> Response[PayerDocument]:
    """Issue a void document again: the same lines under a new number, with today's details, pointing to the old."""
    return await once(request, db, flow.reissue_document, payer_id, document_id)


HANDLERS = [
    list_payer_documents,
    get_payer_document,
    get_payer_document_pdf,
    get_payer_document_xml,
    void_payer_document,
    approve_payer_void,
    withdraw_payer_void,
    reissue_payer_document,
]
