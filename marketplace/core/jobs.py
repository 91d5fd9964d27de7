"""Jobs: things to do soon or by the clock, run by `marketplace worker` (decision D10).

A job is a row that commits with what it follows from. It runs at least once: a worker that dies is noticed by its
missing heartbeat and the job starts again, so a job must bear being run twice. PgQueuer keeps the rows, in tables of
the schema `core` that our own migration made; work that must happen exactly once is `core.work` instead.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import msgspec
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor
from pgqueuer.domain.models import Job as QueuedJob
from pgqueuer.domain.models import Schedule
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

from marketplace.core.db import Database, Role, Tx
from marketplace.core.log import bound

TABLES = DBSettings(  # every name is given, because what is not given is read from variables such as CHANNEL
    prefix="",
    db_schema="core",
    channel=Channel("job_changed"),
    function="job_changed",
    trigger="job_changed",
    queue_status_type="job_status",
    queue_table="job",
    queue_table_log="job_log",
    statistics_table="job_statistics",
    schedules_table="job_schedule",
    durability=Durability.durable,
    widen_id=True,
)

ATTEMPTS_MAX = 8
"""Attempts of a failing job, with doubling pauses of up to five minutes; then it is held for a person."""


class Job(msgspec.Struct, frozen=True):
    """What a worker does under a name: `run(db, payload)`, on request and, where `cron` is given, by the clock.

    cron: five fields, or six of which the last is seconds; such a run has the payload None and is never retried
    before its next time. One worker runs a due time, however many there are.
    """

    run: Callable[[Database, Any], Awaitable[None]]
    cron: str | None = None


def queries(connection: asyncpg.Connection) -> Queries:
    """PgQueuer's statements for our tables, on this connection and in whatever transaction it has open."""
    return Queries(
        AsyncpgDriver(connection),
        qbe=QueryBuilderEnvironment(TABLES),
        qbq=QueryQueueBuilder(TABLES),
        qbs=QuerySchedulerBuilder(TABLES),
    )


async def enqueue(
    tx: Tx, name: str, payload: Any = None, *, once_key: str | None = None, after: timedelta | None = None
) -> None:
    """Ask for the job `name` in this transaction; `payload` is a JSON value or a Struct.

    once_key: do nothing when a job with this key is still waiting or running. after: not before this delay.
    """
    body = msgspec.json.encode(payload)
    await queries(tx.raw).enqueue(name, body, execute_after=after, dedupe_key=once_key, on_conflict="skip")


async def connect(url: str) -> asyncpg.Connection:
    """A connection of the worker's own for PgQueuer, which listens on it for as long as it runs."""
    settings = {"role": Role.WORKER.value, "jit": "off", "timezone": "UTC", "application_name": "marketplace worker"}
    return await asyncpg.connect(url.replace("+asyncpg", "", 1), server_settings=settings)


def runner(connection: asyncpg.Connection, db: Database, jobs: Mapping[str, Job]) -> PgQueuer:
    """A PgQueuer that runs `jobs` against `db`; set its `shutdown` to let it finish what it has begun."""
    pgq = PgQueuer(AsyncpgDriver(connection), channel=TABLES.channel, queries=queries(connection))
    executor = partial(DatabaseRetryEntrypointExecutor, max_attempts=ATTEMPTS_MAX)
    for name, job in jobs.items():
        pgq.entrypoint(name, on_failure="hold", accepts_context=False, executor_factory=executor)(
            partial(_run_queued, db, job)
        )
        if job.cron:
            pgq.schedule(name, job.cron, accepts_context=False)(partial(_run_scheduled, db, job))
    return pgq


async def _run_queued(db: Database, job: Job, queued: QueuedJob) -> None:
    with bound(job=queued.entrypoint, job_id=queued.id):
        await job.run(db, msgspec.json.decode(queued.payload) if queued.payload else None)


async def _run_scheduled(db: Database, job: Job, schedule: Schedule) -> None:
    with bound(job=schedule.entrypoint):
        await job.run(db, None)
