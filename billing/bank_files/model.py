"""What banks and processors say, in one form whatever the file: statements of an account, and their lines. Pure.

A reader yields the lines of a statement and then the statement itself, so that none is ever held whole.
"""

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import msgspec

from marketplace.core.errors import AppError


class Unreadable(AppError):
    """A file cannot be understood; the words name the line or element and the reason."""

    code = "unreadable-file"
    status = 422
    title = "The file cannot be read"


class Kind(StrEnum):
    """What a statement is good for: only the final ones are proved by balances and are never said again."""

    STATEMENT = "statement"
    INTERIM = "interim"
    NOTIFICATION = "notification"
    PROCESSOR = "processor"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A movement of the account, signed as its owner sees it: what arrives is positive.

    position: the line of the file, or the entry's number in an XML document.
    amount_minor: what moves; where the format knows it, gross_minor less fee_minor.
    batch_ref: the payout or batch that the movement is part of. booked: not merely announced.
    """

    position: int
    day: date
    value_day: date | None = None
    amount_minor: int
    currency: str
    gross_minor: int | None = None
    fee_minor: int | None = None
    bank_ref: str = ""
    end_to_end: str = ""
    batch_ref: str = ""
    party: str = ""
    party_account: str = ""
    text: str = ""
    type_code: str = ""
    booked: bool = True


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines before it are of. currency: None where they are in several.

    number: the bank's, in a row per account where it counts at all; reference: the bank's name of this statement.
    flaws: what of the file's own totals does not hold, in words.
    """

    kind: Kind
    account: str
    currency: str | None
    number: str = ""
    reference: str = ""
    from_day: date | None = None
    to_day: date | None = None
    opening_minor: int | None = None
    closing_minor: int | None = None
    flaws: tuple[str, ...] = ()


class BankFileState(StrEnum):
    ARRIVING = "arriving"
    KEPT = "kept"
    STORING = "storing"
    READ = "read"
    FAILED = "failed"
    UNREADABLE = "unreadable"


UNFINISHED = frozenset({BankFileState.ARRIVING, BankFileState.KEPT, BankFileState.STORING})
"""An import goes on from here, by itself or when the file is brought again."""


class BankFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a bank or processor; its lines count when it is `read`. new_lines: which no file before had brought.

    settlement_id: as what a settlement file was booked. again: it has just been brought and was read before, so that
    nothing was added.
    """

    file_id: int
    name: str
    size_bytes: int
    state: BankFileState
    format: str | None
    mapping_id: int | None
    flaws: tuple[str, ...]
    statements: int
    lines: int
    stored_lines: int
    new_lines: int
    settlement_id: int | None
    received_at: datetime
    received_by: str
    moved_at: datetime
    again: bool = False


class BankStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as a file has it, and what of it does not hold."""

    file_id: int
    statement_no: int
    kind: Kind
    account: str
    currency: str | None
    number: str
    reference: str
    from_day: date | None
    to_day: date | None
    opening_minor: int | None
    closing_minor: int | None
    lines: int
    sum_minor: int | None
    flaws: tuple[str, ...]


class BankLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that a file has brought, signed as the account's owner sees it."""

    line_id: int
    file_id: int
    line_no: int
    statement_no: int
    position: int
    kind: Kind
    account: str
    day: date
    value_day: date | None
    amount_minor: int
    currency: str
    gross_minor: int | None
    fee_minor: int | None
    bank_ref: str
    end_to_end: str
    batch_ref: str
    party: str
    party_account: str
    text: str
    type_code: str
    booked: bool


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Two statements of an account of which the second, file_id's, does not open with what the first closes with.

    what: something between them is `missing`, or they `overlap`.
    """

    account: str
    currency: str | None
    after_number: str
    after_day: date
    before_number: str
    before_day: date | None
    closing_minor: int
    opening_minor: int
    file_id: int
    statement_no: int
    what: str


Items = Iterator[Line | Statement]


def fingerprint(account: str, kind: Kind, line: Line) -> bytes:
    """What makes a line the same in whatever file it comes; equal lines are told apart by how often they occur.

    What is only announced is never taken for what is booked, nor a statement's line for a notification of it.
    """
    told: tuple[Any, ...] = (account, kind, line.booked, line.day.isoformat(), line.amount_minor, line.currency)
    told += (line.bank_ref, line.end_to_end, line.party_account, " ".join(line.text.split()), line.type_code)
    return hashlib.sha256(msgspec.json.encode(told)).digest()[:16]
