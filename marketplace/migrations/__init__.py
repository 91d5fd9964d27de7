"""Schema versions, applied by Alembic. They go forward only."""
