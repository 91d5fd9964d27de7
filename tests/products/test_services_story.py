"""Managed services: a retainer that is paid first, and a share of turnover over a measured baseline, to the cent."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.together import together
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.products import bill_services as services
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from supply.products.model import Means
from supply.products.services import store
from supply.products.services.model import Agreement, AgreementState, ServiceMonth, baseline, share
from tests.billing.market import check_books, order, settled_market
from tests.builders import Order, add_orders
from tests.products.market import M, books, charges, day, entries, open_market, tick

JAN_1, MAR_1, APR_1, MAY_1, JUNE_1, JULY_1 = (date(2018, month, 1) for month in (1, 3, 4, 5, 6, 7))


def shares(**changes: Any) -> services.ProposeShare:
    terms: dict[str, Any] = {"name": "Growth", "currency": "EUR", "share_ppm": 100_000, "vat_ppm": 200_000}
    terms |= {"due_days": 14, "baseline_from": MAR_1, "baseline_to": MAY_1, "starts_on": MAY_1, "ends_on": None}
    return services.ProposeShare(merchant_id=M, **terms | changes)


async def accepted(db: Database, cmd: Any) -> Agreement:
    propose: Any = services.propose_share if isinstance(cmd, services.ProposeShare) else services.propose_retainer
    made = await db.write(WORKER, "test", propose, cmd)
    return await db.write(WORKER, "test", services.accept_agreement, M, made.agreement_id, Means.TRANSFER)


async def months(db: Database, agreement: Agreement) -> list[ServiceMonth]:
    async with db.read(WORKER) as tx:
        return (await store.list_months(tx, M, agreement.agreement_id, limit=50))[::-1]


async def sell(db: Database, orders: list[Order], through: date) -> None:
    await db.write(WORKER, "test", add_orders, orders)
    await settle_through(db, "test", through)


@given(st.integers(-(10**9), 10**12), st.integers(0, 10**9), st.integers(1, 10**6))
def test_a_share_is_of_what_is_above_the_baseline_alone(turnover: int, base: int, ppm: int) -> None:
    fee = share(turnover, base, ppm)
    assert fee >= 0
    assert fee == 0 or turnover > base
    assert share(turnover + 1, base, ppm) >= fee
    assert abs(fee * 10**6 - max(0, turnover - base) * ppm) * 2 <= 10**6


def test_a_baseline_is_the_average_month_and_never_below_zero() -> None:
    assert [baseline(*pair) for pair in ((300, 2), (301, 2), (303, 2), (-5, 3))] == [150, 150, 152, 0]


async def test_a_share_of_turnover_over_the_baseline(db: Database, clock: FixedClock) -> None:
    """March and April turned over 300.00 together, so the baseline is 150.00; May 400.00 costs 10 % of 250.00."""
    day(clock, date(2018, 5, 2))
    before = [order(M, 1, MAR_1, 10_000), order(M, 2, date(2018, 4, 30), 20_000), order(2, 3, MAR_1, 99_000)]
    await settled_market(db, before, date(2018, 4, 30))
    agreement = await accepted(db, shares())
    assert (agreement.baseline_minor, agreement.baseline_from, agreement.baseline_to) == (15_000, MAR_1, MAY_1)
    await sell(db, [order(M, 4, MAY_1, 30_000), order(M, 5, date(2018, 5, 31), 10_000)], date(2018, 5, 31))
    await tick(db, clock, date(2018, 5, 31))
    assert await months(db, agreement) == []
    await tick(db, clock, JUNE_1)
    await together(*(services.bill_services(db, f"worker {n}") for n in range(3)))  # it is charged once
    [charge] = await charges(db)
    assert (charge.part, charge.net_minor, charge.vat_minor, charge.charged_on) == (
        "2018-05", 2_500, 500, date(2018, 5, 31),
    )  # fmt: skip
    assert (await entries(db))[-1] == ("product_charged", "2018-05-31", {1100: 3_000, 4040: -2_500, 2300: -500})
    await check_books(db)


async def test_what_is_refunded_later_is_the_next_months_difference(db: Database, clock: FixedClock) -> None:
    """May: 400.00, 25.00 is charged. In June 100.00 of it are refunded: May comes to 15.00, June's 17.00 less 10.00."""
    day(clock, date(2018, 5, 2))
    await settled_market(db, [order(M, 1, MAR_1, 10_000), order(M, 2, APR_1, 20_000)], date(2018, 4, 30))
    agreement = await accepted(db, shares(ends_on=date(2018, 9, 1)))
    await sell(db, [order(M, 4, MAY_1, 30_000), order(M, 5, date(2018, 5, 31), 10_000)], date(2018, 5, 31))
    await tick(db, clock, JUNE_1)
    day(clock, date(2018, 6, 10))
    back = RefundOrder(merchant_id=M, order_id=5, reason="damaged", lines=(RefundLine(1, 10_000),))
    await db.write(WORKER, "test", refund_order, back)
    await sell(db, [order(M, 6, JUNE_1, 32_000)], date(2018, 6, 30))
    await tick(db, clock, JULY_1)
    found = [(each.turnover_minor, each.fee_minor, each.restated_minor) for each in await months(db, agreement)]
    assert found == [(40_000, 2_500, 0), (32_000, 1_700, -1_000)]
    assert [charge.net_minor for charge in await charges(db)] == [2_500, 700]
    # All of May's rest is refunded in July, in which nothing is sold: what was charged for it is credited.
    day(clock, date(2018, 7, 10))
    back = RefundOrder(merchant_id=M, order_id=4, reason="damaged", lines=(RefundLine(1, 30_000),))
    await db.write(WORKER, "test", refund_order, back)
    await tick(db, clock, date(2018, 8, 1))
    assert (await months(db, agreement))[-1].restated_minor == -1_500
    assert [charge.kept_minor for charge in await charges(db)] == [1_700, 0]
    assert [charge.net_minor for charge in await charges(db)] == [2_500, 700]  # nothing was edited
    await tick(db, clock, date(2018, 10, 1))  # August is the last month
    async with db.read(WORKER) as tx:
        ended = await store.get_agreement(tx, M, agreement.agreement_id)
    assert (ended.state, len(await months(db, agreement))) == (AgreementState.ENDED, 4)
    await check_books(db)


async def test_a_retainer_is_charged_first_and_earned_when_its_month_is_over(db: Database, clock: FixedClock) -> None:
    day(clock, date(2018, 1, 20))
    await open_market(db)
    terms: dict[str, Any] = {"name": "Care", "currency": "EUR", "retainer_minor": 50_000, "vat_ppm": 200_000}
    cmd = services.ProposeRetainer(
        merchant_id=M, **terms, due_days=14, starts_on=date(2018, 2, 1), ends_on=date(2018, 5, 1)
    )
    agreement = await accepted(db, cmd)
    assert await books(db) == {}
    await tick(db, clock, date(2018, 2, 1))
    assert await books(db) == {1100: 60_000, 2200: -50_000, 2300: -10_000}
    await tick(db, clock, date(2018, 4, 2))  # the worker was away in March
    assert [(charge.part, charge.charged_on) for charge in await charges(db)] == [
        ("2018-02", date(2018, 2, 1)), ("2018-03", MAR_1), ("2018-04", APR_1),
    ]  # fmt: skip
    assert await books(db) == {1100: 180_000, 2200: -50_000, 2300: -30_000, 4040: -100_000}
    await tick(db, clock, date(2018, 6, 1))
    assert await books(db) == {1100: 180_000, 2300: -30_000, 4040: -150_000}
    with pytest.raises(Conflict, match="the agreement is ended"):
        await db.write(
            WORKER, "test", services.end_agreement,
            services.EndAgreement(merchant_id=M, agreement_id=agreement.agreement_id, ends_on=JULY_1),
        )  # fmt: skip
    await check_books(db)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"baseline_to": JUNE_1}, "months that are over"),
        ({"baseline_from": MAY_1}, "months that are over"),
        ({"baseline_from": date(2018, 3, 2)}, "not the first of a month"),
        ({"starts_on": APR_1}, "starts_on: is this month"),
        ({"ends_on": MAY_1}, "ends_on: is after"),
    ],
)
async def test_terms_that_make_no_sense(db: Database, clock: FixedClock, changes: Any, why: str) -> None:
    day(clock, date(2018, 5, 2))
    await open_market(db)
    with pytest.raises(Invalid, match=why):
        await db.write(WORKER, "test", services.propose_share, shares(**changes))


async def test_an_agreement_ends_with_a_month_to_come(db: Database, clock: FixedClock) -> None:
    day(clock, date(2018, 5, 2))
    await open_market(db)
    agreement = await accepted(db, shares())
    end = services.EndAgreement(merchant_id=M, agreement_id=agreement.agreement_id, ends_on=MAY_1)
    with pytest.raises(Invalid, match="is after 2018-05-01"):
        await db.write(WORKER, "test", services.end_agreement, end)
    later = services.EndAgreement(merchant_id=M, agreement_id=agreement.agreement_id, ends_on=JUNE_1)
    assert (await db.write(WORKER, "test", services.end_agreement, later)).ends_on == JUNE_1
    await tick(db, clock, JULY_1)
    async with db.read(WORKER) as tx:
        assert (await store.get_agreement(tx, M, agreement.agreement_id)).state is AgreementState.ENDED
    assert len(await months(db, agreement)) == 1


async def test_a_proposal_that_has_begun_is_too_late(db: Database, clock: FixedClock) -> None:
    day(clock, date(2018, 5, 2))
    await open_market(db)
    made = await db.write(WORKER, "test", services.propose_share, shares())
    day(clock, JUNE_1)
    with pytest.raises(Conflict, match="proposed anew"):
        await db.write(WORKER, "test", services.accept_agreement, M, made.agreement_id, Means.NETTING)
    assert (await db.write(WORKER, "test", services.decline_agreement, M, made.agreement_id)).state is (
        AgreementState.DECLINED
    )
