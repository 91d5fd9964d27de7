"""Incentives: budgets, campaigns, promotions and their versions, grants."""

from importlib.resources import files

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name in ("0005_changes.sql", "0005_incentives.sql"):
        script = (files("marketplace.migrations") / "sql" / name).read_text()
        for statement in script.split("\n;;\n"):
            op.get_bind().exec_driver_sql(statement)
