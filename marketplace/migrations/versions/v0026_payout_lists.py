"""The indexes by which payouts of all merchants are listed, by their day and by their amount."""

from importlib.resources import files

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0026_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
