"""What lists share: declared once, each is shown page by page, sorted by its columns, narrowed, and taken along as CSV.

A list says which columns it has and which query (or reckoning) finds its rows. Its address says the rest: `sort` names
the column, with - for the largest first; `after` is where the page before ended; all else are its filters. The address
of the same rows as a file ends with .csv.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum, StrEnum
from operator import attrgetter
from types import GenericAlias
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar.response import Stream

from marketplace.consoles.lists_sql import read_page
from marketplace.core.db import Database, Scope, Tx
from marketplace.core.errors import Invalid
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.web.auth import ActorRequest
from marketplace.web.files import Amount, csv_stream
from marketplace.web.i18n import Speech, speech

T = TypeVar("T")
PAGE_ROWS = 50
FILE_ROWS = 1_000
"""How many rows are read at once for a page, and for a part of a file."""


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"  # minor units, of the currency in the row's column `currency`
    DAY = "day"
    INSTANT = "instant"
    FLAG = "flag"
    DETAIL = "detail"  # what a file says as JSON


_TYPES: dict[Kind, type] = {
    Kind.TEXT: str,
    Kind.NUMBER: int,
    Kind.MONEY: int,
    Kind.DAY: date,
    Kind.INSTANT: datetime,
    Kind.FLAG: bool,
}
"""What lists are sorted by, as Python has it."""


class Shown(StrEnum):
    """Where a column is."""

    EVERYWHERE = "everywhere"
    ON_PAGES = "on pages"
    IN_FILES = "in files"


class Column(msgspec.Struct, frozen=True):
    """A column of a list. name: in the rows; words: the key of its heading.

    by: the column of the rows that it is sorted by, and by_kind what that holds, where it is another; "" where the
    list is not sorted by it. empty: whether rows may have nothing there; those come last.
    """

    name: str
    words: str
    kind: Kind = Kind.TEXT
    by: str | None = None
    by_kind: Kind | None = None
    shown: Shown = Shown.EVERYWHERE
    empty: bool = False

    @property
    def key(self) -> str:
        """How addresses call it."""
        return self.name.removesuffix("_minor")

    @property
    def sorted_by(self) -> str:
        return self.name if self.by is None else self.by

    @property
    def is_figure(self) -> bool:
        return self.kind in {Kind.MONEY, Kind.NUMBER}

    def cell(self, row: Any) -> object:
        """What a file says. Amounts are plain decimals, days and moments ISO 8601."""
        value = attrgetter(self.name)(row)
        if value is None:
            return None
        if self.kind is Kind.FLAG:
            return "true" if value else "false"
        if self.kind is Kind.MONEY:
            return Amount.of(int(value), row.currency) if row.currency else None
        if self.kind in {Kind.DAY, Kind.INSTANT}:
            return value.isoformat()
        if self.kind is Kind.DETAIL:
            return msgspec.json.encode(value).decode()
        return value.value if isinstance(value, Enum) else value


class Sort(msgspec.Struct, frozen=True):
    """By which column a list is sorted, and whether the largest comes first."""

    key: str
    falling: bool

    @property
    def said(self) -> str:
        """As the address says it: `-goods` is the largest first."""
        return f"{'-' if self.falling else ''}{self.key}"


class Roll(msgspec.Struct, frozen=True, kw_only=True):
    """A list. name: of its files; first: how it is sorted unless somebody says otherwise.

    key: the columns that make a row one, integers where `texts` does not name them. query: finds its rows, narrowed by
    what it binds; "" for a list that is reckoned, see `Listing.of`. read: makes of a row of the query what pages show.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    first: str
    texts: frozenset[str] = frozenset()
    query: str = ""
    read: Callable[[Any], Any] | None = None

    @property
    def headings(self) -> list[Column]:
        return [each for each in self.columns if each.shown is not Shown.IN_FILES]

    @property
    def cells(self) -> list[Column]:
        return [each for each in self.columns if each.shown is not Shown.ON_PAGES]

    @property
    def sorts(self) -> dict[str, Column]:
        """What the list can be sorted by."""
        return {each.key: each for each in self.columns if each.sorted_by}

    def kinds(self, column: Column) -> list[type]:
        """Of what the place of a row in this column's order consists."""
        key = [str if name in self.texts else int for name in self.key]
        by = dict(zip(self.key, key, strict=True)).get(column.sorted_by) or _TYPES[column.by_kind or column.kind]
        return [by, *key]

    def asked(
        self,
        request: ActorRequest,
        at: str,
        wanted: Mapping[str, Any] | None = None,
        /,
        *,
        file: str | None = None,
        where: Sequence[str] = (),
        **bound: Any,
    ) -> "Listing":
        """This list as a request asks for it. wanted: its filters, as the address says them; bound: as the query takes
        them; where: what is to be true of its columns beside.

        Raises Invalid for a column that the list is not sorted by, and for a place that it never had.
        """
        sort = sort_of(request.query_params.get("sort"), self.sorts, self.first)
        column = self.sorts[sort.key]
        by, *key = self.kinds(column)
        place: Any = GenericAlias(tuple, (by | None if column.empty else by, *key))
        after = decode_cursor(request.query_params.get("after") or None, place)
        is_file = request.url.path.endswith(".csv")
        at_file = f"{at}.csv" if file is None else file
        return Listing(self, at, at_file, wanted or {}, bound, where, sort, after, is_file)


class Listing(msgspec.Struct, frozen=True):
    """A list as its address asks for it, and a page of its rows once they are read.

    at: the address itself; filed: that of the file, which is_file asks for. following: the place of the last row where
    more come behind it.
    """

    roll: Roll
    at: str
    filed: str
    wanted: Mapping[str, Any]
    bound: Mapping[str, Any]
    where: Sequence[str]
    sort: Sort
    after: tuple[Any, ...] | None
    is_file: bool
    rows: Sequence[Any] = ()
    following: tuple[Any, ...] | None = None

    @property
    def column(self) -> Column:
        return self.roll.sorts[self.sort.key]

    @property
    def file(self) -> str:
        """Where the whole list is a CSV file."""
        return f"{self.filed}?{self._with(self.sort.said)}"

    @property
    def more(self) -> str | None:
        """The address of the next page; None on the last one."""
        if self.following is None:
            return None
        return f"{self.at}?{self._with(self.sort.said)}&after={encode_cursor(self.following)}"

    def by(self, column: Column) -> str:
        """The address sorted by this column: words from A on, of all else the largest first, and by the one that is
        sorted by already turned."""
        falling = not self.sort.falling if column.key == self.sort.key else column.kind is not Kind.TEXT
        return f"{self.at}?{self._with(Sort(column.key, falling).said)}"

    def turned(self, column: Column) -> str:
        """The value of `aria-sort` of this column's heading."""
        if column.key != self.sort.key:
            return "none"
        return "descending" if self.sort.falling else "ascending"

    def narrowed(self, **filters: Any) -> str:
        """The address with these filters instead of those, in the same order."""
        return f"{self.at}?{self._with(self.sort.said, filters)}"

    def _with(self, sort: str, filters: Mapping[str, Any] | None = None) -> str:
        said = {**self.wanted, **(filters or {})}
        given = {name: value for name, value in said.items() if value not in {None, ""}}
        return urlencode({**given, "sort": sort})

    async def page(self, tx: Tx) -> "Listing":
        """The list with the rows of its page."""
        rows = await self._read(tx, PAGE_ROWS + 1)
        return self._cut(rows, PAGE_ROWS, self.roll.read)

    def of(self, rows: Iterable[Any]) -> "Listing":
        """The list with the rows of its page, out of all that were reckoned."""
        return self._cut(self._ordered(rows)[: PAGE_ROWS + 1], PAGE_ROWS)

    async def as_file(self, request: ActorRequest, db: Database, scope: Scope) -> Stream:
        """All rows, part by part: none of the database's connections waits for a slow reader."""

        async def part(listing: Listing) -> Listing:
            async with db.read(scope) as tx:
                return listing._cut(await listing._read(tx, FILE_ROWS + 1), FILE_ROWS)

        first = await part(self)  # what is wrong with the list is said in an answer, not in the midst of a file

        async def parts() -> AsyncIterator[Sequence[Any]]:
            found = first
            yield found.rows
            while found.following is not None:
                found = await part(msgspec.structs.replace(self, after=found.following))
                yield found.rows

        return self._stream(speech(request.user.locale), parts())

    def as_file_of(self, request: ActorRequest, rows: Iterable[Any]) -> Stream:
        """All rows of those that were reckoned."""

        async def parts() -> AsyncIterator[Sequence[Any]]:
            yield self._ordered(rows)

        return self._stream(speech(request.user.locale), parts())

    def _stream(self, say: Speech, parts: AsyncIterator[Sequence[Any]]) -> Stream:
        columns = self.roll.cells

        async def lines() -> AsyncIterator[Iterable[Sequence[object]]]:
            async for rows in parts:
                yield ([column.cell(row) for column in columns] for row in rows)

        return csv_stream(self.roll.name, [say.text(column.words) for column in columns], lines())

    async def _read(self, tx: Tx, limit: int) -> Sequence[Any]:
        return await read_page(
            tx,
            self.roll.query,
            self.bound,
            where=self.where,
            by=self.column.sorted_by,
            nullable=self.column.empty,
            key=self.roll.key,
            kinds=self.roll.kinds(self.column),
            falling=self.sort.falling,
            after=self.after,
            limit=limit,
        )

    def _cut(self, rows: Sequence[Any], limit: int, read: Callable[[Any], Any] | None = None) -> "Listing":
        shown = rows[:limit]
        following = self._place(shown[-1]) if len(rows) > limit else None
        return msgspec.structs.replace(self, rows=[read(row) for row in shown] if read else shown, following=following)

    def _place(self, row: Any) -> tuple[Any, ...]:
        return tuple(attrgetter(name)(row) for name in (self.column.sorted_by, *self.roll.key))

    def _ordered(self, rows: Iterable[Any]) -> list[Any]:
        """As the query would have them: what has nothing in the column last, then only what is behind `after`."""

        def rank(place: tuple[Any, ...]) -> tuple[Any, ...]:
            return (place[0] is None) is not self.sort.falling, *(() if place[0] is None else place[:1]), *place[1:]

        ranked = sorted(((rank(self._place(row)), row) for row in rows), key=lambda each: each[0])
        if self.sort.falling:
            ranked.reverse()
        if self.after is None:
            return [row for _, row in ranked]
        last = rank(self.after)
        return [row for place, row in ranked if (place < last if self.sort.falling else place > last)]


def sort_of(said: str | None, keys: Iterable[str], otherwise: str) -> Sort:
    """The sort that an address asks for. Raises Invalid for a column that the list is not sorted by."""
    said = said or otherwise
    key = said.removeprefix("-")
    known = list(keys)
    if key not in known:
        raise Invalid(f"sort: must be one of {', '.join(known)}, with - for the largest first", pointer="/sort")
    return Sort(key, said.startswith("-"))


def given(said: str | None, kind: type[T], name: str) -> T | None:
    """What a field of a filter says, as the form sends it: None where it was left empty. Raises Invalid."""
    if not said:
        return None
    try:
        return msgspec.convert(said, kind, strict=False)
    except msgspec.ValidationError as fault:
        raise Invalid(f"{name}: {fault}", pointer=f"/{name}") from fault


def given_day(said: str | None, name: str) -> date | None:
    """A day of a filter, as `given`. Raises Invalid also for one that has no day beyond it."""
    day = given(said, date, name)
    if day == date.max:
        raise Invalid(f"{name}: {day} has no day beyond it", pointer=f"/{name}")
    return day


def given_number(said: str | None, name: str, *, least: int = 0, most: int = 2**63 - 1) -> int | None:
    """A whole number of a filter, as `given`. Raises Invalid also for one that is out of its bounds."""
    number = given(said, int, name)
    if number is not None and not least <= number <= most:
        raise Invalid(f"{name}: must be from {least} to {most}", pointer=f"/{name}")
    return number
