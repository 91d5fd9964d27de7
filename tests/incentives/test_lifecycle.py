"""The table of moves and the clock's part in it: pure, and any history of a campaign with a promotion on a database."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from incentives.experiments.store import Decision
from incentives.lifecycle import (
    BEFORE_START,
    OVER,
    RULES,
    Clockwork,
    Move,
    Party,
    State,
    check_move,
    due_move,
    moves_from,
)
from incentives.promotions.store import hold_granting
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Forbidden
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.plan_incentives import DraftCampaign, DraftPromotion
from marketplace.flows.promotions.review_promotion import ReviewPromotion, review_promotion
from marketplace.routes.incentive_campaigns import IncentiveMove
from tests.conftest import NOW, fresh_database
from tests.incentives import market as m

START, END = datetime(2018, 9, 4, tzinfo=UTC), datetime(2018, 10, 1, tzinfo=UTC)


def clockwork(state: State, **changes: Any) -> Clockwork:
    plain = Clockwork(state=state, starts_at=START, ends_at=END, vested=False, exhausted=False)
    return msgspec.structs.replace(plain, **changes)


def test_every_state_is_reached_and_only_two_are_left_by_nothing() -> None:
    reached = {State.DRAFT}
    while more := {rule.target for rule in RULES.values() if rule.sources & reached} - reached:
        reached |= more
    assert reached == set(State)
    assert {state for state in State if not any(state in one.sources for one in RULES.values())} == {
        State.REVIEWED,
        State.CANCELLED,
    }


def test_the_api_names_the_moves_that_are_not_the_clock_s_alone() -> None:
    platforms = {what for what, rule in RULES.items() if Party.PLATFORM in rule.parties}
    assert set(get_args(get_type_hints(IncentiveMove)["move"])) == platforms


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("party", Party)
def test_a_move_is_made_by_its_parties_from_its_states_only(state: State, party: Party) -> None:
    for each, one in RULES.items():
        if party not in one.parties:
            with pytest.raises(Forbidden):
                check_move(state, each, party, "promotion")
        elif state not in one.sources:
            with pytest.raises(Conflict):
                check_move(state, each, party, "promotion")
        else:
            assert check_move(state, each, party, "promotion") is one.target
    assert moves_from(state, party) == [m for m, r in RULES.items() if party in r.parties and state in r.sources]


@given(
    st.sampled_from(State),
    st.integers(-40, 40),
    st.booleans(),
    st.booleans(),
    st.none() | st.sampled_from(State),
    st.booleans(),
)
def test_the_clock_makes_only_its_own_moves_and_none_for_ever(
    state: State, days: int, vested: bool, exhausted: bool, above: State | None, open_end: bool
) -> None:
    now = START + timedelta(days=days)
    seen = clockwork(state, vested=vested, exhausted=exhausted, above=above, ends_at=None if open_end else END)
    for _ in range(6):
        due = due_move(seen, now)
        if due is None:
            break
        seen = msgspec.structs.replace(seen, state=check_move(seen.state, due[0], Party.CLOCK, "promotion"))
    else:
        pytest.fail(f"never at rest: {seen}")
    if above in OVER:
        assert seen.state not in {*BEFORE_START, State.LIVE, State.PAUSED, State.EXHAUSTED}
    if seen.ends_at is not None and now >= seen.ends_at:
        assert seen.state not in {State.SCHEDULED, State.LIVE, State.PAUSED, State.EXHAUSTED}


def test_the_end_is_exclusive_and_the_start_is_not() -> None:
    assert due_move(clockwork(State.SCHEDULED), START - timedelta(microseconds=1)) is None
    started = due_move(clockwork(State.SCHEDULED), START)
    assert started
    assert started[0] is Move.START
    assert due_move(clockwork(State.LIVE), END - timedelta(microseconds=1)) is None
    ended = due_move(clockwork(State.LIVE), END)
    assert ended
    assert ended[0] is Move.END


class LifeMachine(RuleBasedStateMachine):
    """A campaign with one promotion; people try any move at any time, and the clock goes on."""

    db: ClassVar[Database]
    clock: ClassVar[FixedClock]
    runner: ClassVar[asyncio.Runner]
    numbers: ClassVar[int] = 0

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        type(self).numbers += 1
        self.clock.move_to(NOW)
        cmd = DraftCampaign(name=f"c{self.numbers}", currency="EUR", schedule=m.SCHEDULE, plan=m.PLAN)
        self.campaign = self.wait(self.db.write(WORKER, m.MAKER, flow.draft_campaign, cmd))
        draft = DraftPromotion(campaign_id=self.campaign.campaign_id, terms=m.terms(name=f"p{self.numbers}"))
        self.promotion = self.wait(self.db.write(WORKER, m.MAKER, flow.draft_promotion, draft))
        self.states = {"campaign": State.DRAFT, "promotion": State.DRAFT}

    @rule(of=st.sampled_from(["campaign", "promotion"]), move=st.sampled_from(Move), honest=st.booleans())
    def people_move(self, of: str, move: Move, honest: bool) -> None:
        """honest: by whoever may; otherwise by whoever has written it."""
        actor = {Move.APPROVE: m.CHECKER, Move.REVIEW: m.REVIEWER}.get(move, m.MAKER) if honest else m.MAKER
        thing, work = (
            (self.campaign.campaign_id, flow.move_campaign)
            if of == "campaign"
            else (self.promotion.promotion_id, flow.move_promotion)
        )
        try:
            if of == "promotion" and honest and move is Move.APPROVE:
                after = self.wait(m.move(self.db, self.promotion, move)).state
            elif of == "promotion" and honest and move is Move.REVIEW:
                cmd = ReviewPromotion(promotion_id=thing, decision=Decision.STOP, learned="so")
                self.wait(self.db.write(WORKER, actor, review_promotion, cmd))
                after = self.wait(m.now(self.db, self.promotion)).state
            else:
                after = self.wait(self.db.write(WORKER, actor, work, thing, move, "so")).state
        except AppError:
            return
        assert after is check_move(self.states[of], move, Party.PLATFORM, of)
        assert move not in {Move.APPROVE, Move.REVIEW} or honest
        if of == "promotion" and move is Move.APPROVE:
            assert self.states["campaign"] not in BEFORE_START[:3]
        self.states[of] = after

    @rule(days=st.sampled_from([1, 3, 20, 60]))
    def time_passes(self, days: int) -> None:
        self.wait(m.at(self.db, self.clock, (self.clock.now() + timedelta(days=days)).isoformat()))
        campaign, promotion = self.wait(m.states(self.db, self.campaign, self.promotion))
        self.states = {"campaign": campaign, "promotion": promotion}

    @invariant()
    def holds(self) -> None:
        assert self.wait(m.states(self.db, self.campaign, self.promotion)) == tuple(self.states.values())
        granting = self.wait(self._granting())
        assert granting == (set(self.states.values()) == {State.LIVE})

    async def _granting(self) -> bool:
        promotion_id, campaign_id = self.promotion.promotion_id, self.campaign.campaign_id
        return bool(await self.db.write(WORKER, "test", hold_granting, {promotion_id: campaign_id}))


def test_any_history_keeps_to_the_table(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        clock = FixedClock(NOW)
        opened = fresh_database(maintenance_url, clock)
        LifeMachine.db = runner.run(opened.__aenter__())
        LifeMachine.clock, LifeMachine.runner = clock, runner
        try:
            runner.run(m.people(LifeMachine.db))
            run_state_machine_as_test(
                LifeMachine,
                settings=settings(
                    max_examples=15, stateful_step_count=20, deadline=None, phases=[Phase.explicit, Phase.generate]
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
