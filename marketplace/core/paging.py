"""Keyset paging: a page ends with an opaque cursor that says where the next one begins; there is no OFFSET.

A cursor carries the last row's sort key, a JSON array in URL-safe base64. It is checked against the types of that key
when it comes back, so a forged one can only ask for another place in rows the caller may see anyway.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from marketplace.core.errors import Invalid

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
_CURSOR_LENGTH_MAX = 6_000
"""Room for the longest text that a list is sorted by, with its key."""

T = TypeVar("T")
Row = TypeVar("Row")
Key = TypeVar("Key", bound=tuple[Any, ...])


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items and the cursor of those that follow; None on the last page."""

    items: list[T]
    next: str | None


def encode_cursor(key: Sequence[Any]) -> str:
    """The cursor of the row with this sort key (integers, text, dates, instants)."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: type[Key]) -> Key | None:
    """The sort key in a cursor, of the tuple type `kind`; None for the first page. Else raises Invalid."""
    if cursor is None:
        return None
    try:
        if len(cursor) > _CURSOR_LENGTH_MAX:
            raise ValueError("too long")
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key: Key = msgspec.json.decode(text, type=kind)
        if any(isinstance(part, int) and not -(2**63) <= part < 2**63 for part in key) or b"\\u0000" in text:
            raise ValueError("out of range")
    except (ValueError, binascii.Error, msgspec.MsgspecError, UnicodeError) as fault:
        raise Invalid("cursor: is not one that this list has given", pointer="/cursor") from fault
    return key


def cut(rows: Sequence[Row], limit: int, key: Callable[[Row], Key]) -> tuple[Sequence[Row], Key | None]:
    """The rows of a page, and the key of its last one when more follow.

    The query asked for one row more than `limit`, and for all that tie with the last one: rows of one key are never
    parted. So a page may be shorter than `limit`, and longer only where all its rows have one key.
    """
    if len(rows) <= limit:
        return rows, None
    following = key(rows[limit])
    shown = [row for row in rows if key(row) != following] or rows
    return shown, key(shown[-1])


def page(rows: Sequence[Row], limit: int, item: Callable[[Row], T], key: Callable[[Row], Key]) -> Page[T]:
    """A page of `rows`, as `cut` cuts it."""
    shown, last = cut(rows, limit, key)
    return Page([item(row) for row in shown], encode_cursor(last) if last is not None else None)
