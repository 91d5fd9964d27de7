"""Events for the world outside, stored with what they tell of and delivered afterwards by the worker."""

from typing import Any

import msgspec
from sqlalchemy import insert

from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.core.tables import outbox


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
