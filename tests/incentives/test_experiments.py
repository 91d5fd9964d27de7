"""Who an experiment reaches is noted once, live; what it changed is found in a review, and frozen there."""

import random
from datetime import UTC, datetime

import msgspec
import pytest
from scipy import stats

from incentives.experiments import store
from incentives.experiments.findings import Findings, findings
from incentives.experiments.model import Exposed
from incentives.experiments.store import Decision
from incentives.lifecycle import Move, State
from incentives.promotions.model import Promotion
from incentives.rules.arms import arm_of
from incentives.rules.awards import Fixed, Reward
from incentives.rules.model import Arm, Experiment, Schedule
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.promotions import plan_incentives as plan
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.plan_incentives import DraftCampaign, move_promotion
from marketplace.flows.promotions.review_promotion import ReviewPromotion, look_back, review_promotion
from tests.billing.market import MAKER, check_books, prepare
from tests.billing.market import order as paid_order
from tests.incentives import market as m
from tests.incentives.trade import WEEKLY, day, look, settle

HALF = Experiment(salt="lots", holdout_slots=5_000)
MERCHANTS = range(1, 13)
LATER = Schedule(zone="UTC", starts="2019-03-01", ends="2019-03-30")
ANOTHER = DraftCampaign(name="spring", currency="EUR", schedule=LATER, plan=m.PLAN)
FIXED = Reward(amount=Fixed(amount_minor=100))


def drawn(merchant_id: int) -> str:
    arm = arm_of(HALF, str(merchant_id))
    return "" if arm is None else arm.name


def exposed(arm: str, number: int, after: int, before: int = 0, margin: int = 0, cost: int = 0) -> Exposed:
    return Exposed(
        merchant_id=number, unit=str(number), arm=arm, after_minor=after, before_minor=before, margin_minor=margin,
        cost_minor=cost,
    )  # fmt: skip


def plain(experiment: Experiment | None, of: list[Exposed]) -> Findings:
    return findings(experiment, of, planned_minor=None, cost_minor=0, clawed_minor=0)


def test_the_difference_is_that_of_welch() -> None:
    lot = random.Random(7)
    treated = [lot.randrange(50_000, 150_000) for _ in range(40)]
    control = [lot.randrange(40_000, 140_000) for _ in range(35)]
    of = [exposed("treated", n, v) for n, v in enumerate(treated)]
    of += [exposed("", 99 + n, v) for n, v in enumerate(control)]
    made = plain(HALF, of)
    [compared] = made.comparisons
    oracle = stats.ttest_ind(treated, control, equal_var=False)
    low, high = oracle.confidence_interval(0.95)
    assert compared.effect_minor.p_ppm == round(oracle.pvalue * 1_000_000)
    assert (compared.effect_minor.low, compared.effect_minor.high) == (round(low), round(high))
    assert made.arms == {"": 35, "treated": 40}
    assert not made.alarm
    assert not made.observational


def test_a_planted_effect_is_found_with_its_return_and_history_narrows_the_interval() -> None:
    lot = random.Random(11)
    of, without = [], []
    for number in range(400):
        arm = "treated" if number % 2 else ""
        before = lot.randrange(10_000, 200_000)
        after = before + lot.randrange(-3_000, 3_000) + (8_000 if arm else 0)
        of.append(exposed(arm, number, after, before, after // 10, 400 if arm else 0))
        without.append(msgspec.structs.replace(of[-1], before_minor=0))
    [known] = plain(HALF, of).comparisons
    [unknown] = plain(HALF, without).comparisons
    assert known.effect_minor.low < 8_000 < known.effect_minor.high
    assert known.effect_minor.is_clear
    assert (
        known.effect_minor.high - known.effect_minor.low < (unknown.effect_minor.high - unknown.effect_minor.low) // 5
    )
    assert known.iroi_ppm is not None
    assert known.iroi_ppm.low < 2_000_000 < known.iroi_ppm.high


def test_arms_that_are_not_as_drawn_raise_an_alarm() -> None:
    assert plain(
        HALF, [exposed("treated", n, 1) for n in range(90)] + [exposed("", 100 + n, 1) for n in range(30)]
    ).alarm


@pytest.mark.parametrize(
    "experiment", [None, Experiment(salt="x", unit="buyer", holdout_slots=10), Experiment(salt="x")]
)
def test_without_anybody_held_out_it_is_observational(experiment: Experiment | None) -> None:
    made = plain(experiment, [exposed("treated", n, 5) for n in range(9)])
    assert made.observational
    assert made.comparisons == ()


def test_each_of_several_arms_is_compared_with_those_held_out() -> None:
    three = Experiment(salt="x", holdout_slots=3_000, arms=(Arm(name="a"), Arm(name="b", weight=2)))
    of = [exposed(("a", "b", "")[n % 3], n, n * 7 % 50) for n in range(60)]
    assert [each.arm for each in plain(three, of).comparisons] == ["a", "b"]


async def live(db: Database, clock: FixedClock) -> Promotion:
    await db.write(WORKER, MAKER, prepare, [], list(MERCHANTS))
    _, promotion = await m.live(db, clock, msgspec.structs.replace(WEEKLY, experiment=HALF))
    orders = [paid_order(n, 100 + n, day(5), 12_000) for n in MERCHANTS]
    orders += [paid_order(n, 200 + n, day(6), 9_000) for n in (1, 2)]
    await settle(db, clock, *orders)
    return promotion


async def test_exposures_are_noted_once_and_who_is_held_out_gets_nothing(db: Database, clock: FixedClock) -> None:
    promotion = await live(db, clock)
    await look(db)
    async with db.read(WORKER) as tx:
        seen = await store.list_exposures(tx, promotion.promotion_id, limit=99, after=None)
        granted = await tx.rows("SELECT DISTINCT merchant_id FROM incentives.merchant_grant ORDER BY 1")
    assert {each.merchant_id: each.arm for each in seen} == {n: drawn(n) for n in MERCHANTS}
    assert {each.arm for each in seen} == {"", "treated"}
    assert [row.merchant_id for row in granted] == [n for n in MERCHANTS if drawn(n)]
    await settle(db, clock, *[paid_order(n, 300 + n, day(7), 15_000) for n in MERCHANTS])
    await grant_rewards(db, "worker")
    async with db.read(WORKER) as tx:
        assert await store.list_exposures(tx, promotion.promotion_id, limit=99, after=None) == seen
        paged = await store.list_exposures(tx, promotion.promotion_id, limit=5, after=(4, "4"))
    assert [each.merchant_id for each in paged] == [5, 6, 7, 8, 9]
    await check_books(db)


async def test_a_review_freezes_what_was_found_and_closes_the_promotion(db: Database, clock: FixedClock) -> None:
    promotion = await live(db, clock)
    await look(db)
    cmd = ReviewPromotion(promotion_id=promotion.promotion_id, decision=Decision.REPEAT, learned=" more of it ")
    with pytest.raises(Conflict, match="review needs one that is closing"):
        await db.write(WORKER, m.REVIEWER, review_promotion, cmd)
    for instant in ("2018-10-01T00:00:00+00:00", "2018-10-04T00:00:00+00:00", "2018-12-10T00:00:00+00:00"):
        clock.move_to(datetime.fromisoformat(instant).astimezone(UTC))
        await look(db)
        await m.at(db, clock, instant)
    with pytest.raises(Conflict, match="say first what was learned"):
        await db.write(WORKER, m.REVIEWER, move_promotion, promotion.promotion_id, Move.REVIEW)
    with pytest.raises(Forbidden, match="rob is the one"):
        await db.write(WORKER, m.CHECKER, review_promotion, cmd)
    with pytest.raises(Invalid, match="learned"):
        await db.write(WORKER, m.REVIEWER, review_promotion, msgspec.structs.replace(cmd, learned=" "))
    made = await db.write(WORKER, m.REVIEWER, review_promotion, cmd)
    async with db.read(WORKER) as tx:
        assert made.findings == await look_back(tx, promotion.promotion_id)
        assert await store.find_review(tx, promotion.promotion_id) == made
        granted = await tx.scalar("SELECT sum(amount_minor)::bigint FROM incentives.merchant_grant")
    assert made.learned == "more of it"
    campaign = await db.write(WORKER, m.MAKER, plan.draft_campaign, ANOTHER)
    like = await m.drafted(db, campaign, m.terms(name="again", schedule=LATER))
    unlike = await m.drafted(db, campaign, m.terms(name="other", schedule=LATER, reward=FIXED))
    async with db.read(WORKER) as tx:
        [found] = await store.precedents(tx, like.promotion_id)
        assert await store.precedents(tx, unlike.promotion_id) == []
        assert await store.precedents(tx, promotion.promotion_id) == []
    assert (found.promotion_id, found.decision, found.learned) == (promotion.promotion_id, cmd.decision, made.learned)
    assert made.findings.cost_minor == granted > 0
    assert made.findings.planned_minor == 0
    assert sum(made.findings.arms.values()) == len(MERCHANTS)
    [compared] = made.findings.comparisons
    sold = {n: 12_000 + 9_000 * (n in (1, 2)) for n in MERCHANTS}
    means = [[sold[n] for n in MERCHANTS if bool(drawn(n)) is treated] for treated in (True, False)]
    assert compared.effect_minor.estimate == round(sum(means[0]) / len(means[0]) - sum(means[1]) / len(means[1]))
    assert (await m.now(db, promotion)).state is State.REVIEWED
    with pytest.raises(Conflict, match="there is one already"):
        await db.write(WORKER, m.REVIEWER, review_promotion, cmd)
