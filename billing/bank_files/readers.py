"""Which format a file is in, and its reader. Pure."""

from collections.abc import Callable
from enum import StrEnum
from typing import BinaryIO

from billing.bank_files import camt, mt940
from billing.bank_files.model import Items, Unreadable

_HEAD_BYTES = 2**16


class Format(StrEnum):
    CAMT = "camt"
    MT940 = "mt940"


_READERS: dict[Format, Callable[[BinaryIO], Items]] = {
    Format.CAMT: camt.read,
    Format.MT940: mt940.read,
}


def detect(stream: BinaryIO) -> Format:
    """The format of an unpacked file, by how it begins. Raises Unreadable when it is none that is known."""
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if not head.strip():
        raise Unreadable("the file is empty")
    begins = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if begins.startswith(b"<") or head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return Format.CAMT
    if b"\n:20:" in b"\n" + head.replace(b"\r", b"\n"):
        return Format.MT940
    raise Unreadable("the file is in no format that is known here, and no mapping of its columns is named")


def read(stream: BinaryIO, file_format: Format) -> Items:
    """The lines and statements of an unpacked file. Raises Unreadable naming line or element."""
    stream.seek(0)
    return _READERS[file_format](stream)
