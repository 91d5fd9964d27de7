"""Sell hardware to a merchant: quote, acceptance and deposit, shipment from the house's stock, and units that return.

J: what is shipped is revenue, what it cost leaves the house's stock through the control account of the shipment. A
deposit waits as deferred revenue until then. A unit goes by its serial number, and is in one place.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from textwrap import shorten
from typing import Any

import msgspec

from billing.charges import model as money
from billing.charges import postings
from billing.charges import store as charges
from billing.charges.model import ChargeSource, NewCharge
from billing.charges.store import Books
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.flows.products.charge_products import credit_charge, hold, make_charge, recognise_amount
from supply.products.hardware import store
from supply.products.hardware.model import (
    HardwareDelivery,
    HardwareLine,
    HardwareOrder,
    HardwareQuote,
    HardwareState,
    HardwareUnit,
    OrderMove,
    check_serials,
    deposit_of,
    price_of,
)
from supply.products.model import Means
from supply.store import get_merchant

DUE_DAYS = 14
BATCH = 200
GOODS_MAX = 150
"""Characters of what a charge is for."""
_LAST_ZONE = "Etc/GMT+12"
"""Where a day ends last: everywhere else it is over by then."""
DEPOSIT, REST = "deposit", "goods"


class QuoteHardware(msgspec.Struct, frozen=True, kw_only=True):
    """An offer to a merchant; with order_id, another version of one. expires_on: the last day on which it holds."""

    merchant_id: int
    order_id: int | None
    currency: str
    lines: tuple[HardwareLine, ...]
    vat_ppm: int
    deposit_ppm: int
    expires_on: date
    note: str = ""


class AcceptQuote(msgspec.Struct, frozen=True, kw_only=True):
    """quote_no: the version that the merchant has seen."""

    merchant_id: int
    order_id: int
    quote_no: int
    pays_by: Means


class ShipHardware(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    order_id: int
    serials: tuple[str, ...]


class ReturnHardware(msgspec.Struct, frozen=True, kw_only=True):
    """Units that came back. restock: they can be sold again; else they are gone, and their cost stays spent."""

    merchant_id: int
    order_id: int
    serials: tuple[str, ...]
    reason: str
    restock: bool


async def quote_hardware(tx: Tx, cmd: QuoteHardware) -> HardwareOrder:
    """Offer hardware, or offer it anew. Raises NotFound, Invalid, Conflict for an order that is past quoting."""
    books = await hold(tx, cmd.merchant_id)
    await get_merchant(tx, cmd.merchant_id)
    if cmd.expires_on < books.today:
        raise Invalid(f"expires_on: {cmd.expires_on} is over", pointer="/expires_on")
    for number, line in enumerate(cmd.lines):
        item = await store.get_item(tx, line.item_id)
        if item.currency != cmd.currency:
            raise Invalid(f"lines: {item.sku} is sold in {item.currency}", pointer=f"/lines/{number}/item_id")
    net = price_of(cmd.lines)
    if cmd.order_id is None:
        order = await store.insert_order(tx, _new_order(tx, cmd.merchant_id))
    else:
        now = await store.get_order(tx, cmd.merchant_id, cmd.order_id, lock=True)
        order = await store.move_order(tx, now, OrderMove.QUOTE, quote_no=now.quote_no + 1)
    quote = HardwareQuote(
        merchant_id=cmd.merchant_id,
        order_id=order.order_id,
        quote_no=order.quote_no,
        currency=cmd.currency,
        lines=cmd.lines,
        net_minor=net,
        vat_ppm=cmd.vat_ppm,
        deposit_minor=deposit_of(net, cmd.deposit_ppm),
        expires_on=cmd.expires_on,
        note=cmd.note,
        made_by=tx.actor,
        made_at=tx.now,
    )
    await store.insert_quote(tx, quote)
    return order


def _new_order(tx: Tx, merchant_id: int) -> HardwareOrder:
    return HardwareOrder(
        merchant_id=merchant_id,
        order_id=time_ordered_id(tx.now),
        state=HardwareState.QUOTED,
        quote_no=1,
        pays_by=None,
        decided_by=None,
        shipped_on=None,
        version=1,
        made_at=tx.now,
    )


async def accept_quote(tx: Tx, cmd: AcceptQuote) -> HardwareOrder:
    """Order what was quoted, and charge the deposit. Raises NotFound; Conflict for another version, or one expired."""
    books = await hold(tx, cmd.merchant_id)
    now = await store.get_order(tx, cmd.merchant_id, cmd.order_id, lock=True)
    accepted = await store.move_order(tx, now, OrderMove.ACCEPT, pays_by=cmd.pays_by, decided_by=tx.actor)
    if now.quote_no != cmd.quote_no:
        raise Conflict(f"quote_no: version {now.quote_no} is what is offered now", quote_no=now.quote_no)
    quote = await store.get_quote(tx, cmd.merchant_id, cmd.order_id, now.quote_no)
    if quote.expires_on < books.today:
        raise Conflict(f"the quote held until {quote.expires_on}", expires_on=quote.expires_on)
    if quote.deposit_minor:
        await make_charge(tx, await _charge(tx, books, accepted, quote, DEPOSIT, quote.deposit_minor, deferred=True))
    return accepted


async def decline_quote(tx: Tx, merchant_id: int, order_id: int) -> HardwareOrder:
    """The merchant does not want it. Raises NotFound, Conflict."""
    await hold(tx, merchant_id)
    now = await store.get_order(tx, merchant_id, order_id, lock=True)
    return await store.move_order(tx, now, OrderMove.DECLINE, decided_by=tx.actor)


async def cancel_hardware(tx: Tx, merchant_id: int, order_id: int, reason: str) -> HardwareOrder:
    """Call an order off before it is shipped; its deposit is given back. Raises NotFound, Conflict."""
    books = await hold(tx, merchant_id)
    now = await store.get_order(tx, merchant_id, order_id, lock=True)
    cancelled = await store.move_order(tx, now, OrderMove.CANCEL)
    for charge in await charges.of_source(tx, merchant_id, ChargeSource.HARDWARE, order_id):
        await credit_charge(tx, charge, charge.kept_minor, books.today, reason)
    return cancelled


async def expire_quotes(db: Database, actor: str) -> int:
    """End the quotes that nobody has answered in time; returns how many."""

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (last.merchant_id, last.order_id) if last is not None else (FIRST, FIRST)
        return await store.quotes_expired(tx, local_date(tx.now, _LAST_ZONE), after, BATCH)

    async def expire(tx: Tx, row: Any) -> bool:
        await hold(tx, row.merchant_id)
        now = await store.get_order(tx, row.merchant_id, row.order_id, lock=True)
        quote = await store.get_quote(tx, row.merchant_id, row.order_id, now.quote_no)
        if now.state is not HardwareState.QUOTED or quote.expires_on >= local_date(tx.now, _LAST_ZONE):
            return False
        await store.move_order(tx, now, OrderMove.EXPIRE)
        return True

    return await each(db, actor, "quote not expired", page, expire)


async def ship_hardware(tx: Tx, cmd: ShipHardware) -> HardwareOrder:
    """J: ship all that was ordered, charge what the deposit has not, and book what it cost.

    Raises NotFound; Conflict while the deposit is not paid, or for a unit that is not in stock; Invalid for units that
    are not what was ordered.
    """
    books = await hold(tx, cmd.merchant_id)
    await ledger.lock_books(tx, books.house_merchant_id)
    now = await store.get_order(tx, cmd.merchant_id, cmd.order_id, lock=True)
    shipped = await store.move_order(tx, now, OrderMove.SHIP, shipped_on=books.today)
    quote = await store.get_quote(tx, cmd.merchant_id, cmd.order_id, now.quote_no)
    deposit = await charges.find_charge(tx, cmd.merchant_id, ChargeSource.HARDWARE, cmd.order_id, DEPOSIT)
    if deposit is not None and deposit.open_minor:
        raise Conflict(f"{deposit.open_minor} of the deposit is not paid yet", open_minor=deposit.open_minor)
    units = await store.lock_units(tx, cmd.serials)
    for unit in units:
        if unit.state != "in_stock" or unit.house_merchant_id != books.house_merchant_id:
            raise Conflict(f"serials: {unit.serial!r} is not in stock here: {unit.state}", serial=unit.serial)
    check_serials(quote.lines, units)
    if deposit is not None:
        held = await charges.set_charge(tx, deposit, anchored_minor=deposit.net_minor)
        await recognise_amount(tx, held, deposit.net_minor, books.today)
    if rest := quote.net_minor - quote.deposit_minor:
        await make_charge(tx, await _charge(tx, books, shipped, quote, REST, rest))
    prices = {line.item_id: line.price_minor for line in quote.lines}
    for unit in units:
        await store.move_unit(tx, unit, "delivered", merchant_id=cmd.merchant_id, order_id=cmd.order_id)
    await store.add_deliveries(tx, [_delivered(unit, shipped, prices[unit.item_id], books) for unit in units])
    await _post_cost(tx, books, "hardware_shipped", _costs(units))
    return shipped


def _delivered(unit: HardwareUnit, order: HardwareOrder, price_minor: int, books: Books) -> HardwareDelivery:
    return HardwareDelivery(
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        serial=unit.serial,
        item_id=unit.item_id,
        price_minor=price_minor,
        cost_minor=unit.cost_minor,
        shipped_on=books.today,
        installed_on=None,
        warranty_until=None,
        returned_on=None,
    )


async def return_hardware(tx: Tx, cmd: ReturnHardware) -> HardwareOrder:
    """Take units back: their price is credited, and what can be sold again goes into stock at its cost.

    Raises NotFound, Invalid for a unit that was not delivered with this order or is back already.
    """
    books = await hold(tx, cmd.merchant_id)
    await ledger.lock_books(tx, books.house_merchant_id)
    now = await store.get_order(tx, cmd.merchant_id, cmd.order_id, lock=True)
    delivered = {
        one.serial: one
        for one in await store.deliveries_of(tx, cmd.merchant_id, cmd.order_id)
        if one.returned_on is None
    }
    for serial in cmd.serials:
        if serial not in delivered:
            raise Invalid(f"serials: {serial!r} is not with the merchant by this order", pointer="/serials")
    units = await store.lock_units(tx, cmd.serials)
    move = OrderMove.RETURN if len(units) == len(delivered) else OrderMove.RETURN_PART
    returned = await store.move_order(tx, now, move)
    await _credit(tx, books, now, sum(delivered[unit.serial].price_minor for unit in units), cmd.reason)
    for unit in units:
        place = "in_stock" if cmd.restock else "scrapped"
        await store.move_unit(tx, unit, place, merchant_id=None, order_id=None)
        await store.set_delivery(tx, delivered[unit.serial], returned_on=books.today)
    if cmd.restock:
        back = {item_id: -cost for item_id, cost in _costs(units).items()}
        await _post_cost(tx, books, "hardware_returned", back)
    return returned


async def _credit(tx: Tx, books: Books, order: HardwareOrder, net_minor: int, reason: str) -> None:
    """Credit an order's charges, the last one first: what was paid as a deposit comes back last."""
    for charge in reversed(await charges.of_source(tx, order.merchant_id, ChargeSource.HARDWARE, order.order_id)):
        amount = min(net_minor, charge.kept_minor)
        if amount:
            await credit_charge(tx, charge, amount, books.today, reason)
            net_minor -= amount


async def _charge(
    tx: Tx,
    books: Books,
    order: HardwareOrder,
    quote: HardwareQuote,
    part: str,
    net_minor: int,
    *,
    deferred: bool = False,
) -> NewCharge:
    assert order.pays_by is not None
    goods = [f"{line.quantity} x {(await store.get_item(tx, line.item_id)).name}" for line in quote.lines]
    return NewCharge(
        merchant_id=order.merchant_id,
        source=ChargeSource.HARDWARE,
        source_id=order.order_id,
        part=part,
        description=f"{shorten(', '.join(goods), GOODS_MAX, placeholder=' …')}: {part}",
        currency=quote.currency,
        net_minor=net_minor,
        vat_ppm=quote.vat_ppm,
        charged_on=books.today,
        due_on=books.today + timedelta(days=DUE_DAYS),
        pays_by=money.PaysBy(order.pays_by.value),
        deferred=deferred,
    )


def _costs(units: Sequence[HardwareUnit]) -> dict[tuple[int, str], int]:
    """What units have cost, by item and currency."""
    costs: dict[tuple[int, str], int] = {}
    for unit in units:
        key = (unit.item_id, unit.currency)
        costs[key] = costs.get(key, 0) + unit.cost_minor
    return costs


async def _post_cost(tx: Tx, books: Books, kind: str, costs: dict[tuple[int, str], int]) -> None:
    """One entry in the merchant's books and one in the house's for each currency, which meet in a batch."""
    for currency in sorted({currency for _, currency in costs}):
        batch_id = time_ordered_id(tx.now)
        by_item = {item_id: cost for (item_id, of), cost in costs.items() if of == currency}
        own, house = postings.goods_shipped(by_item, batch_id)
        await ledger.post(
            tx,
            [
                entry(tx, books.merchant_id, kind, batch_id, currency, books.today, own),
                entry(tx, books.house_merchant_id, kind, batch_id, currency, books.today, house),
            ],
        )


def entry(
    tx: Tx, merchant_id: int, kind: str, source_id: int, currency: str, on: date, legs: tuple[Leg, ...]
) -> NewEntry:
    """An entry that happens now."""
    return NewEntry(
        merchant_id=merchant_id,
        kind=kind,
        source_id=source_id,
        currency=currency,
        occurred_at=tx.now,
        effective_on=on,
        legs=legs,
    )
