"""Every statement on codes, but for the one that uses them where an order is placed."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import insert

from incentives.discounts.tables import promotion_code
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A code that works once, until it expires. unlocks: the word of the terms that it stands for. buyer_id: the only
    one who may use it, None for whoever has it. used_for: the order."""

    code: str
    promotion_id: int
    unlocks: str
    buyer_id: int | None
    state: str = "issued"
    expires_at: datetime
    used_for: int | None = None
    made_at: datetime
    made_by: str


_COLUMNS = ", ".join(Code.__struct_fields__)


async def issue(tx: Tx, new: Sequence[Code]) -> None:
    """Store new codes; they are random, so none is taken."""
    rows = [msgspec.to_builtins(each, builtin_types=(datetime,)) | {"changed_at": tx.now} for each in new]
    await tx.execute(insert(promotion_code), rows)


async def list_codes(tx: Tx, promotion_id: int, *, limit: int, after: str = "") -> list[Code]:
    """Codes of a promotion in the order of their letters, those behind `after`."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM incentives.promotion_code
        WHERE promotion_id = :promotion AND code > :after ORDER BY code LIMIT :limit
        """,
        promotion=promotion_id,
        after=after,
        limit=limit,
    )
    return [Code(**row._mapping) for row in rows]


async def void(tx: Tx, promotion_id: int, code: str) -> Code:
    """Let a code work no more. Raises NotFound, Conflict for one that is used; a void one stays void."""
    found = await tx.row(
        f"SELECT {_COLUMNS} FROM incentives.promotion_code WHERE code = :code AND promotion_id = :promotion FOR UPDATE",
        code=code,
        promotion=promotion_id,
    )
    if found is None:
        raise NotFound(f"promotion {promotion_id} has no such code")
    if found.state == "used":
        raise Conflict("state: the code is used", state=found.state)
    await tx.execute(
        "UPDATE incentives.promotion_code SET state = 'void', changed_at = :now WHERE code = :code",
        {"now": tx.now, "code": code},
    )
    return Code(**{**found._mapping, "state": "void"})


async def give_back(tx: Tx, order_id: int) -> None:
    """The order that codes were used for came to nothing: they work again, until they expire."""
    await tx.execute(
        """
        UPDATE incentives.promotion_code SET state = 'issued', used_for = NULL, changed_at = :now
        WHERE used_for = :order AND state = 'used'
        """,
        {"now": tx.now, "order": order_id},
    )
