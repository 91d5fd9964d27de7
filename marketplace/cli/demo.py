"""`marketplace demo`: from nothing to a running marketplace with a closed month."""

import asyncio
import logging
import sys
from pathlib import Path

import rich_click as click
from rich.table import Table

from marketplace.bootstrap import OPERATOR, open_database
from marketplace.cli.base import EXIT_INCOMPLETE, out, print_json, progress_bar, report_refusal
from marketplace.cli.root import cli
from marketplace.cli.serve import serve_until_stopped
from marketplace.core.db import Database
from marketplace.core.errors import AppError
from marketplace.core.log import configure_logging
from marketplace.core.money import text_from_minor
from marketplace.flows.run_demo import Demo, run_demo
from marketplace.settings import Settings, load_settings


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
    async with open_database(settings) as db:
        ready = await run_demo(db, settings.user or OPERATOR, progress_bar, olist=olist)
        if as_json:
            print_json(ready)
        else:
            _show(ready)
        if serving:
            await _serve(settings, db)
    return 0 if ready.verified else EXIT_INCOMPLETE


async def _serve(settings: Settings, db: Database) -> None:
    """Serve here and work in a process of its own, until one of the two ends."""
    configure_logging(level=logging.WARNING)  # a demonstration's terminal is for the person before it
    with (settings.home / "worker.log").open("ab") as worker_log:
        worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "marketplace", "worker", stderr=worker_log)
        try:
            out.print(f"Open http://{settings.host}:{settings.port} in a browser.", highlight=False)
            await serve_until_stopped(settings, db)
        finally:
            if worker.returncode is None:
                worker.terminate()
            await worker.wait()


def _show(demo: Demo) -> None:
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
    table.add_row("Proofs", "[green]all hold[/]" if demo.verified else "[red]see `marketplace verify`[/]")
    for person in demo.sign_ins:
        table.add_row(f"Sign in as {person.login}", f"password {person.password} ({person.role})")
    out.print(table)
