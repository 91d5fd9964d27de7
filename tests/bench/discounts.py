"""What placing an order costs with fifty live promotions, against the same with none.

Without HTTP, which would only thin the difference: `place_order` with its two round trips and the commit, over several
connections. `fifty`: none of them is for the merchants of the order. `applied`: one takes 10 % off every order, four
more match and are worth less in their lane. The rounds take turns; between them promotions are paused and resumed.
What counts is the processor time of this process and of the database together; the wall time stands beside it.
"""

import asyncio
import statistics
from datetime import timedelta
from time import process_time
from typing import Any

from demand.carts.model import Cart
from demand.carts.store import get_cart
from incentives.rules.awards import Band, Discount, Graduated, Reward, ToBuyer
from incentives.rules.model import OrderPlaced, PerEvent, Qualify, Schedule, Stacking, Terms, TotalBudget
from incentives.rules.predicates import Equals
from marketplace.core.clock import SystemClock
from marketplace.core.db import WORKER, Database
from marketplace.core.idempotency import Ticket
from marketplace.core.ids import time_ordered_id
from marketplace.flows.orders.place_order import place_order
from marketplace.flows.orders.placement import PlaceOrder
from marketplace.flows.orders.quote_cart import quote_cart
from tests.bench.place import _MARKET, BUYERS, MERCHANTS, larger, open_carts
from tests.bench.promotions import BUDGET_MINOR, launch, schedule_over
from tests.bench.scratch import Stopwatch, as_owner, ask_owner, at_most, main, note, scratch_database
from tests.bench.serving import cpu_s, postmaster_of

RATIO_BAR = 1.3
PROMOTIONS, MATCHING = 55, 5
WARM = 200


async def measure(orders: int, rounds: int, connections: int) -> dict[str, Any]:
    async with scratch_database() as scratch:
        carts = 3 * rounds * orders + 3 * WARM
        await as_owner(scratch, *_MARKET)
        await open_carts(scratch, [(cart % BUYERS + 1, cart, larger(cart)) for cart in range(1, carts + 1)])
        await as_owner(scratch, "VACUUM ANALYZE demand.cart", "VACUUM ANALYZE demand.cart_line")
        today = scratch.clock.now().date()
        schedule = schedule_over(today - timedelta(days=1), today + timedelta(days=30))
        await launch(scratch, [_terms(number, schedule) for number in range(PROMOTIONS)])
        db = Database(scratch.url, SystemClock(), pool_size=connections)
        taken = iter(range(1, carts + 1))
        seconds: dict[str, list[float]] = {name: [] for name in _LIVE}
        computed: dict[str, list[float]] = {name: [] for name in _LIVE}
        postmaster = postmaster_of(await ask_owner(scratch, "SHOW data_directory"))
        try:
            for number in range(-1, rounds):
                for name, live in _LIVE.items():
                    await _switch(scratch, live)
                    cmds = [await _command(db, next(taken)) for _ in range(orders if number >= 0 else WARM)]
                    watch, before = Stopwatch(), process_time() + cpu_s(postmaster)
                    await asyncio.gather(*(_place(db, cmds[first::connections]) for first in range(connections)))
                    if number >= 0:
                        seconds[name].append(watch.seconds)
                        computed[name].append(process_time() + cpu_s(postmaster) - before)
                note(f"round {number + 1}: { ({name: each[-1:] for name, each in seconds.items()}) }")
        finally:
            await db.close()
        discounted = await ask_owner(scratch, "SELECT count(DISTINCT order_id) FROM incentives.order_discount")
        note(f"{discounted} orders with a discount")
    return {
        "orders": orders,
        "connections": connections,
        "discounted": discounted,
        "per_s": {name: [round(orders / each) for each in of] for name, of in seconds.items()},
        "cpu_ms": {name: round(1_000 * statistics.median(of) / orders, 2) for name, of in computed.items()},
        "wall_over_none": {name: round(_over_none(seconds, name), 2) for name in _MEASURED},
        "bars": {f"placing, {name}, over none": at_most(_over_none(computed, name), RATIO_BAR) for name in _MEASURED},
    }


_MEASURED = ("fifty", "applied")


def _over_none(taken: dict[str, list[float]], name: str) -> float:
    """The median over the rounds of what one kind of them took against that with no promotion."""
    return statistics.median(some / none for some, none in zip(taken[name], taken["none"], strict=True))


def _terms(number: int, schedule: Schedule) -> Terms:
    rate = 100_000 - 10_000 * number if number < MATCHING else 200_000
    other = Qualify(event=Equals(attribute="merchant.id", value=MERCHANTS + number))
    return Terms(
        name=f"{'match' if number < MATCHING else 'other'} {number}",
        currency="EUR",
        trigger=OrderPlaced(),
        qualify=Qualify() if number < MATCHING else other,
        window=PerEvent(),
        reward=Reward(amount=Graduated(bands=(Band(from_minor=0, rate_ppm=rate),)), form=Discount()),
        beneficiary=ToBuyer(),
        budgets=(TotalBudget(limit_minor=BUDGET_MINOR, currency="EUR"),),
        stacking=Stacking(lane="best_of"),
        schedule=schedule,
    )


_LIVE = {"none": "false", "fifty": "name NOT LIKE 'match%'", "applied": "true"}
"""Which promotions are live, by round."""


async def _switch(db: Database, live: str) -> None:
    """Pause and resume promotions as whoever moves them would."""
    epoch = time_ordered_id(db.clock.now())
    await as_owner(
        db,
        f"UPDATE incentives.promotion SET state = CASE WHEN {live} THEN 'live' ELSE 'paused' END",
        f"UPDATE incentives.live_epoch SET epoch = {epoch}",
    )


async def _command(db: Database, cart_id: int) -> PlaceOrder:
    buyer_id = cart_id % BUYERS + 1
    async with db.read(WORKER) as tx:
        cart: Cart = await get_cart(tx, buyer_id, cart_id)
        quote = await quote_cart(tx, cart)
    return PlaceOrder(buyer_id=buyer_id, cart_id=cart_id, quote=quote.quote, method="tok", processor="simulator")


async def _place(db: Database, cmds: list[PlaceOrder]) -> None:
    for cmd in cmds:
        ticket = Ticket("bench", f"cart {cmd.cart_id}", b"." * 32, 201)
        await db.write(WORKER, "bench", place_order, ticket, cmd)


if __name__ == "__main__":
    main(measure, orders=1_500, rounds=5, connections=8)
