"""What merchants read of their rewards: grants with their entries."""

from datetime import datetime

import msgspec

from marketplace.core.db import Tx


class Booked(msgspec.Struct, frozen=True):
    """An entry of the merchant's books."""

    entry_no: int
    kind: str


class RewardGrant(msgspec.Struct, frozen=True, kw_only=True):
    """An award, or below zero a clawback. promotion: its name. funder_minor: what of it each of the funders bears."""

    grant_id: int
    promotion_id: int
    promotion: str
    span: str
    currency: str
    amount_minor: int
    funders: list[str]
    funder_minor: list[int]
    state: str
    vests_at: datetime | None
    at: datetime
    entries: list[Booked]


async def reward_grants(
    tx: Tx, merchant_id: int, promotion_id: int | None, *, limit: int, before: int | None
) -> list[RewardGrant]:
    """A merchant's grants, the newest first, below the grant `before`."""
    rows = await tx.rows(
        """
        SELECT g.grant_id, g.promotion_id, p.name AS promotion, g.span, g.currency, g.amount_minor, g.funders,
               g.funder_minor, g.state, g.vests_at, g.at,
               (SELECT coalesce(jsonb_agg(jsonb_build_object('entry_no', e.entry_no, 'kind', e.kind)
                                          ORDER BY e.entry_no), '[]')
                FROM billing.entry e
                WHERE e.merchant_id = g.merchant_id AND e.source_id = g.grant_id
                  AND e.kind IN ('incentive_earned', 'incentive_unearned', 'incentive_vested', 'incentive_clawed_back')
               ) AS entries
        FROM incentives.merchant_grant g
        JOIN incentives.public_promotion p ON p.promotion_id = g.promotion_id
        WHERE g.merchant_id = :merchant
          AND (CAST(:promotion AS bigint) IS NULL OR g.promotion_id = :promotion)
          AND g.grant_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY g.grant_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        promotion=promotion_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), RewardGrant) for row in rows]
