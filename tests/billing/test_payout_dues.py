"""Payouts on days of the merchants' own: due when the terms say, of what is left then, once, and by request."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.payout_terms.dues import store as dues
from billing.payout_terms.model import DAYS, Conditions, Due, PayoutDays, due_on, favours
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.payouts.pay_due import PayDue, pay_due, pay_now
from marketplace.flows.payouts.set_payout_terms import approve_terms, hold_payouts, release_payouts
from marketplace.flows.runs.run_billing import reverse_run
from tests.billing.market import (
    CHECKER,
    JUNE,
    MAKER,
    NET_OF_120,
    billed,
    check_books,
    goodwill,
    payable,
    payouts,
    statements,
)
from tests.billing.test_payout_terms import agree, carried, market, owed, paid
from tests.billing.test_payouts import books

MAY_10, JUNE_5, JUNE_20 = date(2018, 5, 10), date(2018, 6, 5), date(2018, 6, 20)
WEEKLY = Conditions(days=PayoutDays.WEEKLY, weekday=3)  # the first Wednesday after May is 6 June
MANUAL = Conditions(days=PayoutDays.MANUAL)


async def agreed(db: Database, conditions: Conditions, merchant_id: int = 1) -> None:
    terms = await agree(db, conditions, merchant_id)
    if terms.state == "proposed":
        await db.write(WORKER, CHECKER, approve_terms, merchant_id, terms.terms_id)


async def left(db: Database, merchant_id: int = 1) -> list[Due]:
    async with db.read(WORKER) as tx:
        return list(reversed(await dues.list_dues(tx, merchant_id, limit=50)))


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


# --- the calendar --------------------------------------------------------------------------------------------------


@given(st.dates(date(2016, 1, 1), date(2030, 12, 31)), st.sampled_from(DAYS))
def test_a_due_day_is_the_first_of_its_kind(day: date, of: tuple[PayoutDays, int | None]) -> None:
    days, weekday = of
    found = due_on(days, weekday, day)
    if days is PayoutDays.MANUAL:
        assert found is None
        return
    begins = {PayoutDays.TEN_DAYS: {1, 11, 21}, PayoutDays.MONTHLY: {1}}

    def fits(on: date) -> bool:
        return on.isoweekday() == weekday if days is PayoutDays.WEEKLY else on.day in begins.get(days, range(1, 32))

    assert found == next(on for n in range(32) if fits(on := day + timedelta(days=n)))


def test_days_of_its_own_favour_a_merchant_and_want_a_second_person_but_for_payouts_on_request() -> None:
    assert favours(Conditions(), WEEKLY)
    assert favours(WEEKLY, Conditions(days=PayoutDays.WEEKLY, weekday=4))
    assert not favours(WEEKLY, MANUAL)
    for wrong in (
        Conditions(days=PayoutDays.WEEKLY),
        Conditions(weekday=1),
        Conditions(days=PayoutDays.DAILY, weekday=1),
    ):
        with pytest.raises(Invalid, match="weekday"):
            wrong.check()


# --- what a run leaves, and its day --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "too_early", "on_time"),
    [
        ("UTC", datetime(2018, 6, 5, 23, 59, tzinfo=UTC), datetime(2018, 6, 6, tzinfo=UTC)),
        ("America/Sao_Paulo", datetime(2018, 6, 6, 2, 59, tzinfo=UTC), datetime(2018, 6, 6, 3, tzinfo=UTC)),
    ],
)
async def test_what_a_run_owes_is_paid_on_its_day_where_the_entity_is(
    db: Database, clock: FixedClock, zone: str, too_early: datetime, on_time: datetime
) -> None:
    await market(db, MAY_10)
    await db.write(WORKER, "test", Tx.execute, f"UPDATE billing.entity SET zone = '{zone}'")
    await agreed(db, WEEKLY)
    clock.move_to(noon(date(2018, 6, 3)))
    run_id = (await billed(db)).run.run_id
    assert await payouts(db, run_id) == {(2, "EUR"): NET_OF_120}  # without terms, with the run
    assert [(due.due_on, due.state) for due in await left(db)] == [(date(2018, 6, 6), "waiting")]
    assert (await carried(db), await owed(db)) == ([], [])
    clock.move_to(too_early)
    assert await pay_due(db, "worker") == 0
    clock.move_to(on_time)
    assert sorted(await asyncio.gather(*(pay_due(db, f"worker {n}") for n in range(3)))) == [0, 0, 1]
    payout = (await paid(db, run_id))[1]
    assert (payout.amount_minor, payout.instructed_on, payout.held) == (NET_OF_120, date(2018, 6, 6), None)
    assert [(due.state, due.payout_id) for due in await left(db)] == [("paid", payout.payout_id)]
    assert (await payable(db, 1), await owed(db)) == ({}, [])
    await check_books(db)


async def test_a_day_that_passed_without_a_payout_is_alarmed_about(db: Database, clock: FixedClock) -> None:
    await market(db, MAY_10)
    await agreed(db, WEEKLY)
    await agreed(db, MANUAL, 2)
    clock.move_to(noon(date(2018, 6, 3)))
    await billed(db)
    assert await owed(db) == []
    clock.move_to(noon(date(2018, 6, 6)))
    assert await owed(db) == []
    clock.move_to(noon(date(2018, 6, 7)))
    assert await owed(db) == [(1, NET_OF_120, "balance", None)]
    hold = await db.write(WORKER, MAKER, hold_payouts, 2, "a complaint")
    assert await owed(db) == [(1, NET_OF_120, "balance", None), (2, NET_OF_120, "balance", "a complaint")]
    await db.write(WORKER, CHECKER, release_payouts, 2, hold.hold_id, "settled")
    await pay_due(db, "worker")
    assert await owed(db) == []


async def test_on_its_day_minimum_reserve_holds_and_refunds_since_count(db: Database, clock: FixedClock) -> None:
    await market(db, MAY_10)
    await agreed(db, Conditions(days=PayoutDays.WEEKLY, weekday=3, reserve_ppm=100_000, reserve_days=30))
    await agreed(db, Conditions(days=PayoutDays.WEEKLY, weekday=3, minimum_minor=10_000), 2)
    clock.move_to(noon(date(2018, 6, 3)))
    run_id = (await billed(db)).run.run_id
    hold = await db.write(WORKER, MAKER, hold_payouts, 1, "a complaint")
    await db.write(WORKER, "test", ledger.post, [goodwill(1, 1, JUNE_5, -560), goodwill(2, 2, JUNE_5, -1_000)])
    clock.move_to(noon(date(2018, 6, 6)))
    assert await pay_due(db, "worker") == 0
    assert [due.state for due in await left(db)] == ["waiting"]
    assert [due.state for due in await left(db, 2)] == ["nothing"]
    assert await carried(db, 2) == [(NET_OF_120 - 1_000, "minimum", 10_000)]
    clock.move_to(noon(date(2018, 6, 8)))
    await db.write(WORKER, CHECKER, release_payouts, 1, hold.hold_id, "settled")
    assert await pay_due(db, "worker") == 1
    assert await payouts(db, run_id) == {(1, "EUR"): 9_000}
    assert (await books(db, 1))[Account.RESERVE] == -1_000
    await check_books(db)


async def test_a_later_run_has_what_an_earlier_one_left_and_keeps_its_day(db: Database, clock: FixedClock) -> None:
    await market(db, MAY_10, JUNE_20)
    await agreed(db, MANUAL)
    first = (await billed(db)).run.run_id
    await agreed(db, Conditions(days=PayoutDays.MONTHLY))
    second = (await billed(db, JUNE)).run.run_id
    assert [(due.run_id, due.state) for due in await left(db)] == [(first, "replaced"), (second, "waiting")]
    await reverse_run(db, CHECKER, second)
    assert [(due.run_id, due.state) for due in await left(db)] == [(first, "waiting"), (second, "cancelled")]
    again = (await billed(db, JUNE)).run.run_id
    assert await pay_due(db, "worker") == 1
    assert await payouts(db, again) == {(1, "EUR"): 2 * NET_OF_120, (2, "EUR"): NET_OF_120}
    assert (await statements(db, again))[1, "EUR"].closing_minor == 2 * NET_OF_120
    with pytest.raises(Conflict, match="is paid"):
        await db.write(WORKER, MAKER, pay_now, PayDue(merchant_id=1, run_id=again, currency="EUR"))
    await check_books(db)


async def test_a_payout_on_request_waits_for_it_and_goes_back_with_its_run(db: Database) -> None:
    await market(db, MAY_10)
    await agreed(db, MANUAL)
    run_id = (await billed(db)).run.run_id
    assert await pay_due(db, "worker") == 0
    cmd = PayDue(merchant_id=1, run_id=run_id, currency="EUR")
    hold = await db.write(WORKER, MAKER, hold_payouts, 1, "a complaint")
    with pytest.raises(Conflict, match="are held: a complaint"):
        await db.write(WORKER, MAKER, pay_now, cmd)
    await db.write(WORKER, CHECKER, release_payouts, 1, hold.hold_id, "settled")
    assert (await db.write(WORKER, MAKER, pay_now, cmd)).state == "paid"
    assert (await payouts(db, run_id))[1, "EUR"] == NET_OF_120
    await check_books(db)
    await reverse_run(db, CHECKER, run_id)
    assert await payable(db, 1) == {"EUR": NET_OF_120}
    assert [due.state for due in await left(db)] == ["cancelled"]
    with pytest.raises(Conflict, match="is reversed"):
        await db.write(WORKER, MAKER, pay_now, cmd)
    await check_books(db)
