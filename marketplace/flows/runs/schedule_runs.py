"""Runs by the clock: the run of a period is opened once its last day is over, and one that was interrupted goes on.

A run is only previewed here. It is approved by a person, and what a person has aborted or reversed is drafted again by
a person.
"""

from typing import Any

import structlog

from billing.runs import store
from billing.runs.model import Run, RunState
from billing.runs.schedules import store as schedules
from billing.runs.schedules.model import Schedule, Stored
from marketplace.core import audit, work
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.runs.draft_run import draft_due, due_period
from marketplace.flows.runs.run_billing import finalise_run, preview_run, reverse_run

log = structlog.get_logger(__name__)


async def set_schedule(tx: Tx, schedule: Schedule) -> Stored:
    """Bill an entity's days by the clock from now on. Raises NotFound, and Invalid for a schedule that cannot be."""
    schedule.check()
    await store.only_entity(tx, schedule.entity_id)
    stored = await schedules.set_schedule(tx, schedule)
    about: dict[str, Any] = {"cadence": schedule.cadence, "weekday": schedule.weekday, "active": schedule.active}
    await audit.record(tx, "schedule of runs set", f"entity:{schedule.entity_id}", **about)
    return stored


async def open_due_runs(db: Database, actor: str) -> int:
    """Draft and preview the runs whose period is over; returns how many were opened.

    First what was delivered in the period is settled. Any number of workers may do it at once: the first one drafts.
    """
    async with db.read(WORKER) as tx:
        entities = await schedules.active_entities(tx)
    opened = 0
    for entity_id in entities:
        try:
            opened += await _open(db, actor, entity_id)
        except AppError as refused:
            log.warning("run not opened", entity_id=entity_id, error=refused.detail)
    return opened


async def _open(db: Database, actor: str, entity_id: int) -> bool:
    async with db.read(WORKER) as tx:
        period = await due_period(tx, entity_id)
    if period is None:
        return False
    await settle_through(db, actor, period.last_on)
    await roll_ledger(db, actor)
    run = await db.write(WORKER, actor, draft_due, entity_id)
    if run is not None:
        await preview_run(db, actor, run)
    return run is not None


async def resume_runs(db: Database, actor: str) -> int:
    """Take runs on whose process has died at a step, each in the name of who took the step; returns how many."""
    async with db.read(WORKER) as tx:
        at_work = [(run, await work.maker(tx, run.batch_id)) for run in await store.runs_at_work(tx) if run.batch_id]
    for run, maker in at_work:
        try:
            await _resume(db, maker, run)
        except AppError as refused:
            log.warning("run not finished", run_id=run.run_id, error=refused.detail)
    return len(at_work)


async def _resume(db: Database, actor: str, run: Run) -> None:
    if run.state is RunState.DRAFT:
        await preview_run(db, actor, run)
    elif run.state is RunState.FINALISING:
        await finalise_run(db, actor, run.run_id)
    else:
        await reverse_run(db, actor, run.run_id)
