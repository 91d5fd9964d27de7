"""Long work followed on a page: events from the server while it goes on, and a reload for who has no script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import ServerSentEvent, ServerSentEventMessage

from billing.bank_files import store as bank_files
from billing.bank_files.model import UNFINISHED
from incentives.budgets.model import Owner
from incentives.lifecycle import State
from incentives.simulation import store as simulations
from marketplace.consoles import finance_queries
from marketplace.consoles.finance_queries import Progress
from marketplace.consoles.incentives_queries import burn_of
from marketplace.consoles.layout import PathId
from marketplace.core import last_checks
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.rates import PPM
from marketplace.web.guards import FINANCE, OPS, needs

PAUSE_S = 1.0
LOOKS_MAX = 600
"""After ten minutes the browser asks anew, so that nobody is followed who has gone."""


Look = Callable[[Tx], Awaitable[Progress]]
"""How far something is. Raises NotFound."""


async def _answer(db: Database, look: Look) -> ServerSentEvent:
    async with db.read(STAFF) as tx:
        await look(tx)  # refuses before the stream begins
    return ServerSentEvent(follow(db, look))


async def follow(db: Database, look: Look, pause_s: float = PAUSE_S) -> AsyncIterator[ServerSentEventMessage]:
    """An event whenever it has gone on, and `end` when nothing is at work any more.

    No connection is held while nothing is looked at.
    """
    told = None
    for _ in range(LOOKS_MAX):
        async with db.read(STAFF) as tx:
            now = await look(tx)
        if not now.working:
            yield ServerSentEventMessage(event="end", data=now.state)
            return
        if now != told:
            yield ServerSentEventMessage(event="progress", data=msgspec.json.encode(now).decode())
            told = now
        await asyncio.sleep(pause_s)


@get("/finance/runs/{run_id:int}/progress", guards=[needs(FINANCE)], include_in_schema=False)
async def run_progress(db: NamedDependency[Database], run_id: PathId) -> ServerSentEvent:
    """How far a billing run is."""
    return await _answer(db, partial(finance_queries.run_progress, run_id=run_id))


@get("/finance/files/{file_id:int}/progress", guards=[needs(FINANCE)], include_in_schema=False)
async def file_progress(db: NamedDependency[Database], file_id: PathId) -> ServerSentEvent:
    """How much of a bank's file is read."""

    async def look(tx: Tx) -> Progress:
        file = await bank_files.get_file(tx, file_id)
        return Progress(file.state, file.stored_lines, max(file.lines, 1), working=file.state in UNFINISHED)

    return await _answer(db, look)


@get(
    "/ops/promotions/{promotion_id:int}/simulations/{simulation_id:int}/progress",
    guards=[needs(OPS)],
    include_in_schema=False,
)
async def simulation_progress(
    db: NamedDependency[Database], promotion_id: PathId, simulation_id: PathId
) -> ServerSentEvent:
    """How much of a simulation's work is done."""

    async def look(tx: Tx) -> Progress:
        found = await simulations.get_simulation(tx, promotion_id, simulation_id)
        working = found.state in {simulations.State.QUEUED, simulations.State.RUNNING}
        return Progress(found.state, found.progress_ppm, PPM, working=working)

    return await _answer(db, look)


@get("/ops/burn/{owner:str}/{owner_id:int}/progress", guards=[needs(OPS)], include_in_schema=False)
async def burn_progress(db: NamedDependency[Database], owner: FromPath[Owner], owner_id: PathId) -> ServerSentEvent:
    """What a live campaign or promotion has spent and promised."""

    async def look(tx: Tx) -> Progress:
        state, burn = await burn_of(tx, owner, owner_id)
        return Progress(state, burn.spent_minor, burn.limit_minor or 0, working=state is State.LIVE)

    return await _answer(db, look)


@get("/finance/checks/progress", guards=[needs(FINANCE)], include_in_schema=False)
async def check_progress(db: NamedDependency[Database], subject: FromQuery[str]) -> ServerSentEvent:
    """Whether something is still to be checked anew."""

    async def look(tx: Tx) -> Progress:
        working = await last_checks.is_working(tx, subject)
        return Progress("working" if working else "checked", 0, 1, working=working)

    return await _answer(db, look)


PAGES = [burn_progress, check_progress, run_progress, file_progress, simulation_progress]
