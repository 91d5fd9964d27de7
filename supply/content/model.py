"""What content speaks of. Pure."""

from datetime import date, datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict


class PieceKind(StrEnum):
    ARTICLE = "article"
    GUIDE = "guide"
    NEWSLETTER = "newsletter"
    POST = "post"
    VIDEO = "video"


class SendState(StrEnum):
    PLANNED = "planned"
    SENT = "sent"
    CANCELLED = "cancelled"


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who shows our pieces on its channels, and whose pieces we show on ours."""

    partner_id: int
    name: str
    contact: str
    active: bool
    version: int


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be read or seen. Touches, leads and costs of it stand on a channel, under its code as the campaign.

    partner_id: whose it is, None for our own.
    """

    piece_id: int
    code: str
    title: str
    kind: PieceKind
    url: str
    partner_id: int | None
    active: bool
    version: int


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """A piece goes out over a channel. partner_id: over whose channels, None for our own. recipients: how many."""

    send_id: int
    piece_id: int
    channel_id: int
    partner_id: int | None
    planned_on: date
    state: SendState
    sent_at: datetime | None
    recipients: int
    version: int


class SendDay(msgspec.Struct, frozen=True, kw_only=True):
    """How a send was taken up on a day: who opened it, and who passed it on."""

    day: date
    opens: int
    shares: int


def check_planned(send: Send) -> None:
    """Raise Conflict for what was sent or called off: a send is one only once."""
    if send.state is not SendState.PLANNED:
        raise Conflict(f"state: the send is {send.state}", state=send.state.value)
