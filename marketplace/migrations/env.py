"""Alembic's entry: runs the versions on the connection that `marketplace.core.migrate` hands in."""

from alembic import context

from marketplace.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_schemas=True,
    version_table="schema_version",
    version_table_schema="public",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
