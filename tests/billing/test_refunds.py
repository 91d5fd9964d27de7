"""Refunds before and after settlement: postings E, E1 and E3 to the cent, and nothing lost in any partition."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.contracts.terms import Terms
from billing.ledger.model import Balance
from billing.ledger.store import balances, get_entry
from billing.rating import refund_share
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.proofs.verify_books import verify_books
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import check_books
from tests.builders import Line, Order, add_market, add_orders

TEN_PERCENT = Terms(name="ten", currency="EUR", valid_from=date(2018, 1, 1), rate_ppm=100_000, vat_ppm=200_000)


async def _market(tx: Tx, order: Order, terms: Terms = TEN_PERCENT) -> None:
    await add_market(tx, [1])
    await add_orders(tx, [order])
    await apply_versions(tx, [terms])


async def _refund(db: Database, *lines: RefundLine, order_id: int = 1) -> dict[int, int]:
    """Refund (everything when no line is named) and return the entry's legs."""
    cmd = RefundOrder(merchant_id=1, order_id=order_id, reason="returned", lines=lines or None)
    done = await db.write(WORKER, "test", refund_order, cmd)
    async with db.read(WORKER) as tx:
        entry = await get_entry(tx, 1, done.entry_no)
    return {leg.account: leg.amount_minor for leg in entry.legs}


async def _balances(db: Database) -> dict[int, int]:
    async with db.read(WORKER) as tx:
        found: list[Balance] = await balances(tx, 1)
    return {balance.account: balance.balance_minor for balance in found}


async def test_a_full_refund_before_settlement_empties_pending(db: Database) -> None:
    await db.write(WORKER, "test", _market, Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=12_000),)))
    assert await _refund(db) == {2005: 12_000, 2400: -12_000}
    assert (await settle_through(db, "test", date(2018, 6, 30))).orders == 0
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM demand.merchant_order") == "delivered"
    assert (await verify_books(db)).ok


async def test_a_full_refund_after_settlement_returns_commission_and_vat(db: Database) -> None:
    await db.write(WORKER, "test", _market, Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=12_000),)))
    await settle_through(db, "test", date(2018, 6, 30))
    assert await _balances(db) == {1020: 12_000, 2000: -10_560, 2300: -240, 4000: -1_200}
    assert await _refund(db) == {2000: 10_560, 4000: 1_200, 2300: 240, 2400: -12_000}
    assert await _balances(db) == {1020: 12_000, 2400: -12_000}
    assert (await verify_books(db)).ok


async def test_a_third_before_settlement_is_settled_on_the_rest(db: Database) -> None:
    await db.write(WORKER, "test", _market, Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=12_000),)))
    assert await _refund(db, RefundLine(1, 4_000)) == {2005: 4_000, 2400: -4_000}
    await settle_through(db, "test", date(2018, 6, 30))
    assert await _balances(db) == {1020: 12_000, 2000: -7_040, 2300: -160, 2400: -4_000, 4000: -800}
    assert (await verify_books(db)).ok


async def test_thirds_after_settlement_return_every_cent_of_a_fixed_fee(db: Database) -> None:
    terms = Terms(
        name="fixed", currency="EUR", valid_from=date(2018, 1, 1), rate_ppm=33_333, fixed_minor=50, vat_ppm=190_000
    )
    await db.write(WORKER, "test", _market, Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=10_001),)), terms)
    await settle_through(db, "test", date(2018, 6, 30))
    for goods in (3_333, 3_334, 3_334):
        await _refund(db, RefundLine(1, goods))
    assert await _balances(db) == {1020: 10_001, 2400: -10_001}
    assert (await verify_books(db)).ok


async def test_a_full_refund_returns_the_commission_on_freight_too(db: Database) -> None:
    terms = Terms(
        name="freight",
        currency="EUR",
        valid_from=date(2018, 1, 1),
        base="goods_and_freight",
        rate_ppm=100_000,
        vat_ppm=200_000,
    )
    order = Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=10_000, freight_minor=2_000),))
    await db.write(WORKER, "test", _market, order, terms)
    await settle_through(db, "test", date(2018, 6, 30))
    assert await _refund(db, RefundLine(1, 5_000, 2_000)) == {2000: 6_160, 4000: 700, 2300: 140, 2400: -7_000}
    await _refund(db)
    assert await _balances(db) == {1020: 12_000, 2400: -12_000}
    assert (await verify_books(db)).ok


async def test_freight_that_earned_nothing_comes_back_alone_and_the_books_still_prove(db: Database) -> None:
    order = Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=10_000, freight_minor=500),))
    await db.write(WORKER, "test", _market, order)
    await settle_through(db, "test", date(2018, 6, 30))
    assert await _refund(db, RefundLine(1, 0, 500)) == {2000: 500, 2400: -500}
    await check_books(db)
    assert await _refund(db) == {2000: 8_800, 4000: 1_000, 2300: 200, 2400: -10_000}
    await check_books(db)


async def test_what_a_contract_still_holds_comes_back_with_the_last_of_the_order(db: Database) -> None:
    """A fee on a part worth nothing, as books may hold it that were settled before no fee was due on one."""
    lines = (Line(goods_minor=10_000, category="toys"), Line(goods_minor=0, category="books"))
    await db.write(WORKER, "test", _market, Order(merchant_id=1, order_id=1, lines=lines))
    fee = msgspec.structs.replace(TEN_PERCENT, name="fee", categories=("books",), fixed_minor=500)
    await db.write(WORKER, "test", apply_versions, [fee])
    await settle_through(db, "test", date(2018, 6, 30))
    charged = """
        INSERT INTO billing.commission_line
        SELECT merchant_id, entry_no, k.contract_id, order_id, kind, occurred_at, occurred_on, effective_on, c.currency,
               0, 0, 0, 0, 500, 100
        FROM billing.commission_line c, billing.contract k WHERE k.name = 'fee'
        """
    await db.write(WORKER, "test", Tx.execute, charged)
    assert await _refund(db, RefundLine(1, 4_000)) == {2000: 3_520, 4000: 400, 2300: 80, 2400: -4_000}
    assert await _refund(db) == {2000: 4_680, 4000: 1_100, 2300: 220, 2400: -6_000}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (RefundLine(2, 1), "line_no"),
        (RefundLine(1, 12_001), "goods_minor"),
        (RefundLine(1, -1), "goods_minor"),
        (RefundLine(1, 1, 1), "freight_minor"),
        (RefundLine(1, 0), "nothing is given back"),
    ],
)
async def test_what_cannot_be_refunded_is_refused_and_nothing_is_stored(
    db: Database, line: RefundLine, field: str
) -> None:
    await db.write(WORKER, "test", _market, Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=12_000),)))
    with pytest.raises(Invalid, match=field):
        await _refund(db, line)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM demand.refund") == 0
        assert await tx.scalar("SELECT count(*) FROM billing.entry") == 1


async def test_nothing_is_refunded_twice(db: Database) -> None:
    await db.write(WORKER, "test", _market, Order(merchant_id=1, order_id=1, lines=(Line(goods_minor=12_000),)))
    await _refund(db)
    with pytest.raises(Conflict, match="refunded in full already"):
        await _refund(db)


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
def test_any_partition_of_a_full_refund_returns_exactly_what_was_earned(
    commission: int, vat: int, parts: list[int]
) -> None:
    base = sum(parts)
    for earned in (commission, vat):
        returned, upto = 0, 0
        for part in parts:
            upto += part
            share = refund_share(earned, returned, upto, base)
            assert share >= 0
            returned += share
        assert returned == earned
