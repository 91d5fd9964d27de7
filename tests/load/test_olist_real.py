"""The Olist data itself: the figures that two other tools computed from the same files."""

import csv
import os
from pathlib import Path

import pytest

from marketplace.core.db import WORKER, Database
from marketplace.flows.imports.import_olist import import_olist
from marketplace.flows.imports.load_orders_model import Loaded
from marketplace.flows.payments.reconcile_payments import MatchKind, Tally, list_payment_breaks, reconcile_payments

pytestmark = pytest.mark.real_data


@pytest.fixture
def olist() -> Path:
    data = os.environ.get("MARKETPLACE_DATA")
    if not data:
        pytest.skip("MARKETPLACE_DATA is not set: the figures of the real Olist data are NOT checked")
    return Path(data) / "olist"


async def test_the_figures_of_the_real_data(db: Database, olist: Path) -> None:
    assert await import_olist(db, "operator", olist) == Loaded(
        orders=33_213,
        order_lines=37_818,
        merchants=2_362,
        buyers=32_760,
        payments=34_779,
        gmv_minor=454_971_933,
        freight_minor=75_212_372,
        payments_minor=535_174_326,
    )
    async with db.read(WORKER) as tx:
        found = await reconcile_payments(tx)
        unpaid = await list_payment_breaks(tx, MatchKind.ORDER_WITHOUT_PAYMENT)
        largest = max(row.difference_minor for row in await list_payment_breaks(tx, MatchKind.AMOUNT_BREAK, limit=200))
        books = await tx.rows("SELECT kind, count(*), sum(amounts[1]) FROM billing.entry GROUP BY kind ORDER BY kind")
        shared = await tx.scalar("SELECT sum(amount_minor) FROM billing.payment_share")
        days = await tx.rows("SELECT DISTINCT order_ref, purchased_on::text FROM demand.merchant_order")
    assert (found.matched.count, found.tolerance.count, found.amount_break.count) == (32_785, 99, 101)
    assert found.tolerance.sum_minor + found.amount_break.sum_minor == 90_822
    assert found.payment_without_items == Tally(227, 4_913_545)
    assert found.order_without_payment == Tally(1, -14_346)
    assert found.bridge_minor == found.difference_minor == 4_990_021
    assert [row.difference_minor for row in unpaid] == [-14_346]
    assert largest == 18_281
    assert [tuple(row) for row in books] == [
        ("order_paid", 33_402, 454_971_933 + 75_212_372),
        ("order_refunded", 140, 2_716_089),
        ("payment_unassigned", 226, 4_913_545),  # of the 227 one was paid with 0.00
    ]
    assert shared == 535_174_326 - 4_913_545
    with (olist / "olist_orders_dataset.csv").open(encoding="utf-8", newline="") as file:
        wall = {row["order_id"]: row["order_purchase_timestamp"][:10] for row in csv.DictReader(file)}
    assert all(wall[row.order_ref] == row.purchased_on for row in days)
    assert len(days) == 33_213 - 227
