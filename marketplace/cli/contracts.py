"""`marketplace contracts …`: settled orders rated anew under contracts that were applied late."""

import rich_click as click
from rich.table import Table

from billing.reratings.store import RerateLine
from marketplace.cli.base import Outcome, Session, command, out
from marketplace.cli.billing import FINANCE, day
from marketplace.cli.root import cli
from marketplace.core.db import WORKER
from marketplace.core.money import text_from_minor
from marketplace.flows.commission.rerate_contracts import (
    Reratable,
    Rerated,
    approve_rerating,
    preview_rerating,
    propose_rerating,
)


@cli.group("contracts")
def contracts() -> None:
    """Rate settled orders anew under contracts that were applied late; `apply` applies them."""


@command(contracts, "rerate", roles=FINANCE)
@click.option("--from", "from_on", required=True, metavar="YYYY-MM-DD", help="Its month and every later one.")
@click.option("--merchant", "merchant_id", type=int, help="One merchant's id; by default all.")
@click.option("--preview", is_flag=True, help="Only show what differs.")
async def rerate(session: Session, from_on: str, merchant_id: int | None, preview: bool) -> Outcome:
    """Show what settled orders should have earned and have not; without --preview also propose to book it."""
    wanted = Reratable(from_on=day(from_on, "--from"), merchant_id=merchant_id)
    if preview:
        async with session.db.read(WORKER) as tx:
            lines = await preview_rerating(tx, wanted)
        return Outcome({"lines": lines}, show=lambda: _show_lines(lines))
    return _shown(await session.db.write(WORKER, session.actor, propose_rerating, wanted))


@command(contracts, "approve", roles=FINANCE)
@click.argument("rerating_id", metavar="RERATING", type=int)
async def approve(session: Session, rerating_id: int) -> Outcome:
    """Book a proposed rerating, as another person than its maker."""
    return _shown(await session.db.write(WORKER, session.actor, approve_rerating, rerating_id))


def _shown(rerated: Rerated) -> Outcome:
    def show() -> None:
        out.print(f"Rerating {rerated.rerating.rerating_id} is [bold]{rerated.rerating.state}[/].", highlight=False)
        _show_lines(rerated.lines)

    return Outcome(rerated, show=show)


def _show_lines(lines: list[RerateLine]) -> None:
    if not lines:
        out.print("Every order has earned what it should have.")
        return
    table = Table("merchant", "month", "", "orders", "commission", "should be", "VAT", "should be", box=None)
    for line in lines:
        amounts = (
            line.issued_commission_minor,
            line.expected_commission_minor,
            line.issued_vat_minor,
            line.expected_vat_minor,
        )
        texts = [text_from_minor(minor, line.currency) for minor in amounts]
        table.add_row(str(line.merchant_id), f"{line.month:%Y-%m}", line.currency, f"{line.orders:,}", *texts)
    out.print(table)
