"""`marketplace worker` as processes that share the buckets of a run: one is killed, the others take its over."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from billing.runs.model import RunState
from marketplace.core import work
from marketplace.core.db import WORKER, Database
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.runs import draft_run, run_billing, run_billing_buckets
from marketplace.flows.runs.run_billing import abort_run, approve_run, finalise_run, reverse_run, run_period
from tests.billing.market import CHECKER, MAKER, MAY, NET_OF_120, check_books, order, payable, payouts, prepare
from tests.ops.test_worker_processes import start_worker, state_of

MERCHANTS = range(1, 41)


async def market(db: Database) -> None:
    orders = [order(merchant, merchant, date(2018, 5, 10)) for merchant in MERCHANTS]
    await db.write(WORKER, MAKER, prepare, orders, list(MERCHANTS))
    await settle_through(db, MAKER, MAY.last_on)


async def test_workers_share_a_run_though_one_is_killed_and_whoever_asks_finishes_it(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_run, "ENTRIES_PER_BUCKET", 1)
    await market(db)
    run_id = (await run_period(db, MAKER, MAY)).run.run_id
    await approve_run(db, CHECKER, run_id)
    workers = [start_worker(db, tmp_path) for _ in range(2)]
    try:
        async with asyncio.timeout(120):
            for worker in workers:
                assert worker.stderr
                await asyncio.to_thread(worker.stderr.readline)
            run = await db.write(WORKER, CHECKER, run_billing._start_finalising, run_id)
            assert run.batch_id is not None
            while not (await state_of(db, run.batch_id)).done:  # noqa: ASYNC110  # they tell nobody but the database
                await asyncio.sleep(0.01)
            workers[0].kill()
            while (await state_of(db, run.batch_id)).todo:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        async with db.read(WORKER) as tx:
            told = await run_billing.read_result(tx, run_id)
        assert told.progress == work.Progress(done=len(MERCHANTS) + 1, parked=0, todo=0)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert (await finalise_run(db, CHECKER, run_id)).run.state is RunState.FINALISED
    assert await payouts(db, run_id) == {(merchant, "EUR"): NET_OF_120 for merchant in MERCHANTS}
    await check_books(db)
    await reverse_run(db, CHECKER, run_id)
    assert [await payable(db, merchant) for merchant in MERCHANTS] == [{"EUR": NET_OF_120}] * len(MERCHANTS)


async def test_a_run_cancelled_in_its_preview_leaves_nothing_and_late_buckets_do_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_run, "ENTRIES_PER_BUCKET", 1)
    await market(db)
    run = await db.write(WORKER, MAKER, draft_run.draft, MAY, None, None)
    assert run.batch_id is not None
    handler = run_billing_buckets.HANDLERS[run_billing_buckets.PREVIEW]
    done = 0

    def three() -> bool:
        nonlocal done
        done += 1
        return done == 3

    await work.drain(db, run.batch_id, MAKER, handler, until=three)
    async with db.read(WORKER) as tx:
        told = await run_billing.read_result(tx, run.run_id)
        assert await tx.scalar("SELECT count(*) FROM billing.statement") > 0
    assert told.progress is not None
    assert (told.progress.done, told.progress.total) == (3, len(MERCHANTS) + 1)
    await abort_run(db, CHECKER, run.run_id)
    await work.drain(db, run.batch_id, MAKER, handler)
    async with db.read(WORKER) as tx:
        for table in ("statement", "run_charge", "billing_window", "payout", "payout_due"):
            assert await tx.scalar(f"SELECT count(*) FROM billing.{table}") == 0, table
        assert await tx.scalar("SELECT count(*) FROM billing.entry WHERE kind LIKE 'payout%'") == 0
    await check_books(db)
    assert (await run_period(db, MAKER, MAY)).run.state is RunState.PREVIEWED
