"""Work on hardware at a merchant's: planned, appointed, done with evidence; what it costs and what it earns.

A partner's cost is owed to it by the house and stands in the merchant's books, as the cost of goods does. An installed
unit's warranty begins that day; what is repaired under it costs the merchant nothing.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from textwrap import shorten

import msgspec

from billing.charges import model as money
from billing.charges import postings
from billing.charges.model import ChargeSource, NewCharge
from billing.charges.store import Books
from billing.ledger import store as ledger
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import check_currency
from marketplace.core.months import add_months
from marketplace.flows.products.charge_products import hold, make_charge
from marketplace.flows.products.sell_hardware import DUE_DAYS, GOODS_MAX, entry
from supply.products.hardware import store
from supply.products.hardware.model import (
    HardwareDelivery,
    WorkKind,
    WorkMove,
    WorkOrder,
    WorkState,
    under_warranty,
)
from supply.products.model import Means
from supply.store import get_merchant

_AHEAD = timedelta(days=366)


class PlanWork(msgspec.Struct, frozen=True, kw_only=True):
    """Work on units that a merchant has, see `WorkOrder`."""

    merchant_id: int
    kind: WorkKind
    serials: tuple[str, ...]
    provider_id: int | None
    technician: str
    currency: str
    price_minor: int
    vat_ppm: int
    cost_minor: int
    pays_by: Means


class Appoint(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    work_order_id: int
    at: datetime


class FinishWork(msgspec.Struct, frozen=True, kw_only=True):
    """evidence: what shows that it is done: who signed, which photograph, which reading."""

    merchant_id: int
    work_order_id: int
    on: date
    evidence: str


async def plan_work(tx: Tx, cmd: PlanWork) -> WorkOrder:
    """Plan work. Raises NotFound; Invalid for a unit that the merchant has not, a cost of nobody, and a price of a
    repair under warranty; Conflict for a unit that is installed already.
    """
    books = await hold(tx, cmd.merchant_id)
    await get_merchant(tx, cmd.merchant_id)
    check_currency(cmd.currency)
    if cmd.provider_id is not None:
        await store.check_provider(tx, cmd.provider_id)
    elif cmd.cost_minor:
        raise Invalid("cost_minor: an own technician costs nothing here; name the partner", pointer="/cost_minor")
    units = await store.units_at(tx, cmd.merchant_id, cmd.serials)
    _check_units(cmd.kind, units, cmd.price_minor, books.today)
    planned = WorkOrder(
        **msgspec.structs.asdict(cmd),
        work_order_id=time_ordered_id(tx.now),
        state=WorkState.PLANNED,
        appointed_at=None,
        evidence="",
        done_on=None,
        version=1,
        made_by=tx.actor,
        made_at=tx.now,
    )
    return await store.insert_work(tx, planned)


def _check_units(kind: WorkKind, units: list[HardwareDelivery], price_minor: int, on: date) -> None:
    installed = [one.serial for one in units if one.installed_on is not None]
    if kind is WorkKind.INSTALL and installed:
        raise Conflict(f"serials: {installed[0]!r} is installed already", serial=installed[0])
    if kind is WorkKind.REPAIR and price_minor and under_warranty(units, on):
        raise Invalid("price_minor: these units are under warranty", pointer="/price_minor")


async def appoint_work(tx: Tx, cmd: Appoint) -> WorkOrder:
    """Agree on when, or on another time. Raises NotFound, Conflict, Invalid for a time that is over or far."""
    await hold(tx, cmd.merchant_id)
    now = await store.get_work(tx, cmd.merchant_id, cmd.work_order_id, lock=True)
    if not tx.now < cmd.at <= tx.now + _AHEAD:
        raise Invalid("at: is within the next year", pointer="/at")
    return await store.move_work(tx, now, WorkMove.APPOINT, appointed_at=cmd.at)


async def cancel_work(tx: Tx, merchant_id: int, work_order_id: int) -> WorkOrder:
    """Raises NotFound, Conflict."""
    await hold(tx, merchant_id)
    now = await store.get_work(tx, merchant_id, work_order_id, lock=True)
    return await store.move_work(tx, now, WorkMove.CANCEL)


async def finish_work(tx: Tx, cmd: FinishWork) -> WorkOrder:
    """The work is done: the partner is owed its cost, the merchant is charged, installed units come under warranty.

    Raises NotFound, Conflict; Invalid for a day to come, or before it was planned.
    """
    books = await hold(tx, cmd.merchant_id)
    await ledger.lock_books(tx, books.house_merchant_id)
    now = await store.get_work(tx, cmd.merchant_id, cmd.work_order_id, lock=True)
    first = min(now.made_at.date(), books.today)
    if not first <= cmd.on <= books.today:
        raise Invalid(f"on: {cmd.on} is not between {first} and today, {books.today}", pointer="/on")
    done = await store.move_work(tx, now, WorkMove.FINISH, done_on=cmd.on, evidence=cmd.evidence)
    units = await store.units_at(tx, cmd.merchant_id, now.serials)
    _check_units(now.kind, units, now.price_minor, cmd.on)
    if now.kind is WorkKind.INSTALL:
        for unit in units:
            item = await store.get_item(tx, unit.item_id)
            until = add_months(cmd.on, item.warranty_months) - timedelta(days=1)
            await store.set_delivery(tx, unit, installed_on=cmd.on, warranty_until=until)
    if now.cost_minor and now.provider_id is not None:
        own, house = postings.work_done(now.cost_minor, now.provider_id, now.work_order_id)
        bound = ("work_done", now.work_order_id, now.currency, cmd.on)
        entries = [entry(tx, cmd.merchant_id, *bound, own), entry(tx, books.house_merchant_id, *bound, house)]
        await ledger.post(tx, entries)
    if now.price_minor:
        await make_charge(tx, _charge(books, done, await _names(tx, units)))
    return done


async def _names(tx: Tx, units: Sequence[HardwareDelivery]) -> str:
    """What was worked on, as people call it."""
    said = [f"{(await store.get_item(tx, unit.item_id)).name} {unit.serial}" for unit in units]
    return shorten(", ".join(said), GOODS_MAX, placeholder=" …")


def _charge(books: Books, done: WorkOrder, units: str) -> NewCharge:
    assert done.done_on is not None
    return NewCharge(
        merchant_id=done.merchant_id,
        source=ChargeSource.WORK_ORDER,
        source_id=done.work_order_id,
        part="work",
        description=": ".join(filter(None, (f"{done.kind} on {done.done_on}", units))),
        currency=done.currency,
        net_minor=done.price_minor,
        vat_ppm=done.vat_ppm,
        charged_on=done.done_on,
        due_on=books.today + timedelta(days=DUE_DAYS),
        pays_by=money.PaysBy(done.pays_by.value),
    )
