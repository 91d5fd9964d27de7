"""People match, take back, accept and write off: maker and checker, one of two wins, and the books hold."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from billing.breaks import store as breaks
from billing.breaks.model import Break, BreakKind, BreakState, Limits
from billing.ledger.chart import Account
from billing.matching import store
from billing.matching.model import Book, Item, Side, Stage
from billing.runs import store as runs
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.bank.match_by_hand import (
    ProposeMatch,
    approve_match,
    propose_match,
    propose_unmatch,
    reject_match,
    suggest,
)
from marketplace.flows.bank.work_breaks import (
    SayOfBreak,
    accept,
    approve_break,
    assign,
    comment,
    reopen_break,
    set_limits,
    write_off,
)
from marketplace.flows.payouts.pay_merchants import ReturnPayout, return_payout
from tests.billing.market import check_books
from tests.billing.test_payouts import confirm, instructed
from tests.builders import ENTITY, HOUSE
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import bank_says, groups, line, matched, name_accounts, open_items
from tests.payments.market import add_merchants, balances

DAY = date(2018, 6, 4)
BANK: dict[str, Any] = {"book": Book.BANK}


async def one_each(db: Database) -> tuple[Item, Item]:
    """A payout that is on its way, and a line of the bank that no rule takes for it."""
    [payout] = await instructed(db)
    await db.write(WORKER, "test", policies.switch, "single_operator", on=False)
    await db.write(WORKER, "fay", name_accounts)
    await bank_says(db, [line(-payout.amount_minor, text="sundry", day=DAY + timedelta(days=30))])
    await matched(db)
    [theirs] = await open_items(db, side=Side.THEIRS)
    [ours] = await open_items(db, side=Side.OURS)
    return theirs, ours


async def live_breaks(db: Database) -> list[Break]:
    async with db.read(WORKER) as tx:
        return await breaks.list_breaks(tx, live=True, limit=1_000)


def wanted(theirs: Item, ours: Item) -> ProposeMatch:
    return ProposeMatch(theirs=(theirs.item_id,), ours=(ours.item_id,), reason="seen with the bank")


async def test_matched_by_two_people_the_payout_is_confirmed(db: Database) -> None:
    theirs, ours = await one_each(db)
    proposal = await db.write(WORKER, "fay", propose_match, wanted(theirs, ours))
    with pytest.raises(Forbidden):
        await db.write(WORKER, "fay", approve_match, proposal.proposal_id)
    done = await db.write(WORKER, "col", approve_match, proposal.proposal_id)
    assert (done.state, done.decided_by) == ("approved", "col")
    with pytest.raises(Conflict, match="approved by col"):
        await db.write(WORKER, "cat", approve_match, proposal.proposal_id)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM billing.payout") == "confirmed"
    assert (await balances(db, HOUSE))[1010, 0] == theirs.amount_minor
    assert (2900, theirs.source_id) not in await balances(db, HOUSE)
    await check_books(db)
    assert await live_breaks(db) == []
    found = (await matched(db)).found
    assert (found["breaks_opened"], found["breaks_closed"]) == (0, 0)


async def test_a_group_is_taken_back_and_nothing_that_was_booked_is_lost(db: Database) -> None:
    theirs, ours = await one_each(db)
    proposal = await db.write(WORKER, "fay", propose_match, wanted(theirs, ours))
    await db.write(WORKER, "col", approve_match, proposal.proposal_id)
    [group] = await groups(db)
    back = await db.write(WORKER, "fay", propose_unmatch, group.group_id, "another merchant's")
    await db.write(WORKER, "col", approve_match, back.proposal_id)
    assert (await balances(db, HOUSE))[2900, theirs.source_id] == -theirs.amount_minor
    assert {item.item_id for item in await open_items(db)} == {theirs.item_id, ours.item_id}
    with pytest.raises(Conflict, match="not live"):
        await db.write(WORKER, "fay", propose_unmatch, group.group_id, "again")
    await check_books(db)
    again = await db.write(WORKER, "fay", propose_match, wanted(theirs, ours))
    await db.write(WORKER, "col", approve_match, again.proposal_id)
    assert [one.stage for one in await groups(db)] == [Stage.MANUAL, Stage.UNMATCH, Stage.MANUAL]
    assert (await balances(db, HOUSE))[1010, 0] == theirs.amount_minor
    await check_books(db)


@pytest.mark.parametrize(
    ("lines", "items", "stage"),
    [
        ([theirs(500, "A", **BANK)], [ours(500, "A", **BANK)], Stage.EXACT),
        ([theirs(500, "A")], [ours(500, "A")], Stage.EXACT),
        ([theirs(499, "A", **BANK)], [ours(500, "A", **BANK)], Stage.EXPLAINED),
        ([theirs(900, "S", **BANK)], [ours(m, f"S{m}", batch_ref="S", **BANK) for m in (400, 500)], Stage.BATCH),
        ([theirs(900, "", party="P", **BANK)], [ours(m, f"S{m}", party="P", **BANK) for m in (400, 500)], Stage.SUBSET),
        ([theirs(900, "", party="P", words="INV7", **BANK)], [ours(900, "INV7", party="P", **BANK)], Stage.LIKELY),
    ],
)
async def test_what_a_person_took_apart_no_rule_brings_together(
    db: Database, lines: list[dict[str, Any]], items: list[dict[str, Any]], stage: Stage
) -> None:
    await db.write(WORKER, "test", add_merchants)
    await add_items(db, [*lines, *items])
    await matched(db)
    [group] = await groups(db)
    assert group.stage is stage
    back = await db.write(WORKER, "fay", propose_unmatch, group.group_id, "another's")
    await db.write(WORKER, "col", approve_match, back.proposal_id)
    for _ in range(2):
        found = (await matched(db)).found
        assert not any(found.get(name) for name in Stage), found
    apart = {item.item_id: item.apart for item in await open_items(db)}
    assert apart == {**dict.fromkeys(group.theirs, group.ours), **dict.fromkeys(group.ours, group.theirs)}
    kinds = {one.kind for one in await live_breaks(db)}
    assert kinds <= {BreakKind.MISSING_INTERNAL, BreakKind.UNIDENTIFIED_RECEIPT, BreakKind.MISSING_EXTERNAL}, kinds
    async with db.read(WORKER) as tx:
        said = [why for one in await suggest(tx, group.theirs[0]) for why in one.reasons]
    if stage is not Stage.BATCH and stage is not Stage.SUBSET:
        assert "a person took these apart" in said
    again = ProposeMatch(theirs=group.theirs, ours=group.ours, reason="they do belong together")
    proposal = await db.write(WORKER, "fay", propose_match, again)
    await db.write(WORKER, "col", approve_match, proposal.proposal_id)
    assert await open_items(db) == []
    await check_books(db)


async def test_what_was_taken_apart_finds_its_right_match(db: Database) -> None:
    """Two payments of one reference and amount: the line goes to the other one, and its item to the next line."""
    await db.write(WORKER, "test", add_merchants)
    await add_items(db, [theirs(500, "A", sort_key="t1"), ours(500, "A", sort_key="o1")])
    await matched(db)
    [group] = await groups(db)
    back = await db.write(WORKER, "fay", propose_unmatch, group.group_id, "another's")
    await db.write(WORKER, "col", approve_match, back.proposal_id)
    await add_items(db, [theirs(500, "A", sort_key="t2"), ours(500, "A", sort_key="o2")])
    for _ in range(2):
        await matched(db)
    assert await open_items(db) == []
    made = [(one.theirs, one.ours) for one in await groups(db) if one.stage is Stage.EXACT]
    assert len(made) == 3
    assert made.count((group.theirs, group.ours)) == 1


async def test_two_people_match_the_same_line_at_once(db: Database) -> None:
    theirs, ours = await one_each(db)
    proposed = await asyncio.gather(
        *(db.write(WORKER, maker, propose_match, wanted(theirs, ours)) for maker in ("fay", "fred")),
        return_exceptions=True,
    )
    [proposal] = [one for one in proposed if not isinstance(one, BaseException)]
    [late] = [one for one in proposed if isinstance(one, Conflict)]
    assert "waits for a decision" in late.detail
    outcomes = await asyncio.gather(
        *(db.write(WORKER, checker, approve_match, proposal.proposal_id) for checker in ("col", "cat")),
        return_exceptions=True,
    )
    told = [one for one in outcomes if isinstance(one, Conflict)]
    assert len(told) == 1
    assert len(await groups(db)) == 1
    await check_books(db)


async def test_what_does_not_fit_is_refused(db: Database) -> None:
    theirs, ours = await one_each(db)
    with pytest.raises(Invalid, match="theirs: item"):
        await db.write(WORKER, "fay", propose_match, wanted(ours, theirs))
    await bank_says(db, [line(-7, bank_ref="X", day=DAY)], opening=theirs.amount_minor)
    await matched(db)
    small = min((item for item in await open_items(db, side=Side.THEIRS)), key=lambda item: -item.amount_minor)
    with pytest.raises(Invalid, match="both sides differ"):
        await db.write(WORKER, "fay", propose_match, wanted(small, ours))
    proposal = await db.write(WORKER, "fay", propose_match, wanted(theirs, ours))
    assert (await db.write(WORKER, "fay", reject_match, proposal.proposal_id)).state == "rejected"
    with pytest.raises(Conflict):
        await db.write(WORKER, "col", approve_match, proposal.proposal_id)


async def test_suggestions_say_why(db: Database) -> None:
    theirs, ours = await one_each(db)
    async with db.read(WORKER) as tx:
        [far] = await suggest(tx, theirs.item_id)  # a month late: no rule takes that for near, a person may
    assert (far.ours, far.reasons) == ((ours.item_id,), ("the amounts are equal", "29 days after it was expected"))
    await bank_says(db, [line(theirs.amount_minor, text=f"payout {ours.reference[:-1]}", day=DAY)], opening=1)
    await matched(db)
    near = next(item for item in await open_items(db, side=Side.THEIRS) if item.item_id != theirs.item_id)
    async with db.read(WORKER) as tx:
        [found] = await suggest(tx, near.item_id)
    assert found.ours == (ours.item_id,)
    assert "the amounts are equal" in found.reasons


async def test_a_break_has_an_owner_a_history_and_an_end(db: Database) -> None:
    await one_each(db)
    found = {one.kind: one for one in await live_breaks(db)}
    assert set(found) == {BreakKind.MISSING_INTERNAL, BreakKind.MISSING_EXTERNAL}
    one = found[BreakKind.MISSING_EXTERNAL]
    assert (one.state, one.age_class, one.overdue) == (
        BreakState.OPEN,
        "31-90",
        False,
    )
    with pytest.raises(Invalid, match="there is no user"):
        await db.write(WORKER, "fay", assign, one.break_id, "nobody")
    await db.write(WORKER, "fay", assign, one.break_id, "")
    said = SayOfBreak(break_id=one.break_id, words="asked the bank", evidence="ticket 7")
    await db.write(WORKER, "fay", comment, said)
    asked = await db.write(WORKER, "fay", accept, said)
    assert asked.state is BreakState.ACCEPTING
    with pytest.raises(Forbidden):
        await db.write(WORKER, "fay", approve_break, said)
    assert (await db.write(WORKER, "col", approve_break, said)).state is BreakState.ACCEPTED
    await matched(db)
    async with db.read(WORKER) as tx:
        assert (await breaks.get_break(tx, one.break_id)).state is BreakState.ACCEPTED
        steps = [step.what for step in await breaks.list_steps(tx, one.break_id)]
        left = await breaks.list_breaks(tx, live=True, due=True, limit=10)
        named = await breaks.list_breaks(tx, state=BreakState.ACCEPTED, due=True, limit=10)
        due = (await breaks.count_breaks(tx)).due
    assert steps == ["opened", "assigned", "commented", "accepting", "accepted"]
    assert (one.break_id in {each.break_id for each in left}, [each.break_id for each in named]) == (
        False,
        [one.break_id],
    )
    assert due == len(left)
    assert (await db.write(WORKER, "fay", reopen_break, said)).state is BreakState.OPEN


async def test_written_off_within_a_limit_and_by_two_above_it(db: Database) -> None:
    theirs, ours = await one_each(db)
    found = {one.item_id: one for one in await live_breaks(db)}
    say = [SayOfBreak(break_id=found[item.item_id].break_id, words="too old") for item in (theirs, ours)]
    asked = await db.write(WORKER, "fay", write_off, say[0])
    assert asked.state is BreakState.WRITING_OFF
    with pytest.raises(Forbidden, match="controller"):
        await db.write(WORKER, "col", approve_break, say[0])
    controller = SayOfBreak(break_id=say[0].break_id, words="yes", is_controller=True)
    done = await db.write(WORKER, "col", approve_break, controller)
    assert (done.state, done.decided_by) == (BreakState.WRITTEN_OFF, "col")
    stands = await balances(db, HOUSE)
    assert stands == {(1010, 0): theirs.amount_minor, (Account.ADJUSTMENTS, 0): -theirs.amount_minor}
    async with db.read(WORKER) as tx:
        days = await tx.rows(
            "SELECT kind, effective_on FROM billing.entry WHERE kind IN ('line_claimed', 'break_written_off')"
        )
        assert tx.now.date() > theirs.day  # the bank's account is what it says by the end of its own day
    assert {(row.kind, row.effective_on) for row in days} == {
        ("line_claimed", theirs.day), ("break_written_off", theirs.day),
    }  # fmt: skip
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=10**6, controller_minor=10**6)
    await db.write(WORKER, "col", set_limits, limits)
    assert (await db.write(WORKER, "fay", comment, say[1])).words == "too old"
    back = ReturnPayout(merchant_id=ours.owner_id, payout_id=ours.source_id, on=DAY, reason="never left")
    await db.write(WORKER, "fay", return_payout, back)
    await matched(db)
    assert await live_breaks(db) == []
    await check_books(db)


async def test_what_is_expected_and_never_comes_is_written_off(db: Database) -> None:
    """Receipts that were booked and that the bank does not know: 1010 goes back, 6920 has it."""
    theirs, ours = await one_each(db)
    assert ours.book is Book.BANK
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=10**6, controller_minor=10**6)
    await db.write(WORKER, "col", set_limits, limits)
    [one] = [one for one in await live_breaks(db) if one.item_id == ours.item_id]
    no = SayOfBreak(break_id=one.break_id, words="no")
    with pytest.raises(Invalid, match="is not booked yet"):
        await db.write(WORKER, "fay", write_off, no)
    async with db.read(WORKER) as tx:
        payout = await runs.get_payout(tx, ours.owner_id, ours.source_id)
    await confirm(db, payout)
    await matched(db)
    done = await db.write(WORKER, "fay", write_off, no)
    assert done.state is BreakState.WRITTEN_OFF
    async with db.read(WORKER) as tx:
        [item] = await store.items_of(tx, [ours.item_id])
    assert item.group_id is not None
    assert {key: minor for key, minor in (await balances(db, HOUSE)).items() if key[0] != Account.CONTROL} == {
        (1010, 0): theirs.amount_minor, (2900, theirs.source_id): -theirs.amount_minor,
        (Account.ADJUSTMENTS, 0): ours.amount_minor,
    }  # fmt: skip
    await check_books(db)


async def test_nobody_writes_off_alone_by_a_limit_of_ones_own(db: Database) -> None:
    theirs, _ = await one_each(db)
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=10**6, controller_minor=10**6)
    await db.write(WORKER, "col", set_limits, limits)
    [one] = [one for one in await live_breaks(db) if one.item_id == theirs.item_id]
    say = SayOfBreak(break_id=one.break_id, words="old", is_controller=True)
    assert (await db.write(WORKER, "col", write_off, say)).state is BreakState.WRITING_OFF
    with pytest.raises(Forbidden, match="another person"):
        await db.write(WORKER, "col", approve_break, say)
    done = await db.write(WORKER, "cora", approve_break, say)
    assert (done.state, done.asked_by, done.decided_by) == (BreakState.WRITTEN_OFF, "col", "cora")
    await check_books(db)
