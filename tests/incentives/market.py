"""Campaigns and promotions of tests, taken through their life by two people and the clock."""

from datetime import date, datetime
from typing import Any

import msgspec

from incentives.campaigns import store as campaigns
from incentives.campaigns.model import Campaign, FunderPart, OnDay, Plan, SpentShare, Target
from incentives.experiments.store import Decision
from incentives.lifecycle import Move, State
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion, Version
from incentives.rules.awards import Once, Reward, ToMerchant
from incentives.rules.index import plan_of
from incentives.rules.model import OrderSettled, Schedule, Terms, TotalBudget, WholePromotion
from incentives.simulation import store as simulations
from incentives.simulation.replay import replay
from incentives.simulation.report import EXPECTED, Pins, digest_of, over, simulation
from incentives.simulation.store import Asked
from marketplace.core import policies, users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.plan_incentives import DraftCampaign, DraftPromotion
from marketplace.flows.promotions.review_promotion import ReviewPromotion, review_promotion

MAKER, CHECKER, REVIEWER = "ida", "aki", "rob"
SCHEDULE = Schedule(zone="UTC", starts="2018-09-04", ends="2018-09-30")
PLAN = Plan(
    target=Target(metric="gmv", value=1_000_000, by=date(2018, 9, 30)),
    budget_minor=10_000,
    funders=(FunderPart(funder="platform", amount_minor=6_000), FunderPart(funder="merchant", amount_minor=4_000)),
    stops=(SpentShare(share_ppm=900_000), OnDay(on=date(2018, 9, 20))),
    reviewer=REVIEWER,
    gains="merchants that trade more",
    loses="the platform's margin",
)
TERMS = Terms(
    name="trade 100, get 20",
    currency="EUR",
    trigger=OrderSettled(),
    window=WholePromotion(),
    reward=Reward(amount=Once(threshold=10_000, amount_minor=2_000)),
    beneficiary=ToMerchant(),
    budgets=(TotalBudget(limit_minor=5_000, currency="EUR"),),
    schedule=SCHEDULE,
)


def terms(**changes: Any) -> Terms:
    return msgspec.structs.replace(TERMS, **changes)


async def people(db: Database) -> None:
    """Who writes, who approves and who reviews; none of them may do it all."""

    async def add(tx: Tx) -> None:
        for login, role in ((MAKER, "incentives"), (CHECKER, "approver"), (REVIEWER, "growth")):
            await users.create_user(tx, login, login, [role])
        await policies.switch(tx, "single_operator", on=False)

    await db.write(WORKER, "test", add)


async def drafted_campaign(db: Database, plan: Plan = PLAN, schedule: Schedule = SCHEDULE) -> Campaign:
    cmd = DraftCampaign(name="autumn", currency="EUR", schedule=schedule, plan=plan)
    return await db.write(WORKER, MAKER, flow.draft_campaign, cmd)


async def move_campaign(db: Database, of: Campaign, *moves: Move, actor: str = MAKER, reason: str = "so") -> Campaign:
    for move in moves:
        who = {Move.APPROVE: CHECKER, Move.REJECT: CHECKER, Move.REVIEW: REVIEWER}.get(move, actor)
        of = await db.write(WORKER, who, flow.move_campaign, of.campaign_id, move, reason)
    return of


async def drafted(db: Database, of: Campaign, wanted: Terms = TERMS, on_pause: Any = "honour") -> Promotion:
    cmd = DraftPromotion(campaign_id=of.campaign_id, terms=wanted, on_pause=on_pause)
    return await db.write(WORKER, MAKER, flow.draft_promotion, cmd)


WARNED = {"power": "a test", "unsimulated": "a test"}
"""What whoever approves here says to the warnings of a simulation over nothing."""


async def simulated(db: Database, promotion_id: int) -> None:
    """A simulation of the newest version, over no orders at all: it warns that nothing can be measured."""

    async def simulate(tx: Tx) -> None:
        version = await promotions.get_version(tx, promotion_id)
        recorded = over(version.terms, date(2018, 5, 1), date(2018, 5, 31))
        plan = plan_of(promotion_id, version.version_no, recorded)
        [answer] = replay([plan], [])
        pins = Pins(history="", terms=digest_of(recorded), evaluator="", tzdata="", seed=1)
        made = simulation(plan, answer, answer, pins=pins, expected=EXPECTED, holdout=None)
        asked = Asked(from_on=date(2018, 5, 1), to_on=date(2018, 5, 31), expected=EXPECTED, seed=1)
        new = await simulations.insert_simulation(tx, promotion_id, version.version_no, asked)
        await simulations.finished(tx, new.simulation_id, made)

    await db.write(WORKER, MAKER, simulate)


async def move(db: Database, of: Promotion, *moves: Move, actor: str = MAKER, reason: str = "so") -> Promotion:
    """Approved is what was simulated just before."""
    for each in moves:
        who = {Move.APPROVE: CHECKER, Move.REJECT: CHECKER, Move.REVIEW: REVIEWER}.get(each, actor)
        if each is Move.APPROVE:
            await simulated(db, of.promotion_id)
        if each is Move.REVIEW:
            cmd = ReviewPromotion(promotion_id=of.promotion_id, decision=Decision.STOP, learned=reason)
            await db.write(WORKER, who, review_promotion, cmd)
            of = await now(db, of)
        else:
            of = await db.write(WORKER, who, flow.move_promotion, of.promotion_id, each, reason, WARNED)
    return of


async def live(
    db: Database, clock: FixedClock, wanted: Terms = TERMS, on_pause: Any = "honour"
) -> tuple[Campaign, Promotion]:
    """A campaign and a promotion that have begun, at noon of the day after NOW."""
    await people(db)
    campaign = await move_campaign(db, await drafted_campaign(db), Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    promotion = await move(db, await drafted(db, campaign, wanted, on_pause), Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    await at(db, clock, "2018-09-04T12:00:00+00:00")
    return await campaign_now(db, campaign), await now(db, promotion)


async def at(db: Database, clock: FixedClock, instant: str) -> None:
    """What the clock does when it is that late."""
    clock.move_to(datetime.fromisoformat(instant))
    await advance_incentives(db, "worker")


async def now(db: Database, of: Promotion) -> Promotion:
    async with db.read(WORKER) as tx:
        return await promotions.get_promotion(tx, of.promotion_id)


async def campaign_now(db: Database, of: Campaign) -> Campaign:
    async with db.read(WORKER) as tx:
        return await campaigns.get_campaign(tx, of.campaign_id)


async def states(db: Database, campaign: Campaign, promotion: Promotion) -> tuple[State, State]:
    return (await campaign_now(db, campaign)).state, (await now(db, promotion)).state


async def newest(db: Database, of: Promotion) -> Version:
    async with db.read(WORKER) as tx:
        return await promotions.get_version(tx, of.promotion_id)
