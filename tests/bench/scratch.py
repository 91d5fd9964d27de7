"""What every measurement needs: a server of its own, a clock for durations, and an answer as one JSON object."""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.bootstrap import open_database
from marketplace.core.db import WORKER, Database
from marketplace.core.pgembed import start_embedded
from marketplace.settings import Settings

ACTOR = "operator"
"""The embedded database's own user, under the policy single_operator."""


@asynccontextmanager
async def scratch_database() -> AsyncIterator[Database]:
    """A migrated embedded database in a temporary home, durable as configured, removed with its server at the end."""
    home = Path(tempfile.mkdtemp(prefix="marketplace-bench-"))
    server = start_embedded(home)
    try:
        async with open_database(Settings(home=home)) as db:
            await _check_durable(db)
            yield db
    finally:
        server.cleanup()
        shutil.rmtree(home)


async def _check_durable(db: Database) -> None:
    async with db.read(WORKER) as tx:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            value = await tx.scalar(f"SHOW {name}")
            if value != "on":
                raise SystemExit(f"{name} is {value}: a measurement without durability says nothing")


async def as_owner(db: Database, *statements: str) -> None:
    """Run statements as the role that owns the tables, each in a transaction of its own."""
    async with db.engine.connect() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def as_maintenance(db: Database, *statements: str) -> None:
    """Run statements about whole databases, from beside them."""
    beside = create_async_engine(db.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    async with beside.connect() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
    await beside.dispose()


@asynccontextmanager
async def copy_of(db: Database) -> AsyncIterator[Database]:
    """The same once more, on disk, in a database of its own that is dropped in the end."""
    await db.disconnect()  # a template must have no other user
    await as_maintenance(db, "CREATE DATABASE bench_copy TEMPLATE marketplace STRATEGY file_copy", "CHECKPOINT")
    copy = Database(db.url.replace("/marketplace?", "/bench_copy?"), db.clock)
    try:
        yield copy
    finally:
        await copy.close()
        await as_maintenance(db, "DROP DATABASE bench_copy")


async def ask_owner(db: Database, query: str) -> Any:
    """The first column of the first row of a query, asked as the role that owns the tables."""
    async with db.engine.connect() as connection:
        return (await connection.exec_driver_sql(query)).scalar()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return round(time.perf_counter() - self._started, 3)


async def median_ms(times: int, ask: Callable[[], Awaitable[Any]]) -> float:
    """The median duration of a question asked `times` times, after one that warms the caches."""
    await ask()
    taken = []
    for _ in range(times):
        watch = time.perf_counter()
        await ask()
        taken.append(1000 * (time.perf_counter() - watch))
    return round(statistics.median(taken), 1)


def note(line: str) -> None:
    """Say on standard error what is going on."""
    sys.stderr.write(line + "\n")


def main(measure: Callable[..., Coroutine[Any, Any, dict[str, Any]]], **sizes: int) -> None:
    """Run a measurement; `sizes` are its parameters with their defaults, each an option. Status 1 for a missed bar."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    for name, value in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    answer = asyncio.run(measure(**vars(parser.parse_args())))
    answer["machine"] = {"cpus": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 1)}
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.exit(0 if all(bar["holds"] for bar in answer["bars"].values()) else 1)


def at_least(value: float, bar: float) -> dict[str, Any]:
    """A bar that a value must reach."""
    return {"value": round(value, 3), "at_least": bar, "holds": value >= bar}


def at_most(value: float, bar: float) -> dict[str, Any]:
    """A bar that a value must stay under."""
    return {"value": round(value, 3), "at_most": bar, "holds": value <= bar}
