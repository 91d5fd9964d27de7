"""Amendments of paid orders: preview, proposal, decision."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from demand.amendments import store
from demand.amendments.model import CHANGES_MAX, Add, Amendment, Changes, Reprice, TakeOff, Words
from demand.lifecycle import Party
from demand.store import get_order
from marketplace.core.db import WORKER, Database, Scope, Tx
from marketplace.core.errors import Forbidden, Invalid
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.orders import amend_order
from marketplace.flows.orders.amend_order import DecideAmendment, ProposeAmendment
from marketplace.flows.orders.price_amendment import By, Preview, check_buyer, preview_amendment
from marketplace.routes.fields import BuyerId, Note
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, QueryId, check_books
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import MERCHANT, MERCHANT_BOOKS, SELLING, STAFF, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Method = Annotated[str, msgspec.Meta(max_length=200, pattern="^[^\\x00]*$")]


class PreviewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to change. buyer_id: whom the shop acts for; it must be the order's buyer."""

    take_off: Annotated[list[TakeOff], msgspec.Meta(max_length=CHANGES_MAX)] = []
    add: Annotated[list[Add], msgspec.Meta(max_length=CHANGES_MAX)] = []
    reprice: Annotated[list[Reprice], msgspec.Meta(max_length=CHANGES_MAX)] = []
    buyer_id: BuyerId | None = None

    @property
    def changes(self) -> Changes:
        return Changes(take_off=tuple(self.take_off), add=tuple(self.add), reprice=tuple(self.reprice))


class ProposeBody(PreviewBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """base_version: that of the preview. method: the token that the buyer pays more with; by default as it paid the
    order. An order that was paid in cash needs one.
    """

    base_version: Version
    reason: Words
    method: Method = ""


class AcceptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """base_version: the order's version that the caller has seen. method: the token that the buyer pays more with.

    Without it the proposal's is charged, or else the card or account that the order was paid with; one that was paid in
    cash needs a token.
    """

    base_version: Version
    method: Method = ""
    buyer_id: BuyerId | None = None


class EndBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why the proposal is turned down or taken back."""

    reason: Note = ""
    buyer_id: BuyerId | None = None


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/amendments/preview",
    dto=StrictBody[PreviewBody],
    guards=[needs(SELLING, MERCHANT_BOOKS)],
    status_code=200,
)
async def preview(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[PreviewBody],
) -> Preview:
    """What changes of an order would come to, line by line. Nothing is changed."""
    check_books(request.user, merchant_id)
    async with db.read(_scope(request.user)) as tx:
        return await preview_amendment(tx, merchant_id, order_id, _by(request.user, data.buyer_id), data.changes)


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/amendments",
    dto=StrictBody[ProposeBody],
    guards=[needs(SELLING, MERCHANT_BOOKS)],
    status_code=201,
    opt=ONCE,
)
async def propose(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    data: JSONBody[ProposeBody],
) -> Response[Amendment]:
    """Propose changes as previewed; the other side accepts or declines within 48 hours."""
    check_books(request.user, merchant_id)
    if data.method and request.user.merchant_id is not None:
        raise Forbidden("method: how the buyer pays is the buyer's to say")
    cmd = ProposeAmendment(
        merchant_id=merchant_id,
        order_id=order_id,
        by=_by(request.user, data.buyer_id),
        base_version=data.base_version,
        changes=data.changes,
        reason=data.reason,
        method=data.method,
    )
    return await _answer(request, db, amend_order.propose_amendment, cmd)


@get(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/amendments",
    guards=[needs(STAFF, MERCHANT, Role.STOREFRONT)],
)
async def list_amendments(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    buyer_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Amendment]:
    """An order's amendments, the newest first."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(_scope(request.user)) as tx:
        check_buyer((await get_order(tx, merchant_id, order_id)).order, _by(request.user, buyer_id))
        rows = await store.list_amendments(tx, merchant_id, order_id, limit=limit + 1, before_id=before)
    return page(rows, limit, lambda row: _shown(request.user, row), lambda row: (row.amendment_id,))


@get(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/amendments/{amendment_id:int}",
    guards=[needs(STAFF, MERCHANT, Role.STOREFRONT)],
)
async def get_amendment(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    amendment_id: PathNo,
    buyer_id: QueryId = None,
) -> Amendment:
    """One amendment, with what it changes and comes to."""
    check_books(request.user, merchant_id)
    async with db.read(_scope(request.user)) as tx:
        check_buyer((await get_order(tx, merchant_id, order_id)).order, _by(request.user, buyer_id))
        return _shown(request.user, await store.get_amendment(tx, merchant_id, order_id, amendment_id))


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/amendments/{amendment_id:int}/accept",
    dto=StrictBody[AcceptBody],
    guards=[needs(SELLING, MERCHANT_BOOKS)],
    status_code=200,
    opt={**ONCE, ALSO: (422,)},
)
async def accept(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    amendment_id: PathNo,
    data: JSONBody[AcceptBody],
) -> Response[Amendment]:
    """Accept what the other side proposed: applied at once, or when the buyer's payment of more is captured."""
    check_books(request.user, merchant_id)
    if data.method and request.user.merchant_id is not None:
        raise Forbidden("method: how the buyer pays is the buyer's to say")
    cmd = DecideAmendment(
        merchant_id=merchant_id,
        order_id=order_id,
        amendment_id=amendment_id,
        by=_by(request.user, data.buyer_id),
        base_version=data.base_version,
        method=data.method,
    )
    return await _answer(request, db, amend_order.accept_amendment, cmd)


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/amendments/{amendment_id:int}/decline",
    dto=StrictBody[EndBody],
    guards=[needs(SELLING, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def decline(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    amendment_id: PathNo,
    data: JSONBody[EndBody],
) -> Response[Amendment]:
    """Turn down what the other side proposed."""
    cmd = _end(request, merchant_id, order_id, amendment_id, data)
    return await _answer(request, db, amend_order.decline_amendment, cmd)


@post(
    "/merchants/{merchant_id:int}/orders/{order_id:int}/amendments/{amendment_id:int}/cancel",
    dto=StrictBody[EndBody],
    guards=[needs(SELLING, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def cancel(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    order_id: PathId,
    amendment_id: PathNo,
    data: JSONBody[EndBody],
) -> Response[Amendment]:
    """Take an open amendment back, also one that waits for its payment."""
    cmd = _end(request, merchant_id, order_id, amendment_id, data)
    return await _answer(request, db, amend_order.cancel_amendment, cmd)


async def _answer(
    request: ActorRequest, db: Database, act: Callable[[Tx, Any], Awaitable[Amendment]], cmd: Any
) -> Response[Amendment]:
    async def work(tx: Tx) -> Amendment:
        return _shown(request.user, await act(tx, cmd))

    return await once(request, db, work)


def _shown(actor: Actor, found: Amendment) -> Amendment:
    """What a merchant sees: not the buyer's means of payment, and of who acted only its own people."""
    if actor.merchant_id is None:
        return found
    return msgspec.structs.replace(
        found,
        method="",
        proposed_by=found.proposed_by if found.party is Party.MERCHANT else "",
        decided_by=found.decided_by if found.decided_party is Party.MERCHANT else None,
    )


def _end(request: ActorRequest, merchant_id: int, order_id: int, amendment_id: int, data: EndBody) -> DecideAmendment:
    check_books(request.user, merchant_id)
    return DecideAmendment(
        merchant_id=merchant_id,
        order_id=order_id,
        amendment_id=amendment_id,
        by=_by(request.user, data.buyer_id),
        reason=data.reason,
    )


def _by(actor: Actor, buyer_id: int | None) -> By:
    """On whose side the caller acts. Raises Invalid when the shop does not say for which buyer."""
    if actor.merchant_id is not None:
        return By(party=Party.MERCHANT)
    if not actor.is_staff:
        if buyer_id is None:
            raise Invalid("buyer_id: say which buyer you act for", pointer="/buyer_id")
        return By(party=Party.BUYER, buyer_id=buyer_id)
    return By(party=Party.PLATFORM)


def _scope(actor: Actor) -> Scope:
    """The shop's key asks as the house does: the buyer that it must name is what holds it to one order."""
    return actor.scope if actor.merchant_id is not None or actor.is_staff else WORKER


HANDLERS = [preview, propose, list_amendments, get_amendment, accept, decline, cancel]
