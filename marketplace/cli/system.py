"""`marketplace migrate` and `marketplace worker`."""

from billing.payments.store import ensure_processor
from marketplace.bootstrap import database_url, open_database
from marketplace.cli.base import Outcome, Session, bare_command, command
from marketplace.cli.root import cli
from marketplace.cluster import distribute
from marketplace.core.db import WORKER
from marketplace.migrate import migrate
from marketplace.processors.client import open_processors
from marketplace.settings import Settings
from marketplace.worker import ACTOR, chores_with, jobs_of, run_worker, stop_on_signals


async def bring_up_to_date(settings: Settings) -> dict[str, str | None]:
    """Migrate, place new tables on a cluster, and store what every marketplace needs; the versions before and after."""
    url = await database_url(settings)
    before, after = await migrate(url)
    if settings.citus:
        await distribute(url)
    async with open_database(settings):
        return {"before": before, "after": after}


@bare_command(cli, "migrate")
async def migrate_schema(settings: Settings) -> Outcome:
    """Bring the database to this program's schema version, as its owner. A newer database is refused."""
    return Outcome(await bring_up_to_date(settings))


@command(cli, "worker")
async def worker(session: Session) -> Outcome:
    """Run jobs, scheduled work and open batches until stopped; start as many as there is work for, anywhere."""
    async with open_processors(session.settings) as processors:
        for name in processors:
            await session.db.write(WORKER, ACTOR, ensure_processor, name)
        await run_worker(
            session.db,
            stop_on_signals(),
            jobs_by_name=jobs_of(session.settings),
            chores=chores_with(processors),
        )
    return Outcome({"stopped": True})
