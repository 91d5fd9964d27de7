"""Orders in motion: carts, stock, payments, refunds, disputes, amendments, onboarding, webhooks, limits."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("0003_changes.sql", "0003_orders_in_motion.sql"):
        script = (files("marketplace.migrations") / "sql" / name).read_text()
        for statement in script.split("\n;;\n"):
            op.get_bind().exec_driver_sql(statement)
