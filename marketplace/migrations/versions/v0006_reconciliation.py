"""Reconciliation: what banks and processors say."""

from importlib.resources import files

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0006_reconciliation.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
