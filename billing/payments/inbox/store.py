"""Every statement on the inbox of processors' events."""

from typing import Any

from billing.payments.model import InboxEvent
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id

ATTEMPTS_MAX = 12
"""Attempts to apply an event, with doubling pauses: more than an hour for what it depends on to come in."""

_COLUMNS = ", ".join(
    f"convert_from({field}, 'UTF8') AS {field}" if field == "body" else field for field in InboxEvent.__struct_fields__
)


async def store_event(tx: Tx, processor_id: int, event_ref: str, body: bytes) -> int | None:
    """Store an event as it came; returns its id here, None when it is stored already."""
    inbox_id: int | None = await tx.scalar(
        """
        INSERT INTO billing.inbox_event (inbox_id, processor_id, event_ref, body, received_at)
        VALUES (:id, :processor, :ref, :body, :now)
        ON CONFLICT (processor_id, event_ref) DO NOTHING RETURNING inbox_id
        """,
        id=time_ordered_id(tx.now),
        processor=processor_id,
        ref=event_ref,
        body=body,
        now=tx.now,
    )
    return inbox_id


async def claim_event(tx: Tx, inbox_id: int | None = None) -> Any | None:
    """An event that waits (inbox_id, processor_id, body), held until the transaction ends: this one or the oldest due.

    The pause between attempts is by the server's clock, which moves on where a fixed one stands still.
    """
    return await tx.row(
        """
        SELECT inbox_id, processor_id, body FROM billing.inbox_event
        WHERE state = 'waiting' AND coalesce(not_before, now()) <= now()
          AND (CAST(:id AS bigint) IS NULL OR inbox_id = :id)
        ORDER BY inbox_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        id=inbox_id,
    )


async def note_applied(tx: Tx, inbox_id: int) -> None:
    await tx.execute(
        "UPDATE billing.inbox_event SET state = 'applied', applied_at = :now, error = NULL WHERE inbox_id = :id",
        {"id": inbox_id, "now": tx.now},
    )


async def note_failed(tx: Tx, inbox_id: int, error: str) -> None:
    """Count a failed attempt, unless somebody else has applied the event meanwhile."""
    await tx.execute(
        """
        UPDATE billing.inbox_event SET attempts = attempts + 1, error = :error,
               state = CASE WHEN attempts + 1 >= :max THEN 'parked' ELSE 'waiting' END,
               not_before = now() + power(2, attempts) * interval '1 second'
        WHERE inbox_id = :id AND state = 'waiting'
        """,
        {"id": inbox_id, "error": error, "max": ATTEMPTS_MAX},
    )


async def list_events(
    tx: Tx, *, state: str | None = None, limit: int, before_id: int | None = None
) -> list[InboxEvent]:
    """At most `limit` events, the newest first, those before `before_id`."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM billing.inbox_event
        WHERE inbox_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
          AND (CAST(:state AS text) IS NULL OR state = :state)
        ORDER BY inbox_id DESC LIMIT :limit
        """,
        before=before_id,
        state=state,
        limit=limit,
    )
    return [InboxEvent(**row._mapping) for row in rows]


async def retry_event(tx: Tx, inbox_id: int) -> InboxEvent:
    """Give a parked event all its attempts again. Raises NotFound, Conflict when it is not parked."""
    row = await tx.row(f"SELECT {_COLUMNS} FROM billing.inbox_event WHERE inbox_id = :id FOR UPDATE", id=inbox_id)
    if row is None:
        raise NotFound(f"there is no payment event {inbox_id}")
    if row.state != "parked":
        raise Conflict(f"state: the event is {row.state}, only a parked one is tried again")
    await tx.execute(
        "UPDATE billing.inbox_event SET state = 'waiting', attempts = 0, not_before = NULL WHERE inbox_id = :id",
        {"id": inbox_id},
    )
    await audit.record(tx, "payment event retried", f"payment_event:{inbox_id}", error=row.error)
    return InboxEvent(**{**row._mapping, "state": "waiting", "attempts": 0})
