"""What the page of content shows: pieces with what they brought by channel, and which go out over which."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby

import msgspec

from marketplace.core.db import Tx
from marketplace.flows.content.weigh_pieces import Exchange, PieceFigures, weigh_partners, weigh_pieces
from supply.content import store
from supply.content.model import Partner, Piece, Send
from supply.leads.channels import store as channels

ROWS_MAX = 50
SENDS_MAX = 500
BACK, AHEAD = timedelta(days=14), timedelta(days=28)
"""Of which days the matrix is, around today."""


class ContentPage(msgspec.Struct, frozen=True):
    """Pieces, the newest first, and their figures by channel. matrix: what goes out over a channel, by piece and
    channel; over: the channels of the matrix. older: behind the last piece.
    """

    pieces: Sequence[Piece]
    figures: Mapping[int, Sequence[PieceFigures]]
    titles: Mapping[int, str]
    matrix: Mapping[int, Mapping[int, Sequence[Send]]]
    over: Sequence[int]
    channels: Mapping[int, str]
    channel_names: Mapping[str, str]
    partners: Sequence[Partner]
    exchanged: Mapping[int, Exchange]
    older: int | None


async def content_page(tx: Tx, today: date, before: int | None) -> ContentPage:
    """One page of pieces, those before the piece `before`; the matrix of the weeks around a day; all partners."""
    rows = await store.list_pieces(tx, limit=ROWS_MAX + 1, before=before)
    pieces = rows[:ROWS_MAX]
    figures = await weigh_pieces(tx, [piece.piece_id for piece in pieces])
    sends = await store.list_sends(tx, limit=SENDS_MAX, from_on=today - BACK, to_on=today + AHEAD)
    cells = sorted(sends, key=lambda each: (each.piece_id, each.channel_id, each.planned_on))
    known = await channels.list_channels(tx)
    partners = await store.list_partners(tx, limit=ROWS_MAX)
    used = {send.channel_id for send in sends}
    return ContentPage(
        pieces=pieces,
        figures={key: list(each) for key, each in groupby(figures, lambda one: one.piece_id)},
        titles=await _titles(tx, {send.piece_id for send in sends}),
        matrix={
            piece_id: {key: list(cell) for key, cell in groupby(row, lambda one: one.channel_id)}
            for piece_id, row in groupby(cells, lambda one: one.piece_id)
        },
        over=[each.channel_id for each in known if each.channel_id in used],
        channels={each.channel_id: each.name for each in known},
        channel_names={each.code: each.name for each in known},
        partners=partners,
        exchanged=await weigh_partners(tx, [each.partner_id for each in partners]),
        older=pieces[-1].piece_id if len(rows) > ROWS_MAX else None,
    )


async def _titles(tx: Tx, piece_ids: set[int]) -> dict[int, str]:
    rows = await tx.rows(
        "SELECT piece_id, title FROM supply.content_piece WHERE piece_id = ANY(:pieces)", pieces=sorted(piece_ids)
    )
    return {row.piece_id: row.title for row in rows}
