"""Buyers join promotions; their windows are of one legal entity, which the keys say; their grants are found by id."""

from importlib.resources import files

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    for name in ("0019_changes.sql", "0019_buyers.sql"):
        script = (files("marketplace.migrations") / "sql" / name).read_text()
        for statement in script.split("\n;;\n"):
            if statement.strip():
                op.get_bind().exec_driver_sql(statement)
