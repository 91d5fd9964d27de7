"""Amendments in the life of an order: any sequence of them, then settled, billed and refunded, with proven books."""

from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from demand.amendments.model import Add, Changes, Reprice, TakeOff
from demand.model import OrderLine
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from tests.billing.market import MAKER, billed, check_books, figures, payable, payouts, statements
from tests.builders import Line
from tests.conftest import fresh_database
from tests.orders.amending import (
    CABLE,
    LAMP,
    MERCHANT,
    ORDER,
    add_paid_order,
    amend,
    both,
    deliver,
    lines_of,
    more,
    off,
    price_of,
    worth,
)

MAY_31 = date(2018, 5, 31)
LINES = (Line(goods_minor=9_999, freight_minor=101, discount_minor=50), Line(goods_minor=1_000))


async def test_up_down_and_swapped_then_billed_then_refunded_after_the_payout(db: Database, clock: FixedClock) -> None:
    clock.move_to(datetime(2018, 5, 2, 9, tzinfo=UTC))
    await add_paid_order(db)
    for changes, delta in (
        (more(LAMP, 1), 2_600),
        (price_of(1, 300), 300),
        (both(off(1, 1), more(CABLE, 10)), 1_000),
        (both(off(2, 1), more(CABLE, 4)), -600),
    ):
        assert (await amend(db, changes)).delta_minor == delta
        await check_books(db)
    assert worth(await lines_of(db)) == 12_000 + 3_300
    await deliver(db)
    await settle_through(db, MAKER, MAY_31)
    clock.move_to(datetime(2018, 6, 2, 9, tzinfo=UTC))
    run = (await billed(db)).run
    assert figures((await statements(db, run.run_id))[MERCHANT, "EUR"]) == {
        "goods": 15_300, "commission": -1_530, "vat": -306, "closing": 13_464,
    }  # fmt: skip
    assert await payouts(db, run.run_id) == {(MERCHANT, "EUR"): 13_464}
    await db.write(WORKER, "test", refund_order, RefundOrder(merchant_id=MERCHANT, order_id=ORDER, reason="returned"))
    assert worth(await lines_of(db)) == 0
    assert await payable(db, MERCHANT) == {"EUR": -13_464}
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT sum(commission_minor) FROM billing.commission_line") == 0
        assert await tx.scalar("SELECT sum(vat_minor) FROM billing.commission_line") == 0
    await check_books(db)


def any_changes(draw: st.DrawFn, lines: list[OrderLine]) -> Changes:
    offs, reprices = [], []
    for line in lines:
        left = line.quantity - line.cancelled_quantity
        if left and draw(st.booleans()):
            offs.append(TakeOff(line_no=line.line_no, quantity=draw(st.integers(1, left))))
        if draw(st.integers(0, 2)) == 0:
            amount = draw(st.integers(-2_000, 2_000).filter(bool))
            reprices.append(Reprice(line_no=line.line_no, amount_minor=amount, reason="x"))
    adds = [Add(product_id=CABLE, quantity=draw(st.integers(1, 5)))] if draw(st.booleans()) else []
    return Changes(take_off=tuple(offs), add=tuple(adds), reprice=tuple(reprices))


@settings(max_examples=12)
@given(data=st.data())
async def test_any_amendments_leave_what_was_paid_less_what_went_back(
    maintenance_url: str, data: st.DataObject
) -> None:
    """The model is one number: what the order is worth, which each amendment moves by the difference it showed."""
    async with fresh_database(maintenance_url) as db:
        await add_paid_order(db, LINES, (3, 2))
        left, came = worth(await lines_of(db)), 11_050
        for _ in range(data.draw(st.integers(1, 4))):
            lines = await lines_of(db)
            changes = data.draw(st.composite(any_changes)(lines))
            try:
                done = await amend(db, changes)
            except Invalid:  # the lines do not bear it: nothing may have changed
                assert await lines_of(db) == lines
                continue
            left, came = left + done.delta_minor, came + max(done.delta_minor, 0)
            assert worth(await lines_of(db)) == left
        await check_books(db)
        await deliver(db)
        await settle_through(db, "test", MAY_31)
        await db.write(
            WORKER, "test", refund_order, RefundOrder(merchant_id=MERCHANT, order_id=ORDER, reason="returned")
        )
        assert worth(await lines_of(db)) == 0
        async with db.read(WORKER) as tx:
            rows = await tx.rows(
                """SELECT leg.account, sum(leg.amount) AS minor
                   FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
                   GROUP BY 1 HAVING sum(leg.amount) <> 0"""
            )
        assert {row.account: int(row.minor) for row in rows} == {1020: came, 2400: -came}
        await check_books(db)
