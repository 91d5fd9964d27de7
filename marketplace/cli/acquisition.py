"""`marketplace funnel …`: how leads become merchants, and what became of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import rich_click as click
from rich.table import Table

from marketplace.cli.base import Outcome, Session, command, out
from marketplace.cli.root import cli
from marketplace.core.db import STAFF
from marketplace.core.money import text_from_minor
from marketplace.core.rates import PPM
from marketplace.flows.acquisition.show_funnel import ShowFunnel, show_funnel, trace_won
from supply.funnels.report import Figures, FunnelReport, WonFigures
from supply.leads.model import Model

_DAY = click.DateTime(["%Y-%m-%d"])


class Shown(msgspec.Struct, frozen=True):
    """What `funnel show` prints."""

    funnel: FunnelReport
    won: list[WonFigures]


@cli.group("funnel")
def funnel() -> None:
    """Acquisition: funnels of leads."""


@command(funnel, "show")
@click.option("--model", type=click.Choice([str(model) for model in Model]), default="platform", show_default=True)
@click.option("--version", "version_no", type=click.IntRange(min=1), help="A version of the funnel [the newest].")
@click.option("--from", "from_on", type=_DAY, help="The first day of those it is about.")
@click.option("--to", "to_on", type=_DAY, help="The day after the last one.")
@click.option("--window", "window_days", type=click.IntRange(0, 3650), help="Count who goes on within so many days.")
@click.option("--channel", help="A channel's code, with all below it.")
async def show(
    session: Session,
    model: str,
    version_no: int | None,
    from_on: datetime | None,
    to_on: datetime | None,
    window_days: int | None,
    channel: str | None,
) -> Outcome:
    """A funnel by stage, channel and month, and what the won have sold since."""
    cmd = ShowFunnel(
        model=Model(model), version_no=version_no, from_on=_day(from_on), to_on=_day(to_on), window_days=window_days,
        channel=channel,
    )  # fmt: skip
    async with session.db.read(STAFF) as tx:
        shown = Shown(await show_funnel(tx, cmd), await trace_won(tx, cmd))
    return Outcome(shown, show=lambda: _print(shown))


def _day(at: datetime | None) -> date | None:
    return at.date() if at else None


def _print(shown: Shown) -> None:
    found = shown.funnel
    rows = [(stage.stage, stage.figures) for stage in found.stages]
    rows += [(f"to {found.won_stage}", found.won)]
    rows += [(each.channel or "", each.figures) for each in found.channels]
    rows += [(f"{each.month:%Y-%m}", each.figures) for each in found.months]
    table = Table("", *_HEADINGS, box=None, pad_edge=False)
    for name, figures in rows:
        table.add_row(name, *_cells(figures))
    out.print(table)
    sales = Table("channel", "won", "sold", "not yet", "days to first sale", "goods", box=None, pad_edge=False)
    for each in shown.won:
        goods = ", ".join(
            f"{text_from_minor(minor, currency)} {currency}" for currency, minor in each.gmv_minor.items()
        )
        sales.add_row(each.channel, *_texts([each.won, each.with_orders, each.without_orders, each.median_days]), goods)
    out.print(sales)


_HEADINGS = ("entered", "went on", "in time", "%", "mature", "median days", "of those done")


def _cells(figures: Figures) -> list[str]:
    share = None if figures.conversion_ppm is None else f"{100 * figures.conversion_ppm / PPM:.2f}"
    return _texts(
        [figures.entered, figures.done, figures.converted, share, "yes" if figures.mature else "not yet",
         figures.median_days, figures.median_days_done]
    )  # fmt: skip


def _texts(values: Sequence[Any]) -> list[str]:
    return ["" if value is None else str(value) for value in values]
