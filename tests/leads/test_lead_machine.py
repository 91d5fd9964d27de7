"""Any history of some leads: a state follows only from an allowed move, limits hold, the roll-up is as made anew."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.flows.acquisition.claim_leads import claim_lead, recycle_leads
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.work_leads import MoveLead, merge_leads, move_lead
from supply.leads import store
from supply.leads.lifecycle import BY_REPS, RULES, Move
from supply.leads.model import HELD, Lead, LeadState
from tests.conftest import NOW, fresh_database
from tests.leads.market import Organisation, bring, organise
from tests.leads.test_working_leads import check_rollup

COUNT, STOCK = 4, 2
leads = st.integers(0, COUNT - 1)


class LeadMachine(RuleBasedStateMachine):
    """Four leads of a pool and two reps who may hold two each; the model knows each lead's state and owner."""

    db: ClassVar[Database]
    clock: ClassVar[FixedClock]
    runner: ClassVar[asyncio.Runner]
    org: ClassVar[Organisation]
    round: ClassVar[int] = 0

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        type(self).round += 1
        self.clock.move_to(NOW + timedelta(days=400 * self.round))
        self.wait(self._clear())
        made = [bring(self.db, f"{self.round} {n}", pool_id=self.org.pool.pool_id) for n in range(COUNT)]
        self.ids = [self.wait(each).lead_id for each in made]
        self.model: list[tuple[LeadState, int | None]] = [(LeadState.POOLED, None)] * COUNT

    async def _clear(self) -> None:
        """Nobody holds a lead of an earlier example any more."""
        async with self.db.read(WORKER) as tx:
            left = [lead for lead in await store.list_leads(tx, limit=100) if lead.state in RULES[Move.LOSE].sources]
        for lead in left:
            await self.db.write(WORKER, "test", move_lead, MoveLead(lead_id=lead.lead_id, move=Move.LOSE))

    def act(self, allowed: bool, work: Coroutine[Any, Any, Any]) -> None:
        if allowed:
            self.wait(work)
        else:
            with pytest.raises(AppError):
                self.wait(work)

    def stock(self, rep: int) -> int:
        return sum(state in HELD and owner == rep for state, owner in self.model)

    @rule(which=leads, second=st.booleans())
    def claim(self, which: int, second: bool) -> None:
        rep = (self.org.rolf if second else self.org.rita).user_id
        allowed = self.model[which][0] is LeadState.POOLED and self.stock(rep) < STOCK
        claim = self.db.write(WORKER, "test", claim_lead, self.org.pool.pool_id, rep, self.ids[which])
        self.act(allowed, claim)
        if allowed:
            self.model[which] = (LeadState.CLAIMED, rep)

    @rule(which=leads, move=st.sampled_from(sorted(BY_REPS - {Move.HAND_OVER} | {Move.REOPEN, Move.POOL})))
    def move(self, which: int, move: Move) -> None:
        state, owner = self.model[which]
        allowed = state in RULES[move].sources
        cmd = MoveLead(lead_id=self.ids[which], move=move, reason="said so", pool_id=self.org.pool.pool_id)
        self.act(allowed, self.db.write(WORKER, "test", move_lead, cmd))
        if allowed:
            kept = None if move in {Move.RELEASE, Move.REOPEN, Move.POOL} else owner
            self.model[which] = (RULES[move].target, kept)

    @rule(one=leads, other=leads)
    def merge(self, one: int, other: int) -> None:
        gone, alive = self.model[one][0], self.model[other][0]
        allowed = one != other and gone in RULES[Move.MERGE].sources and alive is not LeadState.MERGED
        self.act(allowed, self.db.write(WORKER, "test", merge_leads, self.ids[one], self.ids[other], "the same"))
        if allowed:
            self.model[one] = (LeadState.MERGED, self.model[other][1])

    @rule(which=leads, stage=st.sampled_from(["qualified", "live", "lead"]), days=st.integers(0, 30))
    def note(self, which: int, stage: str, days: int) -> None:
        at = self.clock.now() - timedelta(days=days)
        cmd = NoteStage(lead_id=self.ids[which], stage=stage, at=at, evidence="seen")
        allowed = self.model[which][0] is not LeadState.MERGED
        self.act(allowed, self.db.write(WORKER, "test", note_stage, cmd))

    @rule()
    def let_all_lie(self) -> None:
        self.clock.move_to(self.clock.now() + timedelta(days=8))
        held = [number for number, (state, _) in enumerate(self.model) if state in HELD]
        assert self.wait(recycle_leads(self.db, "worker")) == len(held)
        for number in held:
            self.model[number] = (LeadState.POOLED, None)

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "ids"):
            return
        found = [self.wait(self._lead(lead_id)) for lead_id in self.ids]
        assert [lead.state for lead in found] == [state for state, _ in self.model]
        for lead, (state, owner) in zip(found, self.model, strict=True):
            assert state is LeadState.MERGED or lead.owner_id == owner
            assert (lead.ended_at is not None) is (state in {LeadState.SIGNED, LeadState.LOST})

    async def _lead(self, lead_id: int) -> Lead:
        async with self.db.read(WORKER) as tx:
            return await store.get_lead(tx, lead_id)

    def teardown(self) -> None:
        self.wait(check_rollup(self.db))


def test_any_history_of_leads(maintenance_url: str) -> None:
    clock = FixedClock(NOW)
    with asyncio.Runner() as runner:
        opened = fresh_database(maintenance_url, clock)
        db = runner.run(opened.__aenter__())
        LeadMachine.db, LeadMachine.clock, LeadMachine.runner = db, clock, runner
        LeadMachine.org = runner.run(organise(db, stock_max=STOCK, daily_max=10_000, protection_days=0, cooling_days=0))
        try:
            phases = (Phase.explicit, Phase.generate)
            run_state_machine_as_test(
                LeadMachine, settings=settings(max_examples=12, stateful_step_count=25, phases=phases)
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
