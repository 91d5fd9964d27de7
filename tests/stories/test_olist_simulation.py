"""A month of real orders replayed by the command: two processes come to one digest, and to what SQL adds up."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.billing.commands import Run, command_line
from tests.conftest import connect, copy_template

DATA = os.environ.get("MARKETPLACE_DATA")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(DATA is None, reason="MARKETPLACE_DATA does not name the folder with olist/"),
]
TERMS: dict[str, Any] = {
    "name": "3 % of every order",
    "currency": "BRL",
    "trigger": {"on": "order.placed"},
    "window": {"over": "event"},
    "reward": {"amount": {"gives": "graduated", "bands": [{"from_minor": 0, "rate_ppm": 30_000}]}},
    "beneficiary": {"to": "merchant"},
    "schedule": {"zone": "America/Sao_Paulo", "starts": "2026-12-01", "ends": "2026-12-31"},
}
WEEKLY = TERMS | {
    "name": "weekly 500",
    "window": {"over": "calendar", "period": "week"},
    "reward": {"amount": {"gives": "once", "threshold": 500_00, "amount_minor": 20_00}},
    "budgets": [{"per": "promotion", "limit_minor": 1_000_00, "currency": "BRL"}],
}
_GRANTED = """
SELECT sum(minor) FROM (
    SELECT trunc(sum(l.goods_minor - l.discount_minor - l.refunded_goods_minor) * 30000 / 1000000) AS minor
    FROM demand.merchant_order o JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
    WHERE o.purchased_on BETWEEN '2018-05-01' AND '2018-05-31' AND o.state = 'delivered'
    GROUP BY o.merchant_id, o.order_id) AS orders
"""
_WEEKS = """
SELECT count(*) FROM (
    SELECT o.merchant_id
    FROM demand.merchant_order o JOIN demand.order_line l ON l.merchant_id = o.merchant_id AND l.order_id = o.order_id
    WHERE o.purchased_on BETWEEN '2018-05-01' AND '2018-05-31' AND o.state = 'delivered'
    GROUP BY o.merchant_id, date_trunc('week', o.purchased_on)
    HAVING sum(l.goods_minor - l.discount_minor - l.refunded_goods_minor) >= 50000) AS weeks
"""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with command_line() as started:
        yield started


@pytest.fixture(scope="module")
def imported(maintenance_url: str, run: Run) -> Iterator[str]:
    url = asyncio.run(copy_template(maintenance_url))
    assert run("import", "olist", f"{DATA}/olist", database=url).status == 0
    yield url
    asyncio.run(_drop(maintenance_url, url))


async def _drop(maintenance_url: str, url: str) -> None:
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} (FORCE)")
    await connection.close()


async def _ask(url: str, query: str) -> int:
    connection = await connect(url)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


def simulated(run: Run, url: str, folder: Path, terms: dict[str, Any], seed: int = 1) -> Any:
    file = folder / "terms.json"
    file.write_text(json.dumps(terms))
    days = ("--from", "2018-05-01", "--to", "2018-05-31", "--seed", str(seed))
    answer = run("promotion", "simulate", str(file), *days, "--json", database=url)
    assert answer.status in {0, 3}, answer
    return answer.value


def test_a_month_replayed_by_two_processes_is_the_same_to_the_last_bit(imported: str, run: Run, tmp_path: Path) -> None:
    one, other = (simulated(run, imported, tmp_path, WEEKLY) for _ in range(2))
    assert one == other
    assert one["digest"] != simulated(run, imported, tmp_path, WEEKLY, seed=2)["digest"]
    limited = one["simulation"]["limited"]
    assert limited["cost_minor"] <= 1_000_00
    assert limited["exhausted_on"] is not None
    assert limited["breaches"] == []


def test_a_month_costs_what_sql_adds_up(imported: str, run: Run, tmp_path: Path) -> None:
    replayed = simulated(run, imported, tmp_path, TERMS)["simulation"]["unlimited"]
    assert replayed["granted_minor"] == asyncio.run(_ask(imported, _GRANTED))
    weekly = simulated(run, imported, tmp_path, WEEKLY)["simulation"]["unlimited"]
    assert weekly["grants"] == asyncio.run(_ask(imported, _WEEKS))
