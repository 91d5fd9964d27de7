"""What lists share: sorted by a column, filtered, and taken along as CSV, all of it said in the address."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from marketplace.core.errors import Invalid

T = TypeVar("T")


class Sort(msgspec.Struct, frozen=True):
    """By which column a list is sorted, and whether the largest comes first."""

    key: str
    falling: bool

    @property
    def said(self) -> str:
        """As the address says it: `-goods` is the largest first."""
        return f"{'-' if self.falling else ''}{self.key}"

    @property
    def sql(self) -> str:
        return "DESC" if self.falling else "ASC"


def sort_of(said: str | None, keys: Iterable[str], otherwise: str) -> Sort:
    """The sort that an address asks for. Raises Invalid for a column that the list is not sorted by."""
    said = said or otherwise
    key = said.removeprefix("-")
    known = list(keys)
    if key not in known:
        raise Invalid(f"sort: must be one of {', '.join(known)}, with - for the largest first", pointer="/sort")
    return Sort(key, said.startswith("-"))


class Listing(msgspec.Struct, frozen=True):
    """A list as its address asks for it. at: the address itself; wanted: its filters."""

    at: str
    wanted: Mapping[str, Any]
    sort: Sort

    @property
    def query(self) -> str:
        """What an address of the same list begins with, to which a place may be added."""
        return self._with(self.sort.said) + "&"

    @property
    def file(self) -> str:
        """Where the whole list is a CSV file."""
        return f"{self.at}.csv?{self._with(self.sort.said)}"

    def by(self, key: str) -> str:
        """The address sorted by this column: the largest first, and by the one that is sorted by already turned."""
        falling = not self.sort.falling if key == self.sort.key else True
        return f"?{self._with(Sort(key, falling).said)}"

    def turned(self, key: str) -> str:
        """The value of `aria-sort` of this column's heading."""
        if key != self.sort.key:
            return "none"
        return "descending" if self.sort.falling else "ascending"

    def _with(self, sort: str) -> str:
        given = {name: value for name, value in self.wanted.items() if value not in {None, ""}}
        return urlencode({**given, "sort": sort})


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
