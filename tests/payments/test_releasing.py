"""Orders of one payment that are given up at once: the later one sees the earlier, and lets the processor go."""

import asyncio
from typing import Any

import pytest

from billing.payments.facts import PaymentState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payments.take_payment import payment_changed
from tests.billing.locks import wait_until_blocked
from tests.builders import PROCESSOR
from tests.payments.market import MERCHANTS, A, B, Placed, add_merchants, cancel, fact, place


async def _two(db: Database, method: str = "tok_ok") -> Placed:
    await db.write(WORKER, "test", add_merchants)
    return await db.write(WORKER, "shop", place, (A, B), method)


async def ended(db: Database) -> tuple[str, list[tuple[Any, ...]], list[str]]:
    """The payment's state, those of its parts, and what the processor was told."""
    async with db.read(WORKER) as tx:
        parts = await tx.rows("SELECT state, capture_asked FROM billing.payment_part ORDER BY merchant_id")
        told = await tx.rows("SELECT kind FROM billing.payment_command ORDER BY command_id")
        state = await tx.scalar("SELECT state FROM billing.payment")
    return state, [tuple(part) for part in parts], [row.kind for row in told]


async def _while_one_is_cancelled(db: Database, placed: Placed, *other: Any) -> int:
    """Cancel the first merchant's order, and do the other thing before that commits; returns attempts in all."""
    holds, go = asyncio.Event(), asyncio.Event()
    attempts = 0

    async def ahead(tx: Tx) -> None:
        nonlocal attempts
        attempts += 1
        await cancel(tx, placed, MERCHANTS[0])
        holds.set()
        await go.wait()

    async def behind(tx: Tx) -> None:
        nonlocal attempts
        attempts += 1
        work, *given = other
        await work(tx, *given)

    leading = asyncio.create_task(db.write(WORKER, "buyer", ahead))
    await asyncio.wait_for(holds.wait(), 10)
    following = asyncio.create_task(db.write(WORKER, "other", behind))
    await wait_until_blocked(db)
    go.set()
    await asyncio.gather(leading, following)
    return attempts


@pytest.mark.parametrize("authorised", [False, True])
async def test_two_orders_cancelled_at_once_let_the_card_go(db: Database, *, authorised: bool) -> None:
    placed = await _two(db)
    if authorised:
        await db.write(WORKER, "p", payment_changed, PROCESSOR, fact(placed, PaymentState.AUTHORISED))
    assert await _while_one_is_cancelled(db, placed, cancel, placed, MERCHANTS[1]) == 2
    told = ["authorise", "capture", "void"] if authorised else ["authorise", "void"]
    assert await ended(db) == ("voided", [("released", authorised)] * 2, told)


async def test_what_is_authorised_while_an_order_is_cancelled_is_captured_without_it(db: Database) -> None:
    placed = await _two(db)
    says = fact(placed, PaymentState.AUTHORISED)
    assert await _while_one_is_cancelled(db, placed, payment_changed, PROCESSOR, says) == 2
    assert await ended(db) == ("authorised", [("released", False), ("open", True)], ["authorise", "capture"])
    async with db.read(WORKER) as tx:
        asked = await tx.scalar("SELECT amount_minor FROM billing.payment_command WHERE kind = 'capture'")
    assert asked == B.card_minor


async def test_nobody_is_told_to_let_cash_go(db: Database) -> None:
    placed = await _two(db, "cash")
    for merchant_id in MERCHANTS[:2]:
        await db.write(WORKER, "buyer", cancel, placed, merchant_id)
    state, parts, told = await ended(db)
    assert (state, parts) == ("voided", [("released", False)] * 2)
    assert "void" not in told
