"""Payouts that are paid, come back and are paid again; refunds after them; and what is told after the month closed."""

from datetime import date
from typing import Any

from marketplace.core.db import WORKER, Tx
from marketplace.flows.payments.apply_payment_events import apply_events
from tests.builders import HOUSE
from tests.stories.shop import ALPHA, BETA, CHAIR, LAMP, Shop

MAY_31, JUNE_30, JULY_31 = date(2018, 5, 31), date(2018, 6, 30), date(2018, 7, 31)
EARNED = {1020: 12_000, 4000: -1_200, 2300: -240}
"""What an order of 120.00 leaves in the merchant's books beside what the merchant gets."""


async def sold(shop: Shop, month: int, *lines: tuple[int, int, int]) -> Any:
    """Bought, delivered and settled in a month."""
    shop.at(month, 3)
    bought = await shop.buy(*lines)
    [merchant_id] = bought.orders
    await shop.deliver(bought, merchant_id)
    await shop.settle(date(2018, month, 28))
    return bought


async def paid_out(shop: Shop, run_id: int) -> Any:
    [payout] = (await shop.payouts(run_id)).values()
    return payout


async def late(shop: Shop, kind: str, merchant_id: int = ALPHA) -> tuple[date, date, bool]:
    """When a merchant's newest entry of a kind happened, when it counts, and whether it says that it is late."""
    async with shop.db.read(WORKER) as tx:
        row = await tx.row(
            "SELECT occurred_at, effective_on, prior_period FROM billing.entry"
            " WHERE merchant_id = :merchant AND kind = :kind ORDER BY entry_no DESC LIMIT 1",
            merchant=merchant_id,
            kind=kind,
        )
    assert row is not None
    return row.occurred_at.date(), row.effective_on, row.prior_period


async def test_k_a_payout_is_confirmed_comes_back_after_its_month_was_closed_and_is_paid_once(shop: Shop) -> None:
    await sold(shop, 5)
    shop.at(6, 2)
    run_id = await shop.bill("2018-05")
    assert await shop.statement(run_id) == {"goods": 12_000, "commission": -1_200, "vat": -240, "closing": 10_560}
    payout = await paid_out(shop, run_id)
    assert (payout["amount_minor"], payout["state"], payout["instructed_on"]) == (10_560, "instructed", "2018-06-01")
    await shop.stand(EARNED | {2020: -10_560}, {})
    path = f"/merchants/{ALPHA}/payouts/{payout['payout_id']}"
    shop.at(6, 4)
    await shop.post("fay", f"{path}/confirm", {"bank_ref": "out-1", "on": "2018-06-04"})
    assert await shop.entry("payout_confirmed") == {2020: 10_560, 1030: -10_560}
    assert await shop.entry("payout_confirmed", HOUSE) == {1030: 10_560, 1010: -10_560}
    await shop.stand(EARNED | {1030: -10_560}, {1030: 10_560, 1010: -10_560})
    shop.at(7, 2)
    june = await shop.bill("2018-06")
    assert await shop.statement(june) == {"opening": 10_560, "payout": -10_560}
    assert await shop.payouts(june) == {}
    shop.at(7, 5)
    back = {"bank_ref": "in-1", "on": "2018-06-28", "reason": "account closed"}
    assert (await shop.post("fay", f"{path}/return", back))["state"] == "returned"
    assert await late(shop, "payout_returned") == (date(2018, 7, 5), date(2018, 7, 1), True)
    assert await shop.entry("payout_returned") == {1030: 10_560, 2000: -10_560}
    await shop.stand(EARNED | {2000: -10_560}, {})
    assert (await shop.post("fay", f"{path}/return", back))["state"] == "returned"
    await shop.stand(EARNED | {2000: -10_560}, {})
    [owed] = (await shop.get("fay", "/payouts/owed"))["items"]
    assert (owed["merchant_id"], owed["reasons"][0]["why"], owed["owed_minor"]) == (ALPHA, "returned", 10_560)
    shop.at(8, 2)
    july = await shop.bill("2018-07")
    assert await shop.statement(july) == {"payout": 10_560, "closing": 10_560}
    again = await paid_out(shop, july)
    assert (again["amount_minor"], again["payout_id"] == payout["payout_id"]) == (10_560, False)
    await shop.stand(EARNED | {2020: -10_560}, {})
    path = f"/merchants/{ALPHA}/payouts/{again['payout_id']}"
    await shop.post("fay", f"{path}/confirm", {"bank_ref": "out-2", "on": "2018-08-02"})
    shop.at(9, 2)
    assert await shop.payouts(await shop.bill("2018-08")) == {}
    await shop.stand(EARNED | {1030: -10_560}, {1030: 10_560, 1010: -10_560})


async def test_a_payout_with_nowhere_to_go_is_alarmed_about_however_many_months_pass(shop: Shop) -> None:
    await shop.db.write(WORKER, "test", Tx.execute, "DELETE FROM billing.bank_account")
    await sold(shop, 5)
    for month in ("05", "06"):
        shop.at(int(month) + 1, 2)
        await shop.bill(f"2018-{month}")
        [owed] = (await shop.get("fay", "/payouts/owed"))["items"]
        assert (owed["merchant_id"], owed["reasons"][0]["why"], owed["owed_minor"]) == (ALPHA, "held", 10_560)
    await shop.stand(EARNED | {2020: -10_560}, {})


async def test_a_refund_after_the_payout_is_netted_by_the_next_statement(shop: Shop) -> None:
    """Three lamps; one comes back when the merchant has its money already: it owes 35.20 until it earns again."""
    bought = await sold(shop, 5, (ALPHA, LAMP, 3))
    shop.at(6, 2)
    payout = await paid_out(shop, await shop.bill("2018-05"))
    shop.at(6, 4)
    path = f"/merchants/{ALPHA}/payouts/{payout['payout_id']}"
    await shop.post("fay", f"{path}/confirm", {"bank_ref": "out-1", "on": "2018-06-04"})
    shop.at(6, 14)
    await shop.refund(bought, lines=[{"line_no": 1, "goods_minor": 4_000}])
    house = {1030: 10_560, 1010: -10_560}
    owing = {1020: 8_000, 4000: -800, 2300: -160, 1030: -10_560, 2000: 3_520}
    await shop.stand(owing, house)
    [negative] = (await shop.get("fay", "/balances/negative"))["items"]
    assert negative["merchant_id"] == ALPHA
    shop.at(7, 2)
    june = await shop.bill("2018-06")
    assert await shop.statement(june) == {
        "opening": 10_560, "refund": -4_000, "commission": 400, "vat": 80, "payout": -10_560, "closing": -3_520,
    }  # fmt: skip
    assert await shop.payouts(june) == {}
    await shop.stand(owing, house)
    await sold(shop, 7)
    shop.at(8, 2)
    july = await shop.bill("2018-07")
    assert await shop.statement(july) == {
        "opening": -3_520, "goods": 12_000, "commission": -1_200, "vat": -240, "closing": 7_040,
    }  # fmt: skip
    assert (await paid_out(shop, july))["amount_minor"] == 7_040
    await shop.stand({1020: 20_000, 4000: -2_000, 2300: -400, 1030: -10_560, 2020: -7_040}, house)


async def test_a_payout_that_never_left_is_owed_again_in_the_same_month(shop: Shop) -> None:
    await sold(shop, 5)
    shop.at(6, 2)
    payout = await paid_out(shop, await shop.bill("2018-05"))
    path = f"/merchants/{ALPHA}/payouts/{payout['payout_id']}"
    await shop.post("fay", f"{path}/return", {"on": "2018-06-02", "reason": "wrong number"})
    await shop.stand(EARNED | {2000: -10_560}, {})
    shop.at(7, 2)
    june = await shop.bill("2018-06")
    assert await shop.statement(june) == {"opening": 10_560, "closing": 10_560}
    assert (await paid_out(shop, june))["amount_minor"] == 10_560
    await shop.stand(EARNED | {2020: -10_560}, {})


async def test_what_is_told_after_the_month_was_closed_takes_the_first_open_day(shop: Shop) -> None:
    """Captured on May 31, told on June 5; in between May was billed."""
    await sold(shop, 5, (BETA, CHAIR, 1))
    shop.at(5, 31)
    bought = await shop.place()
    await shop.send()
    await shop.receive()
    await apply_events(shop.db)
    await shop.send()  # the capture; its event is on its way
    assert await shop.state(bought) == "placed"
    shop.at(6, 2)
    may = await shop.bill("2018-05")
    assert await shop.statement(may, BETA) == {"goods": 12_000, "commission": -1_200, "vat": -240, "closing": 10_560}
    shop.at(6, 5)
    await shop.hear()
    assert await shop.state(bought) == "paid"
    assert await late(shop, "order_paid") == (MAY_31, date(2018, 6, 1), True)
    await shop.stand({1020: 12_000, 2005: -12_000}, {})
    shop.at(6, 6)
    await shop.bring_file(MAY_31)
    assert await late(shop, "processor_settled") == (MAY_31, date(2018, 6, 1), True)
    await shop.stand({5100: 186, 1030: 11_814, 2005: -12_000}, {1010: 11_814, 1030: -11_814})
    await shop.deliver(bought)
    await shop.settle(JUNE_30)
    shop.at(7, 2)
    june = await shop.bill("2018-06")
    assert await shop.statement(june) == {"goods": 12_000, "commission": -1_200, "vat": -240, "closing": 10_560}
    payouts = await shop.payouts(june)
    assert {merchant: one["amount_minor"] for merchant, one in payouts.items()} == {ALPHA: 10_560}
    await shop.stand({5100: 186, 1030: 11_814, 4000: -1_200, 2300: -240, 2020: -10_560}, {1010: 11_814, 1030: -11_814})


async def test_an_order_settled_after_its_month_was_closed_is_billed_in_the_next(shop: Shop) -> None:
    shop.at(5, 30)
    bought = await shop.buy()
    await shop.deliver(bought)
    shop.at(6, 2)
    may = await shop.bill("2018-05")  # nobody had settled the order
    assert (await shop.get("fay", f"/statements?run_id={may}"))["items"] == []
    await shop.settle(MAY_31)
    assert await late(shop, "order_settled") == (date(2018, 5, 30), date(2018, 6, 1), True)
    await shop.stand(EARNED | {2000: -10_560}, {})
    shop.at(7, 2)
    june = await shop.bill("2018-06")
    assert await shop.statement(june) == {"goods": 12_000, "commission": -1_200, "vat": -240, "closing": 10_560}
    await shop.stand(EARNED | {2020: -10_560}, {})
