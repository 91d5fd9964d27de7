"""`marketplace serve`: the web server, in this process or in several that share one address."""

import asyncio
import gc
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from contextlib import nullcontext

import rich_click as click
import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from marketplace.app import create_app
from marketplace.bootstrap import open_database
from marketplace.cli.base import err, report_refusal
from marketplace.cli.listening import listen
from marketplace.cli.root import cli
from marketplace.core.db import Database
from marketplace.core.errors import AppError, Conflict
from marketplace.settings import Settings, load_settings
from marketplace.web.head import BoundedProtocol

_RESTART_PAUSE_S = 1.0
_QUICK_S = 10.0
_QUICK_ENDS_MAX = 5
_GRACE_S = 5.0
_DRAIN_S = 20
"""How long requests under way may take to end when the server is told to stop."""


async def serve_until_stopped(settings: Settings, db: Database, *, fd: int | None = None) -> None:
    """Answer requests until SIGINT or SIGTERM; those under way are finished first.

    fd: a socket that another process of ours listens on already.
    """
    listening = listen(settings.host, settings.port) if fd is None else socket.socket(fileno=fd)
    if fd is None:
        _announce(settings, listening)
    server = make_server(settings, db)
    gc.freeze()  # half a million objects that stay: a full collection would hold up every request for 0.3 s
    try:
        await server.serve(sockets=[listening])
    finally:
        listening.close()


def make_server(settings: Settings, db: Database) -> uvicorn.Server:
    """The server as it meets the world."""
    config = uvicorn.Config(
        create_app(settings, lambda: nullcontext(db)),
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        ws="none",
        access_log=False,  # our own line says more
        log_config=None,
        server_header=False,
        proxy_headers=False,  # who calls is who is connected: forwarding headers can be written by anybody
        timeout_graceful_shutdown=_DRAIN_S,
    )
    return uvicorn.Server(config)


def _announce(settings: Settings, listening: socket.socket) -> None:
    err.print(f"Serving http://{settings.host}:{listening.getsockname()[1]} (Ctrl+C ends)", highlight=False)


async def serve_in_processes(settings: Settings, count: int) -> None:
    """Answer requests in `count` processes that share one socket, until SIGINT or SIGTERM; one that dies is replaced.

    This process answers none: it holds the database and the socket for the others.
    """
    listening = listen(settings.host, settings.port)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(_keep_one(listening, stop))
            _announce(settings, listening)
    except ExceptionGroup as ended:
        refusals = ended.subgroup(AppError)
        raise refusals.exceptions[0] if refusals else ended from ended
    finally:
        listening.close()


async def _keep_one(listening: socket.socket, stop: asyncio.Event) -> None:
    """Keep one child at work until `stop`. Raises Conflict when it keeps ending as soon as it has started."""
    stopping = asyncio.create_task(stop.wait())
    quick_ends = 0
    while not stop.is_set():
        child, began = await _start_one(listening), asyncio.get_running_loop().time()
        ended = asyncio.create_task(child.wait())
        try:
            await asyncio.wait([stopping, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(child, ended)
        if stop.is_set():
            break
        quick_ends = quick_ends + 1 if asyncio.get_running_loop().time() - began < _QUICK_S else 0
        if quick_ends == _QUICK_ENDS_MAX:
            raise Conflict(f"server processes keep ending at once, the last with status {child.returncode}")
        err.print(f"A server process ended with status {child.returncode}; starting another.", highlight=False)
        await asyncio.wait([stopping], timeout=_RESTART_PAUSE_S)


async def _end(child: Process, ended: asyncio.Task[int]) -> None:
    """Ask a child to end what is under way, and end it when it does not."""
    if child.returncode is None:
        child.terminate()
        await asyncio.wait([ended], timeout=_DRAIN_S + _GRACE_S)
    if child.returncode is None:
        child.kill()
    await ended


async def _start_one(listening: socket.socket) -> Process:
    fd = listening.fileno()
    command = (sys.executable, "-m", "marketplace", "serve", "--fd", str(fd))
    # In a session of its own, so that Ctrl+C reaches this process alone, which then stops them in order. Its standard
    # input is a pipe that ends with this process, however that ends.
    return await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, pass_fds=[fd], start_new_session=True
    )


def _end_with_parent() -> None:
    """Stop this process when the one that has started it is gone."""

    def look() -> None:
        if not os.read(0, 1):
            asyncio.get_running_loop().remove_reader(0)
            os.kill(os.getpid(), signal.SIGTERM)

    asyncio.get_running_loop().add_reader(0, look)


@cli.command("serve")
@click.option("--host", help="Address to listen on (default: MARKETPLACE_HOST or 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default: MARKETPLACE_PORT or 8000).")
@click.option("--processes", type=click.IntRange(1, 64), default=1, help="How many processes answer (default: 1).")
@click.option(
    "--fd", type=click.IntRange(3), hidden=True, help="A listening socket inherited from `serve --processes`."
)
def serve(host: str | None, port: int | None, processes: int, fd: int | None) -> None:
    """Serve the consoles and the API until stopped."""
    try:
        settings = load_settings(host=host, port=port)
        with asyncio.Runner(loop_factory=auto_loop_factory(use_subprocess=False)) as runner:
            runner.run(_serve(settings, processes, fd))
    except AppError as refusal:
        sys.exit(report_refusal(refusal, as_json=False))
    except KeyboardInterrupt:
        sys.exit(130)


async def _serve(settings: Settings, processes: int, fd: int | None) -> None:
    async with open_database(settings) as db:
        if fd is not None:
            _end_with_parent()
        if processes > 1:
            await serve_in_processes(settings, processes)
        else:
            await serve_until_stopped(settings, db, fd=fd)
