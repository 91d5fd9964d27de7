"""Every statement on reratings as they are proposed and approved."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Select, insert, select, update

from billing.reratings.tables import commission_adjustment, rerating, rerating_line
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound


class Rerating(msgspec.Struct, frozen=True, kw_only=True):
    """A rerating, see `billing.reratings.tables`. single_operator: maker and checker were one person."""

    rerating_id: int
    from_on: date
    merchant_id: int | None
    state: str
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    single_operator: bool


class RerateLine(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A merchant's month: expected and issued, in minor units, net of refunds. orders: those that are to be adjusted.

    The month is the one in which the orders count, written as its first day.
    """

    merchant_id: int
    month: date
    currency: str
    orders: int
    expected_commission_minor: int
    issued_commission_minor: int
    expected_vat_minor: int
    issued_vat_minor: int


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """The order that an entry adjusts."""

    merchant_id: int
    adjustment_id: int
    rerating_id: int
    order_id: int


async def add(tx: Tx, new: Rerating, lines: Sequence[RerateLine]) -> None:
    """Store a proposal with its lines."""
    await tx.execute(insert(rerating), msgspec.structs.asdict(new))
    rows = [{**msgspec.structs.asdict(line), "rerating_id": new.rerating_id} for line in lines]
    await tx.execute(insert(rerating_line), rows)


async def get(tx: Tx, rerating_id: int) -> Rerating:
    """One rerating. Raises NotFound."""
    return await _only(tx, rerating_id, _of(rerating_id))


async def lock(tx: Tx, rerating_id: int) -> Rerating:
    """One rerating, locked until the transaction ends. Raises NotFound."""
    return await _only(tx, rerating_id, _of(rerating_id).with_for_update())


def _of(rerating_id: int) -> Select[Any]:
    return select(rerating).where(rerating.c.rerating_id == rerating_id)


async def _only(tx: Tx, rerating_id: int, query: Select[Any]) -> Rerating:
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"there is no rerating {rerating_id}")
    return Rerating(**row._mapping)


async def list_newest(tx: Tx, *, limit: int, before_id: int | None = None) -> list[Rerating]:
    """Reratings, the newest first."""
    query = select(rerating).order_by(rerating.c.rerating_id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(rerating.c.rerating_id < before_id)
    return [Rerating(**row._mapping) for row in await tx.rows(query)]


async def lines_of(tx: Tx, rerating_id: int) -> list[RerateLine]:
    """A rerating's lines by merchant, month and currency."""
    columns = [rerating_line.c[name] for name in RerateLine.__struct_fields__]
    query = select(*columns).where(rerating_line.c.rerating_id == rerating_id)
    return sorted(RerateLine(**row._mapping) for row in await tx.rows(query))


async def mark_posted(tx: Tx, rerating_id: int, *, single_operator: bool) -> None:
    """The transaction's actor has approved it, and its differences are in the books."""
    said = {"state": "posted", "approved_by": tx.actor, "approved_at": tx.now, "single_operator": single_operator}
    await tx.execute(update(rerating).where(rerating.c.rerating_id == rerating_id).values(**said))


async def add_adjustments(tx: Tx, adjustments: Sequence[Adjustment]) -> None:
    """Note which orders entries adjust."""
    await tx.execute(insert(commission_adjustment), [msgspec.structs.asdict(one) for one in adjustments])
