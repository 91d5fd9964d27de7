"""The platform sells to a buyer in its own name (domain.md, posting O): units of the house's stock, for a price that is
revenue as a whole, and so no part of what merchants' sales earn. All that was sold may come back.

Finance records a sale under the processor's reference of the payment, once, and a return when the processor has paid
the buyer back. Both stand in the house's books.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from billing.charges import postings
from billing.ledger import store as ledger
from billing.payments import store as payments
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.rates import apply_half_even
from marketplace.flows.products.sell_hardware import entry
from marketplace.flows.products.stock_hardware import hold_house
from supply.products.hardware import store as hardware
from supply.products.hardware.model import HardwareUnit
from supply.products.own_sales import store
from supply.products.own_sales.store import OwnSale


class SellOwn(msgspec.Struct, frozen=True, kw_only=True):
    """These units to a buyer, together for net_minor and the VAT on it. entity_id None: the only legal entity."""

    serials: tuple[str, ...]
    buyer: str
    net_minor: int
    vat_ppm: int
    processor: str
    receipt_ref: str
    entity_id: int | None = None


async def sell_own(tx: Tx, cmd: SellOwn) -> OwnSale:
    """Book the sale, and take the units out of stock.

    Raises Invalid for a processor or units that there are not, Conflict for units that are not in this house's stock,
    of several currencies, or a receipt that is booked.
    """
    house = await hold_house(tx, cmd.entity_id)
    processor_id = await payments.processor_id(tx, cmd.processor)
    if processor_id is None:
        raise Invalid(f"processor: there is no processor {cmd.processor!r}", pointer="/processor")
    units = await hardware.lock_units(tx, cmd.serials)
    _check_in_stock(units, house.merchant_id)
    on = local_date(tx.now, house.zone)
    sale = await store.add_sale(
        tx,
        OwnSale(
            sale_id=time_ordered_id(tx.now),
            receipt_ref=cmd.receipt_ref,
            house_merchant_id=house.merchant_id,
            buyer=cmd.buyer,
            currency=units[0].currency,
            processor_id=processor_id,
            net_minor=cmd.net_minor,
            vat_ppm=cmd.vat_ppm,
            vat_minor=apply_half_even(cmd.net_minor, cmd.vat_ppm),
            cost_minor=sum(unit.cost_minor for unit in units),
            serials=sorted(cmd.serials),
            sold_on=on,
            sold_by=tx.actor,
        ),
    )
    await _book(tx, sale, units, on, kind="own_sale", sign=1)
    for unit in units:
        await hardware.move_unit(tx, unit, "sold", merchant_id=None, order_id=None)
    await audit.record(tx, "sold by the platform", f"own_sale:{sale.sale_id}", serials=sale.serials)
    return sale


async def return_own(tx: Tx, sale_id: int, reason: str) -> OwnSale:
    """Take back the whole sale: the units are in stock again at their cost, the buyer has its money.

    Raises NotFound, and Conflict when that was done before.
    """
    sale = await store.get_sale(tx, sale_id)
    await ledger.lock_books(tx, sale.house_merchant_id)
    sale = await store.get_sale(tx, sale_id)
    if sale.returned_on is not None:
        raise Conflict(f"sale {sale_id} came back on {sale.returned_on}")
    units = await hardware.lock_units(tx, sale.serials)
    zone = await tx.scalar(
        "SELECT zone FROM billing.entity WHERE house_merchant_id = :house", house=sale.house_merchant_id
    )
    on = local_date(tx.now, zone)
    await _book(tx, sale, units, on, kind="own_sale_returned", sign=-1)
    for unit in units:
        await hardware.move_unit(tx, unit, "in_stock", merchant_id=None, order_id=None)
    await audit.record(tx, "sale of the platform returned", f"own_sale:{sale_id}", reason=reason)
    return await store.note_return(tx, sale, returned_on=on, returned_by=tx.actor, return_reason=reason)


def _check_in_stock(units: Sequence[HardwareUnit], house_merchant_id: int) -> None:
    for unit in units:
        if unit.state != "in_stock" or unit.house_merchant_id != house_merchant_id:
            raise Conflict(f"serials: unit {unit.serial!r} is not in stock", serial=unit.serial)
        if unit.currency != units[0].currency:
            raise Conflict("serials: units of several currencies are several sales")


async def _book(tx: Tx, sale: OwnSale, units: Sequence[HardwareUnit], on: date, *, kind: str, sign: int) -> None:
    costs: dict[int, int] = {}
    for unit in units:
        costs[unit.item_id] = costs.get(unit.item_id, 0) + sign * unit.cost_minor
    legs = postings.own_sale(sign * sale.net_minor, sign * sale.vat_minor, costs, sale.processor_id)
    await ledger.post(tx, [entry(tx, sale.house_merchant_id, kind, sale.sale_id, sale.currency, on, legs)])
