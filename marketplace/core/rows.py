"""One row changed as the next version of itself."""

from typing import Any, TypeVar

import msgspec
from sqlalchemy import Table, update

from marketplace.core.db import Tx

S = TypeVar("S", bound=msgspec.Struct)


async def edit_row(tx: Tx, table: Table, held: S, **values: Any) -> S:
    """Change columns of the locked row that `held` was read of, and count its version up.

    held: has `version`, and fields named as the columns of the table's primary key, by which the row is found.
    """
    row: Any = held
    changed = msgspec.structs.replace(held, version=row.version + 1, **values)
    statement = update(table).where(*(column == getattr(row, column.name) for column in table.primary_key))
    await tx.execute(statement.values(version=row.version + 1, **values))
    return changed
