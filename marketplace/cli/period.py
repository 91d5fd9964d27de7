"""`marketplace period …`: months from soft-closed to closed, and reopened; `marketplace report …`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click
from rich.table import Table

from billing.periods.model import BookPeriod, Check, month_named
from billing.reports.model import LedgerLine, Span
from marketplace.cli.base import EXIT_INCOMPLETE, Outcome, Session, command, out
from marketplace.cli.billing import FINANCE, day
from marketplace.cli.root import cli
from marketplace.core.db import STAFF, WORKER
from marketplace.core.errors import Invalid
from marketplace.flows.books import close_period as flow
from marketplace.flows.books.close_period import ApproveBreak, Month, PeriodView
from marketplace.flows.books.show_report import REPORTS, Report, account_lines, csv_rows
from marketplace.flows.documents.export_documents import write_file

_month = click.argument("month", metavar="YYYY-MM")
_entity = click.option("--entity", "entity_id", type=int, help="The legal entity, where there are several.")
CONTROL = ("controller",)
ACCOUNT = "account"


@cli.group("period")
def period() -> None:
    """Months: soft-closed to all but journals by hand, closed under a seal, reopened by two people."""


@command(period, "show")
@_month
@_entity
async def show(session: Session, month: str, entity_id: int | None) -> Outcome:
    """A month with its checklist and seals. Exit status 3 while a proof neither holds nor is approved."""
    async with session.db.read(STAFF) as tx:
        view = await flow.read_period(tx, Month(month=month, entity_id=entity_id))
    red = any(check.state == "red" for check in view.checks)
    return Outcome(view, EXIT_INCOMPLETE if red else 0, lambda: _show(view))


@command(period, "soft-close", roles=FINANCE)
@_month
@_entity
async def soft_close(session: Session, month: str, entity_id: int | None) -> Outcome:
    """Close a billed month to all but journals by hand; somebody else closes it for good."""
    cmd = Month(month=month, entity_id=entity_id)
    return _moved(await session.db.write(WORKER, session.actor, flow.soft_close, cmd))


@command(period, "open", roles=FINANCE)
@_month
@_entity
async def open_again(session: Session, month: str, entity_id: int | None) -> Outcome:
    """Take a soft close back."""
    cmd = Month(month=month, entity_id=entity_id)
    return _moved(await session.db.write(WORKER, session.actor, flow.open_again, cmd))


@command(period, "close", roles=CONTROL)
@_month
@_entity
async def close(session: Session, month: str, entity_id: int | None) -> Outcome:
    """Close a month for good, as another person than who prepared it."""
    cmd = Month(month=month, entity_id=entity_id)
    view = await session.db.write(WORKER, session.actor, flow.close_period, cmd)
    return Outcome(view, show=lambda: _show(view))


@command(period, "ask-reopening", roles=FINANCE)
@_month
@_entity
@click.option("--reason", required=True, help="Why.")
async def ask_reopening(session: Session, month: str, entity_id: int | None, reason: str) -> Outcome:
    """Want the newest closed month reopened; somebody else reopens it."""
    cmd = Month(month=month, entity_id=entity_id)
    return _moved(await session.db.write(WORKER, session.actor, flow.ask_reopening, cmd, reason))


@command(period, "reopen", roles=CONTROL)
@_month
@_entity
async def reopen(session: Session, month: str, entity_id: int | None) -> Outcome:
    """Reopen a month that somebody else wants reopened."""
    cmd = Month(month=month, entity_id=entity_id)
    return _moved(await session.db.write(WORKER, session.actor, flow.reopen, cmd))


@command(period, "name-break", roles=FINANCE)
@_month
@click.argument("check", metavar="PROOF")
@_entity
@click.option("--reason", required=True, help="Why the month may be closed with it.")
async def name_break(session: Session, month: str, check: str, entity_id: int | None, reason: str) -> Outcome:
    """Say why a month may be closed although a proof does not hold; somebody else approves it."""
    cmd = ApproveBreak(month=Month(month=month, entity_id=entity_id), check=check, reason=reason)
    asked = await session.db.write(WORKER, session.actor, flow.ask_break, cmd)
    return Outcome(asked, show=lambda: out.print(f"Break {asked.approval_id} waits for a second person."))


@command(period, "approve-break", roles=FINANCE)
@_month
@click.argument("approval_id", metavar="BREAK", type=int)
@_entity
async def approve_break(session: Session, month: str, approval_id: int, entity_id: int | None) -> Outcome:
    """Accept a break that somebody else has named."""
    cmd = Month(month=month, entity_id=entity_id)
    approved = await session.db.write(WORKER, session.actor, flow.approve_break, cmd, approval_id)
    return Outcome(approved, show=lambda: out.print(f"{approved.check} is approved as it was found."))


def _moved(moved: BookPeriod) -> Outcome:
    return Outcome(moved, show=lambda: out.print(f"{moved.period.name} is {moved.state.value.replace('_', '-')}."))


def _show(view: PeriodView) -> None:
    out.print(f"{view.period.period.name} is {view.period.state.value.replace('_', '-')}.")
    table = Table("proof", "state", "found", "of what")
    for check in view.checks:
        table.add_row(check.name, check.state.value, str(check.violations), _first(check))
    out.print(table)
    for seal in view.seals:
        out.print(f"Sealed {seal.sealed_at:%Y-%m-%d}: {seal.entries:,} entries, {seal.digest}", highlight=False)


def _first(check: Check) -> str:
    for found in check.findings:
        return " ".join(filter(None, (found.subject, found.currency, found.says)))
    return check.states


@command(cli, "report")
@click.argument("name", metavar="NAME", type=click.Choice([*(one.value for one in Report), ACCOUNT]))
@click.option("--month", metavar="YYYY-MM", help="The days: a month.")
@click.option("--from", "from_on", metavar="YYYY-MM-DD", help="Or the first of them,")
@click.option("--to", "to_on", metavar="YYYY-MM-DD", help="and the day behind the last one.")
@_entity
@click.option("--currency", metavar="EUR", help="One currency.")
@click.option("--account", type=int, help="Of `account`: which one, such as 2000.")
@click.option("--merchant", "merchant_id", type=int, help="Of `account`: as one merchant's account statement.")
@click.option("--output", type=click.Path(path_type=Path), help="Write a CSV file.")
async def report(
    session: Session,
    name: str,
    month: str | None,
    from_on: str | None,
    to_on: str | None,
    entity_id: int | None,
    currency: str | None,
    account: int | None,
    merchant_id: int | None,
    output: Path | None,
) -> Outcome:
    """A report of finance, amounts in minor units: trial-balance, ageing, revenue, take-rate, incentives,
    deferred-revenue, cash-forecast, or the general ledger of an account."""
    if month is not None:
        days = month_named(month)
        span = Span(from_on=days.from_on, to_on=days.to_on, entity_id=entity_id, currency=currency)
    elif from_on and to_on:
        span = Span(from_on=day(from_on, "--from"), to_on=day(to_on, "--to"), entity_id=entity_id, currency=currency)
    else:
        raise Invalid("--month: name a month, or --from and --to", field="--month")
    if (account is not None) != (name == ACCOUNT) or (merchant_id is not None and account is None):
        raise Invalid("--account: the report `account` is of one, and of a merchant if need be", field="--account")
    row_type: type[msgspec.Struct] = LedgerLine
    async with session.db.read(STAFF) as tx:
        if account is not None:
            rows: Sequence[Any] = await account_lines(tx, span, account, merchant_id)
        else:
            row_type, read = REPORTS[Report(name)]
            rows = await read(tx, span)
    if output is not None:
        pieces = [piece async for piece in csv_rows(row_type, rows)]
        await asyncio.to_thread(write_file, output, b"".join(pieces))
        value = {"report": name, "file": str(output), "rows": len(rows)}
        return Outcome(value)
    return Outcome({"report": name, "rows": rows}, show=lambda: _show_rows(row_type.__struct_fields__, rows))


def _show_rows(names: Sequence[str], rows: Sequence[Any]) -> None:
    table = Table(*(name.removesuffix("_minor").replace("_", " ") for name in names))
    for row in rows:
        table.add_row(*(str(getattr(row, name)) for name in names))
    out.print(table)
