"""The demonstration as README promises it: one command, and then an order over the API with nothing but curl."""

import asyncio
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ops.commands import environment, marketplace

README = (Path(__file__).parents[2] / "README.md").read_text()
READY_S = 240
SESSION_S = 120
STOPPED_S = 60

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def session() -> str:
    """The shell session of README, without the line that the reader fills in."""
    [block] = re.findall(r"```sh\n(SHOP=.*?)```", README, re.DOTALL)
    first, _, rest = block.partition("\n")
    assert first == "SHOP=mk_… MERCHANT=mk_… API=http://127.0.0.1:8000/api/v1"
    return str(rest)


@asynccontextmanager
async def demonstration(home: Path) -> AsyncIterator[tuple[Process, str]]:
    """`marketplace demo` on a port of its own; yields what it has said when it is ready."""
    command = (sys.executable, "-m", "marketplace", "demo", "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env=environment(home) | {"COLUMNS": "200"})
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(READY_S):
            while "in a browser" not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line.decode()
        yield process, said
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), STOPPED_S)  # and all that had its output


async def run(script: str, **env: str) -> tuple[int, str]:
    """The script in a shell; its exit status and what it said."""
    shell = await asyncio.create_subprocess_exec(
        "bash", "-e", "-c", script, stdout=PIPE, stderr=asyncio.subprocess.STDOUT, env=os.environ | env
    )
    said, _ = await asyncio.wait_for(shell.communicate(), SESSION_S)
    return shell.returncode or 0, said.decode()


async def test_the_session_of_the_readme_works(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with demonstration(home) as (_, said):
        keys = dict(re.findall(r"API key of (\w+): (mk_\S+)", said))
        address = re.findall(r"Open (http://\S+)", said)[0]
        status, told = await run(session(), SHOP=keys["shop"], MERCHANT=keys["merchant"], API=f"{address}/api/v1")
        assert status == 0, told
    moves = re.findall(r'"move":"(\w+)"', told)
    assert moves == ["accept", "deliver"], told
    assert told.count('"state":"paid"') == 2, told  # the order's, and the refund's
    # It was stopped in order: nothing is left running, and what was done has held.
    verified = marketplace("verify", home=home)
    assert verified.status == 0, verified
    again = marketplace("demo", "--no-serve", home=home)
    assert (again.status, again.value["live_orders"], again.value["verified"]) == (0, 13, True)
    assert again.value["api_keys"] == [{"login": "shop", "key": None}, {"login": "merchant", "key": None}]
