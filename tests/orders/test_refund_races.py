"""Two at once over the same order: the last cents go to one of them, and nobody waits for ever."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from marketplace.core.db import Database
from marketplace.core.errors import Conflict
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.refund_order import RefundLine
from tests.billing.market import check_books
from tests.orders.paid import THROUGH, Paid, balances, count, market, of, refund
from tests.orders.test_disputes import LOST, OPENED, fact


async def at_once(*deeds: Coroutine[Any, Any, Any]) -> list[Any]:
    """Every deed on a connection of its own."""
    return await asyncio.gather(*deeds, return_exceptions=True)


@pytest.mark.parametrize("settled", [False, True])
async def test_the_last_cents_are_refunded_once(db: Database, settled: bool) -> None:
    await market(db, Paid(order=of(1, 1)), settled=settled)
    await refund(db, RefundLine(1, 5_000))
    ended = await at_once(*(refund(db, RefundLine(1, 7_000)) for _ in range(8)))
    assert sum(not isinstance(one, BaseException) for one in ended) == 1
    assert (await balances(db))[2400] == -12_000
    await check_books(db)


async def test_a_refund_and_a_dispute_never_give_more_than_was_captured(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), settled=True)
    refunded, *_ = await at_once(refund(db), fact(db, OPENED, 12_000, 0), fact(db, OPENED, 12_000, 0))
    assert await count(db, "dispute_opened") == 1
    await check_books(db)
    await fact(db, LOST, 12_000, 0)
    lost = (await balances(db)).get(5200, 0)
    assert lost == (0 if isinstance(refunded, Conflict) else 12_000)
    await check_books(db)


async def test_a_refund_during_settlement_is_before_it_or_after_it(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)))
    done, _ = await at_once(refund(db, RefundLine(1, 4_000)), settle_through(db, "test", THROUGH))
    assert done.gross_minor == 4_000
    assert await balances(db) == {1020: 12_000, 2000: -7_040, 2300: -160, 2400: -4_000, 4000: -800}
    await check_books(db)


async def test_one_fact_told_by_many_is_booked_once(db: Database) -> None:
    await market(db, Paid(order=of(1, 1)), Paid(order=of(2, 2)), settled=True)
    ended = await at_once(
        *(fact(db, LOST, 20_000, 0) for _ in range(6)), *(fact(db, OPENED, 20_000, 0) for _ in range(6))
    )
    assert not [one for one in ended if isinstance(one, BaseException)]
    for merchant in (1, 2):
        assert [await count(db, kind, merchant) for kind in ("dispute_opened", "dispute_lost")] == [1, 1]
    await check_books(db)
