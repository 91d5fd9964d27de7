"""`marketplace promotion …`: what a promotion would have cost, how it stands, and what it has changed."""

from pathlib import Path

import msgspec
import rich_click as click
from rich.table import Table

from incentives.experiments.findings import Findings
from incentives.experiments.store import find_review
from incentives.grants.store import granted_minor
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion, Version
from incentives.rules.model import Terms
from incentives.simulation import store as simulations
from incentives.simulation.report import Simulation, Warned, digest_of
from incentives.simulation.scenarios import Response
from marketplace.cli.base import EXIT_INCOMPLETE, Outcome, Session, command, out, progress_bar
from marketplace.cli.billing import day
from marketplace.cli.root import cli
from marketplace.core.db import WORKER
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.core.rates import PPM
from marketplace.flows.promotions.pass_gate import warnings_of
from marketplace.flows.promotions.review_promotion import look_back
from marketplace.flows.promotions.simulate_promotion import Recorded, simulate_terms


@cli.group("promotion")
def promotion() -> None:
    """Try promotions out, look at them, and back on them."""


@command(promotion, "simulate")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--from", "from_on", required=True, metavar="YYYY-MM-DD", help="The first recorded local day.")
@click.option("--to", "to_on", required=True, metavar="YYYY-MM-DD", help="The last one.")
@click.option("--expect-volume", type=click.IntRange(0, 100), default=10, show_default=True, help="More sales, in %.")
@click.option("--expect-reach", type=click.IntRange(0, 100), default=10, show_default=True, help="Who is short, in %.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the lots of the intervals.")
async def simulate(
    session: Session, file: Path, from_on: str, to_on: str, expect_volume: int, expect_reach: int, seed: int
) -> Outcome:
    """Replay the terms of FILE (JSON) over recorded orders: cost, exhaustion, who gains, what speaks against it.

    Nothing is stored. The status is 3 when something speaks against it.
    """
    recorded = Recorded(
        from_on=day(from_on, "--from"),
        to_on=day(to_on, "--to"),
        expected=Response(volume_ppm=expect_volume * PPM // 100, reach_ppm=expect_reach * PPM // 100),
        seed=seed,
    )
    terms = _terms(file)
    with progress_bar("Simulation") as show:

        async def told(done: int, total: int) -> None:
            show(done, total)

        made = await simulate_terms(session.db, terms, recorded, on_progress=told)
    value = {"digest": digest_of(made), "simulation": made}
    return Outcome(value, EXIT_INCOMPLETE if made.warnings else 0, lambda: _show(made, terms.currency))


def _terms(file: Path) -> Terms:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Terms, strict=True)
    except OSError as fault:
        raise Invalid(f"{file}: {fault.strerror}") from fault
    except msgspec.DecodeError as fault:
        raise Invalid(f"{file}: {fault}") from fault


def _show(made: Simulation, currency: str) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = [
        ("cost", text_from_minor(made.limited.cost_minor, currency)),
        ("cost without budgets", text_from_minor(made.unlimited.cost_minor, currency)),
        ("with the expected response", text_from_minor(made.expected.cost_minor, currency)),
        ("paid for what happens anyway", f"{made.deadweight_ppm / 10_000:.1f} %"),
        ("exhausted on", str(made.limited.exhausted_on or "never")),
        ("gaining", f"{made.limited.gains.gaining:,} of {made.limited.gains.parties:,}"),
        ("the top 1 % get", f"{made.limited.gains.top_share_ppm / 10_000:.1f} %"),
    ]
    for name, value in rows:
        table.add_row(name, value)
    out.print(table)
    for warning in made.warnings:
        out.print(f"[bold yellow]{warning.name}:[/] {warning.detail}", highlight=False)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion with its newest version, what it has burned, and what its simulation warns of."""

    promotion: Promotion
    version: Version
    spent_minor: int
    warnings: tuple[Warned, ...]


@command(promotion, "show")
@click.argument("promotion_id", metavar="PROMOTION", type=int)
async def show(session: Session, promotion_id: int) -> Outcome:
    """How a promotion stands: its state, what it has granted, and what speaks against its newest version."""
    async with session.db.read(WORKER) as tx:
        found = await promotions.get_promotion(tx, promotion_id)
        version = await promotions.get_version(tx, promotion_id)
        simulated = await simulations.newest_done(tx, promotion_id, version.version_no)
        granted = await granted_minor(tx, promotion_id)
    spent = sum(minor for state, minor in granted.items() if state != "void")
    warnings = tuple(warnings_of(version.terms, simulated))
    value = Shown(promotion=found, version=version, spent_minor=spent, warnings=warnings)
    return Outcome(value, show=lambda: _show_promotion(value))


def _show_promotion(of: Shown) -> None:
    told = of.promotion
    out.print(f"{told.name}: {told.state}, version {of.version.version_no} {of.version.state}", highlight=False)
    out.print(f"granted {text_from_minor(of.spent_minor, told.currency)} {told.currency}", highlight=False)
    for warning in of.warnings:
        out.print(f"[bold yellow]{warning.name}:[/] {warning.detail}", highlight=False)


@command(promotion, "review")
@click.argument("promotion_id", metavar="PROMOTION", type=int)
async def review(session: Session, promotion_id: int) -> Outcome:
    """What a promotion has changed and cost by now, or as it was frozen in its review."""
    async with session.db.read(WORKER) as tx:
        currency = (await promotions.get_promotion(tx, promotion_id)).currency
        written = await find_review(tx, promotion_id)
        found = await look_back(tx, promotion_id) if written is None else written.findings
    return Outcome({"findings": found, "review": written}, show=lambda: _show_findings(found, currency))


def _show_findings(of: Findings, currency: str) -> None:
    out.print(f"cost {text_from_minor(of.cost_minor, currency)} {currency}", highlight=False)
    if of.observational:
        out.print("nobody was held out to compare with: there is no estimate of what it changed")
    if of.observed is not None:
        low, middle, high = (
            text_from_minor(minor, currency)
            for minor in (
                of.observed.effect_minor.low,
                of.observed.effect_minor.estimate,
                of.observed.effect_minor.high,
            )
        )
        out.print(f"observational: {middle} {currency} more than {of.observed.others} others, {low} to {high}")
    for rail in of.guardrails:
        if rail.flagged:
            out.print(f"look at {rail.name}: {rail.value.low} to {rail.value.high}", highlight=False)
    for each in of.comparisons:
        low, middle, high = (
            text_from_minor(minor, currency)
            for minor in (each.effect_minor.low, each.effect_minor.estimate, each.effect_minor.high)
        )
        out.print(f"{each.arm}: {middle} {currency} more sales per merchant, {low} to {high}", highlight=False)
