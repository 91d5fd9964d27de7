"""What a database holds, to be compared with what another holds, or held."""

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.tables import qualified
from marketplace.tables import metadata
from tests.conftest import NOW

IGNORED_TABLES = {"core.work_batch", "core.work_item", "core.audit", "core.outbox"}
IGNORED_COLUMNS = {"batch_id", "change_id"}


async def contents(url: str) -> dict[str, list[str]]:
    """Every row of every business table as text, and the deeds in the audit trail, whatever their ids."""
    db = Database(url, FixedClock(NOW), pool_size=1)
    found: dict[str, list[str]] = {}
    async with db.read(WORKER) as tx:
        for table in metadata.sorted_tables:
            if qualified(table) in IGNORED_TABLES:
                continue
            columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in IGNORED_COLUMNS)
            rows = await tx.rows(f"SELECT row({columns})::text AS line FROM {qualified(table)} ORDER BY 1")
            found[qualified(table)] = [row.line for row in rows]
        # A settlement that resumes looks once more for what is due, and plans a pass for what stays parked.
        for name, query in {
            "deeds": "SELECT action || subject || detail AS line FROM core.audit WHERE action <> 'settlement planned'",
            "events": "SELECT topic || payload AS line FROM core.outbox",
        }.items():
            found[name] = sorted(row.line for row in await tx.rows(query))
    await db.close()
    return found
