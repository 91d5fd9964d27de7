"""Promotions of measurements, taken live as people and the clock would."""

from collections.abc import Sequence
from datetime import date, timedelta

from incentives.campaigns.model import FunderPart, OnDay, Plan, Target
from incentives.lifecycle import Move
from incentives.rules.model import Schedule, Terms
from marketplace.core import users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.plan_incentives import DraftCampaign, DraftPromotion
from tests.bench.scratch import ACTOR
from tests.incentives.market import WARNED, simulated

BUDGET_MINOR = 10**12
_REVIEWER = "rob"


def schedule_over(first: date, last: date) -> Schedule:
    return Schedule(zone="UTC", starts=str(first), ends=str(last))


async def launch(db: Database, every: Sequence[Terms]) -> None:
    """Take promotions of one schedule, under one campaign, as far as the clock of the database lets them."""
    await db.write(WORKER, ACTOR, _reviewer)
    schedule = every[0].schedule
    last = date.fromisoformat(str(schedule.ends))
    plan = Plan(
        target=Target(metric="gmv", value=1, by=last),
        budget_minor=BUDGET_MINOR,
        funders=(FunderPart(funder="platform", amount_minor=BUDGET_MINOR),),
        stops=(OnDay(on=last - timedelta(days=1)),),
        reviewer=_REVIEWER,
        gains="those who trade",
        loses="the margin",
    )
    drafting = DraftCampaign(name="measured", currency="EUR", schedule=schedule, plan=plan)
    campaign = await db.write(WORKER, ACTOR, flow.draft_campaign, drafting)
    for move in (Move.SUBMIT, Move.APPROVE, Move.SCHEDULE):
        await db.write(WORKER, ACTOR, flow.move_campaign, campaign.campaign_id, move, "so")
    for terms in every:
        drafted = DraftPromotion(campaign_id=campaign.campaign_id, terms=terms)
        made = await db.write(WORKER, ACTOR, flow.draft_promotion, drafted)
        await simulated(db, made.promotion_id)
        for move in (Move.SUBMIT, Move.APPROVE, Move.SCHEDULE):
            await db.write(WORKER, ACTOR, flow.move_promotion, made.promotion_id, move, "so", WARNED)
    await advance_incentives(db, ACTOR)


async def _reviewer(tx: Tx) -> None:
    await users.create_user(tx, _REVIEWER, _REVIEWER, ["growth"])
