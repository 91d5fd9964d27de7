"""`marketplace channels …`: where leads come from, what that has cost, and what it has brought."""

from datetime import date, datetime, timedelta
from typing import get_args

import rich_click as click
from rich.table import Table

from marketplace.cli.base import Outcome, Session, command, out
from marketplace.cli.root import cli
from marketplace.core.db import STAFF
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.core.rates import PPM
from marketplace.flows.acquisition.show_field import ChannelShown, show_channels
from marketplace.flows.acquisition.weigh_channels import (
    By,
    ChannelEconomics,
    Economics,
    WeighChannels,
    weigh_channels,
)
from marketplace.flows.steering.show_metrics import AskMetrics, scope_of
from supply.leads.attribution import AttributionModel
from supply.leads.model import Model

DAYS = 90
"""How many days are weighed where none are named."""
_DAY = click.DateTime(["%Y-%m-%d"])


@cli.group("channels")
def channels() -> None:
    """Acquisition: the tree of channels, and the unit economics of what they bring."""


@command(channels, "tree")
async def tree(session: Session) -> Outcome:
    """Every channel, each below the one it belongs to, with the leads that came by it alone."""
    async with session.db.read(STAFF) as tx:
        shown = await show_channels(tx)
    return Outcome(shown, show=lambda: _print_tree(shown))


def _print_tree(shown: list[ChannelShown]) -> None:
    table = Table("channel", "name", "leads", "", box=None, pad_edge=False)
    for each in shown:
        of = each.channel
        state = "" if of.active else "not in use"
        table.add_row("  " * each.level + of.code, of.name, f"{each.leads:,}", state)
    out.print(table)


@command(channels, "economics")
@click.option("--by", type=click.Choice(get_args(By)), default="channel", show_default=True, help="By what to divide.")
@click.option("--from", "from_on", type=_DAY, help=f"The first day of leads [{DAYS} days before the one behind them].")
@click.option("--to", "to_on", type=_DAY, help="The day behind the last one [tomorrow].")
@click.option("--currency", metavar="EUR", help="The currency [the first legal entity's].")
@click.option(
    "--model",
    type=click.Choice([str(each) for each in Model]),
    default="platform",
    show_default=True,
    help="Of which funnel.",
)
@click.option(
    "--attribution", type=click.Choice([str(each) for each in AttributionModel]), default="last", show_default=True,
    help="How merchants are divided over channels and campaigns.",
)  # fmt: skip
@click.option("--horizon", type=click.IntRange(1, 120), default=12, show_default=True, help="Months of the LTV.")
@click.option("--discount", type=click.IntRange(0, PPM), default=0, show_default=True, help="Of a month, in ppm.")
async def economics(
    session: Session,
    by: By,
    from_on: datetime | None,
    to_on: datetime | None,
    currency: str | None,
    model: str,
    attribution: str,
    horizon: int,
    discount: int,
) -> Outcome:
    """Cost per stage, CAC paid and fully loaded, payback and LTV:CAC of the leads that began in a period."""
    async with session.db.read(STAFF) as tx:
        of, _, _ = await scope_of(tx, AskMetrics(currency=currency))
        last = to_on.date() if to_on else of.as_of + timedelta(days=1)
        cmd = WeighChannels(
            from_on=from_on.date() if from_on else _before(last), to_on=last, currency=of.currency, by=by,
            model=Model(model), attribution=AttributionModel(attribution), horizon=horizon, discount_ppm=discount,
        )  # fmt: skip
        found = await weigh_channels(tx, cmd)
    return Outcome(found, show=lambda: _print(found))


def _before(last: date) -> date:
    try:
        return last - timedelta(days=DAYS)
    except OverflowError as fault:
        raise Invalid(f"--to: {last} has no {DAYS} days before it") from fault


_HEADINGS = ("spent", "paid", "leads", "activated", "paid CAC", "loaded CAC", "marginal CAC", "payback", "LTV",
             "LTV:CAC")  # fmt: skip


def _print(found: Economics) -> None:
    table = Table(f"by {found.by}", *_HEADINGS, box=None, pad_edge=False)
    for each in found.channels:
        table.add_row(each.channel or "none", *_cells(each, found.currency))
    table.add_row("all", *_cells(found.total, found.currency))
    out.print(f"leads of {found.from_on} to {found.to_on}, in {found.currency}", highlight=False)
    out.print(table)


def _cells(of: ChannelEconomics, currency: str) -> list[str]:
    def money(minor: int | None) -> str:
        return "" if minor is None else text_from_minor(minor, currency)

    leads = f"{of.stages[0].reached:,}" if of.stages else ""
    ltv = money(of.ltv_minor) + (" so far" if of.ltv_minor is not None and of.ltv_is_forecast else "")
    return [
        *(money(of.spent_minor), money(of.paid_minor), leads, f"{of.activated_ppm / PPM:.2f}"),
        *(money(of.cac_paid_minor), money(of.cac_loaded_minor), money(of.marginal_cac_minor)),
        *("" if of.payback_months is None else str(of.payback_months), ltv),
        "" if of.ltv_to_cac_ppm is None else f"{of.ltv_to_cac_ppm / PPM:.2f}",
    ]
