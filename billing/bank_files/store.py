"""Every statement on files of banks and processors, their statements and lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql

from billing.bank_files.mapping import Mapping, SavedMapping
from billing.bank_files.model import BankFile, BankFileState, BankLine, BankStatement, Gap, Kind, Line
from billing.bank_files.proofs import Proved
from billing.bank_files.tables import bank_file, bank_file_part, bank_mapping, bank_statement
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


_FILE = ", ".join(name for name in BankFile.__struct_fields__ if name != "again")
_STATEMENT = ", ".join(BankStatement.__struct_fields__)
_LINE = ", ".join(f"l.{name}" for name in BankLine.__struct_fields__)


def _file(row: Any) -> BankFile:
    return BankFile(**{**row._mapping, "state": BankFileState(row.state), "flaws": tuple(row.flaws)})


async def receive(tx: Tx, name: str, content_hash: bytes, size_bytes: int, mapping_id: int | None) -> BankFile:
    """The file with this content, a new one when it never came before. mapping_id: by which it is read from now on."""
    row = {
        "file_id": time_ordered_id(tx.now),
        "content_hash": content_hash,
        "name": name,
        "size_bytes": size_bytes,
        "state": BankFileState.ARRIVING,
        "mapping_id": mapping_id,
        "received_at": tx.now,
        "received_by": tx.actor,
        "moved_at": tx.now,
    }
    await tx.execute(postgresql.insert(bank_file).values(row).on_conflict_do_nothing(index_elements=["content_hash"]))
    if mapping_id is not None:
        await tx.execute(
            """
            UPDATE billing.bank_file SET mapping_id = :mapping
            WHERE content_hash = :hash AND state NOT IN ('storing', 'read')
            """,
            {"mapping": mapping_id, "hash": content_hash},
        )
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
    tx: Tx, *, limit: int, before: int | None = None, state: BankFileState | None = None
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


async def unfinished(tx: Tx, since: datetime) -> Sequence[BankFile]:
    """Files that are kept whole and have not got on since then: whoever read them has been stopped."""
    rows = await tx.rows(
        f"""
        SELECT {_FILE} FROM billing.bank_file WHERE state IN ('kept', 'storing') AND moved_at <= :since
        ORDER BY moved_at, file_id LIMIT 100
        """,
        since=since,
    )
    return [_file(row) for row in rows]


async def judge(
    tx: Tx,
    file_id: int,
    proved: Sequence[Proved],
    *,
    state: BankFileState,
    file_format: str | None,
    flaws: Sequence[str],
) -> None:
    """Write down what a file holds and what of it does not; what was found before is replaced."""
    await tx.execute("DELETE FROM billing.bank_statement WHERE file_id = :file", {"file": file_id})
    if proved:
        await tx.execute(insert(bank_statement), [_statement_row(file_id, no, one) for no, one in enumerate(proved, 1)])
    await tx.execute(
        """
        UPDATE billing.bank_file SET state = :state, format = :format, flaws = :flaws,
            statements = :statements, lines = :lines, stored_lines = 0, new_lines = 0, moved_at = :now
        WHERE file_id = :file
        """,
        {
            "file": file_id,
            "state": state,
            "format": file_format,
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


async def booked_elsewhere(
    tx: Tx, file_id: int, file_format: str, lines: int, new_lines: int, settlement_id: int | None
) -> None:
    """Note that a file's lines, so many of them new, are booked where files of its format are."""
    await tx.execute(
        """
        UPDATE billing.bank_file SET state = 'read', format = :format, flaws = '{}', lines = :lines,
            stored_lines = :lines, new_lines = :new, settlement_id = :settlement, moved_at = :now
        WHERE file_id = :file
        """,
        {"file": file_id, "format": file_format, "lines": lines, "new": new_lines, "now": tx.now}
        | {"settlement": settlement_id},
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


_GAPS = """
WITH told AS (
    SELECT DISTINCT ON (s.account, s.currency, s.number, s.from_day, s.to_day, s.opening_minor, s.closing_minor) s.*
    FROM billing.bank_statement s JOIN billing.bank_file f ON f.file_id = s.file_id AND f.state = 'read'
    WHERE s.kind = 'statement' AND s.opening_minor IS NOT NULL AND s.closing_minor IS NOT NULL
      AND s.to_day IS NOT NULL AND (CAST(:account AS text) IS NULL OR s.account = :account)
    ORDER BY s.account, s.currency, s.number, s.from_day, s.to_day, s.opening_minor, s.closing_minor, s.file_id,
             s.statement_no
), chained AS (
    SELECT told.*, lag(closing_minor) OVER one AS before_minor, lag(number) OVER one AS before_number,
           lag(to_day) OVER one AS before_day
    FROM told
    WINDOW one AS (PARTITION BY account, currency ORDER BY to_day, length(number), number, file_id, statement_no)
)
SELECT account, currency, before_number AS after_number, before_day AS after_day, number AS before_number,
       from_day AS before_day, before_minor AS closing_minor, opening_minor, file_id, statement_no,
       CASE WHEN from_day < before_day OR (number <> '' AND number = before_number)
              OR (SELECT count(*) FROM billing.bank_line l
                  WHERE l.file_id = chained.file_id AND l.statement_no = chained.statement_no) < lines
            THEN 'overlap' ELSE 'missing' END AS what
FROM chained
WHERE before_minor IS NOT NULL AND before_minor <> opening_minor
ORDER BY account, currency, to_day, length(number), number, file_id, statement_no
LIMIT :limit
"""


async def list_gaps(tx: Tx, *, account: str | None = None, limit: int) -> Sequence[Gap]:
    """Where an account's statements do not follow on each other, by its files that are read, at most `limit`."""
    return [Gap(**row._mapping) for row in await tx.rows(_GAPS, account=account, limit=limit)]


async def add_mapping(tx: Tx, name: str, mapping: Mapping) -> SavedMapping:
    """Save a mapping as the next version of its name."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('bank_mapping'))")
    version = await tx.scalar(
        "SELECT coalesce(max(version), 0) + 1 FROM billing.bank_mapping WHERE name = :name", name=name
    )
    row = {"mapping_id": time_ordered_id(tx.now), "name": name, "version": version}
    row |= {"made_by": tx.actor, "made_at": tx.now}
    await tx.execute(insert(bank_mapping), {**row, "mapping": msgspec.to_builtins(mapping)})
    return SavedMapping(**row, mapping=mapping)


_MAPPING = ", ".join(SavedMapping.__struct_fields__)


def _mapping(row: Any) -> SavedMapping:
    return SavedMapping(**{**row._mapping, "mapping": msgspec.convert(row.mapping, Mapping)})


async def newest_mapping(tx: Tx, name: str) -> SavedMapping:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_MAPPING} FROM billing.bank_mapping WHERE name = :name ORDER BY version DESC LIMIT 1", name=name
    )
    if row is None:
        raise NotFound(f"mapping: there is no mapping {name[:60]!r}")
    return _mapping(row)


async def get_mapping(tx: Tx, mapping_id: int) -> SavedMapping:
    """Raises NotFound."""
    row = await tx.row(f"SELECT {_MAPPING} FROM billing.bank_mapping WHERE mapping_id = :id", id=mapping_id)
    if row is None:
        raise NotFound(f"there is no mapping {mapping_id}")
    return _mapping(row)


async def list_mappings(tx: Tx, *, limit: int, before: int | None = None) -> Sequence[SavedMapping]:
    """At most `limit` versions of mappings, the newest first, those made before the mapping `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_MAPPING} FROM billing.bank_mapping WHERE CAST(:before AS bigint) IS NULL OR mapping_id < :before
        ORDER BY mapping_id DESC LIMIT :limit
        """,
        before=before,
        limit=limit,
    )
    return [_mapping(row) for row in rows]
