"""On which terms merchants are paid out: minimum, reserve and its release by the clock, holds; each change by whom."""

import asyncio
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.payout_terms import store as terms_store
from billing.payout_terms.model import (
    NONE_AGREED,
    PPM,
    Conditions,
    Hold,
    PayoutDays,
    Terms,
    TermsState,
    favours,
    reserve_of,
)
from billing.payouts import store as alarms
from billing.runs import store
from billing.runs.model import Payout
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.payouts.set_payout_terms import (
    ProposeTerms,
    approve_terms,
    hold_payouts,
    propose_terms,
    reject_terms,
    release_payouts,
    release_reserves,
)
from marketplace.flows.runs.run_billing import reverse_run
from tests.billing.accounts import add_account
from tests.billing.market import (
    CHECKER,
    JUNE,
    MAKER,
    MAY,
    NET_OF_120,
    billed,
    check_books,
    figures,
    order,
    payable,
    prepare,
    statements,
)
from tests.billing.test_payouts import books, confirm, give_back

MAY_10, JUNE_20 = date(2018, 5, 10), date(2018, 6, 20)
TENTH = Conditions(reserve_ppm=100_000, reserve_days=90)


async def agree(db: Database, conditions: Conditions, merchant_id: int = 1, actor: str = MAKER) -> Terms:
    cmd = ProposeTerms(merchant_id=merchant_id, currency="EUR", conditions=conditions, reason="new")
    return await db.write(WORKER, actor, propose_terms, cmd)


async def market(db: Database, *days: date) -> None:
    """Merchants 1 and 2 with an order of 120.00 on each day, settled, and bank accounts."""
    orders = [order(merchant, 10 * n + merchant, day) for n, day in enumerate(days) for merchant in (1, 2)]
    await db.write(WORKER, MAKER, prepare, orders)
    await settle_through(db, MAKER, JUNE.last_on)
    for merchant in (1, 2):
        await db.write(WORKER, MAKER, add_account, merchant)


async def paid(db: Database, run_id: int) -> dict[int, Payout]:
    async with db.read(WORKER) as tx:
        return {payout.merchant_id: payout for payout in await store.list_payouts(tx, run_id=run_id)}


async def owed(db: Database) -> list[tuple[int, int, str, str | None]]:
    async with db.read(WORKER) as tx:
        return [
            (one.merchant_id, one.owed_minor, one.reasons[0].why, one.held_because)
            for one in await alarms.list_owed(tx, limit=50)
        ]


async def carried(db: Database, merchant_id: int = 1) -> list[tuple[int, str, int | None]]:
    async with db.read(WORKER) as tx:
        found = await terms_store.list_carried(tx, merchant_id, limit=50)
    return [(one.amount_minor, one.why, one.limit_minor) for one in found]


# --- the arithmetic -------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=30), st.integers(0, PPM - 1))
def test_many_payouts_are_kept_as_much_of_as_one(payouts: list[int], ppm: int) -> None:
    base = held = 0
    for minor in payouts:
        kept = reserve_of(base, held, minor, ppm)
        assert 0 <= kept < minor
        base, held = base + minor, held + kept
        assert held <= base * ppm // PPM
    if min(payouts) > 1 and ppm <= PPM // 2:  # with room to keep it
        assert held == sum(payouts) * ppm // PPM


def test_less_kept_back_favours_the_merchant_and_more_does_not() -> None:
    before = Conditions(minimum_minor=100, reserve_ppm=10, reserve_days=10)
    for change in ({"minimum_minor": 99}, {"reserve_ppm": 9}, {"reserve_days": 9}):
        more = Conditions(minimum_minor=200, reserve_ppm=20, reserve_days=20)
        assert favours(before, msgspec.structs.replace(more, **change)) == tuple(change)
    assert favours(before, msgspec.structs.replace(before, days=PayoutDays.DAILY)) == ("days",)
    assert not favours(before, Conditions(minimum_minor=200, reserve_ppm=20, reserve_days=20))


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (Conditions(minimum_minor=-1), "minimum_minor"),
        (Conditions(reserve_ppm=PPM, reserve_days=1), "reserve_ppm"),
        (Conditions(reserve_ppm=1), "reserve_days"),
        (Conditions(reserve_ppm=1, reserve_days=731), "reserve_days"),
        (NONE_AGREED, "these are the terms already"),
    ],
)
async def test_terms_that_cannot_be_are_refused(db: Database, conditions: Conditions, said: str) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    with pytest.raises(Invalid, match=said):
        await agree(db, conditions)


# --- minimum --------------------------------------------------------------------------------------------------------


async def test_below_the_minimum_it_is_carried_over_with_the_reason_and_paid_together_later(db: Database) -> None:
    await market(db, MAY_10, JUNE_20)
    await agree(db, Conditions(minimum_minor=NET_OF_120 + 1))
    may = await billed(db)
    assert set(await paid(db, may.run.run_id)) == {2}
    assert await carried(db) == [(NET_OF_120, "minimum", NET_OF_120 + 1)]
    assert await owed(db) == []  # it is owed, and not due
    june = await billed(db, JUNE)
    assert (await paid(db, june.run.run_id))[1].amount_minor == 2 * NET_OF_120
    assert await carried(db) == [(NET_OF_120, "minimum", NET_OF_120 + 1)]
    await check_books(db)


async def test_exactly_the_minimum_is_paid(db: Database) -> None:
    await market(db, MAY_10)
    await agree(db, Conditions(minimum_minor=NET_OF_120))
    assert set(await paid(db, (await billed(db)).run.run_id)) == {1, 2}
    assert await carried(db) == []


# --- reserve --------------------------------------------------------------------------------------------------------


async def test_a_reserve_is_kept_of_each_payout_and_released_by_the_clock_once(db: Database, clock: FixedClock) -> None:
    clock.move_to(datetime(2018, 6, 1, 12, tzinfo=UTC))
    await market(db, MAY_10)
    await agree(db, TENTH)
    run = (await billed(db)).run
    [own, other] = (await paid(db, run.run_id)).values()
    assert {own.merchant_id: own.amount_minor, other.merchant_id: other.amount_minor} == {1: 9_504, 2: NET_OF_120}
    assert (await books(db, 1))[Account.RESERVE] == -1_056
    assert await payable(db, 1) == {}
    await check_books(db)
    clock.move_to(datetime(2018, 8, 29, 12, tzinfo=UTC))  # ninety days are over on the 30th
    assert await release_reserves(db, "worker") == 0
    clock.move_to(datetime(2018, 8, 30, 12, tzinfo=UTC))
    assert sum(await asyncio.gather(*(release_reserves(db, "worker") for _ in range(4)))) == 1
    assert await release_reserves(db, "worker") == 0
    assert await payable(db, 1) == {"EUR": 1_056}
    assert Account.RESERVE not in await books(db, 1)
    async with db.read(WORKER) as tx:
        [newest, *_] = await ledger.list_entries(tx, 1, limit=1)
        [reserve] = await terms_store.list_reserves(tx, 1, limit=9)
    assert (newest.kind, newest.effective_on) == ("reserve_released", date(2018, 8, 30))
    assert (reserve.held_minor, reserve.state) == (1_056, "released")
    await check_books(db)


async def test_a_statement_shows_what_was_kept_apart_from_what_was_paid(db: Database) -> None:
    await market(db, MAY_10)
    await agree(db, TENTH)
    await billed(db)
    june = await billed(db, JUNE)
    shown = figures((await statements(db, june.run.run_id))[1, "EUR"])
    assert shown == {"opening": NET_OF_120, "other": -1_056, "payout": -9_504}


async def test_what_comes_back_and_is_paid_again_is_kept_of_once(db: Database) -> None:
    await market(db, MAY_10, JUNE_20)
    await agree(db, TENTH)
    may = await billed(db)
    await give_back(db, await confirm(db, (await paid(db, may.run.run_id))[1]))
    june = await billed(db, JUNE)
    again = (await paid(db, june.run.run_id))[1]
    assert again.amount_minor == 9_504 + NET_OF_120 - 1_056
    assert (await books(db, 1))[Account.RESERVE] == -2 * 1_056
    await check_books(db)


@pytest.mark.parametrize("released", [False, True])
async def test_reversing_a_run_gives_back_what_it_kept_and_nothing_twice(
    db: Database, clock: FixedClock, released: bool
) -> None:
    await market(db, MAY_10)
    await agree(db, TENTH)
    run = (await billed(db)).run
    if released:
        clock.move_to(datetime(2018, 9, 30, tzinfo=UTC))
        assert await release_reserves(db, "worker") == 1
    await reverse_run(db, CHECKER, run.run_id)
    assert await payable(db, 1) == {"EUR": NET_OF_120}
    assert Account.RESERVE not in await books(db, 1)
    clock.move_to(datetime(2019, 9, 30, tzinfo=UTC))
    assert await release_reserves(db, "worker") == 0
    await check_books(db)
    again = (await billed(db)).run
    assert (await paid(db, again.run_id))[1].amount_minor == 9_504
    await check_books(db)


# --- holds ----------------------------------------------------------------------------------------------------------


async def test_a_hold_keeps_a_run_from_paying_and_says_why_until_a_second_person_releases_it(db: Database) -> None:
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    await market(db, MAY_10)
    hold = await db.write(WORKER, MAKER, hold_payouts, 1, "suspected fraud")
    with pytest.raises(Conflict, match="held already"):
        await db.write(WORKER, MAKER, hold_payouts, 1, "again")
    may = await billed(db)
    assert set(await paid(db, may.run.run_id)) == {2}
    assert await carried(db) == [(NET_OF_120, "on_hold", None)]
    assert await owed(db) == [(1, NET_OF_120, "balance", "suspected fraud")]
    with pytest.raises(Forbidden, match="made by maker"):
        await db.write(WORKER, MAKER, release_payouts, 1, hold.hold_id, "fine")
    released: Hold = await db.write(WORKER, CHECKER, release_payouts, 1, hold.hold_id, "all clear")
    assert (released.released_by, released.release_reason) == (CHECKER, "all clear")
    with pytest.raises(Conflict, match="checker has released it already"):
        await db.write(WORKER, CHECKER, release_payouts, 1, hold.hold_id, "twice")
    assert await owed(db) == [(1, NET_OF_120, "balance", None)]  # nothing excuses it any more
    june = await billed(db, JUNE)
    assert (await paid(db, june.run.run_id))[1].amount_minor == NET_OF_120
    await check_books(db)


async def test_a_reversed_run_has_carried_nothing_over(db: Database) -> None:
    await market(db, MAY_10)
    await db.write(WORKER, MAKER, hold_payouts, 1, "suspected fraud")
    run = (await billed(db)).run
    await reverse_run(db, CHECKER, run.run_id)
    assert await carried(db) == []


# --- who decides ----------------------------------------------------------------------------------------------------


async def test_terms_that_favour_the_merchant_wait_for_a_second_person(db: Database) -> None:
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    await db.write(WORKER, MAKER, prepare, [])
    strict = await agree(db, TENTH)
    assert (strict.state, strict.approved_by) == (TermsState.ACTIVE, None)
    easy = await agree(db, Conditions(minimum_minor=1))
    assert easy.state is TermsState.PROPOSED
    with pytest.raises(Conflict, match="wait for approval"):
        await agree(db, Conditions())
    with pytest.raises(Forbidden, match="made by maker"):
        await db.write(WORKER, MAKER, approve_terms, 1, easy.terms_id)
    async with db.read(WORKER) as tx:
        assert await terms_store.conditions_of(tx, 1, "EUR") == TENTH
    approved = await db.write(WORKER, CHECKER, approve_terms, 1, easy.terms_id)
    assert (approved.state, approved.approved_by) == (TermsState.ACTIVE, CHECKER)
    async with db.read(WORKER) as tx:
        assert await terms_store.conditions_of(tx, 1, "EUR") == Conditions(minimum_minor=1)
        assert [one.state for one in await terms_store.list_terms(tx, 1, limit=9)] == ["active", "replaced"]
    with pytest.raises(Conflict, match="the terms are active"):
        await db.write(WORKER, CHECKER, reject_terms, 1, easy.terms_id, "late")


async def test_rejected_terms_never_hold(db: Database) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    await agree(db, TENTH)
    easy = await agree(db, NONE_AGREED)
    await db.write(WORKER, CHECKER, reject_terms, 1, easy.terms_id, "not yet")
    async with db.read(WORKER) as tx:
        assert await terms_store.conditions_of(tx, 1, "EUR") == TENTH
    assert (await agree(db, Conditions(minimum_minor=5, reserve_ppm=100_000, reserve_days=90))).state == "active"


async def test_a_hold_that_comes_while_a_run_pays_waits_for_it(db: Database) -> None:
    """Run and hold meet at the merchant's books: either the payout is instructed, or it is carried over as held."""
    await market(db, MAY_10)
    run, _ = await asyncio.gather(billed(db, MAY), db.write(WORKER, MAKER, hold_payouts, 1, "suspected fraud"))
    instructed = 1 in await paid(db, run.run.run_id)
    assert await carried(db) == ([] if instructed else [(NET_OF_120, "on_hold", None)])
    await check_books(db)
