"""What a tool says of how often it is used, and what people say of the tasks that follow from it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.charges.store import books_of
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from supply.products.subscriptions import store
from supply.products.subscriptions.store import Task, ToolUsage


class NoteUsage(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    subscription_id: int
    used_on: date
    uses: int


class EditTask(msgspec.Struct, frozen=True, kw_only=True):
    """What is None stays as it is."""

    merchant_id: int
    task_id: int
    owner: str | None
    due_on: date | None


async def note_usage(tx: Tx, cmd: NoteUsage) -> ToolUsage:
    """Store it; the newest word on a day counts. Raises NotFound, Invalid for a day that the tool cannot speak of."""
    books = await books_of(tx, cmd.merchant_id)
    about = await store.get_subscription(tx, cmd.merchant_id, cmd.subscription_id, lock=True)
    first = about.made_at.date() - timedelta(days=1)
    if not first <= cmd.used_on <= books.today:
        raise Invalid(f"used_on: is not between {first} and today, {books.today}", pointer="/used_on")
    return await store.note_usage(tx, cmd.merchant_id, cmd.subscription_id, cmd.used_on, cmd.uses)


async def edit_task(tx: Tx, cmd: EditTask, check: Callable[[int], None]) -> Task:
    """Give an open task to somebody else, or put it off. Raises NotFound, Conflict, what `check` raises."""
    held = await store.get_task(tx, cmd.merchant_id, cmd.task_id, lock=True)
    check(held.version)
    values: dict[str, Any] = {
        name: getattr(cmd, name) for name in ("owner", "due_on") if getattr(cmd, name) is not None
    }
    _check_open(held)
    edited = await store.edit_task(tx, held, **values)
    await audit.record(tx, "task edited", f"task:{held.task_id}", **values)
    return edited


async def finish_task(tx: Tx, merchant_id: int, task_id: int, outcome: str) -> Task:
    """Say what came of it. Raises NotFound, Conflict for one that is done."""
    held = await store.get_task(tx, merchant_id, task_id, lock=True)
    _check_open(held)
    done = await store.edit_task(tx, held, state="done", outcome=outcome, done_by=tx.actor, done_at=tx.now)
    await audit.record(tx, "task done", f"task:{task_id}", outcome=outcome)
    return done


def _check_open(task: Task) -> None:
    if task.state != "open":
        raise Conflict(f"task {task.task_id} is done", state=task.state)
