"""A campaign of the demonstration with its promotions: written, simulated over the last weeks, approved and live.

Operations are one person here, as the policy `single_operator` allows: the audit trail says so.
"""

from datetime import date, timedelta

from incentives.campaigns.model import FunderPart, Plan, SpentShare, Target
from incentives.lifecycle import Move, State
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion
from incentives.rules.awards import Discount, Fixed, Ladder, Reward, Tier, ToBuyer, ToMerchant
from incentives.rules.model import (
    Calendar,
    CustomEvent,
    OrderPlaced,
    OrderSettled,
    PerEvent,
    Qualify,
    Schedule,
    Terms,
    TotalBudget,
)
from incentives.rules.predicates import Equals
from incentives.simulation.report import EXPECTED
from incentives.simulation.store import Asked, newest_done
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.demo.demo_market import CURRENCY, ZONE, DemoMarket
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.pass_gate import warnings_of
from marketplace.flows.promotions.simulate_promotion import Ask, ask_simulation, not_recorded, run_simulation

CAMPAIGN = "Autumn drive"
_CODE = "WELCOME5"


async def promote(db: Database, actor: str, market: DemoMarket) -> None:
    """Plant the campaign and grant what the last weeks entitle to; whatever of it is there already stays."""
    campaign_id = await db.write(WORKER, actor, _plan, market)
    async with db.read(WORKER) as tx:
        drafts = await promotions.list_promotions(tx, limit=len(_terms(market)), campaign_id=campaign_id)
    for each in drafts:
        if each.state is State.DRAFT:
            await _launch(db, actor, each, market)
    await advance_incentives(db, actor)
    await grant_rewards(db, actor)


async def _plan(tx: Tx, market: DemoMarket) -> int:
    """The campaign, approved, with a draft of each promotion; its id."""
    known: int | None = await tx.scalar("SELECT campaign_id FROM incentives.campaign WHERE name = :name", name=CAMPAIGN)
    if known is not None:
        return known
    terms = _terms(market)
    plan = Plan(
        target=Target(metric="gmv", value=30_000_000, by=_ends(market)),
        budget_minor=3_000_000,
        funders=(FunderPart(funder="platform", amount_minor=3_000_000),),
        stops=(SpentShare(share_ppm=950_000),),
        reviewer="ops",
        gains="merchants that trade more than they would have, and new buyers",
        loses="the platform's margin of the season",
    )
    cmd = flow.DraftCampaign(name=CAMPAIGN, currency=CURRENCY, schedule=_schedule(market), plan=plan)
    campaign = await flow.draft_campaign(tx, cmd)
    for move in (Move.SUBMIT, Move.APPROVE, Move.SCHEDULE):
        await flow.move_campaign(tx, campaign.campaign_id, move)
    for each in terms:
        await flow.draft_promotion(tx, flow.DraftPromotion(campaign_id=campaign.campaign_id, terms=each))
    return campaign.campaign_id


async def _launch(db: Database, actor: str, draft: Promotion, market: DemoMarket) -> None:
    """Simulate a draft over the last weeks where that can be; approve it with what that warns of."""
    async with db.read(WORKER) as tx:
        terms = (await promotions.get_version(tx, draft.promotion_id)).terms
    if not not_recorded(terms):
        asked = Asked(from_on=_starts(market), to_on=market.last_on, expected=EXPECTED, seed=1)
        made = await db.write(WORKER, actor, ask_simulation, Ask(promotion_id=draft.promotion_id, asked=asked))
        await run_simulation(db, actor, made.simulation_id)

    async def approve(tx: Tx) -> None:
        version = await promotions.get_version(tx, draft.promotion_id)
        warned = warnings_of(version.terms, await newest_done(tx, draft.promotion_id, version.version_no))
        seen: dict[str, str] = {each.name: "a demonstration, on made-up data" for each in warned}
        for move in (Move.SUBMIT, Move.APPROVE, Move.SCHEDULE):
            await flow.move_promotion(tx, draft.promotion_id, move, acknowledged=seen)

    await db.write(WORKER, actor, approve)


def _schedule(market: DemoMarket) -> Schedule:
    return Schedule(zone=ZONE, starts=str(_starts(market)), ends=str(_ends(market)))


def _starts(market: DemoMarket) -> date:
    """Some weeks before the last order, so that there is something to show."""
    return market.last_on - timedelta(days=28)


def _ends(market: DemoMarket) -> date:
    return market.last_on + timedelta(days=150)


def _terms(market: DemoMarket) -> list[Terms]:
    """A ladder for a merchant's month, something for who brings another merchant, and a code for buyers."""
    month = Ladder(
        tiers=(Tier(threshold=100_000, total_minor=1_500), Tier(threshold=300_000, total_minor=6_000),
               Tier(threshold=800_000, total_minor=20_000)),
    )  # fmt: skip
    return [
        Terms(
            name="The month's ladder", currency=CURRENCY, trigger=OrderSettled(), window=Calendar(period="month"),
            beneficiary=ToMerchant(), reward=Reward(amount=month), schedule=_schedule(market),
            budgets=(TotalBudget(limit_minor=1_500_000, currency=CURRENCY),),
        ),
        Terms(
            name="Bring a neighbour", currency=CURRENCY, trigger=CustomEvent(name="referral.referrer"),
            window=PerEvent(), beneficiary=ToMerchant(), reward=Reward(amount=Fixed(amount_minor=5_000)),
            schedule=_schedule(market), budgets=(TotalBudget(limit_minor=250_000, currency=CURRENCY),),
        ),
        Terms(
            name=_CODE, currency=CURRENCY, trigger=OrderPlaced(), window=PerEvent(), beneficiary=ToBuyer(),
            qualify=Qualify(event=Equals(attribute="order.code", value=_CODE)), schedule=_schedule(market),
            reward=Reward(amount=Fixed(amount_minor=500), form=Discount()),
            budgets=(TotalBudget(limit_minor=500_000, currency=CURRENCY),),
        ),
    ]  # fmt: skip
