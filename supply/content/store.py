"""Every statement on pieces, partners, sends and how they were taken up."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.rows import edit_row
from supply.content.model import Partner, Piece, PieceKind, Send, SendDay, SendState
from supply.content.tables import content_day, content_partner, content_piece, content_send

_PARTNER = [content_partner.c[field] for field in Partner.__struct_fields__]
_PIECE = [content_piece.c[field] for field in Piece.__struct_fields__]
_SEND = [content_send.c[field] for field in Send.__struct_fields__]


async def add_partner(tx: Tx, new: Partner) -> Partner:
    """Raises Conflict for a name in use."""
    try:
        await tx.execute(insert(content_partner), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"name: there is a partner {new.name!r} already", pointer="/name") from fault
    return new


async def get_partner(tx: Tx, partner_id: int, *, lock: bool = False) -> Partner:
    """Raises NotFound."""
    query = select(*_PARTNER).where(content_partner.c.partner_id == partner_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no partner {partner_id}")
    return Partner(**row._mapping)


async def edit_partner(tx: Tx, held: Partner, **values: Any) -> Partner:
    return await edit_row(tx, content_partner, held, **values)


async def list_partners(tx: Tx, *, limit: int, after: str = "") -> list[Partner]:
    """At most `limit` partners by name, those behind the name `after`."""
    query = select(*_PARTNER).where(content_partner.c.name > after).order_by(content_partner.c.name)
    return [Partner(**row._mapping) for row in await tx.rows(query.limit(limit))]


async def add_piece(tx: Tx, new: Piece) -> Piece:
    """Raises Conflict for a code in use."""
    try:
        await tx.execute(insert(content_piece), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"code: there is a piece {new.code!r} already", pointer="/code") from fault
    return new


async def get_piece(tx: Tx, piece_id: int, *, lock: bool = False) -> Piece:
    """Raises NotFound."""
    query = select(*_PIECE).where(content_piece.c.piece_id == piece_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no piece {piece_id}")
    return _piece(row)


async def edit_piece(tx: Tx, held: Piece, **values: Any) -> Piece:
    return await edit_row(tx, content_piece, held, **values)


async def list_pieces(tx: Tx, *, limit: int, before: int | None = None) -> list[Piece]:
    """At most `limit` pieces, the newest first, behind the id `before`."""
    query = select(*_PIECE)
    if before is not None:
        query = query.where(content_piece.c.piece_id < before)
    return [_piece(row) for row in await tx.rows(query.order_by(content_piece.c.piece_id.desc()).limit(limit))]


async def add_send(tx: Tx, new: Send) -> Send:
    await tx.execute(insert(content_send), msgspec.structs.asdict(new))
    return new


async def get_send(tx: Tx, send_id: int, *, lock: bool = False) -> Send:
    """Raises NotFound."""
    query = select(*_SEND).where(content_send.c.send_id == send_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no send {send_id}")
    return _send(row)


async def change_send(tx: Tx, held: Send, **values: Any) -> Send:
    return await edit_row(tx, content_send, held, **values)


async def list_sends(
    tx: Tx,
    *,
    limit: int,
    before: tuple[date, int] | None = None,
    piece_id: int | None = None,
    from_on: date | None = None,
    to_on: date | None = None,
) -> list[Send]:
    """At most `limit` sends, what is planned last first, behind (day, id); of the days [from_on, to_on)."""
    query = select(*_SEND)
    if piece_id is not None:
        query = query.where(content_send.c.piece_id == piece_id)
    if from_on is not None:
        query = query.where(content_send.c.planned_on >= from_on)
    if to_on is not None:
        query = query.where(content_send.c.planned_on < to_on)
    if before is not None:
        query = query.where(tuple_(content_send.c.planned_on, content_send.c.send_id) < before)
    query = query.order_by(content_send.c.planned_on.desc(), content_send.c.send_id.desc())
    return [_send(row) for row in await tx.rows(query.limit(limit))]


async def tell_days(tx: Tx, held: Send, days: Sequence[SendDay]) -> None:
    """How a held send was taken up; a day that was told before is replaced."""
    statement = upsert(content_day)
    counts = {name: statement.excluded[name] for name in ("opens", "shares")}
    await tx.execute(
        statement.on_conflict_do_update(index_elements=["send_id", "day"], set_=counts),
        [{"send_id": held.send_id, **msgspec.structs.asdict(day)} for day in days],
    )


def _piece(row: Any) -> Piece:
    return Piece(**{**row._mapping, "kind": PieceKind(row.kind)})


def _send(row: Any) -> Send:
    return Send(**{**row._mapping, "state": SendState(row.state)})
