"""The pages on orders that were placed here: every state and every change has words, every figure is the books'."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import make_url

from demand.model import OrderState
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.demo.demo_market import demo_contracts, load_demo_market, make_market
from marketplace.flows.demo.demo_orders import live_orders
from marketplace.simulator.inside import inside
from marketplace.web.i18n import speech
from tests.conftest import connect, copy_template
from tests.pages.conftest import MARKET_NOW, SignIn, add_people, plain
from tests.pages.test_pages import Page

EN = speech("en")


@pytest.fixture(scope="module")
async def market(maintenance_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """A small quarter, with the demonstration's live orders, most of them the merchant's of the user `merchant`."""
    url = await copy_template(maintenance_url)
    db = Database(url, FixedClock(MARKET_NOW), pool_size=8)
    made = make_market(MARKET_NOW, orders=200, merchants=4)
    await apply_file(db, "test", demo_contracts(made).encode())
    await load_demo_market(db, "test", made)
    with inside(tmp_path_factory.mktemp("processor") / "simulator.sqlite", db.clock) as processor:
        await live_orders(db, "test", made, {"simulator": processor}, 1, lambda done, total: None)
    await db.write(WORKER, "test", add_people)
    yield db
    await db.close()
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    await connection.close()


async def order_in(db: Database, state: OrderState, more: str = "true") -> int:
    """The first live order of merchant 1 in a state."""
    async with db.read(WORKER) as tx:
        found: int = await tx.scalar(
            f"SELECT o.order_id FROM demand.merchant_order o JOIN demand.buyer b ON b.buyer_id = o.buyer_id"
            f" WHERE o.merchant_id = 1 AND b.buyer_ref LIKE 'live-%' AND o.state = :state AND {more}"
            f" ORDER BY o.order_id LIMIT 1",
            state=state.value,
        )
    return found


DISPUTED = "EXISTS (SELECT FROM demand.dispute d WHERE d.merchant_id = 1 AND d.order_id = o.order_id)"
AMENDED = "EXISTS (SELECT FROM demand.amendment a WHERE a.merchant_id = 1 AND a.order_id = o.order_id)"
SHOWN = [
    (OrderState.PLACED, "b.buyer_ref = 'live-01'", ["Payment", "open"]),
    (OrderState.CANCELLED, "b.buyer_ref = 'live-07'", ["out of stock", "received", "Refund paid"]),
    (OrderState.PAID, "true", ["payment processor", "received", "Order paid"]),
    (OrderState.FULFILLING, "true", ["parcel sent", "on its way", "Parcel Post"]),
    (OrderState.PARTLY_DELIVERED, "true", ["parcel arrived", "buyer", "on its way"]),
    (OrderState.RETURNED, "true", ["everything returned", "It is too large.", "Return", "refunded", "Refund paid"]),
    (OrderState.ACCEPTED, DISPUTED, ["Dispute", "open", "Dispute opened"]),
    (OrderState.ACCEPTED, AMENDED, ["amended", "Amendment", "in effect", "One is sold out."]),
    (OrderState.DELIVERED, "b.buyer_ref = 'live-12'", ["damaged", "Refund", "Refund paid"]),
]


@pytest.mark.parametrize(("state", "more", "words"), SHOWN)
async def test_an_order_shows_what_happened_to_it(
    sign_in: SignIn, market: Database, state: OrderState, more: str, words: list[str]
) -> None:
    browser = await sign_in("merchant")
    answer = await browser.get(f"/merchant/orders/{await order_in(market, state, more)}")
    assert answer.status_code == 200
    assert Page(answer.text).faults == []
    text = plain(answer.text)
    assert [word for word in [EN.label("order_state", state.value), *words] if word not in text] == []


async def test_what_was_paid_and_refunded_is_what_the_books_say(sign_in: SignIn, market: Database) -> None:
    order_id = await order_in(market, OrderState.RETURNED)
    async with market.read(WORKER) as tx:
        booked = await tx.row(
            """
            SELECT (SELECT sum(amount) FROM unnest(p.amounts) AS amount WHERE amount > 0)::bigint AS paid,
                   (SELECT sum(amount) FROM unnest(r.amounts) AS amount WHERE amount > 0)::bigint AS refunded
            FROM billing.entry p, billing.entry r JOIN demand.refund f
              ON f.merchant_id = r.merchant_id AND f.refund_id = r.source_id AND r.kind = 'order_refunded'
            WHERE p.merchant_id = 1 AND p.kind = 'order_paid' AND p.source_id = :order
              AND f.merchant_id = 1 AND f.order_id = :order
            """,
            order=order_id,
        )
    assert booked is not None
    assert 0 < booked.refunded < booked.paid  # the buyer changed its mind, and bears the freight
    page = (await (await sign_in("merchant")).get(f"/merchant/orders/{order_id}")).text
    figures = re.findall(r'<span class="figure">([^<]*)</span>', page)
    assert figures[1:] == [EN.money(booked.paid, "EUR"), EN.money(booked.refunded, "EUR")]


@pytest.mark.parametrize("code", ["zh", "pt"])
async def test_the_pages_speak_every_language(sign_in: SignIn, market: Database, code: str) -> None:
    browser, say = await sign_in("merchant"), speech(code)
    path = f"/merchant/orders/{await order_in(market, OrderState.RETURNED)}"
    await browser.post("/language", data={"language": code, "next": path})
    text = plain((await browser.get(path)).text)
    await browser.post("/language", data={"language": "en", "next": path})
    assert say.label("order_move", "return") in text
    assert say.label("party", "processor") in text
    assert say.label("annex_state", "refunded") in text


async def test_orders_are_found_by_every_state(sign_in: SignIn, market: Database) -> None:
    browser = await sign_in("merchant")
    for state in OrderState:
        async with market.read(WORKER) as tx:
            expected = await tx.scalar(
                "SELECT count(*) FROM demand.merchant_order WHERE merchant_id = 1 AND state = :state", state=state.value
            )
        if state not in {OrderState.DELIVERED, OrderState.SETTLED}:  # told apart by the queue, not by the column
            page = await browser.get(f"/merchant/orders?state={state}")
            assert EN.count("count.orders", expected) in plain(page.text), state


async def test_ops_counts_every_order_that_is_paid_and_not_delivered(sign_in: SignIn, market: Database) -> None:
    async with market.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT state, count(*) AS orders FROM demand.merchant_order"
            " WHERE state IN ('paid', 'accepted', 'fulfilling', 'partly_delivered') GROUP BY state"
        )
    counted = {row.state: row.orders for row in rows}
    assert len(counted) == 4
    browser: httpx.AsyncClient = await sign_in("ops")
    text = plain((await browser.get("/ops")).text)
    named = " · ".join(
        f"{EN.label('order_state', state)} {counted[state]}"
        for state in ("paid", "accepted", "fulfilling", "partly_delivered")
    )
    assert f"{named} {sum(counted.values())} " in text
