"""`marketplace payouts …`: files of payouts for the bank, from made to exported."""

from pathlib import Path

import rich_click as click

from billing.bank_accounts.model import Scheme
from billing.payout_files.model import Party, PayoutFile
from marketplace.cli.base import Outcome, Session, command, out
from marketplace.cli.billing import FINANCE, day
from marketplace.cli.root import cli
from marketplace.core.db import STAFF, WORKER
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.flows.payouts import instruct_bank
from marketplace.flows.payouts.instruct_bank import MakeFile, SetDebtor


@cli.group("payouts")
def payouts() -> None:
    """Files that instruct the bank to pay merchants: make, approve, export."""


@command(payouts, "account", roles=("controller",))
@click.option("--currency", required=True, metavar="EUR", help="The currency that is paid out of it.")
@click.option("--holder", required=True, help="Whose account it is.")
@click.option("--number", required=True, help="Its IBAN, or what the bank calls it.")
@click.option("--other", is_flag=True, help="The number is no IBAN.")
@click.option("--routing", default="", help="The bank's BIC, or its code in its country.")
@click.option("--entity", "entity_id", type=int, help="The legal entity, where there are several.")
async def account(
    session: Session, currency: str, holder: str, number: str, other: bool, routing: str, entity_id: int | None
) -> Outcome:
    """Pay out a currency from an account of the house."""
    scheme = Scheme.OTHER if other else Scheme.IBAN
    party = Party(holder=holder, scheme=scheme, number=number, routing=routing)
    cmd = SetDebtor(currency=currency, party=party, entity_id=entity_id)
    kept = await session.db.write(WORKER, session.actor, instruct_bank.set_debtor, cmd)
    return Outcome(kept, show=lambda: out.print(f"{currency} is paid out of {kept.number}.", highlight=False))


@command(payouts, "make", roles=FINANCE)
@click.option("--currency", required=True, metavar="EUR", help="The currency of the payouts.")
@click.option("--on", "pay_on", required=True, metavar="YYYY-MM-DD", help="The day on which the bank is to pay.")
@click.option("--entity", "entity_id", type=int, help="The legal entity, where there are several.")
async def make(session: Session, currency: str, pay_on: str, entity_id: int | None) -> Outcome:
    """Make a file of the payouts that are due and in no file yet."""
    cmd = MakeFile(currency=currency, pay_on=day(pay_on, "--on"), entity_id=entity_id)
    return _shown(await session.db.write(WORKER, session.actor, instruct_bank.make_file, cmd))


@command(payouts, "approve", roles=FINANCE)
@click.argument("file_id", metavar="FILE", type=int)
async def approve(session: Session, file_id: int) -> Outcome:
    """Let a file go to the bank, as another person than its maker."""
    return _shown(await session.db.write(WORKER, session.actor, instruct_bank.approve_file, file_id))


@command(payouts, "export", roles=FINANCE)
@click.argument("file_id", metavar="FILE", type=int)
@click.option("--format", "kind", type=click.Choice(["xml", "csv"]), default="xml", help="pain.001, or CSV [xml].")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="Where to write it.")
async def export(session: Session, file_id: int, kind: str, target: Path) -> Outcome:
    """Write an approved file, as pain.001 XML or as CSV: the same bytes every time."""
    async with session.db.read(STAFF) as tx:
        content = await instruct_bank.read_bytes(tx, file_id, kind)
    _write(target, content)
    value = {"file_id": file_id, "format": kind, "bytes": len(content), "path": str(target)}
    return Outcome(value, show=lambda: out.print(f"{len(content):,} bytes written to {target}.", highlight=False))


def _write(target: Path, content: bytes) -> None:
    try:
        target.write_bytes(content)
    except OSError as fault:
        raise Invalid(f"{target}: {fault.strerror}") from fault


def _shown(file: PayoutFile) -> Outcome:
    total = text_from_minor(file.total_minor, file.currency)
    said = f"File {file.file_id} is [bold]{file.state}[/]: {file.payouts:,} payouts of {total} {file.currency}."
    return Outcome(file, show=lambda: out.print(said, highlight=False))
