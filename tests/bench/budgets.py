"""How many grants a second one capped budget takes from sixteen connections, each grant a commit of its own."""

import asyncio
from datetime import timedelta
from multiprocessing import get_context
from typing import Any

from incentives.budgets import store
from incentives.budgets.model import WHOLE, Ask, Budget, Draw, Owner, Scope, Verdict
from incentives.budgets.reservations.store import reserve
from marketplace.core.clock import SystemClock
from marketplace.core.db import WORKER, Database, Tx
from tests.bench.scratch import ACTOR, Stopwatch, ask_owner, at_least, at_most, main, note, scratch_database

AMOUNT = 37
_PROCESSES = 2


async def measure(grants: int, connections: int, shards: int) -> dict[str, Any]:
    """The limit is a little short of what all grants want, so the end is raced for, too."""
    async with scratch_database() as db:
        limit = grants * AMOUNT - 10 * AMOUNT - 5
        capped = Budget(
            budget_id=1, owner=Owner.PROMOTION, owner_id=1, scope=Scope.TOTAL, currency="EUR", limit_minor=limit,
            shards=shards,
        )  # fmt: skip
        await db.write(WORKER, ACTOR, store.open_budgets, [capped])
        watch = Stopwatch()
        given = await asyncio.to_thread(_share_out, db.url, capped, grants, connections)
        seconds = watch.seconds
        note(f"{given} of {grants} grants in {seconds} s")
        taken = await ask_owner(db, "SELECT sum(reserved_minor)::bigint FROM incentives.budget_shard")
        booked = await ask_owner(db, "SELECT sum(amount_minor)::bigint FROM incentives.budget_reservation")
    return {
        "grants": grants,
        "connections": connections,
        "shards": shards,
        "seconds": seconds,
        "given": given,
        "bars": {
            "grants_per_second": at_least(grants / seconds, 2_000),
            "over_the_limit_minor": at_most(max(taken - limit, 0), 0),
            "unlike_the_reservations_minor": at_most(abs(taken - booked), 0),
            "left_that_could_have_been_given_minor": at_most(limit - taken, AMOUNT - 1),
        },
    }


def _share_out(url: str, capped: Budget, grants: int, connections: int) -> int:
    """Divide grants and connections over processes, as workers do."""
    parts = [(url, capped, range(start, grants, _PROCESSES), connections // _PROCESSES) for start in range(_PROCESSES)]
    with get_context("spawn").Pool(_PROCESSES) as pool:
        return sum(pool.starmap(_grant_all, parts))


def _grant_all(url: str, capped: Budget, keys: range, connections: int) -> int:
    return asyncio.run(_grant(url, capped, keys, connections))


async def _grant(url: str, capped: Budget, keys: range, connections: int) -> int:
    db = Database(url, SystemClock(), pool_size=connections)
    try:
        given = await asyncio.gather(
            *(_grant_some(db, capped, keys[start::connections]) for start in range(connections))
        )
    finally:
        await db.close()
    return sum(given)


async def _grant_some(db: Database, capped: Budget, keys: range) -> int:
    return sum([await db.write(WORKER, ACTOR, _one, capped, key) for key in keys])


async def _one(tx: Tx, capped: Budget, key: int) -> bool:
    ask = Ask(key=f"grant {key}", amount_minor=AMOUNT, draws=(Draw(capped, WHOLE),))
    [decision] = await reserve(tx, [ask], expires_at=tx.now + timedelta(hours=1))
    return decision.verdict is Verdict.RESERVED


if __name__ == "__main__":
    main(measure, grants=10_000, connections=16, shards=32)
