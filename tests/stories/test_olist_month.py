"""The main job on real orders: import, contracts, settle, two months billed, and every figure equal to the oracle's."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from beancount import loader
from beancount.core.data import Transaction
from sqlalchemy import make_url

from tests.billing.commands import Answer, Run, command_line
from tests.conftest import connect, copy_template
from tests.oracle.olist_oracle import main as oracle

CONTRACTS = Path(__file__).parents[1] / "oracle" / "contracts"
DATA = os.environ.get("MARKETPLACE_DATA")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(DATA is None, reason="MARKETPLACE_DATA does not name the folder with olist/"),
]
MONTHS = ("2018-05", "2018-06")
THROUGH = "2018-06-30"
PARKED = 19_162
"""Merchants' shares of orders that gaps.toml leaves uncovered (test_oracle_real.py counts them by hand)."""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with command_line() as started:
        yield started


@pytest.fixture(scope="module")
def imported(maintenance_url: str, run: Run) -> Iterator[str]:
    """The Olist orders, imported once."""
    url = asyncio.run(copy_template(maintenance_url))
    answer = run("import", "olist", f"{DATA}/olist", database=url)
    assert answer.status == 0, answer
    assert (answer.value["orders"], answer.value["gmv_minor"], answer.value["rejected"]) == (33_213, 454_971_933, 0)
    yield url
    asyncio.run(_drop(maintenance_url, url))


@pytest.fixture
def market(maintenance_url: str, imported: str) -> Iterator[str]:
    url = asyncio.run(_copy(maintenance_url, imported))
    yield url
    asyncio.run(_drop(maintenance_url, url))


async def _copy(maintenance_url: str, url: str) -> str:
    parsed = make_url(url)
    name = f"{parsed.database}_copy"
    connection = await connect(maintenance_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {parsed.database} STRATEGY file_copy")
    await connection.close()
    return parsed.set(database=name).render_as_string(hide_password=False)


async def _drop(maintenance_url: str, url: str) -> None:
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    await connection.close()


@pytest.mark.parametrize("contracts", ["tiers", "precedence", "gaps"])
def test_two_months_to_the_centavo(run: Run, market: str, tmp_path: Path, contracts: str) -> None:
    def done(*arguments: str, status: int = 0) -> Answer:
        answer = run(*arguments, database=market)
        assert answer.status == status, answer
        return answer

    file = str(CONTRACTS / f"{contracts}.toml")
    applied = done("apply", file).value
    assert applied["unknown_merchants"]  # each file names a merchant that is not in the data
    assert done("apply", file).value == applied | {"added": 0, "unchanged": applied["added"]}
    settled = done("settle", "--through", THROUGH, status=3 if contracts == "gaps" else 0).value
    assert settled["parked"] == len(settled["parked_orders"]) == (PARKED if contracts == "gaps" else 0)

    for month in MONTHS:
        billed = done("billing", "run", "--period", month, "--finalise").value
        assert billed["run"]["state"] == "finalised"
        assert [total["closing_minor"] for total in billed["totals"]] == [billed["totals"][0]["payouts_minor"]]
        oracle([f"{DATA}/olist", file, "--through", THROUGH, "--period", month, "--out", str(tmp_path / month)])
        done("export", "orders", "--period", month, "--output", str(tmp_path / "orders.csv"))
        assert (tmp_path / "orders.csv").read_bytes() == (tmp_path / month / "orders.csv").read_bytes()
    # The oracle knows of no payouts, so only its first month opens as ours does.
    done("export", "statements", "--period", MONTHS[0], "--output", str(tmp_path / "statements.csv"))
    assert (tmp_path / "statements.csv").read_bytes() == (tmp_path / MONTHS[0] / "statements.csv").read_bytes()
    first, second = done("billing", "list").value["runs"][::-1]
    assert (first["from_on"][:7], second["from_on"][:7]) == MONTHS

    verified = done("verify").value
    assert [proof["name"] for proof in verified["proofs"] if not proof["ok"]] == []
    assert verified["open_items"]["parked_orders"] == settled["parked"]
    if contracts != "tiers":  # once is enough of Beancount, which reads a minute's worth of transactions
        return
    journal = tmp_path / "journal.beancount"
    exported = done("export", "journal", "--format", "beancount", "--output", str(journal)).value["rows"]
    entries, errors, _ = loader.load_file(str(journal))
    assert errors == []
    assert sum(isinstance(one, Transaction) for one in entries) == exported == verified["entries"]
