"""What `test_verify` plants to have the proofs of products fail, and the books it plants it in."""

from datetime import date
from typing import Any

from billing.charges import store as charges
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.products import bill_services as services
from marketplace.flows.products import sell_hardware as selling
from marketplace.flows.products import stock_hardware as stocking
from marketplace.flows.products.charge_products import credit_charge, hold, recognise_amount
from marketplace.flows.products.sell_own import SellOwn, sell_own
from supply.products.hardware import store as hardware
from supply.products.hardware.model import HardwareLine
from supply.products.model import Means
from tests.products.market import MONTHLY, offered, subscribed

SEP_1, SEP_3 = date(2018, 9, 1), date(2018, 9, 3)


async def add_products(db: Database, maker: str) -> None:
    """Merchant 3 has a subscription, partly netted, earned and credited; a till of three in stock, of which the house
    sold one; an agreement."""
    held = await subscribed(db, await offered(db, MONTHLY), 3)
    await db.write(WORKER, maker, _earn_and_credit, held.subscription_id)
    await db.write(WORKER, maker, _sell_a_till)
    terms: dict[str, Any] = {"name": "Growth", "currency": "EUR", "share_ppm": 100_000, "vat_ppm": 0, "due_days": 14}
    proposed = services.ProposeShare(
        merchant_id=3, **terms, baseline_from=date(2018, 7, 1), baseline_to=date(2018, 8, 1), starts_on=SEP_1,
        ends_on=None,
    )  # fmt: skip
    made = await db.write(WORKER, maker, services.propose_share, proposed)
    await db.write(WORKER, maker, services.accept_agreement, 3, made.agreement_id, Means.NETTING)


async def _earn_and_credit(tx: Tx, subscription_id: int) -> None:
    await hold(tx, 3)
    [charge] = await charges.list_charges(tx, merchant_id=3, limit=9)
    charge = await recognise_amount(tx, charge, 100, date(2018, 8, 31))
    await credit_charge(tx, charge, 10, SEP_3, "test")
    assert charge.source_id == subscription_id


async def _sell_a_till(tx: Tx) -> None:
    add = stocking.AddItem(sku="till", name="Till", currency="EUR", price_minor=900, warranty_months=12)
    item = await stocking.add_item(tx, add)
    provider = await hardware.add_provider(tx, "Tillmaker")
    bought = stocking.ReceiveUnits(
        item_id=item.item_id, provider_id=provider.provider_id, serials=("T-1", "T-2", "T-3"), cost_minor=500
    )
    await stocking.receive_units(tx, bought)
    line = HardwareLine(item_id=item.item_id, quantity=1, price_minor=900)
    quote = selling.QuoteHardware(
        merchant_id=3, order_id=None, currency="EUR", lines=(line,), vat_ppm=0, deposit_ppm=0, expires_on=SEP_3
    )
    order = await selling.quote_hardware(tx, quote)
    accept = selling.AcceptQuote(merchant_id=3, order_id=order.order_id, quote_no=1, pays_by=Means.TRANSFER)
    await selling.accept_quote(tx, accept)
    await selling.ship_hardware(tx, selling.ShipHardware(merchant_id=3, order_id=order.order_id, serials=("T-1",)))
    own = SellOwn(serials=("T-3",), buyer="Ada", net_minor=800, vat_ppm=0, processor="card", receipt_ref="T-3")
    await sell_own(tx, own)


OF_IT = "source = 'subscription'"
PRODUCT_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a charge that is open by more than is owed": (
        [f"UPDATE billing.charge SET open_minor = open_minor + 1 WHERE {OF_IT}",
         "UPDATE billing.charge_movement SET open_minor = open_minor - 1 WHERE kind = 'netted'"],
        {"charges-are-receivable"},
    ),
    "something owed of no charge": (
        ["""UPDATE billing.entry SET dimensions = ARRAY[5, 0]::bigint[], accounts = ARRAY[1100, 6920]
            WHERE merchant_id = 1 AND kind = 'goodwill'"""],
        {"charges-are-receivable"},
    ),
    "a charge that has earned more than it has": (
        [f"UPDATE billing.charge SET net_minor = net_minor - 1, vat_minor = vat_minor + 1 WHERE {OF_IT}"],
        {"charges-are-deferred"},
    ),
    "a credit that nothing tells of": (
        [f"UPDATE billing.charge SET credited_vat_minor = credited_vat_minor + 1 WHERE {OF_IT}"],
        {"charges-are-movements"},
    ),
    "revenue that was never booked": (
        ["UPDATE billing.entry SET source_id = 999 WHERE kind = 'revenue_recognised'"], {"movements-are-entries"},
    ),
    "a charge booked of another amount": (
        ["UPDATE billing.charge_movement SET amount_minor = amount_minor + 1 WHERE kind = 'netted'"],
        {"movements-are-entries"},
    ),
    "a period that was not charged": (
        ["UPDATE supply.subscription SET period_to = period_to + 1"], {"periods-are-charged"},
    ),
    "a unit that has cost more than it is booked at": (
        ["UPDATE supply.hardware_unit SET cost_minor = cost_minor + 1 WHERE state = 'in_stock'"], {"stock-is-units"},
    ),
    "a unit in stock that was never bought": (
        ["INSERT INTO supply.hardware_unit VALUES ('X', 1, -1, 'EUR', 5, 'in_stock', NULL, NULL, now())"],
        {"stock-is-units"},
    ),
    "a unit that has come back and is there": (
        ["UPDATE supply.hardware_delivery SET returned_on = shipped_on"], {"units-are-deliveries"},
    ),
    "a sale of the platform for more than was booked": (
        ["UPDATE supply.own_sale SET net_minor = net_minor + 1"], {"own-sales-are-entries"},
    ),
    "a month that was closed and not charged": (
        ["""INSERT INTO supply.service_month SELECT merchant_id, agreement_id, '2018-09-01', 50, 5, 0, now()
            FROM supply.service_agreement"""],
        {"service-months-are-charges"},
    ),
}  # fmt: skip
