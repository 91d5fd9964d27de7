"""Sixteen connections and the last units of one listing: never oversold, no deadlock, no order without its stock."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import PlaceOrder
from tests.placing.market import ALPHA, BETA, CUP, LAMP, MUG, TEA, command, line, new_cart, prepare, stock_of, ticket

CONNECTIONS = 16


@pytest.fixture
async def many(db: Database, clock: FixedClock) -> AsyncIterator[Database]:
    pool = Database(db.url, clock, pool_size=CONNECTIONS)
    yield pool
    await pool.close()


async def attempt(db: Database, number: int, cmd: PlaceOrder) -> bool:
    try:
        await db.write(WORKER, "shop", place_order, ticket(f"k{number}"), cmd)
    except Conflict:
        return False
    return True


async def test_the_last_units_are_sold_once(db: Database, many: Database) -> None:
    await prepare(db)
    carts = [await new_cart(db, line(ALPHA, TEA, 3)) for _ in range(2 * CONNECTIONS)]
    commands = [await command(db, cart) for cart in carts]
    won = await asyncio.gather(*(attempt(many, number, cmd) for number, cmd in enumerate(commands)))
    assert sum(won) == 3  # ten units, three each
    assert await stock_of(db, ALPHA, TEA) == (10, 9)


async def test_carts_that_want_the_same_in_another_order_do_not_block_each_other(db: Database, many: Database) -> None:
    await prepare(db)
    lines = [line(ALPHA, TEA), line(BETA, LAMP), line(BETA, MUG), line(ALPHA, CUP)]
    carts = [await new_cart(db, *(lines if number % 2 else lines[::-1])) for number in range(2 * CONNECTIONS)]
    commands = [await command(db, cart) for cart in carts]
    async with asyncio.timeout(30):
        won = await asyncio.gather(*(attempt(many, number, cmd) for number, cmd in enumerate(commands)))
    assert sum(won) == 3  # three lamps
    assert [await stock_of(db, *key) for key in ((ALPHA, TEA), (BETA, LAMP), (BETA, MUG))] == [
        (10, 3),
        (3, 3),
        (100, 3),
    ]


async def test_one_cart_placed_by_many_at_once_is_one_purchase(db: Database, many: Database) -> None:
    await prepare(db)
    cmd = await command(db, await new_cart(db, line(ALPHA, TEA)))

    async def try_it(number: int) -> bytes | None:
        try:
            return (await many.write(WORKER, "shop", place_order, ticket(f"k{number}"), cmd)).body
        except AppError:  # it was being placed by another just then
            return None

    bodies = await asyncio.gather(*(try_it(number) for number in range(CONNECTIONS)))
    assert len({body for body in bodies if body is not None}) == 1
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM demand.purchase") == 1
    assert await stock_of(db, ALPHA, TEA) == (10, 1)
