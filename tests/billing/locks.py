"""Seeing from outside that a transaction waits for another's lock, so that a race is played in a chosen order."""

import asyncio

from marketplace.core.db import WORKER, Database

_TRIES = 200


async def wait_until_blocked(db: Database, waiting: int = 1) -> None:
    """Return once `waiting` other sessions of this database wait for a lock; fails after ten seconds."""
    for _ in range(_TRIES):
        async with db.read(WORKER) as tx:
            blocked = await tx.scalar(
                """SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"""
            )
        if blocked >= waiting:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{blocked} sessions wait for a lock, not {waiting}")
