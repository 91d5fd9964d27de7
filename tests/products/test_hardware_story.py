"""Posting J to the cent: from stock to a merchant and back, by serial number, with its work and its warranty."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import AppError, Conflict, Invalid
from marketplace.flows.products import order_work as working
from marketplace.flows.products import sell_hardware as selling
from marketplace.flows.products import stock_hardware as stocking
from marketplace.flows.products.run_charges import net_charges
from supply.products.hardware import store
from supply.products.hardware.model import (
    HardwareDelivery,
    HardwareItem,
    HardwareLine,
    HardwareOrder,
    HardwareState,
    Provider,
    WorkKind,
    WorkState,
)
from supply.products.model import Means
from tests.billing.market import check_books
from tests.products.market import M, ask, books, charges, day, earn, entries, house, open_market

MAY_2, MAY_20, JUNE_1 = date(2018, 5, 2), date(2018, 5, 20), date(2018, 6, 1)


class Shop:
    """A house with three tills in stock, each bought for 140.00."""

    def __init__(self, db: Database, item: HardwareItem, provider: Provider) -> None:
        self.db, self.item, self.provider = db, item, provider

    async def do(self, work: Any, *args: Any) -> Any:
        return await self.db.write(WORKER, "test", work, *args)

    async def quoted(self, quantity: int = 1, deposit_ppm: int = 0, **changes: Any) -> HardwareOrder:
        line = HardwareLine(item_id=self.item.item_id, quantity=quantity, price_minor=25_000)
        terms: dict[str, Any] = {
            "currency": "EUR",
            "vat_ppm": 200_000,
            "expires_on": MAY_20,
            "order_id": None,
        } | changes
        cmd = selling.QuoteHardware(merchant_id=M, lines=(line,), deposit_ppm=deposit_ppm, **terms)
        made: HardwareOrder = await self.do(selling.quote_hardware, cmd)
        return made

    async def accepted(self, order: HardwareOrder, pays_by: Means = Means.TRANSFER) -> HardwareOrder:
        cmd = selling.AcceptQuote(merchant_id=M, order_id=order.order_id, quote_no=order.quote_no, pays_by=pays_by)
        done: HardwareOrder = await self.do(selling.accept_quote, cmd)
        return done

    async def shipped(self, order: HardwareOrder, *serials: str) -> HardwareOrder:
        cmd = selling.ShipHardware(merchant_id=M, order_id=order.order_id, serials=serials)
        done: HardwareOrder = await self.do(selling.ship_hardware, cmd)
        return done

    async def returned(self, order: HardwareOrder, *serials: str, restock: bool = True) -> HardwareOrder:
        cmd = selling.ReturnHardware(
            merchant_id=M, order_id=order.order_id, serials=serials, reason="broken", restock=restock
        )
        done: HardwareOrder = await self.do(selling.return_hardware, cmd)
        return done

    async def units(self, order: HardwareOrder) -> list[HardwareDelivery]:
        async with self.db.read(WORKER) as tx:
            return await store.deliveries_of(tx, M, order.order_id)


@pytest.fixture
async def shop(db: Database, clock: FixedClock) -> Shop:
    day(clock, MAY_2)
    await open_market(db)
    add = stocking.AddItem(sku="till", name="Till", currency="EUR", price_minor=25_000, warranty_months=24)
    item = await db.write(WORKER, "test", stocking.add_item, add)
    provider = await db.write(WORKER, "test", store.add_provider, "Tillmaker")
    units = stocking.ReceiveUnits(
        item_id=item.item_id, provider_id=provider.provider_id, serials=("T-1", "T-2", "T-3"), cost_minor=14_000
    )
    await db.write(WORKER, "test", stocking.receive_units, units)
    return Shop(db, item, provider)


async def test_hardware_is_shipped_and_its_cost_leaves_the_stock(shop: Shop, db: Database) -> None:
    """J: 250 and VAT, cost 140."""
    assert await house(db) == {1200: 42_000, 2060: -42_000}
    order = await shop.shipped(await shop.accepted(await shop.quoted()), "T-2")
    assert order.state is HardwareState.SHIPPED
    assert [(kind, legs) for kind, _, legs in await entries(db)] == [
        ("product_charged", {1100: 30_000, 4030: -25_000, 2300: -5_000}),
        ("hardware_shipped", {5300: 14_000, 1030: -14_000}),
    ]
    assert await house(db) == {1030: 14_000, 1200: 28_000, 2060: -42_000}
    [unit] = await shop.units(order)
    assert (unit.serial, unit.price_minor, unit.cost_minor, unit.warranty_until) == ("T-2", 25_000, 14_000, None)
    await check_books(db)


async def test_a_deposit_waits_until_the_goods_are_shipped(shop: Shop, db: Database, clock: FixedClock) -> None:
    """30 % first: 75.00 and VAT; the rest with the goods, and all of it is then revenue."""
    order = await shop.accepted(await shop.quoted(deposit_ppm=300_000), Means.NETTING)
    assert await books(db) == {1100: 9_000, 2200: -7_500, 2300: -1_500}
    with pytest.raises(Conflict, match="9000 of the deposit is not paid yet"):
        await shop.shipped(order, "T-1")
    await earn(db, M, 10_000, MAY_2)
    day(clock, MAY_20)
    await net_charges(db, "test")
    await shop.shipped(order, "T-1")
    assert await books(db) == {
        1030: -14_000, 1100: 20_000, 2300: -5_000, 4030: -25_000, 5300: 14_000, 6920: 10_000,
    }  # fmt: skip
    assert [(charge.part, charge.open_minor, charge.waiting_minor) for charge in await charges(db)] == [
        ("deposit", 0, 0),
        ("goods", 20_000, 0),
    ]
    named = f"1 x {shop.item.name}"
    assert [charge.description for charge in await charges(db)] == [f"{named}: deposit", f"{named}: goods"]
    await check_books(db)


async def test_what_comes_back_is_credited_and_in_stock_again_at_its_cost(shop: Shop, db: Database) -> None:
    """Two of three tills come back: one can be sold again, one is gone; nothing is owed for either."""
    order = await shop.shipped(await shop.accepted(await shop.quoted(quantity=3)), "T-1", "T-2", "T-3")
    assert (await shop.returned(order, "T-1")).state is HardwareState.SHIPPED
    await shop.returned(order, "T-2", restock=False)
    assert await books(db) == {1030: -28_000, 1100: 30_000, 2300: -5_000, 4030: -25_000, 5300: 28_000}
    assert await house(db) == {1030: 28_000, 1200: 14_000, 2060: -42_000}
    assert await ask(db, "SELECT serial, state FROM supply.hardware_unit ORDER BY 1") == [
        ("T-1", "in_stock"), ("T-2", "scrapped"), ("T-3", "delivered"),
    ]  # fmt: skip
    with pytest.raises(Invalid, match="'T-1' is not with the merchant"):
        await shop.returned(order, "T-1")
    assert (await shop.returned(order, "T-3")).state is HardwareState.RETURNED
    assert await books(db) == {1030: -14_000, 5300: 14_000}
    again = await shop.shipped(await shop.accepted(await shop.quoted()), "T-1")  # the same unit, once more
    assert [unit.serial for unit in await shop.units(again)] == ["T-1"]
    await check_books(db)


async def test_what_was_paid_of_a_returned_unit_becomes_payable(shop: Shop, db: Database) -> None:
    await earn(db, M, 30_000, MAY_2)
    order = await shop.shipped(await shop.accepted(await shop.quoted(deposit_ppm=500_000), Means.NETTING), "T-1")
    assert await books(db) == {1030: -14_000, 2300: -5_000, 4030: -25_000, 5300: 14_000, 6920: 30_000}
    await shop.returned(order, "T-1")
    assert await books(db) == {2000: -30_000, 6920: 30_000}
    await check_books(db)


async def test_an_order_called_off_gives_the_deposit_back(shop: Shop, db: Database) -> None:
    order = await shop.accepted(await shop.quoted(deposit_ppm=300_000))
    await shop.do(selling.cancel_hardware, M, order.order_id, "no space")
    assert await books(db) == {}
    with pytest.raises(Conflict, match="the order is cancelled"):
        await shop.shipped(order, "T-1")
    await check_books(db)


async def test_a_quote_has_versions_and_ends(shop: Shop, db: Database, clock: FixedClock) -> None:
    first = await shop.quoted()
    second = await shop.quoted(order_id=first.order_id, quantity=2)
    assert (second.order_id, second.quote_no) == (first.order_id, 2)
    with pytest.raises(Conflict, match="version 2 is what is offered now"):
        await shop.accepted(first)
    day(clock, date(2018, 5, 21))
    with pytest.raises(Conflict, match="held until 2018-05-20"):
        await shop.accepted(second)
    assert await selling.expire_quotes(db, "test") == 0  # somewhere it is still the 20th
    day(clock, date(2018, 5, 22))
    assert await selling.expire_quotes(db, "test") == 1
    assert await selling.expire_quotes(db, "test") == 0
    third = await shop.quoted(order_id=first.order_id, expires_on=JUNE_1)
    assert (await shop.accepted(third)).state is HardwareState.ACCEPTED


async def test_a_unit_goes_to_one_merchant_only(shop: Shop, db: Database) -> None:
    """Two orders are shipped at the same moment with the same unit: one of them is refused."""
    one, two = [await shop.accepted(await shop.quoted()) for _ in range(2)]
    other = Shop(db, shop.item, shop.provider)
    done = await asyncio.gather(shop.shipped(one, "T-1"), other.shipped(two, "T-1"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "HardwareOrder"]
    await check_books(db)


@pytest.mark.parametrize(
    ("serials", "why"),
    [
        (("T-1",), "2 units of item"),
        (("T-1", "T-1"), "each unit once"),
        (("T-1", "X-9"), "no unit 'X-9'"),
        (("T-1", "T-2", "T-3"), "2 units of item"),
    ],
)
async def test_only_what_was_ordered_is_shipped(shop: Shop, serials: tuple[str, ...], why: str) -> None:
    order = await shop.accepted(await shop.quoted(quantity=2))
    with pytest.raises(Invalid, match=why):
        await shop.shipped(order, *serials)


async def test_work_by_a_partner_costs_the_house_and_begins_the_warranty(
    shop: Shop, db: Database, clock: FixedClock
) -> None:
    order = await shop.shipped(await shop.accepted(await shop.quoted()), "T-1")
    partner = await shop.do(store.add_provider, "Fitters")
    plan = working.PlanWork(
        merchant_id=M, kind=WorkKind.INSTALL, serials=("T-1",), provider_id=partner.provider_id, technician="Tom",
        currency="EUR", price_minor=8_000, vat_ppm=200_000, cost_minor=5_000, pays_by=Means.TRANSFER,
    )  # fmt: skip
    work = await shop.do(working.plan_work, plan)
    done = working.FinishWork(merchant_id=M, work_order_id=work.work_order_id, on=MAY_20, evidence="signed")
    with pytest.raises(Conflict, match="finish needs one that is appointed"):
        await shop.do(working.finish_work, msgspec.structs.replace(done, on=MAY_2))
    appoint = working.Appoint(merchant_id=M, work_order_id=work.work_order_id, at=datetime(2018, 5, 20, 9, tzinfo=UTC))
    await shop.do(working.appoint_work, appoint)
    with pytest.raises(Invalid, match="not between"):
        await shop.do(working.finish_work, done)
    day(clock, MAY_20, 18)
    assert (await shop.do(working.finish_work, done)).state is WorkState.DONE
    assert (await entries(db))[2:] == [
        ("work_done", "2018-05-20", {5300: 5_000, 1030: -5_000}),
        ("product_charged", "2018-05-20", {1100: 9_600, 4030: -8_000, 2300: -1_600}),
    ]
    assert (await house(db))[2060] == -47_000
    [unit] = await shop.units(order)
    assert (await charges(db))[-1].description == f"{plan.kind} on 2018-05-20: {shop.item.name} {unit.serial}"
    assert (unit.installed_on, unit.warranty_until) == (MAY_20, date(2020, 5, 19))
    repair = msgspec.structs.replace(plan, kind=WorkKind.REPAIR)
    with pytest.raises(Invalid, match="under warranty"):
        await shop.do(working.plan_work, repair)
    with pytest.raises(Conflict, match="'T-1' is installed already"):
        await shop.do(working.plan_work, plan)
    await shop.do(working.plan_work, msgspec.structs.replace(repair, price_minor=0))
    day(clock, date(2020, 5, 20))
    await shop.do(working.plan_work, repair)
    await check_books(db)


async def test_an_own_technician_is_no_cost_of_anybody(shop: Shop) -> None:
    await shop.shipped(await shop.accepted(await shop.quoted()), "T-1")
    plan = working.PlanWork(
        merchant_id=M, kind=WorkKind.INSTALL, serials=("T-1",), provider_id=None, technician="Ann", currency="EUR",
        price_minor=0, vat_ppm=0, cost_minor=1, pays_by=Means.TRANSFER,
    )  # fmt: skip
    with pytest.raises(Invalid, match="name the partner"):
        await shop.do(working.plan_work, plan)
    with pytest.raises(Invalid, match="has no unit 'T-2'"):
        await shop.do(working.plan_work, msgspec.structs.replace(plan, cost_minor=0, serials=("T-2",)))


async def test_a_provider_is_paid_what_it_is_owed(shop: Shop, db: Database) -> None:
    pay = stocking.PayProvider(
        provider_id=shop.provider.provider_id, currency="EUR", amount_minor=40_000, bank_ref="B-1"
    )
    assert (await shop.do(stocking.pay_provider, pay)).left_minor == 2_000
    with pytest.raises(Conflict, match="is owed 2000, 40000 is more"):
        await shop.do(stocking.pay_provider, pay)
    assert await house(db) == {1010: -40_000, 1200: 42_000, 2060: -2_000}


async def test_a_serial_number_is_one_unit(shop: Shop) -> None:
    twice = stocking.ReceiveUnits(
        item_id=shop.item.item_id, provider_id=shop.provider.provider_id, serials=("T-9", "T-1"), cost_minor=1
    )
    with pytest.raises(AppError, match="'T-1' is a unit already"):
        await shop.do(stocking.receive_units, twice)
