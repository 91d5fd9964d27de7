"""A buyer's purchases, for the shop that the buyer looks at: reading them, and what the buyer does with an order."""

from datetime import datetime

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.payments.model import PurchasePayment
from demand.fulfilment.model import Return
from demand.lifecycle import Party
from demand.model import Moved, OrderState
from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.orders import cancel_order as cancelling
from marketplace.flows.orders import fulfil_order as fulfilling
from marketplace.flows.orders.hold_order import Act
from marketplace.flows.orders.pay_purchase import PayPurchase, pay_purchase
from marketplace.flows.refunds import return_order as returning
from marketplace.routes import order_queries as queries
from marketplace.routes.fields import Method
from marketplace.routes.order_queries import Purchase, PurchaseView
from marketplace.routes.orders import ACTS, CancelBody, ReturnBody, tuple_or_none
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo
from marketplace.routes.refund_queries import RefundDone, refund_done
from marketplace.settings import Settings
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import seen_version
from marketplace.web.guards import SELLING, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

PURCHASES = "/buyers/{buyer_id:int}/purchases"
PURCHASE = PURCHASES + "/{purchase_id:int}"
ORDER = PURCHASE + "/orders/{order_id:int}"


@get(PURCHASES, guards=[needs(SELLING)])
async def list_purchases(
    db: NamedDependency[Database], buyer_id: PathNo, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Purchase]:
    """A buyer's purchases, the newest first."""
    before = decode_cursor(cursor, tuple[datetime, int])
    rows = await queries.list_purchases(db, buyer_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.placed_at, row.purchase_id))


@get(PURCHASE, guards=[needs(SELLING)])
async def get_purchase(db: NamedDependency[Database], buyer_id: PathNo, purchase_id: PathNo) -> PurchaseView:
    """A purchase with the orders of all its merchants, and what the buyer may do with each."""
    return await queries.view_purchase(db, buyer_id, purchase_id)


async def _act(request: ActorRequest, db: Database, buyer_id: int, purchase_id: int, order_id: int) -> Act:
    """The buyer's deed on an order of its own. Raises NotFound for another's, Stale for an ETag that is none."""
    return Act(
        merchant_id=await queries.merchant_of(db, buyer_id, purchase_id, order_id),
        order_id=order_id,
        party=Party.BUYER,
        check_version=seen_version(request),
    )


class BuyerCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What the cancellation made of the order, and what the buyer is owed by it; None where nothing was paid."""

    merchant_id: int
    order_id: int
    state: OrderState
    version: int
    refund: RefundDone | None


@post(f"{ORDER}/cancel", dto=StrictBody[CancelBody], guards=[needs(SELLING)], status_code=200, opt=ACTS)
async def cancel_purchased(
    request: ActorRequest,
    db: NamedDependency[Database],
    buyer_id: PathNo,
    purchase_id: PathNo,
    order_id: PathNo,
    data: JSONBody[CancelBody],
) -> Response[BuyerCancelled]:
    """Cancel one merchant's order that it has not accepted yet; the other merchants' orders stay as they are."""
    act = msgspec.structs.asdict(await _act(request, db, buyer_id, purchase_id, order_id))
    cmd = cancelling.CancelOrder(**act, reason=data.reason)

    async def work(tx: Tx) -> BuyerCancelled:
        done = await cancelling.cancel_order(tx, cmd)
        return BuyerCancelled(
            merchant_id=done.merchant_id,
            order_id=done.order_id,
            state=done.state,
            version=done.version,
            refund=None if done.refund is None else refund_done(done.refund, for_buyer=True),
        )

    return await once(request, db, work)


@post(f"{ORDER}/complete", guards=[needs(SELLING)], status_code=200, opt=ACTS)
async def complete_purchased(
    request: ActorRequest, db: NamedDependency[Database], buyer_id: PathNo, purchase_id: PathNo, order_id: PathNo
) -> Response[Moved]:
    """The buyer has received everything. Said again, the answer is the first one."""
    act = await _act(request, db, buyer_id, purchase_id, order_id)
    return await once(request, db, fulfilling.complete_order, act)


@post(f"{ORDER}/returns", dto=StrictBody[ReturnBody], guards=[needs(SELLING)], opt=ACTS)
async def return_purchased(
    request: ActorRequest,
    db: NamedDependency[Database],
    buyer_id: PathNo,
    purchase_id: PathNo,
    order_id: PathNo,
    data: JSONBody[ReturnBody],
) -> Response[Return]:
    """The buyer asks to give units back; the merchant decides."""
    act = msgspec.structs.asdict(await _act(request, db, buyer_id, purchase_id, order_id))
    cmd = returning.AskReturn(**act, reason=data.reason, note=data.note, lines=tuple_or_none(data.lines))
    return await once(request, db, returning.ask_return, cmd)


class PayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """method: the processor's token of card or account, or `cash`."""

    method: Method


@post(f"{PURCHASE}/pay", dto=StrictBody[PayBody], guards=[needs(SELLING)], status_code=201, opt=ONCE)
async def pay(
    request: ActorRequest,
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    buyer_id: PathNo,
    purchase_id: PathNo,
    data: JSONBody[PayBody],
) -> Response[PurchasePayment]:
    """Pay a purchase again whose payment was declined or has failed, at the same price, until its time to pay is over.

    Orders that were cancelled meanwhile are not paid for; credit that was to pay a part still does. 409 while another
    payment is under way, and when `pay_until` of the purchase is over.
    """
    cmd = PayPurchase(
        buyer_id=buyer_id, purchase_id=purchase_id, method=data.method, processor=settings.processor
    )  # fmt: skip
    return await once(request, db, pay_purchase, cmd)


HANDLERS = [list_purchases, get_purchase, pay, cancel_purchased, complete_purchased, return_purchased]
