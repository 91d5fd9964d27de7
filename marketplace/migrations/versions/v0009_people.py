"""People: second factors, invitations and resets by link, mails, sign-in with a provider, viewing as a merchant."""

from importlib.resources import files

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for name in ("0009_changes.sql", "0009_people.sql"):
        script = (files("marketplace.migrations") / "sql" / name).read_text()
        for statement in script.split("\n;;\n"):
            if statement.strip():
                op.get_bind().exec_driver_sql(statement)
