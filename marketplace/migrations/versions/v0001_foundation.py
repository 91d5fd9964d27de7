"""The foundation: merchants, orders, ledger, contracts, runs, payouts."""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0001_foundation.sql").read_text()
    for statement in script.split("\n;;\n"):
        op.get_bind().exec_driver_sql(statement)
