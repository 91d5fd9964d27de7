"""What machines ask: alive, ready, figures."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.settings import load_settings
from tests.conftest import NOW
from tests.http.conftest import make_client, running
from tests.http.market import add_small_market, close_month

Make = Callable[..., Awaitable[httpx.AsyncClient]]


async def test_ready_means_that_the_database_has_this_schema(client: httpx.AsyncClient, app: Litestar) -> None:
    assert (await client.get("/health/live")).json()["status"] == "live"
    answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"


async def test_another_schema_is_not_ready(client: httpx.AsyncClient, db: Database) -> None:
    async with db.engine.connect() as connection:
        await connection.exec_driver_sql("UPDATE public.schema_version SET version_num = '9999'")
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert "9999" in answer.json()["detail"]
    assert (await client.get("/health/live")).status_code == 200


async def test_without_a_database_there_is_a_503_and_no_fault(tmp_path: Path, maintenance_url: str) -> None:
    gone = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", FixedClock(NOW), pool_size=1)
    async with running(gone, tmp_path) as app, make_client(app) as client:
        ready = await client.get("/health/ready")
        asked = await client.get("/api/v1/me", headers={"Authorization": "Bearer mk_a_b"})
    await gone.close()
    assert (ready.status_code, ready.json()["type"]) == (503, "/problems/not-ready")
    assert (asked.status_code, asked.json()["type"]) == (503, "/problems/unavailable")
    assert asked.headers["retry-after"]


def figures(text: str) -> dict[str, float]:
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")
    }


async def test_the_figures_tell_requests_by_route_and_the_ledgers_state(caller: Make, db: Database) -> None:
    await add_small_market(db)
    staff = await caller("fay", "controller")
    await close_month(staff)
    await staff.get("/api/v1/billing-runs/1")
    await staff.get("/api/v1/billing-runs/999")
    answer = await staff.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    shown = figures(answer.text)
    route = "/api/v1/billing-runs/{run_id}"
    assert shown[f'marketplace_http_requests_total{{method="GET",route="{route}",status="200"}}'] == 1
    assert shown[f'marketplace_http_requests_total{{method="GET",route="{route}",status="404"}}'] == 1
    assert shown[f'marketplace_http_request_duration_seconds_count{{method="GET",route="{route}"}}'] == 2
    assert shown['marketplace_ledger_imbalance_minor{currency="EUR"}'] == 0
    assert shown['marketplace_ledger_entries_unrolled{entity="1"}'] == 0
    assert not any(name.startswith("marketplace_work_items_open") for name in shown)


async def test_the_figures_tell_of_trouble(caller: Make, db: Database) -> None:
    await add_small_market(db)
    staff = await caller("fay", "controller")
    await close_month(staff)

    async def spoil(tx: Tx) -> None:
        await tx.execute("UPDATE billing.book_day SET debit_minor = debit_minor + 7 WHERE account = 2000")
        await tx.execute("UPDATE core.work_item SET state = 'parked'")

    await db.write(WORKER, "test", spoil)
    shown = figures((await staff.get("/metrics")).text)
    assert shown['marketplace_ledger_imbalance_minor{currency="EUR"}'] > 0
    assert shown['marketplace_work_items_open{state="parked"}'] > 0


def test_a_pool_too_small_for_a_long_request_is_refused_by_name() -> None:
    assert load_settings({"MARKETPLACE_POOL_SIZE": "2"}).pool_size == 2
    with pytest.raises(Invalid, match=r"^MARKETPLACE_POOL_SIZE: must be at least 2"):
        load_settings({"MARKETPLACE_POOL_SIZE": "1"})
