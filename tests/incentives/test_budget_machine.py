"""Any history of budgets against a model: invariants 4 to 6. What is refused did not fit, what is given fits."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, ClassVar

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from incentives.budgets.model import Budget, Scope, Shortfall, Verdict
from marketplace.core.clock import FixedClock
from marketplace.core.db import Database
from tests.conftest import NOW, fresh_database
from tests.incentives import budgets as b

HOUR = timedelta(hours=1)
amounts = st.integers(1, 400)
keys = st.sampled_from([f"k{number}" for number in range(12)])


class Kept(msgspec.Struct):
    """A reservation as the model knows it: of the total, and of a day's budget."""

    minor: int
    day: object
    state: str = "reserved"
    until: Any = None
    recycled: int = 0


class BudgetMachine(RuleBasedStateMachine):
    """A total and a day's budget that every grant draws on, spread over a few shards."""

    db: ClassVar[Database]
    clock: ClassVar[FixedClock]
    runner: ClassVar[asyncio.Runner]
    numbers: ClassVar[int] = 0

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(total=st.integers(0, 3_000), day=st.integers(0, 1_500), shards=st.sampled_from([1, 3, 8]))
    def begin(self, total: int, day: int, shards: int) -> None:
        type(self).numbers += 2
        self.clock.move_to(NOW)
        self.total = b.budget(self.numbers, total, shards=shards)
        self.daily = b.budget(self.numbers + 1, day, scope=Scope.DAY, shards=shards, on_shortfall=Shortfall.PARTIAL)
        self.wait(b.opened(self.db, self.total, self.daily))
        self.limit, self.day_limits = total, {NOW.date(): day}
        self.day_limit = day
        self.kept: dict[str, Kept] = {}

    @property
    def ids(self) -> tuple[int, int]:
        return self.total.budget_id, self.daily.budget_id

    def used(self, day: object = None) -> int:
        return sum(
            one.minor - one.recycled
            for one in self.kept.values()
            if one.state in {"reserved", "committed"} and (day is None or one.day == day)
        )

    def fits(self, amount: int) -> tuple[Verdict, int]:
        today = self.clock.now().date()
        self.day_limits.setdefault(today, self.day_limit)
        if amount > self.limit - self.used():
            return Verdict.REJECTED, 0
        of_day = self.day_limits[today] - self.used(today)
        if amount <= of_day:
            return Verdict.RESERVED, amount
        return (Verdict.PARTIAL, of_day) if of_day > 0 else (Verdict.REJECTED, 0)

    @rule(asked=st.dictionaries(keys, amounts, min_size=1, max_size=4), spend=st.booleans(), lasts=st.booleans())
    def reserve(self, asked: dict[str, int], spend: bool, lasts: bool) -> None:
        now = self.clock.now()
        until = None if lasts or spend else now + HOUR
        asks = [b.ask(key, amount, self.total, self.daily, at=now) for key, amount in asked.items()]
        for one in self.wait(b.reserve(self.db, *asks, expires_at=until, spend=spend)):
            known = self.kept.get(one.key)
            if known and known.state != "expired":
                assert one.again
                assert one.granted_minor == (0 if known.state == "released" else known.minor)
                continue
            assert (one.verdict, one.granted_minor) == self.fits(asked[one.key])
            if one.granted_minor:
                state = "committed" if spend else "reserved"
                self.kept[one.key] = Kept(one.granted_minor, now.date(), state, until)

    @rule(some=st.lists(keys, min_size=1, max_size=4, unique=True))
    def commit(self, some: list[str]) -> None:
        lapsed = self.wait(b.commit(self.db, some, *self.ids))
        for key in some:
            known = self.kept.get(key)
            assert (key in lapsed) is (known is None or known.state not in {"reserved", "committed"})
            if known and known.state == "reserved":
                known.state = "committed"

    @rule(some=st.lists(keys, min_size=1, max_size=4, unique=True))
    def release(self, some: list[str]) -> None:
        open_ones = [key for key in some if key in self.kept and self.kept[key].state == "reserved"]
        assert self.wait(b.release(self.db, some, *self.ids)) == len(open_ones)
        for key in open_ones:
            self.kept[key].state = "released"

    @rule(hours=st.sampled_from([1, 7, 24]))
    def pass_time(self, hours: int) -> None:
        self.clock.move_to(self.clock.now() + hours * HOUR)
        for budget_id in self.ids:
            self.wait(b.expire(self.db, budget_id))
        for one in self.kept.values():
            if one.state == "reserved" and one.until and one.until <= self.clock.now():
                one.state = "expired"

    @rule(of=st.sampled_from(["total", "daily"]), amount=amounts)
    def top_up(self, of: str, amount: int) -> None:
        topped: Budget = self.wait(b.top_up(self.db, getattr(self, of), amount))
        setattr(self, of, topped)
        if of == "total":
            self.limit += amount
            assert topped.limit_minor == self.limit
            return
        self.day_limit += amount
        for day in self.day_limits:
            self.day_limits[day] += amount if day >= self.clock.now().date() else 0

    @rule(key=keys, part=st.integers(1, 100), spent=st.booleans())
    def cut(self, key: str, part: int, spent: bool) -> None:
        known = self.kept.get(key)
        if known is None or known.state != "reserved" or known.minor == 1:
            return
        minor = min(part, known.minor - 1)
        under = f"{key} {len(self.kept)}" if spent else None
        self.wait(b.cut(self.db, key, under, minor, self.ids))
        known.minor -= minor
        if under is not None:
            self.kept[under] = Kept(minor, known.day, "committed")

    @rule(key=keys, part=st.integers(1, 100), to_funder=st.booleans())
    def recycle(self, key: str, part: int, to_funder: bool) -> None:
        known = self.kept.get(key)
        if known is None or known.state != "committed":
            return
        back = min(part, known.minor - known.recycled)
        self.wait(b.recycle(self.db, key, dict.fromkeys(self.ids, back), to_funder=to_funder))
        known.recycled += back
        if to_funder:
            self.limit -= back
            self.total = msgspec.structs.replace(self.total, limit_minor=self.limit)
            self.day_limits[known.day] -= back  # type: ignore[index]  # the clock's day

    @invariant()
    def agrees(self) -> None:
        self.wait(b.check_budgets(self.db))
        stood = self.wait(b.standing(self.db, self.total.budget_id))
        reserved = sum(one.minor for one in self.kept.values() if one.state == "reserved")
        assert (stood.limit_minor, stood.reserved_minor) == (self.limit, reserved)
        assert stood.spent_minor == self.used() - reserved
        assert stood.available_minor == self.limit - self.used()


def test_invariants_4_5_and_6_any_history_agrees_with_the_model(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        clock = FixedClock(NOW)
        opened = fresh_database(maintenance_url, clock)
        BudgetMachine.db = runner.run(opened.__aenter__())
        BudgetMachine.clock, BudgetMachine.runner = clock, runner
        try:
            run_state_machine_as_test(
                BudgetMachine,
                settings=settings(
                    max_examples=40, stateful_step_count=20, deadline=None, phases=[Phase.explicit, Phase.generate]
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
