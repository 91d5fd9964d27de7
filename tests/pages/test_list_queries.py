"""The queries of lists, page by page: each is read in the order of each of its columns, both ways, on a full market."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
import pytest

from marketplace.consoles import (
    academy_queries,
    ads_queries,
    field_queries,
    finance_lists_queries,
    growth_queries,
    incentives_queries,
    leads_queries,
    listings_queries,
    lists,
    lists_queries,
    ops_queries,
    payers_queries,
    people_queries,
    tasks_queries,
)
from marketplace.consoles.lists import Column, Kind, Listing, Roll, Sort
from marketplace.core.db import STAFF, Database, Tx
from tests.pages.conftest import MARKET_NOW, MINE, PAYER

MODULES = (
    academy_queries,
    ads_queries,
    field_queries,
    finance_lists_queries,
    growth_queries,
    incentives_queries,
    leads_queries,
    listings_queries,
    lists_queries,
    ops_queries,
    payers_queries,
    people_queries,
    tasks_queries,
)
BOUND: Mapping[str, Any] = {
    "merchant": MINE, "payer": PAYER, "claim": 1, "entity": 1, "currency": "EUR", "state": None, "kind": None,
    "now": None, "owner": None, "early": True, "today": MARKET_NOW.date(), "model": "platform", "search": "",
    "unpaid": False, "run": 1, "late_on": None, "rep": None,
    "at": MARKET_NOW, "first": date(2018, 1, 1), "last": date(2018, 12, 31), "earlier_first": date(2017, 1, 1),
}  # fmt: skip


def rolls() -> Iterator[tuple[str, Roll]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, Roll) and value.query:
                yield f"{module.__name__.rpartition('.')[2]}.{name}", value


def listing(roll: Roll, sort: Sort, bound: Mapping[str, Any]) -> Listing:
    return Listing(roll, "/", "/.csv", {}, bound, (), sort, None, is_file=False)


async def walked(tx: Tx, first: Listing) -> list[Any]:
    """The rows of all pages."""
    found, rows = await first.page(tx), list[Any]()
    while True:
        rows += found.rows
        if found.following is None:
            return rows
        found = await msgspec.structs.replace(first, after=found.following).page(tx)


def place(row: Any, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


@pytest.mark.parametrize(("name", "roll"), list(rolls()))
async def test_a_list_is_the_same_whichever_way_it_is_sorted(
    market: Database, monkeypatch: pytest.MonkeyPatch, name: str, roll: Roll
) -> None:
    del name
    bare, wanted = msgspec.structs.replace(roll, read=None), named_in(roll.query)
    async with market.read(STAFF) as tx:
        everything = None
        for key, column in roll.sorts.items():
            for falling in (False, True):
                asked = listing(bare, Sort(key, falling), wanted)
                monkeypatch.setattr(lists, "PAGE_ROWS", 10_000)
                whole = await walked(tx, asked)
                monkeypatch.setattr(lists, "PAGE_ROWS", max(1, len(whole) // 3))
                assert await walked(tx, asked) == whole, key
                assert in_order([place(row, (column.sorted_by, *roll.key)) for row in whole], falling=falling), key
                found = sorted(place(row, roll.key) for row in whole)
                everything = everything or found
                assert found == everything
                assert len(set(found)) == len(found)


def named_in(query: str) -> dict[str, Any]:
    """What a query binds."""
    return {name: BOUND[name] for name in re.findall(r"(?<!:):(\w+)", query)}


def in_order(places: Sequence[tuple[Any, ...]], *, falling: bool) -> bool:
    """Whether rows come by their place, what has nothing in it last. Words are compared as the database does."""
    known = [each for each in places if each[0] is not None]
    nothing = [each[1:] for each in places if each[0] is None]
    return (
        list(places[: len(known)]) == known
        and known == sorted(known, reverse=falling)
        and nothing == sorted(nothing, reverse=falling)
    )


ROWS = [
    *((1, "b", 5), (2, "a", None), (3, "a", 5), (4, "b", None)),
    *((5, "a", -1), (6, "c", 5), (7, "a", 0), (8, "b", None)),
]
VALUES = ", ".join(
    f"({no}, '{name}', CAST({'NULL' if minor is None else minor} AS bigint))" for no, name, minor in ROWS
)
TIED = Roll(
    name="tied",
    first="name",
    key=("no",),
    columns=(
        Column("name", "col.state"),
        Column("minor", "col.amount", Kind.NUMBER, empty=True),
        Column("no", "col.line", Kind.NUMBER),
    ),
    query=f"SELECT * FROM (VALUES {VALUES}) AS v (no, name, minor)",
)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 9])
@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize("key", ["name", "minor", "no"])
async def test_rows_that_tie_and_rows_with_nothing_are_all_shown_once(
    market: Database, monkeypatch: pytest.MonkeyPatch, key: str, rows: int, *, falling: bool
) -> None:
    monkeypatch.setattr(lists, "PAGE_ROWS", rows)
    column = {"no": 0, "name": 1, "minor": 2}[key]
    known = sorted((row[column], row[0]) for row in ROWS if row[column] is not None)
    nothing = sorted((row[0],) for row in ROWS if row[column] is None)
    wanted = [each[-1] for each in (known[::-1] + nothing[::-1] if falling else known + nothing)]
    asked = listing(TIED, Sort(key, falling), {})
    async with market.read(STAFF) as tx:
        assert [row.no for row in await walked(tx, asked)] == wanted
        held = await tx.rows(TIED.query)
    found, seen = asked.of(held), list[int]()
    while True:  # what is reckoned is paged through alike
        seen += [row.no for row in found.rows]
        if found.following is None:
            break
        found = msgspec.structs.replace(asked, after=found.following).of(held)
    assert seen == wanted
