"""The first sheet of a workbook (XLSX) as rows of text, read as a stream. Pure."""

import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from billing.bank_files.model import Unreadable
from billing.bank_files.text import Row

EXPANDED_BYTES_MAX = 2**28
CELLS_MAX = 200
"""Of a row."""

_SHEET = "[Content_Types].xml"
_HEAD_BYTES = 2**12


def is_workbook(stream: BinaryIO) -> bool:
    """Whether a file is a workbook; rewinds."""
    stream.seek(0)
    found = stream.read(4) == b"PK\x03\x04"
    stream.seek(0)
    return found


def sheet_rows(stream: BinaryIO) -> Iterator[Row]:
    """The rows of the first sheet that hold something. Raises Unreadable when it is no workbook, or made to harm."""
    _check(stream)
    try:
        book = load_workbook(stream, read_only=True, data_only=True)
        for number, values in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
            cells = [_text(value) for value in values]
            while cells and not cells[-1]:
                cells.pop()
            if len(cells) > CELLS_MAX:
                raise Unreadable(f"line {number}: has more than {CELLS_MAX} cells")
            if cells:
                yield Row(number, cells)
    except (InvalidFileException, zipfile.BadZipFile, ParseError, KeyError, ValueError, IndexError, OSError) as fault:
        raise Unreadable(f"the workbook cannot be read: {fault}") from fault


def _check(stream: BinaryIO) -> None:
    """Refuse archives that expand beyond measure, and document types, which no workbook has."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > EXPANDED_BYTES_MAX:
                raise Unreadable(f"the workbook becomes more than {EXPANDED_BYTES_MAX:,} bytes when it is unpacked")
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    with archive.open(member) as part:
                        if b"<!DOCTYPE" in part.read(_HEAD_BYTES):
                            raise Unreadable(f"{member.filename[:60]}: declares a document type (DTD); none is let in")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as fault:
        raise Unreadable(f"the workbook cannot be read: {fault}") from fault
    stream.seek(0)


def _text(value: Any) -> str:
    """A cell as text: numbers with the fifteen digits that a workbook keeps, days as in ISO 8601."""
    match value:
        case None:
            return ""
        case bool():
            return str(value)
        case datetime():
            return value.isoformat(" ")
        case date():
            return value.isoformat()
        case int() | str():
            return str(value).strip()
        case _:
            return f"{value:.15g}"
