"""The cluster's database, for the import on Citus."""

from tests.ops.conftest import citus_db, citus_url

__all__ = ["citus_db", "citus_url"]
