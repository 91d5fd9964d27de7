"""Events for the world outside, stored with what they tell of and delivered afterwards by the worker."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.core.tables import outbox


class Event(msgspec.Struct, frozen=True):
    """One event as it was emitted. merchant_id: the only merchant that may be told, None for the platform alone."""

    event_id: int
    topic: str
    merchant_id: int | None
    payload: Any
    occurred_at: datetime


Delivery = Callable[[Tx, Sequence[Event]], Awaitable[None]]
"""Passes events on inside the transaction that marks them dispatched, so it may only write to the database."""


async def emit(tx: Tx, topic: str, payload: Any, *, merchant_id: int | None = None) -> None:
    """Store one event under its wire name, such as "billing.run_finalised.v1"; it leaves only if this commits."""
    await tx.execute(
        insert(outbox),
        {
            "event_id": time_ordered_id(tx.now),
            "topic": topic,
            "merchant_id": merchant_id,
            "payload": msgspec.to_builtins(payload),
            "occurred_at": tx.now,
        },
    )


async def dispatch(tx: Tx, deliveries: Mapping[str, Delivery], limit: int) -> int:
    """Deliver up to `limit` waiting events of the named topics, oldest first; returns how many.

    Events of a topic that has no delivery stay waiting. Several workers may dispatch at once: each takes its own.
    """
    rows = await tx.rows(
        select(outbox.c.event_id, outbox.c.topic, outbox.c.merchant_id, outbox.c.payload, outbox.c.occurred_at)
        .where(outbox.c.dispatched_at.is_(None), outbox.c.topic.in_(list(deliveries)))
        .order_by(outbox.c.event_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken: dict[Delivery, list[Event]] = {}
    for row in rows:
        taken.setdefault(deliveries[row.topic], []).append(Event(**row._mapping))
    for deliver, events in taken.items():
        await deliver(tx, events)
    done = [row.event_id for row in rows]
    await tx.execute(update(outbox).where(outbox.c.event_id.in_(done)).values(dispatched_at=tx.now))
    return len(done)
