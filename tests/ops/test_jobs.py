"""Jobs, the outbox, retention and the worker that runs them."""

import asyncio
import itertools
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, select, text

from marketplace import worker
from marketplace.core import jobs, outbox, retention, work
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.jobs import Job
from marketplace.core.outbox import Event
from marketplace.core.tables import idempotency_key, session, work_item
from marketplace.core.tables import outbox as outbox_table
from marketplace.worker import run_worker


async def test_the_migration_made_what_pgqueuer_would_make(db: Database) -> None:
    connection = await asyncpg.connect(db.url.replace("+asyncpg", "", 1))
    try:
        plan = await jobs.queries(connection).plan_upgrade()
    finally:
        await connection.close()
    assert list(plan.statements) == []


async def until(condition: Any, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # what is waited for happens in the database
            await asyncio.sleep(0.05)


async def test_a_job_runs_once_it_is_committed_and_not_before(db: Database) -> None:
    ran: list[Any] = []

    async def note(_: Database, payload: Any) -> None:
        ran.append(payload)

    async def ask(tx: Tx, payload: Any, *, fail: bool) -> None:
        await jobs.enqueue(tx, "note", payload, once_key=f"note-{payload}")
        await jobs.enqueue(tx, "note", payload, once_key=f"note-{payload}")
        if fail:
            raise LookupError

    stop = asyncio.Event()
    running = asyncio.create_task(run_worker(db, stop, jobs_by_name={"note": Job(note)}, batches={}))
    with pytest.raises(LookupError):
        await db.write(WORKER, "t", ask, {"n": 1}, fail=True)
    await db.write(WORKER, "t", ask, {"n": 2}, fail=False)

    async def seen() -> bool:
        return bool(ran)

    await until(seen)
    stop.set()
    await running
    assert ran == [{"n": 2}]


async def test_a_failing_job_is_tried_again(db: Database) -> None:
    attempts: list[int] = []

    async def flaky(_: Database, payload: Any) -> None:
        attempts.append(payload)
        if len(attempts) == 1:
            raise OSError("the outside world is away")

    stop = asyncio.Event()
    running = asyncio.create_task(run_worker(db, stop, jobs_by_name={"flaky": Job(flaky)}, batches={}))
    await db.write(WORKER, "t", jobs.enqueue, "flaky", 7)

    async def twice() -> bool:
        return len(attempts) == 2

    await until(twice)
    stop.set()
    await running
    assert attempts == [7, 7]


async def test_the_clock_runs_a_job_once_among_several_workers(db: Database) -> None:
    ran: list[float] = []

    async def tick(_: Database, payload: Any) -> None:
        assert payload is None
        ran.append(asyncio.get_running_loop().time())

    stop = asyncio.Event()
    table = {"tick": Job(tick, cron="* * * * * */2")}
    workers = [asyncio.create_task(run_worker(db, stop, jobs_by_name=table, batches={})) for _ in range(3)]
    await asyncio.sleep(6.5)
    stop.set()
    await asyncio.gather(*workers)
    assert 2 <= len(ran) <= 4
    assert all(later - earlier > 0.9 for earlier, later in itertools.pairwise(ran))


async def test_workers_share_a_batch_and_do_every_item_once(db: Database) -> None:
    done: list[int] = []

    async def handle(tx: Tx, payload: Any) -> int:
        await tx.execute(text("SELECT pg_sleep(0.01)"))
        done.append(payload)
        assert tx.actor == "planner"
        return int(payload) * 2

    batch_id = await db.write(WORKER, "planner", work.plan, "double", {}, list(range(60)))
    stop = asyncio.Event()
    workers = [asyncio.create_task(run_worker(db, stop, jobs_by_name={}, batches={"double": handle})) for _ in range(3)]

    async def through() -> bool:
        async with db.read(WORKER) as tx:
            return (await work.progress(tx, batch_id)).todo == 0

    await until(through)
    stop.set()
    await asyncio.gather(*workers)
    assert sorted(done) == list(range(60))
    async with db.read(WORKER) as tx:
        results = await tx.rows(select(work_item.c.payload, work_item.c.result).where(work_item.c.batch_id == batch_id))
    assert all(row.result == row.payload * 2 for row in results)


async def test_stopping_finishes_the_item_in_hand_and_leaves_the_rest(db: Database) -> None:
    stop = asyncio.Event()

    async def handle(tx: Tx, payload: Any) -> None:
        stop.set()
        await tx.execute(text("SELECT pg_sleep(0.3)"))

    batch_id = await db.write(WORKER, "planner", work.plan, "slow", {}, [1, 2, 3])
    await run_worker(db, stop, jobs_by_name={}, batches={"slow": handle})
    async with db.read(WORKER) as tx:
        left = await work.progress(tx, batch_id)
    assert (left.done, left.todo) == (1, 2)


async def test_dispatching_delivers_known_topics_in_order_and_keeps_the_others(db: Database) -> None:
    delivered: list[Event] = []

    async def deliver(tx: Tx, events: Sequence[Event]) -> None:
        delivered.extend(events)

    async def emit_some(tx: Tx) -> None:
        for number in range(5):
            await outbox.emit(tx, "known.v1", {"number": number}, merchant_id=number)
        await outbox.emit(tx, "stranger.v1", {})

    await db.write(WORKER, "t", emit_some)
    counts = [await db.write(WORKER, "t", outbox.dispatch, {"known.v1": deliver}, 3) for _ in range(3)]
    assert counts == [3, 2, 0]
    assert {event.merchant_id for event in delivered} == set(range(5))
    assert [event.event_id for event in delivered] == sorted(event.event_id for event in delivered)
    async with db.read(WORKER) as tx:
        waiting = await tx.rows(select(outbox_table.c.topic).where(outbox_table.c.dispatched_at.is_(None)))
    assert [row.topic for row in waiting] == ["stranger.v1"]


async def test_clean_up_removes_only_what_has_outlived_its_time(db: Database, clock: FixedClock) -> None:
    async def store(tx: Tx) -> None:
        user_id = await tx.scalar("SELECT user_id FROM core.app_user")
        stamps = {"created_at": tx.now, "last_seen_at": tx.now, "address": "", "user_agent": ""}
        for token, lasts in ((b"old", timedelta(hours=1)), (b"new", timedelta(days=30))):
            values = {"token_hash": token, "user_id": user_id, "expires_at": tx.now + lasts, **stamps}
            await tx.execute(insert(session), values)
        key = {"actor": "a", "key": "k", "fingerprint": b"f", "created_at": tx.now}
        await tx.execute(insert(idempotency_key), key)

    await db.write(WORKER, "t", store)
    clock.move_to(clock.now() + timedelta(days=6))
    assert (await db.write(WORKER, "t", retention.clean_up))["sessions"] == 1
    clock.move_to(clock.now() + timedelta(days=2))
    removed = await db.write(WORKER, "t", retention.clean_up)
    assert (removed["sessions"], removed["idempotency_keys"]) == (0, 1)
    async with db.read(WORKER) as tx:
        assert await tx.scalar(select(session.c.token_hash)) == b"new"


def test_every_topic_that_is_emitted_has_a_delivery() -> None:
    root = Path(worker.__file__).parents[1]
    emitted = {
        topic
        for package in ("marketplace", "supply", "demand", "incentives", "billing")
        for file in (root / package).rglob("*.py")
        if file.name != "topics.py"
        for topic in re.findall(
            r"""["']((?:supply|demand|incentives|billing|metrics|core)\.[a-z_]+\.v[0-9]+)["']""", file.read_text()
        )
    }
    assert emitted == set(worker.DELIVERIES)
