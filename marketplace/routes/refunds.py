"""Refunds of orders, the policies that say who bears them, and what to do when paying one fails."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

import demand.store
from demand.lifecycle import Party
from demand.model import Order
from demand.refund_policy import LineLeft, Reason, Rule, check_rules
from demand.refunds import store
from demand.refunds.store import PolicyVersion
from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.orders.price_amendment import By, check_buyer
from marketplace.flows.refunds.cancel_refund import cancel_refund
from marketplace.flows.refunds.pay_refund import RefundKey, refund_to_credit, retry_refund
from marketplace.flows.refunds.plan_refund import Plan, RefundLine, RefundOrder, plan_refund
from marketplace.flows.refunds.read_funds import Funds
from marketplace.flows.refunds.refund_order import refund_order
from marketplace.routes import refund_queries
from marketplace.routes.fields import BuyerId, Minor, Name, Positive
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.routes.refund_queries import Refund, RefundDetail, RefundDone, refund_done
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import CONTROL, MERCHANT_BOOKS, OPS, SELLING, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

LINES_MAX = 500
RULES_MAX = 200


class AskedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to give back of one line, in minor units."""

    line_no: Annotated[int, msgspec.Meta(ge=1, le=32_767)]
    goods_minor: Minor = 0
    freight_minor: Minor = 0


class AskRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of: lines; `whole`, whatever is left; goodwill_minor, an amount without items, divided over what is left.

    buyer_id: whom the shop acts for; it must be the order's buyer.
    """

    reason: Reason
    buyer_id: BuyerId | None = None
    lines: Annotated[list[AskedLine], msgspec.Meta(min_length=1, max_length=LINES_MAX)] | None = None
    whole: bool = False
    goodwill_minor: Positive | None = None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund would do, in minor units: what goes back, what is refundable before it, and who bears it.

    payer_minor: what of it third-party payers get back, who bore it; promotion_minor: what whoever bears promotions
    gets back; the buyer gets the rest.

    Who bears it is between platform and merchant: None for a shop that asks for its buyer.
    """

    gross_minor: int
    funds: Funds
    refundable_minor: int
    settled: bool
    payer_minor: int = 0
    promotion_minor: int = 0
    lines: list[LineLeft] | None = None
    merchant_minor: int | None = None
    platform_minor: int | None = None
    commission_minor: int | None = None
    vat_minor: int | None = None
    fee_minor: int | None = None
    rule: Rule | None = None


class NewPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version of the refund policy for orders that are sold from valid_from on, a local date."""

    name: Name
    valid_from: date
    rules: Annotated[list[Rule], msgspec.Meta(min_length=1, max_length=RULES_MAX)]


def initiator_of(actor: Actor) -> Party:
    """For whom the caller asks: its merchant, the buyers of its shop, or the platform."""
    if actor.merchant_id is not None:
        return Party.MERCHANT
    return Party.PLATFORM if actor.is_staff else Party.BUYER


def _command(actor: Actor, merchant_id: int, order_id: int, asked: AskRefund) -> RefundOrder:
    check_books(actor, merchant_id)
    if (asked.lines is not None) + asked.whole + (asked.goodwill_minor is not None) != 1:
        raise Invalid("lines: give either lines, or whole, or goodwill_minor", pointer="/lines")
    lines: Sequence[AskedLine] | None = asked.lines
    return RefundOrder(
        merchant_id=merchant_id,
        order_id=order_id,
        reason=asked.reason.value,
        lines=None
        if lines is None
        else tuple(RefundLine(line.line_no, line.goods_minor, line.freight_minor) for line in lines),
        goodwill_minor=asked.goodwill_minor,
        initiator=initiator_of(actor),
    )


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/refunds",
    dto=StrictBody[AskRefund],
    guards=[needs(SELLING, MERCHANT_BOOKS)],
    opt=ONCE,
)
async def refund(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[AskRefund],
) -> Response[RefundDone]:
    """Refund an order, in the name of its merchant, of its buyer or of the platform, whoever calls.

    The policy it was sold under says who bears what, and whether this party may ask for it at all.
    """
    cmd = _command(request.user, merchant_id, order_id, data)

    async def work(tx: Tx) -> RefundDone:
        if cmd.initiator is Party.BUYER:
            await _order_of_buyer(tx, cmd, data.buyer_id)
        return refund_done(await refund_order(tx, cmd), for_buyer=cmd.initiator is Party.BUYER)

    return await once(request, db, work)


async def _order_of_buyer(tx: Tx, cmd: RefundOrder, buyer_id: int | None) -> Order:
    """The order. Raises NotFound when a shop names another's; an order's buyer never changes, so no lock is needed."""
    order = (await demand.store.get_order(tx, cmd.merchant_id, cmd.order_id)).order
    check_buyer(order, By(party=cmd.initiator, buyer_id=buyer_id))
    return order


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/refunds/preview",
    dto=StrictBody[AskRefund],
    guards=[needs(SELLING, MERCHANT_BOOKS)],
    status_code=200,
)
async def preview_refund(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[AskRefund],
) -> Preview:
    """What the same request without `/preview` would do now. It changes nothing."""
    cmd = _command(request.user, merchant_id, order_id, data)
    # As the booking would read it: the merchant's own eyes do not reach the contract that its commission is rated by.
    async with db.read(WORKER) as tx:
        plan: Plan = await plan_refund(tx, cmd, await _order_of_buyer(tx, cmd, data.buyer_id))
    preview = Preview(
        gross_minor=plan.gross_minor,
        funds=plan.funds,
        refundable_minor=plan.funds.refundable_minor,
        settled=plan.settled,
        payer_minor=plan.payer_minor,
        promotion_minor=plan.promotion_minor,
    )
    if cmd.initiator is Party.BUYER:
        return preview
    return msgspec.structs.replace(
        preview,
        lines=plan.given,
        merchant_minor=plan.borne_minor,
        platform_minor=plan.platform_minor,
        commission_minor=plan.commission_minor,
        vat_minor=plan.vat_minor,
        fee_minor=plan.fee_minor,
        rule=plan.rule,
    )


def _shown(actor: Actor, found: Refund) -> Refund:
    """Who of the house acted is the house's own."""
    if actor.merchant_id is None or found.initiator == Party.MERCHANT:
        return found
    return msgspec.structs.replace(found, made_by="")


@get("/refunds", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_refunds(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    order_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Refund]:
    """Refunds, the newest first, of a merchant, of an order, or of all that the caller may see."""
    after = decode_cursor(cursor, tuple[int, int])
    merchant = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await refund_queries.list_refunds(
            tx, merchant_id=merchant, order_id=order_id, limit=limit + 1, after=after
        )
    rows = [_shown(request.user, row) for row in rows]
    return page(rows, limit, lambda row: row, lambda row: (row.refund_id, row.merchant_id))


@get("/merchants/{merchant_id:int}/refunds/{refund_id:int}", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_refund(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, refund_id: PathId
) -> RefundDetail:
    """A refund with its lines, its entries and every attempt to pay it."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await refund_queries.get_refund(tx, merchant_id, refund_id)
    return msgspec.structs.replace(found, refund=_shown(request.user, found.refund))


async def _retry(tx: Tx, key: RefundKey) -> RefundDetail:
    await retry_refund(tx, key)
    return await refund_queries.get_refund(tx, key.merchant_id, key.refund_id)


async def _to_credit(tx: Tx, key: RefundKey) -> RefundDetail:
    await refund_to_credit(tx, key)
    return await refund_queries.get_refund(tx, key.merchant_id, key.refund_id)


async def _cancel(tx: Tx, key: RefundKey) -> RefundDetail:
    await cancel_refund(tx, key)
    return await refund_queries.get_refund(tx, key.merchant_id, key.refund_id)


@post("/merchants/{merchant_id:int}/refunds/{refund_id:int}/retry", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def send_refund_again(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, refund_id: PathId
) -> Response[RefundDetail]:
    """Send again what failed of a refund."""
    return await once(request, db, _retry, RefundKey(merchant_id, refund_id))


@post("/merchants/{merchant_id:int}/refunds/{refund_id:int}/to-credit", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def turn_refund_into_credit(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, refund_id: PathId
) -> Response[RefundDetail]:
    """Turn what failed of a refund into the buyer's credit."""
    return await once(request, db, _to_credit, RefundKey(merchant_id, refund_id))


@post("/merchants/{merchant_id:int}/refunds/{refund_id:int}/cancel", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def take_refund_back(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, refund_id: PathId
) -> Response[RefundDetail]:
    """Take back a refund that failed, or that no payment carries: the buyer is owed it no more."""
    return await once(request, db, _cancel, RefundKey(merchant_id, refund_id))


@get("/refund-policies", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_refund_policies(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[PolicyVersion]:
    """Versions of the refund policy, the oldest first."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_policies(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.policy_id,))


async def _add_policy(tx: Tx, data: NewPolicy) -> PolicyVersion:
    made = await store.add_policy(tx, data.name, data.rules, data.valid_from)
    await audit.record(tx, "refund policy made", f"refund_policy:{made.policy_id}", name=data.name)
    return made


@post(
    "/refund-policies",
    dto=StrictBody[NewPolicy],
    guards=[needs(CONTROL)],
    opt=ONCE,
)
async def add_refund_policy(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewPolicy]
) -> Response[PolicyVersion]:
    """A new version of the refund policy; orders that were sold keep theirs. What it does not name is refused."""
    check_rules(data.rules)
    return await once(request, db, _add_policy, data)


HANDLERS = [
    refund,
    preview_refund,
    list_refunds,
    get_refund,
    send_refund_again,
    turn_refund_into_credit,
    take_refund_back,
    list_refund_policies,
    add_refund_policy,
]
