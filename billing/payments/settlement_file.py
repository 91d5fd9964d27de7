"""A processor's settlement file: CSV, a line for each movement, and a total that is one bank batch. Pure.

    id,kind,reference,dispute,gross,fee,net,currency,at
    mv_1,capture,5-77,,120.00,1.86,118.14,EUR,2018-09-03T12:00:00+00:00
    1,total,batch_20180903,,120.00,1.86,118.14,EUR,2018-09-03

Amounts are signed as the platform sees them: what a capture brings is positive, what a refund or dispute takes
negative, and net is gross less fee.
"""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import TypeVar

import msgspec

from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency, minor_from_text, written

COLUMNS = ["id", "kind", "reference", "dispute", "gross", "fee", "net", "currency", "at"]
_TOTAL = "total"
_TEXT_MAX = 200
_SHOWN = 40

T = TypeVar("T")


class LineKind(StrEnum):
    CAPTURE = "capture"
    REFUND = "refund"
    DISPUTE = "dispute"
    DISPUTE_WON = "dispute_won"
    FEE = "fee"


_SIGNS = {LineKind.CAPTURE: 1, LineKind.REFUND: -1, LineKind.DISPUTE: -1, LineKind.DISPUTE_WON: 1, LineKind.FEE: 0}
"""Which sign the gross amount of a line has."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A movement, in minor units. reference: the payment's, or the refund's. dispute_ref: the processor's, or empty."""

    line_ref: str
    kind: LineKind
    reference: str
    dispute_ref: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    at: datetime

    def written(self, minor: int) -> str:
        """An amount in the line's currency."""
        return written(minor, self.currency)


class SettlementFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose lines sum to its total. paid_on: the day of the bank batch."""

    batch_ref: str
    paid_on: date
    currency: str
    lines: list[Line]


def read_settlement_file(content: bytes) -> SettlementFile:
    """Read and prove a file. Raises Invalid naming the line of the file and the field that is wrong."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise Invalid(f"the file is not CSV in UTF-8: {fault}") from fault
    if not rows or rows[0] != COLUMNS:
        raise Invalid(f"line 1: the columns must be {','.join(COLUMNS)}")
    if len(rows) < 2 or rows[-1][1:2] != [_TOTAL]:
        raise Invalid(f"line {len(rows)}: the last line must be the total")
    total_no = len(rows)
    currency = _field(total_no, "currency", _cells(total_no, rows[-1])["currency"], check_currency)
    lines = [_line(number, row, currency) for number, row in enumerate(rows[1:-1], start=2)]
    seen: set[str] = set()
    for number, line in enumerate(lines, start=2):
        if line.line_ref in seen:
            raise Invalid(f"line {number}: id: {line.line_ref} is in the file twice")
        seen.add(line.line_ref)
    return _proved(total_no, _cells(total_no, rows[-1]), currency, lines)


def _cells(number: int, row: Sequence[str]) -> dict[str, str]:
    if len(row) != len(COLUMNS):
        raise Invalid(f"line {number}: has {len(row)} fields, not {len(COLUMNS)}")
    for name, cell in zip(COLUMNS, row, strict=True):
        if len(cell) > _TEXT_MAX or "\0" in cell:
            raise Invalid(f"line {number}: {name}: is longer than {_TEXT_MAX} characters, or holds a NUL")
    return dict(zip(COLUMNS, row, strict=True))


def _field(number: int, name: str, cell: str, read: Callable[[str], T]) -> T:
    try:
        return read(cell)
    except (ValueError, Invalid) as fault:
        raise Invalid(f"line {number}: {name}: {fault}") from fault


def _kind(cell: str) -> LineKind:
    if cell not in set(LineKind):
        raise ValueError(f"{cell[:_SHOWN]!r} is none of {', '.join(LineKind)}")
    return LineKind(cell)


def _instant(cell: str) -> datetime:
    at = datetime.fromisoformat(cell)
    if at.tzinfo is None:
        raise ValueError(f"{cell!r} carries no offset")
    return at


def _line(number: int, row: Sequence[str], currency: str) -> Line:
    cells = _cells(number, row)
    amounts = {name: _amount(number, name, cells, currency) for name in ("gross", "fee", "net")}
    line = Line(
        line_ref=cells["id"],
        kind=_field(number, "kind", cells["kind"], _kind),
        reference=cells["reference"],
        dispute_ref=cells["dispute"],
        gross_minor=amounts["gross"],
        fee_minor=amounts["fee"],
        net_minor=amounts["net"],
        currency=cells["currency"],
        at=_field(number, "at", cells["at"], _instant),
    )
    if not line.line_ref:
        raise Invalid(f"line {number}: id: is empty")
    if line.currency != currency:
        raise Invalid(f"line {number}: currency: {line.currency!r} is not that of the total, {currency}")
    if (line.gross_minor > 0) - (line.gross_minor < 0) != _SIGNS[line.kind]:
        raise Invalid(f"line {number}: gross: {cells['gross']} cannot be that of a {line.kind}")
    if line.fee_minor < 0 or (line.kind is LineKind.FEE and line.fee_minor == 0):
        raise Invalid(f"line {number}: fee: {cells['fee']} cannot be that of a {line.kind}")
    if line.net_minor != line.gross_minor - line.fee_minor:
        raise Invalid(f"line {number}: net: {cells['net']} is not {cells['gross']} less {cells['fee']}")
    return line


def _amount(number: int, name: str, cells: dict[str, str], currency: str) -> int:
    return _field(number, name, cells[name], lambda cell: minor_from_text(cell, currency))


def _proved(number: int, cells: dict[str, str], currency: str, lines: list[Line]) -> SettlementFile:
    if cells["id"] != str(len(lines)):
        raise Invalid(f"line {number}: id: the total counts {cells['id'][:20]!r} lines, the file has {len(lines)}")
    for name in ("gross", "fee", "net"):
        stated = _amount(number, name, cells, currency)
        found = sum(getattr(line, f"{name}_minor") for line in lines)
        if stated != found:
            said, summed = written(stated, currency), written(found, currency)
            raise Invalid(f"line {number}: {name}: the total says {said}, the lines sum to {summed}")
    if not cells["reference"]:
        raise Invalid(f"line {number}: reference: the total names no batch")
    paid_on = _field(number, "at", cells["at"], date.fromisoformat)
    return SettlementFile(batch_ref=cells["reference"], paid_on=paid_on, currency=currency, lines=lines)
