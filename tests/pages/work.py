"""A merchant that buys of the platform: something of each kind waits for it, and for the house."""

from datetime import date

from marketplace.core.db import WORKER, Database
from marketplace.flows.products import bill_services as services
from marketplace.flows.products import order_work, sell_hardware, stock_hardware
from supply.products.hardware import store as hardware
from supply.products.hardware.model import HardwareLine, HardwareOrder, WorkKind
from supply.products.model import Means
from supply.products.subscriptions import store as subscriptions
from tests.pages.conftest import MINE
from tests.products.market import MONTHLY, offered, subscribed

SOON = date(2018, 9, 20)
NEXT_MONTH = date(2018, 10, 1)


async def a_merchant_buys(db: Database) -> None:
    """A trial that somebody follows up, a quote and a till to be installed, and a service that is proposed."""
    trial = await subscribed(db, await offered(db, MONTHLY, trial_days=14, owner="ops"), MINE, pays_by=None)
    await db.write(WORKER, "test", subscriptions.raise_task, trial, "trial_follow_up", "Till: in use", "ops", SOON)
    add = stock_hardware.AddItem(sku="till", name="Till", currency="EUR", price_minor=25_000, warranty_months=24)
    item = await db.write(WORKER, "test", stock_hardware.add_item, add)
    maker = await db.write(WORKER, "test", hardware.add_provider, "Tillmaker")
    units = stock_hardware.ReceiveUnits(
        item_id=item.item_id, provider_id=maker.provider_id, serials=("T-1", "T-2"), cost_minor=14_000
    )
    await db.write(WORKER, "test", stock_hardware.receive_units, units)
    bought = await _quote(db, item.item_id)
    cmd = sell_hardware.AcceptQuote(
        merchant_id=MINE, order_id=bought.order_id, quote_no=bought.quote_no, pays_by=Means.TRANSFER
    )
    await db.write(WORKER, "test", sell_hardware.accept_quote, cmd)
    ship = sell_hardware.ShipHardware(merchant_id=MINE, order_id=bought.order_id, serials=("T-1",))
    await db.write(WORKER, "test", sell_hardware.ship_hardware, ship)
    plan = order_work.PlanWork(
        merchant_id=MINE, kind=WorkKind.INSTALL, serials=("T-1",), provider_id=None, technician="Tom", currency="EUR",
        price_minor=0, vat_ppm=0, cost_minor=0, pays_by=Means.NETTING,
    )  # fmt: skip
    await db.write(WORKER, "test", order_work.plan_work, plan)
    await _quote(db, item.item_id)
    care = services.ProposeRetainer(
        merchant_id=MINE, name="Care", currency="EUR", retainer_minor=50_000, vat_ppm=200_000, due_days=14,
        starts_on=NEXT_MONTH, ends_on=None,
    )  # fmt: skip
    await db.write(WORKER, "test", services.propose_retainer, care)


async def _quote(db: Database, item_id: int) -> HardwareOrder:
    cmd = sell_hardware.QuoteHardware(
        merchant_id=MINE, lines=(HardwareLine(item_id=item_id, quantity=1, price_minor=25_000),), deposit_ppm=0,
        currency="EUR", vat_ppm=200_000, expires_on=SOON, order_id=None,
    )  # fmt: skip
    made: HardwareOrder = await db.write(WORKER, "test", sell_hardware.quote_hardware, cmd)
    return made
