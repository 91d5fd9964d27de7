"""Do the same with many rows, each in a transaction of its own: one that fails holds up no other.

What is cheaper for several rows together is done in bunches, a transaction for each; of one that fails each row is
tried alone.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from marketplace.core.db import WORKER, Database, Tx

Page = Callable[[Tx, Any | None], Awaitable[Sequence[Any]]]
"""The rows that follow the one given, in an order that stays as it is; none when there are no more."""
Deed = Callable[[Tx, Sequence[Any]], Awaitable[bool]]

FIRST = -(2**63)
"""Before every id."""

log = structlog.get_logger(__name__)


class OneByOne(Exception):  # it is no error
    """Raised by a deed that cannot take these rows together, before it has done anything."""


async def each(db: Database, actor: str, what: str, page: Page, deed: Callable[[Tx, Any], Awaitable[bool]]) -> int:
    """Do `deed` with each row of the pages; returns how often it said that it did something.

    A failure is logged as `what` with the row, which is made of ids; it is met again the next time. Raises only what
    says that the database is out of reach.
    """

    async def of_one(tx: Tx, rows: Sequence[Any]) -> bool:
        return await deed(tx, rows[0])

    return await in_bunches(db, actor, what, page, lambda rows: [[row] for row in rows], of_one)


async def in_bunches(
    db: Database, actor: str, what: str, page: Page, bunches: Callable[[Sequence[Any]], list[list[Any]]], deed: Deed
) -> int:
    """As `each`, with bunches of a page's rows at a time."""
    done, last = 0, None
    while True:
        async with db.read(WORKER) as tx:
            rows = await page(tx, last)
        if not rows:
            return done
        for bunch in bunches(rows):
            done += await _do(db, actor, what, deed, bunch)
        last = rows[-1]


async def _do(db: Database, actor: str, what: str, deed: Deed, rows: Sequence[Any]) -> int:
    try:
        return int(await db.write(WORKER, actor, deed, rows))
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
        raise
    except Exception as fault:
        if isinstance(fault, DBAPIError) and fault.connection_invalidated:
            raise
        if len(rows) > 1:
            return sum([await _do(db, actor, what, deed, [row]) for row in rows])
        log.warning(what, **rows[0]._mapping, error=f"{type(fault).__name__}: {fault}")
        return 0
