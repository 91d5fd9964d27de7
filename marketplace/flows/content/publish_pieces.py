"""Process: a piece is made, planned for a channel, sent, and taken up.

Whom it wins comes in as leads and touches on that channel, with the piece's code as their campaign.
"""

from datetime import date, datetime, timedelta

import msgspec

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.flows.acquisition.note_stages import check_past
from supply.content import store
from supply.content.model import Partner, Piece, PieceKind, Send, SendDay, SendState, check_planned
from supply.leads.channels import store as channels


class NewPiece(msgspec.Struct, frozen=True, kw_only=True):
    """partner_id: whose it is, None for our own."""

    code: str
    title: str
    kind: PieceKind
    url: str = ""
    partner_id: int | None = None


class NewSend(msgspec.Struct, frozen=True, kw_only=True):
    """channel: a code. partner_id: over whose channels, None for our own."""

    piece_id: int
    channel: str
    planned_on: date
    partner_id: int | None = None


async def make_partner(tx: Tx, name: str, contact: str) -> Partner:
    """Raises Conflict."""
    new = Partner(partner_id=time_ordered_id(tx.now), name=name, contact=contact, active=True, version=1)
    await audit.record(tx, "content partner made", f"partner:{new.partner_id}", name=name)
    return await store.add_partner(tx, new)


async def make_piece(tx: Tx, cmd: NewPiece) -> Piece:
    """Raises Invalid, Conflict."""
    await _check_partner(tx, cmd.partner_id)
    new = Piece(piece_id=time_ordered_id(tx.now), active=True, version=1, **msgspec.structs.asdict(cmd))
    await audit.record(tx, "piece made", f"piece:{new.piece_id}", code=new.code)
    return await store.add_piece(tx, new)


async def plan_send(tx: Tx, cmd: NewSend) -> Send:
    """A piece is to go out over a channel on a day. Raises NotFound, Invalid, Conflict.

    A partner's piece goes over our channels: it shows its own without us.
    """
    piece = await store.get_piece(tx, cmd.piece_id)
    if not piece.active:
        raise Conflict("piece_id: the piece is used no more")
    if piece.partner_id is not None and cmd.partner_id is not None:
        raise Invalid("partner_id: a partner's piece goes over our own channels", pointer="/partner_id")
    await _check_partner(tx, cmd.partner_id)
    channel = await channels.channel_of(tx, cmd.channel)
    new = Send(
        send_id=time_ordered_id(tx.now), piece_id=piece.piece_id, channel_id=channel.channel_id,
        partner_id=cmd.partner_id, planned_on=cmd.planned_on, state=SendState.PLANNED, sent_at=None, recipients=0,
        version=1,
    )  # fmt: skip
    return await store.add_send(tx, new)


async def note_sent(tx: Tx, send_id: int, recipients: int, at: datetime | None = None) -> Send:
    """It went out, to so many. Raises NotFound, Conflict, Invalid for an instant to come."""
    held = await store.get_send(tx, send_id, lock=True)
    check_planned(held)
    check_past(tx, at or tx.now, "at")
    return await store.change_send(tx, held, state=SendState.SENT, sent_at=at or tx.now, recipients=recipients)


async def cancel_send(tx: Tx, send_id: int) -> Send:
    """It does not go out. Raises NotFound, Conflict."""
    held = await store.get_send(tx, send_id, lock=True)
    check_planned(held)
    return await store.change_send(tx, held, state=SendState.CANCELLED)


async def tell_days(tx: Tx, send_id: int, days: tuple[SendDay, ...]) -> Send:
    """How a send was taken up, day by day; told again, a day is replaced. Raises NotFound, Conflict, Invalid."""
    held = await store.get_send(tx, send_id, lock=True)
    if held.sent_at is None:
        raise Conflict(f"state: the send is {held.state}", state=held.state.value)
    first, last = held.sent_at.date() - timedelta(days=1), tx.now.date() + timedelta(days=1)
    for number, told in enumerate(days):
        if not first <= told.day <= last:
            raise Invalid(f"day: lies before the send or is yet to come: {told.day}", pointer=f"/days/{number}/day")
    if len({told.day for told in days}) < len(days):
        raise Invalid("days: name each day once", pointer="/days")
    await store.tell_days(tx, held, days)
    return held


async def _check_partner(tx: Tx, partner_id: int | None) -> None:
    if partner_id is None:
        return
    try:
        partner = await store.get_partner(tx, partner_id)
    except NotFound as refusal:
        raise Invalid(f"partner_id: {refusal.detail}", pointer="/partner_id") from refusal
    if not partner.active:
        raise Conflict(f"partner_id: nothing is exchanged with {partner.name} any more", pointer="/partner_id")
