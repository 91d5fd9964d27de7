"""Credit with a last day: it is not used after it, whoever is faster than the clock."""

import asyncio
from datetime import UTC, datetime

from billing.credit import store as credit
from marketplace.core.db import WORKER, Tx
from marketplace.flows.refunds.grant_credit import expire_credit
from tests.billing.locks import wait_until_blocked
from tests.billing.market import check_books
from tests.stories.shop import ALPHA, BUYER, CABLE, Shop


async def granted(shop: Shop, minor: int, **ends: str) -> None:
    given = {"currency": "EUR", "amount_minor": minor, "reason": "sorry", **ends}
    await shop.post("olga", f"/buyers/{BUYER}/credit", given)


async def stands(shop: Shop) -> tuple[int, int]:
    """Balance, and what of it is set aside."""
    async with shop.db.read(WORKER) as tx:
        [account] = await credit.accounts(tx, BUYER)
    return account.balance_minor, account.reserved_minor


async def test_what_is_set_aside_again_and_again_is_not_kept_beyond_its_last_day(shop: Shop) -> None:
    shop.at(5, 3)
    await granted(shop, 1_000, expires_on="2018-05-03")
    shop.clock.move_to(datetime(2018, 5, 3, 23, 59, 50, tzinfo=UTC))
    bought = await shop.place((ALPHA, CABLE, 2), method="tok_decline", credit=999)
    shop.at(5, 4, 0)
    assert await expire_credit(shop.db, "clock", shop.clock.now()) == 1
    assert await stands(shop) == (999, 999)
    await shop.post("shop", f"/buyers/{BUYER}/purchases/{bought.purchase_id}/orders/{bought.orders[ALPHA]}/cancel", {})
    assert await stands(shop) == (999, 0)
    cart = {"currency": "EUR", "lines": [{"merchant_id": ALPHA, "product_id": CABLE, "quantity": 2}]}
    path = f"/buyers/{BUYER}/carts/{(await shop.post('shop', f'/buyers/{BUYER}/carts', cart))['cart_id']}"
    wanted = {"quote": (await shop.get("shop", f"{path}/quote"))["quote"], "method": "tok_ok", "credit_minor": 1}
    refused = await shop.ask("shop", f"{path}/place", wanted)
    assert (refused.status_code, "free credit" in refused.json()["detail"]) == (409, True)
    assert await expire_credit(shop.db, "clock", shop.clock.now()) == 1
    assert await stands(shop) == (0, 0)
    await check_books(shop.db)


async def test_what_is_set_aside_while_the_clock_is_there_stays(shop: Shop) -> None:
    """The clock waits for who sets 400 of 500 + 100 aside, and then takes the 100 that are free of what ends."""
    shop.at(5, 3)
    await granted(shop, 500, expires_on="2018-05-03")
    await granted(shop, 100)
    shop.at(5, 4)
    held, go = asyncio.Event(), asyncio.Event()

    async def set_aside(tx: Tx) -> None:
        await tx.execute("UPDATE billing.credit_account SET reserved_minor = 400 WHERE balance_minor >= 400")
        held.set()
        await go.wait()

    one = asyncio.create_task(shop.db.write(WORKER, "shop", set_aside))
    await held.wait()
    two = asyncio.create_task(expire_credit(shop.db, "clock", shop.clock.now()))
    await wait_until_blocked(shop.db, 1)
    go.set()
    await one
    assert await two == 1
    assert await stands(shop) == (500, 400)
    async with shop.db.read(WORKER) as tx:
        assert [grant.left_minor for grant in await credit.grants(tx, BUYER)] == [400]
    await check_books(shop.db)
