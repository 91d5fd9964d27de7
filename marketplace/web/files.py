"""Lists as CSV files (RFC 4180), for consoles and the API alike."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream

from marketplace.core.money import text_from_minor

CSV = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for the beginning of a formula, in a text that somebody else has written."""


class Amount(str):
    """A decimal: a minus before it is one, and no formula."""

    __slots__ = ()

    @classmethod
    def of(cls, minor: int, currency: str) -> "Amount":
        """Minor units in major ones."""
        return cls(text_from_minor(minor, currency))


def csv_file(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response[str]:
    """A list as a file. Amounts are plain decimals, days as ISO 8601 has them, so that any program can read them."""
    return Response(_lines([header, *rows]), media_type=CSV, headers=attached(f"{name}.csv"))


def csv_stream(name: str, header: Sequence[str], parts: AsyncIterator[Iterable[Sequence[object]]]) -> Stream:
    """The same of a list of any length, which is sent part by part."""

    async def written() -> AsyncIterator[str]:
        yield _lines([header])
        async for rows in parts:
            yield _lines(rows)

    return Stream(written(), media_type=CSV, headers=attached(f"{name}.csv"))


def _lines(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def attached(name: str) -> dict[str, str]:
    """The header by which a browser keeps an answer as a file."""
    return {"content-disposition": f'attachment; filename="{name}"'}


def described(lines: str) -> dict[int, ResponseSpec]:
    """How the description of the API names a CSV answer; lines: what its lines are."""
    text = f"{lines}, after a header."
    return {200: ResponseSpec(str, media_type=CSV, description=text, generate_examples=False)}


def _cell(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Amount) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
