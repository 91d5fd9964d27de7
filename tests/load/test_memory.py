"""Orders pass through Python as a stream: loading them takes a fraction of the memory that holding them would."""

import tracemalloc

from marketplace.core.db import Database
from marketplace.flows.demo.demo_market import baskets, load_demo_market, make_market
from tests.conftest import NOW

COPY_BUFFERS_BYTES = 2_500_000
"""What the driver collects of a COPY before it sends, on both of its sides."""


async def test_loading_holds_no_more_than_a_buffer(db: Database) -> None:
    market = make_market(NOW, orders=6000, merchants=30)
    tracemalloc.start()
    try:
        held = list(baskets(market))
        holding = tracemalloc.get_traced_memory()[0]
        del held
        tracemalloc.reset_peak()
        await load_demo_market(db, "operator", market)
        loading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert loading < COPY_BUFFERS_BYTES < holding, f"{loading} while loading, {holding} when held"
