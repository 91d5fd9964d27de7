"""When runs are opened by the clock, and what moved in a run since the period before, on pages."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from billing.cadence import Cadence
from billing.runs.comparison.model import Moved, key_of
from billing.runs.model import Run
from billing.runs.schedules import store
from billing.runs.schedules.model import PAYOUT_DAYS_MAX, Schedule, Stored
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, carry_out, chosen, day_needed, done, number
from marketplace.consoles.finance_queries import run_currencies
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.names_queries import names_of
from marketplace.consoles.ops_queries import Entity
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.paging import cut, decode_cursor, encode_cursor
from marketplace.flows.runs import compare_runs, schedule_runs
from marketplace.web.auth import ActorRequest

LISTED_MAX = 50
CADENCES = tuple(cadence for cadence in Cadence if cadence is not Cadence.DAILY)
"""How often runs may be."""


class SchedulesPage(msgspec.Struct, frozen=True):
    """The schedule of each legal entity that has one."""

    schedules: Sequence[Stored]
    entities: Sequence[Entity]

    @property
    def named(self) -> dict[int, Entity]:
        return {entity.entity_id: entity for entity in self.entities}


class ComparisonPage(msgspec.Struct, frozen=True, kw_only=True):
    """What moved between the runs of a period and those of the one before: the largest change first."""

    run_id: int
    now: Sequence[Run]
    before: Sequence[Run]
    moved: Sequence[Moved]
    names: dict[int, str]
    currency: str
    currencies: Sequence[str]
    older: tuple[bool, int, int, int, str, str] | None


@get("/schedules")
async def schedules(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """Which days are billed by the clock, and which run it opens next."""
    return await show_schedules(request, db)


async def show_schedules(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = SchedulesPage(await store.list_schedules(tx, limit=LISTED_MAX), await ops_queries.list_entities(tx))
        today = tx.now.date()
    more: dict[str, Any] = {"cadences": CADENCES, "today": today}
    return send(request, "finance/schedules.html", page, "schedules", refused=refused, **more)


@post("/schedules")
async def set_schedule(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Bill an entity's days by the clock, in the place of its schedule before."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        schedule = Schedule(
            entity_id=number(typed, "entity_id", least=1, most=2**31 - 1),
            cadence=chosen(typed, "cadence", Cadence),
            weekday=number(typed, "weekday", least=1, most=7) if typed.get("weekday", "").strip() else None,
            starts_on=day_needed(typed, "starts_on"),
            payout_days=number(typed, "payout_days", least=1, most=PAYOUT_DAYS_MAX),
            active=typed.get("active", "") != "no",
        )
        await schedule_runs.set_schedule(tx, schedule)
        return done("/finance/schedules", "schedule_set")

    return await carry_out(request, db, work, again=lambda why: show_schedules(request, db, why))


@get("/runs/{run_id:int}/comparison")
async def comparison(
    request: ActorRequest,
    db: NamedDependency[Database],
    run_id: PathId,
    currency: FromQuery[str] = "",
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """What moved since the period before, by merchant and column."""
    key = decode_cursor(after, tuple[bool, int, int, int, str, str])
    async with db.read(STAFF) as tx:
        found = await compare_runs.compare_run(tx, run_id, currency=currency or None, limit=LISTED_MAX + 1, after=key)
        moved, older = cut(found.moved, LISTED_MAX, key_of)
        page = ComparisonPage(
            run_id=run_id,
            now=found.now,
            before=found.before,
            moved=moved,
            names=await names_of(tx, (row.merchant_id for row in moved)),
            currency=currency,
            currencies=await run_currencies(tx, run_id),
            older=older,
        )
    return send(request, "finance/comparison.html", page, "home", cursor=encode_cursor(older) if older else None)


PAGES = [schedules, set_schedule, comparison]
