"""Every statement on insertion orders. Whoever changes one holds the merchant's ledger head, then the order."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ARRAY, BigInteger, bindparam, delete, func, insert, select, text, tuple_, update

from billing.ads.lifecycle import AdParty
from billing.ads.model import Pricing
from billing.ads.order_tables import ad_order, ad_order_bill, ad_order_event, ad_order_line
from billing.ads.orders.lifecycle import OrderMove, OrderState, check_move
from billing.ads.orders.model import AdOrder, Bill, LineState, OrderLine
from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.rows import edit_row

_ORDER = [ad_order.c[field] for field in AdOrder.__struct_fields__]
_LINE = [ad_order_line.c[field] for field in OrderLine.__struct_fields__]
_BILL = [ad_order_bill.c[field] for field in Bill.__struct_fields__]


T = TypeVar("T", bound=msgspec.Struct)


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A move of an order, and by whom."""

    event_no: int
    move: str
    state: OrderState
    party: AdParty
    actor: str
    at: datetime
    reason: str


_EVENT = [ad_order_event.c[field] for field in OrderEvent.__struct_fields__]


def _read(row: Any, kind: type[T]) -> T:
    return msgspec.convert(dict(zip(kind.__struct_fields__, row, strict=True)), kind)


async def insert_order(tx: Tx, new: AdOrder) -> AdOrder:
    """A new order, an opportunity; its first event says who found it."""
    await tx.execute(insert(ad_order), msgspec.structs.asdict(new))
    await _add_event(tx, new, "open", AdParty.PLATFORM)
    return new


async def get_order(tx: Tx, merchant_id: int, order_id: int, *, lock: bool = False) -> AdOrder:
    """An order, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_ORDER).where(ad_order.c.merchant_id == merchant_id, ad_order.c.order_id == order_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no ad order {order_id}")
    return _read(row, AdOrder)


async def list_orders(
    tx: Tx,
    *,
    merchant_id: int | None,
    state: OrderState | None,
    owner: str | None,
    limit: int,
    before: tuple[int, int] | None,
) -> list[AdOrder]:
    """Orders of one merchant or of all, in a state, of an owner; the newest first, behind (order_id, merchant_id)."""
    query = select(*_ORDER)
    if merchant_id is not None:
        query = query.where(ad_order.c.merchant_id == merchant_id)
    if state is not None:
        query = query.where(ad_order.c.state == state.value)
    if owner is not None:
        query = query.where(ad_order.c.owner == owner)
    if before is not None:
        query = query.where(tuple_(ad_order.c.order_id, ad_order.c.merchant_id) < before)
    rows = await tx.rows(query.order_by(ad_order.c.order_id.desc(), ad_order.c.merchant_id.desc()).limit(limit))
    return [_read(row, AdOrder) for row in rows]


async def set_order(tx: Tx, held: AdOrder, **values: Any) -> AdOrder:
    """Change columns of a held order; its version is counted up."""
    return await edit_row(tx, ad_order, held, **values)


async def move_order(
    tx: Tx, held: AdOrder, move: OrderMove, party: AdParty, *, reason: str = "", **values: Any
) -> AdOrder:
    """Take a held order to where the move leads, with its history and its event. Raises as `check_move` does.

    Its merchant is told of what it may see.
    """
    state = check_move(held.state, move, party)
    new = await set_order(tx, held, state=state, reason=reason, **values)
    await _add_event(tx, new, move.value, party)
    shown = held.quoted_at is not None or new.quoted_at is not None
    told = {"merchant_id": new.merchant_id, "order_id": new.order_id, "move": move.value, "state": state.value}
    await outbox.emit(tx, "billing.ad_order_moved.v1", told, merchant_id=new.merchant_id if shown else None)
    return new


async def _add_event(tx: Tx, order: AdOrder, move: str, party: AdParty) -> None:
    key = {"merchant_id": order.merchant_id, "order_id": order.order_id}
    of = (ad_order_event.c.merchant_id == order.merchant_id, ad_order_event.c.order_id == order.order_id)
    last = await tx.scalar(select(func.max(ad_order_event.c.event_no)).where(*of))
    event = {"event_no": (last or 0) + 1, "move": move, "state": order.state.value, "party": party.value}
    await tx.execute(insert(ad_order_event), {**key, **event, "actor": tx.actor, "at": tx.now, "reason": order.reason})


async def list_events(tx: Tx, merchant_id: int, order_id: int) -> list[OrderEvent]:
    """What became of an order, the oldest first."""
    of = (ad_order_event.c.merchant_id == merchant_id, ad_order_event.c.order_id == order_id)
    rows = await tx.rows(select(*_EVENT).where(*of).order_by(ad_order_event.c.event_no))
    return [_read(row, OrderEvent) for row in rows]


async def replace_lines(tx: Tx, order: AdOrder, lines: Sequence[OrderLine]) -> None:
    """What an opportunity is about from now on."""
    of = (ad_order_line.c.merchant_id == order.merchant_id, ad_order_line.c.order_id == order.order_id)
    await tx.execute(delete(ad_order_line).where(*of))
    for line in lines:
        await insert_line(tx, line)


async def insert_line(tx: Tx, new: OrderLine) -> OrderLine:
    row = {**msgspec.structs.asdict(new), "categories": list(new.categories), "words": list(new.words)}
    await tx.execute(insert(ad_order_line), row)
    return new


async def lines_of(tx: Tx, merchant_id: int, order_id: int) -> list[OrderLine]:
    """The lines of an order in their order."""
    of = (ad_order_line.c.merchant_id == merchant_id, ad_order_line.c.order_id == order_id)
    rows = await tx.rows(select(*_LINE).where(*of).order_by(ad_order_line.c.line_no))
    return [_read(row, OrderLine) for row in rows]


async def set_line(tx: Tx, held: OrderLine, **values: Any) -> OrderLine:
    """Change columns of a line of a held order."""
    await tx.execute(
        update(ad_order_line)
        .where(
            ad_order_line.c.merchant_id == held.merchant_id,
            ad_order_line.c.order_id == held.order_id,
            ad_order_line.c.line_no == held.line_no,
        )
        .values(**values)
    )
    return msgspec.structs.replace(held, **values)


async def show_lines(tx: Tx, order: AdOrder, *, shown: bool) -> None:
    """Let a held order's merchant see its lines, or not."""
    of = (ad_order_line.c.merchant_id == order.merchant_id, ad_order_line.c.order_id == order.order_id)
    await tx.execute(update(ad_order_line).where(*of).values(shown=shown))


_LINES_OF_CAMPAIGNS = text("""
SELECT order_id, line_no FROM billing.ad_order_line
WHERE merchant_id = :merchant AND campaign_id = ANY(:campaigns) AND billed_through IS NOT NULL ORDER BY 1, 2
""").bindparams(bindparam("campaigns", type_=ARRAY(BigInteger)))


async def billed_lines(tx: Tx, merchant_id: int, campaigns: Sequence[int]) -> Sequence[Any]:
    """order_id and line_no of the lines of these campaigns that have been billed."""
    return await tx.rows(_LINES_OF_CAMPAIGNS, merchant=merchant_id, campaigns=list(campaigns))


_HOURS = "FROM billing.ad_bucket WHERE hour_at < :through"
_COUNTED = {
    Pricing.CLICK: f"SELECT sum(clicks - invalid_clicks) {_HOURS}",
    Pricing.THOUSAND: f"SELECT sum(impressions - invalid_impressions) {_HOURS}",
    Pricing.SLOT: "SELECT count(*) FROM billing.ad_booking WHERE state = 'charged' AND from_at < :through",
}


async def delivered(tx: Tx, line: OrderLine, through: datetime) -> int:
    """The valid clicks or impressions of a line before an instant, or the slots begun by then and shown."""
    if line.campaign_id is None:
        return 0
    found = await tx.scalar(
        f"{_COUNTED[line.pricing]} AND merchant_id = :merchant AND campaign_id = :campaign",
        through=through,
        merchant=line.merchant_id,
        campaign=line.campaign_id,
    )
    return int(found or 0)


async def list_bills(tx: Tx, merchant_id: int, order_id: int) -> list[Bill]:
    """How the lines of an order were billed, line by line."""
    of = (ad_order_bill.c.merchant_id == merchant_id, ad_order_bill.c.order_id == order_id)
    rows = await tx.rows(select(*_BILL).where(*of).order_by(ad_order_bill.c.line_no, ad_order_bill.c.bill_no))
    return [_read(row, Bill) for row in rows]


async def next_bill_no(tx: Tx, line: OrderLine) -> int:
    """The number that the next bill of a line has."""
    last = await tx.scalar(
        select(func.max(ad_order_bill.c.bill_no)).where(
            ad_order_bill.c.merchant_id == line.merchant_id,
            ad_order_bill.c.order_id == line.order_id,
            ad_order_bill.c.line_no == line.line_no,
        )
    )
    return int(last or 0) + 1


async def add_bill(tx: Tx, new: Bill) -> None:
    await tx.execute(insert(ad_order_bill), msgspec.structs.asdict(new))


Key = tuple[int, int]


async def expiring(tx: Tx, today: date, after: Key, limit: int) -> Sequence[Any]:
    """merchant_id and order_id of quotes that held until before a day, by key, those behind `after`."""
    query = select(ad_order.c.merchant_id, ad_order.c.order_id).where(
        ad_order.c.state == OrderState.QUOTED.value, ad_order.c.valid_until < today
    )
    return await _page(tx, query, after, limit)


async def beginning(tx: Tx, now: datetime, after: Key, limit: int) -> Sequence[Any]:
    """merchant_id and order_id of what is ordered and has a line that has begun, by key, those behind `after`."""
    begun = select(ad_order_line.c.line_no).where(
        ad_order_line.c.merchant_id == ad_order.c.merchant_id,
        ad_order_line.c.order_id == ad_order.c.order_id,
        ad_order_line.c.from_at <= now,
    )
    query = select(ad_order.c.merchant_id, ad_order.c.order_id).where(
        ad_order.c.state == OrderState.ORDERED.value, begun.exists()
    )
    return await _page(tx, query, after, limit)


async def _page(tx: Tx, query: Any, after: Key, limit: int) -> Sequence[Any]:
    key = (ad_order.c.merchant_id, ad_order.c.order_id)
    return await tx.rows(query.where(tuple_(*key) > after).order_by(*key).limit(limit))


async def due(tx: Tx, now: datetime, after: tuple[int, int, int], limit: int) -> Sequence[Any]:
    """merchant_id, order_id and line_no of running lines that are to be billed by now, by key, those behind `after`."""
    key = (ad_order_line.c.merchant_id, ad_order_line.c.order_id, ad_order_line.c.line_no)
    query = select(*key).where(
        ad_order_line.c.state == LineState.RUNNING.value, ad_order_line.c.bill_at <= now, tuple_(*key) > after
    )
    return await tx.rows(query.order_by(*key).limit(limit))
