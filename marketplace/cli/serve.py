"""`marketplace serve`: the web server, in this process."""

import asyncio
import socket
import sys
from contextlib import nullcontext

import rich_click as click
import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from marketplace.app import create_app
from marketplace.bootstrap import open_database
from marketplace.cli.base import err, report_refusal
from marketplace.cli.root import cli
from marketplace.core.db import Database
from marketplace.core.errors import AppError, Conflict
from marketplace.settings import Settings, load_settings
from marketplace.web.head import BoundedProtocol

_DRAIN_S = 20
"""How long requests under way may take to end when the server is told to stop."""


async def serve_until_stopped(settings: Settings, db: Database) -> None:
    """Answer requests until SIGINT or SIGTERM; those under way are finished first."""
    listening = listen(settings.host, settings.port)
    err.print(f"Serving http://{settings.host}:{listening.getsockname()[1]} (Ctrl+C ends)", highlight=False)
    try:
        await make_server(settings, db).serve(sockets=[listening])
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


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises Conflict naming the address when something else does already."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as fault:
        raise Conflict(f"cannot listen on {host}:{port}: {fault.strerror}; name another with --port") from fault


@cli.command("serve")
@click.option("--host", help="Address to listen on (default: MARKETPLACE_HOST or 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default: MARKETPLACE_PORT or 8000).")
def serve(host: str | None, port: int | None) -> None:
    """Serve the consoles and the API until stopped."""
    try:
        settings = load_settings(host=host, port=port)
        with asyncio.Runner(loop_factory=auto_loop_factory(use_subprocess=False)) as runner:
            runner.run(_serve(settings))
    except AppError as refusal:
        sys.exit(report_refusal(refusal, as_json=False))
    except KeyboardInterrupt:
        sys.exit(130)


async def _serve(settings: Settings) -> None:
    async with open_database(settings) as db:
        await serve_until_stopped(settings, db)
