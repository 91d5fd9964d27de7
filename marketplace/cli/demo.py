"""`marketplace demo`: from nothing to a running marketplace with a closed month."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import rich_click as click
from rich.table import Table

from marketplace.bootstrap import OPERATOR, open_database
from marketplace.cli.base import EXIT_INCOMPLETE, out, print_json, progress_bar, report_refusal
from marketplace.cli.listening import listen
from marketplace.cli.root import cli
from marketplace.cli.serve import serve_until_stopped
from marketplace.core.db import Database
from marketplace.core.errors import AppError
from marketplace.core.log import configure_logging
from marketplace.core.money import text_from_minor
from marketplace.core.signatures import new_secret
from marketplace.flows.demo.demo_keys import DemoKey, make_keys
from marketplace.flows.demo.run_demo import Demo, check_alone, run_demo
from marketplace.settings import Settings, load_settings
from marketplace.simulator.inside import inside

_STATE, _SECRET = "simulator.sqlite", "simulator.secret"


@cli.command("demo")
@click.option("--no-serve", is_flag=True, help="Do the whole job, print the summary and exit.")
@click.option("--olist", type=click.Path(path_type=Path), metavar="DIR", help="Real orders instead of made-up ones.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def demo(no_serve: bool, olist: Path | None, host: str | None, port: int | None, as_json: bool) -> None:
    """Load a demonstration marketplace, bill its closed months, start web and worker, say where and whom to sign in."""
    try:
        settings = load_settings(host=host, port=port)
        sys.exit(asyncio.run(_demo(settings, olist, serving=not no_serve, as_json=as_json)))
    except AppError as refusal:
        sys.exit(report_refusal(refusal, as_json))
    except KeyboardInterrupt:
        sys.exit(130)


async def _demo(settings: Settings, olist: Path | None, *, serving: bool, as_json: bool) -> int:
    actor = settings.user or OPERATOR
    async with open_database(settings) as db:
        await check_alone(db, olist)
        with inside(settings.home / _STATE, db.clock) as processor:
            ready = await run_demo(db, actor, progress_bar, {settings.processor: processor}, olist=olist)
        embedded = settings.database_url is None
        keys = await make_keys(db, actor) if embedded else []  # a database of your own is opened to nobody unasked
        if as_json:
            print_json({**msgspec.to_builtins(ready), "api_keys": keys})
        else:
            _show(ready, keys)
        if serving:
            await _serve(settings, db)
    return 0 if ready.verified else EXIT_INCOMPLETE


async def _serve(settings: Settings, db: Database) -> None:
    """Serve here, work and simulate a payment processor in processes of their own, until this one is stopped."""
    configure_logging(level=logging.WARNING)  # a demonstration's terminal is for the person before it
    listening = listen(settings.host, settings.port)
    address = f"http://{settings.host}:{listening.getsockname()[1]}"
    settings = msgspec.structs.replace(settings, processor_secret=settings.processor_secret or _secret(settings.home))
    callback = f"{address}/api/v1/payment-events/{settings.processor}"
    async with (
        _ended_in_order(),
        _processor(settings, callback) as url,
        _child(settings, "worker", MARKETPLACE_PROCESSOR_URL=url, MARKETPLACE_ADDRESS=settings.address or address),
    ):
        out.print(f"Open {address} in a browser.", highlight=False)
        await serve_until_stopped(settings, db, fd=listening.detach())


@asynccontextmanager
async def _ended_in_order() -> AsyncIterator[None]:
    """Told to stop, leave the block and its children first: the server sends itself the signal again when it has ended.

    A demonstration that died of it would leave worker and simulator behind.
    """
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _secret(home: Path) -> str:
    """The secret between us and the simulator, made once and readable by nobody else."""
    file = home / _SECRET
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(new_secret())
    return file.read_text().strip()


@asynccontextmanager
async def _processor(settings: Settings, callback: str) -> AsyncIterator[str]:
    """The address of the processor that the settings name; without one, of a simulator for the length of the block."""
    if settings.processor_url is not None:
        yield settings.processor_url
        return
    with listen("127.0.0.1", 0) as listening:
        fd, port = listening.fileno(), listening.getsockname()[1]
        command = ("simulator", "--fd", str(fd), "--state", str(settings.home / _STATE), "--callback", callback)
        async with _child(settings, *command, pass_fds=[fd]):
            out.print(f"Payments go through the simulator at http://127.0.0.1:{port}.", highlight=False)
            yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _child(
    settings: Settings, *arguments: str, pass_fds: Sequence[int] = (), **env: str
) -> AsyncIterator[Process]:
    """A command of ours in a process of its own that ends with the block; what it reports goes to a file at home."""
    assert settings.processor_secret is not None
    env |= {"MARKETPLACE_PROCESSOR_SECRET": settings.processor_secret}
    with (settings.home / f"{arguments[0]}.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "marketplace", *arguments, stderr=log, env=os.environ | env, pass_fds=pass_fds
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.terminate()
            await child.wait()


def _show(demo: Demo, keys: list[DemoKey]) -> None:
    currency = demo.reconciliation.currency
    breaks = demo.reconciliation
    table = Table(show_header=False, box=None)
    table.add_row("Orders", f"{demo.orders:,} of {demo.merchants:,} merchants")
    table.add_row("Sold", f"{text_from_minor(demo.gmv_minor, currency)} {currency}")
    table.add_row("Settled", f"{demo.settled:,} merchants' orders, {demo.refunds:,} refunded afterwards")
    table.add_row("Billed", f"{', '.join(demo.periods)}: {demo.statements:,} statements")
    table.add_row("Payouts", f"{demo.payouts:,} of {text_from_minor(demo.payouts_minor, currency)} {currency}")
    table.add_row(
        "Payments",
        f"{breaks.matched.count:,} match, {breaks.tolerance.count:,} within tolerance,"
        f" {breaks.amount_break.count:,} differ, {breaks.payment_without_items.count:,} without items,"
        f" {breaks.order_without_payment.count:,} missing",
    )
    if demo.live_orders:
        table.add_row("Placed here", f"{demo.live_orders} purchases, paid and moved as yours will be")
    table.add_row("Proofs", "[green]all hold[/]" if demo.verified else "[red]see `marketplace verify`[/]")
    for person in demo.sign_ins:
        table.add_row(f"Sign in as {person.login}", f"password {person.password} ({person.role})")
    out.print(table)
    for key in keys:
        words = key.key or f"was shown by the first run; `marketplace user key {key.login} NAME` makes another"
        out.print(f" API key of {key.login}: {words}", highlight=False, soft_wrap=True)
