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

from billing.bank_files import readers, store
from billing.bank_files.model import BankFile, FileState, Items, Line, Unreadable, fingerprint
from billing.bank_files.packing import unpacked
from billing.bank_files.proofs import Proved, prove
from billing.bank_files.readers import Format
from billing.bank_files.repeats import Repeats
from billing.bank_files.store import Fingerprinted
from marketplace.core import audit, outbox
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx

PART_BYTES = 2**20
BATCH_LINES = 5_000
STATEMENTS_MAX = 20_000
_FLAWS_MAX = 100
_STALE = timedelta(minutes=5)

OnProgress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


class _Checked(msgspec.Struct, frozen=True):
    """What the first reading found. repeats: the lines of which a file may hold several that are equal."""

    format: Format
    proved: list[Proved]
    repeats: Repeats


async def import_bank_file(
    db: Database, actor: str, name: str, stream: BinaryIO, *, on_progress: OnProgress = _silent
) -> BankFile:
    """Keep and read a file; one that came before is not read again, one whose import was stopped goes on.

    A file that cannot be read, or does not hold, is kept and says why.
    """
    digest, size = await asyncio.to_thread(_measure, stream)
    file = await db.write(WORKER, actor, store.receive, name, digest, size)
    if file.state is FileState.ARRIVING:
        await _keep(db, actor, file.file_id, stream)
    if file.state is FileState.READ:
        return file
    return await _read(db, actor, file.file_id, stream, on_progress)


async def read_unfinished(db: Database, actor: str) -> int:
    """Go on with files whose reading was stopped some minutes ago; returns how many."""
    async with db.read(WORKER) as tx:
        waiting = await store.unfinished(tx, db.clock.now() - _STALE)
    for file_id in waiting:
        with tempfile.TemporaryFile() as restored:
            await _restore(db, file_id, restored)
            await _read(db, actor, file_id, restored, _silent)
    return len(waiting)


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


async def _read(db: Database, actor: str, file_id: int, stream: BinaryIO, on_progress: OnProgress) -> BankFile:
    try:
        checked = await asyncio.to_thread(_check, stream)
    except Unreadable as fault:
        return await db.write(WORKER, actor, _refuse, file_id, fault.detail)
    file = await db.write(WORKER, actor, _judge, file_id, checked)
    crash_point("bank-file.judged")
    if file.state is FileState.STORING:
        await _store_lines(db, actor, file, stream, checked, on_progress)
        file = await db.write(WORKER, actor, _finish, file_id)
    return file


def _check(stream: BinaryIO) -> _Checked:
    """Read a file for its proofs. Raises Unreadable."""
    content = unpacked(stream)
    file_format = readers.detect(content)
    repeats = Repeats()
    proved = []
    for one in prove(_watched(readers.read(content, file_format), repeats)):
        proved.append(one)
        if len(proved) > STATEMENTS_MAX:
            raise Unreadable(f"the file holds more than {STATEMENTS_MAX:,} statements")
    return _Checked(file_format, proved, repeats)


def _watched(items: Items, repeats: Repeats) -> Items:
    for item in items:
        if isinstance(item, Line):
            repeats.note(item)
        yield item


async def _refuse(tx: Tx, file_id: int, reason: str) -> BankFile:
    file = await store.lock_file(tx, file_id)
    if file.state in {FileState.STORING, FileState.READ}:
        return file
    await store.judge(tx, file_id, [], state=FileState.UNREADABLE, file_format=None, mapping_id=None, flaws=[reason])
    return await _ended(tx, file_id)


async def _judge(tx: Tx, file_id: int, checked: _Checked) -> BankFile:
    """Write the verdict down, unless somebody else has."""
    file = await store.lock_file(tx, file_id)
    if file.state in {FileState.STORING, FileState.READ}:
        return file
    flaws = [flaw for one in checked.proved for flaw in one.flaws][:_FLAWS_MAX]
    state = FileState.FAILED if flaws else FileState.STORING
    await store.judge(
        tx, file_id, checked.proved, state=state, file_format=checked.format, mapping_id=None, flaws=flaws
    )
    return await (_ended(tx, file_id) if flaws else store.get_file(tx, file_id))


async def _store_lines(
    db: Database, actor: str, file: BankFile, stream: BinaryIO, checked: _Checked, on_progress: OnProgress
) -> None:
    content = await asyncio.to_thread(unpacked, stream)
    lines = _lines(readers.read(content, checked.format), checked)
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
    if file.state is FileState.STORING:
        left = [one for one in batch if one.line_no > file.stored_lines]
        if left:
            await store.take_in(tx, file_id, left)


async def _finish(tx: Tx, file_id: int) -> BankFile:
    file = await store.lock_file(tx, file_id)
    if file.state is not FileState.STORING:
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
