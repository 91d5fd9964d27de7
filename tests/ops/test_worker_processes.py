"""`marketplace worker` as processes: they share a settlement pass, one may be killed, the others stop when told to."""

import asyncio
import json
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

from marketplace.core import work
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission import settle_orders
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.proofs.verify_books import verify_books
from tests.builders import Line, Order, add_market, add_orders
from tests.ops.commands import environment

MERCHANTS = range(1, 41)
CONTRACT = b"""
[[contract]]
name = "all"
currency = "EUR"
valid_from = 2018-01-01
base = "goods"
rate_ppm = 100000
"""


async def fill(tx: Tx) -> None:
    await add_market(tx, list(MERCHANTS))
    await add_orders(
        tx,
        [
            Order(merchant_id=m, order_id=100 * m + n, lines=(Line(goods_minor=1000 + n),))
            for m in MERCHANTS
            for n in range(5)
        ],
    )


async def plan_one_item_a_merchant(tx: Tx) -> int:
    through = date(2018, 12, 31)
    items = [
        {"since": date(2018, 1, 1), "through": through, "bucket": settle_orders.Bucket([merchant])}
        for merchant in MERCHANTS
    ]
    return await work.plan(tx, settle_orders.KIND, {"through": through}, items)


def start_worker(db: Database, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "marketplace", "worker", "--json"],
        env=environment(home, MARKETPLACE_DATABASE_URL=db.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def state_of(db: Database, batch_id: int) -> work.Progress:
    async with db.read(WORKER) as tx:
        return await work.progress(tx, batch_id)


async def test_workers_share_a_pass_though_one_is_killed(db: Database, tmp_path: Path) -> None:
    await db.write(WORKER, "operator", fill)
    await apply_file(db, "operator", CONTRACT)
    workers = [start_worker(db, tmp_path) for _ in range(3)]
    try:
        async with asyncio.timeout(60):
            # One that is told to stop while Python still starts has nothing to finish: wait until all are at work.
            started = [await asyncio.to_thread(worker.stderr.readline) for worker in workers if worker.stderr]
            batch_id = await db.write(WORKER, "operator", plan_one_item_a_merchant)
            while not (await state_of(db, batch_id)).done:  # noqa: ASYNC110  # the workers tell nobody but the database
                await asyncio.sleep(0.01)
            workers[0].kill()
            while (await state_of(db, batch_id)).todo:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        for worker in workers[1:]:
            worker.send_signal(signal.SIGTERM)
        said = [await asyncio.to_thread(worker.communicate, timeout=30) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert workers[0].returncode == -signal.SIGKILL
    for worker, (out, err) in zip(workers[1:], said[1:], strict=True):
        assert (worker.returncode, json.loads(out)) == (0, {"stopped": True}), err
        assert json.loads(err.splitlines()[-1])["event"] == "worker stopped"
    assert {json.loads(line)["event"] for line in started} == {"worker started"}
    assert (await state_of(db, batch_id)).done == len(MERCHANTS)
    async with db.read(WORKER) as tx:
        settled = await tx.scalar("SELECT count(*) FROM billing.entry WHERE kind = 'order_settled'")
        posted_by = {
            row.posted_by for row in await tx.rows("SELECT posted_by FROM billing.entry WHERE kind = 'order_settled'")
        }
    assert settled == 5 * len(MERCHANTS)
    assert posted_by == {"operator"}
    assert (await verify_books(db)).ok
