"""Save how the columns of a table of some bank or processor are read, and try it out."""

import io
from itertools import islice

import msgspec

from billing.bank_files import store
from billing.bank_files.mapping import Mapping, SavedMapping, check_mapping, read_table
from billing.bank_files.model import Line, Unreadable
from billing.bank_files.packing import unpacked
from billing.bank_files.text import lines, rows
from billing.bank_files.workbook import is_workbook, sheet_rows
from marketplace.core import audit
from marketplace.core.db import Tx

SHOWN_LINES = 20
SHOWN_ROWS = 8


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The first lines as they would be taken in; fault: why the next one could not be."""

    lines: tuple[Line, ...]
    fault: str | None


def first_rows(content: bytes, delimiter: str) -> list[list[str]]:
    """How a table begins, cell by cell, for whoever says what its columns are. Raises Unreadable."""
    stream = unpacked(io.BytesIO(content))
    table = sheet_rows(stream) if is_workbook(stream) else rows(lines(stream), delimiter)
    return [row.cells for row in islice(table, SHOWN_ROWS)]


async def save_mapping(tx: Tx, name: str, mapping: Mapping) -> SavedMapping:
    """Save a mapping as the next version of its name; files that were read by another keep theirs. Raises Invalid."""
    check_mapping(mapping)
    saved = await store.add_mapping(tx, name, mapping)
    await audit.record(tx, "saved bank mapping", f"bank_mapping:{saved.mapping_id}", name=name, version=saved.version)
    return saved


def preview_mapping(mapping: Mapping, content: bytes) -> Preview:
    """What a mapping makes of the beginning of a file; nothing is stored. Raises Invalid for one that reads nothing."""
    check_mapping(mapping)
    shown: list[Line] = []
    try:
        items = read_table(unpacked(io.BytesIO(content)), mapping)
        shown.extend(item for item in islice(items, SHOWN_LINES) if isinstance(item, Line))
    except Unreadable as fault:
        return Preview(lines=tuple(shown), fault=fault.detail)
    return Preview(lines=tuple(shown), fault=None)
