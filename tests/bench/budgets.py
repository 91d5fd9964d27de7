"""How many grants a second one capped budget takes from sixteen connections, each grant a commit of its own."""

import asyncio
from datetime import timedelta
from typing import Any

from incentives.budgets import store
from incentives.budgets.model import WHOLE, Ask, Budget, Draw, Owner, Scope, Verdict
from incentives.budgets.reservations.store import reserve
from marketplace.core.clock import SystemClock
from marketplace.core.db import WORKER, Database, Tx
from tests.bench.scratch import ACTOR, Stopwatch, ask_owner, at_least, at_most, main, note, scratch_database

AMOUNT = 37
WARM = 20
"""Grants of each connection before the watch starts: connections are open and statements prepared."""


async def measure(grants: int, connections: int, shards: int) -> dict[str, Any]:
    """The limit is a little short of what all grants want, so the end is raced for, too."""
    async with scratch_database() as scratch:
        warm, capped = _budget(1, 10**9, shards), _budget(2, grants * AMOUNT - 10 * AMOUNT - 5, shards)
        await scratch.write(WORKER, ACTOR, store.open_budgets, [warm, capped])
        db = Database(scratch.url, SystemClock(), pool_size=connections)
        try:
            await _grant(db, warm, WARM * connections, connections)
            watch = Stopwatch()
            given = await _grant(db, capped, grants, connections)
            seconds = watch.seconds
        finally:
            await db.close()
        note(f"{given} of {grants} grants in {seconds} s")
        taken = await ask_owner(scratch, f"SELECT sum(reserved_minor)::bigint {_OF_SHARDS}")
        booked = await ask_owner(scratch, f"SELECT sum(amount_minor)::bigint {_OF_RESERVATIONS}")
    return {
        "grants": grants,
        "connections": connections,
        "shards": shards,
        "seconds": seconds,
        "given": given,
        "bars": {
            "grants_per_second": at_least(grants / seconds, 2_000),
            "over_the_limit_minor": at_most(max(taken - capped.limit_minor, 0), 0),
            "unlike_the_reservations_minor": at_most(abs(taken - booked), 0),
            "left_that_could_have_been_given_minor": at_most(capped.limit_minor - taken, AMOUNT - 1),
        },
    }


_OF_SHARDS = "FROM incentives.budget_shard WHERE budget_id = 2"
_OF_RESERVATIONS = "FROM incentives.budget_reservation WHERE budget_id = 2 AND state = 'reserved'"


def _budget(budget_id: int, limit_minor: int, shards: int) -> Budget:
    return Budget(
        budget_id=budget_id,
        owner=Owner.PROMOTION,
        owner_id=budget_id,
        scope=Scope.TOTAL,
        currency="EUR",
        limit_minor=limit_minor,
        shards=shards,
    )


async def _grant(db: Database, of: Budget, grants: int, connections: int) -> int:
    given = await asyncio.gather(
        *(_grant_some(db, of, range(first, grants, connections)) for first in range(connections))
    )
    return sum(given)


async def _grant_some(db: Database, of: Budget, keys: range) -> int:
    return sum([await db.write(WORKER, ACTOR, _one, of, key) for key in keys])


async def _one(tx: Tx, of: Budget, key: int) -> bool:
    ask = Ask(key=f"grant {key}", amount_minor=AMOUNT, draws=(Draw(of, WHOLE),))
    [decision] = await reserve(tx, [ask], expires_at=tx.now + timedelta(hours=1))
    return decision.verdict is Verdict.RESERVED


if __name__ == "__main__":
    main(measure, grants=10_000, connections=16, shards=32)
