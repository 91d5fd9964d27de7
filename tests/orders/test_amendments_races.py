"""Amendments against each other and against what else happens to the order, on connections of their own."""

import asyncio
from collections.abc import Awaitable

import pytest

from demand.amendments.model import AmendmentState
from demand.lifecycle import Move, Party
from demand.model import OrderState
from demand.store import lock_order, move_order
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict
from marketplace.flows.orders.amend_order import accept_amendment, cancel_amendment
from marketplace.flows.orders.pay_amendment import charge_captured, charge_failed
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from supply.stock import store as stock
from supply.stock.store import Units
from tests.billing.locks import wait_until_blocked
from tests.billing.market import check_books
from tests.orders.amending import (
    AS_BUYER,
    AS_MERCHANT,
    LAMP,
    MERCHANT,
    ORDER,
    accept,
    add_paid_order,
    both,
    decision,
    lines_of,
    more,
    off,
    payment_of,
    propose,
    worth,
)


async def outcomes(*deeds: Awaitable[object]) -> list[object]:
    """What came of each: its result, or its refusal. Any other failure is raised."""
    found = await asyncio.gather(*deeds, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, AppError):
            raise one
    return list(found)


def refusals(found: list[object]) -> int:
    return sum(isinstance(one, Conflict) for one in found)


async def _ship(tx: Tx) -> None:
    """The merchant ships every unit, as the flow that ships does it: state, units, then stock."""
    order = await lock_order(tx, MERCHANT, ORDER)
    await move_order(tx, order, Move.SHIP, Party.MERCHANT, target=OrderState.FULFILLING)
    rows = await tx.rows(
        """UPDATE demand.order_line SET shipped_quantity = quantity - cancelled_quantity
           WHERE merchant_id = :merchant AND order_id = :order RETURNING product_id, shipped_quantity""",
        merchant=MERCHANT,
        order=ORDER,
    )
    await stock.ship(tx, [Units(MERCHANT, row.product_id, row.shipped_quantity) for row in rows if row.product_id])


async def test_accepted_twice_it_is_applied_once(db: Database) -> None:
    await add_paid_order(db)
    held = await propose(db, off(1, 1))
    found = await outcomes(*(accept(db, held) for _ in range(8)))
    assert refusals(found) == 7
    assert worth(await lines_of(db)) == 8_000
    await check_books(db)


async def test_proposed_at_once_one_is_open(db: Database) -> None:
    await add_paid_order(db)
    found = await outcomes(*(propose(db, off(1, 1), by) for by in (AS_MERCHANT, AS_BUYER) * 4))
    assert refusals(found) == 7


@pytest.mark.parametrize("first", ["accept", "ship"])
async def test_accept_against_ship(db: Database, first: str) -> None:
    """Whoever comes first holds the order; the other finds it changed."""
    await add_paid_order(db)
    held = await propose(db, off(1, 1))
    holds, release = asyncio.Event(), asyncio.Event()

    async def ahead(tx: Tx) -> None:
        if first == "ship":
            await _ship(tx)
        else:
            await accept_amendment(tx, decision(held))
        holds.set()
        await release.wait()

    leading = asyncio.create_task(db.write(WORKER, "first", ahead))
    await holds.wait()
    other = accept(db, held) if first == "ship" else db.write(WORKER, "second", _ship)
    following = asyncio.create_task(other)
    await wait_until_blocked(db)
    release.set()
    await leading
    [came] = await outcomes(following)
    [line] = await lines_of(db)
    if first == "ship":
        assert isinstance(came, Conflict)
        assert "not shipped yet" in came.detail
        assert (line.shipped_quantity, line.cancelled_quantity, worth([line])) == (3, 0, 12_000)
    else:
        assert (line.shipped_quantity, line.cancelled_quantity, worth([line])) == (2, 1, 8_000)
    await check_books(db)


async def test_accept_against_cancel_of_the_amendment(db: Database) -> None:
    await add_paid_order(db)
    held = await propose(db, more(LAMP))
    found = await outcomes(
        accept(db, held), db.write(WORKER, "merchant", cancel_amendment, decision(held, AS_MERCHANT))
    )
    async with db.read(WORKER) as tx:
        state = await tx.scalar("SELECT state FROM demand.amendment")
        held_back = await tx.scalar("SELECT reserved FROM supply.stock")
        voided = await tx.scalar("SELECT count(*) FROM billing.payment WHERE state = 'voided'")
    # Cancelling after the acceptance takes back what waits for its payment.
    assert (state, held_back) == ("cancelled", 3)
    assert (refusals(found), voided) in {(0, 1), (1, 0)}
    await check_books(db)


async def test_accept_against_a_refund_of_the_whole_order(db: Database) -> None:
    await add_paid_order(db)
    held = await propose(db, off(1, 1))
    refund = RefundOrder(merchant_id=MERCHANT, order_id=ORDER, reason="not_delivered")
    found = await outcomes(accept(db, held), db.write(WORKER, "platform", refund_order, refund))
    assert refusals(found) <= 1
    assert worth(await lines_of(db)) == 0
    await check_books(db)


async def test_captured_against_failed_against_cancelled(db: Database) -> None:
    """Whatever the processor and the buyer say at once, money and lines agree afterwards."""
    await add_paid_order(db)
    held = await accept(db, await propose(db, both(off(1, 1), more(LAMP, 2))))
    payment = await payment_of(db, held)
    await outcomes(
        db.write(WORKER, "processor", charge_captured, payment),
        db.write(WORKER, "processor", charge_captured, payment),
        db.write(WORKER, "processor", charge_failed, payment, "declined"),
        db.write(WORKER, "buyer", cancel_amendment, decision(held)),
    )
    async with db.read(WORKER) as tx:
        state = await tx.scalar("SELECT state FROM demand.amendment")
        kinds = [row.kind for row in await tx.rows("SELECT kind FROM billing.entry WHERE kind LIKE 'amendment%'")]
        held_back = await tx.scalar("SELECT reserved FROM supply.stock")
    applied = state == AmendmentState.APPLIED
    assert kinds == (["amendment_paid"] if applied else ["amendment_voided"])
    assert worth(await lines_of(db)) == (13_200 if applied else 12_000)
    assert held_back == (4 if applied else 3)
    await check_books(db)


async def test_the_last_units_are_added_to_one_order_only(db: Database) -> None:
    """A sale of the last units at the same moment: never oversold."""
    await add_paid_order(db)
    held = await propose(db, more(LAMP, 4))

    async def sell(tx: Tx) -> None:
        await stock.exchange(tx, [Units(MERCHANT, LAMP, 4)])

    found = await outcomes(accept(db, held), db.write(WORKER, "shop", sell))
    assert refusals(found) == 1
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT reserved FROM supply.stock") == 7
    if not isinstance(found[1], Conflict):  # sold to an order that is not there
        await db.write(WORKER, "shop", stock.release, [Units(MERCHANT, LAMP, 4)])
    await check_books(db)
