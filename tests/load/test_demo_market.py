"""The demonstration market: the same every time, believable, and with breaks that reconciliation finds exactly."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.demo.demo_market import (
    ENTITY,
    DemoMarket,
    baskets,
    demo_contracts,
    load_demo_market,
    make_market,
    quarter_before,
)
from marketplace.flows.imports.load_orders_model import Fate
from marketplace.flows.payments.reconcile_payments import (
    MatchKind,
    PaymentBreak,
    list_payment_breaks,
    reconcile_payments,
)
from tests.conftest import NOW
from tests.load.folders import contents


@pytest.fixture(scope="module")
def small() -> DemoMarket:
    return make_market(NOW, orders=1500, merchants=40)


@pytest.mark.parametrize(
    ("now", "quarter"),
    [
        (datetime(2018, 9, 3, 12, tzinfo=UTC), (date(2018, 6, 1), date(2018, 9, 2))),
        (datetime(2018, 3, 1, 12, tzinfo=UTC), (date(2017, 12, 1), date(2018, 2, 28))),
        (datetime(2018, 11, 30, 12, tzinfo=UTC), (date(2018, 9, 1), date(2018, 11, 29))),
        (datetime(2018, 3, 31, 21, 59, tzinfo=UTC), (date(2018, 1, 1), date(2018, 3, 30))),
        (datetime(2018, 3, 31, 22, 0, tzinfo=UTC), (date(2018, 1, 1), date(2018, 3, 31))),  # April in Berlin
    ],
)
def test_the_quarter_ends_yesterday_and_holds_two_closed_months(now: datetime, quarter: tuple[date, date]) -> None:
    assert quarter_before(now) == quarter


def test_the_same_seed_draws_the_same_market(small: DemoMarket) -> None:
    assert make_market(NOW, orders=1500, merchants=40) == small
    assert list(baskets(small)) == list(baskets(small))
    assert list(baskets(make_market(NOW, orders=1500, merchants=40, seed=8))) != list(baskets(small))


def test_the_full_size_is_a_believable_quarter() -> None:
    market = make_market(NOW)
    drawn = list(baskets(market))
    assert len(drawn) == 20_000
    assert len({shop.name for shop in market.shops}) == len(market.shops) == 200
    assert {basket.placed_at.date() for basket in drawn} == {
        date.fromordinal(n) for n in range(market.first_on.toordinal(), market.last_on.toordinal() + 1)
    }
    fates = Counter(basket.fate for basket in drawn)
    assert fates[Fate.DELIVERED] > 17_500
    assert 300 < fates[Fate.CANCELLED] < 900
    assert fates[Fate.OPEN] > 200
    assert {len(basket.lines) for basket in drawn} == {0, 1, 2, 3, 4}
    assert 100 < sum(len({shop.merchant_ref for shop, *_ in basket.lines}) == 2 for basket in drawn) < 2000
    sold = Counter(shop.merchant_ref for basket in drawn for shop, *_ in basket.lines)
    assert max(sold.values()) > 20 * sorted(sold.values())[len(sold) // 4]
    saturdays = sum(basket.placed_at.weekday() == 5 for basket in drawn)
    assert saturdays < sum(basket.placed_at.weekday() == 0 for basket in drawn)


async def test_reconciliation_finds_exactly_what_was_planted(db: Database, small: DemoMarket) -> None:
    loaded = await load_demo_market(db, "operator", small)
    async with db.read(WORKER) as tx:
        found = await reconcile_payments(tx)
        for kind in MatchKind:
            if kind is MatchKind.MATCHED:
                continue
            breaks = await list_payment_breaks(tx, kind, limit=200)
            assert {row.order_ref for row in breaks} == small.planted_refs(kind) != set()
            assert all(row.kind is kind for row in breaks)
            tally = getattr(found, kind.value)
            assert (tally.count, tally.sum_minor) == (len(breaks), sum(row.difference_minor for row in breaks))
    assert found.matched.count == small.orders - len(small.planted)
    assert found.paid_minor == loaded.payments_minor
    assert found.due_minor == loaded.gmv_minor + loaded.freight_minor
    assert found.bridge_minor == found.difference_minor == found.paid_minor - found.due_minor


async def test_breaks_are_listed_page_by_page(db: Database, small: DemoMarket) -> None:
    await load_demo_market(db, "operator", small)
    async with db.read(WORKER) as tx:
        whole = await list_payment_breaks(tx, limit=200)
        paged: list[PaymentBreak] = []
        while page := await list_payment_breaks(tx, limit=3, after=paged[-1].order_ref if paged else ""):
            paged += page
    assert len(whole) == len(small.planted)
    assert paged == whole


async def test_loading_it_again_changes_nothing(db: Database, small: DemoMarket) -> None:
    first = await load_demo_market(db, "operator", small)
    before = await contents(db)
    assert await load_demo_market(db, "operator", small) == first
    assert await contents(db) == before


async def test_its_contracts_cover_every_line(db: Database, small: DemoMarket) -> None:
    applied = await apply_file(db, "operator", demo_contracts(small).encode())
    assert applied.added == 4
    await load_demo_market(db, "operator", small)
    async with db.read(WORKER) as tx:
        used = await tx.rows(
            "SELECT c.name, count(*) AS lines FROM demand.order_line LEFT JOIN billing.contract c USING (contract_id)"
            " GROUP BY c.name"
        )
        assert await tx.scalar("SELECT count(*) FROM billing.contract_merchant") == 1
    assert {row.name for row in used} == {
        "Standard",
        "Electronics",
        "Books and paper",
        f"Key account {small.shops[0].name}",
    }


async def test_reconciling_nothing_is_refused(db: Database) -> None:
    async with db.read(WORKER) as tx:
        with pytest.raises(Invalid, match="there is no legal entity yet"):
            await reconcile_payments(tx)


async def test_two_currencies_are_never_added_up(db: Database, small: DemoMarket) -> None:
    await load_demo_market(db, "operator", small)
    async with db.read(WORKER) as tx:
        assert (await reconcile_payments(tx)).currency == "EUR"
        assert (await reconcile_payments(tx, "USD")).paid_minor == 0

    async def add(tx: Tx) -> None:
        await tx.execute("INSERT INTO billing.entity VALUES (9, 'Other', 'USD', 'UTC', -9)")

    await db.write(WORKER, "operator", add)
    async with db.read(WORKER) as tx:
        with pytest.raises(Invalid, match="name one of EUR, USD"):
            await reconcile_payments(tx)
        with pytest.raises(Invalid, match="'EURO' is not a currency"):
            await reconcile_payments(tx, "EURO")
        assert await tx.scalar("SELECT name FROM billing.entity WHERE entity_id = 1") == ENTITY
