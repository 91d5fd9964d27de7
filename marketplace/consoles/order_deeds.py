"""What a merchant, or operations for it, does with an order on its page: take it on, ship, say it arrived, cancel."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from demand.lifecycle import Move, moves_from, party_of
from demand.model import OrderState
from marketplace.consoles import books_queries
from marketplace.consoles.books_queries import OrderPage
from marketplace.consoles.deeds import Refused, carry_out, done, text
from marketplace.consoles.layout import PathId, Place, send
from marketplace.core.db import Database, Tx
from marketplace.flows.orders import fulfil_order
from marketplace.flows.orders.cancel_order import CancelOrder, cancel_order
from marketplace.flows.orders.hold_order import Act
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.guards import MERCHANT, MERCHANT_BOOKS, OPS, needs

_TEXT_MAX = 200


async def show_order(
    request: ActorRequest, db: Database, place: Place, order_id: int, refused: Refused | None = None
) -> Response[str]:
    """One order: its lines, what was paid, the commission on it, every entry booked for it, and what may be done."""
    async with db.read(place.scope) as tx:
        page = await books_queries.order_page(tx, place.merchant_id, order_id)
    return send(request, "books/order.html", page, "orders", place, refused=refused, moves=_moves(request.user, page))


def _moves(actor: Actor, page: OrderPage) -> set[Move]:
    """What these people may do with the order as it stands."""
    found = set[Move]()
    if actor.roles & (MERCHANT | OPS):
        found |= set(moves_from(OrderState(page.order.state), party_of(actor.merchant_id)))
    if not actor.roles & (MERCHANT_BOOKS | OPS):
        found.discard(Move.CANCEL)
    if all(line.shipped + line.gone >= line.quantity for line in page.lines):
        found.discard(Move.SHIP)
    return found


@post("/orders/{order_id:int}/accept", guards=[needs(OPS, MERCHANT)])
async def accept(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], order_id: PathId
) -> Response[Any]:
    """Take a paid order on."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await fulfil_order.accept_order(tx, _act(request, place, order_id))
        return done(_address(place, order_id), "order_accept")

    return await carry_out(request, db, work, again=lambda why: show_order(request, db, place, order_id, why))


@post("/orders/{order_id:int}/ship", guards=[needs(OPS, MERCHANT)])
async def ship(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], order_id: PathId
) -> Response[Any]:
    """All that is left of an order leaves, in one shipment."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        act = msgspec.structs.asdict(_act(request, place, order_id))
        cmd = fulfil_order.ShipOrder(
            **act, carrier=text(typed, "carrier", most=_TEXT_MAX), tracking=text(typed, "tracking", most=_TEXT_MAX)
        )
        await fulfil_order.ship_order(tx, cmd)
        return done(_address(place, order_id), "order_ship")

    return await carry_out(request, db, work, again=lambda why: show_order(request, db, place, order_id, why))


@post("/orders/{order_id:int}/shipments/{shipment_id:int}/deliver", guards=[needs(OPS, MERCHANT)])
async def deliver(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    order_id: PathId,
    shipment_id: PathId,
) -> Response[Any]:
    """A shipment has arrived."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        act = msgspec.structs.asdict(_act(request, place, order_id))
        cmd = fulfil_order.DeliverShipment(**act, shipment_id=shipment_id)
        await fulfil_order.deliver_shipment(tx, cmd)
        return done(_address(place, order_id), "order_deliver")

    return await carry_out(request, db, work, again=lambda why: show_order(request, db, place, order_id, why))


@post("/orders/{order_id:int}/cancel", guards=[needs(OPS, MERCHANT_BOOKS)])
async def cancel(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], order_id: PathId
) -> Response[Any]:
    """Cancel an order: what is left of its money goes back to the buyer."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        await cancel_order(tx, CancelOrder(**msgspec.structs.asdict(_act(request, place, order_id))))
        return done(_address(place, order_id), "order_cancel")

    return await carry_out(request, db, work, again=lambda why: show_order(request, db, place, order_id, why))


def _act(request: ActorRequest, place: Place, order_id: int) -> Act:
    return Act(merchant_id=place.merchant_id, order_id=order_id, party=party_of(request.user.merchant_id))


def _address(place: Place, order_id: int) -> str:
    return f"{place.base}/orders/{order_id}"


DEEDS = [accept, ship, deliver, cancel]
