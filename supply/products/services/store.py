"""Every statement on service agreements. Whoever changes one holds the merchant's books."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, tuple_

from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.rows import edit_row
from supply.products.services.model import Agreement, AgreementMove, AgreementState, ServiceMonth, check_move
from supply.products.services.tables import agreement, service_month

_COLUMNS = [agreement.c[field] for field in Agreement.__struct_fields__]
_MONTH = [service_month.c[field] for field in ServiceMonth.__struct_fields__]


async def insert_agreement(tx: Tx, new: Agreement) -> Agreement:
    await tx.execute(insert(agreement), msgspec.structs.asdict(new))
    await _tell(tx, new, "propose")
    return new


async def get_agreement(tx: Tx, merchant_id: int, agreement_id: int, *, lock: bool = False) -> Agreement:
    """Raises NotFound."""
    query = select(*_COLUMNS).where(agreement.c.merchant_id == merchant_id, agreement.c.agreement_id == agreement_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no service agreement {agreement_id}")
    return msgspec.convert(dict(zip(Agreement.__struct_fields__, row, strict=True)), Agreement)


async def list_agreements(
    tx: Tx, *, merchant_id: int | None, limit: int, before: tuple[int, int] | None = None
) -> list[Agreement]:
    """At most `limit` agreements, the newest first, those behind (agreement_id, merchant_id)."""
    query = select(*_COLUMNS)
    if merchant_id is not None:
        query = query.where(agreement.c.merchant_id == merchant_id)
    if before is not None:
        query = query.where(tuple_(agreement.c.agreement_id, agreement.c.merchant_id) < before)
    query = query.order_by(agreement.c.agreement_id.desc(), agreement.c.merchant_id.desc()).limit(limit)
    return [
        msgspec.convert(dict(zip(Agreement.__struct_fields__, row, strict=True)), Agreement)
        for row in await tx.rows(query)
    ]


async def due(tx: Tx, upto: date, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """Active agreements whose next month has begun by a day, by merchant and id, those behind `after`."""
    query = select(agreement.c.merchant_id, agreement.c.agreement_id).where(
        agreement.c.state == AgreementState.ACTIVE.value,
        agreement.c.next_month <= upto,
        tuple_(agreement.c.merchant_id, agreement.c.agreement_id) > after,
    )
    return await tx.rows(query.order_by(agreement.c.merchant_id, agreement.c.agreement_id).limit(limit))


async def move_agreement(tx: Tx, held: Agreement, move: AgreementMove, **values: Any) -> Agreement:
    """Take a locked agreement where the table of moves lets it go. Raises Conflict."""
    changed = await set_agreement(tx, held, state=check_move(held.state, move), **values)
    await _tell(tx, changed, move.value)
    return changed


async def set_agreement(tx: Tx, held: Agreement, **values: Any) -> Agreement:
    """Change columns of a locked agreement."""
    return await edit_row(tx, agreement, held, **values)


async def close_month(tx: Tx, closed: ServiceMonth) -> None:
    await tx.execute(insert(service_month), msgspec.structs.asdict(closed))


async def due_so_far(tx: Tx, held: Agreement) -> int:
    """What the closed months have come to, with what later months restated of them."""
    query = select(func.coalesce(func.sum(service_month.c.fee_minor + service_month.c.restated_minor), 0)).where(
        service_month.c.merchant_id == held.merchant_id, service_month.c.agreement_id == held.agreement_id
    )
    return int(await tx.scalar(query))


async def list_months(
    tx: Tx, merchant_id: int, agreement_id: int, *, limit: int, before: date | None = None
) -> list[ServiceMonth]:
    """At most `limit` closed months, the newest first, those before `before`."""
    query = select(*_MONTH).where(
        service_month.c.merchant_id == merchant_id, service_month.c.agreement_id == agreement_id
    )
    if before is not None:
        query = query.where(service_month.c.month < before)
    rows = await tx.rows(query.order_by(service_month.c.month.desc()).limit(limit))
    return [ServiceMonth(**row._mapping) for row in rows]


async def _tell(tx: Tx, now: Agreement, move: str) -> None:
    told = {"move": move, **msgspec.structs.asdict(now)}
    await outbox.emit(tx, "supply.agreement_moved.v1", told, merchant_id=now.merchant_id)
    await audit.record(tx, f"service agreement: {move}", f"agreement:{now.merchant_id}/{now.agreement_id}")
