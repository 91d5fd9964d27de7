"""`marketplace metrics …`: the figures by which the market is steered, and why they moved."""

from datetime import date, datetime
from typing import Any

import rich_click as click
from rich.table import Table

from marketplace.cli.base import Outcome, Session, command, out
from marketplace.cli.root import cli
from marketplace.core.db import STAFF
from marketplace.core.money import text_from_minor
from marketplace.core.rates import PPM
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.show_metrics import AskMetrics, MetricFigures, Tree, show_metrics, show_tree
from marketplace.metrics.definitions import Unit
from marketplace.metrics.drivers import NORTH_STAR

_DAY = click.DateTime(["%Y-%m-%d"])
_OPTIONS = (
    click.option("--from", "from_on", type=_DAY, help="The first day [the Monday of the last whole week]."),
    click.option("--to", "to_on", type=_DAY, help="The day after the last one."),
    click.option("--against-from", type=_DAY, help="The first day of what it is compared with [as many days before]."),
    click.option("--against-to", type=_DAY, help="The day after its last one."),
    click.option("--entity", "entity_id", type=int, help="The legal entity [the first]."),
    click.option("--currency", metavar="EUR", help="The currency [the entity's]."),
)


def _period(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@cli.group("metrics")
def metrics() -> None:
    """Steering: figures, what drives them, and why they moved."""


@command(metrics, "show")
@click.argument("names", nargs=-1)
@click.option("--merchant", "merchant_id", type=int, help="Of one merchant only.")
@_period
async def show(session: Session, names: tuple[str, ...], merchant_id: int | None, **period: Any) -> Outcome:
    """Figures of a period and of the one before; all of them, or those named."""
    cmd = _asked(period, merchant_id=merchant_id)
    await roll_metrics(session.db, "metrics")
    async with session.db.read(STAFF) as tx:
        shown = await show_metrics(tx, cmd, names or None)
    return Outcome(shown, show=lambda: _print(shown))


@command(metrics, "explain")
@click.argument("name", default=NORTH_STAR)
@_period
async def explain(session: Session, name: str, **period: Any) -> Outcome:
    """Why a figure moved: each driver's part of the change, which sum to it."""
    await roll_metrics(session.db, "metrics")
    async with session.db.read(STAFF) as tx:
        tree = await show_tree(tx, _asked(period), name)
    return Outcome(tree, show=lambda: _print_tree(tree))


def _asked(period: dict[str, Any], **more: Any) -> AskMetrics:
    known: dict[str, Any] = {name: _day(value) for name, value in period.items()}
    return AskMetrics(**known, **more)


def _day(value: Any) -> date | Any:
    return value.date() if isinstance(value, datetime) else value


def text_of(value: int | None, unit: Unit, currency: str) -> str:
    """A figure as a person reads it; nothing where it is not defined."""
    if value is None:
        return ""
    if unit is Unit.MINOR:
        return f"{text_from_minor(value, currency)} {currency}"
    return f"{value / PPM:,.4f}" if unit is Unit.RATIO else f"{value:,}"


def _print(shown: MetricFigures) -> None:
    asked = shown.asked
    table = Table("", f"{asked.from_on} to {asked.to_on}", f"{asked.against_from} to {asked.against_to}", "change %",
                  "mature", "not known", box=None, pad_edge=False)  # fmt: skip
    for each in shown.figures:
        change = "" if each.change_ppm is None else f"{100 * each.change_ppm / PPM:+.1f}"
        value, was = (text_of(number, each.unit, asked.currency) for number in (each.value, each.before))
        table.add_row(each.name, value, was, change, "yes" if each.mature else "not yet", ", ".join(each.missing))
    out.print(table)


def _print_tree(tree: Tree) -> None:
    table = Table("", "after", "before", "its part", box=None, pad_edge=False)
    for node in tree.nodes:
        values = (text_of(number, node.unit, tree.asked.currency) for number in (node.after, node.before))
        part = text_of(node.contribution, tree.unit, tree.asked.currency) or "not defined"
        table.add_row("  " * node.level + node.name, *values, part)
    out.print(table)
