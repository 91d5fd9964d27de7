"""The last results of what pages cannot wait for; and the index by which history is read as orders arrived."""

from importlib.resources import files

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    for name in ("0023_changes.sql", "0023_last_checks.sql"):
        script = (files("marketplace.migrations") / "sql" / name).read_text()
        for statement in script.split("\n;;\n"):
            if statement.strip():
                op.get_bind().exec_driver_sql(statement)
