"""`marketplace export …`: files for finance."""

from pathlib import Path

import rich_click as click

from billing.exports.model import Extract, JournalFormat
from billing.runs.model import period_named
from marketplace.cli.base import PERIOD, Outcome, Session, command
from marketplace.cli.billing import day
from marketplace.cli.root import cli
from marketplace.flows.books import export_books, export_journal

_output = click.option("--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
_period = click.option("--period", required=True, metavar="YYYY-MM", help=PERIOD)
_csv = click.option("--format", "file_format", type=click.Choice(["csv"]), default="csv", show_default=True)


@cli.group("export")
def export() -> None:
    """Files for finance: complete or not there at all."""


@command(export, "statements")
@_period
@_csv
@_output
@click.option("--entity", "entity_id", type=int, help="The legal entity, where there are several.")
async def statements(session: Session, period: str, file_format: str, output: Path, entity_id: int | None) -> Outcome:
    """The statements of a finalised month, one row per merchant and currency, in minor units."""
    rows = await export_books.export_statements(session.db, period_named(period), output, entity_id=entity_id)
    return Outcome({"file": str(output), "format": file_format, "rows": rows})


@command(export, "orders")
@_period
@_csv
@_output
async def orders(session: Session, period: str, file_format: str, output: Path) -> Outcome:
    """The orders settled in a month, one row per merchant, order and contract, in minor units."""
    rows = await export_books.export_orders(session.db, period_named(period), output)
    return Outcome({"file": str(output), "format": file_format, "rows": rows})


@command(export, "journal")
@click.option("--format", "file_format", type=click.Choice([one.value for one in JournalFormat]), required=True)
@_output
@click.option("--from", "from_on", metavar="YYYY-MM-DD", help="The first day [the journal's first].")
@click.option("--to", "to_on", metavar="YYYY-MM-DD", help="The day behind the last one.")
@click.option("--entity", "entity_id", type=int, help="One legal entity.")
@click.option("--currency", metavar="EUR", help="One currency.")
async def journal(
    session: Session,
    file_format: str,
    output: Path,
    from_on: str | None,
    to_on: str | None,
    entity_id: int | None,
    currency: str | None,
) -> Outcome:
    """The journal: a Beancount or hledger ledger with month-end balances; or every leg as CSV, workbook, Parquet or
    with the accounts of an ERP."""
    extract = Extract(
        entity_id=entity_id,
        currency=currency,
        from_on=day(from_on, "--from") if from_on else None,
        to_on=day(to_on, "--to") if to_on else None,
    )
    rows = await export_journal.export_journal(session.db, JournalFormat(file_format), output, extract)
    return Outcome({"file": str(output), "format": file_format, "rows": rows})
