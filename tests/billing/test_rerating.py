"""A contract applied late: what settled orders should have earned less what they have, as entries of its own."""

import asyncio
from datetime import date
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.contracts.terms import Terms, Tier
from billing.rating import MonthSoFar, Part, rate_order, refund_share
from billing.reratings.differences import Cell, Difference, Issued, SettledOrder, rerate
from billing.reratings.store import RerateLine
from marketplace.core import policies
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.rerate_contracts import (
    Reratable,
    Rerated,
    approve_rerating,
    preview_rerating,
    propose_rerating,
)
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from marketplace.flows.runs.run_billing import reverse_run
from supply.store import join
from tests.billing.market import (
    CHECKER,
    FLAT,
    JUNE,
    MAKER,
    billed,
    check_books,
    figures,
    order,
    payable,
    prepare,
    settled_market,
    statements,
)
from tests.builders import Line

MAY_5, MAY_20, JUNE_5 = date(2018, 5, 5), date(2018, 5, 20), date(2018, 6, 5)
SINCE_MAY = Reratable(from_on=MAY_5)
BETTER = msgspec.structs.replace(FLAT, name="better", merchants=("m-1",), valid_from=date(2018, 5, 1), rate_ppm=50_000)
"""5 % for the first merchant, agreed on after May was over."""
LADDER = msgspec.structs.replace(
    BETTER, name="ladder", rate_ppm=None, tiers=(Tier(0, 100_000), Tier(10_000, 50_000)), valid_from=date(2018, 5, 2)
)


async def _ref(db: Database, merchant_id: int) -> str:
    async with db.read(WORKER) as tx:
        ref: str = await tx.scalar("SELECT merchant_ref FROM supply.merchant WHERE merchant_id = :id", id=merchant_id)
    return ref


async def apply_late(db: Database, *contracts: Terms) -> None:
    ref = await _ref(db, 1)
    named = [msgspec.structs.replace(terms, merchants=(ref,)) for terms in contracts]
    await db.write(WORKER, MAKER, apply_versions, named)


async def preview(db: Database) -> list[RerateLine]:
    async with db.read(WORKER) as tx:
        return await preview_rerating(tx, SINCE_MAY)


async def rerated(db: Database) -> Rerated:
    proposed = await db.write(WORKER, MAKER, propose_rerating, SINCE_MAY)
    return await db.write(WORKER, CHECKER, approve_rerating, proposed.rerating.rerating_id)


async def adjustments(db: Database) -> list[tuple[int, ...]]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("""
            SELECT merchant_id, order_id, commission_minor, vat_minor FROM billing.commission_line
            WHERE kind = 'adjustment' ORDER BY merchant_id, entry_no""")
    return [tuple(row) for row in rows]


async def test_a_contract_applied_late_is_booked_once_as_lines_of_the_orders(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5), order(1, 2, MAY_20, 7_001), order(2, 3, MAY_5)])
    assert await preview(db) == []
    await apply_late(db, BETTER)
    line = RerateLine(
        merchant_id=1, month=date(2018, 5, 1), currency="EUR", orders=2,
        expected_commission_minor=950, issued_commission_minor=1_900, expected_vat_minor=190, issued_vat_minor=380,
    )  # fmt: skip
    assert await preview(db) == [line]
    before = await payable(db, 1)
    done = await rerated(db)
    assert (done.rerating.state, done.rerating.approved_by, done.lines) == ("posted", CHECKER, [line])
    assert await adjustments(db) == [(1, 1, -600, -120), (1, 2, -350, -70)]
    assert await payable(db, 1) == {"EUR": before["EUR"] + 950 + 190}
    await check_books(db)
    assert await preview(db) == []
    with pytest.raises(Conflict, match="has earned what it should have"):
        await db.write(WORKER, MAKER, propose_rerating, SINCE_MAY)
    with pytest.raises(Conflict, match="booked already"):
        await db.write(WORKER, CHECKER, approve_rerating, done.rerating.rerating_id)


async def test_what_is_billed_stays_and_the_difference_counts_in_the_first_open_day(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    may = await billed(db)
    issued = await statements(db, may.run.run_id)
    await apply_late(db, BETTER)
    await rerated(db)
    assert await statements(db, may.run.run_id) == issued
    async with db.read(WORKER) as tx:
        entry = await tx.row("SELECT effective_on, prior_period FROM billing.entry WHERE kind = 'commission_adjusted'")
    assert tuple(entry or ()) == (date(2018, 6, 1), True)
    june = await billed(db, JUNE)
    shown = figures((await statements(db, june.run.run_id))[1, "EUR"])
    assert (shown["commission"], shown["vat"]) == (600, 120)
    await check_books(db)
    await reverse_run(db, CHECKER, june.run.run_id)
    await check_books(db)
    assert await preview(db) == []


async def test_maker_is_not_checker_and_what_changed_is_proposed_again(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5), order(1, 2, JUNE_5)])
    await apply_late(db, BETTER)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    proposed = (await db.write(WORKER, MAKER, propose_rerating, SINCE_MAY)).rerating.rerating_id
    with pytest.raises(Forbidden):
        await db.write(WORKER, MAKER, approve_rerating, proposed)
    await apply_late(db, LADDER)
    with pytest.raises(Conflict, match="propose again"):
        await db.write(WORKER, CHECKER, approve_rerating, proposed)
    assert await adjustments(db) == []
    await rerated(db)
    assert await adjustments(db) == [(1, 1, -100, -20)]
    await check_books(db)


async def test_tiers_are_rated_over_the_month_and_an_order_sold_before_is_adjusted_when_it_is_settled(
    db: Database,
) -> None:
    await settled_market(db, [order(1, 1, MAY_5, 8_000), order(1, 2, MAY_20, 8_000)], MAY_5)
    await apply_late(db, LADDER)
    assert await preview(db) == []  # 80.00 are within the first tier
    await settle_through(db, MAKER, MAY_20)
    [line] = await preview(db)
    assert (line.orders, line.expected_commission_minor, line.issued_commission_minor) == (1, 1_300, 1_600)
    await rerated(db)
    assert await adjustments(db) == [(1, 2, -300, -60)]
    await check_books(db)


async def test_refunds_before_and_after_take_back_their_share_of_what_was_adjusted(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])

    async def refund(minor: int | None) -> None:
        lines = (RefundLine(1, minor),) if minor else None
        await db.write(WORKER, MAKER, refund_order, RefundOrder(merchant_id=1, order_id=1, reason="late", lines=lines))

    await refund(4_000)
    await apply_late(db, BETTER)
    [line] = await preview(db)
    assert (line.expected_commission_minor, line.issued_commission_minor) == (400, 800)
    await rerated(db)
    assert await adjustments(db) == [(1, 1, -400, -80)]
    assert await preview(db) == []
    await refund(2_000)
    assert await preview(db) == []
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT sum(commission_minor) FROM billing.commission_line") == 300
    await refund(None)
    assert await preview(db) == []
    assert await payable(db, 1) == {}
    await check_books(db)


async def test_a_contract_for_one_category_splits_what_was_sold_under_another(db: Database) -> None:
    lines = (Line(goods_minor=6_000, category="toys"), Line(goods_minor=4_000, category="books", freight_minor=500))
    both = msgspec.structs.replace(order(1, 1, MAY_5), lines=lines)
    await db.write(WORKER, MAKER, prepare, [both])
    refund = RefundOrder(merchant_id=1, order_id=1, reason="late", lines=(RefundLine(1, 1_000),))
    await settle_through(db, MAKER, MAY_20)
    await db.write(WORKER, MAKER, refund_order, refund)
    books = msgspec.structs.replace(BETTER, name="books", categories=("books",), fixed_minor=30)
    await apply_late(db, books)
    [line] = await preview(db)
    # 600 for toys and 230 for books; a tenth of the base is given back, 83 of it
    assert (line.issued_commission_minor, line.expected_commission_minor) == (900, 747)
    await rerated(db)
    await check_books(db)
    assert await preview(db) == []


async def test_two_who_approve_at_once_book_it_once(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5), order(2, 2, MAY_5)])
    await apply_late(db, BETTER)
    proposed = (await db.write(WORKER, MAKER, propose_rerating, SINCE_MAY)).rerating.rerating_id
    approvals = (db.write(WORKER, CHECKER, approve_rerating, proposed) for _ in range(4))
    answers = await asyncio.gather(*approvals, return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [Conflict] * 3
    assert await adjustments(db) == [(1, 1, -600, -120)]
    await check_books(db)


async def test_a_refund_next_to_an_approval_leaves_what_rating_anew_expects(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5)])
    await apply_late(db, BETTER)
    proposed = (await db.write(WORKER, MAKER, propose_rerating, SINCE_MAY)).rerating.rerating_id
    cmd = RefundOrder(merchant_id=1, order_id=1, reason="late", lines=(RefundLine(1, 4_000),))
    _, approved = await asyncio.gather(
        db.write(WORKER, MAKER, refund_order, cmd),
        db.write(WORKER, CHECKER, approve_rerating, proposed),
        return_exceptions=True,
    )
    if isinstance(approved, Conflict):  # the refund came first
        await rerated(db)
    assert await preview(db) == []
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT sum(commission_minor) FROM billing.commission_line") == 400
    await check_books(db)


async def test_a_rate_for_first_months_that_comes_late_adjusts_only_those(db: Database) -> None:
    await settled_market(db, [order(1, 1, MAY_5), order(1, 2, MAY_20)])
    await db.write(WORKER, MAKER, join, 1, date(2018, 4, 20))
    await apply_late(db, msgspec.structs.replace(BETTER, first_months=1))
    await rerated(db)
    assert await adjustments(db) == [(1, 1, -600, -120)]
    assert await preview(db) == []
    await check_books(db)


rates = st.integers(0, 300_000)
contracts = st.builds(
    Terms,
    name=st.sampled_from(["a", "b"]),
    currency=st.just("EUR"),
    valid_from=st.just(date(2018, 1, 1)),
    rate_ppm=st.none(),
    tiers=st.builds(lambda first, then, at: (Tier(0, first), Tier(at, then)), rates, rates, st.integers(1, 100_000)),
    fixed_minor=st.integers(0, 50),
    min_minor=st.none() | st.integers(0, 100),
    vat_ppm=st.sampled_from([0, 190_000, 200_000]),
)
sales = st.lists(st.tuples(st.integers(1, 50_000), st.fractions(0, 1)), min_size=1, max_size=8)
Issues = dict[int, Issued]


def sold(goods: int) -> Part:
    return Part(contract=FLAT, goods_minor=goods, freight_minor=0)


def settled(amounts: list[tuple[int, Fraction]], terms: Terms) -> Issues:
    """Orders as settlement books them, and refunds as they are planned."""
    month, issued = MonthSoFar(), {}
    for number, (goods, returned) in enumerate(amounts):
        [(_, commission, vat)] = rate_order([msgspec.structs.replace(sold(goods), contract=terms)], month)
        back = int(goods * returned)
        issued[number] = Issued(
            contract_id=1,
            base_minor=goods,
            commission_minor=commission,
            vat_minor=vat,
            refunded=back > 0,
            base_back_minor=back,
            commission_back_minor=refund_share(commission, 0, back, goods),
            vat_back_minor=refund_share(vat, 0, back, goods),
        )
    return issued


def differences(issued: Issues, terms: Terms) -> list[Difference]:
    return rerate(
        SettledOrder(
            order_id=number,
            issued=(one,),
            cells=(Cell(sold_under=1, contract=terms, goods_minor=one.base_minor),),
        )
        for number, one in issued.items()
    )


def booked(issued: Issues, found: list[Difference]) -> Issues:
    """What stands after the differences are booked, as the reading of commission lines adds it up."""
    return {
        one.order_id: msgspec.structs.replace(
            issued[one.order_id],
            commission_minor=issued[one.order_id].commission_minor
            + one.commission_minor + one.more_back_commission_minor,
            vat_minor=issued[one.order_id].vat_minor + one.vat_minor + one.more_back_vat_minor,
            commission_back_minor=issued[one.order_id].commission_back_minor + one.more_back_commission_minor,
            vat_back_minor=issued[one.order_id].vat_back_minor + one.more_back_vat_minor,
        )
        for one in found
    }  # fmt: skip


@given(sales, contracts, contracts)
def test_what_is_expected_is_what_settling_anew_would_have_booked(
    amounts: list[tuple[int, Fraction]], before: Terms, after: Terms
) -> None:
    issued, anew = settled(amounts, before), settled(amounts, after)
    found = differences(issued, after)
    for one in found:
        was, then = issued[one.order_id], anew[one.order_id]
        assert one.commission_minor == (
            then.commission_minor - then.commission_back_minor - was.commission_minor + was.commission_back_minor
        )
        assert one.vat_minor == then.vat_minor - then.vat_back_minor - was.vat_minor + was.vat_back_minor
    assert booked(issued, found) == anew


@given(sales, contracts, contracts)
def test_there_and_back_nets_to_zero_and_again_adds_nothing(
    amounts: list[tuple[int, Fraction]], before: Terms, after: Terms
) -> None:
    issued = settled(amounts, before)
    assert not any((one.commission_minor, one.vat_minor) != (0, 0) for one in differences(issued, before))
    there = differences(issued, after)
    then = booked(issued, there)
    assert not any((one.commission_minor, one.vat_minor) != (0, 0) for one in differences(then, after))
    back = differences(then, before)
    for one, other in zip(there, back, strict=True):
        assert (one.commission_minor + other.commission_minor, one.vat_minor + other.vat_minor) == (0, 0)
    assert booked(then, back) == issued


async def test_a_refund_that_was_rated_anew_is_not_taken_back(db: Database) -> None:
    """Its share of the adjustment would be lost: the buyer keeps what it is owed."""
    await settled_market(db, [order(1, 1, MAY_5)])
    half = RefundOrder(merchant_id=1, order_id=1, reason="late", lines=(RefundLine(1, 6_000),))
    done = await db.write(WORKER, MAKER, refund_order, half)
    await apply_late(db, msgspec.structs.replace(BETTER, rate_ppm=200_000))
    await rerated(db)
    with pytest.raises(Conflict, match="rated anew with this refund in it"):
        await db.write(WORKER, "ops", cancel_refund, RefundKey(1, done.refund_id))
    assert await preview(db) == []
    await check_books(db)
