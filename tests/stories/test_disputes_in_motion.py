"""Chargebacks: posting M to the cent, won and lost, before and after settlement, and never twice beside a refund."""

from datetime import date
from typing import Any

import pytest

from tests.stories.shop import ALPHA, BUYER, Bought, Shop

MAY_3, MAY_4, MAY_31 = date(2018, 5, 3), date(2018, 5, 4), date(2018, 5, 31)
TAKEN = {1120: 12_000, 5100: 1_500, 1020: -13_500}
LOST_FOR_GOOD = {1020: -1_500, 5100: 1_500}
"""After a lost dispute with recourse all that is left is the processor's fee, which the platform bears."""


async def sold(shop: Shop, *, settled: bool) -> Bought:
    shop.at(5, 3)
    bought = await shop.buy()
    if settled:
        await shop.deliver(bought)
        await shop.settle(MAY_31)
    shop.at(5, 4)
    return bought


def books(*, settled: bool) -> dict[int, int]:
    """What the merchant's books say of an order of 120.00."""
    return {4000: -1_200, 2300: -240, 2000: -10_560} if settled else {2005: -12_000}


@pytest.mark.parametrize("settled", [False, True])
async def test_m_a_dispute_is_won_and_only_its_fee_is_gone(shop: Shop, *, settled: bool) -> None:
    bought = await sold(shop, settled=settled)
    dispute = await shop.dispute(bought.reference)
    assert await shop.entry("dispute_opened") == TAKEN
    await shop.stand({1020: -1_500, 1120: 12_000, 5100: 1_500, **books(settled=settled)}, {})
    shop.at(6, 20)
    await shop.decide(dispute, won=True)
    assert await shop.entry("dispute_won") == {1020: 12_000, 1120: -12_000}
    await shop.stand({1020: 10_500, 5100: 1_500, **books(settled=settled)}, {})
    shop.at(6, 21)
    for day, gross in ((MAY_3, 12_000), (MAY_4, -12_000), (date(2018, 6, 20), 12_000)):
        assert (await shop.bring_file(day))["gross_minor"] == gross
    # 120.00 less 1.86 of the capture and 15.00 of the dispute is in the bank; the processor owes nothing any more.
    merchant = {1030: 10_314, 5100: 1_686, **books(settled=settled)}
    await shop.stand(merchant, {1010: 10_314, 1030: -10_314})


@pytest.mark.parametrize("settled", [False, True])
async def test_m_lost_with_recourse_the_merchant_gives_back_what_it_got(shop: Shop, *, settled: bool) -> None:
    bought = await sold(shop, settled=settled)
    dispute = await shop.dispute(bought.reference)
    shop.at(6, 20)
    await shop.decide(dispute, won=False)
    taken = {2000: 10_560, 4000: 1_200, 2300: 240} if settled else {2005: 12_000}
    assert await shop.entry("dispute_lost") == {**taken, 1120: -12_000}
    await shop.stand(LOST_FOR_GOOD, {})
    assert await shop.state(bought) == ("settled" if settled else "cancelled")
    assert await shop.settle(date(2018, 6, 30)) == 0
    shop.at(6, 21)
    for day in (MAY_3, MAY_4):
        await shop.bring_file(day)
    await shop.stand({1030: -1_686, 5100: 1_686}, {1010: -1_686, 1030: 1_686})


@pytest.mark.parametrize("settled", [False, True])
async def test_m_lost_without_recourse_is_the_platforms_loss(shop: Shop, *, settled: bool) -> None:
    shop.at(5, 2)
    await shop.sell_without_recourse()
    bought = await sold(shop, settled=settled)
    dispute = await shop.dispute(bought.reference)
    shop.at(6, 20)
    await shop.decide(dispute, won=False)
    assert await shop.entry("dispute_lost") == {5200: 12_000, 1120: -12_000}
    await shop.stand({1020: -1_500, 5100: 1_500, 5200: 12_000, **books(settled=settled)}, {})
    if not settled:
        await shop.deliver(bought)
        assert await shop.settle(date(2018, 6, 30)) == 1
    await shop.stand({1020: -1_500, 5100: 1_500, 5200: 12_000, **books(settled=True)}, {})


@pytest.mark.parametrize("settled", [False, True])
async def test_dispute_then_refund_gives_the_money_back_once(shop: Shop, *, settled: bool) -> None:
    bought = await sold(shop, settled=settled)
    dispute = await shop.dispute(bought.reference)
    before = await shop.accounts(ALPHA)
    whole = {"reason": "damaged", "whole": True}
    refused = await shop.ask("olga", f"{bought.path()}/refunds", whole)
    assert refused.status_code == 409
    assert "what is refundable: captured 12000, refunded 0, disputed 12000" in refused.json()["detail"]
    await shop.stand(before, {})
    shop.at(6, 20)
    await shop.decide(dispute, won=False)
    assert (await shop.ask("olga", f"{bought.path()}/refunds", whole)).status_code == 409
    await shop.stand(LOST_FOR_GOOD, {})


@pytest.mark.parametrize("settled", [False, True])
async def test_a_dispute_that_was_won_leaves_the_order_refundable(shop: Shop, *, settled: bool) -> None:
    bought = await sold(shop, settled=settled)
    await shop.decide(await shop.dispute(bought.reference), won=True)
    await shop.refund(bought)
    await shop.stand(LOST_FOR_GOOD, {})


async def test_an_order_shows_its_disputes_and_its_refunds_in_the_words_of_their_lists(shop: Shop) -> None:
    bought = await sold(shop, settled=False)
    await shop.refund(bought, goodwill_minor=500, reason="damaged")
    dispute = await shop.dispute(bought.reference)
    listed = (await shop.get("fay", f"/disputes?merchant_id={ALPHA}"))["items"]
    for who, path in (("olga", bought.path()), ("shop", f"/buyers/{BUYER}/purchases/{bought.purchase_id}")):
        seen = await shop.get(who, path)
        order = seen["orders"][0] if who == "shop" else seen
        [shown] = order["disputes"]
        assert (shown["state"], shown["amount_minor"]) == ("open", 12_000)
        assert shown.items() <= listed[0].items()
        refunds = (await shop.get("olga", f"/refunds?order_id={bought.orders[ALPHA]}"))["items"]
        assert [one["state"] for one in order["refunds"]] == [one["state"] for one in refunds] == ["paid"]
    await shop.decide(dispute, won=True)
    assert [one["state"] for one in (await shop.get("olga", bought.path()))["disputes"]] == ["won"]


@pytest.mark.parametrize("settled", [False, True])
async def test_refund_then_dispute_costs_the_merchant_once(shop: Shop, *, settled: bool) -> None:
    """The buyer has its money, and takes it again through its bank: that is between the platform and the bank."""
    bought = await sold(shop, settled=settled)
    await shop.refund(bought)
    await shop.stand({}, {})
    dispute = await shop.dispute(bought.reference)
    await shop.stand(TAKEN, {})
    shop.at(6, 20)
    await shop.decide(dispute, won=False)
    assert await shop.entry("dispute_lost") == {5200: 12_000, 1120: -12_000}
    await shop.stand({5200: 12_000, 5100: 1_500, 1020: -13_500}, {})


async def test_a_refund_in_part_and_then_a_dispute_of_all_takes_the_rest_from_the_merchant(shop: Shop) -> None:
    """40.00 went back already: of a lost dispute over 120.00 the merchant bears 80.00, the platform 40.00."""
    bought = await sold(shop, settled=True)
    await shop.refund(bought, goodwill_minor=4_000)
    await shop.stand({1020: 8_000, 4000: -800, 2300: -160, 2000: -7_040}, {})
    await shop.decide(await shop.dispute(bought.reference), won=False)
    expected: dict[int, Any] = {2000: 7_040, 4000: 800, 2300: 160, 5200: 4_000, 1120: -12_000}
    assert await shop.entry("dispute_lost") == expected
    await shop.stand({1020: -5_500, 5100: 1_500, 5200: 4_000}, {})


async def test_a_dispute_of_a_part_leaves_the_rest_refundable(shop: Shop) -> None:
    bought = await sold(shop, settled=True)
    dispute = await shop.dispute(bought.reference, 4_000)
    await shop.stand({1020: 6_500, 1120: 4_000, 5100: 1_500, **books(settled=True)}, {})
    refused = await shop.ask("olga", f"{bought.path()}/refunds", {"reason": "late", "goodwill_minor": 8_001})
    assert refused.status_code == 409
    await shop.refund(bought, reason="late", goodwill_minor=8_000)
    await shop.stand({1020: -1_500, 1120: 4_000, 5100: 1_500, 4000: -400, 2300: -80, 2000: -3_520}, {})
    await shop.decide(dispute, won=False)
    await shop.stand(LOST_FOR_GOOD, {})
