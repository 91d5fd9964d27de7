"""Every statement on files of banks and processors, their statements and lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql

from billing.bank_files.model import BankFile, BankLine, BankStatement, FileState, Kind, Line
from billing.bank_files.proofs import Proved
from billing.bank_files.tables import bank_file, bank_file_part, bank_statement
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.ids import time_ordered_id


class Fingerprinted(msgspec.Struct, frozen=True):
    """A line ready to be taken in."""

    line_no: int
    statement_no: int
    kind: Kind
    account: str
    fingerprint: bytes
    occurrence: int
    line: Line


_FILE = ", ".join(BankFile.__struct_fields__)
_STATEMENT = ", ".join(BankStatement.__struct_fields__)
_LINE = ", ".join(f"l.{name}" for name in BankLine.__struct_fields__)


def _file(row: Any) -> BankFile:
    return BankFile(**{**row._mapping, "state": FileState(row.state), "flaws": tuple(row.flaws)})


async def receive(tx: Tx, name: str, content_hash: bytes, size_bytes: int) -> BankFile:
    """The file with this content, a new one when it never came before."""
    row = {
        "file_id": time_ordered_id(tx.now),
        "content_hash": content_hash,
        "name": name,
        "size_bytes": size_bytes,
        "state": FileState.ARRIVING,
        "received_at": tx.now,
        "received_by": tx.actor,
        "moved_at": tx.now,
    }
    await tx.execute(postgresql.insert(bank_file).values(row).on_conflict_do_nothing(index_elements=["content_hash"]))
    found = await tx.row(f"SELECT {_FILE} FROM billing.bank_file WHERE content_hash = :hash", hash=content_hash)
    return _file(found)


async def keep_part(tx: Tx, file_id: int, part_no: int, content: bytes, *, last: bool) -> None:
    """Keep a part of a file's bytes; with the last one the file is kept."""
    row = {"file_id": file_id, "part_no": part_no, "content": content}
    await tx.execute(postgresql.insert(bank_file_part).values(row).on_conflict_do_nothing())
    if last:
        await tx.execute(
            "UPDATE billing.bank_file SET state = 'kept', moved_at = :now WHERE file_id = :file AND state = 'arriving'",
            {"file": file_id, "now": tx.now},
        )


async def read_part(tx: Tx, file_id: int, part_no: int) -> bytes | None:
    """A part of a file's bytes, None behind the last one."""
    content: bytes | None = await tx.scalar(
        "SELECT content FROM billing.bank_file_part WHERE file_id = :file AND part_no = :part",
        file=file_id,
        part=part_no,
    )
    return content


async def get_file(tx: Tx, file_id: int) -> BankFile:
    """Raises NotFound."""
    return await _only(tx, file_id)


async def lock_file(tx: Tx, file_id: int) -> BankFile:
    """A file, held until the transaction ends. Raises NotFound."""
    return await _only(tx, file_id, " FOR UPDATE")


async def _only(tx: Tx, file_id: int, lock: str = "") -> BankFile:
    row = await tx.row(f"SELECT {_FILE} FROM billing.bank_file WHERE file_id = :file{lock}", file=file_id)
    if row is None:
        raise NotFound(f"there is no bank file {file_id}")
    return _file(row)


async def list_files(
    tx: Tx, *, limit: int, before: int | None = None, state: FileState | None = None
) -> Sequence[BankFile]:
    """At most `limit` files, the newest first, those that came before the file `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_FILE} FROM billing.bank_file
        WHERE (CAST(:before AS bigint) IS NULL OR file_id < :before)
          AND (CAST(:state AS text) IS NULL OR state = :state)
        ORDER BY file_id DESC LIMIT :limit
        """,
        before=before,
        state=state,
        limit=limit,
    )
    return [_file(row) for row in rows]


async def unfinished(tx: Tx, since: datetime) -> Sequence[int]:
    """Files that are kept whole and have not got on since then: whoever read them has been stopped."""
    rows = await tx.rows(
        "SELECT file_id FROM billing.bank_file WHERE state IN ('kept', 'storing') AND moved_at <= :since"
        " ORDER BY moved_at, file_id LIMIT 100",
        since=since,
    )
    return [row.file_id for row in rows]


async def judge(
    tx: Tx,
    file_id: int,
    proved: Sequence[Proved],
    *,
    state: FileState,
    file_format: str | None,
    mapping_id: int | None,
    flaws: Sequence[str],
) -> None:
    """Write down what a file holds and what of it does not; what was found before is replaced."""
    await tx.execute("DELETE FROM billing.bank_statement WHERE file_id = :file", {"file": file_id})
    if proved:
        await tx.execute(insert(bank_statement), [_statement_row(file_id, no, one) for no, one in enumerate(proved, 1)])
    await tx.execute(
        """
        UPDATE billing.bank_file SET state = :state, format = :format, mapping_id = :mapping, flaws = :flaws,
            statements = :statements, lines = :lines, stored_lines = 0, new_lines = 0, moved_at = :now
        WHERE file_id = :file
        """,
        {
            "file": file_id,
            "state": state,
            "format": file_format,
            "mapping": mapping_id,
            "flaws": list(flaws),
            "statements": len(proved),
            "lines": sum(one.lines for one in proved),
            "now": tx.now,
        },
    )


def _statement_row(file_id: int, number: int, proved: Proved) -> dict[str, Any]:
    row = msgspec.structs.asdict(proved.statement) | {"kind": proved.statement.kind.value}
    row |= {"file_id": file_id, "statement_no": number, "lines": proved.lines, "sum_minor": proved.sum_minor}
    return row | {"flaws": list(proved.flaws)}


_TYPES = {
    "fingerprint": "bytea", "occurrence": "integer", "line_id": "bigint", "line_no": "integer",
    "statement_no": "integer", "position": "integer", "kind": "text", "account": "text", "day": "date",
    "value_day": "date", "amount_minor": "bigint", "currency": "text", "gross_minor": "bigint", "fee_minor": "bigint",
    "bank_ref": "text", "end_to_end": "text", "batch_ref": "text", "party": "text", "party_account": "text",
    "text": "text", "type_code": "text", "booked": "boolean",
}  # fmt: skip
_TAKE_IN = f"""
INSERT INTO billing.bank_line (file_id, {", ".join(_TYPES)})
SELECT $1, new.* FROM unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES.values(), 2))}) AS new
ON CONFLICT (fingerprint, occurrence) DO NOTHING
"""


async def take_in(tx: Tx, file_id: int, lines: Sequence[Fingerprinted]) -> None:
    """Take in the next lines of a file that is being stored; those that are known already are passed over.

    The caller holds the file. Rows go in the order of their keys, so that files that overlap do not deadlock.
    """
    rows = sorted((_line_row(tx, one) for one in lines), key=lambda row: (row["fingerprint"], row["occurrence"]))
    outcome = await tx.raw.execute(_TAKE_IN, file_id, *([row[name] for row in rows] for name in _TYPES))
    await tx.execute(
        """
        UPDATE billing.bank_file SET stored_lines = stored_lines + :lines, new_lines = new_lines + :new, moved_at = :now
        WHERE file_id = :file
        """,
        {"file": file_id, "lines": len(lines), "new": int(outcome.split()[-1]), "now": tx.now},
    )


def _line_row(tx: Tx, one: Fingerprinted) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in ("line_no", "statement_no", "account", "fingerprint", "occurrence")}
    return msgspec.structs.asdict(one.line) | row | {"kind": one.kind.value, "line_id": time_ordered_id(tx.now)}


async def finish(tx: Tx, file_id: int) -> None:
    """Let the lines of a file count, all of which are taken in."""
    await tx.execute(
        "UPDATE billing.bank_file SET state = 'read', moved_at = :now WHERE file_id = :file AND state = 'storing'",
        {"file": file_id, "now": tx.now},
    )


async def list_statements(tx: Tx, file_id: int, *, limit: int, after: int = 0) -> Sequence[BankStatement]:
    """Statements of a file in its order, those after the number `after`."""
    rows = await tx.rows(
        f"""
        SELECT {_STATEMENT} FROM billing.bank_statement WHERE file_id = :file AND statement_no > :after
        ORDER BY statement_no LIMIT :limit
        """,
        file=file_id,
        after=after,
        limit=limit,
    )
    return [BankStatement(**{**row._mapping, "kind": Kind(row.kind), "flaws": tuple(row.flaws)}) for row in rows]


async def list_lines(tx: Tx, file_id: int, *, limit: int, after: int = 0) -> Sequence[BankLine]:
    """Lines that a file was the first to bring, in its order, those after the line `after`; none before it is read."""
    rows = await tx.rows(
        f"""
        SELECT {_LINE} FROM billing.bank_line l JOIN billing.bank_file f ON f.file_id = l.file_id AND f.state = 'read'
        WHERE l.file_id = :file AND l.line_no > :after ORDER BY l.line_no LIMIT :limit
        """,
        file=file_id,
        after=after,
        limit=limit,
    )
    return [BankLine(**{**row._mapping, "kind": Kind(row.kind)}) for row in rows]
