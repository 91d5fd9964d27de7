"""Column mappings on pages: how any table is read as a statement, tried out on a sample before it is saved."""

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery

from billing.bank_files import mapping as pure
from billing.bank_files import store
from billing.bank_files.mapping import COLUMNS, SavedMapping
from billing.bank_files.model import Unreadable
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, done, take, text
from marketplace.consoles.layout import send
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import AppError, Invalid
from marketplace.flows.bank.save_bank_mapping import Preview, first_rows, preview_mapping, save_mapping
from marketplace.web.auth import ActorRequest
from marketplace.web.i18n import speech

LISTED_MAX = 200
SAMPLE_BYTES_MAX = 2**22
KEPT_BYTES_MAX = 2**16
"""Of a sample, that the page keeps, so that it need not be chosen again."""

HERE = "/finance/mappings"
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
KINDS = ("statement", "processor")
DECIMALS = ("point", "comma")


class MappingsPage(msgspec.Struct, frozen=True):
    """Every version of every mapping, the newest first."""

    mappings: Sequence[SavedMapping]
    zone: str


class MappingForm(msgspec.Struct, frozen=True):
    """A mapping that is being written. rows: how the sample begins; kept: the sample itself; preview: what the mapping
    makes of it; fault: why the sample cannot be read at all.
    """

    typed: Mapping[str, str]
    rows: Sequence[Sequence[str]] = ()
    kept: str = ""
    preview: Preview | None = None
    fault: str = ""


@get("/mappings")
async def mappings(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """How the columns of tables are read; a file names the version that it was read by."""
    async with db.read(STAFF) as tx:
        entity = await ops_queries.get_entity(tx, None)
        page = MappingsPage(await store.list_mappings(tx, limit=LISTED_MAX), entity.zone if entity else "UTC")
    return send(request, "finance/mappings.html", page, "files")


@get("/mappings/edit")
async def edit(request: ActorRequest, db: NamedDependency[Database], name: FromQuery[str] = "") -> Response[str]:
    """A new mapping, or the next version of one that is there."""
    if not name:
        return _form(request, MappingForm({}))
    async with db.read(STAFF) as tx:
        saved = await store.newest_mapping(tx, name)
    return _form(request, MappingForm({"name": saved.name} | _typed(saved.mapping)))


def _form(request: ActorRequest, page: MappingForm, refused: Refused | None = None) -> Response[str]:
    say = speech(request.user.locale)
    more: dict[str, Any] = {
        "columns": COLUMNS,
        "kinds": [(name, say.label("mapping_kind", name)) for name in KINDS],
        "delimiters": [(name, say.label("mapping_delimiter", name)) for name in DELIMITERS],
        "decimals": [(name, say.label("mapping_decimal", name)) for name in DECIMALS],
    }
    return send(request, "finance/mapping.html", page, "files", refused=refused, **more)


@post("/mappings/preview", request_max_body_size=SAMPLE_BYTES_MAX + 2**17, status_code=200)
async def preview(request: ActorRequest) -> Response[Any]:
    """What the mapping makes of a sample, and how the sample begins; nothing is stored."""
    sample = await _sample(request)

    async def work(typed: Mapping[str, str]) -> Response[Any]:
        found = await asyncio.to_thread(preview_mapping, _mapping(typed), sample)
        return _form(request, await asyncio.to_thread(_begun, typed, sample, found))

    async def again(why: Refused) -> Response[str]:
        return _form(request, await asyncio.to_thread(_begun, why.typed, sample), why)

    return await take(request, work, again=again)


@post("/mappings", request_max_body_size=SAMPLE_BYTES_MAX + 2**17)
async def save(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Save a mapping as the next version of its name."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await save_mapping(tx, text(typed, "name", least=1, most=60), _mapping(typed))
        return done(HERE, "mapping_saved")

    async def again(why: Refused) -> Response[str]:
        return _form(request, await asyncio.to_thread(_begun, why.typed, await _sample(request)), why)

    return await carry_out(request, db, work, again=again)


async def _sample(request: ActorRequest) -> bytes:
    """The file that was sent, else what the page has kept of the one before."""
    form = await request.form()
    file, kept = form.get("sample"), form.get("kept", "")
    if isinstance(file, UploadFile) and file.filename:
        return await file.read()
    try:
        return base64.b64decode(kept, validate=True) if isinstance(kept, str) else b""
    except binascii.Error:
        return b""


def _begun(typed: Mapping[str, str], sample: bytes, found: Preview | None = None) -> MappingForm:
    """The form with the first rows of the sample, of which a text is kept as far as its last whole line."""
    kept = sample if len(sample) <= KEPT_BYTES_MAX else sample[:KEPT_BYTES_MAX].rpartition(b"\n")[0]
    if kept != sample and b"\0" in kept:  # a part of a workbook or an archive is nothing
        kept = b""
    try:
        rows = first_rows(sample, DELIMITERS.get(typed.get("delimiter", ""), ",")) if sample else []
    except Unreadable as fault:
        return MappingForm(typed, fault=fault.detail)
    return MappingForm(typed, rows, base64.b64encode(kept).decode(), found if sample else None)


def _typed(mapping: pure.Mapping) -> dict[str, str]:
    """A mapping as its form has it."""
    fields = msgspec.structs.asdict(mapping)
    ticks = {name: "1" for name in ("minor", "negated") if fields.pop(name)}
    last, delimiter = "\n".join(fields.pop("last")), fields.pop("delimiter")
    named = next(name for name, sign in DELIMITERS.items() if sign == delimiter)
    return fields | ticks | {"last": last, "delimiter": named}


def _mapping(typed: Mapping[str, str]) -> pure.Mapping:
    """A mapping as a form has it. Raises Invalid, naming every field that is wrong."""
    fields: dict[str, Any] = {name: text(typed, name, most=100) for name in ("account", "currency", *COLUMNS)}
    fields |= {name: text(typed, name, most=30) for name in ("day_pattern", "decimal", "kind")}
    fields |= {"minor": "minor" in typed, "negated": "negated" in typed, "currency": fields["currency"].upper()}
    fields["delimiter"] = DELIMITERS.get(typed.get("delimiter", ""), "")
    fields["last"] = [line.strip() for line in text(typed, "last", most=1_000).splitlines() if line.strip()]
    try:
        mapping = msgspec.convert(fields, pure.Mapping)
    except msgspec.ValidationError as fault:
        why, _, name = str(fault).partition(" - at `$.")
        raise Invalid(f"{name.rstrip('`')}: {why}", pointer=f"/{name.rstrip('`')}") from fault
    try:
        pure.check_mapping(mapping)
    except AppError as refusal:
        wrong = [one | {"pointer": one["pointer"].removeprefix("/mapping")} for one in refusal.extra["errors"]]
        raise Invalid(refusal.detail, errors=wrong) from refusal
    return mapping


PAGES = [mappings, edit, preview, save]
