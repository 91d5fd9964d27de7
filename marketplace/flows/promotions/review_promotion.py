"""What a promotion that is over has changed and cost, and the review that closes it."""

import msgspec

from incentives.experiments import store
from incentives.experiments.findings import Findings, findings
from incentives.experiments.model import Exposed
from incentives.experiments.store import Decision, Review
from incentives.lifecycle import Move
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion, Version
from incentives.rules.awards import Ladder, Once
from incentives.rules.model import Terms
from incentives.simulation import store as simulations
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.promotions import review_promotion_sql as sql
from marketplace.flows.promotions.plan_incentives import move_promotion
from marketplace.flows.promotions.review_promotion_sql import Times


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
    terms = version.terms
    holdout = await store.get_holdout(tx)
    cost_minor, clawed_minor = await sql.cost(tx, promotion_id)
    found: list[Exposed] = []
    others = None
    times = _times(tx, promotion, terms)
    if times is not None:
        found = await sql.exposed(tx, promotion_id, promotion.currency, times)
        others = await sql.others(tx, promotion_id, promotion.currency, times)
    return findings(
        terms.experiment,
        found,
        near=await sql.near(tx, promotion_id, _thresholds(terms)),
        others=others,
        planned_minor=await _planned(tx, promotion_id, version),
        cost_minor=cost_minor,
        clawed_minor=clawed_minor,
        holdout_slots=0 if holdout is None else holdout.slots,
    )


def _times(tx: Tx, of: Promotion, terms: Terms) -> Times | None:
    """When it ran, until now at the latest; None before it began."""
    starts, ends, zone = of.starts_at, of.ends_at or tx.now, terms.schedule.zone
    if ends <= starts:
        return None
    return Times(starts=starts, ends=ends, first=local_date(starts, zone), last=local_date(ends, zone))


def _thresholds(terms: Terms) -> list[int]:
    """The measures at which a reward jumps: those that are worth reaching by a hair."""
    match terms.reward.amount:
        case Once(threshold=threshold):
            return [threshold]
        case Ladder(tiers=tiers):
            return [tier.threshold for tier in tiers]
        case _:
            return []


async def _versions(tx: Tx, promotion_id: int) -> list[Version]:
    return list(await promotions.list_versions(tx, promotion_id, limit=1_000, before=None))


async def _planned(tx: Tx, promotion_id: int, version: Version) -> int | None:
    """What the simulation said on which the version was approved."""
    if version.simulation_id is None:
        return None
    found = await simulations.get_simulation(tx, promotion_id, version.simulation_id)
    return None if found.result is None else found.result.limited.cost_minor


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
