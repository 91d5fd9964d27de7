"""A server that restarts, and connections that break while they lie idle: noticed, made anew, nobody else's fault."""

import asyncio

import asyncpg
import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, is_lost
from marketplace.worker import run_worker


async def end_idle(db: Database) -> None:
    """What a restart of the server does to connections that nobody uses at the moment."""
    raw = await asyncpg.connect(db.url.replace("+asyncpg", "", 1))
    await raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1",
        raw.get_server_pid(),
    )
    await raw.close()
    await asyncio.sleep(0.05)  # for the connections' ends to arrive


async def warm(db: Database, connections: int) -> None:
    async def one() -> None:
        async with db.read(WORKER) as tx:
            await tx.scalar("SELECT pg_sleep(0.05)")

    await asyncio.gather(*(one() for _ in range(connections)))


async def test_broken_idle_connections_are_not_lent(db: Database) -> None:
    await warm(db, 4)
    await end_idle(db)
    for _ in range(4):
        async with db.read(WORKER) as tx:
            assert await tx.scalar("SELECT 1") == 1
        row = await db.lookup("SELECT 1 AS one")
        assert row is not None
        assert row["one"] == 1


async def test_a_cancelled_lookup_hands_its_statement_to_nobody(db: Database) -> None:
    for _ in range(20):
        asked = asyncio.create_task(db.lookup("SELECT pg_sleep(0.2)"))
        await asyncio.sleep(0.005)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        async with db.read(WORKER) as tx:
            assert await tx.scalar("SELECT 2") == 2


async def test_a_chore_that_fails_takes_no_other_with_it(db: Database) -> None:
    done, stop = [], asyncio.Event()

    async def fails(db: Database) -> int:
        raise ValueError("a chore of its own")

    async def works(db: Database) -> int:
        done.append(1)
        if len(done) == 2:
            stop.set()
        return 0

    async with asyncio.timeout(30):
        await run_worker(db, stop, jobs_by_name={}, batches={}, chores={"fails": fails, "works": works})
    assert len(done) >= 2


async def test_a_worker_outlives_a_restart_of_the_server(db: Database, clock: FixedClock) -> None:
    stop, rounds = asyncio.Event(), []
    own = Database(db.url, clock, pool_size=2)

    async def look(db: Database) -> int:
        async with db.read(WORKER) as tx:
            rounds.append(await tx.scalar("SELECT 1"))
        if len(rounds) == 1:
            await end_idle(db)
        if len(rounds) == 3:
            stop.set()
        return 0

    try:
        async with asyncio.timeout(60):
            await run_worker(own, stop, jobs_by_name={}, batches={}, chores={"look": look})
    finally:
        await own.close()
    assert len(rounds) >= 3


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (asyncpg.InternalClientError("cannot switch to state 12"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.InterfaceError("another operation is in progress"), False),
        (ConnectionResetError(), True),
        (asyncpg.UniqueViolationError("twice"), False),
    ],
)
def test_what_counts_as_out_of_reach(fault: Exception, lost: bool) -> None:
    assert is_lost(fault) is lost
