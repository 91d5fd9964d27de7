"""What a promotion that is over has changed and cost, and the review that closes it."""

from datetime import datetime

import msgspec

from incentives.experiments import store
from incentives.experiments.findings import Exposed, Findings, findings
from incentives.experiments.store import Decision, Review
from incentives.lifecycle import Move
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion, Version
from incentives.simulation import store as simulations
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.promotions.plan_incentives import move_promotion

EXPOSED = """
SELECT e.merchant_id, min(e.unit) AS unit, (array_agg(e.arm ORDER BY e.at, e.unit))[1] AS arm,
       coalesce((array_agg(s.after_minor))[1], 0)::bigint AS after_minor,
       coalesce((array_agg(s.before_minor))[1], 0)::bigint AS before_minor,
       coalesce((array_agg(c.margin_minor))[1], 0)::bigint AS margin_minor,
       coalesce((array_agg(g.cost_minor))[1], 0)::bigint AS cost_minor
FROM incentives.exposure e
LEFT JOIN LATERAL (
    SELECT sum(l.minor) FILTER (WHERE o.delivered_at >= :starts) AS after_minor,
           sum(l.minor) FILTER (WHERE o.delivered_at < :starts) AS before_minor
    FROM demand.merchant_order o CROSS JOIN LATERAL (
        SELECT sum(l.goods_minor - l.discount_minor - l.refunded_goods_minor) AS minor FROM demand.order_line l
        WHERE l.merchant_id = o.merchant_id AND l.order_id = o.order_id
    ) AS l
    WHERE o.merchant_id = e.merchant_id AND o.state = 'delivered' AND o.currency = :currency
      AND o.delivered_at >= :before AND o.delivered_at < :ends
) AS s ON true
LEFT JOIN LATERAL (
    SELECT sum(c.commission_minor) AS margin_minor FROM billing.commission_line c
    WHERE c.merchant_id = e.merchant_id AND c.currency = :currency
      AND c.occurred_on >= :first AND c.occurred_on < :last
) AS c ON true
LEFT JOIN LATERAL (
    SELECT sum(g.amount_minor) AS cost_minor FROM incentives.merchant_grant g
    WHERE g.merchant_id = e.merchant_id AND g.promotion_id = e.promotion_id AND g.state <> 'void'
) AS g ON true
WHERE e.promotion_id = :promotion
GROUP BY e.merchant_id ORDER BY e.merchant_id
"""
COST = """
SELECT coalesce(sum(minor), 0)::bigint AS cost, coalesce(-sum(minor) FILTER (WHERE minor < 0), 0)::bigint AS clawed
FROM (
    SELECT amount_minor AS minor FROM incentives.merchant_grant WHERE promotion_id = :promotion AND state <> 'void'
    UNION ALL
    SELECT amount_minor FROM incentives.buyer_grant WHERE promotion_id = :promotion AND state <> 'void'
) AS g
"""


class ReviewPromotion(msgspec.Struct, frozen=True, kw_only=True):
    """decision: what comes of it; learned: what the next one should know."""

    promotion_id: int
    decision: Decision
    learned: str


async def look_back(tx: Tx, promotion_id: int) -> Findings:
    """What can be said of a promotion by now, as it will stand in its review. Raises NotFound."""
    promotion = await promotions.get_promotion(tx, promotion_id)
    approved = [row for row in await _versions(tx, promotion_id) if row.approved_by is not None]
    version = approved[0] if approved else await promotions.get_version(tx, promotion_id)
    spent = await tx.row(COST, promotion=promotion_id)
    assert spent is not None
    return findings(
        version.terms.experiment,
        await _exposed(tx, promotion, version),
        planned_minor=await _planned(tx, promotion_id, version),
        cost_minor=spent.cost,
        clawed_minor=spent.clawed,
    )


async def _versions(tx: Tx, promotion_id: int) -> list[Version]:
    return list(await promotions.list_versions(tx, promotion_id, limit=1_000, before=None))


async def _planned(tx: Tx, promotion_id: int, version: Version) -> int | None:
    """What the simulation said on which the version was approved."""
    if version.simulation_id is None:
        return None
    found = await simulations.get_simulation(tx, promotion_id, version.simulation_id)
    return None if found.result is None else found.result.limited.cost_minor


async def _exposed(tx: Tx, promotion: Promotion, version: Version) -> list[Exposed]:
    starts, ends = promotion.starts_at, promotion.ends_at or tx.now
    if ends <= starts:
        return []
    zone = version.terms.schedule.zone
    rows = await tx.rows(
        EXPOSED,
        promotion=promotion.promotion_id,
        currency=promotion.currency,
        before=_before(starts, ends),
        starts=starts,
        ends=ends,
        first=local_date(starts, zone),
        last=local_date(ends, zone),
    )
    return [Exposed(**row._mapping) for row in rows]


def _before(starts: datetime, ends: datetime) -> datetime:
    return starts - (ends - starts)


async def review_promotion(tx: Tx, cmd: ReviewPromotion) -> Review:
    """Freeze what was found, with what was learned, and close the promotion.

    Raises Invalid without words, Conflict before refunds have ceased to count, Forbidden for whoever is not its
    campaign's reviewer.
    """
    if not cmd.learned.strip():
        raise Invalid("learned: say what the next one should know", pointer="/learned")
    if await store.find_review(tx, cmd.promotion_id) is not None:
        raise Conflict("review: there is one already, and it stays as it is")
    new = Review(
        promotion_id=cmd.promotion_id,
        findings=await look_back(tx, cmd.promotion_id),
        decision=cmd.decision,
        learned=cmd.learned.strip(),
        made_by=tx.actor,
        made_at=tx.now,
    )
    await store.add_review(tx, new)
    await move_promotion(tx, cmd.promotion_id, Move.REVIEW, f"{cmd.decision}: {new.learned}"[:500])
    return new
