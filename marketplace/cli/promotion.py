"""`marketplace promotion …`: what a promotion would have cost, before anybody approves it."""

from pathlib import Path

import msgspec
import rich_click as click
from rich.table import Table

from incentives.rules.model import Terms
from incentives.simulation.report import Simulation, digest_of
from incentives.simulation.scenarios import Response
from marketplace.cli.base import EXIT_INCOMPLETE, Outcome, Session, command, out, progress_bar
from marketplace.cli.billing import day
from marketplace.cli.root import cli
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.core.rates import PPM
from marketplace.flows.promotions.simulate_promotion import Recorded, simulate_terms


@cli.group("promotion")
def promotion() -> None:
    """Try promotions out."""


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
