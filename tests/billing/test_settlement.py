"""The settlement pass in SQL equals the readable rule, whatever the orders and however the pass is cut."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.contracts.terms import Terms, Tier, choose
from billing.rating import DueOrder, Part, settle
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows import settle_orders
from marketplace.flows.apply_contracts import apply_versions
from marketplace.flows.settle_orders import settle_through
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import fresh_database

CATEGORIES = [None, "toys", "books"]
START = datetime(2018, 4, 20, tzinfo=UTC)

amounts = st.integers(0, 5_000) | st.integers(0, 3_000_000)
rates = st.sampled_from([0, 1, 100_000, 125_000, 333_333, 1_000_000]) | st.integers(0, 1_000_000)


@st.composite
def terms(draw: st.DrawFn, name: str) -> Terms:
    tiers = None
    if draw(st.booleans()):
        bounds = sorted(draw(st.sets(st.integers(1, 400_000), max_size=3)))
        tiers = tuple(Tier(bound, draw(rates)) for bound in [0, *bounds])
    low = draw(st.none() | st.integers(0, 900))
    high = draw(st.none() | st.integers(low or 0, 20_000))
    return Terms(
        name=name,
        currency="EUR",
        valid_from=START.date() + timedelta(days=draw(st.integers(-10, 10))),
        valid_until=draw(st.none() | st.just(START.date() + timedelta(days=25))),
        merchants=draw(st.none() | st.sampled_from([("m1",), ("m1", "m2"), ("nobody",)])),
        categories=draw(st.none() | st.sampled_from([("toys",), ("books", "toys")])),
        base=draw(st.sampled_from(["goods", "goods_and_freight"])),
        rate_ppm=None if tiers else draw(rates),
        tiers=tiers,
        fixed_minor=draw(st.sampled_from([0, 0, 30, 500])),
        min_minor=low,
        max_minor=high,
        vat_ppm=draw(st.sampled_from([0, 50_000, 190_000])),
    )


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[Terms], list[Order]]:
    contracts = [draw(terms(name)) for name in draw(st.sampled_from([["a"], ["b", "a"], ["B", "a", "é"]]))]
    lines = st.builds(
        Line, goods_minor=st.integers(1, 300_000), freight_minor=amounts, category=st.sampled_from(CATEGORIES)
    )
    orders = [
        Order(
            merchant_id=draw(st.integers(1, 3)),
            order_id=number,
            order_ref=draw(st.sampled_from(["x", "Y", "é"])) + f"{number}",
            lines=tuple(draw(st.lists(lines, min_size=1, max_size=3))),
            placed_at=START + timedelta(days=draw(st.integers(0, 30))),
            settles_at=START + timedelta(days=draw(st.integers(31, 36)), hours=draw(st.integers(0, 2))),
        )
        for number in range(1, draw(st.integers(1, 12)) + 1)
    ]
    return contracts, orders


def expected(contracts: list[Terms], orders: list[Order]) -> dict[tuple[str, str, str], tuple[int, int, int]]:
    """(merchant, order, contract) -> (base, commission, vat), by the pure rule."""
    due = []
    for order in orders:
        parts: dict[Terms, list[Line]] = {}
        for line in order.lines:
            chosen = choose(contracts, f"m{order.merchant_id}", line.category, "EUR", order.placed_at.date())
            if chosen is None:
                break
            parts.setdefault(chosen, []).append(line)
        else:
            assert order.settles_at
            due.append(
                DueOrder(
                    merchant_ref=f"m{order.merchant_id}",
                    order_ref=order.ref,
                    settles_at=order.settles_at,
                    settles_on=order.settles_at.date(),
                    parts=tuple(
                        Part(
                            contract=contract,
                            goods_minor=sum(line.goods_minor for line in lines),
                            freight_minor=sum(line.freight_minor for line in lines),
                        )
                        for contract, lines in parts.items()
                    ),
                )
            )
    return {
        (r.merchant_ref, r.order_ref, r.contract.name): (r.base_minor, r.commission_minor, r.vat_minor)
        for r in settle(due)
    }


_STORED = """
SELECT m.merchant_ref, o.order_ref, k.name, c.base_minor, c.commission_minor, c.vat_minor
FROM billing.commission_line c JOIN demand.merchant_order o USING (merchant_id, order_id)
JOIN supply.merchant m USING (merchant_id) JOIN billing.contract k USING (contract_id)
"""


async def _prepare(tx: Tx, contracts: list[Terms], orders: list[Order]) -> None:
    await add_market(tx, [1, 2, 3])
    await add_orders(tx, orders)
    await apply_versions(tx, contracts)


@settings(max_examples=60)
@given(markets(), st.sampled_from([1, 3, 20_000]))
async def test_the_pass_in_sql_is_the_readable_rule(
    maintenance_url: str, market: tuple[list[Terms], list[Order]], bucket: int
) -> None:
    contracts, orders = market
    async with fresh_database(maintenance_url) as db:
        await db.write(WORKER, "test", _prepare, contracts, orders)
        before = settle_orders.ORDERS_PER_BUCKET
        settle_orders.ORDERS_PER_BUCKET = bucket  # however the pass is cut, the result is one
        try:
            settled = await settle_through(db, "test", date(2018, 6, 30))
        finally:
            settle_orders.ORDERS_PER_BUCKET = before
        wanted = expected(contracts, orders)
        async with db.read(WORKER) as tx:
            stored = {tuple(row[:3]): tuple(row[3:]) for row in await tx.rows(_STORED)}
            numbers = await tx.rows(
                "SELECT merchant_id, count(*) AS n, max(entry_no) AS last FROM billing.entry GROUP BY merchant_id"
            )
            left = {row.order_ref for row in await tx.rows("SELECT order_ref FROM billing.parked_order")}
        assert stored == wanted
        assert all(row.n == row.last for row in numbers)
        assert left == {order.ref for order in orders} - {order for _, order, _ in wanted}
        assert settled.orders == len({key[:2] for key in wanted})


async def test_two_passes_at_once_settle_every_order_once(db: Database) -> None:
    flat = Terms(name="flat", currency="EUR", valid_from=date(2018, 1, 1), rate_ppm=100_000)
    orders = [Order(merchant_id=1 + n % 3, order_id=n, lines=(Line(goods_minor=1000),)) for n in range(1, 40)]
    await db.write(WORKER, "test", _prepare, [flat], orders)
    through = date(2018, 6, 30)
    passes = await asyncio.gather(*(settle_through(db, f"clerk {n}", through) for n in range(4)))
    assert max(done.orders for done in passes) == 39
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM billing.entry WHERE kind = 'order_settled'") == 39
        assert await tx.scalar("SELECT sum(last_entry_no) FROM billing.ledger_head") == 2 * 39
