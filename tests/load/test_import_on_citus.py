"""The same import on a Citus cluster: the same rows in every table."""

import os
from pathlib import Path

import pytest

from marketplace.consoles.finance_lists_queries import PAYMENT_BREAKS
from marketplace.core.db import WORKER, Database
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.demo.demo_market import demo_contracts, load_demo_market, make_market
from marketplace.flows.imports.import_olist import import_olist
from marketplace.flows.payments.reconcile_payments import (
    MatchKind,
    keep_payment_breaks,
    list_payment_breaks,
    reconcile_payments,
)
from tests.conftest import NOW
from tests.load.folders import contents, small_market, write

pytestmark = pytest.mark.citus


async def test_a_small_market_is_the_same_as_on_one_server(db: Database, citus_db: Database, tmp_path: Path) -> None:
    folder = write(small_market(), tmp_path)
    here, there = [await import_olist(database, "operator", folder) for database in (db, citus_db)]
    assert there == here
    assert await contents(citus_db) == await contents(db)


async def test_contracts_and_breaks_are_the_same_as_on_one_server(db: Database, citus_db: Database) -> None:
    market = make_market(NOW, orders=1500, merchants=40)
    found = []
    for database in (db, citus_db):
        await apply_file(database, "operator", demo_contracts(market).encode())
        await load_demo_market(database, "operator", market)
        await load_demo_market(database, "operator", make_market(NOW.replace(month=12), orders=300, merchants=40))
        kept = await database.write(WORKER, "operator", keep_payment_breaks, "EUR")
        async with database.read(WORKER) as tx:
            breaks = await list_payment_breaks(tx, MatchKind.AMOUNT_BREAK, limit=200)
            listed = f"{PAYMENT_BREAKS.query} ORDER BY order_ref LIMIT 200"
            of_kind = await tx.rows(listed, currency="EUR", kind=MatchKind.AMOUNT_BREAK.value)
            assert [row.order_ref for row in of_kind] == [each.order_ref for each in breaks]
            assert kept == await reconcile_payments(tx)
            found.append((kept, await list_payment_breaks(tx, limit=200)))
    assert found[0] == found[1]
    assert await contents(citus_db) == await contents(db)


@pytest.mark.real_data
async def test_the_real_data(citus_db: Database) -> None:
    data = os.environ.get("MARKETPLACE_DATA")
    if not data:
        pytest.skip("MARKETPLACE_DATA is not set: the real Olist data was NOT imported on Citus")
    loaded = await import_olist(citus_db, "operator", Path(data) / "olist")
    assert (loaded.orders, loaded.payments_minor) == (33_213, 535_174_326)
    async with citus_db.read(WORKER) as tx:
        assert (await reconcile_payments(tx)).bridge_minor == 4_990_021
