"""Courses with their attempts and certificates; content, and the indexes by which it finds whom it has won."""

from importlib.resources import files

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    for name in ("0024_changes.sql", "0024_academy.sql"):
        script = (files("marketplace.migrations") / "sql" / name).read_text()
        for statement in script.split("\n;;\n"):
            if statement.strip():
                op.get_bind().exec_driver_sql(statement)
