"""`marketplace simulator`: the payment processor of tests and demonstrations, in this process."""

import asyncio
import socket
import sys
from pathlib import Path

import rich_click as click
import uvicorn

from marketplace.cli.base import err, report_refusal
from marketplace.cli.listening import listen
from marketplace.cli.root import cli
from marketplace.core.errors import AppError, Invalid
from marketplace.settings import Settings, load_settings
from marketplace.simulator.app import create_simulator
from marketplace.simulator.model import Behaviour, Fees
from marketplace.simulator.processor import Processor
from marketplace.simulator.store import Store

_DRAIN_S = 2


@cli.command("simulator")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8100, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--state", type=click.Path(path_type=Path), help="Its file [simulator.sqlite in MARKETPLACE_HOME].")
@click.option("--callback", help="Where its events go: the address of /api/v1/payment-events/simulator.")
@click.option("--fee-ppm", default=Fees().ppm, show_default=True, help="Its share of a capture, in parts per million.")
@click.option("--fee-fixed-minor", default=Fees().fixed_minor, show_default=True, help="Its fee for each capture.")
@click.option("--dispute-fee-minor", default=Fees().dispute_minor, show_default=True, help="Its fee for a dispute.")
@click.option("--slow-s", default=Behaviour().slow_s, show_default=True, help="How late a slow payment's events are.")
@click.option("--fd", type=click.IntRange(3), hidden=True, help="A listening socket inherited from `demo`.")
def simulator(host: str, port: int, state: Path | None, callback: str | None, fd: int | None, **behaviour: int) -> None:
    """Run a payment processor that does what the payment's token says; its secret is MARKETPLACE_PROCESSOR_SECRET."""
    fees = Fees(
        ppm=behaviour["fee_ppm"],
        fixed_minor=behaviour["fee_fixed_minor"],
        dispute_minor=behaviour["dispute_fee_minor"],
    )
    try:
        settings = load_settings()
        if settings.processor_secret is None:
            raise Invalid('MARKETPLACE_PROCESSOR_SECRET: is not set; choose one, "whsec_" and base64')
        file = state or settings.home / "simulator.sqlite"
        listening = listen(host, port) if fd is None else socket.socket(fileno=fd)
        asyncio.run(_run(settings, listening, file, callback, Behaviour(fees=fees, slow_s=behaviour["slow_s"])))
    except AppError as refusal:
        sys.exit(report_refusal(refusal, as_json=False))
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(
    settings: Settings, listening: socket.socket, file: Path, callback: str | None, behaviour: Behaviour
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    clock = settings.clock()
    store = Store(file, clock.now())
    try:
        if callback is not None:
            store.set("callback", callback)
        assert settings.processor_secret is not None
        app = create_simulator(Processor(store, clock, behaviour), settings.processor_secret)
        config = uvicorn.Config(
            app, access_log=False, log_config=None, server_header=False, timeout_graceful_shutdown=_DRAIN_S
        )
        host, port = listening.getsockname()[:2]
        err.print(f"Simulating a processor on http://{host}:{port} (Ctrl+C ends)", soft_wrap=True)
        await uvicorn.Server(config).serve(sockets=[listening])
    finally:
        store.close()
        listening.close()
