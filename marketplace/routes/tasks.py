"""What people of the house have to take up with merchants."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import WORKER, Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products.note_usage import EditTask, edit_task, finish_task
from marketplace.routes.fields import Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import check_version, expected_version, tagged, versioned
from marketplace.web.guards import OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.subscriptions import store
from supply.products.subscriptions.store import Task

_ONE = "/merchants/{merchant_id:int}/tasks/{task_id:int}"
TaskState = Annotated[
    Literal["open", "done"] | None, QueryParameter(name="state", description="Only tasks in this state.")
]
Owner = Annotated[str | None, QueryParameter(description="Only this login's.", max_length=100, pattern=r"^[^\x00]*$")]


class TaskEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    owner: Reference | None = None
    due_on: date | None = None


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of it."""

    outcome: Reason


@get("/tasks", guards=[needs(STAFF)])
async def list_tasks(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: TaskState = None,
    owner: Owner = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Task]:
    """Tasks of all merchants, what is due first first."""
    after = decode_cursor(cursor, tuple[date, int])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_tasks(tx, limit=limit + 1, state=in_state, owner=owner, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.due_on, row.task_id))


@get(_ONE, guards=[needs(STAFF)])
async def get_task(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, task_id: PathId
) -> Response[Task]:
    """One task."""
    async with db.read(request.user.scope) as tx:
        task = await store.get_task(tx, merchant_id, task_id)
    return tagged(task, task.version)


@patch(_ONE, dto=StrictBody[TaskEdit], guards=[needs(OPS)], opt=versioned())
async def change_task(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    task_id: PathId,
    data: JSONBody[TaskEdit],
) -> Response[Task]:
    """Give an open task to somebody else, or put it off."""
    expected = expected_version(request)
    cmd = EditTask(merchant_id=merchant_id, task_id=task_id, **msgspec.structs.asdict(data))
    edited = await db.write(
        WORKER, request.user.login, edit_task, cmd, lambda present: check_version(expected, present)
    )
    return tagged(edited, edited.version)


@post(f"{_ONE}/done", dto=StrictBody[Outcome], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def mark_task_done(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    task_id: PathId,
    data: JSONBody[Outcome],
) -> Response[Task]:
    """Say what came of a task."""
    return await once(request, db, finish_task, merchant_id, task_id, data.outcome)


HANDLERS = [list_tasks, get_task, change_task, mark_task_done]
