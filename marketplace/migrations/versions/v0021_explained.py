"""Reconciliation: people explain differences, what is not due need not be answered, old fee lines stay as they are."""

from importlib.resources import files

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0021_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
