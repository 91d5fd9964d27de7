"""Who bears what, to the cent: before and after settlement, kept commission, fees, freight, goodwill."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from demand.lifecycle import Party
from demand.refund_policy import DEFAULT, Bearer, Commission, Reason, Rule
from demand.refunds import store
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from supply.tables import offer as offer_table
from tests.billing.market import MAY, billed, check_books, figures, statements
from tests.builders import Line
from tests.orders.paid import THROUGH, Paid, balances, commands, count, entry, market, of, refund, sent

LOST = DEFAULT.rule(Reason.DISPUTE_LOST, Party.PROCESSOR)
ALWAYS = [DEFAULT.rule(why, Party.PLATFORM) for why in (Reason.GOODWILL, Reason.NOT_DELIVERED, Reason.RETURNED)]
"""What every policy of these tests allows the platform besides."""


async def under(db: Database, **changes: str) -> None:
    """Sold under a policy whose `damaged` by the platform is the default changed so; lost: who bears lost disputes."""
    lost_by = Bearer(changes.pop("lost", "merchant"))
    kept = Commission.KEPT if lost_by is Bearer.PLATFORM else Commission.RETURNED
    lost = msgspec.structs.replace(LOST, goods=lost_by, freight=lost_by, commission=kept)
    rule: dict[str, Any] = {"reason": "damaged", "initiator": "platform", "goods": "merchant", "freight": "merchant"}
    rule |= {"commission": "returned", "processor_fee": "platform", **changes}

    async def freeze(tx: Tx) -> None:
        rules = [lost, msgspec.convert(rule, Rule), *ALWAYS]
        made = await store.add_policy(tx, "test", rules, date(2019, 1, 1))
        await tx.execute("UPDATE demand.merchant_order SET refund_policy_id = :policy", {"policy": made.policy_id})

    await db.write(WORKER, "test", freeze)


async def test_the_platform_bears_goodwill_and_the_merchant_keeps_its_money(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done = await refund(db, reason="goodwill", goodwill=1_000)
    assert await entry(db, "order_refunded") == {6920: 1_000, 2400: -1_000}
    assert (done.platform_minor, done.commission_minor) == (1_000, 0)
    await settle_through(db, "test", THROUGH)
    assert await entry(db, "order_settled") == {2005: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}
    with pytest.raises(Conflict, match=r"11001 is more than 11000, what is refundable: captured 12000, refunded 1000"):
        await refund(db, goodwill=11_001)
    await check_books(db)


async def test_what_the_platform_gave_of_a_line_is_not_given_again(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, Line(goods_minor=5_000), Line(goods_minor=7_000))))
    await refund(db, RefundLine(1, 5_000), reason="goodwill")
    with pytest.raises(Invalid, match="between 0 and 0"):
        await refund(db, RefundLine(1, 1))
    assert (await refund(db)).gross_minor == 7_000
    await check_books(db)


async def test_goodwill_without_items_is_spread_over_the_lines_and_comes_out_of_them(db: Database) -> None:
    """The merchant's own goodwill: reversal entries exist although no item was named."""
    await market(
        db, Paid(order=of(1, 1, Line(goods_minor=1_000), Line(goods_minor=2_000, freight_minor=3))), settled=True
    )
    await refund(db, goodwill=100, reason="goodwill", initiator=Party.MERCHANT)
    assert await entry(db, "order_refunded") == {2000: 88, 4000: 10, 2300: 2, 2400: -100}
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT refunded_goods_minor, refunded_freight_minor FROM demand.order_line ORDER BY line_no"
        )
    assert [tuple(row) for row in rows] == [(33, 0), (67, 0)]
    await check_books(db)


async def test_kept_commission_is_the_merchants_loss_and_the_statement_ties(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await under(db, commission="kept")
    for goods in (4_000, 8_000):
        await refund(db, RefundLine(1, goods))
    assert await entry(db, "order_refunded", nth=1) == {2000: 8_000, 2400: -8_000}
    assert await balances(db) == {1020: 12_000, 2000: 1_440, 2300: -240, 2400: -12_000, 4000: -1_200}
    async with db.read(WORKER) as tx:
        kept = await tx.row("SELECT sum(kept_commission_minor), sum(kept_vat_minor) FROM billing.commission_line")
    assert tuple(kept or ()) == (1_200, 240)
    await check_books(db)


async def test_a_kept_commission_in_a_statement(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    await under(db, commission="kept")
    day = datetime(2018, 5, 20, 12, tzinfo=UTC)
    cmd = RefundOrder(merchant_id=1, order_id=1, reason="damaged", lines=(RefundLine(1, 4_000),), refunded_at=day)
    await db.write(WORKER, "test", refund_order, cmd)
    run = await billed(db, MAY)
    assert figures((await statements(db, run.run.run_id))[1, "EUR"]) == {
        "goods": 12_000,
        "refund": -4_000,
        "commission": -1_200,
        "vat": -240,
        "closing": 6_560,
    }
    await check_books(db)


async def test_before_settlement_kept_and_returned_are_the_same(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    await under(db, commission="kept")
    await refund(db, RefundLine(1, 4_000))
    assert await entry(db, "order_refunded") == {2005: 4_000, 2400: -4_000}
    await settle_through(db, "test", THROUGH)
    assert await entry(db, "order_settled") == {2005: 8_000, 4000: -800, 2300: -160, 2000: -7_040}
    await check_books(db)


async def test_goods_by_the_merchant_and_freight_by_the_platform(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, Line(goods_minor=10_000, freight_minor=2_000))), settled=True)
    await under(db, freight="platform")
    done = await refund(db)
    assert await entry(db, "order_refunded") == {2000: 8_800, 4000: 1_000, 2300: 200, 6920: 2_000, 2400: -12_000}
    assert (done.gross_minor, done.platform_minor) == (12_000, 2_000)
    await check_books(db)


async def test_freight_that_stays_with_the_buyer_is_not_given_back(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, Line(goods_minor=10_000, freight_minor=2_000))))
    with pytest.raises(Invalid, match=r"lines\[0\].freight_minor"):
        await refund(db, RefundLine(1, 1, 1), reason="changed_mind", initiator=Party.BUYER)
    done = await refund(db, reason="changed_mind", initiator=Party.BUYER)
    assert done.gross_minor == 10_000
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM demand.merchant_order") == "delivered"
    await check_books(db)


async def test_the_merchants_share_of_the_processors_fee_telescopes(db: Database) -> None:
    await market(db, Paid(order=of(1, 1), fee_minor=186), settled=True)
    await under(db, processor_fee="merchant")
    fees = [(await refund(db, RefundLine(1, goods))).fee_minor for goods in (4_000, 4_000, 4_000)]
    assert (fees, await count(db, "processor_fee_recharged")) == ([62, 62, 62], 3)
    assert await entry(db, "processor_fee_recharged") == {2000: 62, 4050: -62}
    assert await balances(db) == {1020: 12_000, 2000: 186, 2400: -12_000, 4050: -186}
    await check_books(db)


async def test_a_full_refund_of_an_unshipped_order_cancels_it_and_frees_its_stock(db: Database) -> None:
    await market(db, Paid(order=of(1, 1, delivered=False)))

    async def reserve(tx: Tx) -> None:
        await tx.execute("UPDATE demand.order_line SET product_id = 9")
        offer = {
            "merchant_id": 1,
            "product_id": 9,
            "currency": "EUR",
            "price_minor": 1,
            "updated_at": tx.now,
            "counted": True,
        }
        await tx.execute(insert(offer_table), offer)
        await tx.execute("INSERT INTO supply.stock (merchant_id, product_id, on_hand, reserved) VALUES (1, 9, 3, 1)")

    await db.write(WORKER, "test", reserve)
    await refund(db, reason="out_of_stock", initiator=Party.MERCHANT)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT state FROM demand.merchant_order") == "cancelled"
        assert await tx.scalar("SELECT reserved FROM supply.stock") == 0
        assert await tx.scalar("SELECT move FROM demand.order_event") == "refund"
        assert await tx.scalar("SELECT cancelled_quantity FROM demand.order_line") == 1
    await check_books(db)


async def test_the_money_goes_back_to_card_and_credit_as_it_came(db: Database) -> None:
    await market(db, Paid(order=of(1, 1), credit_minor=2_000))
    first = await refund(db, RefundLine(1, 9_000))
    second = await refund(db, RefundLine(1, 3_000))
    assert await commands(db) == [(500, 9_000), (500, 1_000)]
    assert [(one.way, one.amount_minor, one.state) for one in await sent(db, first)] == [("card", 9_000, "due")]
    assert [(one.way, one.amount_minor, one.state) for one in await sent(db, second)] == [
        ("card", 1_000, "due"),
        ("credit", 2_000, "credited"),
    ]
    assert await entry(db, "refund_credited") == {2400: 2_000, 1030: -2_000}
    assert await entry(db, "refund_credited", -1) == {1030: 2_000, 2410: -2_000}
    await check_books(db)
