"""Content: pieces, over which channels they are sent, what they bring, and partners to exchange with."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.content import publish_pieces as pieces
from marketplace.flows.content.weigh_pieces import Exchange, PieceFigures, weigh_partners, weigh_pieces
from marketplace.routes.channels import By
from marketplace.routes.fields import Id, Label, Name, Past, Units
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryFrom, QueryId, QueryTo
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.content import store
from supply.content.model import Partner, Piece, PieceKind, Send, SendDay
from supply.leads.attribution import AttributionModel

_ONE = "/content-pieces/{piece_id:int}"
_SEND = "/content-sends/{send_id:int}"
_PARTNER = "/content-partners/{partner_id:int}"
_DAYS_MAX = 400
PieceCode = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
Link = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(https://[\x21-\x7e]+)?$")]


class PartnerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    contact: Label = ""


class PartnerChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. With who is not active nothing more is exchanged."""

    name: Name | None = None
    contact: Label | None = None
    active: bool | None = None


class PieceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """code: the campaign of its touches, leads and costs. partner_id: whose it is, null for our own."""

    code: PieceCode
    title: Name
    kind: PieceKind
    url: Link = ""
    partner_id: Id | None = None


class PieceChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. What is not active is sent no more."""

    title: Name | None = None
    url: Link | None = None
    active: bool | None = None


class SendBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """channel: a channel's code. partner_id: over whose channels, null for our own."""

    channel: Label
    planned_on: date
    partner_id: Id | None = None


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """To how many it went out. at: null for now."""

    recipients: Units
    at: Past | None = None


class DayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many have opened it on a day, and how many have passed it on."""

    day: date
    opens: Units
    shares: Units = 0


class DaysBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    days: Annotated[tuple[DayBody, ...], msgspec.Meta(min_length=1, max_length=_DAYS_MAX)]


class ExchangePartner(msgspec.Struct, frozen=True, kw_only=True):
    partner: Partner
    exchange: Exchange


@get("/content-partners", guards=[needs(STAFF)])
async def list_partners(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[ExchangePartner]:
    """Partners by name, with what they and we have done for each other."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_partners(tx, limit=limit + 1, after=after)
        exchanged = await weigh_partners(tx, [row.partner_id for row in rows])
    shown = [ExchangePartner(partner=row, exchange=exchanged[row.partner_id]) for row in rows]
    return page(shown, limit, lambda row: row, lambda row: (row.partner.name,))


@post("/content-partners", dto=StrictBody[PartnerBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_partner(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[PartnerBody]
) -> Response[Partner]:
    """Somebody to exchange content with."""
    return await once(request, db, pieces.make_partner, data.name, data.contact)


@get(_PARTNER, guards=[needs(STAFF)])
async def get_partner(request: ActorRequest, db: NamedDependency[Database], partner_id: PathId) -> Response[Partner]:
    """One partner."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_partner(tx, partner_id)
    return tagged(found, found.version)


@patch(_PARTNER, dto=StrictBody[PartnerChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_partner(
    request: ActorRequest, db: NamedDependency[Database], partner_id: PathId, data: JSONBody[PartnerChanges]
) -> Response[Partner]:
    """Rename a partner, or exchange nothing more with it."""

    async def change(tx: Tx, held: Partner) -> Partner:
        return await store.edit_partner(tx, held, **_said(data))

    return await edited(request, db, lambda tx: store.get_partner(tx, partner_id, lock=True), change)


@get("/content-pieces", guards=[needs(STAFF)])
async def list_pieces(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Piece]:
    """Pieces, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_pieces(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.piece_id,))


@post("/content-pieces", dto=StrictBody[PieceBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_piece(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[PieceBody]
) -> Response[Piece]:  # fmt: skip
    """Something to be read or seen."""
    return await once(request, db, pieces.make_piece, pieces.NewPiece(**msgspec.structs.asdict(data)))


@get(_ONE, guards=[needs(STAFF)])
async def get_piece(request: ActorRequest, db: NamedDependency[Database], piece_id: PathId) -> Response[Piece]:
    """One piece."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_piece(tx, piece_id)
    return tagged(found, found.version)


@patch(_ONE, dto=StrictBody[PieceChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_piece(
    request: ActorRequest, db: NamedDependency[Database], piece_id: PathId, data: JSONBody[PieceChanges]
) -> Response[Piece]:
    """Rename a piece, say where it is, or use it no more."""

    async def change(tx: Tx, held: Piece) -> Piece:
        return await store.edit_piece(tx, held, **_said(data))

    return await edited(request, db, lambda tx: store.get_piece(tx, piece_id, lock=True), change)


@get(f"{_ONE}/figures", guards=[needs(STAFF)])
async def get_piece_figures(
    request: ActorRequest,
    db: NamedDependency[Database],
    piece_id: PathId,
    attribution: By = AttributionModel.LAST,
) -> list[PieceFigures]:
    """What a piece has brought by channel: reached, opened, passed on, met, leads, won, selling."""
    async with db.read(request.user.scope) as tx:
        await store.get_piece(tx, piece_id)
        return await weigh_pieces(tx, [piece_id], attribution)


@post(f"{_ONE}/sends", dto=StrictBody[SendBody], guards=[needs(GROWTH)], opt=ONCE)
async def plan_send(
    request: ActorRequest, db: NamedDependency[Database], piece_id: PathId, data: JSONBody[SendBody]
) -> Response[Send]:
    """A piece is to go out over a channel on a day."""
    return await once(
        request, db, pieces.plan_send, pieces.NewSend(piece_id=piece_id, **msgspec.structs.asdict(data))
    )  # fmt: skip


@get("/content-sends", guards=[needs(STAFF)])
async def list_sends(
    request: ActorRequest,
    db: NamedDependency[Database],
    piece_id: QueryId = None,
    from_on: QueryFrom = None,
    to_on: QueryTo = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Send]:
    """The media matrix of some days as a list: which piece goes over which channel when, the latest first."""
    before = decode_cursor(cursor, tuple[date, int])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_sends(
            tx, limit=limit + 1, before=before, piece_id=piece_id, from_on=from_on, to_on=to_on
        )  # fmt: skip
    return page(rows, limit, lambda row: row, lambda row: (row.planned_on, row.send_id))


@post(f"{_SEND}/sent", dto=StrictBody[Sent], guards=[needs(GROWTH)], status_code=200, opt=ONCE)
async def note_sent(
    request: ActorRequest, db: NamedDependency[Database], send_id: PathId, data: JSONBody[Sent]
) -> Response[Send]:
    """It went out."""
    return await once(request, db, pieces.note_sent, send_id, data.recipients, data.at)


@post(f"{_SEND}/cancel", guards=[needs(GROWTH)], status_code=200, opt=ONCE)
async def cancel_send(request: ActorRequest, db: NamedDependency[Database], send_id: PathId) -> Response[Send]:
    """It does not go out."""
    return await once(request, db, pieces.cancel_send, send_id)


@post(f"{_SEND}/days", dto=StrictBody[DaysBody], guards=[needs(GROWTH)], status_code=200, opt=ONCE)
async def tell_days(
    request: ActorRequest, db: NamedDependency[Database], send_id: PathId, data: JSONBody[DaysBody]
) -> Response[Send]:
    """How it was taken up, day by day; told again, a day is replaced."""
    days = tuple(SendDay(**msgspec.structs.asdict(day)) for day in data.days)
    return await once(request, db, pieces.tell_days, send_id, days)


def _said(data: PieceChanges | PartnerChanges) -> dict[str, str | bool]:
    return {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}


HANDLERS = [
    list_partners,
    create_partner,
    get_partner,
    change_partner,
    list_pieces,
    create_piece,
    get_piece,
    change_piece,
    get_piece_figures,
    plan_send,
    list_sends,
    note_sent,
    cancel_send,
    tell_days,
]
