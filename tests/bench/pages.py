"""How long the server takes for each page, with years of orders of many merchants behind it."""

import gc
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from billing.runs.model import period_named
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.demo.run_demo import PASSWORD
from marketplace.flows.proofs.check_again import check_all
from marketplace.flows.runs import run_billing
from marketplace.flows.steering.roll_metrics import roll_metrics
from tests.bench.scratch import ACTOR, Stopwatch, as_owner, ask_owner, at_most, main, note, scratch_database
from tests.bench.steering import fill_years
from tests.http.serving import make_client, running
from tests.pages.conftest import MARKET_NOW, add_people
from tests.pages.everything import addresses, fill

BAR_MS = 100.0
_TIMES = 40
_MONTHS = ("2018-07", "2018-08")
_CONTRACT = b"""
[[contract]]
name = "standard"
currency = "EUR"
valid_from = 2016-01-01
rate_ppm = 120000
vat_ppm = 200000
"""


async def measure(orders: int, merchants: int, leads: int) -> dict[str, Any]:
    """Two years of orders, their last months settled, billed and paid out; then every page that links lead to."""
    async with scratch_database() as owner:
        watch = Stopwatch()
        db = Database(owner.url, FixedClock(MARKET_NOW), pool_size=8)
        await _market(db, orders, merchants, leads)
        note(f"the market is there after {watch.seconds} s")
        with tempfile.TemporaryDirectory() as home:
            async with running(db, Path(home)) as app, _people(app) as people:
                more = await fill(db, people["ops"], people["admin"], people["finance"])
                await as_owner(db, "ANALYZE")
                gc.freeze()  # as `serve` does
                taken: dict[str, dict[str, float]] = {}
                for login in ("merchant", "admin"):
                    for name, path in (await addresses(people[login], more if login == "admin" else [])).items():
                        if name not in taken:
                            taken[name] = await _timed(db, people[login], path)
                            note(f"{taken[name]} {path}")
        await db.close()
    slow = sorted(taken, key=lambda name: -taken[name]["p95"])
    return {
        "orders": orders,
        "merchants": merchants,
        "pages": {name: taken[name] for name in slow},
        "bars": {name: at_most(taken[name]["p95"], BAR_MS) for name in slow},
    }


async def _market(db: Database, orders: int, merchants: int, leads: int) -> None:
    await fill_years(db, orders, merchants, leads)
    await db.write(WORKER, ACTOR, _ready)
    await apply_file(db, ACTOR, _CONTRACT)
    await as_owner(db, *_DUE)
    await db.analyze("demand.order_due")
    await settle_through(db, ACTOR, MARKET_NOW.date())
    note("settled")
    await roll_metrics(db, ACTOR)
    for month in _MONTHS:
        run = (await run_billing.run_period(db, ACTOR, period_named(month))).run
        await run_billing.approve_run(db, ACTOR, run.run_id)
        await run_billing.finalise_run(db, ACTOR, run.run_id)
    await check_all(db, ACTOR)


async def _ready(tx: Tx) -> None:
    for name in ("single_operator", "demonstration"):
        await policies.switch(tx, name, on=True)
    await add_people(tx)


@asynccontextmanager
async def _people(app: Any) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Browsers of people who have signed in."""
    async with AsyncExitStack() as stack:
        people = {}
        for login in ("merchant", "ops", "finance", "admin"):
            people[login] = await stack.enter_async_context(make_client(app))
            entered = {"login": login, "password": PASSWORD, "next": "/"}
            assert (await people[login].post("/sign-in", data=entered)).status_code == 303
        yield people


async def _timed(db: Database, browser: httpx.AsyncClient, path: str) -> dict[str, float]:
    """The median and the 95th percentile of a page's milliseconds, after two that warm the caches; and what application
    and database compute for one, whoever else uses the machine.
    """
    for _ in range(2):
        answer = await browser.get(path)
        assert answer.status_code < 400, (path, answer.text[:300])
    taken, computed = [], await _computed_ms(db)
    for _ in range(_TIMES):
        begun = time.perf_counter()
        await browser.get(path)
        taken.append(1000 * (time.perf_counter() - begun))
    computed = await _computed_ms(db) - computed
    return {
        "p50": round(statistics.median(taken), 1),
        "p95": round(statistics.quantiles(taken, n=20)[-1], 1),
        "processor": round(computed / _TIMES, 1),
    }


async def _computed_ms(db: Database) -> float:
    """Processor time that this process, and those which serve it in the database, have taken so far."""
    pids = await ask_owner(db, "SELECT array_agg(pid) FROM pg_stat_activity WHERE datname = current_database()")
    times = [psutil.Process(pid).cpu_times() for pid in (os.getpid(), *pids)]
    return 1000 * sum(float(each.user + each.system) for each in times)


# What of the last two months the journal has settled has its commission, and what it has not waits for it, so that
# contracts, statements and payouts of these months are as in a market that is alive.
_DUE = (
    """
INSERT INTO billing.commission_line (merchant_id, entry_no, contract_id, order_id, kind, occurred_at, occurred_on,
    effective_on, currency, goods_minor, freight_minor, discount_minor, base_minor, commission_minor, vat_minor)
SELECT e.merchant_id, e.entry_no, c.contract_id, e.source_id, 'sale', e.occurred_at, e.effective_on, e.effective_on,
       e.currency, e.amounts[1], 0, 0, e.amounts[1], -e.amounts[2], 0
FROM billing.entry e, billing.contract c WHERE e.kind = 'order_settled' AND e.effective_on >= '2018-07-01'
""",
    """
UPDATE demand.order_line l SET contract_id = c.contract_id
FROM demand.merchant_order o, billing.contract c
WHERE o.merchant_id = l.merchant_id AND o.order_id = l.order_id AND o.purchased_on >= '2018-07-01'
""",
    """
INSERT INTO demand.order_due (merchant_id, order_id, contract_id, settles_at, settles_on, goods_minor, freight_minor,
    discount_minor, order_ref)
SELECT o.merchant_id, o.order_id, c.contract_id, o.delivered_at, o.delivered_on, o.goods_minor, o.freight_minor, 0,
       o.order_ref
FROM demand.merchant_order o, billing.contract c
WHERE o.purchased_on >= '2018-07-01' AND o.order_id % 5 >= 2 AND o.delivered_on IS NOT NULL
ORDER BY o.order_id
""",
)


if __name__ == "__main__":
    main(measure, orders=1_000_000, merchants=10_000, leads=100_000)
