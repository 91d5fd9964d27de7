"""Every statement on charges. Whoever changes one holds the merchant's books."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, bindparam, insert, select, text, tuple_, update
from sqlalchemy.exc import IntegrityError

from billing.charges.model import Charge, ChargeMovement, ChargeSource, Happened, NewCharge, PaysBy
from billing.charges.tables import charge, charge_movement, write_off
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Whose books a merchant's are kept with, and what day it is there."""

    merchant_id: int
    entity_id: int
    house_merchant_id: int
    currency: str
    zone: str
    today: date


class WriteOff(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal to give up what a merchant owes of a charge."""

    merchant_id: int
    write_off_id: int
    charge_id: int
    amount_minor: int
    reason: str
    state: str
    made_by: str
    made_at: datetime
    decided_by: str | None
    decided_at: datetime | None


async def books_of(tx: Tx, merchant_id: int) -> Books:
    """Raises NotFound for a merchant without books."""
    row = await tx.row(
        """
        SELECT h.merchant_id, h.entity_id, e.house_merchant_id, e.currency, e.zone
        FROM billing.ledger_head h JOIN billing.entity e ON e.entity_id = h.entity_id
        WHERE h.merchant_id = :merchant
        """,
        merchant=merchant_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no books")
    return Books(**row._mapping, today=local_date(tx.now, row.zone))


_COLUMNS = [charge.c[field] for field in Charge.__struct_fields__]
_MOVEMENT = [charge_movement.c[field] for field in ChargeMovement.__struct_fields__]
_WRITE_OFF = [write_off.c[field] for field in WriteOff.__struct_fields__]


async def insert_charge(tx: Tx, new: NewCharge, charge_id: int, entry_no: int) -> Charge:
    """Store a charge. Raises Conflict when this part of its source is charged already."""
    waits = new.deferred or new.service_to is not None
    row = {name: getattr(new, name) for name in Charge.__struct_fields__ if hasattr(new, name)}
    row |= {"charge_id": charge_id, "entry_no": entry_no, "anchored_on": new.service_from, "created_at": tx.now}
    row |= {"recognised_minor": 0 if waits else new.net_minor, "open_minor": new.net_minor + new.vat_minor}
    try:
        await tx.execute(insert(charge), row)
    except IntegrityError as fault:
        raise Conflict(f"{new.source} {new.source_id}: {new.part} is charged already") from fault
    return await get_charge(tx, new.merchant_id, charge_id)


async def get_charge(tx: Tx, merchant_id: int, charge_id: int) -> Charge:
    """Raises NotFound."""
    row = await tx.row(select(*_COLUMNS).where(charge.c.merchant_id == merchant_id, charge.c.charge_id == charge_id))
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no charge {charge_id}")
    return _charge(row)


async def charge_of_entry(tx: Tx, merchant_id: int, entry_no: int) -> Charge | None:
    """The charge that an entry made, if it made one."""
    row = await tx.row(select(*_COLUMNS).where(charge.c.merchant_id == merchant_id, charge.c.entry_no == entry_no))
    return _charge(row) if row is not None else None


async def find_charge(tx: Tx, merchant_id: int, source: ChargeSource, source_id: int, part: str) -> Charge | None:
    """The charge for a part of a source, if there is one."""
    found = await of_source(tx, merchant_id, source, source_id)
    return next((one for one in found if one.part == part), None)


async def of_source(tx: Tx, merchant_id: int, source: ChargeSource, source_id: int) -> list[Charge]:
    """What was charged for a source, the oldest first."""
    query = select(*_COLUMNS).where(
        charge.c.merchant_id == merchant_id, charge.c.source == source.value, charge.c.source_id == source_id
    )
    return [_charge(row) for row in await tx.rows(query.order_by(charge.c.charge_id))]


async def list_charges(
    tx: Tx, *, merchant_id: int | None, limit: int, before: tuple[int, int] | None = None
) -> list[Charge]:
    """At most `limit` charges of one merchant or of all, the newest first, those behind (charge_id, merchant_id)."""
    query = select(*_COLUMNS)
    if merchant_id is not None:
        query = query.where(charge.c.merchant_id == merchant_id)
    if before is not None:
        query = query.where(tuple_(charge.c.charge_id, charge.c.merchant_id) < before)
    rows = await tx.rows(query.order_by(charge.c.charge_id.desc(), charge.c.merchant_id.desc()).limit(limit))
    return [_charge(row) for row in rows]


async def open_charges(tx: Tx, merchant_id: int, pays_by: PaysBy | None = None) -> list[Charge]:
    """What a merchant owes, the oldest due first."""
    query = select(*_COLUMNS).where(charge.c.merchant_id == merchant_id, charge.c.open_minor > 0)
    if pays_by is not None:
        query = query.where(charge.c.pays_by == pays_by.value)
    return [_charge(row) for row in await tx.rows(query.order_by(charge.c.due_on, charge.c.charge_id))]


async def waiting_charges(tx: Tx, merchant_id: int) -> list[Charge]:
    """Charges of a service of which something is not recognised yet."""
    query = select(*_COLUMNS).where(
        charge.c.merchant_id == merchant_id,
        charge.c.service_to.is_not(None),
        charge.c.recognised_minor < charge.c.net_minor - charge.c.credited_minor,
    )
    return [_charge(row) for row in await tx.rows(query.order_by(charge.c.charge_id))]


_OWING = text("""
SELECT DISTINCT merchant_id FROM billing.charge
WHERE merchant_id = ANY(:merchants) AND open_minor > 0 AND pays_by = 'netting' ORDER BY merchant_id
""").bindparams(bindparam("merchants", type_=ARRAY(BigInteger)))


async def netting_among(tx: Tx, merchants: Sequence[int]) -> list[int]:
    """Those of the merchants that have agreed to netting and owe something."""
    return [row.merchant_id for row in await tx.rows(_OWING, merchants=list(merchants))]


async def merchants_owing(tx: Tx, after: int, limit: int) -> Sequence[Any]:
    """Merchants that owe something, by id, those behind `after`."""
    return await tx.rows(
        "SELECT DISTINCT merchant_id FROM billing.charge WHERE open_minor > 0 AND merchant_id > :after"
        " ORDER BY merchant_id LIMIT :limit",
        after=after,
        limit=limit,
    )


async def merchants_waiting(tx: Tx, after: int, limit: int) -> Sequence[Any]:
    """Merchants with charges of a service that are not wholly recognised, by id, those behind `after`."""
    return await tx.rows(
        """
        SELECT DISTINCT merchant_id FROM billing.charge
        WHERE service_to IS NOT NULL AND recognised_minor < net_minor - credited_minor AND merchant_id > :after
        ORDER BY merchant_id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )


async def set_charge(tx: Tx, held: Charge, **values: Any) -> Charge:
    """Change columns of a charge."""
    await tx.execute(
        update(charge)
        .where(charge.c.merchant_id == held.merchant_id, charge.c.charge_id == held.charge_id)
        .values(**values)
    )
    return msgspec.structs.replace(held, **values)


async def add_movement(
    tx: Tx,
    held: Charge,
    kind: Happened,
    movement_id: int,
    entry_no: int,
    *,
    on: date,
    amount_minor: int,
    vat_minor: int = 0,
    open_minor: int = 0,
    reason: str = "",
    bank_ref: str | None = None,
) -> ChargeMovement:
    """Store what happened to a charge, beside its entry."""
    happened = ChargeMovement(
        merchant_id=held.merchant_id,
        movement_id=movement_id,
        charge_id=held.charge_id,
        kind=kind,
        counts_on=on,
        amount_minor=amount_minor,
        vat_minor=vat_minor,
        open_minor=open_minor,
        reason=reason,
        bank_ref=bank_ref,
        entry_no=entry_no,
        at=tx.now,
        actor=tx.actor,
    )
    await tx.execute(insert(charge_movement), {**msgspec.structs.asdict(happened), "kind": kind.value})
    return happened


async def list_movements(
    tx: Tx, merchant_id: int, charge_id: int, *, limit: int, before: int | None = None
) -> list[ChargeMovement]:
    """At most `limit` of what happened to a charge, the newest first, those before the movement `before`."""
    query = select(*_MOVEMENT).where(
        charge_movement.c.merchant_id == merchant_id, charge_movement.c.charge_id == charge_id
    )
    if before is not None:
        query = query.where(charge_movement.c.movement_id < before)
    rows = await tx.rows(query.order_by(charge_movement.c.movement_id.desc()).limit(limit))
    return [_movement(row) for row in rows]


async def paid_as(tx: Tx, merchant_id: int, charge_id: int, bank_ref: str) -> ChargeMovement | None:
    """The payment of a charge that the bank calls so, if it is booked."""
    row = await tx.row(
        select(*_MOVEMENT).where(
            charge_movement.c.merchant_id == merchant_id,
            charge_movement.c.charge_id == charge_id,
            charge_movement.c.bank_ref == bank_ref,
        )
    )
    return _movement(row) if row is not None else None


async def propose_write_off(tx: Tx, held: Charge, reason: str) -> WriteOff:
    """Propose to give up what is open of a charge. Raises Conflict when that is proposed already."""
    row: dict[str, Any] = {
        "merchant_id": held.merchant_id,
        "write_off_id": time_ordered_id(tx.now),
        "charge_id": held.charge_id,
        "amount_minor": held.open_minor,
        "reason": reason,
        "state": "proposed",
        "made_by": tx.actor,
        "made_at": tx.now,
    }
    try:
        await tx.execute(insert(write_off), row)
    except IntegrityError as fault:
        raise Conflict(f"charge {held.charge_id}: its write-off is proposed already") from fault
    return WriteOff(**row, decided_by=None, decided_at=None)


async def get_write_off(tx: Tx, merchant_id: int, write_off_id: int) -> WriteOff:
    """Raises NotFound."""
    query = select(*_WRITE_OFF).where(write_off.c.merchant_id == merchant_id, write_off.c.write_off_id == write_off_id)
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no write-off {write_off_id}")
    return WriteOff(**row._mapping)


async def list_write_offs(tx: Tx, *, limit: int, before: tuple[int, int] | None = None) -> list[WriteOff]:
    """At most `limit` write-offs of all merchants, the newest first, those behind (write_off_id, merchant_id)."""
    query = select(*_WRITE_OFF)
    if before is not None:
        query = query.where(tuple_(write_off.c.write_off_id, write_off.c.merchant_id) < before)
    query = query.order_by(write_off.c.write_off_id.desc(), write_off.c.merchant_id.desc())
    return [WriteOff(**row._mapping) for row in await tx.rows(query.limit(limit))]


async def decide_write_off(tx: Tx, proposed: WriteOff, state: str) -> WriteOff:
    """Approve or refuse a proposal that the caller has found to be one, holding the books."""
    decided = {"state": state, "decided_by": tx.actor, "decided_at": tx.now}
    await tx.execute(
        update(write_off)
        .where(write_off.c.merchant_id == proposed.merchant_id, write_off.c.write_off_id == proposed.write_off_id)
        .values(**decided)
    )
    return msgspec.structs.replace(proposed, **decided)


def _charge(row: Any) -> Charge:
    return Charge(**{**row._mapping, "source": ChargeSource(row.source), "pays_by": PaysBy(row.pays_by)})


def _movement(row: Any) -> ChargeMovement:
    return ChargeMovement(**{**row._mapping, "kind": Happened(row.kind)})
