"""What people are told of; and the indexes by which pages count open orders and what was placed by day."""

from importlib.resources import files

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for name in ("0016_changes.sql", "0016_notices.sql"):
        script = (files("marketplace.migrations") / "sql" / name).read_text()
        for statement in script.split("\n;;\n"):
            if statement.strip():
                op.get_bind().exec_driver_sql(statement)
