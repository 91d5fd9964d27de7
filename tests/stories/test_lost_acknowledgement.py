"""The line to the database breaks at the COMMIT; the client asks again under the same key: there is one effect."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.billing.market import check_books
from tests.stories.conftest import opened_shop
from tests.stories.line import Cut, Line, opened_line
from tests.stories.shop import ALPHA, BETA, BUYER, CHAIR, LAMP, Shop

BOTH = pytest.mark.parametrize("cut", list(Cut))


@pytest.fixture
async def line_and_shop(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[tuple[Line, Shop]]:
    """The shop, whose application reaches the database over a line that can be cut."""
    async with opened_line(db.url) as (line, url):
        through = Database(url, clock, pool_size=4)
        try:
            async with opened_shop(db, clock, tmp_path, through) as shop:
                yield line, shop
        finally:
            await through.close()


async def retried(line: Line, shop: Shop, cut: Cut, who: str, path: str, body: object) -> httpx.Response:
    """Ask while the line breaks, then twice more under the same key; returns the answer, which is always the same."""
    cuts = line.cuts
    line.cut_next(cut)
    lost = await shop.ask(who, path, body, "once")
    assert (lost.status_code, line.cuts) == (503, cuts + 1)
    first, second = [await shop.ask(who, path, body, "once") for _ in range(2)]
    assert (first.status_code, second.status_code, first.content) == (201, 201, second.content)
    replays = [answer.headers.get("idempotency-replayed") for answer in (first, second)]
    assert replays == ["true" if cut is Cut.AFTER else None, "true"]
    assert line.cuts == cuts + 1
    return first


async def count(db: Database, table: str) -> int:
    async with db.read(WORKER) as tx:
        found: int = await tx.scalar(f"SELECT count(*) FROM {table}")
    return found


@BOTH
async def test_a_cart_is_placed_once(line_and_shop: tuple[Line, Shop], cut: Cut) -> None:
    line, shop = line_and_shop
    shop.at(5, 3)
    carts = f"/buyers/{BUYER}/carts"
    lines = [{"merchant_id": m, "product_id": p, "quantity": 2} for m, p in ((ALPHA, CHAIR), (BETA, LAMP))]
    cart = await shop.post("shop", carts, {"currency": "EUR", "lines": lines})
    quote = await shop.get("shop", f"{carts}/{cart['cart_id']}/quote")
    body = {"quote": quote["quote"], "method": "tok_ok"}
    placed = (await retried(line, shop, cut, "shop", f"{carts}/{cart['cart_id']}/place", body)).json()
    found = {t: await count(shop.db, t) for t in ("demand.purchase", "billing.payment", "billing.payment_command")}
    assert found == {"demand.purchase": 1, "billing.payment": 1, "billing.payment_command": 1}
    assert await count(shop.db, "demand.merchant_order") == 2
    assert (await shop.shelf(ALPHA, CHAIR), await shop.shelf(BETA, LAMP)) == ((50, 2), (50, 2))
    await shop.hear()
    told = shop.simulator.store.payment(f"{BUYER}-{placed['payment_id']}")
    assert told is not None
    assert told["captured_minor"] == 32_000
    await shop.stand({1020: 24_000, 2005: -24_000}, {})


@BOTH
async def test_an_order_is_refunded_once(line_and_shop: tuple[Line, Shop], cut: Cut) -> None:
    line, shop = line_and_shop
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, LAMP, 3))
    await shop.get("olga", bought.path())  # so that the use of her key is noted already
    body: dict[str, Any] = {"reason": "late", "goodwill_minor": 1_000}
    await retried(line, shop, cut, "olga", f"{bought.path()}/refunds", body)
    assert await count(shop.db, "demand.refund") == 1
    await shop.stand({1020: 12_000, 2005: -11_000, 2400: -1_000}, {})
    await shop.hear()
    assert len(shop.simulator.store.rows("SELECT * FROM refund")) == 1
    await shop.stand({1020: 11_000, 2005: -11_000}, {})


@BOTH
async def test_a_shipment_leaves_once(line_and_shop: tuple[Line, Shop], cut: Cut) -> None:
    line, shop = line_and_shop
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, LAMP, 3))
    owner = f"owner of {ALPHA}"
    await shop.post(owner, f"{bought.path()}/accept")
    body = {"lines": [{"line_no": 1, "quantity": 2}], "carrier": "bike"}
    await retried(line, shop, cut, owner, f"{bought.path()}/shipments", body)
    order = await shop.get("olga", bought.path())
    assert [shipment["carrier"] for shipment in order["shipments"]] == ["bike"]
    assert [row["shipped_quantity"] for row in order["lines"]] == [2]
    assert await shop.shelf(ALPHA, LAMP) == (48, 1)
    await check_books(shop.db)


async def test_the_line_does_break(line_and_shop: tuple[Line, Shop]) -> None:
    """Under another key the same request is another one: after a lost acknowledgement there would be two effects."""
    line, shop = line_and_shop
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, LAMP, 3))
    await shop.get("olga", bought.path())
    body = {"reason": "late", "goodwill_minor": 1_000}
    for cut, refunds in ((Cut.BEFORE, 1), (Cut.AFTER, 3)):
        line.cut_next(cut)
        assert (await shop.ask("olga", f"{bought.path()}/refunds", body)).status_code == 503
        assert (await shop.ask("olga", f"{bought.path()}/refunds", body)).status_code == 201
        assert await count(shop.db, "demand.refund") == refunds
