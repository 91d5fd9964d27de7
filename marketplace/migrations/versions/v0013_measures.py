"""Measures: what is promised to merchants before it settles."""

from importlib.resources import files

from alembic import op

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0013_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
