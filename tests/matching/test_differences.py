"""What was paid with another amount is matched all the same: explained by people, or written off."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from billing.breaks.model import Break, BreakKind, BreakState, Limits
from billing.ledger.chart import Account
from billing.matching.model import Item, ResidueKind, Side
from billing.runs import store as runs
from billing.runs.model import Payout
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.bank.match_by_hand import ProposeMatch, approve_match, propose_match, propose_unmatch
from marketplace.flows.bank.work_breaks import SayOfBreak, approve_break, set_limits, take_payout_back, write_off
from tests.billing.market import check_books
from tests.billing.test_payouts import instructed
from tests.builders import ENTITY, HOUSE
from tests.http.conftest import app, caller
from tests.http.market import send
from tests.matching.market import bank_says, groups, line, matched, name_accounts, open_items
from tests.matching.test_by_hand import DAY, live_breaks, one_each
from tests.payments.market import balances

__all__ = ["app", "caller"]

Make = Callable[..., Awaitable[httpx.AsyncClient]]
SHORT = 10
"""What the bank paid less than was instructed; what it took more, and no rule explains, is negative."""

CAME_BACK = DAY + timedelta(days=2)


async def paid_with_another_amount(db: Database, short: int, *, named: bool = True) -> tuple[Item, Item]:
    """A payout, and the line by which the bank paid so much less of it."""
    [payout] = await instructed(db)
    await db.write(WORKER, "test", policies.switch, "single_operator", on=False)
    await db.write(WORKER, "fay", name_accounts)
    said = {"end_to_end": f"{payout.merchant_id}-{payout.payout_id}"} if named else {"text": "sundry"}
    day = DAY + timedelta(days=0 if named else 30)
    await bank_says(db, [line(short - payout.amount_minor, day=day, **said)])
    await matched(db)
    [theirs] = await open_items(db, side=Side.THEIRS)
    [ours] = await open_items(db, side=Side.OURS)
    return theirs, ours


async def payout_state(db: Database) -> str:
    async with db.read(WORKER) as tx:
        state: str = await tx.scalar("SELECT state FROM billing.payout")
    return state


def at_bank(stands: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    return {key: minor for key, minor in stands.items() if key[0] != Account.CONTROL}


@pytest.mark.parametrize("short", [SHORT, -2_000])
async def test_the_difference_of_a_payout_is_written_off_and_the_payout_confirmed(db: Database, short: int) -> None:
    theirs, ours = await paid_with_another_amount(db, short)
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=abs(short), controller_minor=abs(short))
    await db.write(WORKER, "col", set_limits, limits)
    [one] = [each for each in await live_breaks(db) if each.item_id == theirs.item_id]
    assert (one.kind, one.other_id, one.amount_minor) == (BreakKind.AMOUNT, ours.item_id, short)
    done = await db.write(WORKER, "fay", write_off, SayOfBreak(break_id=one.break_id, words="the bank's mistake"))
    assert (done.state, await payout_state(db)) == (BreakState.WRITTEN_OFF, "confirmed")
    assert at_bank(await balances(db, HOUSE)) == {
        (1010, 0): theirs.amount_minor, (Account.ADJUSTMENTS, 0): -short,
    }  # fmt: skip
    await matched(db)
    assert await live_breaks(db) == []
    await check_books(db)


@pytest.mark.parametrize(
    ("kind", "account"),
    [
        (ResidueKind.FEE, Account.PROCESSOR_FEES),
        (ResidueKind.EXCHANGE, Account.EXCHANGE_RESULT),
        (ResidueKind.ADJUSTMENT, Account.ADJUSTMENTS),
    ],
)
async def test_two_people_match_with_a_difference_and_say_what_it_is(
    db: Database, kind: ResidueKind, account: Account
) -> None:
    theirs, ours = await paid_with_another_amount(db, SHORT, named=False)
    wanted = ProposeMatch(theirs=(theirs.item_id,), ours=(ours.item_id,), reason="told by the bank")
    with pytest.raises(Invalid, match=r"both sides differ by 0\.10 EUR, of which 0\.00 is explained"):
        await db.write(WORKER, "fay", propose_match, wanted)
    explained = ProposeMatch(theirs=wanted.theirs, ours=wanted.ours, reason=wanted.reason, residue_kind=kind)
    proposal = await db.write(WORKER, "fay", propose_match, explained)
    assert proposal.residue_kind == kind
    for nobody in ("fay", "ann"):
        with pytest.raises(Forbidden):
            await db.write(WORKER, nobody, approve_match, proposal.proposal_id)
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=SHORT - 1, controller_minor=SHORT)
    await db.write(WORKER, "col", set_limits, limits)
    with pytest.raises(Forbidden, match="a controller approves"):
        await db.write(WORKER, "ann", approve_match, proposal.proposal_id)
    await db.write(WORKER, "col", approve_match, proposal.proposal_id, is_controller=True)
    [group] = await groups(db)
    assert (group.residue_minor, group.residue_kind, await payout_state(db)) == (SHORT, kind, "confirmed")
    assert at_bank(await balances(db, HOUSE)) == {(1010, 0): theirs.amount_minor, (account, 0): -SHORT}
    await check_books(db)
    back = await db.write(WORKER, "fay", propose_unmatch, group.group_id, "not this one")
    await db.write(WORKER, "ann", approve_match, back.proposal_id)
    assert (account, 0) not in await balances(db, HOUSE)
    await check_books(db)


@pytest.mark.parametrize("short", [30_000, -30_000])
async def test_the_limit_is_that_of_a_write_off_whichever_side_has_more(db: Database, short: int) -> None:
    """Above both limits a break is written off by two, one of them a controller; so is a difference explained."""
    theirs, ours = await paid_with_another_amount(db, short)
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=500, controller_minor=5_000)
    await db.write(WORKER, "cora", set_limits, limits)
    [one] = [each for each in await live_breaks(db) if each.item_id == theirs.item_id]
    said = SayOfBreak(break_id=one.break_id, words="its mistake", is_controller=True)
    assert (await db.write(WORKER, "fay", write_off, said)).state is BreakState.WRITING_OFF
    refused = r"300\.00 EUR is more than 5\.00, so a controller approves"
    with pytest.raises(Forbidden, match=refused):
        await db.write(WORKER, "ann", approve_break, SayOfBreak(break_id=one.break_id, words=""))
    wanted = ProposeMatch(
        theirs=(theirs.item_id,), ours=(ours.item_id,), reason="unknown", residue_kind=ResidueKind.ADJUSTMENT
    )
    proposal = await db.write(WORKER, "col", propose_match, wanted)
    for maker in (False, True):
        with pytest.raises(Forbidden, match="another person" if maker else refused):
            await db.write(WORKER, "col" if maker else "ann", approve_match, proposal.proposal_id, is_controller=maker)
    await db.write(WORKER, "cora", approve_match, proposal.proposal_id, is_controller=True)
    await check_books(db)


async def paid_and_sent_back(db: Database, short: int = 0) -> tuple[Payout, Break]:
    """A payout that the bank has paid, and the break of the line by which it came back, less so much."""
    [payout] = await instructed(db)
    await db.write(WORKER, "test", policies.switch, "single_operator", on=False)
    await db.write(WORKER, "fay", name_accounts)
    name = f"{payout.merchant_id}-{payout.payout_id}"
    await bank_says(db, [line(-payout.amount_minor, day=DAY, end_to_end=name)])
    await matched(db)
    assert await payout_state(db) == "confirmed"
    sent_back = line(payout.amount_minor - short, day=CAME_BACK, end_to_end=name, bank_ref="RET-1")
    await bank_says(db, [sent_back], opening=-payout.amount_minor)
    await matched(db)
    [one] = await live_breaks(db)
    assert (one.kind, one.amount_minor) == (BreakKind.PAYOUT_RETURNED, payout.amount_minor - short)
    return payout, one


async def test_a_payout_that_came_back_is_told_on_its_break_and_matched(db: Database, caller: Make) -> None:
    payout, one = await paid_and_sent_back(db)
    ann = await caller("ann", "accountant")
    [first] = (await ann.get(f"/api/v1/open-items/{one.item_id}/suggestions")).json()
    back_with = {"merchant_id": payout.merchant_id, "payout_id": payout.payout_id, "break_id": one.break_id}
    assert (first["ours"], first["payout_back"]) == ([], back_with)
    told = await send(ann, f"/breaks/{one.break_id}/come-back", {"reason": "account closed"})
    assert (told.status_code, told.json()["state"]) == (200, "closed")
    said = SayOfBreak(break_id=one.break_id, words="account closed")
    for deed in (write_off, take_payout_back):
        with pytest.raises(Conflict, match="is closed"):
            await db.write(WORKER, "fay", deed, said)
    async with db.read(WORKER) as tx:
        back = await runs.get_payout(tx, payout.merchant_id, payout.payout_id)
    assert (back.state, back.returned_on, back.return_reason) == ("returned", CAME_BACK, "account closed")
    assert (await live_breaks(db), await open_items(db)) == ([], [])  # at once: no pass comes in between
    stands = await balances(db, HOUSE)
    await matched(db)
    assert (await live_breaks(db), await open_items(db), await balances(db, HOUSE)) == ([], [], stands)
    assert not [key for key in stands if key[0] == Account.SUSPENSE]
    await check_books(db)


async def test_what_the_bank_keeps_of_a_payout_that_came_back_is_its_fee(db: Database) -> None:
    _, one = await paid_and_sent_back(db, short=SHORT)
    await db.write(WORKER, "fay", take_payout_back, SayOfBreak(break_id=one.break_id, words="account closed"))
    assert (await live_breaks(db), await open_items(db), await payout_state(db)) == ([], [], "returned")
    assert at_bank(await balances(db, HOUSE)) == {(1010, 0): -SHORT, (Account.PROCESSOR_FEES, 0): SHORT}
    await check_books(db)


async def test_a_line_of_another_amount_does_not_bring_a_payout_back(db: Database) -> None:
    _, one = await paid_and_sent_back(db, short=2_000)
    with pytest.raises(Conflict, match=r"brings [\d.]+ EUR, payout \d+ was [\d.]+"):
        await db.write(WORKER, "fay", take_payout_back, SayOfBreak(break_id=one.break_id, words="account closed"))
    assert await payout_state(db) == "confirmed"
    await check_books(db)


async def test_a_second_line_does_not_bring_a_payout_back_again(db: Database) -> None:
    payout, one = await paid_and_sent_back(db)
    await db.write(WORKER, "fay", take_payout_back, SayOfBreak(break_id=one.break_id, words="account closed"))
    name = f"{payout.merchant_id}-{payout.payout_id}"
    again = line(payout.amount_minor, day=CAME_BACK, end_to_end=name, bank_ref="RET-2")
    await bank_says(db, [again])
    await matched(db)
    [other] = await live_breaks(db)
    assert other.break_id != one.break_id
    with pytest.raises(Conflict, match=r"came back on|no payout came back with it"):
        await db.write(WORKER, "fay", take_payout_back, SayOfBreak(break_id=other.break_id, words="account closed"))
    assert [each.break_id for each in await live_breaks(db)] == [other.break_id]
    await check_books(db)


async def test_within_the_limit_an_accountant_agrees(db: Database) -> None:
    theirs, ours = await paid_with_another_amount(db, SHORT, named=False)
    limits = Limits(entity_id=ENTITY, currency="EUR", accountant_minor=SHORT, controller_minor=SHORT)
    await db.write(WORKER, "col", set_limits, limits)
    wanted = ProposeMatch(
        theirs=(theirs.item_id,), ours=(ours.item_id,), reason="its charge", residue_kind=ResidueKind.FEE
    )
    proposal = await db.write(WORKER, "fay", propose_match, wanted)
    done = await db.write(WORKER, "ann", approve_match, proposal.proposal_id)
    assert (done.state, done.decided_by) == ("approved", "ann")
    await check_books(db)


async def test_what_is_not_booked_is_refused_when_its_write_off_is_asked_for(db: Database) -> None:
    """Not only when somebody agrees: nobody looks at what cannot be done."""
    _, ours = await one_each(db)
    [one] = [each for each in await live_breaks(db) if each.item_id == ours.item_id]
    said = SayOfBreak(break_id=one.break_id, words="never paid")
    with pytest.raises(Invalid, match="is not booked yet"):
        await db.write(WORKER, "fay", write_off, said)
    assert [each.state for each in await live_breaks(db) if each.item_id == ours.item_id] == [BreakState.OPEN]


async def test_what_changed_between_asking_and_agreeing_is_refused_then(db: Database) -> None:
    theirs, ours = await paid_with_another_amount(db, SHORT)
    [one] = [each for each in await live_breaks(db) if each.item_id == theirs.item_id]
    said = SayOfBreak(break_id=one.break_id, words="its mistake", is_controller=True)
    assert (await db.write(WORKER, "fay", write_off, said)).state is BreakState.WRITING_OFF
    explained = ProposeMatch(
        theirs=(theirs.item_id,), ours=(ours.item_id,), reason="its charge", residue_kind=ResidueKind.FEE
    )
    proposal = await db.write(WORKER, "fay", propose_match, explained)
    await db.write(WORKER, "col", approve_match, proposal.proposal_id, is_controller=True)
    with pytest.raises(Conflict, match="is closed"):
        await db.write(WORKER, "col", approve_break, said)
    await check_books(db)
