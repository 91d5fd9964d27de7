"""Paying a refund out: told any number of times, in any order; what becomes of one that failed."""

from itertools import permutations

import pytest

from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, NotFound
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey, refund_settled, refund_to_credit, retry_refund
from marketplace.flows.refunds.refund_order import Refunded, RefundLine
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.orders.paid import (
    PAYMENT,
    THROUGH,
    Paid,
    balances,
    commands,
    count,
    entry,
    market,
    of,
    refund,
    says,
    sent,
)


def key(done: Refunded) -> RefundKey:
    return RefundKey(1, done.refund_id)


async def test_a_paid_refund_empties_every_account(db: Database) -> None:
    """Posting E, on paying; and told three times it is booked once."""
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    assert await commands(db) == [(PAYMENT, 12_000)]
    for _ in range(3):
        await says(db, done, ok=True)
    assert await entry(db, "refund_paid") == {2400: 12_000, 1020: -12_000}
    assert (await balances(db), await count(db, "refund_paid")) == ({}, 1)
    await check_books(db)


async def test_a_refund_that_came_back_is_owed_again(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    await says(db, done, ok=True, after=1)
    for _ in range(2):
        await says(db, done, ok=False, after=2)
    assert await entry(db, "refund_returned") == {1020: 12_000, 2400: -12_000}
    assert await balances(db) == {1020: 12_000, 2400: -12_000}
    await check_books(db)


@pytest.mark.parametrize("order", list(permutations([(True, 1), (False, 2), (True, 3)])))
async def test_the_order_in_which_facts_arrive_does_not_matter(db: Database, order: list[tuple[bool, int]]) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    for ok, after in order:
        await says(db, done, ok=ok, after=after)
    assert (await sent(db, done))[-1].state == "paid"
    assert await balances(db) == {}
    await check_books(db)


async def test_what_failed_is_sent_again_and_an_old_failure_does_not_stop_it(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db)
    with pytest.raises(Conflict, match="nothing of this refund has failed"):
        await db.write(WORKER, "ops", retry_refund, key(done))
    await says(db, done, ok=False)
    await db.write(WORKER, "ops", retry_refund, key(done))
    await says(db, done, ok=False, after=-1)
    assert [one.state for one in await sent(db, done)] == ["retried", "due"]
    assert await commands(db) == [(PAYMENT, 12_000)] * 2
    await says(db, done, ok=True, after=1)
    assert (await balances(db), await count(db, "refund_paid")) == ({}, 1)
    await check_books(db)


async def test_what_failed_becomes_credit_once(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db, RefundLine(1, 5_000))
    await says(db, done, ok=False)
    await db.write(WORKER, "ops", refund_to_credit, key(done))
    for again in (refund_to_credit, retry_refund, cancel_refund):
        with pytest.raises(Conflict):
            await db.write(WORKER, "ops", again, key(done))
    assert await entry(db, "refund_credited", -1) == {1030: 5_000, 2410: -5_000}
    await check_books(db)
    await says(db, done, ok=True, after=5)  # and yet the processor paid it: nobody is owed it, a person has to look
    assert await entry(db, "refund_paid") == {2900: 5_000, 1020: -5_000}
    await check_books(db)
    await says(db, done, ok=False, after=6)
    assert [one.state for one in await sent(db, done)] == ["credited"]
    assert 2900 not in await balances(db)
    await check_books(db)


async def test_a_refund_that_failed_is_taken_back_and_can_be_made_anew(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    before = await balances(db)
    done = await refund(db, RefundLine(1, 4_000))
    with pytest.raises(Conflict, match="on its way"):
        await db.write(WORKER, "ops", cancel_refund, key(done))
    await says(db, done, ok=False)
    await db.write(WORKER, "ops", cancel_refund, key(done))
    assert await entry(db, "refund_cancelled") == {2000: -3_520, 4000: -400, 2300: -80, 2400: 4_000}
    assert await balances(db) == before
    await check_books(db)
    with pytest.raises(Conflict, match="cancelled already"):
        await db.write(WORKER, "ops", cancel_refund, key(done))
    again = await refund(db)
    assert (again.gross_minor, again.commission_minor, again.vat_minor) == (12_000, 1_200, 240)
    await says(db, again, ok=True)
    assert await balances(db) == {}
    await check_books(db)


async def test_a_refund_from_before_settlement_is_not_taken_back_after_it(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db, RefundLine(1, 4_000))
    await says(db, done, ok=False)
    await settle_through(db, "test", THROUGH)
    with pytest.raises(Conflict, match="settled since"):
        await db.write(WORKER, "ops", cancel_refund, key(done))
    await db.write(WORKER, "ops", refund_to_credit, key(done))
    await check_books(db)


async def test_taken_back_before_settlement_the_order_waits_for_it_whole_again(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db, RefundLine(1, 4_000))
    await says(db, done, ok=False)
    await db.write(WORKER, "ops", cancel_refund, key(done))
    await check_books(db)
    await settle_through(db, "test", THROUGH)
    assert await entry(db, "order_settled") == {2005: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}
    await check_books(db)


async def test_a_refund_nobody_has_made_is_not_settled(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    with pytest.raises(NotFound, match="no refund 7"):
        await db.write(WORKER, "test", refund_settled, 1, 7, PAYMENT, ok=True, at=NOW)
