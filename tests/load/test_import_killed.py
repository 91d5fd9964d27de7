"""`marketplace import olist` killed with SIGKILL at every crash point and run again: as if it had never been killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, make_url

from marketplace.core.clock import FixedClock
from marketplace.core.crash import CRASH_POINTS
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.tables import app_user
from tests.conftest import NOW, connect, copy_template
from tests.load.folders import contents, small_market, write

POINTS = sorted(point for point in CRASH_POINTS if point.startswith("import."))


def run(url: str, folder: Path, *options: str, crash_at: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "MARKETPLACE_DATABASE_URL": url,
        "MARKETPLACE_CLOCK_AT": NOW.isoformat(),
        "MARKETPLACE_CRASH_AT": crash_at,
    }
    command = [sys.executable, "-m", "marketplace", "import", "olist", str(folder), "--as", "operator", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


async def held(url: str) -> dict[str, list[str]]:
    db = Database(url, FixedClock(NOW), pool_size=1)
    try:
        return await contents(db)
    finally:
        await db.close()


async def drop(maintenance_url: str, url: str) -> None:
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    await connection.close()


async def test_there_are_the_named_points() -> None:
    stages = ("staged", "parties", "orders", "entries", "before-commit", "committed")
    assert sorted(f"import.{stage}" for stage in stages) == POINTS


async def test_killed_anywhere_and_run_again_it_is_as_if_undisturbed(maintenance_url: str, tmp_path: Path) -> None:
    folder = write(small_market(), tmp_path)
    undisturbed, killed = await copy_template(maintenance_url), await copy_template(maintenance_url)
    fresh = await held(killed)
    done = run(undisturbed, folder, "--json")
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout)["orders"] == 6
    expected = await held(undisturbed)
    before_commit = [point for point in POINTS if point != "import.committed"]
    for point in before_commit:  # nothing of a killed import is there, so one database serves them all
        assert run(killed, folder, crash_at=point).returncode == -signal.SIGKILL, point
        assert await held(killed) == fresh, point
    assert run(killed, folder, crash_at="import.committed").returncode == -signal.SIGKILL
    assert await held(killed) == expected
    again = run(killed, folder, "--json")
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert await held(killed) == expected
    await drop(maintenance_url, undisturbed)
    await drop(maintenance_url, killed)


@pytest.mark.parametrize("option", ["--json", None])
async def test_a_refusal_says_where_and_why(maintenance_url: str, tmp_path: Path, option: str | None) -> None:
    files = small_market()
    files["olist_order_items_dataset.csv"][3][5] = "-5.00"
    url = await copy_template(maintenance_url)
    done = run(url, write(files, tmp_path), *([option] if option else []))
    assert done.returncode == 1
    if option:
        answer = msgspec.json.decode(done.stdout)
        assert answer["rejected"] == 1
        assert answer["rejections"] == [
            {"file": "olist_order_items_dataset.csv", "line": 4, "reason": "price: '-5.00' is negative"}
        ]
    else:
        assert done.stdout == ""
        assert "olist_order_items_dataset.csv:4: price: '-5.00' is negative" in done.stderr
    await drop(maintenance_url, url)


async def test_only_finance_imports(maintenance_url: str, tmp_path: Path) -> None:
    """An import books entries: an accountant may, a growth manager may not."""
    url = await copy_template(maintenance_url)
    db = Database(url, FixedClock(NOW), pool_size=1)

    async def hire(tx: Tx) -> None:
        for number, role in enumerate(("accountant", "growth"), start=1):
            person = {"user_id": number, "login": role, "name": role, "roles": [role], "created_at": tx.now}
            await tx.execute(insert(app_user), person)

    await db.write(WORKER, "operator", hire)
    await db.close()
    folder = write(small_market(), tmp_path)
    refused = run(url, folder, "--as", "growth")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "needs one of accountant, controller" in " ".join(refused.stderr.split())
    assert run(url, folder, "--as", "accountant").returncode == 0
    await drop(maintenance_url, url)
