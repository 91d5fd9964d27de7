"""The live orders of the demonstration: each comes to its end through the real flows, once, and the books hold."""

from collections import Counter
from pathlib import Path

import pytest

from demand.model import OrderState
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.demo.demo_market import DemoMarket, demo_contracts, load_demo_market, make_market
from marketplace.flows.demo.demo_market_goods import stock_shelves
from marketplace.flows.demo.demo_market_names import GOODS
from marketplace.flows.demo.demo_orders import STORIES, live_orders
from marketplace.flows.payments.reconcile_payments import reconcile_payments
from marketplace.simulator.inside import Inside, inside
from tests.billing.market import check_books
from tests.conftest import NOW
from tests.load.folders import contents


class Killed(Exception):
    """The process died here."""


@pytest.fixture(scope="module")
def small() -> DemoMarket:
    return make_market(NOW, orders=300, merchants=6)


@pytest.fixture
async def market(db: Database, small: DemoMarket) -> DemoMarket:
    await apply_file(db, "operator", demo_contracts(small).encode())
    await load_demo_market(db, "operator", small)
    return small


async def live(db: Database, market: DemoMarket, processor: Inside) -> int:
    return await live_orders(db, "operator", market, {"simulator": processor}, 1, lambda done, total: None)


async def test_every_story_comes_to_its_end(db: Database, market: DemoMarket, tmp_path: Path) -> None:
    async with db.read(WORKER) as tx:
        before = await reconcile_payments(tx)
    with inside(tmp_path / "simulator.sqlite", db.clock) as processor:
        assert await live(db, market, processor) == len(STORIES)
    assert await states(db) == {
        OrderState.PLACED: 1,  # declined
        OrderState.CANCELLED: 2,  # out of stock, one of two
        OrderState.PAID: 1,
        OrderState.ACCEPTED: 6,  # taken on, the other of two, two amended, two disputed
        OrderState.FULFILLING: 1,
        OrderState.PARTLY_DELIVERED: 1,
        OrderState.DELIVERED: 2,  # one of them refunded in part
        OrderState.RETURNED: 1,
    }
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM billing.inbox_event WHERE state <> 'applied'") == 0
        assert await tx.scalar("SELECT count(*) FROM billing.payment_command WHERE state <> 'sent'") == 0
        assert await tx.scalar("SELECT count(*) FROM demand.dispute WHERE state = 'open'") == 2
        amended = await tx.rows("SELECT sign(delta_minor) AS way FROM demand.amendment WHERE state = 'applied'")
        assert sorted(row.way for row in amended) == [-1, 1]
        paid = await tx.rows("SELECT state, count(*) AS refunds FROM billing.refund_payment GROUP BY state")
        assert {row.state: row.refunds for row in paid} == {"paid": 5}
        assert await reconcile_payments(tx) == before  # live orders are not the import's missing payments
    await check_books(db)


async def test_again_it_changes_nothing(db: Database, market: DemoMarket, tmp_path: Path) -> None:
    with inside(tmp_path / "simulator.sqlite", db.clock) as processor:
        await live(db, market, processor)
        before = await contents(db)
        await live(db, market, processor)
    assert await contents(db) == before


@pytest.mark.parametrize("dies_at", [1, 9, 20, 30])
async def test_killed_anywhere_it_goes_on(
    db: Database, market: DemoMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """The process dies when the simulator has been asked so often; another one goes on with the same file."""
    file = tmp_path / "simulator.sqlite"
    with inside(file, db.clock) as processor:
        asked = 0

        def ask() -> tuple[int, str, bytes] | None:
            nonlocal asked
            asked += 1
            if asked == dies_at:
                raise Killed
            return Inside.next_event(processor)

        monkeypatch.setattr(processor, "next_event", ask)
        with pytest.raises(Killed):
            await live(db, market, processor)
    with inside(file, db.clock) as processor:
        await live(db, market, processor)
    found = await states(db)
    assert (sum(found.values()), found[OrderState.RETURNED], found[OrderState.ACCEPTED]) == (15, 1, 6)
    await check_books(db)


async def states(db: Database) -> Counter[OrderState]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT o.state FROM demand.merchant_order o JOIN demand.buyer b ON b.buyer_id = o.buyer_id"
            " WHERE b.buyer_ref LIKE 'live-%'"
        )
    return Counter(OrderState(row.state) for row in rows)


async def test_the_shelves_hold_what_open_orders_wait_for(db: Database, market: DemoMarket) -> None:
    products = sum(len(shop.products) for shop in market.shops)
    assert await db.write(WORKER, "operator", stock_shelves, market) == products
    assert await db.write(WORKER, "operator", stock_shelves, market) == 0
    async with db.read(WORKER) as tx:
        offers = await tx.rows("SELECT merchant_id, sku, title, freight_minor FROM supply.offer")
        short = await tx.rows(
            """
            SELECT s.product_id FROM supply.stock s
            JOIN (SELECT l.merchant_id, l.product_id, sum(l.quantity) AS units FROM demand.order_line l
                  JOIN demand.merchant_order o ON o.merchant_id = l.merchant_id AND o.order_id = l.order_id
                  WHERE o.state = 'paid' GROUP BY l.merchant_id, l.product_id) AS w
              ON w.merchant_id = s.merchant_id AND w.product_id = s.product_id
            WHERE s.reserved <> w.units
            """
        )
        waiting = await tx.scalar("SELECT count(*) FROM supply.stock WHERE reserved > 0")
        moved = await tx.scalar(
            "SELECT count(*) FROM supply.stock s JOIN supply.stock_movement m USING (merchant_id, product_id, on_hand)"
        )
        counted = await tx.scalar("SELECT count(*) FROM supply.stock")
    assert (len(offers), len({(row.merchant_id, row.title) for row in offers})) == (products, products)
    assert all(row.sku and row.title and row.freight_minor for row in offers)
    assert (short, waiting > 0, moved) == ([], True, counted)


async def test_what_a_merchant_has_listed_itself_stays(db: Database, market: DemoMarket) -> None:
    async def rename(tx: Tx) -> None:
        await tx.execute("UPDATE supply.offer SET sku = 'mine', title = 'Mine' WHERE product_id = 1")

    await db.write(WORKER, "owner", rename)
    await db.write(WORKER, "operator", stock_shelves, market)
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT title FROM supply.offer WHERE product_id = 1") == "Mine"


def test_there_are_names_enough() -> None:
    assert {(len(set(things)), len(set(kinds))) for things, kinds in GOODS.values()} == {(8, 4)}
    titles = [f"{thing}, {kind}" for things, kinds in GOODS.values() for thing in things for kind in kinds]
    assert len(set(titles)) == len(titles)
