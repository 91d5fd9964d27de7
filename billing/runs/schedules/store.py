"""Every statement on schedules of runs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from billing.cadence import Cadence
from billing.runs.schedules.model import Schedule, Stored
from billing.runs.store import find_newest_run
from billing.runs.tables import run_schedule
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound


async def set_schedule(tx: Tx, schedule: Schedule) -> Stored:
    """Keep an entity's schedule in the place of the one before."""
    row = msgspec.to_builtins(schedule, builtin_types=(type(schedule.starts_on),))
    row |= {"set_by": tx.actor, "set_at": tx.now}
    await tx.execute(insert(run_schedule).values(row).on_conflict_do_update(index_elements=["entity_id"], set_=row))
    return await get_schedule(tx, schedule.entity_id)


async def get_schedule(tx: Tx, entity_id: int) -> Stored:
    """Raises NotFound."""
    row = await tx.row(select(run_schedule).where(run_schedule.c.entity_id == entity_id))
    if row is None:
        raise NotFound(f"entity {entity_id} has no schedule of runs")
    return await _stored(tx, row)


async def list_schedules(tx: Tx, *, limit: int, after: int | None = None) -> Sequence[Stored]:
    """At most `limit` schedules, by entity, those behind `after`."""
    query = select(run_schedule).order_by(run_schedule.c.entity_id).limit(limit)
    if after is not None:
        query = query.where(run_schedule.c.entity_id > after)
    return [await _stored(tx, row) for row in await tx.rows(query)]


async def active_entities(tx: Tx) -> list[int]:
    """The entities whose runs are opened by the clock."""
    query = select(run_schedule.c.entity_id).where(run_schedule.c.active).order_by(run_schedule.c.entity_id)
    return [row.entity_id for row in await tx.rows(query)]


async def _stored(tx: Tx, row: Any) -> Stored:
    values = {name: getattr(row, name) for name in Schedule.__struct_fields__}
    schedule = Schedule(**{**values, "cadence": Cadence(row.cadence)})
    newest = await find_newest_run(tx, schedule.entity_id)
    period = schedule.period_from(newest.to_on if newest is not None else schedule.starts_on)
    return Stored(
        schedule=schedule, set_by=row.set_by, set_at=row.set_at, next_period=period.name, opens_on=period.to_on
    )
