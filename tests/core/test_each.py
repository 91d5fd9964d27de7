"""Rows in bunches: a bunch that fails is taken apart, and one row that fails holds up no other."""

from collections.abc import Sequence
from typing import Any

from marketplace.core.db import Database, Tx
from marketplace.core.each import OneByOne, each, in_bunches


async def _three(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await tx.rows(
        "SELECT n AS number FROM generate_series(1, 3) AS n WHERE n > :last", last=getattr(last, "number", 0)
    )


async def test_a_bunch_is_one_commit(db: Database) -> None:
    async def deed(tx: Tx, rows: Sequence[Any]) -> bool:
        return len(rows) == 3

    assert await in_bunches(db, "test", "they failed", _three, lambda rows: [list(rows)], deed) == 1


async def test_what_cannot_be_taken_together_is_taken_one_by_one(db: Database) -> None:
    async def deed(tx: Tx, rows: Sequence[Any]) -> bool:
        if len(rows) > 1:
            raise OneByOne
        return True

    assert await in_bunches(db, "test", "they failed", _three, lambda rows: [list(rows)], deed) == 3


async def test_one_that_fails_holds_up_no_other(db: Database) -> None:
    async def bunched(tx: Tx, rows: Sequence[Any]) -> bool:
        if any(row.number == 2 for row in rows):
            raise ValueError("the second")
        return True

    async def single(tx: Tx, row: Any) -> bool:
        return await bunched(tx, [row])

    assert await in_bunches(db, "test", "they failed", _three, lambda rows: [list(rows)], bunched) == 2
    assert await each(db, "test", "they failed", _three, single) == 2
