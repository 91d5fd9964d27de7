"""`marketplace serve --processes`: several processes share one address; one that is killed is replaced."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from marketplace.core.db import Database
from tests.conftest import NOW


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.05)


def ready(base: str) -> bool:
    try:
        return httpx.get(f"{base}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def serving(said: Path) -> str:
    wait_for(lambda: "Serving http" in said.read_text())
    return said.read_text().partition("Serving ")[2].split()[0]


def children_of(server: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [child for child in psutil.Process(server.pid).children() if "--fd" in child.cmdline()]


def test_the_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    said = tmp_path / "said"
    command = [sys.executable, "-m", "marketplace", "serve", "--port", "0", "--processes", "2"]
    with said.open("w") as err:
        server = subprocess.Popen(command, env={**os.environ, "MARKETPLACE_HOME": str(tmp_path / "home")}, stderr=err)
    base = serving(said)
    wait_for(lambda: ready(base))
    workers = children_of(server)
    assert len(workers) == 2
    server.kill()
    server.wait()
    wait_for(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers))
    assert not ready(base)


def test_a_killed_process_is_replaced_and_all_end_together(tmp_path: Path) -> None:
    said = tmp_path / "said"
    command = [sys.executable, "-m", "marketplace", "serve", "--port", "0", "--processes", "2"]
    with said.open("w") as err:
        server = subprocess.Popen(command, env={**os.environ, "MARKETPLACE_HOME": str(tmp_path / "home")}, stderr=err)
    try:
        base = serving(said)
        wait_for(lambda: ready(base))
        workers = children_of(server)
        assert len(workers) == 2
        workers[0].send_signal(signal.SIGKILL)
        wait_for(lambda: "starting another" in said.read_text())
        wait_for(lambda: len(children_of(server)) == 2)
        assert ready(base)
        server.terminate()
        assert server.wait(30) == 0
        wait_for(lambda: not any(child.is_running() for child in workers))
    finally:
        server.kill()
        server.wait()


async def test_two_processes_let_through_what_one_limit_allows(db: Database, tmp_path: Path) -> None:
    """However many connections a stranger opens, and whichever process answers them; its clock stands still."""
    answers = await asyncio.to_thread(ask_two_processes, db.url, tmp_path, limit=100, times=300)
    assert set(answers) == {401, 429}
    assert 75 <= answers[401] <= 100, answers


def ask_two_processes(url: str, tmp_path: Path, *, limit: int, times: int) -> Counter[int]:
    """How a stranger's requests are answered, of which each names another address."""
    said = tmp_path / "said"
    command = [sys.executable, "-m", "marketplace", "serve", "--port", "0", "--processes", "2"]
    settings = {
        "MARKETPLACE_HOME": str(tmp_path / "home"),
        "MARKETPLACE_DATABASE_URL": url,
        "MARKETPLACE_CLOCK_AT": NOW.isoformat(),
        "MARKETPLACE_RATE_LIMIT_ANONYMOUS": str(limit),
    }
    with said.open("w") as err:
        server = subprocess.Popen(command, env={**os.environ, **settings}, stderr=err)
    try:
        wait_for(lambda: "Serving http" in said.read_text())
        base = said.read_text().partition("Serving ")[2].split()[0]
        wait_for(lambda: ready(base))

        def ask(number: int) -> int:
            forged = {"X-Forwarded-For": f"10.0.0.{number % 256}", "Forwarded": f"for=10.0.0.{number % 256}"}
            return httpx.get(f"{base}/api/v1/me", headers=forged, timeout=30).status_code

        with ThreadPoolExecutor(8) as pool:
            answers = Counter(pool.map(ask, range(times)))
        server.terminate()
        assert server.wait(30) == 0
        return answers
    finally:
        server.kill()
        server.wait()
