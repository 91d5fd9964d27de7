"""Process: what pieces have brought by channel, from who was reached to who sells; and what partners gave and took."""

from collections.abc import Sequence

import msgspec

from marketplace.core.db import Tx
from marketplace.core.rates import PPM, divide_half_even
from supply.leads.attribution import AttributionModel


class PieceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A piece over a channel. recipients, opens and shares: of all its sends. touched: leads met by it; leads: those
    that came in by it; won, activated: of these. due_ppm: activated merchants that attribution gives to it, in
    millionths of one. Rates are in parts per million of the recipients, None where nobody was reached.
    """

    piece_id: int
    channel: str
    sends: int
    recipients: int
    opens: int
    shares: int
    open_ppm: int | None
    share_ppm: int | None
    touched: int
    leads: int
    won: int
    activated: int
    due_ppm: int


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What we and a partner have done for each other. given: who were reached by its pieces over our channels; taken:
    by ours over its.
    """

    partner_id: int
    given_sends: int
    given: int
    taken_sends: int
    taken: int


async def weigh_pieces(
    tx: Tx, piece_ids: Sequence[int], attribution: AttributionModel = AttributionModel.LAST
) -> list[PieceFigures]:
    """Pieces by channel: those over which they were sent, and those on which they met somebody."""
    rows = await tx.rows(_FIGURES, pieces=list(piece_ids), attribution=attribution.value)
    return [
        PieceFigures(
            **row._mapping, open_ppm=_rate(row.opens, row.recipients), share_ppm=_rate(row.shares, row.recipients)
        )
        for row in rows
    ]


async def weigh_partners(tx: Tx, partner_ids: Sequence[int]) -> dict[int, Exchange]:
    """By partner, all of those that are asked for."""
    rows = await tx.rows(_EXCHANGED, partners=list(partner_ids))
    return {row.partner_id: Exchange(**row._mapping) for row in rows}


def _rate(part: int, whole: int) -> int | None:
    return divide_half_even(part * PPM, whole) if whole else None


_FIGURES = """
    WITH piece AS (SELECT piece_id, code FROM supply.content_piece WHERE piece_id = ANY(:pieces)),
    taken_up AS (
        SELECT s.piece_id, s.channel_id, count(*) AS sends, sum(s.recipients) AS recipients,
               sum(d.opens) AS opens, sum(d.shares) AS shares
        FROM piece p JOIN supply.content_send s ON s.piece_id = p.piece_id AND s.state = 'sent'
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(opens), 0) AS opens, coalesce(sum(shares), 0) AS shares
            FROM supply.content_day WHERE send_id = s.send_id
        ) d
        GROUP BY 1, 2
    ), met AS (
        SELECT p.piece_id, t.channel_id, count(DISTINCT coalesce(l.merged_into, l.lead_id)) AS touched
        FROM piece p JOIN supply.touch t ON t.campaign = p.code JOIN supply.lead l ON l.lead_id = t.lead_id
        GROUP BY 1, 2
    ), began AS (
        SELECT p.piece_id, l.channel_id, count(*) AS leads, count(e.won_on) AS won,
               count(*) FILTER (WHERE EXISTS (
                   SELECT FROM supply.stage_entry x JOIN supply.funnel f USING (model, version_no)
                   WHERE x.lead_id = l.lead_id AND f.stages -> x.stage_no ->> 'key' = f.activated)) AS activated
        FROM piece p JOIN supply.lead l ON l.campaign = p.code AND l.merged_into IS NULL
        LEFT JOIN supply.stage_entry e ON e.lead_id = l.lead_id AND e.stage_no = 0
        GROUP BY 1, 2
    ), due AS (
        SELECT p.piece_id, a.channel_id, sum(a.share_ppm) AS due_ppm
        FROM piece p JOIN supply.attribution_share a ON a.campaign = p.code AND a.model = :attribution
        GROUP BY 1, 2
    )
    SELECT piece_id, h.code AS channel, coalesce(sends, 0) AS sends, coalesce(recipients, 0)::bigint AS recipients,
           coalesce(opens, 0)::bigint AS opens, coalesce(shares, 0)::bigint AS shares,
           coalesce(touched, 0) AS touched, coalesce(leads, 0) AS leads, coalesce(won, 0) AS won,
           coalesce(activated, 0) AS activated, coalesce(due_ppm, 0)::bigint AS due_ppm
    FROM taken_up FULL JOIN met USING (piece_id, channel_id) FULL JOIN began USING (piece_id, channel_id)
    FULL JOIN due USING (piece_id, channel_id) JOIN supply.channel h USING (channel_id)
    ORDER BY piece_id DESC, h.code
"""

_EXCHANGED = """
    SELECT r.partner_id, count(*) FILTER (WHERE p.partner_id = r.partner_id) AS given_sends,
           coalesce(sum(s.recipients) FILTER (WHERE p.partner_id = r.partner_id), 0)::bigint AS given,
           count(*) FILTER (WHERE s.partner_id = r.partner_id) AS taken_sends,
           coalesce(sum(s.recipients) FILTER (WHERE s.partner_id = r.partner_id), 0)::bigint AS taken
    FROM supply.content_partner r
    LEFT JOIN (supply.content_send s JOIN supply.content_piece p ON p.piece_id = s.piece_id AND s.state = 'sent')
      ON r.partner_id IN (p.partner_id, s.partner_id)
    WHERE r.partner_id = ANY(:partners) GROUP BY r.partner_id
"""
