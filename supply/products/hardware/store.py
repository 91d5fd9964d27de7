"""Every statement on hardware and on work orders. Whoever changes an order holds the merchant's books; units last."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.rows import edit_row
from supply.products.hardware.model import (
    HardwareDelivery,
    HardwareItem,
    HardwareOrder,
    HardwareQuote,
    HardwareUnit,
    OrderMove,
    Provider,
    WorkMove,
    WorkOrder,
    check_order_move,
    check_work_move,
)
from supply.products.hardware.tables import (
    delivery,
    hardware_order,
    hardware_quote,
    item,
    provider,
    unit,
    work_order,
)

_ITEM = [item.c[field] for field in HardwareItem.__struct_fields__]
_PROVIDER = [provider.c[field] for field in Provider.__struct_fields__]
_UNIT = [unit.c[field] for field in HardwareUnit.__struct_fields__]
_ORDER = [hardware_order.c[field] for field in HardwareOrder.__struct_fields__]
_QUOTE = [hardware_quote.c[field] for field in HardwareQuote.__struct_fields__]
_DELIVERED = [delivery.c[field] for field in HardwareDelivery.__struct_fields__]
_WORK = [work_order.c[field] for field in WorkOrder.__struct_fields__]


async def add_item(tx: Tx, new: HardwareItem) -> HardwareItem:
    """Raises Conflict for a sku that there is."""
    try:
        await tx.execute(insert(item), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"sku: {new.sku!r} is another item's") from fault
    await audit.record(tx, "item added", f"item:{new.item_id}", sku=new.sku)
    return new


async def get_item(tx: Tx, item_id: int) -> HardwareItem:
    """Raises Invalid for one that there is not: items are only ever named in bodies."""
    row = await tx.row(select(*_ITEM).where(item.c.item_id == item_id))
    if row is None:
        raise Invalid(f"item_id: there is no item {item_id}", pointer="/item_id")
    return HardwareItem(**row._mapping)


async def list_items(tx: Tx, *, limit: int, after: str = "") -> list[HardwareItem]:
    """At most `limit` items by sku, those behind the sku `after`."""
    rows = await tx.rows(select(*_ITEM).where(item.c.sku > after).order_by(item.c.sku).limit(limit))
    return [HardwareItem(**row._mapping) for row in rows]


async def add_provider(tx: Tx, name: str) -> Provider:
    """Raises Conflict for a name that there is."""
    new = Provider(provider_id=time_ordered_id(tx.now), name=name, made_by=tx.actor, made_at=tx.now)
    try:
        await tx.execute(insert(provider), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"name: {name!r} is another provider's") from fault
    await audit.record(tx, "provider added", f"provider:{new.provider_id}", name=name)
    return new


async def check_provider(tx: Tx, provider_id: int) -> None:
    """Raises Invalid for a provider that there is not."""
    if await tx.scalar(select(provider.c.provider_id).where(provider.c.provider_id == provider_id)) is None:
        raise Invalid(f"provider_id: there is no provider {provider_id}", pointer="/provider_id")


async def list_providers(tx: Tx, *, limit: int, after: int | None = None) -> list[Provider]:
    """At most `limit` providers by id, those behind `after`."""
    query = select(*_PROVIDER)
    if after is not None:
        query = query.where(provider.c.provider_id > after)
    return [Provider(**row._mapping) for row in await tx.rows(query.order_by(provider.c.provider_id).limit(limit))]


async def add_units(tx: Tx, units: Sequence[HardwareUnit]) -> None:
    """Put units into stock. Raises Conflict for a serial number that there is."""
    for one in units:
        try:
            await tx.execute(insert(unit), msgspec.structs.asdict(one))
        except IntegrityError as fault:
            raise Conflict(f"serials: {one.serial!r} is a unit already", serial=one.serial) from fault


async def lock_units(tx: Tx, serials: Sequence[str]) -> list[HardwareUnit]:
    """Units by their serial numbers, in that order, held until the transaction ends. Raises Invalid, for twins too."""
    if len(set(serials)) != len(serials):
        raise Invalid("serials: name each unit once", pointer="/serials")
    found = []
    for serial in sorted(serials):
        row = await tx.row(select(*_UNIT).where(unit.c.serial == serial).with_for_update())
        if row is None:
            raise Invalid(f"serials: there is no unit {serial!r}", pointer="/serials")
        found.append(HardwareUnit(**row._mapping))
    return found


async def move_unit(tx: Tx, held: HardwareUnit, state: str, *, merchant_id: int | None, order_id: int | None) -> None:
    """Say where a locked unit is."""
    await tx.execute(
        update(unit).where(unit.c.serial == held.serial).values(state=state, merchant_id=merchant_id, order_id=order_id)
    )


async def list_units(
    tx: Tx, *, limit: int, after: str = "", state: str | None = None, item_id: int | None = None
) -> list[HardwareUnit]:
    """At most `limit` units by serial number, those behind `after`."""
    query = select(*_UNIT).where(unit.c.serial > after)
    if state is not None:
        query = query.where(unit.c.state == state)
    if item_id is not None:
        query = query.where(unit.c.item_id == item_id)
    return [HardwareUnit(**row._mapping) for row in await tx.rows(query.order_by(unit.c.serial).limit(limit))]


async def insert_order(tx: Tx, new: HardwareOrder) -> HardwareOrder:
    await tx.execute(insert(hardware_order), msgspec.structs.asdict(new))
    await _tell(tx, new, OrderMove.QUOTE)
    return new


async def insert_quote(tx: Tx, new: HardwareQuote) -> HardwareQuote:
    await tx.execute(insert(hardware_quote), {**msgspec.structs.asdict(new), "lines": msgspec.to_builtins(new.lines)})
    return new


async def get_order(tx: Tx, merchant_id: int, order_id: int, *, lock: bool = False) -> HardwareOrder:
    """Raises NotFound."""
    query = select(*_ORDER).where(hardware_order.c.merchant_id == merchant_id, hardware_order.c.order_id == order_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no hardware order {order_id}")
    return msgspec.convert(dict(zip(HardwareOrder.__struct_fields__, row, strict=True)), HardwareOrder)


async def list_orders(
    tx: Tx, *, merchant_id: int | None, limit: int, before: tuple[int, int] | None = None
) -> list[HardwareOrder]:
    """At most `limit` orders of one merchant or of all, the newest first, those behind (order_id, merchant_id)."""
    query = select(*_ORDER)
    if merchant_id is not None:
        query = query.where(hardware_order.c.merchant_id == merchant_id)
    if before is not None:
        query = query.where(tuple_(hardware_order.c.order_id, hardware_order.c.merchant_id) < before)
    query = query.order_by(hardware_order.c.order_id.desc(), hardware_order.c.merchant_id.desc()).limit(limit)
    return [
        msgspec.convert(dict(zip(HardwareOrder.__struct_fields__, row, strict=True)), HardwareOrder)
        for row in await tx.rows(query)
    ]


async def get_quote(tx: Tx, merchant_id: int, order_id: int, quote_no: int) -> HardwareQuote:
    found = await list_quotes(tx, merchant_id, order_id)
    return next(one for one in found if one.quote_no == quote_no)


async def list_quotes(tx: Tx, merchant_id: int, order_id: int) -> list[HardwareQuote]:
    """All versions of an order's quote, the newest first."""
    query = select(*_QUOTE).where(hardware_quote.c.merchant_id == merchant_id, hardware_quote.c.order_id == order_id)
    rows = await tx.rows(query.order_by(hardware_quote.c.quote_no.desc()))
    return [
        msgspec.convert(dict(zip(HardwareQuote.__struct_fields__, row, strict=True)), HardwareQuote) for row in rows
    ]


async def quotes_expired(tx: Tx, upto: date, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """Orders whose quote nobody has answered by its last day, by merchant and id, those behind `after`."""
    return await tx.rows(
        """
        SELECT o.merchant_id, o.order_id FROM supply.hardware_order o
        JOIN supply.hardware_quote q
          ON q.merchant_id = o.merchant_id AND q.order_id = o.order_id AND q.quote_no = o.quote_no
        WHERE o.state = 'quoted' AND q.expires_on < :upto AND (o.merchant_id, o.order_id) > (:merchant, :order)
        ORDER BY o.merchant_id, o.order_id LIMIT :limit
        """,
        upto=upto,
        merchant=after[0],
        order=after[1],
        limit=limit,
    )


async def move_order(tx: Tx, held: HardwareOrder, move: OrderMove, **values: Any) -> HardwareOrder:
    """Take a locked order where its table of moves lets it go. Raises Conflict."""
    changed = await edit_row(tx, hardware_order, held, state=check_order_move(held.state, move), **values)
    await _tell(tx, changed, move)
    return changed


async def _tell(tx: Tx, now: HardwareOrder, move: OrderMove) -> None:
    told = {"move": move.value, **msgspec.structs.asdict(now)}
    await outbox.emit(tx, "supply.hardware_order_moved.v1", told, merchant_id=now.merchant_id)
    subject = f"hardware_order:{now.merchant_id}/{now.order_id}"
    await audit.record(tx, f"hardware order: {move.replace('_', ' ')}", subject, quote_no=now.quote_no)


async def add_deliveries(tx: Tx, delivered: Sequence[HardwareDelivery]) -> None:
    await tx.execute(insert(delivery), [msgspec.structs.asdict(one) for one in delivered])


async def deliveries_of(tx: Tx, merchant_id: int, order_id: int) -> list[HardwareDelivery]:
    """The units that were shipped with an order, by serial number."""
    query = select(*_DELIVERED).where(delivery.c.merchant_id == merchant_id, delivery.c.order_id == order_id)
    return [HardwareDelivery(**row._mapping) for row in await tx.rows(query.order_by(delivery.c.serial))]


async def units_at(tx: Tx, merchant_id: int, serials: Sequence[str]) -> list[HardwareDelivery]:
    """Units that a merchant has, by serial number. Raises Invalid for one that it has not."""
    query = select(*_DELIVERED).where(
        delivery.c.merchant_id == merchant_id, delivery.c.serial.in_(list(serials)), delivery.c.returned_on.is_(None)
    )
    found = [HardwareDelivery(**row._mapping) for row in await tx.rows(query.order_by(delivery.c.serial))]
    missing = sorted(set(serials) - {one.serial for one in found})
    if missing:
        raise Invalid(f"serials: merchant {merchant_id} has no unit {missing[0]!r}", pointer="/serials")
    return found


async def set_delivery(tx: Tx, held: HardwareDelivery, **values: Any) -> None:
    """Note what became of a unit."""
    await tx.execute(
        update(delivery)
        .where(
            delivery.c.merchant_id == held.merchant_id,
            delivery.c.order_id == held.order_id,
            delivery.c.serial == held.serial,
        )
        .values(**values)
    )


async def insert_work(tx: Tx, new: WorkOrder) -> WorkOrder:
    await tx.execute(insert(work_order), {**msgspec.structs.asdict(new), "serials": list(new.serials)})
    await _tell_work(tx, new, "plan")
    return new


async def get_work(tx: Tx, merchant_id: int, work_order_id: int, *, lock: bool = False) -> WorkOrder:
    """Raises NotFound."""
    query = select(*_WORK).where(work_order.c.merchant_id == merchant_id, work_order.c.work_order_id == work_order_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no work order {work_order_id}")
    return msgspec.convert(dict(zip(WorkOrder.__struct_fields__, row, strict=True)), WorkOrder)


async def list_work(
    tx: Tx, *, merchant_id: int | None, limit: int, before: tuple[int, int] | None = None
) -> list[WorkOrder]:
    """At most `limit` work orders, the newest first, those behind (work_order_id, merchant_id)."""
    query = select(*_WORK)
    if merchant_id is not None:
        query = query.where(work_order.c.merchant_id == merchant_id)
    if before is not None:
        query = query.where(tuple_(work_order.c.work_order_id, work_order.c.merchant_id) < before)
    query = query.order_by(work_order.c.work_order_id.desc(), work_order.c.merchant_id.desc()).limit(limit)
    return [
        msgspec.convert(dict(zip(WorkOrder.__struct_fields__, row, strict=True)), WorkOrder)
        for row in await tx.rows(query)
    ]


async def move_work(tx: Tx, held: WorkOrder, move: WorkMove, **values: Any) -> WorkOrder:
    """Take a locked work order where its table of moves lets it go. Raises Conflict."""
    changed = await edit_row(tx, work_order, held, state=check_work_move(held.state, move), **values)
    await _tell_work(tx, changed, move.value)
    return changed


async def _tell_work(tx: Tx, now: WorkOrder, move: str) -> None:
    told = {"move": move, **msgspec.structs.asdict(now)}
    told.pop("cost_minor")  # the merchant may be told of it
    await outbox.emit(tx, "supply.work_order_moved.v1", told, merchant_id=now.merchant_id)
    await audit.record(tx, f"work order: {move}", f"work_order:{now.merchant_id}/{now.work_order_id}")
