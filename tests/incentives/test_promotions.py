"""Campaigns and promotions on a database: what approval asks for, versions, changes, the kill switch, the clock."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from incentives.budgets import store as budgets
from incentives.budgets.model import Ask, Draw, Owner, Scope
from incentives.budgets.reservations.store import reserve
from incentives.campaigns.model import Plan
from incentives.changes.model import ChangeState, EndOn, TopUp
from incentives.lifecycle import Move, State
from incentives.promotions import store
from incentives.promotions.budgets import ask_for
from incentives.promotions.model import VersionState
from incentives.rules.awards import Once, Reward
from incentives.rules.model import ByMerchant, ByPlatform, DayBudget, FunderBudget, Schedule
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.promotions import change_incentives as changing
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.change_incentives import ProposeChange
from marketplace.flows.promotions.plan_incentives import EditCampaign, NewVersion
from tests.conftest import NOW
from tests.incentives.budgets import check_budgets
from tests.incentives.market import (
    CHECKER,
    MAKER,
    PLAN,
    REVIEWER,
    WARNED,
    at,
    campaign_now,
    drafted,
    drafted_campaign,
    live,
    move,
    move_campaign,
    newest,
    now,
    people,
    simulated,
    states,
    terms,
)

MORE = Reward(amount=Once(threshold=10_000, amount_minor=2_500))


async def test_a_campaign_without_its_plan_is_refused_naming_all_that_is_missing(db: Database) -> None:
    await people(db)
    campaign = await drafted_campaign(db, Plan(), Schedule(zone="UTC", starts="2018-09-04"))
    with pytest.raises(Invalid) as refused:
        await move_campaign(db, campaign, Move.SUBMIT)
    pointers = {each["pointer"] for each in refused.value.extra["errors"]}
    fields = ("target", "budget_minor", "stops", "reviewer", "gains", "loses")
    assert pointers == {"/schedule/ends", *(f"/plan/{name}" for name in fields)}


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("funders", PLAN.funders[:1], "/plan/funders"),
        ("reviewer", "nobody", "/plan/reviewer"),
        ("gains", "  ", "/plan/gains"),
        ("stops", (), "/plan/stops"),
    ],
)
async def test_what_is_missing_is_named(db: Database, field: str, value: object, pointer: str) -> None:
    await people(db)
    campaign = await drafted_campaign(db, msgspec.structs.replace(PLAN, **{field: value}))
    with pytest.raises(Invalid) as refused:
        await move_campaign(db, campaign, Move.SUBMIT)
    assert [each["pointer"] for each in refused.value.extra["errors"]] == [pointer]


async def test_nobody_approves_what_they_have_written_on(db: Database) -> None:
    await people(db)
    campaign = await drafted_campaign(db)
    await db.write(WORKER, CHECKER, flow.edit_campaign, campaign, EditCampaign(plan=PLAN))
    campaign = await move_campaign(db, campaign, Move.SUBMIT)
    for actor in (MAKER, CHECKER):
        with pytest.raises(Forbidden, match="another person must approve"):
            await db.write(WORKER, actor, flow.move_campaign, campaign.campaign_id, Move.APPROVE)
    approved = await db.write(WORKER, REVIEWER, flow.move_campaign, campaign.campaign_id, Move.APPROVE)
    assert (approved.state, approved.approved_by) == (State.APPROVED, REVIEWER)


async def test_two_approvers_at_once_approve_once(db: Database) -> None:
    await people(db)
    campaign = await move_campaign(db, await drafted_campaign(db), Move.SUBMIT)
    done = await asyncio.gather(
        *(
            db.write(WORKER, actor, flow.move_campaign, campaign.campaign_id, Move.APPROVE)
            for actor in (CHECKER, REVIEWER)
        ),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["Campaign", "Conflict"]
    async with db.read(WORKER) as tx:
        opened = await budgets.budgets_of(tx, Owner.CAMPAIGN, [campaign.campaign_id])
    assert [(each.scope, each.scope_key, each.limit_minor) for each in opened] == [
        (Scope.TOTAL, "", 10_000),
        (Scope.FUNDER, "platform", 6_000),
        (Scope.FUNDER, "merchant", 4_000),
    ]


async def test_a_promotion_is_approved_after_its_campaign_and_fits_into_it(db: Database) -> None:
    await people(db)
    campaign = await drafted_campaign(db)
    promotion = await move(db, await drafted(db, campaign), Move.SUBMIT)
    with pytest.raises(Conflict, match="must be approved first"):
        await move(db, promotion, Move.APPROVE)
    with pytest.raises(Invalid) as refused:
        await drafted(
            db, campaign, terms(name="long", currency="USD", schedule=Schedule(zone="UTC", starts="2018-01-01"))
        )
    pointers = [each["pointer"] for each in refused.value.extra["errors"]]
    assert pointers == ["/terms/budgets/0/currency"]
    with pytest.raises(Invalid) as refused:
        await drafted(db, campaign, terms(name="long", schedule=Schedule(zone="UTC", starts="2018-01-01")))
    pointers = [each["pointer"] for each in refused.value.extra["errors"]]
    assert pointers == ["/terms/schedule/starts", "/terms/schedule/ends"]


async def test_a_life_from_draft_to_review(db: Database, clock: FixedClock) -> None:
    campaign, promotion = await live(db, clock)
    assert await states(db, campaign, promotion) == (State.LIVE, State.LIVE)
    await at(db, clock, "2018-09-20T00:00:00+00:00")
    paused = await campaign_now(db, campaign)
    assert (paused.state, paused.stopped) == (State.PAUSED, (1,))  # its stop rule of that day
    await move_campaign(db, campaign, Move.RESUME)
    await at(db, clock, "2018-09-20T06:00:00+00:00")
    assert (await campaign_now(db, campaign)).state is State.LIVE  # which stops it once
    await at(db, clock, "2018-09-30T23:59:59+00:00")
    assert await states(db, campaign, promotion) == (State.LIVE, State.LIVE)
    await at(db, clock, "2018-10-01T00:00:00+00:00")
    assert await states(db, campaign, promotion) == (State.ENDED, State.ENDED)
    await at(db, clock, "2018-10-01T00:01:00+00:00")
    assert await states(db, campaign, promotion) == (State.CLOSING, State.CLOSING)
    with pytest.raises(Conflict, match="refunds count until 2018-11-30"):
        await move(db, promotion, Move.REVIEW)
    with pytest.raises(Conflict, match="has not been reviewed"):
        await move_campaign(db, campaign, Move.REVIEW)
    clock.move_to(datetime(2018, 11, 30, tzinfo=UTC))
    with pytest.raises(Forbidden, match="rob is the one who reviews"):
        await db.write(WORKER, CHECKER, flow.move_promotion, promotion.promotion_id, Move.REVIEW)
    await move(db, promotion, Move.REVIEW)
    await move_campaign(db, campaign, Move.REVIEW)
    assert await states(db, campaign, promotion) == (State.REVIEWED, State.REVIEWED)
    async with db.read(WORKER) as tx:
        steps = await store_history(tx, promotion.promotion_id)
    assert [each for each in steps if each != ""] == [
        "submit", "approve", "schedule", "start", "end", "close", "review",
    ]  # fmt: skip


async def store_history(tx: Tx, promotion_id: int) -> list[str]:
    rows = await tx.rows(
        "SELECT coalesce(detail ->> 'move', '') AS move FROM core.audit WHERE subject = :subject ORDER BY audit_id",
        subject=f"promotion:{promotion_id}",
    )
    return [row.move for row in rows]


async def test_a_campaign_that_ends_takes_its_drafts_with_it(db: Database, clock: FixedClock) -> None:
    campaign, _ = await live(db, clock)
    draft = await drafted(db, campaign, terms(name="late"))
    await at(db, clock, "2018-10-01T00:00:00+00:00")
    assert (await now(db, draft)).state is State.CANCELLED


async def _granted(db: Database, promotion_id: int, campaign_id: int, key: str, minor: int) -> int:
    """As whoever grants does it: ask whether it may, then reserve of all budgets."""

    async def grant(tx: Tx) -> int:
        if not await store.hold_granting(tx, {promotion_id: campaign_id}):
            return 0
        of = await budgets.budgets_of(tx, Owner.PROMOTION, [promotion_id])
        of += await budgets.budgets_of(tx, Owner.CAMPAIGN, [campaign_id])
        [version] = await store.in_force(tx, tx.now, promotion_ids=[promotion_id])
        [decision] = await reserve(tx, [ask_for(key, minor, version.terms, of, tx.now, None)])
        return decision.granted_minor

    return await db.write(WORKER, "worker", grant)


async def test_the_kill_switch_lets_nothing_through_once_it_has_answered(db: Database, clock: FixedClock) -> None:
    campaign, promotion = await live(db, clock)
    ids = (promotion.promotion_id, campaign.campaign_id)
    paused = asyncio.Event()
    late: list[int] = []

    async def grant_on(worker: int) -> None:
        for number in range(15):
            begun_after = paused.is_set()
            minor = await _granted(db, *ids, f"{worker}-{number}", 1)
            if begun_after:
                late.append(minor)

    async def pause() -> None:
        await asyncio.sleep(0)
        await move(db, promotion, Move.PAUSE)
        paused.set()

    await asyncio.gather(pause(), *(grant_on(worker) for worker in range(8)))
    assert late
    assert sum(late) == 0
    assert await _granted(db, *ids, "x", 1) == 0
    await move(db, promotion, Move.RESUME)
    assert await _granted(db, *ids, "y", 1) == 1
    await move_campaign(db, campaign, Move.PAUSE)
    assert await _granted(db, *ids, "z", 1) == 0  # its campaign's switch, too
    await check_budgets(db)


async def test_an_empty_budget_rests_the_promotion_until_it_is_topped_up(db: Database, clock: FixedClock) -> None:
    campaign, promotion = await live(db, clock)
    ids = (promotion.promotion_id, campaign.campaign_id)
    assert await _granted(db, *ids, "a", 5_000) == 5_000
    assert await _granted(db, *ids, "b", 1) == 0
    await at(db, clock, "2018-09-04T13:00:00+00:00")
    assert (await now(db, promotion)).state is State.EXHAUSTED
    async with db.read(WORKER) as tx:
        [budget] = await budgets.budgets_of(tx, Owner.PROMOTION, [promotion.promotion_id])
    more = ProposeChange(
        owner=Owner.PROMOTION,
        owner_id=promotion.promotion_id,
        edit=TopUp(budget_id=budget.budget_id, amount_minor=1_000),
        reason="it goes well",
    )
    change = await db.write(WORKER, MAKER, changing.propose_change, more)
    with pytest.raises(Forbidden, match="another person must approve"):
        await db.write(WORKER, MAKER, changing.decide_change, change.change_id, ChangeState.APPROVED)
    done = await asyncio.gather(
        *(
            db.write(WORKER, who, changing.decide_change, change.change_id, ChangeState.APPROVED)
            for who in (CHECKER, REVIEWER)
        ),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["Change", "Conflict"]
    await at(db, clock, "2018-09-04T14:00:00+00:00")
    assert (await now(db, promotion)).state is State.LIVE
    assert await _granted(db, *ids, "c", 1_000) == 1_000
    await check_budgets(db)


async def test_a_campaign_stops_at_its_share_of_the_budget(db: Database, clock: FixedClock) -> None:
    campaign, promotion = await live(db, clock, terms(budgets=(), funding=(ByPlatform(weight=6), ByMerchant(weight=4))))
    ids = (promotion.promotion_id, campaign.campaign_id)
    assert await _granted(db, *ids, "a", 8_999) == 8_999
    await at(db, clock, "2018-09-04T13:00:00+00:00")
    assert (await campaign_now(db, campaign)).state is State.LIVE
    assert await _granted(db, *ids, "b", 1) == 1
    await at(db, clock, "2018-09-04T14:00:00+00:00")
    assert (await campaign_now(db, campaign)).state is State.PAUSED


async def test_an_end_is_moved_with_one_approval(db: Database, clock: FixedClock) -> None:
    campaign, promotion = await live(db, clock)

    async def end(owner: Owner, owner_id: int, ends: str) -> None:
        cmd = ProposeChange(owner=owner, owner_id=owner_id, edit=EndOn(ends=ends), reason="so")
        change = await db.write(WORKER, MAKER, changing.propose_change, cmd)
        await db.write(WORKER, CHECKER, changing.decide_change, change.change_id, ChangeState.APPROVED)

    with pytest.raises(Conflict, match="the campaign ends"):
        await end(Owner.PROMOTION, promotion.promotion_id, "2018-10-05")
    with pytest.raises(Invalid, match="must be to come"):
        await end(Owner.PROMOTION, promotion.promotion_id, "2018-09-04T11:00")
    await end(Owner.CAMPAIGN, campaign.campaign_id, "2018-10-31")
    await end(Owner.PROMOTION, promotion.promotion_id, "2018-10-05")
    later = await now(db, promotion)
    assert later.ends_at == datetime(2018, 10, 6, tzinfo=UTC)
    assert later.review_at == datetime(2018, 10, 6, tzinfo=UTC) + timedelta(days=60)
    await end(Owner.PROMOTION, promotion.promotion_id, "2018-09-05")
    await at(db, clock, "2018-09-06T00:00:00+00:00")
    assert await states(db, campaign, promotion) == (State.LIVE, State.ENDED)


async def test_bug_14_events_keep_the_version_that_was_in_force_when_they_happened(
    db: Database, clock: FixedClock
) -> None:
    """Invariant 12: editing, pausing and ending leave the terms of what was as they are."""
    _, promotion = await live(db, clock)
    from_on = datetime(2018, 9, 10, tzinfo=UTC)
    cmd = NewVersion(promotion_id=promotion.promotion_id, terms=terms(reward=MORE), effective_from=from_on)
    version = await db.write(WORKER, MAKER, flow.add_version, cmd)
    assert version.version_no == 2

    async def at_work(instant: datetime) -> int:
        async with db.read(WORKER) as tx:
            [found] = await store.in_force(tx, instant, promotion_ids=[promotion.promotion_id])
        return found.version_no

    assert await at_work(from_on) == 1  # proposed is not in force
    with pytest.raises(Forbidden, match="another person"):
        await db.write(WORKER, MAKER, flow.decide_version, promotion.promotion_id, 2, VersionState.APPROVED)
    await simulated(db, promotion.promotion_id)
    await db.write(WORKER, CHECKER, flow.decide_version, promotion.promotion_id, 2, VersionState.APPROVED, WARNED)
    for instant in ("2018-09-05T00:00:00+00:00", "2018-10-01T00:00:00+00:00"):
        assert await at_work(from_on - timedelta(microseconds=1)) == 1
        assert await at_work(from_on) == 2
        assert await at_work(datetime(2018, 1, 1, tzinfo=UTC)) == 1  # before all of them: the first
        if (await now(db, promotion)).state is State.LIVE:
            await move(db, promotion, Move.PAUSE)
        await at(db, clock, instant)
    assert (await now(db, promotion)).state is State.ENDED
    assert await at_work(from_on) == 2


async def test_a_version_approved_late_is_never_in_force_for_what_was(db: Database, clock: FixedClock) -> None:
    _, promotion = await live(db, clock)
    cmd = NewVersion(promotion_id=promotion.promotion_id, terms=terms(reward=MORE))
    await db.write(WORKER, MAKER, flow.add_version, cmd)
    await simulated(db, promotion.promotion_id)
    clock.move_to(clock.now() + timedelta(hours=5))
    await db.write(WORKER, CHECKER, flow.decide_version, promotion.promotion_id, 2, VersionState.APPROVED, WARNED)
    assert (await newest(db, promotion)).effective_from == clock.now()


async def test_what_is_edited_otherwise_is_refused_in_a_version(db: Database, clock: FixedClock) -> None:
    _, promotion = await live(db, clock)
    wrong = terms(schedule=Schedule(zone="UTC", starts="2018-09-04"), budgets=())
    with pytest.raises(Invalid) as refused:
        await db.write(WORKER, MAKER, flow.add_version, NewVersion(promotion_id=promotion.promotion_id, terms=wrong))
    assert [each["pointer"] for each in refused.value.extra["errors"]] == ["/terms/schedule", "/terms/budgets"]
    same = NewVersion(promotion_id=promotion.promotion_id, terms=terms())
    with pytest.raises(Invalid, match="these are the terms as they are"):
        await db.write(WORKER, MAKER, flow.add_version, same)
    past = NewVersion(promotion_id=promotion.promotion_id, terms=terms(reward=MORE), effective_from=NOW)
    with pytest.raises(Invalid, match="lies in the past"):
        await db.write(WORKER, MAKER, flow.add_version, past)


async def test_a_draft_is_edited_by_its_next_version(db: Database) -> None:
    await people(db)
    campaign = await drafted_campaign(db)
    promotion = await drafted(db, campaign)
    shorter = terms(name="shorter", schedule=Schedule(zone="UTC", starts="2018-09-05", ends="2018-09-06"))
    cmd = NewVersion(promotion_id=promotion.promotion_id, terms=shorter)
    await db.write(WORKER, MAKER, flow.add_version, cmd)
    changed = await now(db, promotion)
    assert (changed.name, changed.ends_at) == ("shorter", datetime(2018, 9, 7, tzinfo=UTC))
    await move(db, promotion, Move.SUBMIT)
    with pytest.raises(Conflict, match="in_review"):
        await db.write(WORKER, MAKER, flow.add_version, cmd)
    await move(db, promotion, Move.REJECT, Move.REVISE)
    await db.write(WORKER, MAKER, flow.add_version, NewVersion(promotion_id=promotion.promotion_id, terms=terms()))


async def test_what_a_grant_draws_on(db: Database, clock: FixedClock) -> None:
    wanted = terms(
        funding=(ByPlatform(weight=3), ByMerchant(weight=1)),
        budgets=(
            DayBudget(limit_minor=500, currency="EUR"),
            FunderBudget(limit_minor=900, currency="EUR", funder="merchant"),
        ),
    )
    campaign, promotion = await live(db, clock, wanted)
    async with db.read(WORKER) as tx:
        of = await budgets.budgets_of(tx, Owner.PROMOTION, [promotion.promotion_id])
        of += await budgets.budgets_of(tx, Owner.CAMPAIGN, [campaign.campaign_id])
    ask: Ask = ask_for("k", 101, wanted, of, clock.now(), None)

    def drawn(draw: Draw) -> tuple[str, str, int]:
        return draw.budget.scope, draw.budget.scope_key, ask.part_of(draw, 101)

    assert [drawn(draw) for draw in ask.draws] == [
        ("day", "", 101), ("funder", "merchant", 25),
        ("total", "", 101), ("funder", "platform", 76), ("funder", "merchant", 25),
    ]  # fmt: skip
    assert ask.draws[0].period_from == date(2018, 9, 4)
