"""Files of banks and processors on a page: what came, whether it holds, and a form to bring another."""

from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery

from billing.bank_files import store
from billing.bank_files.model import UNFINISHED, BankFile, BankFileState
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, done, text
from marketplace.consoles.layout import send
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.paging import cut, decode_cursor, encode_cursor
from marketplace.flows.bank.import_bank_file import import_bank_file
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest

LISTED_MAX = 50
FILE_BYTES_MAX = 2**25


class FilesPage(msgspec.Struct, frozen=True):
    """Files, the newest first."""

    files: list[BankFile]
    zone: str


@get("/files")
async def files(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:
    """What banks and processors have sent: how far each file is, and what of it does not hold."""
    return await show_files(request, db, before)


async def show_files(
    request: ActorRequest, db: Database, before: str | None = None, refused: Refused | None = None
) -> Response[str]:
    (behind,) = decode_cursor(before, tuple[int]) or (None,)
    async with db.read(STAFF) as tx:
        rows = await store.list_files(tx, limit=LISTED_MAX + 1, before=behind)
        entity = await ops_queries.get_entity(tx, None)
    listed, last = cut(rows, LISTED_MAX, lambda row: (row.file_id,))
    page = FilesPage(list(listed), entity.zone if entity else "UTC")
    cursor = encode_cursor(last) if last else None
    return send(request, "finance/files.html", page, "files", refused=refused, cursor=cursor, unfinished=UNFINISHED)


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
        return done("/finance/files", "file_read" if brought.state is BankFileState.READ else "file_kept")

    return await carry_out(request, db, work, again=lambda why: show_files(request, db, None, why), by_steps=True)


PAGES = [files, bring]
