"""Compressed files: what is in them, as a stream that refuses to become out of proportion. Pure."""

import gzip
import io
import zipfile
import zlib
from typing import BinaryIO, cast

from billing.bank_files.model import Unreadable

EXPANDED_BYTES_MAX = 2**31
"""Of any file once it is unpacked."""

RATIO_MAX = 200
"""An XML statement shrinks to a fiftieth; what grows to more than this is made to harm."""

RATIO_FREE_BYTES = 2**20
"""A small file may be of any proportion."""

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_SHEET = "[Content_Types].xml"


class _Limited(io.RawIOBase):
    """A stream that is read up to a number of bytes; the next one is refused. It can be rewound."""

    def __init__(self, inner: BinaryIO, limit: int) -> None:
        self.inner = inner
        self.limit = limit

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.inner.seek(offset, whence)

    def tell(self) -> int:
        return self.inner.tell()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # any buffer, which typing cannot say before Python 3.12
        try:
            read = self.inner.read(len(view))
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as fault:
            raise Unreadable(f"the file cannot be unpacked: {fault}") from fault
        if self.inner.tell() > self.limit:
            raise Unreadable(f"the file becomes more than {self.limit:,} bytes when it is unpacked; it is not read on")
        view[: len(read)] = read
        return len(read)


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The content of a gzip or zip file, or the stream itself. Raises Unreadable when it cannot be taken apart."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    begins = stream.read(4)
    stream.seek(0)
    limit = min(EXPANDED_BYTES_MAX, max(size * RATIO_MAX, RATIO_FREE_BYTES))
    if begins.startswith(_GZIP):
        return _limited(cast("BinaryIO", gzip.GzipFile(fileobj=stream, mode="rb")), limit)
    if begins == _ZIP and (member := _member(stream)) is not None:
        return _limited(member, limit)
    stream.seek(0)
    return stream


def _member(stream: BinaryIO) -> BinaryIO | None:
    """The only file of an archive; None when the archive is a workbook, which is read as it is."""
    try:
        archive = zipfile.ZipFile(stream)
        names = [info for info in archive.infolist() if not info.is_dir()]
        if any(info.filename == _SHEET for info in names):
            return None
        if len(names) != 1:
            raise Unreadable(f"the archive holds {len(names)} files; send each by itself")
        return cast("BinaryIO", archive.open(names[0]))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as fault:
        raise Unreadable(f"the file cannot be unpacked: {fault}") from fault


def _limited(inner: BinaryIO, limit: int) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Limited(inner, limit), 2**16))
