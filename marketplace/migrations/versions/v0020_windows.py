"""The newest version of a window is found without reading all of it; listings say since when they are any."""

from importlib.resources import files

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    script = (files("marketplace.migrations") / "sql" / "0020_changes.sql").read_text()
    for statement in script.split("\n;;\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
