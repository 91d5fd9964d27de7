"""The settlement pass in SQL equals the readable rule, whatever the orders and however the pass is cut."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.contracts.terms import Terms, Tier, choose
from billing.ledger.chart import Account
from billing.ledger.store import balances
from billing.rating import DueOrder, Part, settle
from demand.model import OrderState
from demand.store import list_orders
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.rates import PPM, divide_half_even
from marketplace.flows.commission import settle_orders
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.refunds.refund_order import RefundLine, RefundOrder, refund_order
from tests.billing.market import FLAT, check_books, order
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import fresh_database

CATEGORIES = [None, "toys", "books"]
CURRENCIES = ["EUR", "EUR", "USD"]
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
        currency=draw(st.sampled_from(CURRENCIES)),
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


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """An order and what was given back of it before it settled."""

    order: Order
    currency: str
    given_back: tuple[RefundLine, ...] = ()

    @property
    def left(self) -> list[Line]:
        """The lines less what was given back."""
        back = {line.line_no: line for line in self.given_back}
        return [
            msgspec.structs.replace(
                line,
                goods_minor=line.goods_minor - gone.goods_minor,
                freight_minor=line.freight_minor - gone.freight_minor,
            )
            for number, line in enumerate(self.order.lines, start=1)
            for gone in [back.get(number, RefundLine(number, 0))]
        ]

    @property
    def left_minor(self) -> int:
        return sum(line.goods_minor - line.discount_minor + line.freight_minor for line in self.left)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    goods = draw(st.integers(0, 300_000) | st.just(0))
    return Line(
        goods_minor=goods,
        freight_minor=draw(amounts | st.just(0)),
        discount_minor=draw(st.sampled_from([0, 0, goods // 3, goods])),
        category=draw(st.sampled_from(CATEGORIES)),
    )


@st.composite
def returns(draw: st.DrawFn, number: int, line: Line) -> RefundLine:
    """Nothing, a part or all of a line."""
    goods, freight = line.goods_minor - line.discount_minor, line.freight_minor
    return RefundLine(
        number, draw(st.sampled_from([0, 0, goods // 2, goods])), draw(st.sampled_from([0, 0, freight // 2, freight]))
    )


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[Terms], list[Sale]]:
    contracts = [draw(terms(name)) for name in draw(st.sampled_from([["a"], ["b", "a"], ["B", "a", "é"]]))]
    sales = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        sold = draw(st.lists(lines(), min_size=1, max_size=3))
        back = [draw(returns(line_no, line)) for line_no, line in enumerate(sold, start=1)]
        order = Order(
            merchant_id=draw(st.integers(1, 3)),
            order_id=number,
            order_ref=draw(st.sampled_from(["x", "Y", "é"])) + f"{number}",
            lines=tuple(sold),
            placed_at=START + timedelta(days=draw(st.integers(0, 30))),
            settles_at=START + timedelta(days=draw(st.integers(31, 36)), hours=draw(st.integers(0, 2))),
        )
        given_back = tuple(line for line in back if line.goods_minor + line.freight_minor)
        sales.append(Sale(order=order, currency=draw(st.sampled_from(CURRENCIES)), given_back=given_back))
    return contracts, sales


def expected(contracts: list[Terms], sales: list[Sale]) -> dict[tuple[str, str, str], tuple[int, int, int]]:
    """(merchant, order, contract) -> (base, commission, vat), by the pure rule."""
    due = []
    for sale in sales:
        order = sale.order
        parts: dict[Terms, list[Line]] = {}
        for line in sale.left:
            if line.goods_minor - line.discount_minor + line.freight_minor == 0:
                continue  # owes nothing, whoever covers it
            chosen = choose(contracts, f"m{order.merchant_id}", line.category, sale.currency, order.placed_at.date())
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
                            goods_minor=sum(line.goods_minor for line in of_contract),
                            freight_minor=sum(line.freight_minor for line in of_contract),
                            discount_minor=sum(line.discount_minor for line in of_contract),
                        )
                        for contract, of_contract in parts.items()
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


async def _prepare(tx: Tx, contracts: list[Terms], sales: list[Sale]) -> None:
    await add_market(tx, [1, 2, 3])
    for currency in sorted(set(CURRENCIES)):
        await add_orders(tx, [sale.order for sale in sales if sale.currency == currency], currency=currency)
    await apply_versions(tx, contracts)
    for sale in sales:
        if sale.given_back:
            await refund_order(tx, _refund(sale.order, sale.given_back))


def _refund(order: Order, lines: tuple[RefundLine, ...] | None = None) -> RefundOrder:
    return RefundOrder(merchant_id=order.merchant_id, order_id=order.order_id, reason="returned", lines=lines)


async def _give_back(tx: Tx, sales: list[Sale]) -> None:
    """Half of what is left of the freight, then all that is left."""
    for sale in sales:
        halves = ((number, line.freight_minor // 2) for number, line in enumerate(sale.left, start=1))
        freight = tuple(RefundLine(number, 0, half) for number, half in halves if half)
        if freight:
            await refund_order(tx, _refund(sale.order, freight))
        await refund_order(tx, _refund(sale.order))


@settings(max_examples=60)
@given(markets(), st.sampled_from([1, 3, 20_000]))
async def test_the_pass_in_sql_is_the_readable_rule(
    maintenance_url: str, market: tuple[list[Terms], list[Sale]], bucket: int
) -> None:
    contracts, sales = market
    async with fresh_database(maintenance_url) as db:
        await db.write(WORKER, "test", _prepare, contracts, sales)
        before = settle_orders.PARTS_PER_BUCKET
        settle_orders.PARTS_PER_BUCKET = bucket  # however the pass is cut, the result is one
        try:
            settled = await settle_through(db, "test", date(2018, 6, 30))
        finally:
            settle_orders.PARTS_PER_BUCKET = before
        wanted = expected(contracts, sales)
        async with db.read(WORKER) as tx:
            stored = {tuple(row[:3]): tuple(row[3:]) for row in await tx.rows(_STORED)}
            numbers = await tx.rows(
                "SELECT merchant_id, count(*) AS n, max(entry_no) AS last FROM billing.entry GROUP BY merchant_id"
            )
            left = {row.order_ref for row in await tx.rows("SELECT order_ref FROM billing.parked_order")}
        assert stored == wanted
        assert all(row.n == row.last for row in numbers)
        done = {order for _, order, _ in wanted}
        assert left == {sale.order.ref for sale in sales if sale.left_minor} - done
        assert settled.orders == len(done)
        await db.write(WORKER, "test", _give_back, [sale for sale in sales if sale.order.ref in done])
        await check_books(db)
        assert await _earned(db) == {}


async def _earned(db: Database) -> dict[tuple[int, str, int], int]:
    """What the platform keeps of commission and VAT, by merchant, currency and account."""
    kept = {}
    async with db.read(WORKER) as tx:
        for merchant_id in (1, 2, 3):
            for balance in await balances(tx, merchant_id):
                if balance.account in (Account.COMMISSION, Account.OUTPUT_VAT) and balance.balance_minor:
                    kept[merchant_id, balance.currency, balance.account] = -balance.balance_minor
    return kept


async def test_lines_worth_nothing_owe_no_fee(db: Database) -> None:
    """Given back before settlement or free: neither the fixed part nor the minimum of their contract is due."""
    flat = msgspec.structs.replace(FLAT, name="flat", vat_ppm=0, categories=("toys",))
    fee = msgspec.structs.replace(FLAT, name="fee", categories=("books",), fixed_minor=500, min_minor=700)
    toy, book = Line(goods_minor=10_000, category="toys"), Line(goods_minor=5_000, category="books")
    free = Line(goods_minor=5_000, discount_minor=5_000, category="books")
    sales = [
        Sale(
            order=Order(merchant_id=1, order_id=1, lines=(toy, book)),
            currency="EUR",
            given_back=(RefundLine(2, 5_000),),
        ),
        Sale(order=Order(merchant_id=1, order_id=2, lines=(free, toy)), currency="EUR"),
        Sale(order=Order(merchant_id=1, order_id=3, lines=(free,)), currency="EUR"),
    ]
    await db.write(WORKER, "test", _prepare, [flat, fee], sales)
    assert (await settle_through(db, "test", date(2018, 6, 30))).orders == 2
    assert await _earned(db) == {(1, "EUR", Account.COMMISSION): 2_000}
    async with db.read(WORKER) as tx:
        assert {found.state for found in await list_orders(tx, limit=10)} == {OrderState.SETTLED}
    await check_books(db)


async def test_vat_of_one_currency_does_not_round_into_another(db: Database) -> None:
    """20 % VAT on 2 and 2 cents in EUR is 1 cent, on 2 cents in USD nothing, whichever settles first."""
    at = datetime(2018, 5, 3, 10, tzinfo=UTC)
    sales = [
        Sale(
            order=msgspec.structs.replace(order(1, number, at.date(), 20), settles_at=at.replace(hour=hour)),
            currency=of,
        )
        for number, hour, of in [(1, 10, "EUR"), (2, 11, "USD"), (3, 12, "EUR")]
    ]
    await db.write(WORKER, "test", _prepare, [FLAT, msgspec.structs.replace(FLAT, name="us", currency="USD")], sales)
    await settle_through(db, "test", date(2018, 6, 30))
    commission = {(1, "EUR", Account.COMMISSION): 4, (1, "USD", Account.COMMISSION): 2}
    assert await _earned(db) == {**commission, (1, "EUR", Account.OUTPUT_VAT): 1}
    await check_books(db)


@pytest.mark.parametrize("tiers", [None, (Tier(0, 300_000), Tier(AMOUNT_MAX, 500_001))])
async def test_the_largest_orders_settle_to_the_cent(db: Database, tiers: tuple[Tier, ...] | None) -> None:
    """Their products with a rate leave 64 bits, and so does the month's; nobody else's order waits for them."""
    large = msgspec.structs.replace(FLAT, rate_ppm=None if tiers else 500_001, tiers=tiers)
    many = tuple(Line(goods_minor=AMOUNT_MAX - number) for number in range(40))
    sales = [
        *(Sale(order=Order(merchant_id=1, order_id=number, lines=many), currency="EUR") for number in (1, 2)),
        Sale(order=order(2, 3, date(2018, 5, 3)), currency="EUR"),
    ]
    await db.write(WORKER, "test", _prepare, [large], sales)
    assert (await settle_through(db, "test", date(2018, 6, 30))).orders == 3
    async with db.read(WORKER) as tx:
        stored = {tuple(row[:3]): tuple(row[3:]) for row in await tx.rows(_STORED)}
    assert stored == expected([large], sales)
    await check_books(db)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**18) | st.integers(0, 4_000_000), rates | st.just(PPM // 2), st.integers(0, 10**18)
        ),
        min_size=50,
        max_size=50,
    )
)
@settings(max_examples=20)
async def test_the_rate_in_sql_rounds_as_the_readable_one(db: Database, cases: list[tuple[int, int, int]]) -> None:
    given_ones = ", ".join(f"({amount}, {rate}, {reached})" for amount, rate, reached in cases)
    async with db.read(WORKER) as tx:
        found = await tx.rows(
            f"SELECT billing.at_rate(amount, rate, reached) FROM (VALUES {given_ones}) AS v (amount, rate, reached)"
        )
    assert [row[0] for row in found] == [
        divide_half_even(reached + amount * rate, PPM) for amount, rate, reached in cases
    ]


async def test_two_passes_at_once_settle_every_order_once(db: Database) -> None:
    flat = Terms(name="flat", currency="EUR", valid_from=date(2018, 1, 1), rate_ppm=100_000)
    orders = [Order(merchant_id=1 + n % 3, order_id=n, lines=(Line(goods_minor=1000),)) for n in range(1, 40)]
    await db.write(WORKER, "test", _prepare, [flat], [Sale(order=order, currency="EUR") for order in orders])
    through = date(2018, 6, 30)
    passes = await asyncio.gather(*(settle_through(db, f"clerk {n}", through) for n in range(4)))
    assert max(done.orders for done in passes) == 39
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM billing.entry WHERE kind = 'order_settled'") == 39
        assert await tx.scalar("SELECT sum(last_entry_no) FROM billing.ledger_head") == 2 * 39
