"""A merchant's order: reading it, and what merchant and platform do with it."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from demand.fulfilment.model import Return, ReturnMove
from demand.fulfilment.units import LINES_MAX, LineUnits
from demand.lifecycle import Party, party_of
from demand.model import Moved, OrderEvent
from demand.store import list_events as read_events
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.orders import cancel_order as cancelling
from marketplace.flows.orders import fulfil_order as fulfilling
from marketplace.flows.orders.cancel_order import Cancelled
from marketplace.flows.orders.fulfil_order import Shipped
from marketplace.flows.orders.hold_order import Act
from marketplace.flows.refunds import return_order as returning
from marketplace.flows.refunds.return_order import Received
from marketplace.routes.fields import Code, Id, Label, Note
from marketplace.routes.order_queries import OrderView, view_order
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import seen_version, tagged
from marketplace.web.guards import MERCHANT, MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import IF_MATCH_OPTIONAL, ONCE

ORDER = "/merchants/{merchant_id:int}/orders/{order_id:int}"
ACTS = {**ONCE, **IF_MATCH_OPTIONAL}
Units = Annotated[list[LineUnits], msgspec.Meta(min_length=1, max_length=LINES_MAX)]


class ShipBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without lines, all that is left to ship."""

    lines: Units | None = None
    carrier: Label = ""
    tracking: Label = ""


class DeliverBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    shipment_id: Id


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """reason: a code of the refund policy that gives everything back; by default that of who cancels.

    For a buyer `buyer_cancelled`; `changed_mind` leaves the freight with the merchant: refused where there is any.
    """

    reason: Code | None = None


class CancelLinesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Units that have not left."""

    lines: Units
    reason: Code | None = None


class ReturnBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without lines, all that the buyer still has.

    reason: why. Once the units are back they are refunded under `damaged`, `wrong_item`, `late` or `not_delivered`
    where that is the reason, and the order's refund policy names it; under `returned` for any other.
    """

    reason: Code
    note: Note = ""
    lines: Units | None = None


class DecideBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    note: Note = ""


class ReceiveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """restock: the units go on the shelf again."""

    restock: bool = False


def _act(request: ActorRequest, merchant_id: int, order_id: int) -> Act:
    """The caller's deed on an order of its own. Raises NotFound for another's, Stale for an ETag that is none."""
    check_books(request.user, merchant_id)
    return Act(
        merchant_id=merchant_id,
        order_id=order_id,
        party=party_of(request.user.merchant_id),
        check_version=seen_version(request),
    )


def tuple_or_none(lines: list[LineUnits] | None) -> tuple[LineUnits, ...] | None:
    return None if lines is None else tuple(lines)


@get(ORDER, guards=[needs(STAFF, MERCHANT)])
async def get_order(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, order_id: PathId
) -> Response[OrderView]:
    """An order with its lines, refunds, shipments and returns, and what the caller may do with it."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await view_order(tx, merchant_id, order_id, party_of(request.user.merchant_id))
    return tagged(found, found.order.version)


@get(f"{ORDER}/events", guards=[needs(STAFF, MERCHANT)])
async def list_order_events(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[OrderEvent]:
    """The order's moves since it was placed, the first first. Who of the house acted is the house's own.

    event_no is the order's version after the move, as in its ETag. Placing it made version 1, so its first move has 2.
    """
    check_books(request.user, merchant_id)
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        rows = await read_events(tx, merchant_id, order_id, limit=limit + 1, after_no=min(after, 2**31 - 1))
    if request.user.merchant_id is not None:
        own = Party.MERCHANT.value
        rows = [row if row.party == own else msgspec.structs.replace(row, actor="") for row in rows]
    return page(rows, limit, lambda row: row, lambda row: (row.event_no,))


@post(f"{ORDER}/accept", guards=[needs(OPS, MERCHANT)], status_code=200, opt=ACTS)
async def accept_order(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, order_id: PathId
) -> Response[Moved]:
    """Take a paid order on."""
    return await once(request, db, fulfilling.accept_order, _act(request, merchant_id, order_id))


@post(f"{ORDER}/shipments", dto=StrictBody[ShipBody], guards=[needs(OPS, MERCHANT)], opt=ACTS)
async def ship_order(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[ShipBody],
) -> Response[Shipped]:
    """Units leave the merchant, in one of as many shipments as it takes."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = fulfilling.ShipOrder(**act, lines=tuple_or_none(data.lines), carrier=data.carrier, tracking=data.tracking)
    return await once(request, db, fulfilling.ship_order, cmd)


@post(f"{ORDER}/deliveries", dto=StrictBody[DeliverBody], guards=[needs(OPS, MERCHANT)], status_code=200, opt=ACTS)
async def deliver_shipment(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[DeliverBody],
) -> Response[Moved]:
    """A shipment has arrived; with the last one the order is delivered and waits for settlement."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = fulfilling.DeliverShipment(**act, shipment_id=data.shipment_id)
    return await once(request, db, fulfilling.deliver_shipment, cmd)


@post(f"{ORDER}/complete", guards=[needs(OPS)], status_code=200, opt=ACTS)
async def complete_order(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, order_id: PathId
) -> Response[Moved]:
    """Count an order of which everything has left as delivered, before its delay has passed."""
    return await once(request, db, fulfilling.complete_order, _act(request, merchant_id, order_id))


@post(f"{ORDER}/cancel", dto=StrictBody[CancelBody], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ACTS)
async def cancel_order(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[CancelBody],
) -> Response[Cancelled]:
    """Cancel the order: what is left of its money goes back to the buyer, what has not left is free again."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    return await once(request, db, cancelling.cancel_order, cancelling.CancelOrder(**act, reason=data.reason))


@post(
    f"{ORDER}/cancel-lines",
    dto=StrictBody[CancelLinesBody],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=200,
    opt=ACTS,
)
async def cancel_lines(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[CancelLinesBody],
) -> Response[Cancelled]:
    """Cancel units that have not left: their share of the lines goes back to the buyer."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = cancelling.CancelLines(**act, lines=tuple(data.lines), reason=data.reason)
    return await once(request, db, cancelling.cancel_lines, cmd)


@post(f"{ORDER}/returns", dto=StrictBody[ReturnBody], guards=[needs(OPS)], opt=ACTS)
async def ask_return(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[ReturnBody],
) -> Response[Return]:
    """Ask for a return in the platform's own name; for a buyer it is asked at the purchase."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = returning.AskReturn(**act, reason=data.reason, note=data.note, lines=tuple_or_none(data.lines))
    return await once(request, db, returning.ask_return, cmd)


RETURN = ORDER + "/returns/{return_id:int}"


@post(f"{RETURN}/approve", dto=StrictBody[DecideBody], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ACTS)
async def approve_return(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    return_id: PathNo,
    data: JSONBody[DecideBody],
) -> Response[Return]:
    """Let the buyer send the units back."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = returning.DecideReturn(**act, return_id=return_id, move=ReturnMove.APPROVE, note=data.note)
    return await once(request, db, returning.decide_return, cmd)


@post(f"{RETURN}/refuse", dto=StrictBody[DecideBody], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ACTS)
async def refuse_return(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    return_id: PathNo,
    data: JSONBody[DecideBody],
) -> Response[Return]:
    """Refuse a return; the note says why."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = returning.DecideReturn(**act, return_id=return_id, move=ReturnMove.REFUSE, note=data.note)
    return await once(request, db, returning.decide_return, cmd)


@post(f"{RETURN}/cancel", guards=[needs(OPS)], status_code=200, opt=ACTS)
async def cancel_return(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, order_id: PathId, return_id: PathNo
) -> Response[Return]:
    """Give up a return whose units are not back yet."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = returning.DecideReturn(**act, return_id=return_id, move=ReturnMove.CANCEL)
    return await once(request, db, returning.decide_return, cmd)


@post(f"{RETURN}/receive", dto=StrictBody[ReceiveBody], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ACTS)
async def receive_return(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    return_id: PathNo,
    data: JSONBody[ReceiveBody],
) -> Response[Received]:
    """The units are back: the buyer is owed their share of the lines."""
    act = msgspec.structs.asdict(_act(request, merchant_id, order_id))
    cmd = returning.ReceiveReturn(**act, return_id=return_id, restock=data.restock)
    return await once(request, db, returning.receive_return, cmd)


HANDLERS = [
    get_order,
    list_order_events,
    accept_order,
    ship_order,
    deliver_shipment,
    complete_order,
    cancel_order,
    cancel_lines,
    ask_return,
    approve_return,
    refuse_return,
    cancel_return,
    receive_return,
]
