"""Disputes: posting M to the cent, in any order of facts, and never the same money twice."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.payments.facts import DisputeFact, DisputeState, payment_reference
from demand.refunds.store import Dispute, get_dispute
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.refunds.dispute_order import EVIDENCE_DAYS, Evidence, dispute_changed, divide, give_evidence
from marketplace.flows.refunds.pay_refund import RefundKey, retry_refund
from marketplace.flows.refunds.refund_order import RefundLine
from tests.billing.market import check_books
from tests.builders import PROCESSOR, Line
from tests.conftest import NOW
from tests.orders.paid import BUYER, PAYMENT, Paid, balances, count, entry, market, of, refund, says, sent
from tests.orders.test_refund_postings import under

OPENED, WON, LOST = DisputeState.OPENED, DisputeState.WON, DisputeState.LOST


def said(
    state: DisputeState,
    amount: int,
    fee: int = 0,
    *,
    name: str = "d1",
    payment_id: int = PAYMENT,
    currency: str = "EUR",
) -> DisputeFact:
    return DisputeFact(
        dispute_ref=name,
        reference=payment_reference(BUYER, payment_id),
        state=state,
        amount_minor=amount,
        fee_minor=fee,
        currency=currency,
        occurred_at=NOW,
    )


async def fact(
    db: Database, state: DisputeState, amount: int = 12_000, fee: int = 1_500, name: str = "d1"
) -> list[Dispute]:
    return await db.write(WORKER, "processor", dispute_changed, PROCESSOR, said(state, amount, fee, name=name))


async def test_a_dispute_is_opened_and_won(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await fact(db, OPENED)
    assert await entry(db, "dispute_opened") == {1120: 12_000, 5100: 1_500, 1020: -13_500}
    await check_books(db)
    await fact(db, WON)
    assert await entry(db, "dispute_won") == {1020: 12_000, 1120: -12_000}
    assert await balances(db) == {1020: 10_500, 2005: -12_000, 5100: 1_500}
    await check_books(db)


async def test_lost_with_recourse_after_settlement(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await fact(db, OPENED)
    [lost] = await fact(db, LOST)
    assert await entry(db, "dispute_lost") == {2000: 10_560, 4000: 1_200, 2300: 240, 1120: -12_000}
    assert (lost.recourse, lost.excess_minor, lost.state) == (True, 0, "lost")
    assert await balances(db) == {1020: -1_500, 5100: 1_500}
    await check_books(db)
    with pytest.raises(Conflict):
        await refund(db)


async def test_lost_in_part_before_settlement(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await fact(db, OPENED, 5_000, 0)
    await fact(db, LOST, 5_000, 0)
    assert await entry(db, "dispute_lost") == {2005: 5_000, 1120: -5_000}
    await check_books(db)


async def test_lost_before_settlement_takes_the_order_along(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, delivered=False)))
    await fact(db, OPENED)
    await fact(db, LOST)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM demand.merchant_order") == "cancelled"
    await check_books(db)


async def test_lost_without_recourse_is_the_platforms_loss(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await under(db, lost="platform")
    [lost] = await fact(db, LOST)
    assert not lost.recourse
    assert await entry(db, "dispute_lost") == {5200: 12_000, 1120: -12_000}
    assert (await balances(db))[2000] == -10_560
    await check_books(db)


@pytest.mark.parametrize("last", [WON, LOST])
async def test_facts_may_come_in_any_order_and_any_number_of_times(db: Database, last: DisputeState) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    for one in (last, OPENED, last, OPENED, last):
        await fact(db, one)
    assert [await count(db, kind) for kind in ("dispute_opened", f"dispute_{last}")] == [1, 1]
    await check_books(db)
    with pytest.raises(Conflict, match="now said to be"):
        await fact(db, WON if last is LOST else LOST)


async def test_a_payment_over_two_merchants_is_disputed_in_parts(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), Paid(order=of(2, 2, Line(goods_minor=6_000))), settled=True)
    await refund(db, RefundLine(1, 9_000))
    shares = await fact(db, OPENED, 6_001, 100)
    assert [(one.merchant_id, one.amount_minor, one.fee_minor) for one in shares] == [(1, 2_000, 33), (2, 4_001, 67)]
    await fact(db, LOST, 6_001, 100)
    await check_books(db)


@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(1, 10**5), st.integers(0, 10**5)), min_size=1, max_size=6),
)
def test_a_disputed_amount_is_divided_without_loss(amount: int, parts: list[tuple[int, int]]) -> None:
    shares = divide(amount, parts)
    assert sum(shares) == amount
    if amount <= sum(room for _, room in parts):
        assert all(share <= room for share, (_, room) in zip(shares, parts, strict=True))


async def test_dispute_then_refund_is_refused_until_it_is_won(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await fact(db, OPENED, 10_000, 0)
    with pytest.raises(Conflict, match=r"12000 is more than 2000, .* captured 12000, refunded 0, disputed 10000"):
        await refund(db)
    assert (await refund(db, RefundLine(1, 2_000))).gross_minor == 2_000
    await fact(db, WON, 10_000, 0)
    assert (await refund(db)).gross_minor == 10_000
    await check_books(db)


async def test_a_paid_refund_and_then_a_dispute_cost_the_merchant_once(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    done = await refund(db)
    await says(db, done, ok=True)
    [opened] = await fact(db, OPENED, 12_000, 0)
    assert opened.excess_minor == 12_000
    await fact(db, LOST, 12_000, 0)
    assert await entry(db, "dispute_lost") == {5200: 12_000, 1120: -12_000}
    assert await balances(db) == {1020: -12_000, 5200: 12_000}
    await check_books(db)


@pytest.mark.parametrize("fails_first", [True, False])
async def test_a_lost_dispute_pays_a_refund_that_failed(db: Database, fails_first: bool) -> None:
    """The buyer has the money from its bank: it is owed nothing any more, and the platform has lost nothing."""
    await market(db, Paid(order=of(1, 1)), settled=True)
    done = await refund(db, RefundLine(1, 5_000))
    if fails_first:
        await says(db, done, ok=False)
    await fact(db, OPENED, 10_000, 0)
    if fails_first:
        with pytest.raises(Conflict, match="a dispute holds the same money"):
            await db.write(WORKER, "ops", retry_refund, RefundKey(1, done.refund_id))
    await fact(db, LOST, 10_000, 0)
    if not fails_first:
        await says(db, done, ok=False)
    assert await entry(db, "refund_covered") == {2400: 3_000, 5200: -3_000}
    await check_books(db)
    await db.write(WORKER, "ops", retry_refund, RefundKey(1, done.refund_id))
    assert [(one.state, one.amount_minor) for one in await sent(db, done)] == [("retried", 5_000), ("due", 2_000)]
    await says(db, done, ok=True, after=1)
    assert await balances(db) == {}
    await check_books(db)


async def test_facts_that_fit_nothing_are_refused(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    with pytest.raises(NotFound, match="payment 7"):
        await db.write(WORKER, "processor", dispute_changed, PROCESSOR, said(OPENED, 1, payment_id=7))
    with pytest.raises(Invalid, match="currency"):
        await db.write(WORKER, "processor", dispute_changed, PROCESSOR, said(OPENED, 1, currency="USD"))
    with pytest.raises(Invalid, match="not this processor's"):
        await db.write(WORKER, "processor", dispute_changed, PROCESSOR + 1, said(OPENED, 1))


async def test_evidence_is_taken_until_it_is_due(db: Database, clock: FixedClock) -> None:
    await market(db, Paid(order=of(1, 1)))
    [opened] = await fact(db, OPENED)
    evidence = Evidence(merchant_id=1, dispute_id=opened.dispute_id, text="signed for on 3 May")
    await db.write(WORKER, "merchant", give_evidence, evidence)
    async with db.read(WORKER) as tx:
        assert (await get_dispute(tx, 1, opened.dispute_id)).evidence == evidence.text
    clock.move_to(NOW + timedelta(days=EVIDENCE_DAYS + 1))
    with pytest.raises(Conflict, match="due_on"):
        await db.write(WORKER, "merchant", give_evidence, evidence)
    await fact(db, WON)
    with pytest.raises(Conflict, match="won"):
        await db.write(WORKER, "merchant", give_evidence, evidence)
