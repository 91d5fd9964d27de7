"""Reconciliation: what a person took apart stays apart; refunds are expected by attempt."""

from importlib.resources import files

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0010_recon_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
