"""The job queue: PgQueuer's tables, as of its release 1.6, in the schema `core`; on a cluster, of the coordinator."""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0002_jobs.sql").read_text()
    for statement in script.split("\n;;\n"):
        op.get_bind().exec_driver_sql(statement)
