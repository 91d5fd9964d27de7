"""Buyers' windows are of one legal entity, which their keys say; and their grants are found by id."""

from importlib.resources import files

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0019_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
