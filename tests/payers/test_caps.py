"""Caps hold to the last cent: under hammering, through edits, and what they do not give is the buyer's to pay."""

import asyncio
from datetime import date, timedelta

import pytest

from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import WHOLE
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.flows.orders.place_order import place_order
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.payers.market import apply, bought, market, sold, terms, used
from tests.placing.market import ALPHA, TEA, command, line, new_cart, place, ticket

KEY = CapKey(1, 1, WHOLE)
CONNECTIONS = 16


async def _reserve(tx: Tx, shard: int, minor: int) -> bool:
    return await caps.reserve(tx, KEY, "whole", shard, minor)


async def _give_back(tx: Tx, shard: int, minor: int) -> None:
    await caps.give_back(tx, KEY, shard, minor)


@pytest.mark.parametrize("limit", [10_007, 40_001])
async def test_sixteen_connections_use_a_cap_to_the_last_cent_and_never_a_cent_over(
    db: Database, clock: FixedClock, limit: int
) -> None:
    await market(db, terms(cap_minor=limit))
    many = Database(db.url, clock, pool_size=CONNECTIONS)
    took: list[int] = []

    async def spend(worker: int) -> None:
        for step in range(40):
            minor = 1 + (worker * 37 + step * 101) % 97
            if await many.write(WORKER, f"spender {worker}", _reserve, worker % caps.SHARDS, minor):
                took.append(minor)
                if step % 9 == 0:
                    await many.write(WORKER, f"spender {worker}", _give_back, worker % caps.SHARDS, minor)
                    took.append(-minor)

    async def finish(worker: int) -> None:
        while await many.write(WORKER, f"spender {worker}", _reserve, worker % caps.SHARDS, 1):
            took.append(1)

    try:
        await asyncio.gather(*(spend(worker) for worker in range(CONNECTIONS)))
        assert await used(db) == sum(took) <= limit
        if limit - sum(took) > 2_000:  # leave a rest that is worth the fight
            assert await many.write(WORKER, "filler", _reserve, 3, limit - sum(took) - 300)
            took.append(limit - sum(took) - 300)
        await asyncio.gather(*(finish(worker) for worker in range(CONNECTIONS)))
    finally:
        await many.close()
    assert await used(db) == sum(took) == limit


async def test_one_spender_gets_what_other_leases_have_left(db: Database) -> None:
    await market(db, terms(cap_minor=1_000))
    for shard in range(caps.SHARDS):
        assert await db.write(WORKER, "test", _reserve, shard, 10)
    assert await db.write(WORKER, "test", _reserve, 0, 1_000 - 10 * caps.SHARDS)
    assert not await db.write(WORKER, "test", _reserve, 1, 1)


async def test_an_exhausted_cap_is_the_buyers_to_pay_and_the_quote_says_so(db: Database) -> None:
    await market(db, terms(cap_minor=10_000))
    first, second, third = [await bought(db, key) for key in ("k1", "k2", "k3")]
    assert [one.payer_minor for one in (first, second, third)] == [7_000, 3_000, 0]
    assert third.pay_minor == 12_000
    assert await used(db) == 10_000
    quote = (await command(db, await new_cart(db, line(ALPHA, TEA)))).quote
    assert quote
    await check_books(db)


async def test_what_the_cap_gives_no_more_since_the_quote_is_not_charged_to_anybody(db: Database) -> None:
    await market(db, terms(cap_minor=7_000))
    cart = await new_cart(db, line(ALPHA, TEA))
    quoted = await command(db, cart)
    await bought(db, "k1")
    with pytest.raises(Conflict, match="price has changed"):
        await db.write(WORKER, "shop", place_order, ticket("k2"), quoted, citus=False)
    assert (await place(db, cart, "k3")).payer_minor == 0
    await check_books(db)


async def test_carts_that_race_for_the_last_of_a_cap_share_it_exactly(db: Database) -> None:
    await market(db, terms(cap_minor=7_000))
    carts = [await new_cart(db, line(ALPHA, TEA)) for _ in range(4)]
    quotes = [await command(db, cart) for cart in carts]
    done = await asyncio.gather(
        *(
            db.write(WORKER, "shop", place_order, ticket(f"k{number}"), quote, citus=False)
            for number, quote in enumerate(quotes)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(one, BaseException) for one in done) == 1
    assert all(isinstance(one, Conflict) for one in done if isinstance(one, BaseException))
    assert await used(db) == 7_000
    await check_books(db)


async def test_a_cap_below_what_is_committed_is_refused_with_a_clear_word(db: Database) -> None:
    await market(db, terms(cap_minor=10_000, valid_until=date(2018, 9, 4)))
    await sold(db)
    later = terms(cap_minor=6_999, valid_from=date(2018, 9, 4))
    with pytest.raises(Conflict, match="cap_minor: 6999 is below 7000, which is committed already"):
        await apply(db, later)
    await apply(db, terms(cap_minor=7_000, valid_from=date(2018, 9, 4)))
    assert (await bought(db, "k2")).payer_minor == 0
    await check_books(db)


async def test_a_cap_per_day_begins_anew(db: Database, clock: FixedClock) -> None:
    await market(db, terms(cap_minor=7_000, cap_period="day"))
    assert (await bought(db, "k1")).payer_minor == 7_000
    assert (await bought(db, "k2")).payer_minor == 0
    clock.move_to(NOW + timedelta(days=1))
    assert (await bought(db, "k3")).payer_minor == 7_000
    await check_books(db)


async def test_a_contract_without_a_cap_counts_all_the_same(db: Database) -> None:
    await market(db)
    await bought(db)
    assert await used(db) == 7_000
    await check_books(db)
