"""What a merchant bears of its buyers' rebates has a column of its own on statements; it stood in `other` before."""

from importlib.resources import files

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0027_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
