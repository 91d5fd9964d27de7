"""`marketplace db`: backing up, restoring, upgrading, and spreading over a cluster."""

from pathlib import Path

import rich_click as click
from rich.table import Table

from marketplace import backup as backups
from marketplace import cluster
from marketplace.bootstrap import database_url
from marketplace.cli.base import Outcome, bare_command, out
from marketplace.cli.root import cli
from marketplace.cli.system import bring_up_to_date
from marketplace.core.errors import Conflict
from marketplace.core.pgembed import upgrade_embedded
from marketplace.settings import Settings


@cli.group()
def db() -> None:
    """Back up, restore and upgrade the database, or spread it over a cluster."""


def _file(value: str) -> Path:
    return Path(value).expanduser().absolute()


@bare_command(db, "backup")
@click.argument("file", type=_file)
async def backup(settings: Settings, file: Path) -> Outcome:
    """Write the whole database into FILE, as of one instant, while everything goes on working."""
    url = await database_url(settings)
    return Outcome(await backups.back_up(url, file, embedded=settings.database_url is None, citus=settings.citus))


@bare_command(db, "restore")
@click.argument("file", type=_file)
@click.option("--replace", is_flag=True, help="Drop the marketplace that the database holds first.")
async def restore(settings: Settings, file: Path, replace: bool) -> Outcome:
    """Fill the database from FILE, a backup: wholly or, if anything fails, not at all.

    A database that holds a marketplace is refused unless --replace is given.
    """
    url = await database_url(settings)
    restored = await backups.restore(url, file, embedded=settings.database_url is None, replace=replace)
    if settings.citus:
        await cluster.distribute(url)
    return Outcome(restored)


@bare_command(db, "upgrade")
async def upgrade(settings: Settings) -> Outcome:
    """Bring data of an older release to this one: the embedded server's data folder, then the schema.

    A server of your own is upgraded by its own tools; here only its schema is. Make a backup first: there is no way
    back from an upgrade but a backup.
    """
    value: dict[str, object] = {}
    if settings.database_url is None:
        before, after = upgrade_embedded(settings.home)
        value["postgresql"] = {"before": before, "after": after}
        if before not in {None, after}:
            value["old_data"] = str(settings.home / "postgresql.old")
    value["schema"] = await bring_up_to_date(settings)
    return Outcome(value)


@bare_command(db, "distribute")
@click.option("--shards", default=cluster.SHARDS, show_default=True, help="Shards per kind of key.")
async def distribute(settings: Settings, shards: int) -> Outcome:
    """Place every table on the Citus cluster whose coordinator MARKETPLACE_DATABASE_URL names.

    May be run again at any time; afterwards set MARKETPLACE_CITUS=true for every process.
    """
    if settings.database_url is None:
        raise Conflict("the embedded server is a single one: set MARKETPLACE_DATABASE_URL to a Citus coordinator")
    await bring_up_to_date(settings)
    placed = await cluster.distribute(settings.database_url, shards=shards)

    def show() -> None:
        table = Table("table", "place", "key", "shares shards with group")
        for row in placed:
            table.add_row(row.table, row.place, row.key or "", str(row.colocation or ""))
        out.print(table)

    return Outcome({"tables": placed}, show=show)
