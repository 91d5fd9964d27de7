"""CSV files of other systems, read strictly and as a stream: every row is checked, and every fault has its line.

A bad row goes on with a harmless value in place of the bad one, so that its fault is not reported again on every row
that refers to it; whoever reads refuses the whole when there was one.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from marketplace.flows.imports.load_orders_model import Rejections

REF_LENGTH_MAX = 100
TEXT_LENGTH_MAX = 1000


class Table(msgspec.Struct, frozen=True):
    """One file of the folder. columns: those that are read; others: those that may stand beside them, unread."""

    file: str
    columns: tuple[str, ...]
    others: tuple[str, ...] = ()


def header_faults(path: Path, table: Table) -> list[str]:
    """What is wrong with the first line of a file."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            header = next(csv.reader(file, strict=True), [])
        except csv.Error as fault:
            return [f"the header is no CSV: {fault}"]
    wanted = {*table.columns, *table.others}
    missing = [f"column {name!r} is missing" for name in (*table.columns, *table.others) if name not in header]
    unknown = [f"column {name!r} is unknown" for name in header if name not in wanted]
    twice = [f"column {name!r} stands there twice" for name in sorted(wanted) if header.count(name) > 1]
    return missing + unknown + twice


class Faults:
    """What is wrong with the row that is being read."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, column: str, reason: str) -> None:
        self.found.append(f"{column}: {reason}")


Row = tuple[int, Sequence[str], Faults]
"""The line a row begins on, the wanted cells in the order of Table.columns, and where to say what is wrong."""


def read_rows(folder: Path, table: Table, *, rejections: Rejections) -> Iterator[Row]:
    """The rows of a file; one that the consumer finds a fault in is rejected as it asks for the next."""
    odd: list[str] = []
    with (folder / table.file).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(_checked_lines(file, odd), strict=True)
        header = next(reader)
        pick = [header.index(name) for name in table.columns]
        while True:
            line = reader.line_num + 1
            odd.clear()
            try:
                cells = next(reader, None)
            except csv.Error as fault:
                rejections.add(table.file, line, f"the row is no CSV: {fault}")
                continue
            if cells is None:
                return
            faults = Faults()
            faults.found += odd
            if len(cells) == len(header):
                yield line, [cells[place] for place in pick], faults
            elif cells:  # an empty line holds nothing to lose
                faults.found.append(f"{len(cells)} columns where the header names {len(header)}")
            if faults.found:
                rejections.add(table.file, line, "; ".join(faults.found))


def _checked_lines(file: Iterator[str], odd: list[str]) -> Iterator[str]:
    """The lines, saying in `odd` of those just read that they held what no text column takes."""
    for line in file:
        if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
            odd.append("the row is not UTF-8 text")
            yield line.encode("utf-8", "replace").decode()
        elif "\0" in line:
            odd.append("the row holds a NUL")
            yield line.replace("\0", "?")
        else:
            yield line


def reference(cell: str, column: str, faults: Faults) -> str:
    """An id of the source; "" for one that cannot be used, which the checks on staged rows pass over."""
    if 0 < len(cell) <= REF_LENGTH_MAX and cell[0].isalnum():  # so no spreadsheet takes it for a formula
        return cell
    reason = f"{cell!r} must begin with a letter or digit" if cell else "is empty"
    faults.add(column, reason if len(cell) <= REF_LENGTH_MAX else f"is longer than {REF_LENGTH_MAX} characters")
    return ""


def text(cell: str, column: str, faults: Faults) -> str:
    if len(cell) > TEXT_LENGTH_MAX:
        faults.add(column, f"is longer than {TEXT_LENGTH_MAX} characters")
        return ""
    return cell


_WALL_TIME = re.compile(r"(?:19|20|21)\d\d-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
UNREADABLE = datetime(1970, 1, 1, tzinfo=UTC)


def instant(cell: str, column: str, zone: ZoneInfo, faults: Faults) -> datetime:
    """The instant of a local wall-clock time.

    Of an hour that clocks show twice it is the first; a time that clocks skip is read on the clock before the change,
    so it lies as long after the change as it claims to lie after the skipped hour began.
    """
    if _WALL_TIME.fullmatch(cell):
        try:
            return datetime.fromisoformat(cell).replace(tzinfo=zone)
        except ValueError:
            pass  # such as a 30th of February: reported below like any other unreadable time
    faults.add(column, f"{cell!r} is no time of the form 2018-01-31 23:59:59" if cell else "is empty")
    return UNREADABLE
