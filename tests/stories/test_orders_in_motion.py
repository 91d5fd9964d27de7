"""Orders from the cart to the books, over months: the worked postings of domain.md to the cent.

Shown here: A, A1, E, E1, E2 and E3 as far as the merchant bears them, G once the credit is used, and L. Promotions and
payers do not exist yet, so of these postings it cannot be shown here
- B and D: nothing funds a part of the price but buyer and merchant (5000 15.00; 1110 70.00);
- E2 and E3: the 5.00 by which the platform's promotion unwinds: here 2400 bears all 40.00;
- G: the rebate's cost: credit is granted as goodwill, so 6920 stands for 5000.
C is shown with a discount of the merchant's own on an order that was not placed here.
"""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from marketplace.core.db import WORKER
from marketplace.flows.orders.release_order import expire_orders
from marketplace.settings import Settings
from marketplace.worker import jobs_of
from tests.builders import HOUSE, Line, Order, add_orders
from tests.stories.shop import ALPHA, BETA, BUYER, CABLE, CHAIR, LAMP, Shop

MAY_3, MAY_31 = date(2018, 5, 3), date(2018, 5, 31)
PAID = {1020: 12_000, 2005: -12_000}
SETTLED = {1020: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}


async def test_a_and_a1_paid_by_card_and_settled(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.place()
    await shop.stand({}, {})
    assert await shop.state(bought) == "placed"
    await shop.hear()
    assert await shop.state(bought) == "paid"
    await shop.stand(PAID, {})
    shop.at(5, 5)
    await shop.deliver(bought)
    await shop.stand(PAID, {})
    assert await shop.settle(MAY_31) == 1
    assert await shop.entry("order_settled") == {2005: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}
    await shop.stand(SETTLED, {})
    assert await shop.state(bought) == "settled"
    assert await shop.settle(MAY_31) == 0


async def test_l_the_processor_settles_and_keeps_its_fee(shop: Shop) -> None:
    shop.at(5, 3)
    await shop.buy()
    shop.at(5, 4)
    brought = await shop.bring_file(MAY_3)
    assert (brought["gross_minor"], brought["fee_minor"], brought["net_minor"]) == (12_000, 186, 11_814)
    assert await shop.entry("processor_settled") == {5100: 186, 1030: 11_814, 1020: -12_000}
    assert await shop.entry("processor_settled", HOUSE) == {1010: 11_814, 1030: -11_814}
    await shop.stand({5100: 186, 1030: 11_814, 2005: -12_000}, {1010: 11_814, 1030: -11_814})
    assert (await shop.bring_file(MAY_3))["new_lines"] == 0
    await shop.stand({5100: 186, 1030: 11_814, 2005: -12_000}, {1010: 11_814, 1030: -11_814})


async def test_c_the_merchants_own_discount_is_not_paid_and_bears_no_commission(shop: Shop) -> None:
    day = datetime(2018, 5, 3, 10, tzinfo=UTC)
    line = Line(goods_minor=12_000, discount_minor=1_500)
    order = Order(merchant_id=ALPHA, order_id=7, lines=(line,), placed_at=day, settles_at=day)
    await shop.db.write(WORKER, "import", add_orders, [order])
    await shop.stand({1020: 10_500, 2005: -10_500}, {})
    await shop.settle(MAY_31)
    await shop.stand({1020: 10_500, 4000: -1_050, 2300: -210, 2000: -9_240}, {})


async def test_e_a_full_refund_before_settlement_leaves_every_account_at_zero(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy()
    await shop.post("olga", f"{bought.path()}/refunds", {"reason": "damaged", "whole": True})
    assert await shop.entry("order_refunded") == {2005: 12_000, 2400: -12_000}
    await shop.stand({1020: 12_000, 2400: -12_000}, {})
    await shop.hear()
    assert await shop.entry("refund_paid") == {2400: 12_000, 1020: -12_000}
    await shop.stand({}, {})
    assert await shop.state(bought) == "cancelled"
    assert await shop.settle(MAY_31) == 0
    shop.at(5, 4)
    # In the file the capture and what went back cancel out; the processor's fee stays the platform's cost.
    assert (await shop.bring_file(MAY_3))["net_minor"] == -186
    await shop.stand({5100: 186, 1030: -186}, {1010: -186, 1030: 186})


async def test_e1_a_full_refund_after_settlement_and_in_another_month(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy()
    await shop.deliver(bought)
    await shop.settle(MAY_31)
    shop.at(6, 14)
    await shop.post("olga", f"{bought.path()}/refunds", {"reason": "damaged", "whole": True})
    assert await shop.entry("order_refunded") == {2000: 10_560, 4000: 1_200, 2300: 240, 2400: -12_000}
    await shop.stand({1020: 12_000, 2400: -12_000}, {})
    await shop.hear()
    await shop.stand({}, {})


async def test_e2_a_third_before_settlement_and_two_thirds_are_settled(shop: Shop) -> None:
    """Three lamps at 40.00, of which one comes back."""
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, LAMP, 3))
    await shop.stand(PAID, {})
    done = await shop.refund(bought, lines=[{"line_no": 1, "goods_minor": 4_000}])
    assert (done["gross_minor"], done["commission_minor"]) == (4_000, 0)
    assert await shop.entry("order_refunded") == {2005: 4_000, 2400: -4_000}
    await shop.stand({1020: 8_000, 2005: -8_000}, {})
    await shop.deliver(bought)
    await shop.settle(MAY_31)
    assert await shop.entry("order_settled") == {2005: 8_000, 4000: -800, 2300: -160, 2000: -7_040}
    await shop.stand({1020: 8_000, 4000: -800, 2300: -160, 2000: -7_040}, {})


async def test_e3_the_same_third_after_settlement(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, LAMP, 3))
    await shop.deliver(bought)
    await shop.settle(MAY_31)
    await shop.stand(SETTLED, {})
    shop.at(6, 14)
    done = await shop.refund(bought, lines=[{"line_no": 1, "goods_minor": 4_000}])
    assert (done["commission_minor"], done["vat_minor"]) == (400, 80)
    assert await shop.entry("order_refunded") == {2000: 3_520, 4000: 400, 2300: 80, 2400: -4_000}
    await shop.stand({1020: 8_000, 4000: -800, 2300: -160, 2000: -7_040}, {})


@pytest.mark.parametrize("settled", [False, True])
async def test_a_refund_without_items_is_divided_over_the_lines(shop: Shop, *, settled: bool) -> None:
    """5.00 of 120.00 + 5.00: 4.80 of the chair and 0.20 of the cable."""
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, CHAIR, 1), (ALPHA, CABLE, 1))
    if settled:
        await shop.deliver(bought)
        await shop.settle(MAY_31)
    done = await shop.refund(bought, reason="late", goodwill_minor=500)
    detail = await shop.get("olga", f"/merchants/{ALPHA}/refunds/{done['refund_id']}")
    assert sorted(line["goods_minor"] for line in detail["lines"]) == [20, 480]
    if settled:
        assert await shop.entry("order_refunded") == {2000: 440, 4000: 50, 2300: 10, 2400: -500}
        await shop.stand({1020: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}, {})
    else:
        assert await shop.entry("order_refunded") == {2005: 500, 2400: -500}
        await shop.stand({1020: 12_000, 2005: -12_000}, {})


async def test_g_credit_pays_a_part_and_comes_back_as_credit(shop: Shop) -> None:
    shop.at(5, 3)
    await shop.post("olga", f"/buyers/{BUYER}/credit", {"currency": "EUR", "amount_minor": 1_000, "reason": "sorry"})
    await shop.stand({}, {6920: 1_000, 2410: -1_000})
    bought = await shop.buy(credit=1_000)
    assert await shop.entry("order_paid") == {1020: 11_000, 1030: 1_000, 2005: -12_000}
    assert await shop.entry("credit_used", HOUSE) == {2410: 1_000, 1030: -1_000}
    await shop.stand({1020: 11_000, 1030: 1_000, 2005: -12_000}, {6920: 1_000, 1030: -1_000})
    await shop.deliver(bought)
    await shop.settle(MAY_31)
    settled = {1020: 11_000, 1030: 1_000, 4000: -1_200, 2300: -240, 2000: -10_560}
    await shop.stand(settled, {6920: 1_000, 1030: -1_000})
    shop.at(6, 14)
    await shop.refund(bought)  # 110.00 to the card, 10.00 into the credit it came from
    await shop.stand({}, {6920: 1_000, 2410: -1_000})
    credit = await shop.get("shop", f"/buyers/{BUYER}/credit")
    assert [one["balance_minor"] for one in credit["accounts"]] == [1_000]
    assert [one["kind"] for one in credit["movements"]["items"]] == ["refunded", "used", "granted"]


async def test_g_credit_that_is_not_used_in_time_expires(shop: Shop, tmp_path: Path) -> None:
    """What a waiting order has set aside stays until the order has lapsed; the worker's clock does the rest."""
    clock = jobs_of(Settings(home=tmp_path))["expire_credit"]
    shop.at(5, 3)
    given = {"currency": "EUR", "amount_minor": 1_000, "reason": "sorry", "expires_on": "2018-05-31"}
    await shop.post("olga", f"/buyers/{BUYER}/credit", given)
    shop.at(5, 31)
    bought = await shop.place(credit=400)
    await clock.run(shop.db, None)
    await shop.stand({}, {6920: 1_000, 2410: -1_000})
    [expiring] = (await shop.get("shop", f"/buyers/{BUYER}/credit"))["expiring"]
    assert (expiring["left_minor"], expiring["expires_at"][:10]) == (1_000, "2018-06-01")
    shop.at(6, 1)
    await clock.run(shop.db, None)
    assert await shop.entry("credit_expired", HOUSE) == {2410: 600, 6920: -600}
    await shop.stand({}, {6920: 400, 2410: -400})
    assert await expire_orders(shop.db, "clock", shop.db.clock.now()) == 1
    assert await shop.state(bought) == "cancelled"
    for _ in range(2):
        await clock.run(shop.db, None)
        await shop.stand({}, {})
    credit = await shop.get("shop", f"/buyers/{BUYER}/credit")
    assert (credit["accounts"][0]["balance_minor"], credit["expiring"]) == (0, [])


async def test_g_credit_alone_pays_an_order_without_the_processor(shop: Shop) -> None:
    shop.at(5, 3)
    await shop.post("olga", f"/buyers/{BUYER}/credit", {"currency": "EUR", "amount_minor": 12_000, "reason": "sorry"})
    bought = await shop.buy(credit=12_000)
    assert await shop.state(bought) == "paid"
    await shop.stand({1030: 12_000, 2005: -12_000}, {6920: 12_000, 1030: -12_000})
    assert shop.simulator.store.payment(bought.reference) is None


async def test_a_decline_keeps_the_stock_until_the_time_to_pay_is_over_and_books_nothing(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.place((ALPHA, CHAIR, 2), (BETA, LAMP, 1), method="tok_decline")
    await shop.hear()
    assert (await shop.state(bought), await shop.state(bought, BETA)) == ("placed", "placed")
    assert (await shop.shelf(ALPHA, CHAIR), await shop.shelf(BETA, LAMP)) == ((50, 2), (50, 1))
    shop.at(5, 3, hour=11)
    assert await expire_orders(shop.db, "worker", shop.clock.now()) == 2
    assert (await shop.state(bought), await shop.state(bought, BETA)) == ("cancelled", "cancelled")
    assert (await shop.shelf(ALPHA, CHAIR), await shop.shelf(BETA, LAMP)) == ((50, 0), (50, 0))
    late = await shop.ask("shop", f"/buyers/{BUYER}/purchases/{bought.purchase_id}/pay", {"method": "tok_ok"})
    assert (late.status_code, late.json()["detail"]) == (
        409, f"nothing of purchase {bought.purchase_id} waits to be paid"
    )  # fmt: skip
    await shop.stand({}, {})
