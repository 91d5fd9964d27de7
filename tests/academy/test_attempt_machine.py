"""Any history of attempts: one open at a time, what is over stays so, and a certificate for each that is passed."""

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
from marketplace.flows.academy import take_courses as taking
from supply.academy import store
from supply.academy.model import Attempt, AttemptState, Certificate
from tests.academy.market import ANN, BOB, RIGHT, offer, teach
from tests.builders import add_market
from tests.conftest import NOW, fresh_database

people = st.sampled_from([ANN, BOB])
WAIT = timedelta(days=2)


class AttemptMachine(RuleBasedStateMachine):
    """Two people of one merchant and a course; the model knows each one's attempts, in order."""

    db: ClassVar[Database]
    clock: ClassVar[FixedClock]
    runner: ClassVar[asyncio.Runner]
    round: ClassVar[int] = 0

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def act(self, allowed: bool, work: Coroutine[Any, Any, Any]) -> Any:
        if allowed:
            return self.wait(work)
        with pytest.raises(AppError):
            self.wait(work)
        return None

    @initialize()
    def begin_with_a_new_course(self) -> None:
        type(self).round += 1
        self.course = self.wait(offer(self.db, code=f"c{self.round}", required=True, valid_days=30))
        self.newest = self.counts_from = 1
        self.model: dict[str, list[dict[str, Any]]] = {ANN: [], BOB: []}

    def last(self, person: str) -> dict[str, Any]:
        return self.model[person][-1] if self.model[person] else {"state": None, "id": 1, "read": set()}

    @rule(person=people)
    def begin(self, person: str) -> None:
        last = self.last(person)
        waits = last["state"] is AttemptState.FAILED and self.clock.now() < last["ended"] + WAIT
        allowed = last["state"] is not AttemptState.OPEN and not waits
        cmd = taking.Begin(merchant_id=1, course_id=self.course.course_id)
        made = self.act(allowed, self.db.write(WORKER, person, taking.begin, cmd))
        if made:
            new = {"id": made.attempt_id, "state": AttemptState.OPEN, "read": set(), "no": self.newest}
            self.model[person].append(new)

    @rule(person=people, lesson=st.sampled_from(["ship", "talk"]))
    def read(self, person: str, lesson: str) -> None:
        last = self.last(person)
        allowed = last["state"] is AttemptState.OPEN
        if self.act(allowed, self.db.write(WORKER, person, taking.read_lesson, 1, last["id"], lesson)):
            last["read"].add(lesson)

    @rule(person=people, right=st.booleans())
    def answer(self, person: str, right: bool) -> None:
        last = self.last(person)
        allowed = last["state"] is AttemptState.OPEN and len(last["read"]) == 2
        answers = RIGHT if right else (1, 0)
        if self.act(allowed, self.db.write(WORKER, person, taking.answer, 1, last["id"], answers)):
            last |= {"state": AttemptState.PASSED if right else AttemptState.FAILED, "ended": self.clock.now()}

    @rule(person=people)
    def cancel(self, person: str) -> None:
        last = self.last(person)
        allowed = last["state"] is AttemptState.OPEN
        if self.act(allowed, self.db.write(WORKER, person, taking.cancel, 1, last["id"])):
            last["state"] = AttemptState.CANCELLED

    @rule(supersedes=st.booleans())
    def teach_anew(self, supersedes: bool) -> None:
        self.wait(teach(self.db, self.course.course_id, valid_days=30, supersedes=supersedes))
        self.newest += 1
        self.counts_from = self.newest if supersedes else self.counts_from

    @rule(days=st.integers(1, 40))
    def let_time_pass(self, days: int) -> None:
        self.clock.move_to(self.clock.now() + timedelta(days=days))

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "course"):
            return
        attempts, certificates, missing = self.wait(self._stored())
        known = {each["id"]: each["state"] for mine in self.model.values() for each in mine}
        assert {each.attempt_id: each.state for each in attempts} == known
        passed = {number for number, state in known.items() if state is AttemptState.PASSED}
        assert {each.attempt_id for each in certificates} == passed
        alive = any(
            each["state"] is AttemptState.PASSED
            and each["no"] >= self.counts_from
            and self.clock.now() < each["ended"] + timedelta(days=30)
            for mine in self.model.values()
            for each in mine
        )
        assert (self.course.title in missing) is not alive

    async def _stored(self) -> tuple[list[Attempt], list[Certificate], list[str]]:
        async with self.db.read(WORKER) as tx:
            attempts = await store.list_attempts(tx, limit=1_000, course_id=self.course.course_id)
            all_of = await store.list_certificates(tx, limit=1_000, merchant_id=1)
            certificates = [each for each in all_of if each.course_id == self.course.course_id]
            return attempts, certificates, await store.missing_courses(tx, 1)


def test_any_history_of_attempts(maintenance_url: str) -> None:
    clock = FixedClock(NOW)
    with asyncio.Runner() as runner:
        opened = fresh_database(maintenance_url, clock)
        db = runner.run(opened.__aenter__())
        AttemptMachine.db, AttemptMachine.clock, AttemptMachine.runner = db, clock, runner
        runner.run(db.write(WORKER, "test", add_market, [1]))
        try:
            phases = (Phase.explicit, Phase.generate)
            run_state_machine_as_test(
                AttemptMachine, settings=settings(max_examples=15, stateful_step_count=25, phases=phases)
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
