"""Caps and budgets are taken in one order everywhere: sixteen connections place, pay, refund and expire at once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec
from sqlalchemy.exc import DBAPIError

from demand.carts import store as carts
from incentives.rules.model import ByPlatform, FunderBudget, TotalBudget
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx, sqlstate
from marketplace.core.errors import Conflict
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import TIME_TO_PAY
from marketplace.flows.orders.read_placed import Placed
from marketplace.flows.orders.release_order import expire_orders
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import check_books
from tests.discounts.market import off, pay
from tests.discounts.test_payers import BRAND, brand_market, contract
from tests.incentives.budgets import check_budgets
from tests.payers.market import used
from tests.placing.market import ALPHA, TEA, command, line, ticket

CONNECTIONS = 16


async def test_sixteen_connections_take_caps_before_budgets_and_none_is_a_deadlock(
    db: Database, clock: FixedClock
) -> None:
    """A brand's cap and two budgets that run out on the way, so that all shards of them are asked."""
    limits = {"currency": "EUR", "on_shortfall": "partial"}
    budgets = (
        TotalBudget(limit_minor=15_000, **limits),  # type: ignore[arg-type]  # fields by name
        FunderBudget(limit_minor=11_000, funder="brand autumn", **limits),  # type: ignore[arg-type]
    )
    wanted = off(125_000, BRAND, ByPlatform(weight=1), budgets=budgets)
    await brand_market(db, clock, wanted, contract(cap_minor=9_000))
    failures: Counter[str] = Counter()

    async def watched(tx: Tx, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        try:
            return await work(tx, *args)
        except (DBAPIError, asyncpg.PostgresError) as fault:
            failures[sqlstate(fault) or ""] += 1
            raise

    async def shop(number: int) -> None:
        buyer = await db.write(WORKER, "shop", carts.insert_buyer, ref=f"r{number}", name="", city="", region="")
        for turn in range(2):
            cart = await db.write(
                WORKER, "shop", carts.insert_cart, buyer.buyer_id, "EUR", [line(ALPHA, TEA, 1 + number % 2)]
            )
            cmd = await command(db, cart)
            try:
                answer = await db.write(WORKER, "shop", watched, place_order, ticket(f"{number}-{turn}"), cmd)
            except Conflict:  # somebody else was faster: the quote is another one now
                continue
            placed = msgspec.json.decode(answer.body, type=Placed)
            if (number + turn) % 3:
                await pay(db, placed)
                back = RefundOrder(
                    merchant_id=ALPHA,
                    order_id=placed.orders[0].order_id,
                    reason="damaged",
                    lines=(RefundLine(1, 3_001),),
                )
                await db.write(WORKER, "test", watched, refund_order, back)

    async with asyncio.timeout(300):
        await asyncio.gather(*(shop(number) for number in range(CONNECTIONS)))
    assert failures["40P01"] == 0, failures
    assert 0 < await used(db) <= 9_000
    await check_budgets(db)
    await check_books(db)
    clock.move_to(clock.now() + TIME_TO_PAY)
    await expire_orders(db, "worker", clock.now())
    await check_budgets(db)
    await check_books(db)
