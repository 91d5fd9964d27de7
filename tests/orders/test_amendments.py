"""Amendments from proposal to effect, to the cent, with the books proved after each (pain 14)."""

from datetime import date, timedelta

import pytest

from demand.amendments.model import AmendmentState, Changes
from demand.fulfilment.model import COMPLETES_AFTER
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.amend_order import (
    LAPSES_AFTER,
    cancel_amendment,
    decline_amendment,
    expire_amendments,
)
from marketplace.flows.orders.fulfil_order import ShipOrder, ship_order
from marketplace.flows.orders.pay_amendment import PAID_WITHIN, charge_failed
from marketplace.flows.orders.price_amendment import By, preview_amendment
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import FLAT, check_books
from tests.builders import Line
from tests.conftest import NOW
from tests.orders.amending import (
    AS_BUYER,
    AS_MERCHANT,
    AS_PLATFORM,
    CABLE,
    HIDDEN,
    LAMP,
    MERCHANT,
    ORDER,
    accept,
    add_paid_order,
    amend,
    both,
    decision,
    deliver,
    lines_of,
    more,
    off,
    pay,
    payment_of,
    price_of,
    propose,
    ship,
    version,
    worth,
)

MAY_31 = date(2018, 5, 31)


async def accounts(db: Database) -> dict[int, int]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """SELECT leg.account, sum(leg.amount) AS minor
               FROM billing.entry e, unnest(e.accounts, e.amounts) AS leg (account, amount)
               GROUP BY 1 HAVING sum(leg.amount) <> 0 ORDER BY 1"""
        )
    return {row.account: int(row.minor) for row in rows}


async def entries(db: Database) -> list[tuple[str, dict[int, int]]]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT kind, accounts, amounts FROM billing.entry ORDER BY entry_no")
    return [(row.kind, dict(zip(row.accounts, row.amounts, strict=True))) for row in rows]


async def reserved(db: Database) -> int:
    async with db.read(WORKER) as tx:
        held: int = await tx.scalar("SELECT reserved FROM supply.stock WHERE product_id = :lamp", lamp=LAMP)
    return held


async def order_row(db: Database) -> tuple[str, int, int, int]:
    async with db.read(WORKER) as tx:
        row = await tx.row("SELECT state, version, goods_minor, freight_minor FROM demand.merchant_order")
    assert row is not None
    return tuple(row)


async def refund_all(db: Database) -> None:
    cmd = RefundOrder(merchant_id=MERCHANT, order_id=ORDER, reason="returned")
    await db.write(WORKER, "test", refund_order, cmd)


# Pain 14: editing a paid order refunds wrongly, or is refused (vendure#4013, #4728; saleor#3540; medusa#9261).
@pytest.mark.parametrize(
    ("changes", "delta", "posted", "left"),
    [
        (off(1, 1), -4_000, ("order_refunded", {2005: 4_000, 2400: -4_000}), 8_000),
        (price_of(1, -1_250), -1_250, ("order_refunded", {2005: 1_250, 2400: -1_250}), 10_750),
        (price_of(1, 500), 500, ("amendment_paid", {1020: 500, 2005: -500}), 12_500),
        (more(LAMP, 2), 5_200, ("amendment_paid", {1020: 5_200, 2005: -5_200}), 17_200),
        (both(off(1, 1), more(LAMP, 2)), 1_200, ("amendment_paid", {1020: 1_200, 2005: -1_200}), 13_200),
        (both(off(1, 1), more(CABLE, 7)), -500, ("order_refunded", {2005: 500, 2400: -500}), 11_500),
        (both(off(1, 1), more(CABLE, 8)), 0, None, 12_000),
        (both(off(1, 1), price_of(1, 4_000)), 0, None, 12_000),
    ],
    ids=["fewer", "cheaper", "dearer", "more", "swap up", "swap down", "swap even", "fewer and dearer"],
)
async def test_pain_14_a_paid_order_is_amended_and_only_the_difference_moves(
    db: Database, changes: Changes, delta: int, posted: tuple[str, dict[int, int]] | None, left: int
) -> None:
    await add_paid_order(db)
    before = await lines_of(db)
    done = await amend(db, changes)
    assert (done.state, done.delta_minor) == (AmendmentState.APPLIED, delta)
    assert (await entries(db))[1:] == ([posted] if posted else [])
    after = await lines_of(db)
    assert worth(after) == left == worth(before) + delta
    assert [(line.goods_minor, line.freight_minor) for line in after[: len(before)]] == [
        (line.goods_minor, line.freight_minor) for line in before
    ]
    goods, freight = sum(line.goods_minor for line in after), sum(line.freight_minor for line in after)
    assert await order_row(db) == ("paid", 2, goods, freight)
    await check_books(db)
    await deliver(db)
    await settle_through(db, "test", MAY_31)
    commission, vat = -(await accounts(db))[4000], -(await accounts(db))[2300]
    goods_left = sum(line.goods_minor - line.refunded_goods_minor for line in after)
    assert (commission, vat) == (goods_left // 10, goods_left // 50)
    await check_books(db)
    await refund_all(db)
    paid = 12_000 + max(delta, 0)
    assert await accounts(db) == {1020: paid, 2400: -paid}
    assert worth(await lines_of(db)) == 0
    await check_books(db)


async def test_units_and_freight_go_one_by_one_until_the_line_is_used_up(db: Database) -> None:
    lines = (Line(goods_minor=1_000, freight_minor=100, discount_minor=1), Line(goods_minor=500))
    await add_paid_order(db, lines, (3, 1))
    deltas = [(await amend(db, off(1, 1))).delta_minor for _ in range(3)]
    assert deltas == [-(333 + 34), -(333 + 33), -(333 + 33)]
    first, second = await lines_of(db)
    assert (first.cancelled_quantity, first.refunded_goods_minor, first.refunded_freight_minor) == (3, 999, 100)
    assert worth([second]) == 500
    await check_books(db)


async def test_what_is_confirmed_is_what_the_preview_showed(db: Database) -> None:
    await add_paid_order(db)
    async with db.read(WORKER) as tx:
        shown = await preview_amendment(tx, MERCHANT, ORDER, AS_MERCHANT, more(LAMP))
    assert worth(await lines_of(db)) == 12_000
    assert shown.priced.delta_minor == 2_600
    held = await propose(db, more(LAMP), base_version=shown.base_version)
    await db.write(WORKER, "test", Tx.execute, "UPDATE supply.offer SET price_minor = 9_900")
    done = await pay(db, await accept(db, held))
    assert done.changes.priced == shown.priced
    assert worth(await lines_of(db)) == 14_600


async def test_an_order_that_has_moved_on_is_shown_anew(db: Database) -> None:
    await add_paid_order(db)
    with pytest.raises(Conflict, match="version 1 now") as refused:
        await propose(db, off(1, 1), base_version=7)
    assert refused.value.extra["preview"].priced.delta_minor == -4_000
    held = await propose(db, off(1, 1))
    bump = "UPDATE demand.merchant_order SET version = version + 1, state = 'accepted'"
    await db.write(WORKER, "test", Tx.execute, bump)
    with pytest.raises(Conflict, match="version 2 now") as refused:
        await accept(db, held)
    assert refused.value.extra["preview"].base_version == 2
    assert (await accept(db, held, base_version=2)).state is AmendmentState.APPLIED
    await check_books(db)


async def test_a_proposal_that_comes_to_something_else_now_is_not_accepted(db: Database) -> None:
    await add_paid_order(db)
    held = await propose(db, off(1, 1))
    goodwill = RefundOrder(merchant_id=MERCHANT, order_id=ORDER, reason="late", lines=(RefundLine(1, 300),))
    await db.write(WORKER, "test", refund_order, goodwill)
    with pytest.raises(Conflict, match="comes to -3900 now, not to -4000"):
        await accept(db, held, base_version=await version(db))
    await check_books(db)


async def test_stock_follows_the_amendment(db: Database) -> None:
    await add_paid_order(db)
    assert await reserved(db) == 3
    await amend(db, off(1, 2))
    assert await reserved(db) == 1
    held = await accept(db, await propose(db, more(LAMP, 7)))
    assert (held.state, await reserved(db)) == (AmendmentState.AWAITING_PAYMENT, 8)
    await pay(db, held)
    assert await reserved(db) == 8
    with pytest.raises(Conflict, match="0 units are in stock, 1 are wanted"):
        await accept(db, await propose(db, more(LAMP)))
    await check_books(db)


async def test_a_swap_of_the_same_listing_needs_no_more_stock_than_it_adds(db: Database) -> None:
    await add_paid_order(db)
    await db.write(WORKER, "test", Tx.execute, "UPDATE supply.stock SET on_hand = 4")
    swap = both(off(1, 1), more(LAMP))
    assert (await amend(db, swap)).delta_minor == -1_400
    assert await reserved(db) == 3


async def test_a_contract_is_chosen_at_the_amendments_date(db: Database) -> None:
    dearer = type(FLAT)(name="later", currency="EUR", valid_from=date(2018, 9, 1), rate_ppm=200_000, vat_ppm=200_000)
    await add_paid_order(db, terms=(FLAT, dearer))
    await amend(db, price_of(1, 1_000))
    first, added = await lines_of(db)
    assert first.contract_id is None  # as of the purchase: it is chosen at settlement
    assert added.contract_id is not None
    await deliver(db)
    await settle_through(db, "test", MAY_31)
    assert (await accounts(db))[4000] == -(1_200 + 200)
    await check_books(db)


async def test_a_payment_that_fails_cancels_the_amendment_and_frees_its_stock(db: Database) -> None:
    await add_paid_order(db)
    held = await accept(db, await propose(db, more(LAMP)))
    payment = await payment_of(db, held)
    assert (payment.amount_minor, payment.method, payment.amendment_id) == (2_600, "card_visa", held.amendment_id)
    for _ in range(2):
        failed = await db.write(WORKER, "processor", charge_failed, payment, "declined by the bank")
    assert (failed.state, await reserved(db)) == (AmendmentState.CANCELLED, 3)
    assert worth(await lines_of(db)) == 12_000
    assert (await amend(db, off(1, 1))).state is AmendmentState.APPLIED  # the order is free for another
    await check_books(db)


async def test_a_payment_told_twice_is_booked_once(db: Database) -> None:
    await add_paid_order(db)
    held = await accept(db, await propose(db, more(LAMP)))
    first, second = await pay(db, held), await pay(db, held)
    assert first.state is second.state is AmendmentState.APPLIED
    assert worth(await lines_of(db)) == 14_600
    await check_books(db)


@pytest.mark.parametrize("meanwhile", ["shipped", "expired", "cancelled"])
async def test_money_that_comes_too_late_is_owed_back(db: Database, clock: FixedClock, meanwhile: str) -> None:
    await add_paid_order(db)
    held = await accept(db, await propose(db, both(off(1, 1), more(LAMP, 2))))
    payment = await payment_of(db, held)
    if meanwhile == "shipped":
        await db.write(WORKER, "test", ship, 3)
    elif meanwhile == "expired":
        clock.move_to(NOW + PAID_WITHIN)
        assert await expire_amendments(db, "clock", clock.now()) == 1
        assert await reserved(db) == 3
    else:
        await db.write(WORKER, "test", refund_order, RefundOrder(merchant_id=MERCHANT, order_id=ORDER, reason="late"))
    for _ in range(2):
        voided = await pay(db, held)
    assert voided.state is (AmendmentState.EXPIRED if meanwhile == "expired" else AmendmentState.CANCELLED)
    assert (await entries(db))[-1] == ("amendment_voided", {1020: 1_200, 2400: -1_200})
    async with db.read(WORKER) as tx:
        told = await tx.rows(
            "SELECT amount_minor, refund_id FROM billing.payment_command WHERE kind = 'refund' AND payment_id = :id",
            id=payment.payment_id,
        )
    assert [tuple(row) for row in told] == [(1_200, held.amendment_id)]
    assert await reserved(db) == (0 if meanwhile in {"shipped", "cancelled"} else 3)
    await check_books(db)


async def test_who_proposes_does_not_decide(db: Database) -> None:
    await add_paid_order(db)
    held = await propose(db, off(1, 1))
    with pytest.raises(Forbidden, match="the merchant proposed"):
        await accept(db, held, AS_MERCHANT)
    with pytest.raises(Forbidden, match="may decline it"):
        await db.write(WORKER, "buyer", cancel_amendment, decision(held))
    with pytest.raises(NotFound):
        await accept(db, held, By(party=AS_BUYER.party, buyer_id=2))
    declined = await db.write(WORKER, "buyer", decline_amendment, decision(held, reason="no"))
    assert (declined.state, declined.outcome) == (AmendmentState.DECLINED, "no")
    by_buyer = await propose(db, off(1, 1), AS_BUYER)
    assert (await accept(db, by_buyer, AS_MERCHANT)).state is AmendmentState.APPLIED


async def test_the_platform_may_do_either_but_one_person_not_both(db: Database) -> None:
    await add_paid_order(db)
    await db.write(WORKER, "test", policies.switch, "single_operator", on=False)
    held = await propose(db, off(1, 1), AS_PLATFORM)
    with pytest.raises(Forbidden, match="another person"):
        await accept(db, held, AS_PLATFORM)
    done = await accept(db, held, AS_BUYER)
    assert (done.party, done.proposed_by, done.decided_party, done.decided_by) == (
        "platform", "the platform", "buyer", "the buyer",
    )  # fmt: skip
    for_the_buyer = await accept(db, await propose(db, off(1, 1), AS_MERCHANT), AS_PLATFORM)
    assert for_the_buyer.decided_party == "platform"


async def test_one_amendment_is_open_at_a_time(db: Database) -> None:
    await add_paid_order(db)
    held = await propose(db, off(1, 1))
    with pytest.raises(Conflict, match=f"amendment {held.amendment_id} of this order is open"):
        await propose(db, off(1, 1), AS_BUYER)
    await db.write(WORKER, "merchant", cancel_amendment, decision(held, AS_MERCHANT))
    await propose(db, off(1, 1), AS_BUYER)


async def test_a_proposal_lapses_after_two_days(db: Database, clock: FixedClock) -> None:
    await add_paid_order(db)
    held = await propose(db, off(1, 1))
    clock.move_to(NOW + LAPSES_AFTER - timedelta(seconds=1))
    assert await expire_amendments(db, "clock", clock.now()) == 0
    clock.move_to(NOW + LAPSES_AFTER)
    with pytest.raises(Conflict, match="lapsed"):
        await accept(db, held)
    assert await expire_amendments(db, "clock", clock.now()) == 1
    with pytest.raises(Conflict, match="is expired"):
        await accept(db, held)


@pytest.mark.parametrize("state", ["placed", "delivered", "cancelled", "returned"])
async def test_only_what_is_paid_and_not_delivered_is_amended(db: Database, state: str) -> None:
    await add_paid_order(db)
    await db.write(WORKER, "test", Tx.execute, f"UPDATE demand.merchant_order SET state = '{state}'")
    with pytest.raises(Conflict, match="can be amended"):
        await propose(db, off(1, 1))


async def test_what_the_merchant_does_not_list_is_not_added(db: Database) -> None:
    await add_paid_order(db)
    for product_id in (HIDDEN, 999):
        with pytest.raises(Invalid, match="lists no product"):
            await propose(db, more(product_id))


async def test_the_last_missing_unit_taken_off_delivers_the_order(db: Database) -> None:
    await add_paid_order(db)
    await db.write(WORKER, "test", ship, 2, 2)
    await db.write(WORKER, "test", Tx.execute, "UPDATE demand.merchant_order SET state = 'partly_delivered'")
    await amend(db, off(1, 1))
    assert (await order_row(db))[:2] == ("delivered", 3)
    await check_books(db)
    assert (await settle_through(db, "test", NOW.date())).orders == 1
    assert (await accounts(db))[4000] == -800
    await check_books(db)


async def test_the_history_tells_of_it(db: Database) -> None:
    await add_paid_order(db)
    done = await amend(db, off(1, 1))
    async with db.read(WORKER) as tx:
        event = await tx.row("SELECT event_no, move, party, state, detail FROM demand.order_event")
        topics = await tx.rows("SELECT topic FROM core.outbox WHERE topic LIKE 'demand.order_amended%'")
    assert event is not None
    assert tuple(event)[:4] == (2, "amend", "buyer", "paid")
    assert event.detail == {"amendment_id": done.amendment_id, "delta_minor": -4_000, "carried_minor": 0}
    assert len(topics) == 1


async def test_the_clock_that_completes_an_order_follows_its_units(db: Database, clock: FixedClock) -> None:
    """All is shipped: a surcharge is where its line is; what is added is still to be shipped.

    Taken off again, the clock runs from the last shipment.
    """
    await add_paid_order(db)
    await db.write(WORKER, "mia", ship_order, ShipOrder(merchant_id=MERCHANT, order_id=ORDER, party=AS_MERCHANT.party))

    async def completes() -> object:
        async with db.read(WORKER) as tx:
            return await tx.scalar("SELECT completes_at FROM demand.merchant_order")

    clock.move_to(NOW + timedelta(days=1))
    await amend(db, price_of(1, 100))
    assert [(line.shipped_quantity, line.delivered_quantity) for line in await lines_of(db)] == [(3, 0), (1, 0)]
    assert await completes() == NOW + COMPLETES_AFTER
    await amend(db, more(CABLE, 2))
    assert await completes() is None
    await amend(db, off(3, 2))
    assert await completes() == NOW + COMPLETES_AFTER
    await check_books(db)
