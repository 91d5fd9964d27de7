"""Listings, one by one and in bulk, and their stock: never less on hand than is promised to open orders."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from demand.changes.store import note_change
from demand.tables import merchant_order, order_line
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.flows.orders import count_stock as counting
from marketplace.flows.orders.list_goods import (
    Goods,
    GoodsChange,
    Listed,
    edit_listing,
    hold_listing,
    list_goods,
    list_goods_in_bulk,
)
from supply.listings import store
from supply.model import Listing, ListingState, Stock
from supply.stock import store as stock
from supply.tables import category, offer
from tests.billing.locks import wait_until_blocked
from tests.builders import ENTITY, add_market

OWNER = "owner"
LAMP = Goods(sku="A-1", title="Lamp", price_minor=900, category="light", on_hand=5)


async def _market(tx: Tx) -> None:
    await add_market(tx, [1, 2])
    await tx.execute(insert(category), [{"category": "light", "name_en": "Light"}])


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", _market)
    return db


async def lamp(db: Database, merchant_id: int = 1, **changes: object) -> Listing:
    fields = {name: getattr(LAMP, name) for name in Goods.__struct_fields__}
    return await db.write(WORKER, OWNER, list_goods, merchant_id, Goods(**{**fields, **changes}))


async def bulk(db: Database, *rows: Goods) -> Listed:
    return await db.write(WORKER, OWNER, list_goods_in_bulk, 1, rows)


async def listed(db: Database, merchant_id: int = 1) -> dict[str | None, Listing]:
    async with db.read(WORKER) as tx:
        return {one.sku: one for one in await store.list_listings(tx, merchant_id, limit=2_000)}


async def count(db: Database, product_id: int, on_hand: int | None, reason: str = "") -> Stock:
    async def work(tx: Tx) -> Stock:
        now = await counting.hold_stock(tx, 1, product_id)
        return await counting.count_stock(tx, now, on_hand, reason)

    return await db.write(WORKER, OWNER, work)


async def adjust(db: Database, product_id: int, delta: int) -> Stock:
    return await db.write(WORKER, OWNER, stock.adjust, 1, product_id, delta, "shelf checked")


_RESERVE = """
UPDATE supply.stock SET reserved = reserved + :units
WHERE merchant_id = 1 AND product_id = :product AND on_hand - reserved >= :units
"""


async def reserve(tx: Tx, product_id: int, units: int = 1) -> int:
    """As placing an order does it, in one statement; returns whether there were enough."""
    return (await tx.execute(_RESERVE, {"product": product_id, "units": units})).rowcount


async def open_order(
    tx: Tx, product_id: int, order_id: int, quantity: int, *, state: str = "paid", cancelled: int = 0, shipped: int = 0
) -> None:
    at = datetime(2018, 5, 1, tzinfo=UTC)
    key = {"merchant_id": 1, "order_id": order_id}
    row = {**key, "order_ref": f"o{order_id}", "purchase_id": order_id, "buyer_id": 1, "entity_id": ENTITY}
    money = {"currency": "EUR", "goods_minor": 900, "freight_minor": 0, "placed_at": at, "purchased_on": at.date()}
    await tx.execute(insert(merchant_order), {**row, **money, "state": state})
    await note_change(tx, 1, order_id)
    goods = {"line_no": 1, "product_id": product_id, "quantity": quantity, "goods_minor": 900, "freight_minor": 0}
    await tx.execute(insert(order_line), {**key, **goods, "cancelled_quantity": cancelled, "shipped_quantity": shipped})


# --- listings -------------------------------------------------------------------------------------------------------


async def test_what_is_listed_is_a_product_of_its_own_in_the_entitys_currency(market: Database) -> None:
    one, twin = await lamp(market), await lamp(market, merchant_id=2, on_hand=None)
    assert (one.sku, one.currency, one.price_minor, one.on_hand, one.reserved) == ("A-1", "EUR", 900, 5, 0)
    assert (twin.on_hand, twin.reserved) == (None, None)
    assert one.product_id != twin.product_id
    async with market.read(WORKER) as tx:
        refs = await tx.rows("SELECT product_ref, category FROM supply.product ORDER BY 1")
    assert [tuple(row) for row in refs] == [("m1/A-1", "light"), ("m2/A-1", "light")]
    with pytest.raises(Conflict, match="lists 'A-1' already"):
        await lamp(market)
    with pytest.raises(Invalid, match="currency: the merchant sells in EUR"):
        await lamp(market, sku="A-2", currency="USD")
    with pytest.raises(Invalid, match="category: there is no category 'lite'"):
        await lamp(market, sku="A-2", category="lite")
    with pytest.raises(NotFound):
        await lamp(market, merchant_id=3)


async def test_a_change_leaves_what_it_does_not_name(market: Database) -> None:
    one = await lamp(market)

    async def work(tx: Tx) -> Listing:
        change = GoodsChange(price_minor=1_000, state=ListingState.HIDDEN)
        return await edit_listing(tx, await hold_listing(tx, 1, one.product_id), change)

    changed = await market.write(WORKER, OWNER, work)
    assert (changed.price_minor, changed.state, changed.title, changed.category, changed.version) == (
        1_000, "hidden", "Lamp", "light", 2,
    )  # fmt: skip


async def test_listings_are_found_by_state_and_by_how_the_sku_begins(market: Database) -> None:
    for sku, state in (("A-1", "listed"), ("A-2", "hidden"), ("B%", "listed"), ("B_1", "listed")):
        await lamp(market, sku=sku, state=ListingState(state))
    async with market.read(Scope(Role.MERCHANT, 1)) as tx:
        found = {
            prefix: [one.sku for one in await store.list_listings(tx, 1, sku_prefix=prefix, limit=9)]
            for prefix in ("A", "A-2", "B%", "B_", "a")
        }
        hidden = [one.sku for one in await store.list_listings(tx, 1, state=ListingState.HIDDEN, limit=9)]
    assert found == {"A": ["A-1", "A-2"], "A-2": ["A-2"], "B%": ["B%"], "B_": ["B_1"], "a": []}
    assert hidden == ["A-2"]


async def test_bulk_lists_what_is_new_and_rewrites_what_is_known(market: Database) -> None:
    one = await lamp(market)
    rows = [Goods(sku="A-1", title="Lamp, new", price_minor=950, on_hand=7)]
    rows += [Goods(sku=f"N-{n}", title="New", price_minor=n, on_hand=n or None) for n in range(999)]
    answer = await bulk(market, *rows)
    assert (answer.created, answer.updated, len(set(answer.product_ids))) == (999, 1, 1_000)
    found = await listed(market)
    assert len(found) == 1_000
    again = found["A-1"]
    assert (again.product_id, again.title, again.price_minor, again.on_hand, again.version) == (
        one.product_id, "Lamp, new", 950, 7, 2,
    )  # fmt: skip
    assert answer.product_ids[0] == one.product_id
    assert (found["N-0"].on_hand, found["N-7"].on_hand) == (None, 7)


async def test_bulk_names_every_row_that_is_wrong_and_lists_none(market: Database) -> None:
    counted, uncounted = await lamp(market), await lamp(market, sku="A-2", on_hand=None)
    await market.write(WORKER, "buyer", reserve, counted.product_id, 3)
    before = await listed(market)
    rows = [
        Goods(sku="N-1", title="Good", price_minor=1),
        Goods(sku="N-2", title="x", price_minor=1, category="none"),
        Goods(sku="N-1", title="twice", price_minor=1, currency="USD"),
        Goods(sku="A-1", title="x", price_minor=1, on_hand=2),
        Goods(sku="A-2", title="x", price_minor=1, on_hand=2),
    ]
    with pytest.raises(Invalid) as refused:
        await bulk(market, *rows)
    assert {error["pointer"]: error["detail"] for error in refused.value.extra["errors"]} == {
        "/rows/1/category": "there is no category 'none'",
        "/rows/2/sku": "row 0 has 'N-1' too",
        "/rows/2/currency": "the merchant sells in EUR",
        "/rows/3/on_hand": "2 units, and 3 are reserved for open orders",
        "/rows/4/on_hand": "the listing is sold uncounted; counting begins with a PUT of its stock",
    }
    assert refused.value.detail.startswith("rows/1/category: there is no category 'none' (5 errors in all)")
    assert await listed(market) == before
    assert uncounted.on_hand is None


async def test_two_lists_of_one_merchant_at_once_make_each_sku_once(market: Database) -> None:
    rows = [Goods(sku=f"N-{n}", title="New", price_minor=n, on_hand=3) for n in range(50)]
    answers = await asyncio.gather(*(bulk(market, *rows) for _ in range(4)))
    assert sorted(answer.created for answer in answers) == [0, 0, 0, 50]
    assert len(await listed(market)) == 50


# --- stock ----------------------------------------------------------------------------------------------------------


async def test_what_is_on_hand_never_falls_below_what_is_promised(market: Database) -> None:
    one = await lamp(market)
    await market.write(WORKER, "buyer", reserve, one.product_id, 3)
    assert (await adjust(market, one.product_id, -2)).on_hand == 3
    with pytest.raises(Conflict, match="2 units would be on hand, and 3 are reserved") as refused:
        await adjust(market, one.product_id, -1)
    assert refused.value.extra == {"on_hand": 2, "reserved": 3}
    with pytest.raises(Conflict, match="0 units would be on hand, and 3 are reserved"):
        await count(market, one.product_id, 0)
    with pytest.raises(Invalid, match="more than 2147483647"):
        await adjust(market, one.product_id, 2**31 - 1)
    assert (await count(market, one.product_id, 9, "counted by hand")).version == 3
    async with market.read(WORKER) as tx:
        moves = await stock.list_movements(tx, 1, one.product_id, limit=9)
    assert [(m.movement_no, m.kind, m.delta, m.on_hand, m.reserved, m.reason) for m in moves] == [
        (3, "counted", 6, 9, 3, "counted by hand"),
        (2, "adjusted", -2, 3, 3, "shelf checked"),
        (1, "counted", 5, 5, 0, "listed"),
    ]


async def test_counting_that_begins_reserves_what_open_orders_wait_for(market: Database) -> None:
    one = await lamp(market, on_hand=None)
    await market.write(WORKER, "buyer", open_order, one.product_id, 1, 4, cancelled=1, shipped=1)
    await market.write(WORKER, "buyer", open_order, one.product_id, 2, 3, state="placed")
    for number, state in enumerate(("delivered", "cancelled", "returned"), start=3):
        await market.write(WORKER, "buyer", open_order, one.product_id, number, 50, state=state)
    with pytest.raises(Conflict, match="4 units would be on hand, and 5 are reserved"):
        await count(market, one.product_id, 4)
    with pytest.raises(Conflict, match="sold uncounted"):
        await adjust(market, one.product_id, 1)
    counted = await count(market, one.product_id, 6)
    assert (counted.on_hand, counted.reserved, counted.version) == (6, 5, 1)


async def test_counting_ends_once_nothing_is_promised_and_versions_go_on(market: Database) -> None:
    one = await lamp(market)
    await market.write(WORKER, "buyer", reserve, one.product_id)
    with pytest.raises(Conflict, match="1 units are reserved"):
        await count(market, one.product_id, None)
    await market.write(WORKER, "clock", stock.release, [stock.Units(1, one.product_id, 1)])
    ended = await count(market, one.product_id, None, "made to order")
    assert (ended.on_hand, ended.reserved, ended.version) == (None, 0, 2)
    assert (await count(market, one.product_id, None)).version == 2  # nothing to do, nothing recorded
    assert (await count(market, one.product_id, 3)).version == 3
    async with market.read(WORKER) as tx:
        assert (await stock.get_stock(tx, 1, one.product_id)).version == 3
        moves = await stock.list_movements(tx, 1, one.product_id, limit=9)
    assert [(m.movement_no, m.kind, m.delta, m.on_hand) for m in moves] == [
        (3, "counted", 3, 3), (2, "uncounted", -5, None), (1, "counted", 5, 5),
    ]  # fmt: skip


async def test_movements_are_never_changed(market: Database) -> None:
    one = await lamp(market)
    for deed in ("UPDATE supply.stock_movement SET delta = 0", "DELETE FROM supply.stock_movement"):
        with pytest.raises(Exception, match="permission denied"):
            await market.write(WORKER, "test", Tx.execute, deed)
    assert one.on_hand == 5


async def test_adjusting_next_to_sixteen_buyers_never_oversells_and_never_deadlocks(market: Database) -> None:
    one = await lamp(market, on_hand=40)

    async def buyer(number: int) -> int:
        return sum([await market.write(WORKER, f"buyer {number}", reserve, one.product_id) for _ in range(4)])

    async def clerk(delta: int) -> int:
        done = 0
        for _ in range(6):
            try:
                await adjust(market, one.product_id, delta)
                done += delta
            except Conflict:
                pass
        return done

    sold, moved = await asyncio.gather(
        asyncio.gather(*(buyer(number) for number in range(16))), asyncio.gather(clerk(-4), clerk(-3), clerk(1))
    )
    async with market.read(WORKER) as tx:
        left = await stock.get_stock(tx, 1, one.product_id)
        recorded = await tx.scalar("SELECT sum(delta) FROM supply.stock_movement")
    assert left.on_hand == 40 + sum(moved) == recorded
    assert left.reserved == sum(sold)
    assert 0 < left.reserved <= left.on_hand


async def test_an_order_on_its_way_while_counting_begins_is_counted(market: Database) -> None:
    """It has found the listing uncounted and holds it: counting waits for it, and finds its line."""
    one = await lamp(market, on_hand=None)
    placed, release = asyncio.Event(), asyncio.Event()

    async def place(tx: Tx) -> None:
        await stock.exchange(tx, [stock.Units(1, one.product_id, 2)])  # not counted: sold all the same
        await open_order(tx, one.product_id, 1, 2, state="placed")
        placed.set()
        await release.wait()

    placing = asyncio.create_task(market.write(WORKER, "buyer", place))
    await asyncio.wait_for(placed.wait(), 10)
    begun = asyncio.create_task(count(market, one.product_id, 5))
    await wait_until_blocked(market)
    release.set()
    await placing
    assert (await begun).reserved == 2
    await market.write(WORKER, "clock", stock.release, [stock.Units(1, one.product_id, 2)])


@pytest.mark.parametrize("first", ["ship", "count"])
async def test_units_that_leave_while_counting_begins_are_not_reserved_for_ever(market: Database, first: str) -> None:
    one = await lamp(market, on_hand=None)
    await market.write(WORKER, "buyer", open_order, one.product_id, 1, 3)
    holds, release = asyncio.Event(), asyncio.Event()

    async def ships(tx: Tx) -> None:
        await tx.execute("UPDATE demand.order_line SET shipped_quantity = 3")
        await stock.ship(tx, [stock.Units(1, one.product_id, 3)])

    async def counts(tx: Tx) -> None:
        await counting.count_stock(tx, await counting.hold_stock(tx, 1, one.product_id), 5, "")

    async def ahead(tx: Tx) -> None:
        await (ships if first == "ship" else counts)(tx)
        holds.set()
        await release.wait()

    leading = asyncio.create_task(market.write(WORKER, "first", ahead))
    await asyncio.wait_for(holds.wait(), 10)
    following = asyncio.create_task(market.write(WORKER, "second", counts if first == "ship" else ships))
    await wait_until_blocked(market)
    release.set()
    await asyncio.gather(leading, following)
    async with market.read(WORKER) as tx:
        left = await stock.get_stock(tx, 1, one.product_id)
    # Units that left before the count were not on the shelf that was counted; those that left after it were.
    assert (left.on_hand, left.reserved) == ((5, 0) if first == "ship" else (2, 0))


async def test_counting_does_not_keep_buyers_waiting_behind_an_import(
    market: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await lamp(market, on_hand=None)
    monkeypatch.setattr(counting, "PATIENCE", "50ms")
    importing, release = asyncio.Event(), asyncio.Event()

    async def load(tx: Tx) -> None:
        await tx.execute("UPDATE supply.offer SET price_minor = 7 WHERE merchant_id = 1")
        await open_order(tx, one.product_id, 1, 2)
        importing.set()
        await release.wait()

    loading = asyncio.create_task(market.write(WORKER, "import", load))
    await asyncio.wait_for(importing.wait(), 10)
    with pytest.raises(Conflict, match="orders for it are being written"):
        await count(market, one.product_id, 5)
    release.set()
    await loading
    assert (await count(market, one.product_id, 5)).reserved == 2


async def test_stock_of_imported_goods_without_a_sku_can_be_counted(market: Database) -> None:
    row = {"merchant_id": 1, "product_id": 7, "currency": "EUR", "price_minor": 5, "updated_at": market.clock.now()}
    await market.write(WORKER, "import", Tx.execute, insert(offer), row)
    assert (await count(market, 7, 3)).on_hand == 3
