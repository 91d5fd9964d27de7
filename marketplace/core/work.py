"""Exactly-once work (decision D10): items of a batch, each claimed, done and marked done in one transaction.

A process that dies takes its transaction with it, so an item is either done or untouched; there is no lease and no
heartbeat. Any number of processes may work on one batch. An item that fails is tried again alone, later, and parked
after a few attempts: the rest of the batch does not wait for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import case, func, insert, select, update

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.core.ids import time_ordered_id
from marketplace.core.tables import work_batch, work_item

_ATTEMPTS_MAX = 3
_POLL_S = 0.2

log = structlog.get_logger(__name__)

Handle = Callable[[Tx, Any], Awaitable[Any]]
"""Does one item inside the transaction that marks it done; returns its result, or More when it is not through."""


class More(msgspec.Struct, frozen=True):
    """What an item returns while it still has more to do: what it did is committed, and it goes on with `payload`."""

    payload: Any


class BatchFailed(Conflict):
    """Items of a batch kept failing and were parked; their errors are in core.work_item."""

    code = "work-parked"
    title = "Some of the work could not be done"

    def __init__(self, batch_id: int, parked: int) -> None:
        super().__init__(
            f"{parked} items of work batch {batch_id} failed {_ATTEMPTS_MAX} times and are parked; the log and"
            " core.work_item say why; starting the work again tries them again"
        )


class Progress(msgspec.Struct, frozen=True):
    """How far a batch is, in items."""

    done: int
    parked: int
    todo: int

    @property
    def total(self) -> int:
        return self.done + self.parked + self.todo


async def plan(tx: Tx, kind: str, parameters: dict[str, Any], payloads: Sequence[Any]) -> int:
    """Store a batch with one item per payload (JSON values) and return its id."""
    batch_id = time_ordered_id(tx.now)
    await tx.execute(
        insert(work_batch),
        {
            "batch_id": batch_id,
            "kind": kind,
            "parameters": msgspec.to_builtins(parameters),
            "made_by": tx.actor,
            "made_at": tx.now,
        },
    )
    if payloads:
        items = [
            {"batch_id": batch_id, "item_no": number, "payload": msgspec.to_builtins(payload)}
            for number, payload in enumerate(payloads, start=1)
        ]
        await tx.execute(insert(work_item), items)
    return batch_id


async def progress(tx: Tx, batch_id: int) -> Progress:
    rows = await tx.rows(
        select(work_item.c.state, func.count()).where(work_item.c.batch_id == batch_id).group_by(work_item.c.state)
    )
    counts: dict[str, int] = {row[0]: row[1] for row in rows}
    return Progress(done=counts.get("done", 0), parked=counts.get("parked", 0), todo=counts.get("todo", 0))


async def results(tx: Tx, batch_id: int) -> list[Any]:
    """What the items of a batch returned, in item order."""
    query = select(work_item.c.result).where(work_item.c.batch_id == batch_id, work_item.c.state == "done")
    return [row.result for row in await tx.rows(query.order_by(work_item.c.item_no))]


async def open_batch(tx: Tx, kind: str) -> int | None:
    """The oldest batch of this kind that still has something to do, for a process that resumes."""
    batch_id: int | None = await tx.scalar(
        select(func.min(work_item.c.batch_id))
        .join(work_batch, work_batch.c.batch_id == work_item.c.batch_id)
        .where(work_batch.c.kind == kind, work_item.c.state == "todo")
    )
    return batch_id


async def maker(tx: Tx, batch_id: int) -> str:
    """Who planned the batch, and so in whose name a worker does its items."""
    login: str = await tx.scalar(select(work_batch.c.made_by).where(work_batch.c.batch_id == batch_id))
    return login


async def drain(
    db: Database,
    batch_id: int,
    actor: str,
    handle: Handle,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_commit: Callable[[], None] = lambda: None,
    until: Callable[[], bool] = lambda: False,
) -> Progress:
    """Work on a batch until nothing is left to claim and nobody else holds an item; returns how it ended.

    until: asked between items; once true, the rest is left to others.
    """
    while True:
        claimed = await _one(db, batch_id, actor, handle)
        async with db.read(WORKER) as tx:
            state = await progress(tx, batch_id)
        on_progress(state)
        if claimed:
            on_commit()
        if until() or not (claimed or state.todo):
            return state
        if not claimed:  # another process holds the rest, or a failed item waits for its next attempt
            await asyncio.sleep(_POLL_S)


def check_done(batch_id: int, ended: Progress) -> None:
    """Raise BatchFailed when a batch ended with parked items: its work is not whole."""
    if ended.parked:
        raise BatchFailed(batch_id, ended.parked)


async def retry_parked(tx: Tx, batch_id: int) -> None:
    """Give the parked items of a batch all their attempts again: somebody starts the work anew."""
    await tx.execute(
        update(work_item)
        .where(work_item.c.batch_id == batch_id, work_item.c.state == "parked")
        .values(state="todo", attempts=0, not_before=None)
    )


async def _one(db: Database, batch_id: int, actor: str, handle: Handle) -> bool:
    """Claim and do one item. False when there was none to claim."""
    claimed: list[int] = []
    try:
        return await db.write(WORKER, actor, _claim_and_do, batch_id, handle, claimed)
    except Exception as fault:
        if not claimed:
            raise
        log.warning("work item failed", batch_id=batch_id, item_no=claimed[-1], error=reason(fault))
        return await db.write(WORKER, actor, _fail, batch_id, claimed[-1], fault)


async def _claim_and_do(tx: Tx, batch_id: int, handle: Handle, claimed: list[int]) -> bool:
    row = await tx.row(
        select(work_item.c.item_no, work_item.c.payload)
        .where(
            work_item.c.batch_id == batch_id,
            work_item.c.state == "todo",
            func.coalesce(work_item.c.not_before, func.now()) <= func.now(),
        )
        .order_by(work_item.c.item_no)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return False
    claimed.append(row.item_no)
    result = await handle(tx, row.payload)
    outcome = (
        {"payload": msgspec.to_builtins(result.payload)}
        if isinstance(result, More)
        else {"state": "done", "result": msgspec.to_builtins(result)}
    )
    await tx.execute(
        update(work_item).where(work_item.c.batch_id == batch_id, work_item.c.item_no == row.item_no).values(outcome)
    )
    return True


async def _fail(tx: Tx, batch_id: int, item_no: int, fault: Exception) -> bool:
    """Count a failed attempt, unless another process has done the item meanwhile: what is done stays done.

    The pause before the next attempt is by the server's clock, which moves on where a fixed one stands still.
    """
    attempts = work_item.c.attempts + 1
    await tx.execute(
        update(work_item)
        .where(work_item.c.batch_id == batch_id, work_item.c.item_no == item_no, work_item.c.state == "todo")
        .values(
            attempts=attempts,
            state=case((attempts >= _ATTEMPTS_MAX, "parked"), else_="todo"),
            not_before=func.now() + timedelta(seconds=1) * attempts,
            error=reason(fault),
        )
    )
    return True


def reason(fault: Exception) -> str:
    """What went wrong in one line: for a database error the server's own words, without statement and values."""
    said = str(getattr(fault, "orig", None) or fault).strip().splitlines()
    return f"{type(fault).__name__}: {said[0] if said else ''}"
