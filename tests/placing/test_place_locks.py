"""Placing next to what else takes stock and books: counts that begin, credit that pays it all, orders that expire."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from billing.ledger import store as ledger
from demand.lifecycle import Move, Party
from demand.store import lock_order
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.orders import count_stock as counting
from marketplace.flows.orders import place_on_cluster, place_order_sql
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.release_order import expire_orders, release_unpaid
from marketplace.flows.refunds.grant_credit import GrantCredit, grant_credit
from supply.stock import store as stock
from supply.stock.store import Units
from tests.billing.locks import wait_until_blocked
from tests.billing.market import check_books
from tests.builders import HOUSE
from tests.conftest import NOW
from tests.placing.market import (
    ALPHA,
    BETA,
    BUYER,
    CUP,
    LAMP,
    TEA,
    command,
    line,
    new_cart,
    place,
    prepare,
    stock_of,
    ticket,
)

LATER = NOW + timedelta(days=3_650)
Work = Callable[[Tx], Awaitable[Any]]


class Held:
    """A transaction that did its first half, waits, and does the rest when it is let go on."""

    def __init__(self, db: Database, first: Work, rest: Work | None = None) -> None:
        self.holds, self.go, self.attempts = asyncio.Event(), asyncio.Event(), 0
        self.first, self.rest = first, rest
        self.task = asyncio.create_task(db.write(WORKER, "first", self._work))

    async def _work(self, tx: Tx) -> None:
        self.attempts += 1
        await self.first(tx)
        self.holds.set()
        await self.go.wait()
        if self.rest is not None:
            await self.rest(tx)


async def race(db: Database, held: Held, other: Work) -> tuple[int, Any]:
    """Start `other` once `held` holds, let go on when it waits; attempts of both together, and what came of it."""
    tries = 0

    async def counted(tx: Tx) -> Any:
        nonlocal tries
        tries += 1
        return await other(tx)

    await asyncio.wait_for(held.holds.wait(), 10)
    following = asyncio.create_task(db.write(WORKER, "second", counted))
    await wait_until_blocked(db)
    held.go.set()
    await held.task
    outcome: Any = (await asyncio.gather(following, return_exceptions=True))[0]
    return held.attempts + tries, outcome


async def begin_count(tx: Tx) -> None:
    now = await counting.hold_stock(tx, ALPHA, CUP)
    await counting.count_stock(tx, now, 10, "first")


def placing(cmd: PlaceOrder, key: str = "k1", *, citus: bool = False) -> Work:
    async def work(tx: Tx) -> None:
        await place_order(tx, ticket(key), cmd, citus=citus)

    return work


async def orders(db: Database) -> list[str]:
    async with db.read(WORKER) as tx:
        return [row.state for row in await tx.rows("SELECT state FROM demand.merchant_order ORDER BY order_id")]


# --- a count that begins ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("citus", [False, True])
async def test_a_count_that_begins_between_the_two_round_trips_is_seen(
    db: Database, monkeypatch: pytest.MonkeyPatch, *, citus: bool
) -> None:
    await prepare(db)
    cart = await new_cart(db, line(ALPHA, CUP, 4), line(ALPHA, TEA))
    cmd = await command(db, cart)
    statements = place_on_cluster if citus else place_order_sql
    write = statements.write

    async def late(*given: Any, **named: Any) -> Any:
        await db.write(WORKER, "mia", begin_count)
        return await write(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(statements, "write", late)
        with pytest.raises(Conflict, match="has just begun"):
            await db.write(WORKER, "shop", placing(cmd, citus=citus))
    assert await orders(db) == []
    assert (await stock_of(db, ALPHA, CUP), await stock_of(db, ALPHA, TEA)) == ((10, 0), (10, 0))
    await db.write(WORKER, "shop", placing(cmd, citus=citus))
    assert await stock_of(db, ALPHA, CUP) == (10, 4)
    await check_books(db)
    assert await expire_orders(db, "clock", LATER) == 1
    assert await stock_of(db, ALPHA, CUP) == (10, 0)


@pytest.mark.parametrize("citus", [False, True])
async def test_a_count_and_a_placement_wait_for_each_other(db: Database, *, citus: bool) -> None:
    await prepare(db)
    first = await command(db, await new_cart(db, line(ALPHA, CUP, 4)))
    second = await command(db, await new_cart(db, line(ALPHA, CUP, 2)))
    await race(db, Held(db, placing(first, citus=citus)), begin_count)
    assert await stock_of(db, ALPHA, CUP) == (10, 4)
    await check_books(db)

    async def end_count(tx: Tx) -> None:
        await counting.count_stock(tx, await counting.hold_stock(tx, ALPHA, CUP), None, "")

    await expire_orders(db, "clock", LATER)
    await db.write(WORKER, "mia", end_count)
    _, came = await race(db, Held(db, begin_count), placing(second, "k2", citus=citus))
    assert isinstance(came, Conflict)
    assert "has just begun" in came.detail
    assert await stock_of(db, ALPHA, CUP) == (10, 0)
    await check_books(db)


# --- credit that pays it all -----------------------------------------------------------------------------------------


async def credit(tx: Tx, minor: int = 9_000) -> None:
    await grant_credit(tx, GrantCredit(buyer_id=BUYER, currency="EUR", amount_minor=minor, reason="x"))


async def test_an_order_paid_by_credit_takes_the_merchants_books_before_its_stock(db: Database) -> None:
    await prepare(db)
    await db.write(WORKER, "ops", credit)
    cmd = await command(db, await new_cart(db, line(ALPHA, TEA), line(BETA, LAMP)), credit_minor=1_550 + 5_900)

    async def books(tx: Tx) -> None:
        await ledger.lock_books(tx, ALPHA)

    async def shelf(tx: Tx) -> None:
        await stock.exchange(tx, [Units(ALPHA, TEA, 1), Units(BETA, LAMP, 1)])
        await stock.release(tx, [Units(ALPHA, TEA, 1), Units(BETA, LAMP, 1)])

    attempts, came = await race(db, Held(db, books, shelf), placing(cmd))
    assert (attempts, came) == (2, None)
    assert await orders(db) == ["paid", "paid"]
    await check_books(db)


async def test_an_order_paid_by_credit_takes_the_houses_books_before_the_credit(db: Database) -> None:
    await prepare(db)
    await db.write(WORKER, "ops", credit)
    cmd = await command(db, await new_cart(db, line(ALPHA, CUP)), credit_minor=799)

    async def books(tx: Tx) -> None:
        await ledger.lock_books(tx, HOUSE)

    async def grants(tx: Tx) -> None:
        await credit(tx, 1)

    attempts, came = await race(db, Held(db, books, grants), placing(cmd))
    assert (attempts, came) == (2, None)
    await check_books(db)


# --- orders that expire ----------------------------------------------------------------------------------------------


async def test_expiry_holds_no_stock_while_it_waits_for_the_next_order(db: Database) -> None:
    await prepare(db)
    placed = [await place(db, await new_cart(db, line(ALPHA, TEA)), f"k{number}") for number in range(3)]
    last = max(one.orders[0].order_id for one in placed)

    async def holds(tx: Tx) -> None:
        await lock_order(tx, ALPHA, last)

    async def cancels(tx: Tx) -> None:
        await release_unpaid(tx, await lock_order(tx, ALPHA, last), Move.CANCEL, Party.BUYER, reason="x")

    held = Held(db, holds, cancels)
    await asyncio.wait_for(held.holds.wait(), 10)
    expiring = asyncio.create_task(expire_orders(db, "clock", LATER))
    await wait_until_blocked(db)
    assert await stock_of(db, ALPHA, TEA) == (10, 1)  # the others are free already
    held.go.set()
    await held.task
    assert (await expiring, held.attempts) == (2, 1)
    assert await stock_of(db, ALPHA, TEA) == (10, 0)


async def test_an_order_that_cannot_expire_holds_up_no_other(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace.flows.orders.release_order.BATCH", 1)
    await prepare(db)
    bad = await place(db, await new_cart(db, line(ALPHA, TEA)), "k1")
    await place(db, await new_cart(db, line(BETA, LAMP)), "k2")
    await db.write(WORKER, "test", Tx.execute, f"UPDATE supply.stock SET reserved = 0 WHERE product_id = {TEA}")
    with capture_logs() as logs:
        assert await expire_orders(db, "clock", LATER) == 1
    assert await orders(db) == ["placed", "cancelled"]
    [said] = [entry for entry in logs if entry["event"] == "order not expired"]
    assert (said["merchant_id"], said["order_id"]) == (ALPHA, bad.orders[0].order_id)
    assert "never_oversold" in said["error"]
