"""Which claims on payers have a document: those sent before payers had any do not."""

from importlib.resources import files

from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0018_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
