"""The last results of what pages cannot wait for."""

from importlib.resources import files

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0023_last_checks.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
