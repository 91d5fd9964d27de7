"""Do the same with many rows, each in a transaction of its own: one that fails holds up no other."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from marketplace.core.db import WORKER, Database, Tx

Page = Callable[[Tx, Any | None], Awaitable[Sequence[Any]]]
"""The rows that follow the one given, in an order that stays as it is; none when there are no more."""

FIRST = -(2**63)
"""Before every id."""

log = structlog.get_logger(__name__)


async def each(db: Database, actor: str, what: str, page: Page, deed: Callable[[Tx, Any], Awaitable[bool]]) -> int:
    """Do `deed` with each row of the pages; returns how often it said that it did something.

    A failure is logged as `what` with the row, which is made of ids; it is met again the next time. Raises only what
    says that the database is out of reach.
    """
    done, last = 0, None
    while True:
        async with db.read(WORKER) as tx:
            rows = await page(tx, last)
        if not rows:
            return done
        for row in rows:
            done += await _do(db, actor, what, deed, row)
        last = rows[-1]


async def _do(db: Database, actor: str, what: str, deed: Callable[[Tx, Any], Awaitable[bool]], row: Any) -> bool:
    try:
        return await db.write(WORKER, actor, deed, row)
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
        raise
    except Exception as fault:
        if isinstance(fault, DBAPIError) and fault.connection_invalidated:
            raise
        log.warning(what, **row._mapping, error=f"{type(fault).__name__}: {fault}")
        return False
