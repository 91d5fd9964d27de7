"""Every statement on fairs, who was met there, and what is to follow."""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from supply.leads.events.model import Attendee, Fair, FairKind, LeadTask, TaskState
from supply.leads.events.tables import attendee, fair, lead_task

_FAIR = [fair.c[field] for field in Fair.__struct_fields__]
_ATTENDEE = [attendee.c[field] for field in Attendee.__struct_fields__]
_TASK = [lead_task.c[field] for field in LeadTask.__struct_fields__]


async def add_fair(tx: Tx, new: Fair) -> Fair:
    """Raises Conflict for a code in use."""
    try:
        await tx.execute(insert(fair), {**msgspec.structs.asdict(new), "made_by": tx.actor, "made_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(f"code: there is a fair {new.code!r} already", pointer="/code") from fault
    return new


async def get_fair(tx: Tx, fair_id: int) -> Fair:
    """Raises NotFound."""
    row = await tx.row(select(*_FAIR).where(fair.c.fair_id == fair_id))
    if row is None:
        raise NotFound(f"there is no fair {fair_id}")
    return _fair(row)


async def list_fairs(tx: Tx, *, limit: int, before: tuple[date, int] | None = None) -> list[Fair]:
    """At most `limit` fairs, the latest first, behind (first day, id)."""
    query = select(*_FAIR)
    if before is not None:
        query = query.where(tuple_(fair.c.starts_on, fair.c.fair_id) < before)
    rows = await tx.rows(query.order_by(fair.c.starts_on.desc(), fair.c.fair_id.desc()).limit(limit))
    return [_fair(row) for row in rows]


async def add_attendee(tx: Tx, new: Attendee) -> bool:
    """Whether it is new: a badge is registered once."""
    statement = upsert(attendee).values(msgspec.structs.asdict(new)).on_conflict_do_nothing()
    return (await tx.execute(statement.returning(attendee.c.attendee_id))).first() is not None


async def get_attendee(tx: Tx, fair_id: int, badge: str, *, lock: bool = False) -> Attendee | None:
    query = select(*_ATTENDEE).where(attendee.c.fair_id == fair_id, attendee.c.badge == badge)
    row = await tx.row(query.with_for_update() if lock else query)
    return Attendee(**row._mapping) if row else None


async def scan(tx: Tx, held: Attendee, **values: Any) -> Attendee:
    """A held attendee was met."""
    await tx.execute(update(attendee).where(attendee.c.attendee_id == held.attendee_id).values(**values))
    return msgspec.structs.replace(held, **values)


async def list_attendees(tx: Tx, fair_id: int, *, limit: int, after: int = 0) -> list[Attendee]:
    """At most `limit` of a fair by id, those behind the id `after`."""
    query = select(*_ATTENDEE).where(attendee.c.fair_id == fair_id, attendee.c.attendee_id > after)
    return [Attendee(**row._mapping) for row in await tx.rows(query.order_by(attendee.c.attendee_id).limit(limit))]


async def add_task(
    tx: Tx, lead_id: int, what: str, due_on: date, *, rep_id: int | None, fair_id: int | None = None
) -> LeadTask:
    new = LeadTask(
        task_id=time_ordered_id(tx.now), lead_id=lead_id, rep_id=rep_id, fair_id=fair_id, what=what, due_on=due_on,
        state=TaskState.OPEN, outcome="", version=1,
    )  # fmt: skip
    await tx.execute(insert(lead_task), {**msgspec.structs.asdict(new), "made_by": tx.actor, "made_at": tx.now})
    await _tell(tx, new)
    return new


async def get_task(tx: Tx, task_id: int, *, lock: bool = False) -> LeadTask:
    """Raises NotFound."""
    query = select(*_TASK).where(lead_task.c.task_id == task_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no task {task_id}")
    return _task(row)


async def end_task(tx: Tx, held: LeadTask, state: TaskState, outcome: str) -> LeadTask:
    """Raises Conflict for a held task that is over."""
    if held.state is not TaskState.OPEN:
        raise Conflict(f"state: the task is {held.state}", state=held.state.value)
    statement = update(lead_task).where(lead_task.c.task_id == held.task_id)
    await tx.execute(statement.values(state=state.value, outcome=outcome, version=held.version + 1))
    ended = await get_task(tx, held.task_id)
    await _tell(tx, ended)
    return ended


async def list_tasks(
    tx: Tx, *, limit: int, after: tuple[date, int] | None = None, rep_id: int | None = None, lead_id: int | None = None
) -> list[LeadTask]:
    """At most `limit` open tasks, what is due first first, behind (day, id)."""
    query = select(*_TASK).where(lead_task.c.state == TaskState.OPEN)
    for column, value in ((lead_task.c.rep_id, rep_id), (lead_task.c.lead_id, lead_id)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(tuple_(lead_task.c.due_on, lead_task.c.task_id) > after)
    rows = await tx.rows(query.order_by(lead_task.c.due_on, lead_task.c.task_id).limit(limit))
    return [_task(row) for row in rows]


async def _tell(tx: Tx, now: LeadTask) -> None:
    told = {"task_id": now.task_id, "lead_id": now.lead_id, "rep_id": now.rep_id, "due_on": now.due_on}
    await outbox.emit(tx, "supply.lead_task_moved.v1", told | {"state": now.state, "version": now.version})


def _fair(row: Any) -> Fair:
    return Fair(**{**row._mapping, "kind": FairKind(row.kind)})


def _task(row: Any) -> LeadTask:
    return LeadTask(**{**row._mapping, "state": TaskState(row.state)})
