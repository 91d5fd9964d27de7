"""Long work followed on a page: events from the server while it goes on, and a reload for who has no script."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage

from marketplace.consoles import finance_queries
from marketplace.consoles.layout import PathId
from marketplace.core.db import STAFF, Database
from marketplace.web.guards import FINANCE, needs

PAUSE_S = 1.0
LOOKS_MAX = 600
"""After ten minutes the browser asks anew, so that nobody is followed who has gone."""


@get("/finance/runs/{run_id:int}/progress", guards=[needs(FINANCE)], include_in_schema=False)
async def run_progress(db: NamedDependency[Database], run_id: PathId) -> ServerSentEvent:
    """How far a billing run is: an event whenever that changes, and `end` when nothing is at work any more."""
    async with db.read(STAFF) as tx:
        await finance_queries.run_progress(tx, run_id)  # refuses before the stream begins
    return ServerSentEvent(follow(db, run_id))


async def follow(db: Database, run_id: int, pause_s: float = PAUSE_S) -> AsyncIterator[ServerSentEventMessage]:
    """The events of one run. No connection is held while nothing is looked at."""
    told = None
    for _ in range(LOOKS_MAX):
        async with db.read(STAFF) as tx:
            now = await finance_queries.run_progress(tx, run_id)
        if not now.working:
            yield ServerSentEventMessage(event="end", data=now.state)
            return
        if now != told:
            yield ServerSentEventMessage(event="progress", data=msgspec.json.encode(now).decode())
            told = now
        await asyncio.sleep(pause_s)


PAGES = [run_progress]
