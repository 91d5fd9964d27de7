"""Files of banks and processors: what came, whether it holds, and its lines."""

import asyncio
import base64
import binascii
import io
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.bank_files import store
from billing.bank_files.mapping import Mapping, SavedMapping
from billing.bank_files.model import BankFile, BankFileState, BankLine, BankStatement, Gap
from marketplace.core.db import Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.bank.import_bank_file import import_bank_file
from marketplace.flows.bank.save_bank_mapping import Preview, preview_mapping, save_mapping
from marketplace.routes.fields import Label, Name
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, needs
from marketplace.web.once import once, once_through
from marketplace.web.openapi import ALSO, ONCE

FILE_BYTES_MAX = 2**25
_BASE64_CHARS_MAX = FILE_BYTES_MAX * 4 // 3 + 4
_BODY_BYTES_MAX = _BASE64_CHARS_MAX + 2**16

Content = Annotated[str, msgspec.Meta(min_length=1, max_length=_BASE64_CHARS_MAX, description="The bytes in base64.")]
InState = Annotated[BankFileState | None, QueryParameter(name="state")]
Account = Annotated[str | None, QueryParameter(max_length=200, description="As the statements name it.")]


class NewBankFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """name: of the file. content: at most 32 MiB, also compressed; a larger file goes by command line or drop folder.

    mapping: by which a table is read whose format is not known here.
    """

    name: Name
    content: Content
    mapping: Label = ""


class NewMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    mapping: Mapping


class TryMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """content: the file in base64, or its beginning."""

    mapping: Mapping
    content: Content


@post(
    "/bank-files",
    dto=StrictBody[NewBankFile],
    guards=[needs(FINANCE)],
    status_code=200,
    request_max_body_size=_BODY_BYTES_MAX,
    opt=ONCE | {ALSO: (404,)},
)
async def add_bank_file(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    data: JSONBody[NewBankFile],
) -> Response[BankFile]:
    """Take in a file: `read` when it holds, else kept with its flaws; one that came before is answered as it is."""
    stream = io.BytesIO(_bytes(data.content))

    async def work(tx: Tx) -> BankFile:
        processor, mapping = settings.processor, data.mapping or None
        return await import_bank_file(db, tx.actor, data.name, stream, processor=processor, mapping=mapping)

    return await once_through(request, db, work)


def _bytes(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise Invalid(f"content: is not base64: {fault}", pointer="/content") from fault


@get("/bank-files", guards=[needs(FINANCE)])
async def list_bank_files(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[BankFile]:
    """Files of banks and processors, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_files(tx, limit=limit + 1, before=before, state=in_state)
    return page(rows, limit, lambda row: row, lambda row: (row.file_id,))


@get("/bank-files/{bank_file_id:int}", guards=[needs(FINANCE)])
async def get_bank_file(request: ActorRequest, db: NamedDependency[Database], bank_file_id: PathNo) -> BankFile:
    """One file: how far it is, and everything about it that does not hold."""
    async with db.read(request.user.scope) as tx:
        return await store.get_file(tx, bank_file_id)


@get("/bank-files/{bank_file_id:int}/statements", guards=[needs(FINANCE)])
async def list_bank_statements(
    request: ActorRequest,
    db: NamedDependency[Database],
    bank_file_id: PathNo,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[BankStatement]:
    """The statements in a file, in its order, each with its balances, its sum and its flaws."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        await store.get_file(tx, bank_file_id)
        rows = await store.list_statements(tx, bank_file_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.statement_no,))


@get("/bank-files/{bank_file_id:int}/lines", guards=[needs(FINANCE)])
async def list_bank_lines(
    request: ActorRequest,
    db: NamedDependency[Database],
    bank_file_id: PathNo,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[BankLine]:
    """The lines that a file was the first to bring, in its order; none before it is read."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        await store.get_file(tx, bank_file_id)
        rows = await store.list_lines(tx, bank_file_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.line_no,))


@get("/bank-files/gaps", guards=[needs(FINANCE)])
async def list_bank_gaps(
    request: ActorRequest, db: NamedDependency[Database], account: Account = None, limit: Limit = LIMIT
) -> list[Gap]:
    """Where statements of an account do not follow on each other: one is missing, or two overlap."""
    async with db.read(request.user.scope) as tx:
        return list(await store.list_gaps(tx, account=account, limit=limit))


@get("/bank-mappings", guards=[needs(FINANCE)])
async def list_bank_mappings(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[SavedMapping]:
    """Versions of mappings, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_mappings(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.mapping_id,))


@post("/bank-mappings", dto=StrictBody[NewMapping], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def save_bank_mapping(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewMapping]
) -> Response[SavedMapping]:
    """Save how the columns of a table are read, as the next version of its name."""
    return await once(request, db, save_mapping, data.name, data.mapping)


@post(
    "/bank-mappings/preview",
    dto=StrictBody[TryMapping],
    guards=[needs(FINANCE)],
    status_code=200,
    request_max_body_size=_BODY_BYTES_MAX,
)
async def preview_bank_mapping(request: ActorRequest, data: JSONBody[TryMapping]) -> Preview:
    """The first 20 lines of a file as a mapping reads them; nothing is stored."""
    return await asyncio.to_thread(preview_mapping, data.mapping, _bytes(data.content))


HANDLERS = [
    add_bank_file,
    list_bank_files,
    list_bank_gaps,
    get_bank_file,
    list_bank_statements,
    list_bank_lines,
    list_bank_mappings,
    save_bank_mapping,
    preview_bank_mapping,
]
