"""Journals by hand and goodwill: two people, what a hand may touch, limits, closed periods, reversal, races."""

import asyncio
from datetime import date
from typing import Any

import pytest

from billing.journals import store
from billing.journals.model import GoodwillReason, Journal, JournalState
from billing.journals.store import SetLimits
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.books.post_journal import (
    DecideJournal,
    ProposeGoodwill,
    ProposeJournal,
    approve_journal,
    propose_goodwill,
    propose_journal,
    propose_reversal,
    reject_journal,
    set_limits,
    withdraw_journal,
)
from tests.billing.market import CHECKER, JUNE, MAKER, MAY, billed, check_books, figures, payable, prepare, statements
from tests.builders import ENTITY, HOUSE, PROCESSOR

Pair = tuple[int, int]

LOSS: tuple[Pair, ...] = ((Account.BAD_DEBT, 3700), (Account.MERCHANT_RECEIVABLE, -3700))
"""N: what a merchant owes is given up."""


async def market(db: Database) -> None:
    """Merchants 1 to 3; accountants approve up to 50.00, and a residue is at most 0.10."""
    await db.write(WORKER, MAKER, prepare, [])
    await db.write(WORKER, MAKER, policies.switch, "single_operator", on=False)
    limits = SetLimits(entity_id=ENTITY, currency="EUR", accountant_minor=5000, residue_minor=10)
    await db.write(WORKER, MAKER, set_limits, limits)


async def proposed(db: Database, *pairs: Pair, merchant_id: int = 1, **more: Any) -> Journal:
    """A journal of (account, amount) legs; 1020 is the card processor's."""
    legs = tuple(
        Leg(int(account), minor, PROCESSOR if account == Account.PROCESSOR_CLEARING else 0) for account, minor in pairs
    )
    values: dict[str, Any] = {"currency": "EUR", "reason": "a test", "evidence": "ticket 7", **more}
    return await db.write(WORKER, MAKER, propose_journal, ProposeJournal(merchant_id=merchant_id, legs=legs, **values))


async def goodwill(db: Database, minor: int, merchant_id: int = 1) -> Journal:
    cmd = ProposeGoodwill(
        merchant_id=merchant_id,
        currency="EUR",
        amount_minor=minor,
        goodwill_reason=GoodwillReason.OUTAGE,
        reason="the shop was down",
        evidence="incident 12",
    )
    return await db.write(WORKER, MAKER, propose_goodwill, cmd)


def of(journal: Journal, *, is_controller: bool = False) -> DecideJournal:
    return DecideJournal(
        merchant_id=journal.merchant_id, journal_id=journal.journal_id, reason="seen", is_controller=is_controller
    )


async def approved(db: Database, journal: Journal, *, is_controller: bool = False) -> Journal:
    return await db.write(WORKER, CHECKER, approve_journal, of(journal, is_controller=is_controller))


async def standing(db: Database, merchant_id: int = 1) -> dict[int, int]:
    async with db.read(WORKER) as tx:
        return {one.account: one.balance_minor for one in await ledger.balances(tx, merchant_id)}


async def test_posting_p_goodwill_to_a_merchant(db: Database) -> None:
    await market(db)
    journal = await goodwill(db, 500)
    assert await standing(db) == {}  # a proposal moves nothing
    posted = await approved(db, journal)
    assert (posted.state, posted.made_by, posted.decided_by) == (JournalState.POSTED, MAKER, CHECKER)
    assert await standing(db) == {6920: 500, 2000: -500}
    async with db.read(WORKER) as tx:
        entry = await ledger.get_entry(tx, 1, posted.entry_no or 0)
    assert (entry.kind, entry.source_id) == ("goodwill_granted", journal.journal_id)
    await check_books(db)


async def test_posting_n_write_off_and_residue(db: Database) -> None:
    await market(db)
    with pytest.raises(Conflict, match=r"0\.00 EUR is owed on account 1100"):
        await proposed(db, *LOSS)
    await approved(db, await proposed(db, (Account.MERCHANT_RECEIVABLE, 4000), (Account.SUSPENSE, -4000)))
    losses = [await proposed(db, *LOSS) for _ in range(2)]
    await approved(db, losses[0])
    with pytest.raises(Conflict, match=r"3\.00 EUR is owed on account 1100"):
        await approved(db, losses[1])
    await approved(db, await proposed(db, (Account.ROUNDING, 2), (Account.PROCESSOR_CLEARING, -2)))
    assert await standing(db) == {5210: 3700, 1100: 300, 2900: -4000, 6900: 2, 1020: -2}
    await check_books(db)


async def test_the_houses_books_take_journals_too(db: Database) -> None:
    await market(db)
    journal = await proposed(db, (Account.PROCESSOR_FEES, 250), (Account.BANK, -250), merchant_id=HOUSE)
    await approved(db, journal)
    assert await standing(db, HOUSE) == {5100: 250, 1010: -250}
    await check_books(db)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (((6920, 5), (2000, -4)), r"differ by 0\.01 EUR"),
        (((6920, 5),), "2 to 20"),
        (((6920, 0), (2000, 0)), "is zero"),
        (((1030, 5), (2000, -5)), "legs/0/account: 1030"),
        (((6920, 5), (2005, -5)), "legs/1/account: 2005"),
        (((6920, 5), (2300, -5)), "legs/1/account: 2300"),
        (((1010, 5), (2000, -5)), "legs/0/account: 1010"),
        (((1900, 5), (2000, -5)), "legs/0/account: 1900"),
        (((6900, 11), (1020, -11)), "more than a residue"),
        (((5100, 2), (1020, -2)), "against 6900 only"),
    ],
)
async def test_what_a_hand_may_not_post_is_refused(db: Database, pairs: tuple[Pair, ...], said: str) -> None:
    await market(db)
    with pytest.raises(Invalid, match=said):
        await proposed(db, *pairs)


async def test_other_refusals(db: Database) -> None:
    await market(db)
    with pytest.raises(Invalid, match="kept in EUR"):
        await proposed(db, *LOSS, currency="USD")
    with pytest.raises(Invalid, match="still to come"):
        await proposed(db, *LOSS, effective_on=date(2018, 9, 4))
    with pytest.raises(Invalid, match="account: 2000"):
        await proposed(db, (6920, 5), (2000, -5), merchant_id=HOUSE)
    with pytest.raises(NotFound):
        await proposed(db, *LOSS, merchant_id=99)
    with pytest.raises(Conflict, match="brought over"):  # nothing was
        await proposed(db, (2020, 5), (2000, -5))
    with pytest.raises(NotFound):
        await db.write(
            WORKER, MAKER, set_limits, SetLimits(entity_id=9, currency="EUR", accountant_minor=1, residue_minor=0)
        )


async def test_maker_is_never_checker_unless_one_person_is_all(db: Database) -> None:
    await market(db)
    journal = await goodwill(db, 500)
    with pytest.raises(Forbidden, match="another person"):
        await db.write(WORKER, MAKER, approve_journal, of(journal))
    await db.write(WORKER, MAKER, policies.switch, "single_operator", on=True)
    posted = await db.write(WORKER, MAKER, approve_journal, of(journal))
    assert posted.single_operator
    await check_books(db)


async def test_above_the_limit_a_controller_approves(db: Database) -> None:
    await market(db)
    journal = await goodwill(db, 5001)
    with pytest.raises(Forbidden, match="a controller approves"):
        await approved(db, journal)
    await approved(db, await goodwill(db, 5000))
    await approved(db, journal, is_controller=True)
    assert await payable(db, 1) == {"EUR": 10_001}


async def test_a_closed_period_is_refused_when_proposed_and_when_it_closed_meanwhile(db: Database) -> None:
    await market(db)
    early = await proposed(db, (6920, 1), (2000, -1), effective_on=MAY.last_on)
    await approved(db, await proposed(db, (6920, 500), (2000, -500), effective_on=MAY.last_on))
    await billed(db)
    with pytest.raises(Invalid, match="closed through 2018-05-31"):
        await proposed(db, *LOSS, effective_on=MAY.last_on)
    with pytest.raises(Conflict, match="closed through 2018-05-31"):
        await approved(db, early)
    assert (await db.write(WORKER, MAKER, withdraw_journal, of(early))).state is JournalState.WITHDRAWN
    await check_books(db)


async def test_a_reversal_is_the_mirror_and_returns_every_balance(db: Database) -> None:
    await market(db)
    journal = await goodwill(db, 500)
    with pytest.raises(Conflict, match="only what is posted"):
        await db.write(WORKER, MAKER, propose_reversal, of(journal))
    await approved(db, journal)
    back = await db.write(WORKER, MAKER, propose_reversal, of(journal))
    assert (back.reversal_of, back.kind) == (journal.journal_id, journal.kind)
    with pytest.raises(Conflict, match="reversed already"):
        await db.write(WORKER, CHECKER, propose_reversal, of(journal))
    with pytest.raises(Forbidden):
        await db.write(WORKER, MAKER, approve_journal, of(back))
    await approved(db, back)
    assert await standing(db) == {}
    with pytest.raises(Conflict, match="reversal itself"):
        await db.write(WORKER, MAKER, propose_reversal, of(back))
    await check_books(db)


async def test_a_rejected_reversal_may_be_proposed_again(db: Database) -> None:
    await market(db)
    journal = await approved(db, await goodwill(db, 500))
    back = await db.write(WORKER, MAKER, propose_reversal, of(journal))
    await db.write(WORKER, CHECKER, reject_journal, of(back))
    again = await db.write(WORKER, MAKER, propose_reversal, of(journal))
    await approved(db, again)
    assert await standing(db) == {}


async def test_who_made_it_withdraws_it_and_others_reject_it(db: Database) -> None:
    await market(db)
    journal = await goodwill(db, 500)
    with pytest.raises(Conflict, match="withdraws it"):
        await db.write(WORKER, MAKER, reject_journal, of(journal))
    with pytest.raises(Conflict, match="reject it instead"):
        await db.write(WORKER, CHECKER, withdraw_journal, of(journal))
    await db.write(WORKER, CHECKER, reject_journal, of(journal))
    for actor, decide in ((MAKER, withdraw_journal), (CHECKER, reject_journal), (CHECKER, approve_journal)):
        with pytest.raises(Conflict, match="rejected"):
            await db.write(WORKER, actor, decide, of(journal))


async def test_the_statement_shows_it_as_other(db: Database) -> None:
    await market(db)
    await approved(db, await proposed(db, (6920, 500), (2000, -500), effective_on=date(2018, 6, 3)))
    await billed(db)
    run = await billed(db, JUNE)
    found = await statements(db, run.run.run_id)
    assert figures(found[1, "EUR"]) == {"other": 500, "closing": 500}


async def test_two_approvers_at_once_post_it_once(db: Database) -> None:
    await market(db)
    journal = await goodwill(db, 500)
    done = await asyncio.gather(
        *(db.write(WORKER, f"checker {n}", approve_journal, of(journal)) for n in range(6)), return_exceptions=True
    )
    assert [type(one) for one in done].count(Journal) == 1
    assert all(isinstance(one, (Journal, Conflict)) for one in done)
    assert await payable(db, 1) == {"EUR": 500}
    await check_books(db)


async def test_approved_and_withdrawn_at_once_is_one_of_them(db: Database) -> None:
    await market(db)
    for _ in range(5):
        journal = await goodwill(db, 1)
        before = (await payable(db, 1)).get("EUR", 0)
        done = await asyncio.gather(
            approved(db, journal), db.write(WORKER, MAKER, withdraw_journal, of(journal)), return_exceptions=True
        )
        assert sorted(isinstance(one, AppError) for one in done) == [False, True]
        async with db.read(WORKER) as tx:
            now = await store.get_journal(tx, 1, journal.journal_id)
        assert (await payable(db, 1)).get("EUR", 0) - before == (1 if now.state is JournalState.POSTED else 0)
    await check_books(db)
