"""The simulator, the worker and our web server as they run for real: processes and sockets of their own."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from marketplace.core.db import Database
from marketplace.processors.client import HttpProcessor
from tests.conftest import NOW
from tests.http.conftest import running
from tests.ops.commands import environment

SECRET = "whsec_c2ltdWxhdG9yLXNlY3JldC1vZi10aGUtdGVzdHM="
NAME = "card"
"""The processor of tests/builders.py."""

_LISTENS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Simulator:
    """A simulator that runs, and its levers."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        headers = {"Authorization": f"Bearer {SECRET}"}
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=10)

    def control(self, path: str, **body: Any) -> Any:
        answer = self.http.post(f"/control/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def deliver(self, *numbers: int) -> list[int]:
        """Have events sent to us now; how they were answered. Our server answers in this loop, so it must go on."""
        statuses: list[int] = await asyncio.to_thread(self.control, "deliver", events=numbers)
        return statuses

    def events(self, payment_id: int) -> list[dict[str, Any]]:
        """The events of a payment and of what was given back of it, the oldest first."""
        found = self.http.get("/control/events").json()
        return [event for event in found if event["body"]["data"]["reference"].endswith(f"-{payment_id}")]

    def told(self, payment_id: int) -> list[str]:
        """The types of these events."""
        return [event["body"]["type"] for event in self.events(payment_id)]

    @asynccontextmanager
    async def processor(self) -> AsyncIterator[HttpProcessor]:
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with httpx.AsyncClient(base_url=self.http.base_url, headers=headers) as client:
            yield HttpProcessor(client)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def simulator(state: Path, port: int = 0, **env: str) -> Iterator[Simulator]:
    """`marketplace simulator` on a port of its own, with its clock at the tests' instant."""
    command = [sys.executable, "-m", "marketplace", "simulator", "--port", str(port), "--state", str(state)]
    settings = {"MARKETPLACE_PROCESSOR_SECRET": SECRET, "MARKETPLACE_CLOCK_AT": NOW.isoformat()}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment(state.parent, **settings | env)
    ) as process:
        try:
            assert process.stderr
            told = process.stderr.readline()
            found = _LISTENS.search(told)
            assert found, told + process.stderr.read()
            one = Simulator(process, int(found[1]))
            yield one
            one.http.close()
        finally:
            process.kill()


@asynccontextmanager
async def serving(db: Database, home: Path) -> AsyncIterator[str]:
    """Our web server on a port of its own; yields the address that events go to."""
    async with running(db, home, processor=NAME, processor_secret=SECRET) as app:
        config = uvicorn.Config(app, port=0, lifespan="off", access_log=False, log_config=None)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # pytest keeps its own
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  # uvicorn offers nothing else to wait for
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/api/v1/payment-events/{NAME}"
        finally:
            server.should_exit = True
            await task


@contextmanager
def working(db: Database, one: Simulator, home: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """`marketplace worker`, in a process of its own that ends with the block."""
    settings = {
        "MARKETPLACE_DATABASE_URL": db.url, "MARKETPLACE_PROCESSOR": NAME, "MARKETPLACE_PROCESSOR_SECRET": SECRET,
        "MARKETPLACE_PROCESSOR_URL": str(one.http.base_url), "MARKETPLACE_CLOCK_AT": NOW.isoformat(),
    }  # fmt: skip
    command = [sys.executable, "-m", "marketplace", "worker"]
    with (
        (home / "worker.log").open("ab") as log,
        subprocess.Popen(command, env=environment(home, **settings | env), stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


async def killed(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process, left to itself, was killed by SIGKILL."""
    return await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until the awaited condition is true: what it waits for happens in other processes."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
