"""The ledger's SQL against the plain reference ledger, over random histories of postings, closings and rolls."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from billing.ledger import roll
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import AccountLine, Leg, NewEntry
from billing.ledger.tables import entity
from marketplace.core.db import WORKER, Database, Tx
from tests.billing.model_ledger import ModelLedger, line_key
from tests.conftest import fresh_database

T = TypeVar("T")
DAYS = [date(2018, 4, 29) + timedelta(days=n) for n in range(6)]
BOOKS = {1: 1, 2: 1, 3: 2, -1: 1}
"""Merchant (and a house) to legal entity."""
ACCOUNTS = [Account.PROCESSOR_CLEARING, Account.PENDING, Account.PAYABLE, Account.COMMISSION]
TABLES = "entry, ledger_head, ledger_roll, account_day, book_day, balance_snapshot, entity"

days = st.sampled_from(DAYS)
merchants = st.sampled_from(sorted(BOOKS))


@st.composite
def entries(draw: st.DrawFn) -> NewEntry:
    """Two to five legs, which may meet twice on one account, with and without different dimensions."""
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from(ACCOUNTS), st.integers(-9, 9).filter(bool), st.integers(0, 2)),
            min_size=1,
            max_size=4,
        ).filter(lambda legs: sum(leg[1] for leg in legs) != 0)
    )
    rest = Leg(int(draw(st.sampled_from(ACCOUNTS))), -sum(leg[1] for leg in drawn), draw(st.integers(0, 2)))
    on = draw(days)
    return NewEntry(
        merchant_id=draw(merchants),
        kind=draw(st.sampled_from(["order_paid", "order_settled"])),
        source_id=draw(st.integers(1, 40)),
        currency=draw(st.sampled_from(["EUR", "EUR", "USD"])),
        occurred_at=datetime(on.year, on.month, on.day, draw(st.integers(0, 23)), tzinfo=UTC),
        effective_on=on,
        legs=(*(Leg(int(account), amount, dimension) for account, amount, dimension in drawn), rest),
    )


def ledger_machine(db: Database, wait: Callable[[Coroutine[Any, Any, Any]], Any]) -> type[RuleBasedStateMachine]:  # noqa: C901
    """The machine over one database; `wait` runs a coroutine to its end."""

    class LedgerMachine(RuleBasedStateMachine):
        @initialize()
        def open_books(self) -> None:
            self.model = ModelLedger(BOOKS)
            wait(_empty(db))
            wait(db.write(WORKER, "test", _open))

        @rule(new=st.lists(entries(), min_size=1, max_size=4))
        def post(self, new: list[NewEntry]) -> None:
            wanted = self.model.post(new)
            if wanted is None:
                with pytest.raises(IntegrityError):
                    wait(db.write(WORKER, "test", ledger.post, new))
            else:
                assert wait(db.write(WORKER, "test", ledger.post, new)) == wanted

        @rule(merchant=merchants, on=days)
        def close(self, merchant: int, on: date) -> None:
            closed = max(on, self.model.closed.get(merchant, on))
            self.model.closed[merchant] = closed
            wait(db.write(WORKER, "test", _close, merchant, closed))

        @rule(some=st.sets(merchants, min_size=1))
        def roll_forward(self, some: set[int]) -> None:
            wait(db.write(WORKER, "test", roll.roll_forward, sorted(some)))

        @rule()
        def rebuild(self) -> None:
            wait(db.write(WORKER, "test", roll.rebuild))

        @rule(merchant=merchants, as_of=st.none() | days, upto_no=st.none() | st.integers(0, 30))
        def balances(self, merchant: int, as_of: date | None, upto_no: int | None) -> None:
            found = wait(_read(db, ledger.balances, merchant, as_of=as_of, upto_no=upto_no))
            assert found == self.model.balances(merchant, as_of, upto_no)

        @rule(of=st.sampled_from([None, 1, 2]), as_of=st.none() | days)
        def trial_balance(self, of: int | None, as_of: date | None) -> None:
            found = wait(_read(db, ledger.trial_balance, entity_id=of, as_of=as_of))
            assert found == self.model.trial_balance(of, as_of)
            for key in {(line.entity_id, line.currency) for line in found}:
                assert sum(line.balance_minor for line in found if (line.entity_id, line.currency) == key) == 0

        @rule(account=st.sampled_from(ACCOUNTS), merchant=st.none() | merchants, limit=st.integers(1, 7) | st.just(200))
        def pages(self, account: int, merchant: int | None, limit: int) -> None:
            """Pages hold `limit` lines (more only to keep an entry whole) until the last, and lose or repeat none."""
            wanted = self.model.account_lines(account, merchant)
            found: list[AccountLine] = []
            before: tuple[date, int, int] | None = None
            while page := wait(
                _read(db, ledger.account_lines, account, merchant_id=merchant, limit=limit, before=before)
            ):
                found += page
                assert len(page) >= min(limit, len(wanted) - len(found) + len(page))
                before = (page[-1].effective_on, page[-1].merchant_id, page[-1].entry_no)
            assert sorted(found, key=line_key) == wanted
            assert [line_key(line)[:3] for line in found] == [line_key(line)[:3] for line in wanted]

        @invariant()
        def numbers_are_dense(self) -> None:
            if hasattr(self, "model"):
                heads = wait(_read(db, _heads))
                assert heads == {merchant: len(book) for merchant, book in self.model.posted.items()}

    return LedgerMachine


async def _empty(db: Database) -> None:
    async with db.engine.connect() as owner:
        await owner.execute(text("TRUNCATE " + ", ".join(f"billing.{table}" for table in TABLES.split(", "))))


async def _open(tx: Tx) -> None:
    for number, house in ((1, -1), (2, -2)):
        row = {"entity_id": number, "name": str(number), "currency": "EUR", "zone": "UTC", "house_merchant_id": house}
        await tx.execute(insert(entity), row)
        await ledger.open_books(tx, [merchant for merchant, of in BOOKS.items() if of == number], number)


async def _close(tx: Tx, merchant: int, on: date) -> None:
    await tx.execute(
        "UPDATE billing.ledger_head SET closed_through = :on WHERE merchant_id = :merchant",
        {"on": on, "merchant": merchant},
    )


async def _heads(tx: Tx) -> dict[int, int]:
    rows = await tx.rows(
        """SELECT h.merchant_id, h.last_entry_no, count(e.entry_no) AS n, coalesce(max(e.entry_no), 0) AS last
           FROM billing.ledger_head h LEFT JOIN billing.entry e ON e.merchant_id = h.merchant_id GROUP BY 1, 2"""
    )
    assert all(row.last_entry_no == row.n == row.last for row in rows)
    return {row.merchant_id: row.last_entry_no for row in rows}


async def _read(db: Database, question: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
    async with db.read(WORKER) as tx:
        return await question(tx, *args, **kwargs)


def test_the_ledger_answers_as_the_reference(maintenance_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    often = roll._SNAPSHOT.bindparams(every=3)  # so that short histories have snapshots, too
    monkeypatch.setattr(roll, "_SNAPSHOT", often)
    with asyncio.Runner() as runner:
        opened = fresh_database(maintenance_url)
        db = runner.run(opened.__aenter__())
        try:
            run_state_machine_as_test(
                ledger_machine(db, runner.run),
                settings=settings(max_examples=15, stateful_step_count=25, phases=[Phase.generate, Phase.shrink]),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
