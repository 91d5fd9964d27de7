"""Tax documents: listed, read, as PDF and e-invoice, void and issued again; and who stands on them."""

import asyncio
from datetime import date
from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter

from billing.documents import store
from billing.documents.model import Category, Details, Document, Draft, Party, Syntax, Written
from marketplace.core.db import WORKER, Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.documents import issue_documents
from marketplace.flows.documents import void_document as flow
from marketplace.flows.documents.render_document import render_document
from marketplace.flows.documents.render_einvoice import render_einvoice
from marketplace.flows.documents.set_billing_details import read_details, set_details
from marketplace.routes.fields import Address, Country, Name, Ppm, Reason, TaxId
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, QueryId, QueryNo, check_books, own_or
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import check_version, expected_version, tagged, versioned
from marketplace.web.files import attached
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_ONE = "/merchants/{merchant_id:int}/documents/{document_id:int}"
PDF, XML = "application/pdf", "application/xml"
AS_PDF = {200: ResponseSpec(str, media_type=PDF, description="PDF/A-3.", generate_examples=False)}
AS_XML = {200: ResponseSpec(str, media_type=XML, description="XML of EN 16931.", generate_examples=False)}

Language = Annotated[
    Literal["en", "zh", "pt"] | None, QueryParameter(description="The language of its words; yours unless named.")
]
AskedSyntax = Annotated[Syntax, QueryParameter(description="CII, as Factur-X and ZUGFeRD have it, or UBL 2.1.")]


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class NewDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """self_billed: what the merchant sells to the platform, which writes the invoices for it. self_billed_vat_ppm: the
    merchant's VAT rate, contained in what it is paid."""

    name: Name
    address: Address = ""
    country: Country = ""
    tax_id: TaxId = ""
    self_billed: Annotated[tuple[Literal["goods", "incentive"], ...], msgspec.Meta(max_length=2)] = ()
    self_billed_vat_ppm: Ppm = 0


@get("/documents", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_documents(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    run_id: QueryNo = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Document]:
    """Invoices, credit notes and self-billed invoices, the newest first, void ones among them."""
    after = decode_cursor(cursor, tuple[date, int, int])
    merchant = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_documents(tx, merchant_id=merchant, run_id=run_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.issued_on, row.document_id, row.merchant_id))


@get(_ONE, guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_document(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, document_id: PathNo
) -> Written:
    """One document with its number, its lines, and its VAT by rate."""
    return await _read(request, db, merchant_id, document_id)


@get(
    _ONE + "/document.pdf",
    guards=[needs(FINANCE, MERCHANT_BOOKS)],
    responses=AS_PDF,
    opt={ALSO: (409,)},
)
async def get_document_pdf(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    merchant_id: PathId,
    document_id: PathNo,
    language: Language = None,
) -> Response[bytes]:
    """The document to be printed, the same bytes every time. Refused when no font has one of its characters."""
    written = await _read(request, db, merchant_id, document_id)
    return await pdf_of(written, language or request.user.locale, settings)


@get(
    _ONE + "/document.xml",
    guards=[needs(FINANCE, MERCHANT_BOOKS)],
    responses=AS_XML,
    opt={ALSO: (409,)},
)
async def get_document_xml(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    document_id: PathNo,
    syntax: AskedSyntax = "cii",
    language: Language = None,
) -> Response[bytes]:
    """The document as e-invoice, the same bytes every time. Refused while the country of a party is not known."""
    written = await _read(request, db, merchant_id, document_id)
    return await xml_of(written, language or request.user.locale, syntax)


async def pdf_of(written: Written, language: str, settings: Settings) -> Response[bytes]:
    """A document to be printed, as a file of its number."""
    content = await asyncio.to_thread(render_document, written, language, settings.fonts)
    return _file(content, PDF, f"{written.number}.pdf")


async def xml_of(written: Written, language: str, syntax: Syntax) -> Response[bytes]:
    """A document as e-invoice, as a file of its number."""
    content = await asyncio.to_thread(render_einvoice, written, language, syntax)
    return _file(content, XML, f"{written.number}.xml")


def _file(content: bytes, media_type: str, name: str) -> Response[bytes]:
    headers = attached(name)
    return Response(content, media_type=media_type, headers=headers)


async def _read(request: ActorRequest, db: Database, merchant_id: int, document_id: int) -> Written:
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_document(tx, merchant_id, document_id)


@post(_ONE + "/void", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def void_document(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    document_id: PathNo,
    data: JSONBody[Because],
) -> Response[Document]:
    """Ask for a document to be void; it is once another person approves. Its number stays."""
    return await once(request, db, flow.ask_void, merchant_id, document_id, data.reason)


@post(_ONE + "/void/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_void(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, document_id: PathNo
) -> Response[Document]:
    """Make a document void, as another person than who asked."""
    return await once(request, db, flow.approve_void, merchant_id, document_id)


@post(_ONE + "/void/withdraw", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def withdraw_void(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, document_id: PathNo
) -> Response[Document]:
    """Leave a document as it is after all."""
    return await once(request, db, flow.withdraw_void, merchant_id, document_id)


@post(_ONE + "/reissue", guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def reissue_document(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, document_id: PathNo
) -> Response[Written]:
    """Issue a void document again: the same lines under a new number, with today's details, pointing to the old."""
    return await once(request, db, flow.reissue_document, merchant_id, document_id)


@get(
    "/merchants/{merchant_id:int}/document-previews/{run_id:int}",
    guards=[needs(FINANCE)],
    opt={ALSO: (409,)},
)
async def preview_documents(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, run_id: PathNo
) -> list[Draft]:
    """What a run that is not final would issue to a merchant now."""
    async with db.read(request.user.scope) as tx:
        return await issue_documents.preview_documents(tx, run_id, merchant_id)


@get("/merchants/{merchant_id:int}/billing-details", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_billing_details(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId
) -> Response[Details]:
    """Who stands on the merchant's documents, and which of its invoices the platform writes."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        details = await read_details(tx, merchant_id)
    return tagged(details, details.version)


@put(
    "/merchants/{merchant_id:int}/billing-details",
    dto=StrictBody[NewDetails],
    guards=[needs(FINANCE)],
    opt=versioned(),
)
async def set_billing_details(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewDetails]
) -> Response[Details]:
    """Say who stands on documents from now on; of the platform itself under the id of its house."""
    new = Details(
        merchant_id=merchant_id,
        party=Party(name=data.name, address=data.address, country=data.country, tax_id=data.tax_id),
        self_billed=tuple(sorted({Category(each) for each in data.self_billed})),
        self_billed_vat_ppm=data.self_billed_vat_ppm,
    )
    check = partial(check_version, expected_version(request))
    details = await db.write(WORKER, request.user.login, set_details, new, check)
    return tagged(details, details.version)


HANDLERS = [
    list_documents,
    get_document,
    get_document_pdf,
    get_document_xml,
    void_document,
    approve_void,
    withdraw_void,
    reissue_document,
    preview_documents,
    get_billing_details,
    set_billing_details,
]
