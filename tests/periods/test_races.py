"""Posting next to closing: an entry is either part of what is sealed, or on the first open day, or refused."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from billing.journals.model import Journal
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg
from billing.ledger.tables import entry as entry_table
from billing.periods import store
from billing.periods.model import PeriodState
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import AppError, Conflict
from marketplace.flows.books.close_period import PeriodView, close_period, soft_close
from marketplace.flows.books.post_journal import DecideJournal, ProposeJournal, approve_journal, propose_journal
from marketplace.flows.runs.run_billing import reverse_run
from tests.billing.locks import wait_until_blocked
from tests.billing.market import CHECKER, JUNE, MAKER, billed, check_books, goodwill
from tests.builders import ENTITY
from tests.periods.market import JUNE_CLOSE, MAY_CLOSE, digest_of, entries, may_billed

MAY_31, JUNE_1, JUNE_30, JULY_1 = date(2018, 5, 31), date(2018, 6, 1), date(2018, 6, 30), date(2018, 7, 1)


@pytest.fixture
async def market(db: Database) -> Database:
    await may_billed(db)
    return db


async def proposed(db: Database) -> DecideJournal:
    """A journal of the house on the last day of May, to be approved."""
    legs = (Leg(int(Account.PROCESSOR_FEES), 300), Leg(int(Account.ADJUSTMENTS), -300))
    cmd = ProposeJournal(merchant_id=-1, currency="EUR", legs=legs, reason="bank", evidence="slip", effective_on=MAY_31)
    journal: Journal = await db.write(WORKER, MAKER, propose_journal, cmd)
    return DecideJournal(merchant_id=-1, journal_id=journal.journal_id, is_controller=True)


async def held_open(db: Database, deed: asyncio.Event, release: asyncio.Event, work: object, *args: object) -> object:
    """Do something, say so, and commit only when told."""

    async def run(tx: Tx) -> object:
        done = await work(tx, *args)  # type: ignore[operator]
        deed.set()
        await release.wait()
        return done

    return await db.write(WORKER, CHECKER, run)


async def test_a_close_waits_for_a_journal_that_is_being_posted_and_seals_it(market: Database) -> None:
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    cmd = await proposed(market)
    posted, release = asyncio.Event(), asyncio.Event()
    posting = asyncio.create_task(held_open(market, posted, release, approve_journal, cmd))
    await posted.wait()
    closing = asyncio.create_task(market.write(WORKER, CHECKER, close_period, MAY_CLOSE))
    await wait_until_blocked(market)
    release.set()
    await posting
    seal = (await closing).seals[-1]
    of_may = [one for one in await entries(market) if one.effective_on <= MAY_31]
    assert seal.digest == digest_of(of_may, date(2018, 5, 1))
    assert [one.kind for one in of_may if one.merchant_id == -1] == ["journal_posted"]
    await check_books(market)


async def test_a_journal_waits_for_a_close_and_is_refused(market: Database) -> None:
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    cmd = await proposed(market)
    closed, release = asyncio.Event(), asyncio.Event()
    closing = asyncio.create_task(held_open(market, closed, release, close_period, MAY_CLOSE))
    await closed.wait()
    posting = asyncio.create_task(market.write(WORKER, CHECKER, approve_journal, cmd))
    await wait_until_blocked(market)
    release.set()
    await closing
    with pytest.raises(Conflict, match="closed through 2018-05-31: withdraw it"):
        await posting
    await check_books(market)


@pytest.mark.parametrize("role", Role)
async def test_no_role_posts_into_a_month_while_it_is_closed(market: Database, role: Role) -> None:
    """Whoever may post at all lands behind the close, before it has ended; whoever may not is refused."""
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    before = len(await entries(market))
    closed, release = asyncio.Event(), asyncio.Event()
    closing = asyncio.create_task(held_open(market, closed, release, close_period, MAY_CLOSE))
    await closed.wait()
    scope = Scope(role, None if role in {Role.STAFF, Role.WORKER} else 1)
    posting = asyncio.create_task(market.write(scope, "late", ledger.post, [goodwill(1, 91, MAY_31, 5)]))
    if role in {Role.STAFF, Role.WORKER}:
        await posting
    else:
        with pytest.raises((DBAPIError, AppError)):
            await posting
    release.set()
    done = await closing
    assert isinstance(done, PeriodView)
    seal = done.seals[-1]
    found = await entries(market)
    assert seal.digest == digest_of([one for one in found if one.effective_on <= MAY_31], date(2018, 5, 1))
    assert [one.effective_on for one in found if one.source_id == 91] == [JUNE_1] * (len(found) - before)
    sneaked = {**found[0]._mapping, "entry_no": 9_000, "source_id": 9_000, "effective_on": MAY_31}
    with pytest.raises(DBAPIError, match=r"row-level security|permission denied"):
        await market.write(scope, "sneak", Tx.execute, insert(entry_table), sneaked)
    await check_books(market)


async def test_what_is_posted_while_a_month_is_soft_closed_is_on_one_side_of_it(market: Database) -> None:
    """June ends without a run beyond it: the heads are closed by the soft close itself, one after the other."""
    await billed(market, JUNE)
    async with market.read(WORKER) as tx:
        june = await tx.scalar("SELECT max(run_id) FROM billing.billing_run")
    await market.write(WORKER, MAKER, soft_close, MAY_CLOSE)
    # Books that a soft close has to close: those of a run that ended before the month's last days would be such.
    await market.write(WORKER, "test", Tx.execute, "UPDATE billing.ledger_head SET closed_through = '2018-06-29'")
    await market.write(WORKER, "test", Tx.execute, "UPDATE billing.entity SET closed_through = '2018-06-29'")
    await market.write(
        WORKER, "test", Tx.execute, f"UPDATE billing.billing_run SET to_on = '2018-06-30' WHERE run_id = {june}"
    )
    posted, release = asyncio.Event(), asyncio.Event()
    early = asyncio.create_task(held_open(market, posted, release, ledger.post, [goodwill(1, 81, JUNE_30, 5)]))
    await posted.wait()
    closing = asyncio.create_task(market.write(WORKER, MAKER, soft_close, JUNE_CLOSE))
    await wait_until_blocked(market)
    late = [
        asyncio.create_task(market.write(WORKER, "late", ledger.post, [goodwill(m, 82, JUNE_30, 5)])) for m in (1, 2)
    ]
    opening = asyncio.create_task(market.write(WORKER, "late", ledger.open_books, [9], ENTITY))
    release.set()
    await asyncio.gather(early, closing, opening, *late)
    found = {
        (one.merchant_id, one.source_id): one.effective_on for one in await entries(market) if one.kind == "goodwill"
    }
    assert found[1, 81] == JUNE_30
    assert {found[1, 82], found[2, 82]} <= {JUNE_30, JULY_1}  # before the closer at its head, or behind it
    async with market.read(WORKER) as tx:
        heads = {row.closed_through for row in await tx.rows("SELECT closed_through FROM billing.ledger_head")}
    assert heads == {JUNE_30}
    await market.write(WORKER, "late", ledger.post, [goodwill(2, 83, JUNE_30, 5), goodwill(9, 84, JUNE_30, 5)])
    behind = {one.effective_on for one in await entries(market) if one.source_id in {83, 84} and one.kind == "goodwill"}
    assert behind == {JULY_1}


async def test_of_many_who_close_or_reverse_at_once_one_wins(market: Database) -> None:
    async with market.read(WORKER) as tx:
        run_id = await tx.scalar("SELECT run_id FROM billing.billing_run")
    outcomes = await asyncio.gather(
        *(market.write(WORKER, f"clerk {n}", soft_close, MAY_CLOSE) for n in range(3)),
        reverse_run(market, CHECKER, run_id),
        return_exceptions=True,
    )
    assert all(isinstance(one, Conflict) for one in outcomes if isinstance(one, BaseException)), outcomes
    assert len([one for one in outcomes if not isinstance(one, BaseException)]) == 1
    if isinstance(outcomes[3], BaseException):  # the month is soft-closed
        ends = await asyncio.gather(
            *(market.write(WORKER, f"closer {n}", close_period, MAY_CLOSE) for n in range(3)), return_exceptions=True
        )
        assert [type(one) for one in ends].count(Conflict) == 2
        async with market.read(WORKER) as tx:
            assert (await store.get_period(tx, ENTITY, date(2018, 5, 1))).state is PeriodState.CLOSED
            assert await tx.scalar("SELECT count(*) FROM billing.period_seal") == 1
    await check_books(market)
