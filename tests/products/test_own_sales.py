"""Posting O of domain.md to the cent: the platform sells what it owns, and takes it back."""

import asyncio
from datetime import date

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Invalid
from marketplace.flows.products import stock_hardware as stocking
from marketplace.flows.products.sell_own import SellOwn, return_own, sell_own
from supply.products.hardware import store
from supply.products.own_sales.store import OwnSale
from tests.billing.market import check_books
from tests.products.market import ask, day, house, open_market

PROCESSOR, MAY_2 = "card", date(2018, 5, 2)


@pytest.fixture
async def stocked(db: Database, clock: FixedClock) -> Database:
    """Two kettles of 55.00 in the house's stock."""
    day(clock, MAY_2)
    await open_market(db)
    add = stocking.AddItem(sku="kettle", name="Kettle", currency="EUR", price_minor=8_000, warranty_months=0)
    item = await db.write(WORKER, "test", stocking.add_item, add)
    provider = await db.write(WORKER, "test", store.add_provider, "Kettlemaker")
    units = stocking.ReceiveUnits(
        item_id=item.item_id, provider_id=provider.provider_id, serials=("K-1", "K-2"), cost_minor=5_500
    )
    await db.write(WORKER, "test", stocking.receive_units, units)
    return db


async def sell(db: Database, *serials: str, receipt: str = "pay_1") -> OwnSale:
    cmd = SellOwn(
        serials=serials, buyer="Ada Brandt", net_minor=8_000, vat_ppm=200_000, processor=PROCESSOR, receipt_ref=receipt
    )
    return await db.write(WORKER, "test", sell_own, cmd)


async def test_posting_o_a_self_operated_sale_and_its_return(stocked: Database) -> None:
    """80 and VAT, cost 55: 1020 96.00 and 5300 55.00 against 4070 80.00, 2300 16.00 and 1200 55.00."""
    db = stocked
    before = await house(db)
    sale = await sell(db, "K-1")
    assert (sale.net_minor, sale.vat_minor, sale.cost_minor) == (8_000, 1_600, 5_500)
    after = await house(db)
    assert {account: after.get(account, 0) - before.get(account, 0) for account in {*before, *after}} == {
        1020: 9_600, 5300: 5_500, 4070: -8_000, 2300: -1_600, 1200: -5_500, 2060: 0,
    }  # fmt: skip
    assert await ask(db, "SELECT serial, state FROM supply.hardware_unit ORDER BY 1") == [
        ("K-1", "sold"), ("K-2", "in_stock"),
    ]  # fmt: skip
    await check_books(db)
    back = await db.write(WORKER, "test", return_own, sale.sale_id, "changed mind")
    assert back.returned_on is not None
    assert {account: minor for account, minor in (await house(db)).items() if minor} == before
    assert await ask(db, "SELECT DISTINCT state FROM supply.hardware_unit") == [("in_stock",)]
    await check_books(db)
    with pytest.raises(Conflict, match="came back on"):
        await db.write(WORKER, "test", return_own, sale.sale_id, "again")
    await sell(db, "K-1", receipt="pay_2")
    await check_books(db)


async def test_what_is_not_in_stock_or_paid_already_is_refused(stocked: Database) -> None:
    await sell(stocked, "K-1")
    with pytest.raises(Conflict, match="unit 'K-1' is not in stock"):
        await sell(stocked, "K-1", receipt="pay_2")
    with pytest.raises(Conflict, match="'pay_1' is another sale's"):
        await sell(stocked, "K-2")
    with pytest.raises(Invalid, match="there is no unit 'K-9'"):
        await sell(stocked, "K-9", receipt="pay_2")
    with pytest.raises(Invalid, match="name each unit once"):
        await sell(stocked, "K-2", "K-2", receipt="pay_2")
    await check_books(stocked)


async def test_of_many_buyers_of_one_unit_one_gets_it(stocked: Database) -> None:
    tries = [sell(stocked, "K-1", receipt=f"pay_{number}") for number in range(8)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, OwnSale) for one in done) == 1
    assert sum(isinstance(one, AppError) for one in done) == 7
    await check_books(stocked)
