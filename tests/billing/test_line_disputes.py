"""A merchant's dispute of a line: from an entry or a charge to a case, an adjustment by two people, the statement."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry, legs
from billing.line_disputes import store
from billing.line_disputes.model import CaseState, LineDispute, Side, taken_minor
from billing.runs.model import period_named
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.books.dispute_line import (
    AcceptDispute,
    CaseKey,
    DisputeLine,
    accept,
    decline,
    dispute_line,
    review,
    say,
    withdraw,
)
from marketplace.flows.books.post_journal import (
    DecideJournal,
    approve_journal,
    propose_reversal,
    reject_journal,
    withdraw_journal,
)
from tests.billing.market import (
    CHECKER,
    MAKER,
    NET_OF_120,
    billed,
    check_books,
    figures,
    order,
    payable,
    settled_market,
    statements,
)
from tests.conftest import fresh_database

OWNER = "owner"
COMMISSION = 1440
"""Commission and VAT on it of an order of 120.00."""


async def market(db: Database) -> int:
    """Merchant 1 with an order of 120.00 that is settled; returns the entry's number."""
    await settled_market(db, [order(1, 1, date(2018, 5, 10))])
    await db.write(WORKER, MAKER, policies.switch, "single_operator", on=False)
    return await entry_of(db, "order_settled")


async def entry_of(db: Database, kind: str, merchant_id: int = 1) -> int:
    async with db.read(WORKER) as tx:
        found: int = await tx.scalar(
            "SELECT max(entry_no) FROM billing.entry WHERE merchant_id = :m AND kind = :kind", m=merchant_id, kind=kind
        )
    return found


async def opened(db: Database, entry_no: int, minor: int | None = None) -> LineDispute:
    cmd = DisputeLine(merchant_id=1, entry_no=entry_no, disputed_minor=minor, text="we had agreed on 5 %")
    return await db.write(WORKER, OWNER, dispute_line, cmd)


def key(case: LineDispute) -> CaseKey:
    return CaseKey(merchant_id=case.merchant_id, line_dispute_id=case.line_dispute_id)


async def accepted(db: Database, case: LineDispute, minor: int) -> LineDispute:
    """Reviewed, and so much proposed to be given back."""
    if case.state is CaseState.OPEN:
        await db.write(WORKER, MAKER, review, key(case))
    cmd = AcceptDispute(merchant_id=1, line_dispute_id=case.line_dispute_id, amount_minor=minor, reason="you are right")
    return await db.write(WORKER, MAKER, accept, cmd)


def decision(journal_id: int | None) -> DecideJournal:
    assert journal_id is not None
    return DecideJournal(merchant_id=1, journal_id=journal_id, reason="seen", is_controller=True)


async def now(db: Database, case: LineDispute) -> LineDispute:
    async with db.read(WORKER) as tx:
        return await store.get_case(tx, case.merchant_id, case.line_dispute_id)


@pytest.mark.parametrize(
    ("pairs", "taken"),
    [
        (((2005, 12_000), (4000, -1_200), (2300, -240), (2000, -10_560)), 1_440),  # settled
        (((2000, 10_560), (4000, 1_200), (2300, 240), (2400, -12_000)), 10_560),  # refunded after it
        (((2100, 3_740), (4010, -3_740)), 3_740),  # clicks
        (((1100, 144_000), (2200, -120_000), (2300, -24_000)), 144_000),  # a subscription
        (((2000, 144_000), (1100, -144_000)), 0),  # set off
        (((2000, 60_000), (2020, -60_000)), 0),  # paid out
        (((6920, 500), (2000, -500)), -500),  # given
    ],
)
def test_what_an_entry_took(pairs: tuple[tuple[int, int], ...], taken: int) -> None:
    assert taken_minor([Leg(account, minor) for account, minor in pairs]) == taken


async def test_from_a_line_to_a_case_to_an_adjustment_to_the_next_statement(db: Database) -> None:
    line = await market(db)
    may = await billed(db)
    case = await opened(db, line, 720)
    assert (case.state, case.line_minor, case.due_on) == (CaseState.OPEN, COMMISSION, date(2018, 9, 13))
    await db.write(WORKER, MAKER, say, key(case), Side.HOUSE, "Which contract?")
    await db.write(WORKER, OWNER, say, key(case), Side.MERCHANT, "That of May.")
    proposed = await accepted(db, case, 600)
    assert (proposed.state, proposed.accepted_minor) == (CaseState.IN_REVIEW, 0)
    with pytest.raises(Forbidden):
        await db.write(WORKER, MAKER, approve_journal, decision(proposed.journal_id))
    posted = await db.write(WORKER, CHECKER, approve_journal, decision(proposed.journal_id))
    done = await now(db, case)
    assert (done.state, done.accepted_minor, done.settled_entry_no) == (CaseState.ACCEPTED, 600, posted.entry_no)
    async with db.read(WORKER) as tx:
        entry = await ledger.get_entry(tx, 1, done.settled_entry_no or 0)
        messages = await store.list_messages(tx, 1, case.line_dispute_id, limit=9)
    assert (entry.kind, {leg.account: leg.amount_minor for leg in entry.legs}) == (
        "line_dispute_upheld", {6920: 600, 2000: -600},
    )  # fmt: skip
    assert [(one.message_no, one.side) for one in messages] == [(1, Side.HOUSE), (2, Side.MERCHANT)]
    assert figures((await statements(db, may.run.run_id))[1, "EUR"])["closing"] == NET_OF_120
    await check_books(db)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        *(("ad_topped_up", "ads"), ("product_netted", "products"), ("incentive_clawed_back", "incentive")),
        *(("rebate_shared", "rebate"), ("x", "other")),
    ],
)
async def test_the_next_statement_shows_it_in_the_column_of_the_line(
    db: Database, clock: FixedClock, kind: str, column: str
) -> None:
    await market(db)
    for month in ("2018-05", "2018-06", "2018-07"):
        await billed(db, period_named(month))
    entry = NewEntry(
        merchant_id=1, kind=kind, source_id=7, currency="EUR", occurred_at=clock.now(), effective_on=date(2018, 8, 7),
        legs=legs({Account.PAYABLE: 700, Account.ADJUSTMENTS: -700}),
    )  # fmt: skip
    await db.write(WORKER, MAKER, ledger.post, [entry])
    august = await billed(db, period_named("2018-08"))
    assert figures((await statements(db, august.run.run_id))[1, "EUR"])[column] == -700
    proposed = await accepted(db, await opened(db, await entry_of(db, kind)), 300)
    await db.write(WORKER, CHECKER, approve_journal, decision(proposed.journal_id))
    clock.move_to(datetime(2018, 10, 2, tzinfo=UTC))
    september = await billed(db, period_named("2018-09"))
    found = figures((await statements(db, september.run.run_id))[1, "EUR"])
    assert found == {"opening": -700, column: 300, "closing": -400}


async def test_no_line_is_disputed_for_more_than_it_took(db: Database) -> None:
    line = await market(db)
    first = await opened(db, line, 1_000)
    with pytest.raises(Conflict, match="more than 440"):
        await opened(db, line, 441)
    rest = await opened(db, line)
    assert rest.disputed_minor == 440
    with pytest.raises(Conflict, match="more than 0"):
        await opened(db, line)
    proposed = await accepted(db, first, 300)  # of 1,000: 700 may be disputed again
    await db.write(WORKER, CHECKER, approve_journal, decision(proposed.journal_id))
    assert (await opened(db, line)).disputed_minor == 700
    await check_books(db)


async def test_what_cannot_be_disputed(db: Database) -> None:
    line = await market(db)
    with pytest.raises(Conflict, match="took nothing"):
        await opened(db, await entry_of(db, "order_paid"))
    with pytest.raises(NotFound):
        await opened(db, 99)
    for named in ({}, {"entry_no": line, "charge_id": 1}):
        with pytest.raises(Invalid, match="name the line by one of them"):
            await db.write(WORKER, OWNER, dispute_line, DisputeLine(merchant_id=1, text="x", **named))
    with pytest.raises(NotFound):
        await db.write(WORKER, OWNER, dispute_line, DisputeLine(merchant_id=1, text="x", charge_id=8))


async def test_many_disputes_at_once_stay_within_the_line(db: Database) -> None:
    line = await market(db)
    done = await asyncio.gather(*(opened(db, line, 600) for _ in range(6)), return_exceptions=True)
    assert sorted(isinstance(one, LineDispute) for one in done) == [False] * 4 + [True] * 2


async def test_approved_and_withdrawn_at_once_is_one_of_them(db: Database) -> None:
    line = await market(db)
    for _ in range(4):
        case = await opened(db, line, 10)
        before = (await payable(db, 1))["EUR"]
        proposed = await accepted(db, case, 10)
        done = await asyncio.gather(
            db.write(WORKER, CHECKER, approve_journal, decision(proposed.journal_id)),
            db.write(WORKER, OWNER, withdraw, key(case)),
            return_exceptions=True,
        )
        assert sorted(isinstance(one, AppError) for one in done) == [False, True]
        after = await now(db, case)
        given = 10 if after.state is CaseState.ACCEPTED else 0
        assert (await payable(db, 1))["EUR"] - before == given
    await check_books(db)


async def test_a_reversed_adjustment_declines_the_case_and_the_line_is_free_again(db: Database) -> None:
    line = await market(db)
    case = await opened(db, line)
    proposed = await accepted(db, case, COMMISSION)
    await db.write(WORKER, CHECKER, approve_journal, decision(proposed.journal_id))
    with pytest.raises(Conflict, match="reverse its journal"):
        await db.write(WORKER, MAKER, decline, key(case), "no")
    back = await db.write(WORKER, MAKER, propose_reversal, decision(proposed.journal_id))
    await db.write(WORKER, CHECKER, approve_journal, decision(back.journal_id))
    assert (await now(db, case)).state is CaseState.DECLINED
    assert (await opened(db, line)).disputed_minor == COMMISSION
    await check_books(db)


# --- any history ----------------------------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """Cases on one line and their journals, against a model of states and of what the merchant is owed."""

    db: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]
    line: ClassVar[int]
    start: ClassVar[int]

    def run(self, work: Coroutine[Any, Any, Any], allowed: bool) -> Any:
        if allowed:
            return self.runner.run(work)
        with pytest.raises(AppError):
            self.runner.run(work)
        return None

    @initialize()
    def begin(self) -> None:
        """What earlier histories left live is ended: the line is free."""
        self.cases: list[LineDispute] = []
        self.state: dict[int, str] = {}
        self.given: dict[int, int] = {}
        self.pending: dict[int, tuple[int, int]] = {}
        self.reversal: dict[int, int] = {}
        self.journal: dict[int, int] = {}
        type(self).start = self.runner.run(payable(self.db, 1))["EUR"]
        type(self).line = self.runner.run(self._fresh_line())

    async def _fresh_line(self) -> int:
        source = (await payable(self.db, 1))["EUR"] + 10**6
        amounts = {Account.PAYABLE: 100, Account.ADJUSTMENTS: -100}
        at = self.db.clock.now()
        entry = NewEntry(
            merchant_id=1, kind="x", source_id=source, currency="EUR", occurred_at=at, effective_on=at.date(),
            legs=legs(amounts),
        )  # fmt: skip
        [number] = await self.db.write(WORKER, MAKER, ledger.post, [entry])
        return number

    def some(self, pick: int) -> LineDispute | None:
        return self.cases[pick % len(self.cases)] if self.cases else None

    @property
    def live(self) -> int:
        sums = {"open", "in_review"}
        return sum(
            case.disputed_minor if self.state[case.line_dispute_id] in sums else self.given[case.line_dispute_id]
            for case in self.cases
        )

    @rule(minor=st.integers(1, 120))
    def open(self, minor: int) -> None:
        case = self.run(opened(self.db, self.line, minor), minor <= 100 - self.live)
        if case:
            self.cases.append(case)
            self.state[case.line_dispute_id], self.given[case.line_dispute_id] = "open", 0

    @rule(pick=st.integers(0, 9))
    def review(self, pick: int) -> None:
        if case := self.some(pick):
            allowed = self.state[case.line_dispute_id] == "open"
            if self.run(self.db.write(WORKER, MAKER, review, key(case)), allowed):
                self.state[case.line_dispute_id] = "in_review"

    @rule(pick=st.integers(0, 9), minor=st.integers(1, 120))
    def accept(self, pick: int, minor: int) -> None:
        if case := self.some(pick):
            number = case.line_dispute_id
            allowed = self.state[number] == "in_review" and number not in self.pending and minor <= case.disputed_minor
            cmd = AcceptDispute(merchant_id=1, line_dispute_id=number, amount_minor=minor, reason="right")
            if done := self.run(self.db.write(WORKER, MAKER, accept, cmd), allowed):
                self.pending[number] = (done.journal_id, minor)

    @rule(pick=st.integers(0, 9), how=st.sampled_from(["approve", "reject", "withdraw"]), by=st.booleans())
    def decide(self, pick: int, how: str, by: bool) -> None:
        case = self.some(pick)
        if case is None or case.line_dispute_id not in self.pending:
            return
        number = case.line_dispute_id
        journal_id, minor = self.pending[number]
        work = {"approve": approve_journal, "reject": reject_journal, "withdraw": withdraw_journal}[how]
        allowed = by == (how == "withdraw")
        actor = MAKER if by else CHECKER
        if self.run(self.db.write(WORKER, actor, work, decision(journal_id)), allowed):
            del self.pending[number]
            if how == "approve":
                self.state[number], self.given[number], self.journal[number] = "accepted", minor, journal_id

    @rule(pick=st.integers(0, 9), approve=st.booleans())
    def reverse(self, pick: int, approve: bool) -> None:
        case = self.some(pick)
        if case is None or self.state[case.line_dispute_id] != "accepted":
            return
        number = case.line_dispute_id
        back = self.run(self.db.write(WORKER, MAKER, propose_reversal, decision(self.journal[number])), True)
        work = approve_journal if approve else reject_journal
        self.run(self.db.write(WORKER, CHECKER, work, decision(back.journal_id)), True)
        if approve:
            self.state[number], self.given[number] = "declined", 0

    @rule(pick=st.integers(0, 9))
    def withdraw(self, pick: int) -> None:
        if case := self.some(pick):
            allowed = self.state[case.line_dispute_id] in {"open", "in_review"}
            if self.run(self.db.write(WORKER, OWNER, withdraw, key(case)), allowed):
                self.state[case.line_dispute_id] = "withdrawn"
                self.pending.pop(case.line_dispute_id, None)

    @rule(pick=st.integers(0, 9))
    def decline(self, pick: int) -> None:
        if case := self.some(pick):
            number = case.line_dispute_id
            allowed = self.state[number] in {"open", "in_review"} and number not in self.pending
            if self.run(self.db.write(WORKER, MAKER, decline, key(case), "no"), allowed):
                self.state[number] = "declined"

    @invariant()
    def agrees(self) -> None:
        for case in getattr(self, "cases", []):
            stored = self.runner.run(now(self.db, case))
            number = case.line_dispute_id
            assert (stored.state.value, stored.accepted_minor) == (self.state[number], self.given[number])
        if hasattr(self, "cases"):
            owed = self.runner.run(payable(self.db, 1))["EUR"]
            assert owed == self.start - 100 + sum(self.given.values())

    def teardown(self) -> None:
        if hasattr(self, "cases"):
            self.runner.run(check_books(self.db))


def test_any_history_of_cases_and_journals(maintenance_url: str) -> None:
    with asyncio.Runner() as runner:
        opening = fresh_database(maintenance_url)
        db = runner.run(opening.__aenter__())
        runner.run(market(db))
        Machine.db, Machine.runner = db, runner
        run_state_machine_as_test(
            Machine, settings=settings(max_examples=12, stateful_step_count=25, phases=[Phase.generate])
        )
        runner.run(opening.__aexit__(None, None, None))
