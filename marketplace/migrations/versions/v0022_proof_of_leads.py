"""What shows that a lead was won, and whose leads a territory's pool holds."""

from importlib.resources import files

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0022_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
