"""Files of banks and processors on pages: what came, whether it holds, what became of each line, and bringing more."""

from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any, BinaryIO, cast
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from billing.bank_files import store
from billing.bank_files.model import UNFINISHED, BankFile, BankFileState
from marketplace.consoles import files_queries, ops_queries
from marketplace.consoles.deeds import Refused, carry_out, done, text
from marketplace.consoles.finance_lists_queries import FILES
from marketplace.consoles.layout import PathId, send
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.paging import cut, decode_cursor, encode_cursor
from marketplace.flows.bank.import_bank_file import import_bank_file
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest

MAPPINGS_MAX = 200
FILE_BYTES_MAX = 2**25


class FilesPage(msgspec.Struct, frozen=True):
    """The mappings to choose from by name, "" for none."""

    mappings: list[tuple[str, str]]
    zone: str


@get(["/files", "/files.csv"])
async def files(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """What banks and processors have sent: how far each file is, and what of it does not hold."""
    return await show_files(request, db)


async def show_files(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[Any]:
    listing = FILES.asked(request, "/finance/files")
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        listing = await listing.page(tx)
        entity = await ops_queries.get_entity(tx, None)
        saved = await store.list_mappings(tx, limit=MAPPINGS_MAX)
    mappings = [("", "–"), *((name, name) for name in sorted({one.name for one in saved}))]
    page = FilesPage(mappings, entity.zone if entity else "UTC")
    return send(request, "finance/files.html", page, "files", refused=refused, listing=listing, unfinished=UNFINISHED)


@post("/files", request_max_body_size=FILE_BYTES_MAX + 2**16)
async def bring(
    request: ActorRequest, db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Take a file in; one that does not hold is kept and says why, one that came before changes nothing."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        file = (await request.form()).get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise Invalid("file: choose one", pointer="/file")
        mapping = text(typed, "mapping", most=60) or None
        brought = await import_bank_file(
            db, tx.actor, file.filename, cast(BinaryIO, file.file), processor=settings.processor, mapping=mapping
        )
        return done(f"/finance/files/{brought.file_id}", _outcome(brought))

    return await carry_out(request, db, work, again=lambda why: show_files(request, db, why), by_steps=True)


def _outcome(brought: BankFile) -> str:
    if brought.again:
        return "file_again"
    if brought.state is not BankFileState.READ:
        return "file_kept"
    return "file_read" if brought.new_lines == brought.lines else "file_overlaps"


@get("/files/{file_id:int}")
async def file_page(
    request: ActorRequest, db: NamedDependency[Database], file_id: PathId, after: FromQuery[str | None] = None
) -> Response[str]:
    """A file: its statements, what of it does not hold, and of each line what it is matched with."""
    (behind,) = decode_cursor(after, tuple[int]) or (0,)
    async with db.read(STAFF) as tx:
        entity = await ops_queries.get_entity(tx, None)
        page = await files_queries.file_page(tx, file_id, entity.zone if entity else "UTC", behind)
    shown, last = cut(page.lines, files_queries.LINES_MAX, lambda line: (line.place,))
    page = msgspec.structs.replace(page, lines=shown)
    cursor = encode_cursor(last) if last else None
    return send(request, "finance/file.html", page, "files", cursor=cursor, unfinished=UNFINISHED)


@get("/files/{file_id:int}/content")
async def content(db: NamedDependency[Database], file_id: PathId) -> Stream:
    """The file as it came, byte by byte."""
    async with db.read(STAFF) as tx:
        file = await store.get_file(tx, file_id)
    return Stream(
        _parts(db, file_id),
        media_type="application/octet-stream",
        headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"},
    )


async def _parts(db: Database, file_id: int) -> AsyncIterator[bytes]:
    for part_no in count():
        async with db.read(STAFF) as tx:
            part = await store.read_part(tx, file_id, part_no)
        if part is None:
            return
        yield part


PAGES = [files, bring, file_page, content]
