"""The program's own server as a measurement meets it, and what its processes and the database's have computed."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from marketplace.core import sessions, users
from marketplace.core.db import Database, Tx


async def storefront_key(tx: Tx) -> str:
    """An API key of a shop."""
    user = await users.create_user(tx, "shop", "Shop", ["storefront"])
    return (await sessions.create_api_key(tx, user.user_id, "bench")).key


@contextmanager
def served(db: Database, processes: int) -> Iterator[tuple[str, int]]:
    """The program's own server on a free port: its address, and its process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {**os.environ, "MARKETPLACE_DATABASE_URL": db.url}
    command = [sys.executable, "-m", "marketplace", "serve", "--port", str(port)]
    if processes > 1:
        command += ["--processes", str(processes)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            base = f"http://127.0.0.1:{port}"
            for _ in range(200):
                try:
                    httpx.get(f"{base}/health/ready").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            else:
                raise SystemExit("the server did not start")
            yield base, server.pid
        finally:
            server.terminate()
            server.wait()


def postmaster_of(data_directory: str) -> int:
    """The process that all others of a database server descend from."""
    return int((Path(data_directory) / "postmaster.pid").read_text().splitlines()[0])


def cpu_s(pid: int) -> float:
    """Seconds that a process and all that descend from it have computed so far, the ended ones included (Linux).

    A child that ends meanwhile is counted in what its parent says of ended ones.
    """
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    computed = 0.0
    for child in children:
        with suppress(FileNotFoundError, ProcessLookupError):
            computed += cpu_s(child)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return computed + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
