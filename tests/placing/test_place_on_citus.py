"""Placing on a Citus cluster, where a cart's merchants live on different nodes: the same rows as on one server."""

from datetime import timedelta
from typing import Any

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.orders.place_order import QuoteChanged
from marketplace.flows.orders.placement import TIME_TO_PAY
from marketplace.flows.orders.release_order import expire_orders
from tests.ops.conftest import citus_db, citus_url
from tests.placing.market import ALPHA, BETA, CUP, LAMP, TEA, line, new_cart, place, prepare, stock_of

__all__ = ["citus_db", "citus_url"]

pytestmark = pytest.mark.citus

SEEN = (
    "SELECT merchant_id, state, goods_minor, freight_minor FROM demand.merchant_order ORDER BY 1",
    "SELECT merchant_id, line_no, product_id, quantity, goods_minor FROM demand.order_line ORDER BY 1, 2",
    "SELECT state, amount_minor FROM billing.payment",
    "SELECT merchant_id, amount_minor, state FROM billing.payment_part ORDER BY 1",
    "SELECT kind, amount_minor FROM billing.payment_command ORDER BY command_id",
    "SELECT state, version FROM demand.cart ORDER BY cart_id",
    "SELECT merchant_id, product_id, on_hand, reserved FROM supply.stock ORDER BY 1, 2",
)


async def story(db: Database, clock: FixedClock) -> list[Any]:
    await prepare(db)
    seen: list[Any] = []
    placed = await place(db, await new_cart(db, line(ALPHA, TEA, 2), line(ALPHA, CUP), line(BETA, LAMP, 3)))
    again = await new_cart(db, line(BETA, LAMP))
    with pytest.raises(QuoteChanged, match="only 0 left"):
        await place(db, again, "k2")
    with pytest.raises(Conflict, match="is empty"):
        await place(db, await new_cart(db), "k3")
    for upto in (clock.now(), clock.now() + TIME_TO_PAY + timedelta(seconds=1)):
        seen.append(await expire_orders(db, "clock", upto))
        async with db.read(WORKER) as tx:
            seen += [[tuple(row) for row in await tx.rows(query)] for query in SEEN]
    assert (await stock_of(db, BETA, LAMP)) == (3, 0)
    return [placed.total_minor, *seen]


async def test_the_same_rows_as_on_one_server(db: Database, citus_db: Database, clock: FixedClock) -> None:
    assert await story(citus_db, clock) == await story(db, clock)
