"""Write the SQL of a first version from the metadata:

    python -m marketplace.migrations.render > marketplace/migrations/sql/0001_foundation.sql

Run once per schema that has no released version yet; a released version's file is never written again.
"""

from collections.abc import Iterator

from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from billing.ledger.functions import FUNCTIONS, POSTING_VIEW
from marketplace.core.db import Role
from marketplace.core.security import security_statements
from marketplace.core.tables import SCHEMAS
from marketplace.tables import metadata

SEPARATOR = "\n;;\n"
"""Between statements; a plain semicolon also stands inside function bodies."""


def statements(tables: MetaData) -> Iterator[str]:
    """Schemas, functions, tables, indexes, the posting view, roles, privileges and policies."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy does not annotate its constructor
    for schema in SCHEMAS:
        yield f"CREATE SCHEMA {schema}"
    yield from FUNCTIONS
    for table in tables.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    yield POSTING_VIEW
    yield from security_statements(tables)
    yield f"GRANT SELECT ON billing.posting TO {Role.STAFF}, {Role.WORKER}, {Role.MERCHANT}"


if __name__ == "__main__":
    print(SEPARATOR.join(statement.strip().replace("\t", "    ") for statement in statements(metadata)))  # noqa: T201
