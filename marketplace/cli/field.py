"""`marketplace territories, pools, fairs …`: by whom and where merchants are won."""

import rich_click as click
from rich.table import Table

from marketplace.cli.base import Outcome, Session, command, out
from marketplace.cli.root import cli
from marketplace.core.db import STAFF, WORKER
from marketplace.core.money import text_from_minor
from marketplace.core.rates import PPM
from marketplace.flows.acquisition.attend_fairs import FairReport, weigh_fair
from marketplace.flows.acquisition.claim_leads import deal_leads
from marketplace.flows.acquisition.show_field import (
    FairShown,
    PoolShown,
    TerritoryShown,
    show_fairs,
    show_pools,
    show_territories,
)
from marketplace.flows.steering.show_metrics import AskMetrics, scope_of

_ID = click.IntRange(1, 2**63 - 1)


@cli.group("territories")
def territories() -> None:
    """Acquisition: territories with their managers, places and reps."""


@command(territories, "list")
async def list_territories(session: Session) -> Outcome:
    """Every territory, each below the one it belongs to: who manages it, its places, its reps, its own leads."""
    async with session.db.read(STAFF) as tx:
        shown = await show_territories(tx)
    return Outcome(shown, show=lambda: _print_territories(shown))


def _print_territories(shown: list[TerritoryShown]) -> None:
    table = Table("territory", "id", "manager", "places", "reps", "leads", box=None, pad_edge=False)
    for each in shown:
        places = ", ".join(f"{area.city}, {area.region}" if area.city else area.region for area in each.areas)
        reps = ", ".join(rep.login if rep.active else f"{rep.login} (not in service)" for rep in each.reps)
        name = "  " * each.level + each.name
        table.add_row(name, str(each.territory_id), each.manager or "", places, reps, f"{each.leads:,}")
    out.print(table)


@cli.group("pools")
def pools() -> None:
    """Acquisition: pools of leads, their rules, and dealing leads out."""


@command(pools, "list")
async def list_pools(session: Session) -> Outcome:
    """Every pool with its rules, and how many of its leads wait or are held by reps."""
    async with session.db.read(STAFF) as tx:
        shown = await show_pools(tx)
    return Outcome(shown, show=lambda: _print_pools(shown))


_RULES = ("daily_max", "stock_max", "protection_days", "idle_days", "outcome_days", "cooling_days")


def _print_pools(shown: list[PoolShown]) -> None:
    headings = ("a day", "at a time", "protected", "idle", "outcome", "cooling")
    table = Table("pool", "id", "territory", "waiting", "held", *headings, box=None, pad_edge=False)
    for each in shown:
        rules = [str(getattr(each.pool, name)) for name in _RULES]
        of = (each.pool.name, str(each.pool.pool_id), each.territory or "", f"{each.waiting:,}", f"{each.held:,}")
        table.add_row(*of, *rules)
    out.print(table)


@command(pools, "deal", roles=("growth",))
@click.argument("pool_id", metavar="POOL", type=_ID)
@click.option("--count", required=True, type=click.IntRange(1, 1_000), help="At most so many leads.")
async def deal(session: Session, pool_id: int, count: int) -> Outcome:
    """Deal the most promising leads of a pool out to the reps of its territory, one to each in turn."""
    dealt = await session.db.write(WORKER, session.actor, deal_leads, pool_id, count)
    return Outcome(dealt, show=lambda: out.print(f"{len(dealt.leads)} leads dealt out", highlight=False))


@cli.group("fairs")
def fairs() -> None:
    """Acquisition: conferences and trade fairs, who was met there, and what they cost per deal."""


@command(fairs, "list")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="At most so many.")
async def list_fairs(session: Session, limit: int) -> Outcome:
    """Fairs, the latest first, with who was registered, who was met, and who became a lead."""
    async with session.db.read(STAFF) as tx:
        shown = await show_fairs(tx, limit=limit)
    return Outcome(shown, show=lambda: _print_fairs(shown))


def _print_fairs(shown: list[FairShown]) -> None:
    table = Table(
        "fair", "id", "place", "from", "to", "channel", "registered", "met", "leads", box=None, pad_edge=False
    )
    for each in shown:
        of = each.fair
        days = (str(of.starts_on), str(of.ends_on))
        counts = (f"{number:,}" for number in (each.registered, each.met, each.leads))
        table.add_row(of.name, str(of.fair_id), of.place, *days, each.channel, *counts)
    out.print(table)


@command(fairs, "show")
@click.argument("fair_id", metavar="FAIR", type=_ID)
@click.option("--currency", metavar="EUR", help="The currency [the first legal entity's].")
async def show(session: Session, fair_id: int, currency: str | None) -> Outcome:
    """What a fair has cost, who was met and followed up, and the deals that came of it."""
    async with session.db.read(STAFF) as tx:
        of, _, _ = await scope_of(tx, AskMetrics(currency=currency))
        found = await weigh_fair(tx, fair_id, of.currency)
    return Outcome(found, show=lambda: _print_report(found))


def _print_report(of: FairReport) -> None:
    def money(minor: int | None) -> str:
        return "" if minor is None else f"{text_from_minor(minor, of.currency)} {of.currency}"

    deals = of.deals_per_thousand_ppm
    rows = [
        ("fair", f"{of.fair.name}, {of.fair.starts_on} to {of.fair.ends_on}"),
        ("spent", money(of.spent_minor)),
        *((f"  {kind}", money(minor)) for kind, minor in of.spent_by_kind.items()),
        ("registered", f"{of.registered:,}"),
        ("met", f"{of.met:,}"),
        ("leads", f"{of.leads:,}"),
        ("followed up", f"{of.followed_up:,}"),
        ("deals", f"{of.deals:,}"),
        ("activated", f"{of.activated:,}"),
        ("cost per lead", money(of.cost_per_lead_minor)),
        ("cost per deal", money(of.cost_per_deal_minor)),
        ("cost per activated", money(of.cost_per_activated_minor)),
        (f"deals per 1,000 {of.currency}", "" if deals is None else f"{deals / PPM:.2f}"),
    ]
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in rows:
        table.add_row(name, value)
    out.print(table)
