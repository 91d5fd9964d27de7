"""Any history of three months against a model: who may move which, on what day entries land, and what the seals say."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry
from billing.periods import store
from billing.periods.model import PeriodState
from billing.periods.seal_sql import BROKEN_SEALS, CHANGED
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError
from marketplace.core.months import add_months
from marketplace.flows.books import close_period as flow
from marketplace.flows.books.close_period import Month
from tests.builders import ENTITY, HOUSE, add_market
from tests.conftest import fresh_database
from tests.periods.market import accept_breaks, digest_of, entries

FIRST = date(2018, 3, 1)
MONTHS = [add_months(FIRST, number) for number in range(3)]
PEOPLE = st.sampled_from(["ann", "bob"])
PLACE = st.integers(0, len(MONTHS) - 1)
OPEN, SOFT, CLOSED, REOPENED = PeriodState


def named(month: int) -> Month:
    return Month(month=f"{MONTHS[month]:%Y-%m}")


class PeriodMachine(RuleBasedStateMachine):
    """The house's books of an entity without merchants: nothing to bill, so a month may be closed once it is over."""

    maintenance_url: ClassVar[str]
    runner: ClassVar[asyncio.Runner]

    @initialize()
    def begin(self) -> None:
        self.context = fresh_database(self.maintenance_url)
        self.db: Database = self.wait(self.context.__aenter__())
        self.wait(self.db.write(WORKER, "test", add_market, [1]))
        self.wait(self.db.write(WORKER, "admin", policies.switch, "single_operator", on=False))
        self.states = [OPEN] * len(MONTHS)
        self.makers: list[str | None] = [None] * len(MONTHS)
        self.asked: list[str | None] = [None] * len(MONTHS)
        self.touched: set[int] = set()
        self.closed_through: date | None = None
        self.days: dict[int, date] = {}

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def act(self, allowed: bool, work: Coroutine[Any, Any, Any]) -> bool:
        if not allowed:
            with pytest.raises(AppError):
                self.wait(work)
            return False
        self.wait(work)
        return True

    def before(self, month: int) -> PeriodState | None:
        """How the month before stands, None where no earlier one was ever moved: it is the first of the chain."""
        if not any(one < month for one in self.touched):
            return None
        return self.states[month - 1]

    def after(self, month: int) -> PeriodState:
        return self.states[month + 1] if month + 1 < len(MONTHS) else OPEN

    @rule(month=PLACE, who=PEOPLE)
    def soft_close(self, month: int, who: str) -> None:
        allowed = self.states[month] is OPEN and self.before(month) is not OPEN
        if self.act(allowed, self.db.write(WORKER, who, flow.soft_close, named(month))):
            self.touched.add(month)
            self.states[month], self.makers[month] = SOFT, who
            end = add_months(MONTHS[month], 1) - timedelta(days=1)
            self.closed_through = max(self.closed_through or end, end)

    @rule(month=PLACE, who=PEOPLE)
    def open_again(self, month: int, who: str) -> None:
        allowed = self.states[month] in {SOFT, REOPENED} and self.after(month) is OPEN
        if self.act(allowed, self.db.write(WORKER, who, flow.open_again, named(month))):
            self.states[month] = OPEN

    @rule(month=PLACE, who=PEOPLE)
    def close(self, month: int, who: str) -> None:
        if self.states[month] in {SOFT, REOPENED}:
            self.wait(accept_breaks(self.db, named(month)))
        allowed = (
            self.states[month] in {SOFT, REOPENED}
            and self.makers[month] != who
            and self.before(month) in {None, CLOSED}
        )
        if self.act(allowed, self.db.write(WORKER, who, flow.close_period, named(month))):
            self.states[month], self.asked[month] = CLOSED, None

    @rule(month=PLACE, who=PEOPLE)
    def ask_reopening(self, month: int, who: str) -> None:
        allowed = self.states[month] is CLOSED and self.after(month) is not CLOSED
        if self.act(allowed, self.db.write(WORKER, who, flow.ask_reopening, named(month), "why")):
            self.asked[month] = who

    @rule(month=PLACE, who=PEOPLE)
    def reopen(self, month: int, who: str) -> None:
        asked = self.asked[month]
        allowed = self.states[month] is CLOSED and self.after(month) is not CLOSED and asked not in {None, who}
        if self.act(allowed, self.db.write(WORKER, who, flow.reopen, named(month))):
            self.states[month], self.makers[month], self.asked[month] = REOPENED, asked, None

    @rule(month=PLACE, day=st.integers(0, 27), by_hand=st.booleans())
    def post(self, month: int, day: int, by_hand: bool) -> None:
        wished = MONTHS[month] + timedelta(days=day)
        entry = NewEntry(
            merchant_id=HOUSE, kind="journal_posted", source_id=len(self.days) + 1, currency="EUR",
            occurred_at=datetime(wished.year, wished.month, wished.day, tzinfo=UTC), effective_on=wished,
            legs=(Leg(int(Account.PROCESSOR_FEES), 7), Leg(int(Account.ADJUSTMENTS), -7)), by_hand=by_hand,
        )  # fmt: skip
        self.wait(self.db.write(WORKER, "clerk", ledger.post, [entry]))
        takes = by_hand and self.states[month] in {SOFT, REOPENED}
        is_open = self.closed_through is None or wished > self.closed_through
        first_open = (self.closed_through or wished) + timedelta(days=1)
        self.days[entry.source_id] = wished if is_open or takes else first_open

    @invariant()
    def stands_as_the_model_says(self) -> None:
        if not hasattr(self, "days"):
            return
        found = self.wait(entries(self.db))
        assert {one.source_id: one.effective_on for one in found} == self.days
        assert all(one.prior_period == (one.effective_on > one.occurred_at.date()) for one in found)
        assert self.wait(self.looked_at()) == (self.states, [], [])

    async def looked_at(self) -> tuple[list[PeriodState], list[Any], list[Any]]:
        async with self.db.read(WORKER) as tx:
            states = [(await store.get_period(tx, ENTITY, month)).state for month in MONTHS]
            return states, list(await tx.rows(CHANGED)), list(await tx.rows(BROKEN_SEALS))

    def teardown(self) -> None:
        if not hasattr(self, "days"):
            return
        self.wait(self.compare_seals())
        self.wait(self.context.__aexit__(None, None, None))

    async def compare_seals(self) -> None:
        """Closed months, one after the other: each seal over its days, and over all before those of the first."""
        found, previous, since = await entries(self.db), b"", date.min
        for number, month in enumerate(MONTHS):
            if self.states[number] is not CLOSED:
                continue
            after = add_months(month, 1)
            async with self.db.read(WORKER) as tx:
                seal = await store.get_seal(tx, ENTITY, month)
            assert seal is not None
            own = [one for one in found if since <= one.effective_on < after]
            assert seal.digest == digest_of(own, month, previous)
            previous, since = bytes.fromhex(seal.digest), after


def test_any_history_of_three_months(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        PeriodMachine.maintenance_url, PeriodMachine.runner = maintenance_url, runner
        run_state_machine_as_test(
            PeriodMachine,
            settings=settings(
                max_examples=10, stateful_step_count=30, derandomize=True, deadline=None, phases=[Phase.generate]
            ),
        )
