"""`marketplace apply`, `settle`, `billing …`, `verify`: the month, from contracts to proofs."""

from collections import Counter
from datetime import date
from pathlib import Path

import msgspec
import rich_click as click
from rich.table import Table

from billing.runs import store
from billing.runs.model import COLUMNS, RunState, period_named
from billing.runs.schedules.model import Schedule
from marketplace.cli.base import EXIT_INCOMPLETE, PERIOD, Outcome, Session, command, out, progress_bar
from marketplace.cli.root import cli
from marketplace.core.db import STAFF, WORKER
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.core.rates import divide_half_even
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.commission.settle_orders import Settled, settle_through
from marketplace.flows.payers.apply_payer_contracts import apply_payer_file
from marketplace.flows.proofs.verify_books import Verified, verify_books
from marketplace.flows.runs import run_billing
from marketplace.flows.runs.compare_runs import compare_run
from marketplace.flows.runs.schedule_runs import set_schedule

FINANCE = ("accountant", "controller")


@command(cli, "apply", roles=("controller",))
@click.argument("file", metavar="FILE.toml", type=click.Path(path_type=Path))
async def apply(session: Session, file: Path) -> Outcome:
    """Apply the [[contract]] tables of a file: all or none; applying it again changes nothing."""
    return Outcome(await apply_file(session.db, session.actor, _document(file)))


@command(cli, "apply-payers", roles=("controller",))
@click.argument("file", metavar="FILE.toml", type=click.Path(path_type=Path))
async def apply_payers(session: Session, file: Path) -> Outcome:
    """Apply the [[payer_contract]] tables of a file: all or none; applying it again changes nothing."""
    return Outcome(await apply_payer_file(session.db, session.actor, _document(file)))


def _document(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise Invalid(f"{file}: {fault.strerror}") from fault


@command(cli, "settle", roles=FINANCE)
@click.option("--through", required=True, metavar="YYYY-MM-DD", help="The last local delivery date to settle.")
async def settle(session: Session, through: str) -> Outcome:
    """Settle every delivered order up to a local date. Exit status 3 when orders had to be parked."""
    with progress_bar("Settling") as show:
        settled = await settle_through(session.db, session.actor, day(through, "--through"), show)
    return Outcome(settled, EXIT_INCOMPLETE if settled.parked else 0, lambda: _show_settled(settled))


_SHOWN_REASONS = 10


def _show_settled(settled: Settled) -> None:
    """What was earned, and of what was parked the commonest reasons, whatever the day, with an example each."""
    if settled.orders:
        out.print(f"{settled.orders:,} orders settled.")
    else:
        out.print("Nothing was due that a contract covers.")
    for earned in settled.earned:
        commission, vat = (
            text_from_minor(minor, earned.currency) for minor in (earned.commission_minor, earned.vat_minor)
        )
        out.print(f"Commission {commission}, VAT {vat} {earned.currency}")
    in_short = [(parked.reason.partition(" bought on ")[0], parked.order_ref) for parked in settled.parked_orders]
    reasons, examples = Counter(reason for reason, _ in in_short), dict(in_short)
    if reasons:
        out.print(f"[yellow]{settled.parked:,} orders are parked and stay due (--json lists them all):[/]")
    for reason, count in reasons.most_common(_SHOWN_REASONS):
        out.print(f"  {count:,} {reason}, such as {examples[reason]}", highlight=False)
    if len(reasons) > _SHOWN_REASONS:
        out.print(f"  and {len(reasons) - _SHOWN_REASONS:,} other reasons")


def day(text: str, option: str) -> date:
    """The date written YYYY-MM-DD. Raises Invalid naming the option."""
    try:
        written = date.fromisoformat(text)
        if written.isoformat() != text:  # it reads 20180531 and 2018-W22-4, too
            raise ValueError
        return written
    except ValueError:
        raise Invalid(f"{option}: {text!r} is not a date written YYYY-MM-DD", field=option) from None


@cli.group("billing")
def billing() -> None:
    """Billing runs: preview, approve, finalise, reverse."""


@command(billing, "run", roles=FINANCE)
@click.option("--period", required=True, metavar="YYYY-MM", help=PERIOD)
@click.option("--entity", "entity_id", type=int, help="The legal entity, where there are several.")
@click.option("--payout-on", metavar="YYYY-MM-DD", help="The day payouts are booked on [first day after the period].")
@click.option("--finalise", is_flag=True, help="Also approve and finalise it.")
async def run(session: Session, period: str, entity_id: int | None, payout_on: str | None, finalise: bool) -> Outcome:
    """Draft and preview the run of a period; with --finalise also approve and finalise it. Resumes after a kill."""
    db, actor = session.db, session.actor
    with progress_bar("Previewing") as show:
        result = await run_billing.run_period(
            db,
            actor,
            period_named(period),
            entity_id=entity_id,
            payout_on=day(payout_on, "--payout-on") if payout_on else None,
            on_progress=show,
        )
    if not finalise:
        return _shown(result)
    if result.run.state == RunState.PREVIEWED:
        result = await run_billing.approve_run(db, actor, result.run.run_id, batch_id=result.run.batch_id)
    with progress_bar("Finalising") as show:
        return _shown(await run_billing.finalise_run(db, actor, result.run.run_id, show))


@command(billing, "approve", roles=FINANCE)
@click.argument("run_id", metavar="RUN", type=int)
@click.option("--batch", "batch_id", type=int, help="The preview that was looked at [the one that is there].")
@click.option("--without-parked", is_flag=True, help="Leave out what is parked; `billing run-parked` bills it later.")
async def approve(session: Session, run_id: int, batch_id: int | None, without_parked: bool) -> Outcome:
    """Approve a previewed run, as another person than its maker."""
    approving = run_billing.approve_run(
        session.db, session.actor, run_id, batch_id=batch_id, without_parked=without_parked
    )
    return _shown(await approving)


@command(billing, "parked")
@click.argument("run_id", metavar="RUN", type=int)
async def parked(session: Session, run_id: int) -> Outcome:
    """What a run leaves out and why: the first merchants."""
    async with session.db.read(STAFF) as tx:
        await store.get_run(tx, run_id)
        found = await store.list_parked(tx, run_id, limit=store.PAGE_MAX)

    def show() -> None:
        for one in found:
            out.print(f"merchant {one.merchant_id}, {one.currency}: {one.reason}", highlight=False)
        if not found:
            out.print(f"Run {run_id} leaves nobody out.")

    return Outcome({"parked": found}, show=show)


@command(billing, "run-parked", roles=FINANCE)
@click.argument("run_id", metavar="RUN", type=int)
async def run_parked(session: Session, run_id: int) -> Outcome:
    """Draft and preview the child of a final run, over exactly the merchants that this one has parked."""
    with progress_bar("Previewing") as show:
        return _shown(await run_billing.run_parked(session.db, session.actor, run_id, on_progress=show))


@command(billing, "finalise", roles=FINANCE)
@click.argument("run_id", metavar="RUN", type=int)
async def finalise(session: Session, run_id: int) -> Outcome:
    """Make an approved run final: statements, windows, payouts, and the period closed."""
    with progress_bar("Finalising") as show:
        return _shown(await run_billing.finalise_run(session.db, session.actor, run_id, show))


@command(billing, "abort", roles=FINANCE)
@click.argument("run_id", metavar="RUN", type=int)
async def abort(session: Session, run_id: int) -> Outcome:
    """Give up a run that is not final yet; its month can be drafted again."""
    return _shown(await run_billing.abort_run(session.db, session.actor, run_id))


@command(billing, "reverse", roles=("controller",))
@click.argument("run_id", metavar="RUN", type=int)
async def reverse(session: Session, run_id: int) -> Outcome:
    """Undo the newest finalised run: its payouts are cancelled by mirror entries and its month is open again."""
    with progress_bar("Reversing") as show:
        return _shown(await run_billing.reverse_run(session.db, session.actor, run_id, show))


@command(billing, "compare")
@click.argument("run_id", metavar="RUN", type=int)
@click.option("--currency", metavar="EUR", help="Only statements in this currency.")
@click.option("--merchant", "merchant_id", type=int, help="Only this merchant.")
async def compare(session: Session, run_id: int, currency: str | None, merchant_id: int | None) -> Outcome:
    """What moved since the period before, by merchant and column: the largest changes first."""
    limit = store.PAGE_MAX
    async with session.db.read(STAFF) as tx:
        found = await compare_run(tx, run_id, currency=currency, merchant_id=merchant_id, limit=limit)

    def show() -> None:
        table = Table("merchant", "", "column", "before", "now", "change", "%", "", box=None)
        for one in found.moved:
            amounts = [text_from_minor(m, one.currency) for m in (one.before_minor, one.now_minor, one.change_minor)]
            percent = "" if one.relative_ppm is None else f"{divide_half_even(one.relative_ppm, 10_000):+,}"
            table.add_row(str(one.merchant_id), one.currency, one.column, *amounts, percent, one.flag or "")
        out.print(table if found.moved else "Nothing moved.")

    return Outcome(found, show=show)


@command(billing, "schedule", roles=FINANCE)
@click.option("--entity", "entity_id", required=True, type=int, help="The legal entity.")
@click.option("--every", "cadence", required=True, type=click.Choice(["weekly", "ten_days", "monthly"]))
@click.option("--weekday", type=click.IntRange(1, 7), help="The day on which a week begins: 1 for Monday.")
@click.option("--starts-on", required=True, metavar="YYYY-MM-DD", help="The first day billed, before any run.")
@click.option("--payout-days", default=1, show_default=True, help="Days from a period's last day to its payouts.")
@click.option("--off", is_flag=True, help="Keep the schedule, and open no runs by it.")
async def schedule(session: Session, starts_on: str, off: bool, cadence: str, **options: int | None) -> Outcome:
    """Bill an entity's days by the clock: a worker opens and previews each run, a person approves it."""
    given = {"starts_on": day(starts_on, "--starts-on"), "cadence": cadence, "active": not off, **options}
    wanted = msgspec.convert(given, Schedule)
    stored = await session.db.write(WORKER, session.actor, set_schedule, wanted)

    def show() -> None:
        state = "is opened" if wanted.active else "would be opened"
        out.print(f"Entity {wanted.entity_id}: the run of {stored.next_period} {state} on {stored.opens_on}.")

    return Outcome(stored, show=show)


@command(billing, "list")
async def list_runs(session: Session) -> Outcome:
    """The billing runs, the newest first."""
    async with session.db.read(STAFF) as tx:
        runs = await store.list_runs(tx, limit=store.PAGE_MAX)

    def show() -> None:
        for run in runs:
            out.print(f"{run.run_id}  {run.period.name}  {run.state}")
        if not runs:
            out.print("No billing runs yet: `marketplace billing run --period YYYY-MM` drafts the first.")

    return Outcome({"runs": runs}, show=show)


def _shown(result: run_billing.RunResult) -> Outcome:
    run = result.run
    value = {"period": run.period.name} | msgspec.structs.asdict(result)

    def show() -> None:
        out.print(f"Run {run.run_id} of {run.period.name} is [bold]{run.state}[/].")
        if run.single_operator:
            out.print(f"[yellow]Made and approved by one person, {run.approved_by}, under single_operator.[/]")
        table = Table("", *(total.currency for total in result.totals), box=None)
        for name in ("statements", "orders"):
            table.add_row(name, *(f"{getattr(total, name):,}" for total in result.totals))
        for name in ("opening_minor", *COLUMNS, "closing_minor"):
            amounts = [text_from_minor(getattr(total, name), total.currency) for total in result.totals]
            table.add_row(name.removesuffix("_minor"), *amounts)
        to_pay = [f"{t.payouts:,} of {text_from_minor(t.payouts_minor, t.currency)}" for t in result.totals]
        table.add_row("instructed to pay", *to_pay)
        out.print(table)
        if result.parked:
            out.print(f"[yellow]{result.parked:,} statements are parked: `billing parked {run.run_id}` says why.[/]")
        if result.progress is not None:
            out.print(f"At work: {result.progress.done:,} of {result.progress.total:,} buckets of merchants are done.")
        if result.unsettled:
            counted = f"{result.unsettled:,} orders delivered by the end of {run.period.name} are not settled"
            out.print(f"[yellow]{counted}: once the month is closed they count in the next open one.[/]")

    return Outcome(value, show=show)


@command(cli, "verify")
async def verify(session: Session) -> Outcome:
    """Prove the books: every invariant as SQL over the stored rows. Exit status 3 when one does not hold."""
    verified = await verify_books(session.db)
    return Outcome(verified, 0 if verified.ok else EXIT_INCOMPLETE, lambda: _show_proofs(verified))


def _show_proofs(verified: Verified) -> None:
    table = Table("", "invariant", "states", box=None)
    for proof in verified.proofs:
        mark = "[green]holds[/]" if proof.ok else f"[red]{proof.violations} against[/]"
        table.add_row(mark, proof.name, proof.states)
        for example in proof.examples:
            table.add_row("", "", f"[red]{example}[/]")
    out.print(table)
    open_items = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in verified.open_items.items())
    out.print(f"{verified.entries:,} entries; open: {open_items}", highlight=False)
