"""Posting G with vouchers: issued by one order, used once for a later one, or gone when their time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from demand.carts.model import Cart
from incentives.grants.model import Voucher
from incentives.grants.vouchers import store as vouchers
from incentives.rules.awards import Fixed, NextOrderVoucher, Reward
from incentives.rules.model import Calendar, OrderSettled, PerEvent, Terms, Window
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import TIME_TO_PAY
from marketplace.flows.orders.read_placed import Placed
from marketplace.flows.orders.release_order import expire_orders
from marketplace.flows.refunds.grant_credit import expire_credit
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.discounts.market import cart, market, off, pay, refund, settle, sold, stands
from tests.discounts.test_rebates import credit_of, look
from tests.http.conftest import app, caller, client
from tests.orders.paid import entry
from tests.placing.market import BUYER, command, ticket

__all__ = ["app", "caller", "client"]


def back(minor: int = 1_000, window: Window | None = None, **form: Any) -> Terms:
    """10.00 back on the next order."""
    reward = Reward(amount=Fixed(amount_minor=minor), form=NextOrderVoucher(**{"valid_days": 10, **form}))
    return off(trigger=OrderSettled(), reward=reward, window=window or PerEvent())


async def having(db: Database) -> list[Voucher]:
    async with db.read(WORKER) as tx:
        return (await vouchers.vouchers_of(tx, "buyer", BUYER, limit=9))[::-1]


async def bought_with(db: Database, code: str, key: str) -> Placed:
    cmd = msgspec.structs.replace(await command(db, await cart(db)), voucher=code)
    answer = await db.write(WORKER, "shop", place_order, ticket(key), cmd)
    return msgspec.json.decode(answer.body, type=Placed)


async def test_g_ten_back_on_the_next_order(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, back())
    await sold(db)
    await look(db)
    assert await entry(db, "rebate_earned", HOUSE) == {5000: 1_000, 2050: -1_000}
    [one] = await having(db)
    assert (one.state, one.amount_minor, await credit_of(db)) == ("issued", 1_000, 0)
    await check_books(db)
    placed = await bought_with(db, one.code, "k2")
    assert (placed.total_minor, placed.credit_minor, placed.pay_minor) == (12_000, 1_000, 11_000)
    assert await entry(db, "rebate_vested", HOUSE) == {2050: 1_000, 2410: -1_000}
    await pay(db, placed)
    assert await entry(db, "credit_used", HOUSE) == {2410: 1_000, 1030: -1_000}
    assert ((await having(db))[0].state, await credit_of(db), (await stands(db, sale)).spent) == ("used", 0, 1_000)
    await check_books(db)
    with pytest.raises(Conflict, match="it has been used"):
        await bought_with(db, one.code, "k3")


async def test_what_is_quoted_with_a_voucher_is_what_is_charged(
    db: Database, clock: FixedClock, caller: Callable[..., Awaitable[httpx.AsyncClient]]
) -> None:
    """12.5 % off 120.00, and 10.00 by the voucher: 95.00 are left; of a cup for 7.00 it pays all."""
    await market(db, clock, back(), off(name="sale"))
    await sold(db)
    await look(db)
    [one] = await having(db)
    shop = await caller("shop", "storefront")

    async def seen(of: Cart, code: str = one.code) -> httpx.Response:
        return await shop.get(f"/api/v1/buyers/{BUYER}/carts/{of.cart_id}/quote", params={"voucher": code})

    cups = (await seen(await cart(db, 0, 1))).json()
    assert (cups["due_minor"], cups["voucher_minor"]) == (700, 700)
    of = await cart(db)
    quoted = (await seen(of)).json()
    assert (quoted["total_minor"], quoted["due_minor"], quoted["voucher_minor"]) == (12_000, 10_500, 1_000)
    body = {"quote": quoted["quote"], "method": "tok_ok", "voucher": one.code}
    path = f"/api/v1/buyers/{BUYER}/carts/{of.cart_id}/place"
    placing = await shop.post(path, json=body, headers={"Idempotency-Key": "place"})
    placed = msgspec.json.decode(placing.content, type=Placed)
    assert (placed.pay_minor, placed.credit_minor) == (9_500, 1_000)
    assert placed.pay_minor == quoted["due_minor"] - quoted["voucher_minor"]
    again = await seen(await cart(db))
    assert (again.status_code, "it has been used" in again.text) == (409, True)
    assert (await seen(await cart(db), "NOPE")).status_code == 409
    await pay(db, placed)
    await check_books(db)


async def test_of_16_connections_one_uses_a_voucher(db: Database, clock: FixedClock) -> None:
    """Oscar #4580: a single-use voucher redeemed by several at once."""
    await market(db, clock, back())
    await sold(db)
    await look(db)
    [one] = await having(db)
    pool = Database(db.url, clock, pool_size=16)
    carts = [await command(db, await cart(db)) for _ in range(16)]
    cmds = [msgspec.structs.replace(cmd, voucher=one.code) for cmd in carts]
    came = await asyncio.gather(
        *(pool.write(WORKER, "shop", place_order, ticket(f"v{n}"), cmd) for n, cmd in enumerate(cmds)),
        return_exceptions=True,
    )
    await pool.close()
    [won] = [each for each in came if not isinstance(each, BaseException)]
    assert {each.detail for each in came if isinstance(each, Conflict)} == {
        "voucher: it has been used, or is not valid any more"
    }
    placed = msgspec.json.decode(won.body, type=Placed)
    assert (placed.credit_minor, len(came)) == (1_000, 16)
    assert await credit_of(db) == 1_000
    await pay(db, placed)
    assert await credit_of(db) == 0
    await check_books(db)


@pytest.mark.parametrize("window", [None, Calendar(period="month")])
async def test_nobody_uses_it_in_time(db: Database, clock: FixedClock, window: Window | None) -> None:
    """Breakage: it has cost nothing in the end, and is not given again."""
    [sale] = await market(db, clock, back(window=window))
    await sold(db)
    await look(db)
    [one] = await having(db)
    clock.move_to(one.expires_at)
    with pytest.raises(Conflict, match="is not valid any more"):
        await bought_with(db, one.code, "k2")
    await look(db)
    await look(db)
    assert [each.state for each in await having(db)] == ["expired"]
    assert await entry(db, "rebate_unearned", HOUSE) == {2050: 1_000, 5000: -1_000}
    found = await stands(db, sale)
    assert (found.spent, found.cost, await credit_of(db)) == (0, 0, 0)
    await check_books(db)


async def test_what_an_unpaid_order_frees_is_credit_until_the_voucher_would_have_expired(
    db: Database, clock: FixedClock
) -> None:
    await market(db, clock, back())
    await sold(db)
    await look(db)
    [one] = await having(db)
    await bought_with(db, one.code, "k2")
    clock.move_to(clock.now() + TIME_TO_PAY)
    await expire_orders(db, "worker", clock.now())
    assert await credit_of(db) == 1_000
    await check_books(db)
    clock.move_to(one.expires_at + timedelta(days=1))
    await expire_credit(db, "worker", clock.now())
    assert await credit_of(db) == 0
    await check_books(db)


async def test_it_is_for_its_buyer_for_enough_and_void_once_its_order_is_refunded(
    db: Database, clock: FixedClock
) -> None:
    [sale] = await market(db, clock, back(minimum_minor=12_001))
    placed = await sold(db)
    await look(db)
    [one] = await having(db)
    with pytest.raises(Conflict, match="it is for 12001 EUR or more"):
        await bought_with(db, one.code, "k2")
    with pytest.raises(Conflict, match="the buyer has no voucher 'NOPE'"):
        await bought_with(db, "NOPE", "k3")
    await refund(db, placed)
    await look(db)
    found = await stands(db, sale)
    assert (found.spent, found.cost) == (0, 0)
    await check_books(db)


async def test_all_of_an_order_may_be_paid_by_it(db: Database, clock: FixedClock) -> None:
    [sale] = await market(db, clock, back(12_000))
    await sold(db)
    await look(db)
    [one] = await having(db)
    placed = await bought_with(db, one.code, "k2")
    assert (placed.pay_minor, placed.credit_minor, await credit_of(db)) == (0, 12_000, 0)
    await settle(db, placed)
    await look(db)
    assert (await stands(db, sale)).spent == 24_000
    await check_books(db)
