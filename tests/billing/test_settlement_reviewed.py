"""What a review of the settlement pass found or feared: earnings, rows that come late, states, plans."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from billing.contracts.terms import Terms
from billing.runs.model import period_named
from demand.model import OrderState
from demand.store import list_orders, queue_delivered, refresh_due_order
from marketplace.core import work
from marketplace.core.db import STAFF, WORKER, Database, Role, Scope, Tx
from marketplace.core.together import together
from marketplace.flows.commission import settle_orders
from marketplace.flows.commission import settle_orders_sql as sql
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import Earned, settle_bucket, settle_through
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from marketplace.flows.runs.run_billing import run_period
from tests.billing.locks import wait_until_blocked
from tests.billing.market import check_books
from tests.billing.test_runs_reviewed import Held
from tests.builders import Line, Order, add_market, add_orders

THROUGH = date(2018, 6, 30)
EUR = Terms(name="eur", currency="EUR", valid_from=date(2018, 1, 1), rate_ppm=100_000, vat_ppm=200_000)
USD = msgspec.structs.replace(EUR, name="usd", currency="USD")


def delivered(merchant_id: int, order_id: int, day: date, **more: Any) -> Order:
    at = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
    lines = (Line(goods_minor=10_000, **more),)
    return Order(merchant_id=merchant_id, order_id=order_id, lines=lines, placed_at=at, settles_at=at)


async def prepare(tx: Tx, orders: Sequence[Order], contracts: Sequence[Terms] = (EUR, USD)) -> None:
    await add_market(tx, [1, 2])
    await apply_versions(tx, list(contracts))
    await add_orders(tx, orders)


async def test_earnings_count_what_came_after_the_pass_was_planned(db: Database) -> None:
    await db.write(WORKER, "test", prepare, [delivered(1, 1, date(2018, 5, 3))])
    await db.write(WORKER, "test", settle_orders._plan, THROUGH)
    await db.write(WORKER, "test", add_orders, [delivered(1, 2, date(2018, 3, 3))])
    settled = await settle_through(db, "test", THROUGH)
    assert (settled.orders, settled.earned) == (2, [Earned("EUR", 2_000, 400)])
    await check_books(db)


async def test_earnings_name_only_currencies_in_which_something_settled(db: Database) -> None:
    await db.write(WORKER, "test", prepare, [])
    await db.write(WORKER, "test", add_orders, [delivered(1, 1, date(2018, 5, 3))], currency="USD")
    assert (await settle_through(db, "test", THROUGH)).earned == [Earned("USD", 1_000, 200)]
    await db.write(WORKER, "test", add_orders, [delivered(1, 2, date(2018, 5, 4))])
    assert (await settle_through(db, "test", THROUGH)).earned == [Earned("EUR", 1_000, 200)]


async def test_an_order_that_falls_due_in_between_has_the_bucket_start_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody queues an order so late without the merchant's head; if somebody ever does, it is not lost."""
    await db.write(WORKER, "test", prepare, [delivered(1, 1, date(2018, 5, 3))])
    await db.write(WORKER, "test", add_orders, [delivered(1, 2, date(2018, 5, 4))])
    await db.write(WORKER, "test", Tx.execute, "DELETE FROM demand.order_due WHERE order_id = 2")
    frozen = "UPDATE demand.order_line SET contract_id = (SELECT contract_id FROM billing.contract WHERE name = 'eur')"
    await db.write(WORKER, "test", Tx.execute, frozen)
    await db.write(WORKER, "test", refresh_due_order, 1, 1)
    rated: list[int] = []
    execute = Tx.execute

    async def interrupted(tx: Tx, statement: Any, bound: Any = None) -> Any:
        result = await execute(tx, statement, bound)
        if statement is sql.RATE:
            rated.append(result.rowcount)
            if len(rated) == 1:
                await db.write(WORKER, "late", queue_late)
        return result

    async def queue_late(tx: Tx) -> None:
        await queue_delivered(tx, [1], after_order_id=1, upto_order_id=2)

    monkeypatch.setattr(Tx, "execute", interrupted)
    settled = await settle_through(db, "test", THROUGH)
    assert (rated, settled.orders) == ([1, 2], 2)
    await check_books(db)


async def test_a_refund_waits_for_the_pass_and_the_pass_for_a_refund(db: Database) -> None:
    await db.write(WORKER, "test", prepare, [delivered(1, 1, date(2018, 5, 3)), delivered(2, 2, date(2018, 5, 3))])
    whole = RefundOrder(merchant_id=1, order_id=1, reason="returned")
    part = RefundOrder(merchant_id=2, order_id=2, reason="returned", lines=(RefundLine(1, 4_000),))
    settling = Held(db, lambda tx: settle_bucket(tx, [1], THROUGH))
    await settling.did()
    refund = asyncio.create_task(db.write(WORKER, "test", refund_order, whole))
    await wait_until_blocked(db)
    await settling.let_go()
    assert (await refund).commission_minor == 1_000
    refunding = Held(db, lambda tx: refund_order(tx, part))
    await refunding.did()
    settled = asyncio.create_task(settle_through(db, "test", THROUGH))
    await wait_until_blocked(db)
    await refunding.let_go()
    assert (await settled).earned == [Earned("EUR", 600, 120)]
    await check_books(db)


async def test_everybody_sees_the_same_states_and_finds_orders_by_them(db: Database) -> None:
    later, paid = delivered(1, 3, date(2018, 7, 1)), msgspec.structs.replace(delivered(1, 4, THROUGH), settles_at=None)
    orders = [delivered(1, 1, date(2018, 5, 3)), delivered(2, 2, date(2018, 5, 3)), later, paid]
    await db.write(WORKER, "test", prepare, orders)
    await settle_through(db, "test", THROUGH)
    states = {1: OrderState.SETTLED, 2: OrderState.SETTLED, 3: OrderState.DELIVERED, 4: OrderState.PAID}
    for scope, seen in ((STAFF, {1, 2, 3, 4}), (WORKER, {1, 2, 3, 4}), (Scope(Role.MERCHANT, 1), {1, 3, 4})):
        async with db.read(scope) as tx:
            assert {each.order_id: each.state for each in await list_orders(tx, limit=9)} == {
                n: states[n] for n in seen
            }
            for state in OrderState:
                found = {each.order_id for each in await list_orders(tx, state=state, limit=9)}
                assert found == {n for n in seen if states[n] == state}


async def test_what_stays_parked_is_not_written_again(db: Database) -> None:
    await db.write(WORKER, "test", prepare, [delivered(1, 1, date(2018, 5, 3), category="toys")], [USD])
    versions = "SELECT (SELECT xmin FROM demand.order_due), (SELECT xmin FROM billing.parked_order)"
    seen = []
    for _ in range(2):
        assert (await settle_through(db, "test", THROUGH)).parked == 1
        async with db.read(WORKER) as tx:
            seen.append(await tx.row(versions))
    assert seen[0] == seen[1]


async def test_a_run_says_what_its_month_leaves_unsettled_and_a_pass_whose_order_it_parked(db: Database) -> None:
    may, june = date(2018, 5, 3), date(2018, 6, 3)
    toys = [delivered(1, 1, may, category="toys"), delivered(1, 2, june, category="toys")]
    listed = msgspec.structs.replace(EUR, categories=("books",))
    await db.write(WORKER, "test", prepare, [*toys, delivered(2, 3, may, category="books")], [listed])
    parked = (await settle_through(db, "test", THROUGH)).parked_orders
    assert [(each.order_ref, each.merchant_ref) for each in parked] == [("order-1", "m1"), ("order-2", "m1")]
    assert (await run_period(db, "test", period_named("2018-05"))).unsettled == 1


@pytest.mark.parametrize("statement", ["POST", "ADD_TO_MONTH"])
async def test_what_was_settled_long_ago_is_not_read_again(db: Database, statement: str) -> None:
    """Each head probes the lines that were written behind it, whatever the planner knows of the table."""
    bound = {"merchants": [1, 2], "now": datetime(2018, 7, 1, tzinfo=UTC), "actor": "test"}
    compiled = getattr(sql, statement)
    wanted = {name: value for name, value in bound.items() if name in compiled.compile().params}

    async def plan(tx: Tx) -> str:
        await tx.plan_in_bulk()
        explained = await tx.execute(compiled.__class__(f"EXPLAIN {compiled.text}").bindparams(sql.MERCHANTS), wanted)
        return "\n".join(row[0] for row in explained)

    assert "pk_commission_line" in await db.write(WORKER, "test", plan)


async def test_the_first_failure_ends_the_others() -> None:
    going_on = asyncio.Event()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise work.BatchFailed(1, 1)

    async def goes_on() -> None:
        await asyncio.sleep(0.05)
        going_on.set()

    with pytest.raises(work.BatchFailed):
        await together(fails(), goes_on())
    await asyncio.sleep(0.1)
    assert not going_on.is_set()
