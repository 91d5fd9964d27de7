"""Take in a file of a bank or processor: keep its bytes, prove it, and only then its lines, each once.

The file is read twice: first for its proofs, of which nothing is stored but the verdict, then for its lines, some
thousands a commit. The file says how far it is; whoever brings it again, or the worker, goes on from there. Until it
is `read` none of its lines counts.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, BinaryIO

import msgspec
import structlog

from billing.bank_files import readers, store
from billing.bank_files.mapping import Mapping
from billing.bank_files.model import BankFile, BankFileState, Items, Line, Unreadable, fingerprint
from billing.bank_files.packing import unpacked
from billing.bank_files.proofs import Proved, prove
from billing.bank_files.readers import Format
from billing.bank_files.repeats import Repeats
from billing.bank_files.store import Fingerprinted
from marketplace.core import audit, outbox
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx, is_lost
from marketplace.core.errors import AppError
from marketplace.flows.payments.import_processor_file import ImportedFile, import_processor_file

PART_BYTES = 2**20
BATCH_LINES = 5_000
STATEMENTS_MAX = 20_000
_FLAWS_MAX = 100
_NAME_CHARS_MAX = 200
_STALE = timedelta(minutes=5)

OnProgress = Callable[[int, int], None]

log = structlog.get_logger(__name__)


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


class _Checked(msgspec.Struct, frozen=True):
    """What the first reading found. repeats: the lines of which a file may hold several that are equal."""

    format: Format
    mapping: Mapping | None
    proved: list[Proved]
    repeats: Repeats


async def import_bank_file(
    db: Database,
    actor: str,
    name: str,
    stream: BinaryIO,
    *,
    processor: str,
    mapping: str | None = None,
    on_progress: OnProgress = _silent,
) -> BankFile:
    """Keep and read a file; one that came before is not read again, one whose import was stopped goes on.

    A file that cannot be read, or does not hold, is kept and says why; it is read again when it is brought again.
    processor: whose settlement file it is if it is one; it is booked as such. mapping: by which a table is read. Raises
    NotFound when there is no such mapping.
    """
    digest, size = await asyncio.to_thread(_measure, stream)
    file = await db.write(WORKER, actor, _receive, name, digest, size, mapping)
    if file.state is BankFileState.ARRIVING:
        await _keep(db, actor, file.file_id, stream)
    if file.state is BankFileState.READ:
        return msgspec.structs.replace(file, again=True)
    return await _read(db, actor, file, stream, processor, on_progress)


async def read_unfinished(db: Database, actor: str, processor: str) -> int:
    """Go on with files whose reading was stopped some minutes ago; returns how many. None holds up another."""
    async with db.read(WORKER) as tx:
        waiting = await store.unfinished(tx, db.clock.now() - _STALE)
    for file in waiting:
        try:
            with tempfile.TemporaryFile() as restored:
                await _restore(db, file.file_id, restored)
                await _read(db, actor, file, restored, processor, _silent)
        except Exception as fault:
            if is_lost(fault):
                raise
            log.exception("bank file not read", file_id=file.file_id)
    return len(waiting)


async def _receive(tx: Tx, name: str, digest: bytes, size: int, mapping: str | None) -> BankFile:
    mapping_id = (await store.newest_mapping(tx, mapping)).mapping_id if mapping else None
    plain = "".join(sign if sign.isprintable() else "?" for sign in name)[:_NAME_CHARS_MAX]
    return await store.receive(tx, plain, digest, size, mapping_id)


def _measure(stream: BinaryIO) -> tuple[bytes, int]:
    stream.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(PART_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return digest.digest(), size


async def _keep(db: Database, actor: str, file_id: int, stream: BinaryIO) -> None:
    stream.seek(0)
    number, chunk = 0, stream.read(PART_BYTES)
    while True:
        following = stream.read(PART_BYTES)
        await db.write(WORKER, actor, store.keep_part, file_id, number, chunk, last=not following)
        crash_point("bank-file.part-kept")
        if not following:
            return
        number, chunk = number + 1, following


async def _restore(db: Database, file_id: int, into: BinaryIO) -> None:
    number = 0
    while True:
        async with db.read(WORKER) as tx:
            content = await store.read_part(tx, file_id, number)
        if content is None:
            return
        into.write(content)
        number += 1


async def _read(
    db: Database, actor: str, file: BankFile, stream: BinaryIO, processor: str, on_progress: OnProgress
) -> BankFile:
    try:
        checked = await asyncio.to_thread(_check, stream, await _mapping_of(db, file))
    except Unreadable as fault:
        return await db.write(WORKER, actor, _refuse, file.file_id, BankFileState.UNREADABLE, None, fault.detail)
    if checked.format is Format.SETTLEMENT:
        return await _book_settlement(db, actor, file, stream, processor)
    file = await db.write(WORKER, actor, _judge, file.file_id, checked)
    crash_point("bank-file.judged")
    if file.state is BankFileState.STORING:
        await _store_lines(db, actor, file, stream, checked, on_progress)
        file = await db.write(WORKER, actor, _finish, file.file_id)
    return file


async def _mapping_of(db: Database, file: BankFile) -> Mapping | None:
    if file.mapping_id is None:
        return None
    async with db.read(WORKER) as tx:
        return (await store.get_mapping(tx, file.mapping_id)).mapping


def _check(stream: BinaryIO, mapping: Mapping | None) -> _Checked:
    """Read a file for its proofs; a settlement file proves itself when it is booked. Raises Unreadable."""
    content = unpacked(stream)
    file_format = Format.TABLE if mapping is not None else readers.detect(content)
    repeats = Repeats()
    proved: list[Proved] = []
    if file_format is Format.SETTLEMENT:
        return _Checked(file_format, None, proved, repeats)
    for one in prove(_watched(readers.read(content, file_format, mapping), repeats)):
        proved.append(one)
        if len(proved) > STATEMENTS_MAX:
            raise Unreadable(f"the file holds more than {STATEMENTS_MAX:,} statements")
    return _Checked(file_format, mapping, proved, repeats)


async def _book_settlement(db: Database, actor: str, file: BankFile, stream: BinaryIO, processor: str) -> BankFile:
    content = await asyncio.to_thread(_whole, stream)
    try:
        booked = await import_processor_file(db, actor, processor, content)
    except AppError as refusal:
        told = (file.file_id, BankFileState.FAILED, Format.SETTLEMENT, refusal.detail)
        return await db.write(WORKER, actor, _refuse, *told)
    return await db.write(WORKER, actor, _booked, file.file_id, booked)


def _whole(stream: BinaryIO) -> bytes:
    content = unpacked(stream)
    content.seek(0)
    return content.read()


async def _booked(tx: Tx, file_id: int, booked: ImportedFile) -> BankFile:
    file = await store.lock_file(tx, file_id)
    if file.state is BankFileState.READ:
        return file
    await store.booked_elsewhere(tx, file_id, Format.SETTLEMENT, booked.lines, booked.new_lines, booked.file_id)
    return await _ended(tx, file_id)


def _watched(items: Items, repeats: Repeats) -> Items:
    for item in items:
        if isinstance(item, Line):
            repeats.note(item)
        yield item


async def _refuse(tx: Tx, file_id: int, state: BankFileState, file_format: Format | None, reason: str) -> BankFile:
    file = await store.lock_file(tx, file_id)
    if file.state in {BankFileState.STORING, BankFileState.READ}:
        return file
    await store.judge(tx, file_id, [], state=state, file_format=file_format, flaws=[reason])
    return await _ended(tx, file_id)


async def _judge(tx: Tx, file_id: int, checked: _Checked) -> BankFile:
    """Write the verdict down, unless somebody else has."""
    file = await store.lock_file(tx, file_id)
    if file.state in {BankFileState.STORING, BankFileState.READ}:
        return file
    flaws = [flaw for one in checked.proved for flaw in one.flaws][:_FLAWS_MAX]
    state = BankFileState.FAILED if flaws else BankFileState.STORING
    await store.judge(tx, file_id, checked.proved, state=state, file_format=checked.format, flaws=flaws)
    return await (_ended(tx, file_id) if flaws else store.get_file(tx, file_id))


async def _store_lines(
    db: Database, actor: str, file: BankFile, stream: BinaryIO, checked: _Checked, on_progress: OnProgress
) -> None:
    content = await asyncio.to_thread(unpacked, stream)
    lines = _lines(readers.read(content, checked.format, checked.mapping), checked)
    while batch := await asyncio.to_thread(_next_batch, lines):
        if batch[-1].line_no > file.stored_lines:
            await db.write(WORKER, actor, _store_batch, file.file_id, batch)
            crash_point("bank-file.batch-committed")
        on_progress(batch[-1].line_no, file.lines)


def _next_batch(lines: Iterator[Fingerprinted]) -> list[Fingerprinted]:
    return list(islice(lines, BATCH_LINES))


def _lines(items: Items, checked: _Checked) -> Iterator[Fingerprinted]:
    """Every line with what makes it the same in another file; the statement is known from the first reading."""
    number, statement_no = 0, 1
    for item in items:
        if not isinstance(item, Line):
            statement_no += 1
            continue
        number += 1
        of = checked.proved[statement_no - 1].statement
        key = fingerprint(of.account, of.kind, item)
        occurrence = checked.repeats.occurrence(item, key)
        yield Fingerprinted(number, statement_no, of.kind, of.account, key, occurrence, item)


async def _store_batch(tx: Tx, file_id: int, batch: list[Fingerprinted]) -> None:
    """Take in the lines of a batch that nobody has taken in yet: another may be at the same file."""
    file = await store.lock_file(tx, file_id)
    if file.state is BankFileState.STORING:
        left = [one for one in batch if one.line_no > file.stored_lines]
        if left:
            await store.take_in(tx, file_id, left)


async def _finish(tx: Tx, file_id: int) -> BankFile:
    file = await store.lock_file(tx, file_id)
    if file.state is not BankFileState.STORING:
        return file
    await store.finish(tx, file_id)
    return await _ended(tx, file_id)


async def _ended(tx: Tx, file_id: int) -> BankFile:
    file = await store.get_file(tx, file_id)
    told: dict[str, Any] = {
        "file_id": file_id,
        "name": file.name,
        "state": file.state,
        "lines": file.lines,
        "new": file.new_lines,
    }
    await audit.record(tx, "read bank file", f"bank_file:{file_id}", **told)
    await outbox.emit(tx, "billing.bank_file_read.v1", told)
    return file
