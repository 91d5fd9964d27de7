"""Every statement on amendments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, tuple_, update

from demand.amendments.model import OPEN, Amendment, AmendmentState
from demand.amendments.tables import amendment
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_COLUMNS = [amendment.c[field] for field in Amendment.__struct_fields__]


async def get_amendment(tx: Tx, merchant_id: int, order_id: int, amendment_id: int, *, lock: bool = False) -> Amendment:
    """An amendment of an order, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_COLUMNS).where(
        amendment.c.merchant_id == merchant_id,
        amendment.c.order_id == order_id,
        amendment.c.amendment_id == amendment_id,
    )
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"order {order_id} of merchant {merchant_id} has no amendment {amendment_id}")
    return _amendment(row)


async def order_of(tx: Tx, merchant_id: int, amendment_id: int) -> int:
    """The order that an amendment is of. Raises NotFound."""
    query = select(amendment.c.order_id).where(
        amendment.c.merchant_id == merchant_id, amendment.c.amendment_id == amendment_id
    )
    order_id: int | None = await tx.scalar(query)
    if order_id is None:
        raise NotFound(f"merchant {merchant_id} has no amendment {amendment_id}")
    return order_id


async def list_amendments(
    tx: Tx, merchant_id: int, order_id: int, *, limit: int, before_id: int | None = None
) -> list[Amendment]:
    """At most `limit` amendments of an order, the newest first, those before `before_id`."""
    query = select(*_COLUMNS).where(amendment.c.merchant_id == merchant_id, amendment.c.order_id == order_id)
    if before_id is not None:
        query = query.where(amendment.c.amendment_id < before_id)
    rows = await tx.rows(query.order_by(amendment.c.amendment_id.desc()).limit(limit))
    return [_amendment(row) for row in rows]


async def check_none_open(tx: Tx, merchant_id: int, order_id: int) -> None:
    """Raise Conflict when an order, which the caller holds, has an open amendment."""
    query = select(amendment.c.amendment_id).where(
        amendment.c.merchant_id == merchant_id, amendment.c.order_id == order_id, amendment.c.state.in_(OPEN)
    )
    found = await tx.scalar(query)
    if found is not None:
        raise Conflict(f"amendment {found} of this order is open: it is decided or cancelled first", amendment_id=found)


async def insert_amendment(tx: Tx, new: Amendment) -> None:
    await tx.execute(insert(amendment), {**msgspec.structs.asdict(new), "changes": msgspec.to_builtins(new.changes)})


async def move_amendment(tx: Tx, held: Amendment, state: AmendmentState, **values: Any) -> Amendment:
    """Take a locked amendment to another state, with further columns that change with it."""
    await tx.execute(
        update(amendment)
        .where(amendment.c.merchant_id == held.merchant_id, amendment.c.amendment_id == held.amendment_id)
        .values(state=state.value, **values)
    )
    return msgspec.structs.replace(held, state=state, **values)


async def overdue(tx: Tx, upto: datetime, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """merchant_id, order_id and amendment_id of open amendments whose time is over, at most `limit` of them.

    By merchant and amendment, those behind `after`.
    """
    query = select(amendment.c.merchant_id, amendment.c.order_id, amendment.c.amendment_id).where(
        amendment.c.state.in_(OPEN),
        amendment.c.expires_at <= upto,
        tuple_(amendment.c.merchant_id, amendment.c.amendment_id) > after,
    )
    return await tx.rows(query.order_by(amendment.c.merchant_id, amendment.c.amendment_id).limit(limit))


def _amendment(row: Any) -> Amendment:
    return msgspec.convert(dict(zip(Amendment.__struct_fields__, row, strict=True)), Amendment)
