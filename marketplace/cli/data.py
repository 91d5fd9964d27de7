"""`marketplace import …`: getting data in, and `marketplace reconcile …`: proving it against the processor's lines."""

from pathlib import Path

import msgspec
import rich_click as click
from rich.table import Table

from billing.bank_files.mapping import Mapping
from billing.bank_files.model import BankFileState
from billing.breaks import store as breaks
from billing.openings.model import control_from_text
from marketplace.cli.base import EXIT_INCOMPLETE, Outcome, Session, command, out, progress_bar
from marketplace.cli.billing import day
from marketplace.cli.root import cli
from marketplace.core.db import STAFF, WORKER
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.flows.acquisition.import_costs import import_costs as load_costs
from marketplace.flows.acquisition.import_funnel import import_funnel as import_leads
from marketplace.flows.bank.import_bank_file import import_bank_file as bring
from marketplace.flows.bank.match_lines import match_lines
from marketplace.flows.bank.save_bank_mapping import save_mapping
from marketplace.flows.books import import_opening as openings
from marketplace.flows.books.import_opening import OpeningFile
from marketplace.flows.imports.import_olist import CURRENCY
from marketplace.flows.imports.import_olist import import_olist as import_folder
from marketplace.flows.payments.import_processor_file import import_processor_file as import_file
from marketplace.flows.payments.reconcile_payments import reconcile_payments as reconcile


@cli.group("import")
def import_group() -> None:
    """Get data of other systems in."""


@command(import_group, "olist", roles=("accountant", "controller"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--currency", default=CURRENCY, show_default=True, help="The currency of the amounts (ISO 4217).")
async def import_olist(session: Session, folder: Path, currency: str) -> Outcome:
    """Import the Olist orders: categories, products, sellers, customers, orders, items and payments of one folder.

    One bad row anywhere, and every bad row is reported and nothing is stored. The same files again change nothing.
    """
    with progress_bar("Olist") as show:
        loaded = await import_folder(session.db, session.actor, folder, currency=currency, on_progress=show)
    return Outcome(loaded)


@command(import_group, "processor-file", roles=("accountant", "controller"))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--processor", help="Whose file it is [MARKETPLACE_PROCESSOR].")
async def import_processor_file(session: Session, file: Path, processor: str | None) -> Outcome:
    """Book a processor's settlement file: fees, and the batch that it has paid to the bank.

    A file that does not sum to its total is refused with the line, and nothing is stored; a line is booked once. An
    import that was stopped goes on when the file is brought again.
    """
    name = processor or session.settings.processor
    return Outcome(await import_file(session.db, session.actor, name, _content(file)))


@command(import_group, "bank", roles=("accountant", "controller"))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--mapping", metavar="NAME", help="The mapping by which the columns of a table are read.")
@click.option("--processor", help="Whose file it is, if it is a settlement file [MARKETPLACE_PROCESSOR].")
async def import_bank(session: Session, file: Path, mapping: str | None, processor: str | None) -> Outcome:
    """Take in a file of a bank or processor: its statements are proved, and each line is taken in once.

    A file that cannot be read, or does not hold, is kept with the reasons, and nothing is made of it.
    """
    whose = processor or session.settings.processor
    try:
        with progress_bar("lines") as show, file.open("rb") as stream:
            read = await bring(
                session.db, session.actor, file.name, stream, processor=whose, mapping=mapping, on_progress=show
            )
    except OSError as fault:
        raise Invalid(f"{file}: {fault.strerror}") from fault
    if read.again:
        told = f"{file.name} was read before, as file {read.file_id}: nothing was added."
        return Outcome(read, show=lambda: out.print(told))
    return Outcome(read, 0 if read.state is BankFileState.READ else EXIT_INCOMPLETE)


@command(import_group, "bank-mapping", roles=("accountant", "controller"))
@click.argument("name", metavar="NAME")
@click.argument("file", metavar="FILE.json", type=click.Path(path_type=Path))
async def import_bank_mapping(session: Session, name: str, file: Path) -> Outcome:
    """Save how the columns of a table are read, under a name; the newest of a name is used."""
    try:
        mapping = msgspec.json.decode(_content(file), type=Mapping)
    except msgspec.DecodeError as fault:
        raise Invalid(f"{file}: {fault}") from fault
    return Outcome(await session.db.write(WORKER, session.actor, save_mapping, name, mapping))


@command(import_group, "opening", roles=("controller",))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--on", "opened_on", required=True, metavar="YYYY-MM-DD", help="The cut-over day, in open books.")
@click.option("--control", "controls", multiple=True, metavar="2000:EUR=-9.50", help="What an account must sum to.")
@click.option("--entity", "entity_id", type=int, help="The legal entity, where there are several.")
@click.option("--dry-run", is_flag=True, help="Only check the file.")
async def import_opening(
    session: Session, file: Path, opened_on: str, controls: tuple[str, ...], entity_id: int | None, dry_run: bool
) -> Outcome:
    """Bring over the balances of another system: merchant, account, currency, amount, and control totals (merchant *).

    One bad line anywhere, or a total that does not tie, and all of that is reported and nothing is stored. The same
    file again changes nothing.
    """
    opening = OpeningFile(
        name=file.name,
        content=_content(file),
        opened_on=day(opened_on, "--on"),
        controls=dict(control_from_text(text) for text in controls),
        entity_id=entity_id,
    )
    if dry_run:
        return Outcome(await openings.check_opening(session.db, opening))
    return Outcome(await openings.import_opening(session.db, session.actor, opening))


@command(import_group, "funnel", roles=("growth",))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
async def import_funnel(session: Session, folder: Path) -> Outcome:
    """Import the Olist marketing funnel: leads with their origins, and the deals won of them.

    One bad row anywhere, and every bad row is reported and nothing is stored. The same files again change nothing but
    find the merchants whose orders have come since.
    """
    return Outcome(await import_leads(session.db, session.actor, folder))


@command(import_group, "costs", roles=("growth",))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
async def import_costs(session: Session, file: Path) -> Outcome:
    """Import what channels have cost: a CSV file with the columns ref,channel,campaign,day,kind,currency,amount.

    One bad row anywhere, and every bad row is reported and nothing is stored. An entry is booked once by its ref.
    """
    return Outcome(await session.db.write(WORKER, session.actor, load_costs, _content(file), file.name))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise Invalid(f"{file}: {fault.strerror}") from fault


@cli.group("reconcile")
def reconcile_group() -> None:
    """Hold what we booked against what others say."""


@command(reconcile_group, "payments")
@click.option("--currency", help="Needed when legal entities keep several.")
async def reconcile_payments(session: Session, currency: str | None) -> Outcome:
    """Payments against orders, counted per purchase: what matches, what lies within tolerance, and breaks by kind.

    The four that do not match sum to the bridge: payments less price and freight.
    """
    async with session.db.read(STAFF) as tx:
        found = await reconcile(tx, currency)
    return Outcome(found)


@command(reconcile_group, "lines", roles=("accountant", "controller"))
async def reconcile_lines(session: Session) -> Outcome:
    """Match lines of banks and processors with what the books expect there, and name what does not match."""
    return Outcome(await match_lines(session.db, session.actor))


@command(reconcile_group, "breaks")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1_000), help="How many at most.")
@click.option("--not-due", is_flag=True, help="With what is not due yet.")
async def reconcile_breaks(session: Session, limit: int, not_due: bool) -> Outcome:
    """What is due and does not match, the oldest first: its type, its age, who has it."""
    async with session.db.read(STAFF) as tx:
        counts = await breaks.count_breaks(tx)
        found = await breaks.list_breaks(tx, live=True, due=not not_due, limit=limit)

    def show() -> None:
        table = Table("id", "type", "amount", "", "since", "days", "who", "what", box=None, pad_edge=False)
        for one in found:
            amount = text_from_minor(one.amount_minor, one.currency) if one.currency else str(one.amount_minor)
            since = (f"{one.expected_on}", f"{one.age_days}")
            table.add_row(str(one.break_id), one.kind, amount, one.currency, *since, one.owner or "", one.detail)
        if found:
            out.print(table, highlight=False)
        out.print(f"{counts.due:,} due, {counts.overdue:,} of them unanswered in time; {counts.not_due:,} not due yet.")

    return Outcome(msgspec.structs.asdict(counts) | {"breaks": found}, show=show)
