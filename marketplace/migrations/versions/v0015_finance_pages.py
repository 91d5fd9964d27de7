"""Pages of finance and payers: a payer accepts a claim."""

from importlib.resources import files

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0015_finance_pages_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
