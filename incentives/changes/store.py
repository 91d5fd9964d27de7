"""Every statement on changes of what was approved."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import insert

from incentives.budgets.model import Owner
from incentives.changes.model import Change, ChangeState
from incentives.tables import change
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

_CHANGE = ", ".join(Change.__struct_fields__)


async def insert_change(tx: Tx, new: Change) -> None:
    await tx.execute(insert(change), msgspec.to_builtins(new, builtin_types=(datetime,)))


async def get_change(tx: Tx, change_id: int, *, lock: bool = False) -> Change:
    """Raises NotFound."""
    query = f"SELECT {_CHANGE} FROM incentives.change WHERE change_id = :change{' FOR UPDATE' if lock else ''}"
    row = await tx.row(query, change=change_id)
    if row is None:
        raise NotFound(f"there is no change {change_id}")
    return msgspec.convert(dict(row._mapping), Change)


async def list_changes(
    tx: Tx, *, owner: Owner | None, owner_id: int | None, limit: int, before: int | None
) -> Sequence[Change]:
    """Changes, the newest first, below the change `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_CHANGE} FROM incentives.change
        WHERE (CAST(:owner AS text) IS NULL OR owner = :owner)
          AND (CAST(:id AS bigint) IS NULL OR owner_id = :id)
          AND change_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY change_id DESC LIMIT :limit
        """,
        owner=owner and owner.value,
        id=owner_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Change) for row in rows]


async def decide(tx: Tx, held: Change, then: ChangeState) -> Change:
    """Note what became of a held change."""
    new = msgspec.structs.replace(held, state=then, decided_by=tx.actor, decided_at=tx.now)
    await tx.execute(
        "UPDATE incentives.change SET state = :state, decided_by = :by, decided_at = :at WHERE change_id = :change",
        {"state": then.value, "by": tx.actor, "at": tx.now, "change": held.change_id},
    )
    return new
