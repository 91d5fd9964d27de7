"""Orders that are split, cancelled in part, or amended: what is not meant stays, byte by byte and cent by cent."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Table, select

from marketplace.core.db import WORKER, Database
from marketplace.core.tables import placement, qualified
from marketplace.tables import metadata
from tests.stories.shop import ALPHA, BETA, BUYER, CABLE, CHAIR, GAMMA, LAMP, Bought, Shop

MAY_31 = date(2018, 5, 31)


async def all_but(db: Database, merchant_id: int, order_id: int) -> dict[str, list[Any]]:
    """Every row that belongs to a merchant or a buyer, without the order's and what its merchant keeps for all orders.

    Of that merchant, whose books and shelf must change, the rows of its other orders.
    """
    found: dict[str, list[Any]] = {}
    async with db.read(WORKER) as tx:
        for table in metadata.sorted_tables:
            if (wanted := _others(table, merchant_id, order_id)) is not None:
                rows = await tx.rows(select(table).where(wanted).order_by(*table.primary_key.columns))
                found[qualified(table)] = [tuple(row) for row in rows]
    return found


def _others(table: Table, merchant_id: int, order_id: int) -> Any:
    if placement(table).distributed_by not in {"merchant_id", "buyer_id"}:
        return None
    if "merchant_id" not in table.c:
        return table.c.buyer_id.is_not(None)
    if "order_id" not in table.c:
        return table.c.merchant_id.is_distinct_from(merchant_id)
    return table.c.merchant_id.is_distinct_from(merchant_id) | (table.c.order_id != order_id)


async def split(shop: Shop) -> Bought:
    """Three merchants in one purchase, of which BETA has sold to the same buyer before."""
    shop.at(5, 2)
    await shop.buy((BETA, LAMP, 3), (GAMMA, CABLE, 2))
    shop.at(5, 3)
    return await shop.place((ALPHA, LAMP, 3), (BETA, LAMP, 2), (BETA, CABLE, 4), (GAMMA, CHAIR, 1))


async def cancel(shop: Shop, bought: Bought) -> Any:
    path = f"/buyers/{BUYER}/purchases/{bought.purchase_id}/orders/{bought.orders[BETA]}/cancel"
    return await shop.post("shop", path, {})


async def test_one_part_of_a_paid_split_order_is_cancelled_and_its_siblings_do_not_notice(shop: Shop) -> None:
    bought = await split(shop)
    await shop.hear()
    before = await all_but(shop.db, BETA, bought.orders[BETA])
    assert {name for name, rows in before.items() if rows} > {
        "billing.entry", "billing.payment", "billing.payment_part", "demand.merchant_order", "demand.order_line",
        "demand.order_event", "demand.purchase", "supply.stock",
    }  # fmt: skip
    done = await cancel(shop, bought)
    assert (done["state"], done["refund"]["gross_minor"]) == ("cancelled", 10_000)
    assert await all_but(shop.db, BETA, bought.orders[BETA]) == before
    await shop.stand({1020: 22_000, 2005: -12_000, 2400: -10_000}, {}, BETA)
    await shop.hear()
    assert await all_but(shop.db, BETA, bought.orders[BETA]) == before
    await shop.stand({1020: 12_000, 2005: -12_000}, {}, BETA)
    await shop.stand({1020: 12_000, 2005: -12_000}, {}, ALPHA)
    await shop.stand({1020: 13_000, 2005: -13_000}, {}, GAMMA)
    assert [await shop.shelf(BETA, LAMP), await shop.shelf(BETA, CABLE)] == [(50, 3), (50, 0)]
    for merchant_id in (ALPHA, GAMMA):
        await shop.deliver(bought, merchant_id)
    assert await shop.settle(MAY_31) == 2
    await shop.stand({1020: 12_000, 4000: -1_200, 2300: -240, 2000: -10_560}, {}, ALPHA)
    await shop.stand({1020: 12_000, 2005: -12_000}, {}, BETA)


async def test_one_part_of_an_unpaid_split_order_is_cancelled_and_only_the_rest_is_paid(shop: Shop) -> None:
    bought = await split(shop)
    before = await all_but(shop.db, BETA, bought.orders[BETA])
    assert (await cancel(shop, bought))["state"] == "cancelled"
    assert await all_but(shop.db, BETA, bought.orders[BETA]) == before
    await shop.hear()
    told = shop.simulator.store.payment(bought.reference)
    assert told is not None
    assert told["captured_minor"] == 24_000
    await shop.stand({1020: 12_000, 2005: -12_000}, {}, ALPHA)
    await shop.stand({1020: 12_000, 2005: -12_000}, {}, BETA)
    assert [await shop.state(bought, m) for m in (ALPHA, BETA, GAMMA)] == ["paid", "cancelled", "paid"]


@pytest.mark.parametrize(
    "asked", [{"lines": [{"line_no": 1, "quantity": 1}]}, {"lines": [{"line_no": 2, "quantity": 4}]}]
)
async def test_units_of_one_part_are_cancelled_and_its_siblings_do_not_notice(shop: Shop, asked: Any) -> None:
    bought = await split(shop)
    await shop.hear()
    before = await all_but(shop.db, BETA, bought.orders[BETA])
    done = await shop.post(f"owner of {BETA}", f"{bought.path(BETA)}/cancel-lines", asked)
    back = {1: 4_000, 2: 2_000}[asked["lines"][0]["line_no"]]
    assert done["refund"]["gross_minor"] == back
    await shop.hear()
    assert await all_but(shop.db, BETA, bought.orders[BETA]) == before
    await shop.stand({1020: 22_000 - back, 2005: back - 22_000}, {}, BETA)


async def amend(shop: Shop, bought: Bought, **changes: Any) -> int:
    """Proposed by the merchant, accepted in the buyer's name, paid or given back; returns the difference."""
    path = f"{bought.path()}/amendments"
    owner = f"owner of {ALPHA}"
    preview = await shop.post(owner, f"{path}/preview", changes)
    body = changes | {"base_version": preview["base_version"], "reason": "the buyer rang"}
    held = await shop.post(owner, path, body)
    accept = {"base_version": preview["base_version"], "buyer_id": BUYER}
    accepted = await shop.post("shop", f"{path}/{held['amendment_id']}/accept", accept)
    assert accepted["delta_minor"] == preview["priced"]["delta_minor"]
    await shop.hear()
    found = await shop.get(owner, f"{path}/{held['amendment_id']}")
    assert found["state"] == "applied"
    delta: int = found["delta_minor"]
    return delta


async def test_amended_up_swapped_and_down_then_settled_billed_and_refunded_to_nothing(shop: Shop) -> None:
    """Three lamps; one more; one for ten cables; one less; and at the end no cent is left."""
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, LAMP, 3))
    assert await amend(shop, bought, add=[{"product_id": LAMP, "quantity": 1}]) == 4_000
    await shop.stand({1020: 16_000, 2005: -16_000}, {})
    swap = {"take_off": [{"line_no": 1, "quantity": 1}], "add": [{"product_id": CABLE, "quantity": 10}]}
    assert await amend(shop, bought, **swap) == 1_000
    await shop.stand({1020: 17_000, 2005: -17_000}, {})
    assert await amend(shop, bought, take_off=[{"line_no": 1, "quantity": 1}]) == -4_000
    await shop.stand({1020: 13_000, 2005: -13_000}, {})
    cheaper = {"take_off": [{"line_no": 2, "quantity": 1}], "add": [{"product_id": CABLE, "quantity": 2}]}
    assert await amend(shop, bought, **cheaper) == -3_000
    await shop.stand({1020: 10_000, 2005: -10_000}, {})
    assert [await shop.shelf(ALPHA, LAMP), await shop.shelf(ALPHA, CABLE)] == [(50, 1), (50, 12)]
    await shop.deliver(bought)
    await shop.settle(MAY_31)
    await shop.stand({1020: 10_000, 4000: -1_000, 2300: -200, 2000: -8_800}, {})
    shop.at(6, 2)
    run_id = await shop.bill("2018-05")
    assert await shop.statement(run_id) == {"goods": 10_000, "commission": -1_000, "vat": -200, "closing": 8_800}
    payout = (await shop.payouts(run_id))[ALPHA]
    assert payout["amount_minor"] == 8_800
    path = f"/merchants/{ALPHA}/payouts/{payout['payout_id']}"
    await shop.post("fay", f"{path}/confirm", {"bank_ref": "out-1", "on": "2018-06-02"})
    await shop.refund(bought)
    # The buyer has everything back, the platform keeps no commission: what the merchant got is all that is left.
    await shop.stand({2000: 8_800, 1030: -8_800}, {1030: 8_800, 1010: -8_800})
    back = {"bank_ref": "in-1", "on": "2018-06-02", "reason": "account closed"}
    await shop.post("fay", f"{path}/return", back)
    await shop.stand({}, {})
