"""The house's stock of hardware: units bought from a provider, at cost, and providers paid."""

import msgspec

from billing.charges import postings
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import check_currency
from marketplace.flows.products.sell_hardware import entry
from supply.products.hardware import store
from supply.products.hardware.model import HardwareItem, HardwareUnit


class AddItem(msgspec.Struct, frozen=True, kw_only=True):
    """price_minor: what it is sold for unless a quote says otherwise."""

    sku: str
    name: str
    currency: str
    price_minor: int
    warranty_months: int


class ReceiveUnits(msgspec.Struct, frozen=True, kw_only=True):
    """A provider has delivered units of an item, each at this cost. entity_id None: the only legal entity."""

    item_id: int
    provider_id: int
    serials: tuple[str, ...]
    cost_minor: int
    entity_id: int | None = None


class PayProvider(msgspec.Struct, frozen=True, kw_only=True):
    """The bank has paid a provider; bank_ref is its name of the movement."""

    provider_id: int
    currency: str
    amount_minor: int
    bank_ref: str
    entity_id: int | None = None


class UnitsReceived(msgspec.Struct, frozen=True, kw_only=True):
    """entry_no: in the house's books."""

    entry_no: int
    units: list[HardwareUnit]


class ProviderPaid(msgspec.Struct, frozen=True, kw_only=True):
    """left_minor: what the provider is owed now."""

    entry_no: int
    left_minor: int


class House(msgspec.Struct, frozen=True, kw_only=True):
    """A legal entity's own books, and its calendar."""

    merchant_id: int
    zone: str


async def add_item(tx: Tx, cmd: AddItem) -> HardwareItem:
    """Raises Conflict for a sku that there is, Invalid for a currency that is none."""
    check_currency(cmd.currency)
    made = HardwareItem(
        **msgspec.structs.asdict(cmd), item_id=time_ordered_id(tx.now), made_by=tx.actor, made_at=tx.now
    )
    return await store.add_item(tx, made)


async def receive_units(tx: Tx, cmd: ReceiveUnits) -> UnitsReceived:
    """Put units into the house's stock at cost. Raises Conflict for a serial number that there is, Invalid."""
    house = await hold_house(tx, cmd.entity_id)
    item = await store.get_item(tx, cmd.item_id)
    await store.check_provider(tx, cmd.provider_id)
    if len(set(cmd.serials)) != len(cmd.serials):
        raise Invalid("serials: name each unit once", pointer="/serials")
    units = [
        HardwareUnit(
            serial=serial,
            item_id=item.item_id,
            house_merchant_id=house.merchant_id,
            currency=item.currency,
            cost_minor=cmd.cost_minor,
            state="in_stock",
            merchant_id=None,
            order_id=None,
            received_at=tx.now,
        )
        for serial in sorted(cmd.serials)
    ]
    await store.add_units(tx, units)
    source_id = time_ordered_id(tx.now)
    legs = postings.goods_received(cmd.cost_minor * len(units), item.item_id, cmd.provider_id)
    on = local_date(tx.now, house.zone)
    received = entry(tx, house.merchant_id, "stock_received", source_id, item.currency, on, legs)
    [entry_no] = await ledger.post(tx, [received])
    await audit.record(tx, "units received", f"item:{item.item_id}", units=len(units), cost_minor=cmd.cost_minor)
    return UnitsReceived(entry_no=entry_no, units=units)


async def pay_provider(tx: Tx, cmd: PayProvider) -> ProviderPaid:
    """Book that a provider was paid. Raises Invalid, Conflict for more than it is owed."""
    house = await hold_house(tx, cmd.entity_id)
    await store.check_provider(tx, cmd.provider_id)
    owed = 0
    for balance in await ledger.balances(tx, house.merchant_id):
        key = (balance.account, balance.dimension, balance.currency)
        if key == (Account.SUPPLIER_PAYABLE, cmd.provider_id, cmd.currency):
            owed = -balance.balance_minor
    if cmd.amount_minor > owed:
        raise Conflict(f"amount_minor: the provider is owed {owed}, {cmd.amount_minor} is more", owed_minor=owed)
    source_id = time_ordered_id(tx.now)
    legs = postings.provider_paid(cmd.amount_minor, cmd.provider_id)
    on = local_date(tx.now, house.zone)
    paid = entry(tx, house.merchant_id, "provider_paid", source_id, cmd.currency, on, legs)
    [entry_no] = await ledger.post(tx, [paid])
    await audit.record(
        tx, "provider paid", f"provider:{cmd.provider_id}", amount_minor=cmd.amount_minor, bank_ref=cmd.bank_ref
    )
    return ProviderPaid(entry_no=entry_no, left_minor=owed - cmd.amount_minor)


async def hold_house(tx: Tx, entity_id: int | None) -> House:
    """The books of a legal entity's house, held. Raises Invalid when it has to be named, or is none."""
    rows = await tx.rows(
        "SELECT house_merchant_id, zone FROM billing.entity"
        " WHERE entity_id = coalesce(CAST(:entity AS integer), entity_id)",
        entity=entity_id,
    )
    if len(rows) != 1:
        raise Invalid("entity_id: name one legal entity that there is", pointer="/entity_id")
    await ledger.lock_books(tx, rows[0].house_merchant_id)
    return House(merchant_id=rows[0].house_merchant_id, zone=rows[0].zone)
