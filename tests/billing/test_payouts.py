"""Payouts after their instruction (posting K): confirmed by the bank, returned days later, held, and alarmed about."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from billing.bank_accounts.model import COOL_DOWN
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.payouts import store as alarms
from billing.payouts.store import age_class
from billing.runs import store
from billing.runs.model import Payout
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.payouts.pay_merchants import (
    ConfirmPayout,
    ReturnPayout,
    activate_bank_accounts,
    confirm_payout,
    return_payout,
)
from marketplace.flows.runs.run_billing import reverse_run
from tests.billing.accounts import OTHER_IBAN, activated, add_account, cooling
from tests.billing.locks import wait_until_blocked
from tests.billing.market import (
    CHECKER,
    JULY,
    JUNE,
    MAKER,
    MAY,
    NET_OF_120,
    billed,
    check_books,
    figures,
    goodwill,
    order,
    payable,
    prepare,
    settled_market,
    statements,
)
from tests.builders import HOUSE

MAY_10, JUNE_2, JUNE_5, JUNE_20 = date(2018, 5, 10), date(2018, 6, 2), date(2018, 6, 5), date(2018, 6, 20)


async def instructed(db: Database, merchants: tuple[int, ...] = (1,), *, with_account: bool = True) -> list[Payout]:
    """Merchants with an order of 120.00 each and the payout of May instructed."""
    orders = [order(merchant, merchant, MAY_10) for merchant in merchants]
    await db.write(WORKER, MAKER, prepare, orders, merchants)
    await settle_through(db, MAKER, MAY.last_on)
    for merchant in merchants if with_account else ():
        await db.write(WORKER, MAKER, add_account, merchant)
    run_id = (await billed(db)).run.run_id
    async with db.read(WORKER) as tx:
        return sorted(await store.list_payouts(tx, run_id=run_id, limit=200), key=lambda payout: payout.merchant_id)


async def confirm(db: Database, payout: Payout, on: date = JUNE_2, ref: str = "B-1") -> Payout:
    cmd = ConfirmPayout(merchant_id=payout.merchant_id, payout_id=payout.payout_id, bank_ref=ref, on=on)
    return await db.write(WORKER, "bank", confirm_payout, cmd)


async def give_back(
    db: Database, payout: Payout, on: date = JUNE_5, ref: str | None = "B-2", reason: str = "account closed"
) -> Payout:
    key = {"merchant_id": payout.merchant_id, "payout_id": payout.payout_id}
    return await db.write(WORKER, "bank", return_payout, ReturnPayout(**key, on=on, reason=reason, bank_ref=ref))


async def books(db: Database, merchant_id: int) -> dict[int, int]:
    """Accounts that do not stand at zero; a control account is given over all its batches."""
    async with db.read(WORKER) as tx:
        found: dict[int, int] = {}
        for line in await ledger.balances(tx, merchant_id):
            found[line.account] = found.get(line.account, 0) + line.balance_minor
    return {account: minor for account, minor in found.items() if minor}


async def entries(db: Database, merchant_id: int) -> int:
    async with db.read(WORKER) as tx:
        return int(
            await tx.scalar("SELECT last_entry_no FROM billing.ledger_head WHERE merchant_id = :m", m=merchant_id)
        )


# --- posting K, to the cent -----------------------------------------------------------------------------------------


async def test_a_confirmed_payout_leaves_transit_for_the_bank_and_the_control_account_at_zero(db: Database) -> None:
    [payout] = await instructed(db)
    assert (payout.amount_minor, payout.bank_account_id, payout.held) == (NET_OF_120, 101, None)
    assert {2000, 2020} & set(await books(db, 1)) == {2020}
    confirmed = await confirm(db, payout)
    assert (confirmed.state, confirmed.bank_ref, confirmed.confirmed_on) == ("confirmed", "B-1", JUNE_2)
    own, house = await books(db, 1), await books(db, HOUSE)
    assert not {2000, 2020} & set(own)
    assert (own[Account.CONTROL], house) == (-NET_OF_120, {Account.BANK: -NET_OF_120, Account.CONTROL: NET_OF_120})
    await check_books(db)


async def test_a_payout_that_comes_back_is_owed_again_and_paid_by_the_next_run(db: Database) -> None:
    [payout] = await instructed(db)
    returned = await give_back(db, await confirm(db, payout))
    assert (returned.state, returned.return_ref, returned.return_reason) == ("returned", "B-2", "account closed")
    assert await payable(db, 1) == {"EUR": NET_OF_120}
    assert set(await books(db, HOUSE)) == set()  # the bank has what it had, and every batch is even
    assert set(await books(db, 1)) == {1020, 2000, 2300, 4000}
    await check_books(db)
    june = await billed(db, JUNE)
    async with db.read(WORKER) as tx:
        [again] = await store.list_payouts(tx, run_id=june.run.run_id)
    assert (again.amount_minor, again.state) == (NET_OF_120, "instructed")
    statement = (await statements(db, june.run.run_id))[1, "EUR"]
    assert figures(statement) == {"opening": NET_OF_120, "closing": NET_OF_120}  # paid and come back within June
    assert statement.payout_minor == 0
    await confirm(db, again, on=date(2018, 7, 2), ref="B-3")
    assert await payable(db, 1) == {}
    await check_books(db)


async def test_a_payout_that_never_left_is_owed_again_without_a_bank_line(db: Database) -> None:
    [payout] = await instructed(db)
    await give_back(db, payout, ref=None, reason="refused by the bank")
    assert await payable(db, 1) == {"EUR": NET_OF_120}
    assert 2020 not in await books(db, 1)
    assert await entries(db, HOUSE) == 0
    await check_books(db)


async def test_a_return_after_the_period_closed_counts_on_its_first_open_day(db: Database) -> None:
    [payout] = await instructed(db)
    await confirm(db, payout)
    june = await billed(db, JUNE)
    await give_back(db, payout, on=JUNE_20)
    async with db.read(WORKER) as tx:
        [entry, *_] = await ledger.list_entries(tx, 1, limit=1)
        [house, *_] = await ledger.list_entries(tx, HOUSE, limit=1)
    assert [(e.kind, e.effective_on, e.prior_period) for e in (entry, house)] == [
        ("payout_returned", JUNE.to_on, True)
    ] * 2
    assert (await statements(db, june.run.run_id))[1, "EUR"].closing_minor == 0
    assert await payable(db, 1) == {"EUR": NET_OF_120}
    await check_books(db)


# --- once, and in one order -----------------------------------------------------------------------------------------


async def test_the_same_word_of_the_bank_twice_is_booked_once(db: Database) -> None:
    [payout] = await instructed(db)
    first = await confirm(db, payout)
    before = await entries(db, 1), await entries(db, HOUSE)
    assert await confirm(db, payout) == first
    assert (await entries(db, 1), await entries(db, HOUSE)) == before
    with pytest.raises(Conflict, match="confirmed it on 2018-06-02 as 'B-1'"):
        await confirm(db, payout, ref="B-9")
    back = await give_back(db, payout)
    before = await entries(db, 1), await entries(db, HOUSE)
    assert await give_back(db, payout) == back
    assert (await entries(db, 1), await entries(db, HOUSE)) == before
    with pytest.raises(Conflict, match="is returned: it cannot be returned"):
        await give_back(db, payout, reason="another")
    with pytest.raises(Conflict, match="is returned: it cannot be confirmed"):
        await confirm(db, payout)
    await check_books(db)


async def test_every_sequence_of_words_of_the_bank_leaves_what_the_model_says(db: Database) -> None:
    """Exhaustive: three words, each of four, from every state; a merchant for each sequence."""
    words: dict[str, Callable[[Payout], Awaitable[Payout]]] = {
        "paid": lambda payout: confirm(db, payout),
        "paid otherwise": lambda payout: confirm(db, payout, ref="B-9"),
        "back": lambda payout: give_back(db, payout),
        "back otherwise": lambda payout: give_back(db, payout, reason="other"),
    }
    sequences = list(product(words, repeat=3))
    payouts = await instructed(db, tuple(range(1, len(sequences) + 1)))
    for sequence, payout in zip(sequences, payouts, strict=True):
        state, said = "instructed", {"paid": "", "back": ""}
        for word in sequence:
            kind = word.partition(" ")[0]
            repeated = said[kind] == word and state == {"paid": "confirmed", "back": "returned"}[kind]
            allowed = repeated or state == "instructed" or (state == "confirmed" and kind == "back")
            try:
                await words[word](payout)
                done = True
            except Conflict:
                done = False
            assert done is allowed, (sequence, word, state)
            if allowed and not repeated:
                state, said[kind] = {"paid": "confirmed", "back": "returned"}[kind], word
        async with db.read(WORKER) as tx:
            assert (await store.get_payout(tx, payout.merchant_id, payout.payout_id)).state == state
        owed = NET_OF_120 if state == "returned" else 0
        assert await payable(db, payout.merchant_id) == ({"EUR": owed} if owed else {})
    await check_books(db)


async def test_of_two_words_at_once_the_second_sees_what_the_first_did(db: Database) -> None:
    [payout] = await instructed(db)
    done = await asyncio.gather(*(confirm(db, payout) for _ in range(6)))
    assert {one.state for one in done} == {"confirmed"}
    both = await asyncio.gather(
        *(give_back(db, payout, reason=f"reason {n}") for n in range(6)), return_exceptions=True
    )
    assert len([one for one in both if isinstance(one, Payout)]) == 1
    assert {type(one) for one in both} == {Payout, Conflict}
    await check_books(db)


@pytest.mark.parametrize("on", [date(2018, 5, 31), date(2018, 9, 4)])
async def test_a_day_before_the_instruction_or_in_the_future_is_refused(db: Database, on: date) -> None:
    [payout] = await instructed(db)
    for deed in (confirm(db, payout, on=on), give_back(db, payout, on=on)):
        with pytest.raises(Invalid, match=r"on: .* is not between 2018-06-01 and today, 2018-09-03"):
            await deed
    await confirm(db, payout)
    with pytest.raises(Invalid, match="not between 2018-06-02"):
        await give_back(db, payout, on=date(2018, 6, 1))
    with pytest.raises(Invalid, match="bank_ref"):
        await give_back(db, payout, ref=None)


# --- held, and the run's reversal -----------------------------------------------------------------------------------


async def test_without_a_bank_account_a_payout_is_held_and_can_be_taken_back(db: Database) -> None:
    [payout] = await instructed(db, with_account=False)
    assert (payout.state, payout.bank_account_id, payout.held) == ("instructed", None, "no bank account")
    with pytest.raises(Conflict, match="is held: no bank account"):
        await confirm(db, payout)
    await give_back(db, payout, ref=None, reason="no bank account")
    await db.write(WORKER, MAKER, add_account, 1)
    june = await billed(db, JUNE)
    async with db.read(WORKER) as tx:
        [again] = await store.list_payouts(tx, run_id=june.run.run_id)
    assert (again.bank_account_id, again.held) == (101, None)
    await check_books(db)


async def test_a_change_that_cools_down_gets_nothing_and_a_run_makes_active_what_is_due(
    db: Database, clock: FixedClock
) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(1, 2, JUNE_2)], through=JUNE.last_on)
    old = await activated(db, clock)
    new = await cooling(db, number=OTHER_IBAN)
    clock.move_to(clock.now() + COOL_DOWN - timedelta(seconds=1))
    assert await activate_bank_accounts(db, "worker") == 0
    may = await billed(db)
    clock.move_to(clock.now() + timedelta(seconds=1))
    june = await billed(db, JUNE)  # no worker has been at work: finalising itself looks at the clock
    async with db.read(WORKER) as tx:
        named = [
            (await store.list_payouts(tx, run_id=run_id))[0].bank_account_id
            for run_id in (may.run.run_id, june.run.run_id)
        ]
    assert named == [old.account_id, new.account_id]


async def test_a_run_is_not_reversed_once_a_payout_left_and_no_payout_leaves_while_it_is(db: Database) -> None:
    payout, other = await instructed(db, (1, 2))
    confirmed, release = asyncio.Event(), asyncio.Event()

    async def confirm_and_hold(tx: Tx) -> Payout:
        cmd = ConfirmPayout(merchant_id=1, payout_id=payout.payout_id, bank_ref="B-1", on=JUNE_2)
        done = await confirm_payout(tx, cmd)
        confirmed.set()
        await release.wait()
        return done

    confirming = asyncio.create_task(db.write(WORKER, "bank", confirm_and_hold))
    await asyncio.wait_for(confirmed.wait(), 10)
    reversing = asyncio.create_task(reverse_run(db, CHECKER, payout.run_id))
    await wait_until_blocked(db)
    release.set()
    await confirming
    with pytest.raises(Conflict, match="1 of its payouts have been confirmed"):
        await reversing
    await confirm(db, other)
    await check_books(db)


async def test_a_payout_of_a_reversed_run_cannot_be_confirmed(db: Database) -> None:
    [payout] = await instructed(db)
    await reverse_run(db, CHECKER, payout.run_id)
    with pytest.raises(Conflict, match="is reversed"):
        await confirm(db, payout)


# --- alarms ---------------------------------------------------------------------------------------------------------


async def owed(db: Database) -> list[tuple[int, int, str]]:
    """Who is owed money, all of it, and why first."""
    async with db.read(WORKER) as tx:
        rows = await alarms.list_owed(tx, limit=50)
    for one in rows:
        assert sum(reason.amount_minor for reason in one.reasons) == one.owed_minor
    return [(one.merchant_id, one.owed_minor, one.reasons[0].why) for one in rows]


async def test_owed_and_no_payout_is_alarmed_about(db: Database) -> None:
    _, back, held, lost, paid = await instructed(db, (1, 2, 3, 4, 5))
    assert await owed(db) == []
    await confirm(db, paid)
    await give_back(db, await confirm(db, back))
    async with db.engine.begin() as owner:  # what no flow does: one without an account, one that was never made
        where = "WHERE merchant_id ="
        await owner.exec_driver_sql(f"UPDATE billing.payout SET bank_account_id = NULL {where} {held.merchant_id}")
        for table in ("payout_item", "payout"):
            await owner.exec_driver_sql(f"DELETE FROM billing.{table} {where} {lost.merchant_id}")
    await db.write(WORKER, "test", ledger.post, [goodwill(lost.merchant_id, 1, JUNE_5, 4_000)])
    assert await owed(db) == [(2, NET_OF_120, "returned"), (3, NET_OF_120, "held"), (4, 4_000, "balance")]
    await roll_ledger(db, "test")
    assert await owed(db) == [(2, NET_OF_120, "returned"), (3, NET_OF_120, "held"), (4, 4_000, "balance")]
    async with db.read(WORKER) as tx:
        [first] = await alarms.list_owed(tx, limit=1)
        rest = await alarms.list_owed(tx, limit=9, after=(first.merchant_id, first.currency))
    assert (first.merchant_id, [one.merchant_id for one in rest]) == (2, [3, 4])


async def test_what_came_back_is_owed_beside_what_is_held_and_every_payout_is_named(db: Database) -> None:
    """Returning a payout changes nothing in what the merchant is owed: accounts 2000 and 2020 together."""
    days = (MAY_10, JUNE_2, date(2018, 7, 3))
    await settled_market(db, [order(1, no, day) for no, day in enumerate(days, start=1)], through=date(2018, 7, 31))
    held: list[Payout] = []
    for period in (MAY, JUNE, JULY):
        run = await billed(db, period)
        async with db.read(WORKER) as tx:
            held += await store.list_payouts(tx, run_id=run.run.run_id)
    assert await owed(db) == [(1, 3 * NET_OF_120, "held")]
    for back in (held[0], held[2]):
        await give_back(db, back, ref=None, on=date(2018, 8, 2))
        assert await owed(db) == [(1, 3 * NET_OF_120, "held")]
    await db.write(WORKER, "test", ledger.post, [goodwill(1, 1, date(2018, 8, 3), 500)])
    async with db.read(WORKER) as tx:
        [one] = await alarms.list_owed(tx, limit=9)
        balances = {found.account: found.balance_minor for found in await ledger.balances(tx, 1)}
    assert one.owed_minor == -balances[2000] - balances[2020] == 3 * NET_OF_120 + 500
    assert [(reason.why, reason.amount_minor, reason.payout_ids) for reason in one.reasons] == [
        ("held", NET_OF_120, [held[1].payout_id]),
        ("returned", 2 * NET_OF_120, [held[0].payout_id, held[2].payout_id]),
        ("balance", 500, []),
    ]


async def test_negative_balances_are_aged_from_the_day_they_turned(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    moves = [
        goodwill(1, 1, date(2018, 5, 1), -100),  # below zero, back above it, and below again on the 1st of July
        goodwill(1, 2, date(2018, 6, 1), 300),
        goodwill(1, 3, date(2018, 7, 1), -500),
        goodwill(2, 4, date(2018, 5, 1), -100),
        goodwill(3, 5, date(2018, 5, 1), 100),
    ]
    await db.write(WORKER, "test", ledger.post, moves[:2])
    await roll_ledger(db, "test")  # some of it rolled up, some not
    await db.write(WORKER, "test", ledger.post, moves[2:])
    clock.move_to(datetime(2018, 7, 31, 12, tzinfo=UTC))
    async with db.read(WORKER) as tx:
        found = await alarms.list_negative(tx, limit=50)
        [second] = await alarms.list_negative(tx, limit=50, after=(1, "EUR"))
    assert [(n.merchant_id, n.balance_minor, n.since_on, n.age_days, n.age_class) for n in found] == [
        (1, -300, date(2018, 7, 1), 30, "0-30"),
        (2, -100, date(2018, 5, 1), 91, "over 90"),
    ]
    assert second == found[1]


def test_ages_fall_into_classes_without_gap() -> None:
    assert [age_class(days) for days in (0, 30, 31, 60, 61, 90, 91)] == [
        "0-30", "0-30", "31-60", "31-60", "61-90", "61-90", "over 90",
    ]  # fmt: skip
