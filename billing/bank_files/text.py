"""Text of unknown encoding as numbered lines, and what stands in them: amounts and days. Pure.

Only the byte stream that is handed in is read, a line at a time.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import BinaryIO

import msgspec

from billing.bank_files.model import Unreadable
from marketplace.core.errors import Invalid
from marketplace.core.money import minor_from_text

LINE_CHARS_MAX = 200_000
TEXT_MAX = 2_000
"""Of what is kept of one field; what is longer is refused."""

_CHUNK = 2**20
_HIGH = re.compile(rb"[\x80-\xff]+")
_SHOWN = 60
_GROUPED = {
    False: re.compile(r"-?[0-9]{1,3}(?:[, \u00a0'][0-9]{3})+(?:\.[0-9]*)?"),
    True: re.compile(r"-?[0-9]{1,3}(?:[. \u00a0'][0-9]{3})+(?:,[0-9]*)?"),
}
_GROUP_SIGNS = {False: str.maketrans("", "", ", \u00a0'"), True: str.maketrans("", "", ". \u00a0'")}


class _Borrowed(io.BufferedIOBase):
    """A stream that stays open when whoever reads it as text is done with it."""

    name = ""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self.stream.read(-1 if size is None else size)

    read1 = read


def _as_text(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    stream.seek(0)
    return io.TextIOWrapper(_Borrowed(stream), encoding=encoding, errors="strict", newline=None)


class Numbered(msgspec.Struct, frozen=True):
    """A line of a file, without its end."""

    number: int
    text: str


def encoding_of(stream: BinaryIO) -> str:
    """UTF-8 when all of the stream is that, else GB18030 when it looks like Chinese, else Latin-1. Rewinds.

    In GB18030 bytes above 0x80 come in pairs; in Latin-1 text a letter with an accent stands alone. Raises Unreadable
    when a mark at the beginning promises UTF-8 and that is not true.
    """
    stream.seek(0)
    marked = stream.read(3) == b"\xef\xbb\xbf"
    if _decodes(stream, "utf-8"):
        return "utf-8-sig"
    if marked:
        raise Unreadable("the file begins with the mark of UTF-8 and is not UTF-8")
    if _paired(stream) and _decodes(stream, "gb18030"):
        return "gb18030"
    return "latin-1"


def _decodes(stream: BinaryIO, encoding: str) -> bool:
    text = _as_text(stream, encoding)
    try:
        while text.read(_CHUNK):
            pass
    except UnicodeDecodeError:
        return False
    finally:
        stream.seek(0)
    return True


def _paired(stream: BinaryIO) -> bool:
    stream.seek(0)
    alone = paired = 0
    while chunk := stream.read(_CHUNK):
        for found in _HIGH.finditer(chunk):
            if found.end() - found.start() == 1:
                alone += 1
            else:
                paired += 1
    stream.seek(0)
    return paired > 4 * alone


def lines(stream: BinaryIO) -> Iterator[Numbered]:
    """The lines of a text. Raises Unreadable naming a line that is too long, or holds a NUL."""
    whole = _as_text(stream, encoding_of(stream))
    number = 0
    while text := whole.readline(LINE_CHARS_MAX + 1):
        number += 1
        if len(text) > LINE_CHARS_MAX:
            raise Unreadable(f"line {number}: is longer than {LINE_CHARS_MAX:,} characters")
        if "\0" in text:
            raise Unreadable(f"line {number}: holds a NUL")
        yield Numbered(number, text.rstrip("\n"))


class Row(msgspec.Struct, frozen=True):
    """A row of CSV and the line of the file on which it ends."""

    number: int
    cells: list[str]


def rows(numbered: Iterable[Numbered], delimiter: str = ",") -> Iterator[Row]:
    """Rows of CSV; empty lines are passed over. Raises Unreadable naming the line."""
    at = 0

    def feed() -> Iterator[str]:
        nonlocal at
        for line in numbered:
            at = line.number
            yield line.text + "\n"

    reader = csv.reader(feed(), delimiter=delimiter, strict=False)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            raise Unreadable(f"line {at}: is not CSV: {fault}") from fault
        if any(cell.strip() for cell in cells):
            yield Row(at, [cell.strip() for cell in cells])


def named(row: Row, header: Sequence[str]) -> dict[str, str]:
    """A row's cells by the names of their columns. Raises Unreadable when it has more or fewer."""
    if len(row.cells) != len(header):
        raise Unreadable(f"line {row.number}: has {len(row.cells)} fields, the header has {len(header)}")
    return dict(zip(header, row.cells, strict=True))


def amount(place: str, text: str, currency: str, *, comma: bool = False, grouped: bool = False) -> int:
    """A decimal amount in minor units; a plus sign and the sign of the currency may stand before it.

    comma: the decimal sign is a comma, which may also end the number, as in SWIFT. grouped: thousands may be set apart,
    three digits each.
    Raises Unreadable for anything else, and for more decimals than the currency has.
    """
    plain = text.strip().lstrip("¥￥€$£").removeprefix("+")
    if grouped and _GROUPED[comma].fullmatch(plain):
        plain = plain.translate(_GROUP_SIGNS[comma])
    if comma:
        if "." in plain:
            raise Unreadable(f"{place}: {text[:_SHOWN]!r} has a point where the decimal sign is a comma")
        plain = plain.replace(",", ".").removesuffix(".")
    try:
        return minor_from_text(plain, currency)
    except (ValueError, Invalid) as fault:
        raise Unreadable(f"{place}: {fault}") from fault


def day(place: str, text: str, *patterns: str) -> date:
    """A day, of which a time of day may follow. patterns: of `strptime`; without any it is as in ISO 8601."""
    for pattern in patterns:
        try:
            return datetime.strptime(text.strip(), pattern).date()  # noqa: DTZ007  # a day has no zone
        except ValueError:
            continue
    if not patterns:
        try:
            return date.fromisoformat(text.strip()[:10])
        except ValueError:
            pass
    raise Unreadable(f"{place}: {text[:_SHOWN]!r} is no day")


def short(place: str, text: str) -> str:
    """Text as it may be kept. Raises Unreadable when it is too long, or holds what no screen shows."""
    if len(text) > TEXT_MAX:
        raise Unreadable(f"{place}: is longer than {TEXT_MAX:,} characters")
    return text
