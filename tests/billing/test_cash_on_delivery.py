"""Cash at the door: the merchant owes what it collected, and is paid out only what netting leaves (pain 10)."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from billing.ledger import store as ledger
from billing.payments.tables import payment, payment_part
from billing.receivable_queries import list_receivables
from billing.receivables import SUSPENDS_ABOVE_MINOR
from demand.changes.store import note_change
from demand.lifecycle import Move, Party
from demand.store import queue_delivered
from demand.tables import merchant_order, order_line
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.core.together import together
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.payments.collect_cash import CollectCash, cash_collected
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.flows.runs.run_billing import abort_run, approve_run, finalise_run, run_period
from tests.billing.market import (
    CHECKER,
    FLAT,
    JUNE,
    MAKER,
    MAY,
    billed,
    check_books,
    figures,
    order,
    payouts,
    statements,
)
from tests.builders import ENTITY, PROCESSOR, add_market, add_orders

MAY_3, MAY_31, JUNE_30 = date(2018, 5, 3), date(2018, 5, 31), date(2018, 6, 30)


async def _market(tx: Tx) -> None:
    await add_market(tx, [1, 2])
    await apply_versions(tx, [FLAT])


async def _place(tx: Tx, merchant_id: int, order_id: int, minor: int, method: str, payment_id: int) -> None:
    """A placed order, its part of a payment, and the payment where it is not there yet."""
    key = {"merchant_id": merchant_id, "order_id": order_id}
    at = datetime(2018, 5, 1, 10, tzinfo=UTC)
    row: dict[str, Any] = {"order_ref": f"o{order_id}", "purchase_id": payment_id, "buyer_id": 1, "entity_id": ENTITY}
    row |= {"currency": "EUR", "state": "placed", "goods_minor": minor, "freight_minor": 0, "discount_minor": 0}
    await tx.execute(insert(merchant_order), {**key, **row, "placed_at": at, "purchased_on": at.date()})
    await note_change(tx, merchant_id, order_id)
    await tx.execute(insert(order_line), {**key, "line_no": 1, "quantity": 1, "goods_minor": minor, "freight_minor": 0})
    paid = {
        "payment_id": payment_id,
        "buyer_id": 1,
        "processor_id": PROCESSOR,
        "currency": "EUR",
        "amount_minor": minor,
    }
    await tx.execute(insert(payment_part), {**key, **paid})
    known = await tx.execute(
        "UPDATE billing.payment SET amount_minor = amount_minor + :minor WHERE payment_id = :payment",
        {"minor": minor, "payment": payment_id},
    )
    if not known.rowcount:
        meta = {"purchase_id": payment_id, "method": method, "state": "created", "created_at": at, "expires_at": at}
        await tx.execute(insert(payment), {**paid, **meta})


async def place(
    db: Database, merchant_id: int, order_id: int, minor: int = 12_000, method: str = "cash", payment_id: int = 70
) -> None:
    await db.write(WORKER, "shop", _place, merchant_id, order_id, minor, method, payment_id)


async def collect(db: Database, merchant_id: int, order_id: int) -> None:
    await db.write(WORKER, "courier", cash_collected, CollectCash(merchant_id=merchant_id, order_id=order_id))


async def _deliver(tx: Tx, merchant_id: int, order_id: int, on: date) -> None:
    await tx.execute(
        """UPDATE demand.merchant_order SET state = 'delivered', delivered_at = :at, delivered_on = :day
           WHERE merchant_id = :merchant AND order_id = :order AND state = 'paid'""",
        {
            "at": datetime(on.year, on.month, on.day, 12, tzinfo=UTC),
            "day": on,
            "merchant": merchant_id,
            "order": order_id,
        },
    )
    await queue_delivered(tx, [merchant_id], after_order_id=order_id - 1, upto_order_id=order_id)


async def sold_for_cash(db: Database, clock: FixedClock, order_id: int, on: date = MAY_3, minor: int = 12_000) -> None:
    """Merchant 1 sold it at the door on that day: collected, delivered, settled."""
    clock.move_to(datetime(on.year, on.month, on.day, 9, tzinfo=UTC))
    await place(db, 1, order_id, minor, payment_id=70 + order_id)
    await collect(db, 1, order_id)
    await db.write(WORKER, "courier", _deliver, 1, order_id, on)
    await settle_through(db, MAKER, on)


async def books(db: Database, merchant_id: int = 1) -> dict[int, int]:
    async with db.read(WORKER) as tx:
        return {one.account: one.balance_minor for one in await ledger.balances(tx, merchant_id)}


async def test_pain_10_cash_on_delivery_the_platform_gets_its_commission(db: Database, clock: FixedClock) -> None:
    """The platform cannot collect its commission on cash (dokan#1220, #1445; over-payment: dokan PR #3353)."""
    await db.write(WORKER, MAKER, _market)
    await sold_for_cash(db, clock, 1)
    assert await books(db) == {1100: 12_000, 2000: -10_560, 2300: -240, 4000: -1_200}
    await check_books(db)
    clock.move_to(datetime(2018, 6, 2, 12, tzinfo=UTC))
    run = (await billed(db)).run
    assert await books(db) == {1100: 1_440, 2300: -240, 4000: -1_200}
    assert await payouts(db, run.run_id) == {}
    assert figures((await statements(db, run.run_id))[1, "EUR"]) == {
        "goods": 12_000, "commission": -1_200, "vat": -240, "other": -10_560,
    }  # fmt: skip
    await check_books(db)
    # The debt is netted from what the merchant earns by card in the next month; the rest alone is paid out.
    await db.write(WORKER, MAKER, add_orders, [order(1, 2, date(2018, 6, 10))])
    await settle_through(db, MAKER, JUNE_30)
    clock.move_to(datetime(2018, 7, 2, 12, tzinfo=UTC))
    june = (await billed(db, JUNE)).run
    assert await payouts(db, june.run_id) == {(1, "EUR"): 10_560 - 1_440}
    assert figures((await statements(db, june.run_id))[1, "EUR"])["other"] == -1_440
    assert 1100 not in await books(db)
    await check_books(db)


async def test_netting_again_nets_nothing_and_late_settlements_are_netted_too(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, _market)
    await sold_for_cash(db, clock, 1)
    clock.move_to(datetime(2018, 6, 2, 12, tzinfo=UTC))
    for _ in range(2):
        run = (await run_period(db, MAKER, MAY)).run
        assert (await books(db))[1100] == 1_440
    await place(db, 1, 2, payment_id=99)
    clock.move_to(datetime(2018, 5, 20, 12, tzinfo=UTC))
    await collect(db, 1, 2)
    await db.write(WORKER, "courier", _deliver, 1, 2, date(2018, 5, 20))
    await settle_through(db, MAKER, MAY_31)
    clock.move_to(datetime(2018, 6, 3, 12, tzinfo=UTC))
    run = (await run_period(db, MAKER, MAY)).run
    await approve_run(db, CHECKER, run.run_id)
    await finalise_run(db, CHECKER, run.run_id)
    assert (await books(db))[1100] == 2_880
    assert figures((await statements(db, run.run_id))[1, "EUR"])["other"] == -2 * 10_560
    async with db.read(WORKER) as tx:
        sources = await tx.rows("SELECT source_id, effective_on FROM billing.entry WHERE kind = 'receivable_netted'")
    assert {row.effective_on for row in sources} == {MAY_31}
    assert sorted(row.source_id for row in sources) == [run.run_id * 10_000, run.run_id * 10_000 + 1]
    await check_books(db)


async def test_a_set_off_outlives_an_aborted_run(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, _market)
    await sold_for_cash(db, clock, 1)
    clock.move_to(datetime(2018, 6, 2, 12, tzinfo=UTC))
    run = (await run_period(db, MAKER, MAY)).run
    await abort_run(db, MAKER, run.run_id)
    assert (await books(db))[1100] == 1_440
    await billed(db)
    await check_books(db)


async def test_an_unfinished_month_nets_what_there_is_today(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, _market)
    await sold_for_cash(db, clock, 1)
    clock.move_to(datetime(2018, 5, 10, 12, tzinfo=UTC))
    await run_period(db, MAKER, MAY)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT effective_on FROM billing.entry WHERE kind = 'receivable_netted'") == date(
            2018, 5, 10
        )
    await check_books(db)


async def test_never_more_is_netted_than_the_merchant_still_has(db: Database, clock: FixedClock) -> None:
    """Refunds after the period have taken what the period's end shows: nothing is left to net."""
    await db.write(WORKER, MAKER, _market)
    await sold_for_cash(db, clock, 1)
    clock.move_to(datetime(2018, 6, 2, 12, tzinfo=UTC))
    await db.write(WORKER, "test", refund_order, RefundOrder(merchant_id=1, order_id=1, reason="returned"))
    await billed(db)
    assert await books(db) == {1100: 12_000, 1030: -12_000}  # the buyer has it as credit, with the house
    await check_books(db)


async def test_a_cash_order_refunded_before_settlement_leaves_the_cash_owed(db: Database) -> None:
    await db.write(WORKER, MAKER, _market)
    await place(db, 1, 1)
    await collect(db, 1, 1)
    await db.write(WORKER, "test", refund_order, RefundOrder(merchant_id=1, order_id=1, reason="merchant_cancelled"))
    assert await books(db) == {1100: 12_000, 1030: -12_000}  # the buyer has it as credit
    await check_books(db)


async def test_collecting_moves_the_order_and_captures_its_part(db: Database) -> None:
    await db.write(WORKER, MAKER, _market)
    await place(db, 1, 1)
    await place(db, 2, 2)
    await collect(db, 1, 1)
    async with db.read(WORKER) as tx:
        event = await tx.row("SELECT move, party, state, actor FROM demand.order_event")
        assert event is not None
        assert tuple(event) == (Move.PAY, Party.PLATFORM, "paid", "courier")
        paid = await tx.row("SELECT state, captured_minor FROM billing.payment")
        assert paid is not None
        assert tuple(paid) == ("created", 12_000)
    with pytest.raises(Conflict, match="the order is paid"):
        await collect(db, 1, 1)
    await collect(db, 2, 2)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM billing.payment") == "captured"
    await check_books(db)


async def test_what_is_not_to_be_paid_in_cash_is_not_collected(db: Database) -> None:
    await db.write(WORKER, MAKER, _market)
    await place(db, 1, 1, method="card_visa")
    with pytest.raises(Conflict, match="not to be paid in cash"):
        await collect(db, 1, 1)
    assert await books(db) == {}


async def test_several_merchants_collect_one_purchase_at_once(db: Database) -> None:
    await db.write(WORKER, MAKER, _market)
    for number in range(1, 7):
        await place(db, 1 + number % 2, number)
    await together(*(collect(db, 1 + number % 2, number) for number in range(1, 7)))
    async with db.read(WORKER) as tx:
        row = await tx.row("SELECT state, captured_minor FROM billing.payment")
    assert row is not None
    assert tuple(row) == ("captured", 72_000)
    await check_books(db)


async def test_receivables_are_listed_with_their_age(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, _market)
    await sold_for_cash(db, clock, 1)
    clock.move_to(datetime(2018, 6, 2, 12, tzinfo=UTC))
    await billed(db)
    await sold_for_cash(db, clock, 2, date(2018, 6, 5), minor=SUSPENDS_ABOVE_MINOR)
    clock.move_to(datetime(2018, 6, 15, 12, tzinfo=UTC))
    async with db.read(WORKER) as tx:
        [owed] = await list_receivables(tx, limit=10)
    assert (owed.merchant_id, owed.balance_minor, owed.above_threshold) == (1, SUSPENDS_ABOVE_MINOR + 1_440, True)
    assert (owed.since, owed.age_days) == (MAY_3, 43)
    await run_period(db, MAKER, JUNE)
    async with db.read(WORKER) as tx:
        [owed] = await list_receivables(tx, limit=10)
        assert await list_receivables(tx, limit=10, after=(1, "EUR")) == []
    assert (owed.balance_minor, owed.above_threshold, owed.since) == (13_440, False, date(2018, 6, 5))


async def test_cash_that_comes_after_the_preview_is_set_off_before_the_payout(db: Database, clock: FixedClock) -> None:
    """What moves a merchant's books between preview and end is set off as if it had been there before."""
    await db.write(WORKER, MAKER, _market)
    clock.move_to(datetime(2018, 6, 2, 12, tzinfo=UTC))
    run = (await run_period(db, MAKER, MAY)).run
    await sold_for_cash(db, clock, 1, date(2018, 5, 20))
    clock.move_to(datetime(2018, 6, 3, 12, tzinfo=UTC))
    await approve_run(db, CHECKER, run.run_id)
    with pytest.raises(Conflict):
        await finalise_run(db, CHECKER, run.run_id)
    await approve_run(db, CHECKER, run.run_id)
    await finalise_run(db, CHECKER, run.run_id)
    assert await payouts(db, run.run_id) == {}
    assert (await books(db))[1100] == 1_440
    await check_books(db)
