"""The grants behind the lines of a claim: what of a promotion's cost a payer is asked for, event by event."""

from datetime import datetime

import msgspec

from marketplace.core.db import Tx


class ClaimedGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a claim with the grant it is for. beneficiary: merchant, or buyer for a discount or a rebate, which is
    in the house's books. window: the order, or the instant at which a longer one begins, for a buyer behind the entity.

    granted_minor: the grant. borne_minor, back_minor: the payer's part of it, and what came back of that so far;
    claimed_minor: what this claim asks for, below zero where more had been claimed before.
    """

    line_no: int
    merchant_id: int
    grant_id: int
    promotion_id: int
    promotion: str
    version_no: int
    beneficiary: str
    window: str
    granted_at: datetime
    granted_minor: int
    borne_minor: int
    back_minor: int
    claimed_minor: int
    currency: str


_GRANTS = """
SELECT l.line_no, l.merchant_id, l.source_id AS grant_id, g.promotion_id, p.name AS promotion, g.version_no,
       g.beneficiary, g.window, s.reserved_at AS granted_at, g.granted_minor, s.amount_minor AS borne_minor,
       s.back_minor, l.amount_minor AS claimed_minor, c.currency
FROM billing.payer_claim_line l
JOIN billing.payer_claim c ON c.payer_id = l.payer_id AND c.claim_id = l.claim_id
JOIN billing.payer_share s ON s.merchant_id = l.merchant_id AND s.source = l.source AND s.source_id = l.source_id
 AND s.contract_id = c.contract_id
JOIN LATERAL (
    SELECT promotion_id, version_no, 'buyer' AS beneficiary, CAST(order_id AS text) AS window,
           amount_minor AS granted_minor
    FROM incentives.order_discount WHERE merchant_id = l.merchant_id AND grant_id = l.source_id
    UNION ALL
    SELECT promotion_id, version_no, 'merchant', span, amount_minor
    FROM incentives.merchant_grant WHERE merchant_id = l.merchant_id AND grant_id = l.source_id
    UNION ALL
    SELECT promotion_id, version_no, 'buyer', span, amount_minor
    FROM incentives.buyer_grant WHERE form <> 'discount' AND grant_id = l.source_id
) AS g ON true
JOIN incentives.promotion p ON p.promotion_id = g.promotion_id
WHERE l.payer_id = :payer AND l.claim_id = :claim AND l.source = 'promotion' AND l.line_no > :after
ORDER BY l.line_no LIMIT :limit
"""


async def claimed_grants(
    tx: Tx, payer_id: int, claim_id: int, *, after: int = 0, limit: int | None = None
) -> list[ClaimedGrant]:
    """By line, those behind `after`. Read with the eyes of staff: what is asked of a payer, it may see."""
    rows = await tx.rows(_GRANTS, payer=payer_id, claim=claim_id, after=after, limit=limit)
    return [ClaimedGrant(**row._mapping) for row in rows]
