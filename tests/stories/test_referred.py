"""A merchant brings another one: both are rewarded through incentives, and give it back when it closes in time."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from incentives.campaigns.model import FunderPart
from incentives.lifecycle import Move as Step
from incentives.rules.awards import Fixed, Reward
from incentives.rules.model import CustomEvent, PerEvent, TotalBudget
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.note_stages import note_milestones
from marketplace.flows.acquisition.onboard_merchant import move_merchant
from marketplace.flows.acquisition.refer_merchants import (
    NewReferral,
    make_code,
    make_programme,
    read_referral,
    refer_lead,
    reward_referrals,
)
from marketplace.flows.acquisition.refer_merchants_sql import brought_by
from marketplace.flows.acquisition.work_leads import MoveLead, move_lead
from marketplace.flows.promotions.vest_rewards import vest_rewards
from supply.leads.lifecycle import Move
from supply.leads.model import Lead
from supply.leads.referrals.model import ProgrammeTerms, Referral, ReferralState, WhyNot
from supply.lifecycle import MerchantMove
from tests.billing.market import check_books
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import NOW
from tests.incentives.market import PLAN, SCHEDULE, at, drafted, drafted_campaign, move, move_campaign, people, terms
from tests.leads.market import bring
from tests.products.market import books


async def promoted(db: Database, clock: FixedClock, left_minor: int = 20_000) -> None:
    """50.00 for who brings, 20.00 for who is brought, out of so much; live from the day after NOW."""
    await people(db)
    plan = msgspec.structs.replace(
        PLAN, budget_minor=left_minor, funders=(FunderPart(funder="platform", amount_minor=left_minor),)
    )
    drawn = await drafted_campaign(db, plan)
    campaign = await move_campaign(db, drawn, Step.SUBMIT, Step.APPROVE, Step.SCHEDULE)
    for name, minor in (("referral.referrer", 5_000), ("referral.referee", 2_000)):
        wanted = terms(
            name=name, trigger=CustomEvent(name=name), window=PerEvent(), schedule=SCHEDULE,
            reward=Reward(amount=Fixed(amount_minor=minor)),
            budgets=(TotalBudget(limit_minor=5_000, currency="EUR"),),
        )  # fmt: skip
        await move(db, await drafted(db, campaign, wanted), Step.SUBMIT, Step.APPROVE, Step.SCHEDULE)
    await at(db, clock, "2018-09-04T12:00:00+00:00")


async def referred(db: Database, device: str = "", **lead: Any) -> tuple[Lead, Referral]:
    """Merchant 1 brings a lead."""

    async def make(tx: Tx) -> None:
        await make_programme(tx, "friends", ProgrammeTerms(currency="EUR", window_days=20))
        await make_code(tx, "FRIEND-1", "friends", 1, device="phone of 1")

    await db.write(WORKER, "greta", make)
    brought = await bring(db, "Friend's shop", channel="online.referral", **lead)
    cmd = NewReferral(code="FRIEND-1", lead_id=brought.lead_id, device=device)
    return brought, await db.write(WORKER, "greta", refer_lead, cmd)


async def activated(db: Database, clock: FixedClock, lead: Lead, merchant_id: int = 2) -> None:
    """It is signed as merchant 2, and delivers its first order."""
    cmd = MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=merchant_id)
    await db.write(WORKER, "greta", move_lead, cmd)
    order = Order(
        merchant_id=merchant_id, order_id=1, lines=(Line(goods_minor=10_000),), placed_at=clock.now(),
        settles_at=clock.now(),
    )  # fmt: skip
    await db.write(WORKER, "test", add_orders, [order])
    await note_milestones(db, "worker")


async def stands(db: Database, of: Referral) -> tuple[ReferralState, list[int], list[str]]:
    async with db.read(WORKER) as tx:
        found = await read_referral(tx, of.referral_id)
    return found.referral.state, [each.amount_minor for each in found.rewards], found.referral.reasons


async def test_a_referral_is_rewarded_on_both_sides_and_clawed_back(db: Database, clock: FixedClock) -> None:
    """50.00 and 20.00 when the merchant is activated; closed within 60 days, both are owed again."""
    await db.write(WORKER, "test", add_market, [1, 2])
    await promoted(db, clock)
    lead, referral = await referred(db)
    assert await reward_referrals(db, "worker") == 0
    await activated(db, clock, lead)
    assert await reward_referrals(db, "worker") == 2
    assert await reward_referrals(db, "worker") == 0
    assert await stands(db, referral) == (ReferralState.REWARDED, [5_000, 2_000], [])
    await vest_rewards(db, "worker")
    assert (await books(db, 1))[2000] == -5_000
    assert (await books(db, 2))[2000] == -2_000
    clock.move_to(clock.now() + timedelta(days=10))
    await db.write(WORKER, "ops", move_merchant, 2, MerchantMove.CLOSE, "it was a shop of straw")
    assert await reward_referrals(db, "worker") == 1
    assert await stands(db, referral) == (ReferralState.CLAWED_BACK, [0, 0], ["the merchant was closed"])
    async with db.read(WORKER) as tx:
        assert [each.why_not for each in await brought_by(tx, 1, limit=9)] == [WhyNot.LOST]
    assert 2000 not in await books(db, 1)
    assert 2000 not in await books(db, 2)
    await check_books(db)


async def test_a_reward_waits_for_a_promotion(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, "test", add_market, [1, 2])
    lead, referral = await referred(db)
    await activated(db, clock, lead)
    assert await reward_referrals(db, "worker") == 1
    why = "no live promotion gives a referrer anything (referral.referrer, EUR)"
    assert await stands(db, referral) == (ReferralState.QUALIFIED, [], [why])
    assert await reward_referrals(db, "worker") == 0
    async with db.read(WORKER) as tx:
        assert (await read_referral(tx, referral.referral_id)).referral.version == 3  # said once, not at every pass
        assert [each.why_not for each in await brought_by(tx, 1, limit=9)] == [None]  # nothing is for good
    await promoted(db, clock)
    assert await reward_referrals(db, "worker") == 1
    assert await stands(db, referral) == (ReferralState.REWARDED, [5_000, 2_000], [])


async def test_neither_side_is_rewarded_alone(db: Database, clock: FixedClock) -> None:
    """60.00 are left: enough for who brings, not for both."""
    await db.write(WORKER, "test", add_market, [1, 2])
    await promoted(db, clock, 6_000)
    lead, referral = await referred(db)
    await activated(db, clock, lead)
    await reward_referrals(db, "worker")
    state, rewards, [why] = await stands(db, referral)
    assert (state, rewards) == (ReferralState.QUALIFIED, [])
    assert "referee" in why
    assert await books(db, 1) == {}


async def test_who_is_too_late_is_refused(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, "test", add_market, [1, 2])
    lead, referral = await referred(db)
    clock.move_to(NOW + timedelta(days=21))
    await activated(db, clock, lead)
    await reward_referrals(db, "worker")
    assert await stands(db, referral) == (ReferralState.REFUSED, [], ["not activated within 20 days"])
    async with db.read(WORKER) as tx:
        assert [each.why_not for each in await brought_by(tx, 1, limit=9)] == [WhyNot.TOO_LATE]


async def test_who_was_active_before_is_brought_by_nobody(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, "test", add_market, [1, 2])
    before = clock.now()
    clock.move_to(before - timedelta(days=30))
    sold = Order(
        merchant_id=2, order_id=9, lines=(Line(goods_minor=10_000),), placed_at=clock.now(), settles_at=clock.now()
    )
    await db.write(WORKER, "test", add_orders, [sold])
    clock.move_to(before)
    lead, referral = await referred(db)
    await activated(db, clock, lead)
    assert await reward_referrals(db, "worker") == 1
    assert await stands(db, referral) == (ReferralState.REFUSED, [], ["it was active before it was brought"])


@pytest.mark.parametrize(
    ("same", "why"),
    [
        ({"tax_id": "DE 123"}, "both have the same tax id"),
        ({"phone": "+49 228 123456"}, "both have the same telephone number"),
        ({"device": "phone of 1"}, "both come from the same device"),
        ({"account": True}, "both are paid to the same bank account"),
        ({"merchant_id": 1}, "it is the same merchant"),
    ],
)
async def test_nobody_refers_itself(db: Database, clock: FixedClock, same: dict[str, Any], why: str) -> None:
    async def papers(tx: Tx) -> None:
        await add_market(tx, [1, 2])
        accounts = (1, 2) if same.get("account") else (1,)
        for merchant_id in accounts:
            await tx.execute(
                """
                INSERT INTO billing.bank_account
                    (merchant_id, account_id, currency, holder, scheme, number, proposed_by, proposed_at)
                VALUES (:merchant, :merchant, 'EUR', 'Ann', 'iban', 'DE1', 'ann', :now)
                """,
                {"merchant": merchant_id, "now": tx.now},
            )
        await tx.execute(
            """
            INSERT INTO billing.billing_party VALUES (1, 'Ann', 'x', 'DE', 'de123', '{}', 0, 1, 'ann', :now)
            """,
            {"now": tx.now},
        )

    await db.write(WORKER, "test", papers)
    own = await bring(db, "Ann's own", phone="0228 123456", region="South")
    sign = MoveLead(lead_id=own.lead_id, move=Move.SIGN, reason="signed", merchant_id=1)
    await db.write(WORKER, "greta", move_lead, sign)
    known = {name: value for name, value in same.items() if name in {"tax_id", "phone"}}
    lead, referral = await referred(db, device=str(same.get("device", "")), **known)
    await activated(db, clock, lead, merchant_id=same.get("merchant_id", 2))
    await reward_referrals(db, "worker")
    state, rewards, reasons = await stands(db, referral)
    assert (state, rewards) == (ReferralState.REFUSED, [])
    assert why in reasons
    if "merchant_id" not in same:
        assert reasons == [why]
    async with db.read(WORKER) as tx:
        [told] = await brought_by(tx, 1, limit=9)
    assert told.why_not is WhyNot.NOT_ELIGIBLE  # by what it was found is the house's alone to know
