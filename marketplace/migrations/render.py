"""Write the SQL of the tables that are new in a version, from the metadata:

    python -m marketplace.migrations.render 0003_orders_in_motion

New are those that no other version's file creates. What changes in older tables is written by hand, in the version's
`…_changes.sql`. A released version's files are never written again.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from marketplace.core.security import table_statements
from marketplace.core.tables import qualified
from marketplace.tables import metadata

SQL = Path(__file__).parent / "sql"
SEPARATOR = "\n;;\n"
"""Between statements; a plain semicolon also stands inside function bodies."""


def new_tables(version: str) -> list[Table]:
    """The tables that no other version's file creates, in the order of their foreign keys."""
    others = "".join(file.read_text() for file in SQL.glob("*.sql") if file.stem != version)
    return [table for table in metadata.sorted_tables if f"TABLE {qualified(table)} (" not in others]


def statements(tables: list[Table]) -> Iterator[str]:
    """Tables and their indexes, then privileges and policies."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy does not annotate its constructor
    for table in tables:
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    for table in tables:
        yield from table_statements(table)


if __name__ == "__main__":
    [version] = sys.argv[1:]
    rendered = SEPARATOR.join(statement.strip().replace("\t", "    ") for statement in statements(new_tables(version)))
    (SQL / f"{version}.sql").write_text(rendered + "\n")
