"""Insertion orders: ads that people sell, from the opportunity to the make-good."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from billing.ads.lifecycle import party_of
from billing.ads.orders import store
from billing.ads.orders.lifecycle import OrderMove, OrderState
from billing.ads.orders.model import AdOrder, Bill, OrderLine
from billing.ads.orders.store import OrderEvent
from billing.charges.model import PaysBy
from billing.ledger import store as ledger
from marketplace.core.db import Database, Tx
from marketplace.core.money import check_currency
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.ads import make_good_ads as making_good
from marketplace.flows.ads import sell_ads as selling
from marketplace.flows.ads.make_good_ads import MakeGood
from marketplace.flows.ads.sell_ads import LINES_MAX, AcceptOrder, OpenOrder, OrderChange, WantedLine
from marketplace.routes.campaigns import Id, Terms, Words, check_instants
from marketplace.routes.fields import Currency, Days, Minor, Name, Note, Positive
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_PATH = "/merchants/{merchant_id:int}/ad-orders"
_ONE = _PATH + "/{ad_order_id:int}"
_LINE = _ONE + "/make-goods/{line_no:int}"

Quantity = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
LineNo = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
PathLine = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]
Owner = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
InState = Annotated[OrderState | None, QueryParameter(name="state")]
OfOwner = Annotated[
    str | None,
    QueryParameter(max_length=100, pattern=r"^[^\x00]*$", description="Who of the house sells it, by login."),
]


class LineBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """quantity clicks, impressions or slots, as the placement sells them, from from_at to before to_at.

    unit_price_minor: without VAT, of one click, a thousand impressions, one slot. Of slots a line has all that its
    window holds.
    """

    placement_id: Id
    product_id: Id
    categories: Terms = ()
    words: Words = ()
    from_at: datetime
    to_at: datetime
    quantity: Quantity
    unit_price_minor: Positive


Lines = Annotated[tuple[LineBody, ...], msgspec.Meta(max_length=LINES_MAX)]


class OrderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """owner: who sells it, by login; else whoever asks. expected_minor and expected_on are shown to the house alone.

    valid_until: the last day on which the merchant may accept the quote. due_days: for paying what was delivered.
    """

    name: Name
    owner: Owner | None = None
    currency: Currency
    expected_minor: Minor | None = None
    expected_on: date | None = None
    valid_until: date | None = None
    due_days: Days = 14
    lines: Lines = ()


class OrderChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is; lines are replaced whole."""

    name: Name | None = None
    owner: Owner | None = None
    expected_minor: Minor | None = None
    expected_on: date | None = None
    valid_until: date | None = None
    due_days: Days | None = None
    lines: Lines | None = None


class OrderMoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to become of the order, and why."""

    move: Literal["submit", "approve", "reject", "revise", "lose", "cancel"]
    reason: Note = ""


class OrderAccepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """version: of the quote that was read. evidence: how the merchant agreed, where the house says that it has."""

    version: Version
    pays_by: PaysBy
    evidence: Note = ""


class MakeGoodBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """line_no: the line that ended short. The units are to be delivered later, at its price or below."""

    line_no: LineNo
    line: LineBody


class LineDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A line with what it comes to, by its own price and by the list, and what has been delivered of it by now."""

    line: OrderLine
    total_minor: int
    list_minor: int
    discount_ppm: int
    delivered: int


class AdOrderDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its lines, each make-good naming the line it is for, how they were billed, and its history.

    total_minor: what its lines come to, make-goods left out; never more than that is billed. The history is shown to
    the house alone.
    """

    order: AdOrder
    total_minor: int
    lines: list[LineDetail]
    bills: list[Bill]
    events: list[OrderEvent]


def _shown(actor: Actor, order: AdOrder) -> AdOrder:
    """What the house hopes for is not for the merchant."""
    return order if actor.is_staff else msgspec.structs.replace(order, expected_minor=None, expected_on=None)


def _wanted(lines: tuple[LineBody, ...]) -> tuple[WantedLine, ...]:
    for line in lines:
        check_instants(from_at=line.from_at, to_at=line.to_at)
    return tuple(WantedLine(**{name: getattr(line, name) for name in line.__struct_fields__}) for line in lines)


@get("/ad-orders", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_ad_orders(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    in_state: InState = None,
    owner: OfOwner = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[AdOrder]:
    """The pipeline, the newest first; a merchant sees what has been quoted to it."""
    before = decode_cursor(cursor, tuple[int, int])
    own = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_orders(
            tx, merchant_id=own, state=in_state, owner=owner, limit=limit + 1, before=before
        )  # fmt: skip
    return page(
        rows, limit, lambda row: _shown(request.user, row), lambda row: (row.order_id, row.merchant_id)
    )  # fmt: skip


@get(_ONE, guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_ad_order(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, ad_order_id: PathId
) -> Response[AdOrderDetail]:
    """One order with its lines, what was delivered and billed of them, and its history."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        order = await store.get_order(tx, merchant_id, ad_order_id)
        lines = await store.lines_of(tx, merchant_id, ad_order_id)
        details = [
            LineDetail(
                line=line,
                total_minor=line.total_minor,
                list_minor=line.list_minor,
                discount_ppm=line.discount_ppm,
                delivered=await store.delivered(tx, line, tx.now),
            )
            for line in lines
        ]
        bills = await store.list_bills(tx, merchant_id, ad_order_id)
        events = await store.list_events(tx, merchant_id, ad_order_id)
    detail = AdOrderDetail(
        order=_shown(request.user, order),
        total_minor=sum(line.total_minor for line in lines if line.makes_good_line_no is None),
        lines=details,
        bills=bills,
        events=events,
    )
    return tagged(detail, order.version)


@post(_PATH, dto=StrictBody[OrderBody], guards=[needs(OPS)], opt=ONCE)
async def open_ad_order(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[OrderBody]
) -> Response[AdOrder]:
    """A new opportunity; its merchant does not see it before its quote is approved."""
    check_currency(data.currency)
    given = {name: getattr(data, name) for name in data.__struct_fields__}
    given |= {"owner": data.owner or request.user.login, "lines": _wanted(data.lines)}
    return await once(request, db, selling.open_order, OpenOrder(merchant_id=merchant_id, **given))


@patch(_ONE, dto=StrictBody[OrderChanges], guards=[needs(OPS)], opt=versioned())
async def edit_ad_order(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    ad_order_id: PathId,
    data: JSONBody[OrderChanges],
) -> Response[AdOrder]:
    """Change an opportunity; what is quoted has to be revised first."""
    given = {name: getattr(data, name) for name in data.__struct_fields__}
    given["lines"] = None if data.lines is None else _wanted(data.lines)

    async def hold(tx: Tx) -> AdOrder:
        await ledger.lock_books(tx, merchant_id)
        return await store.get_order(tx, merchant_id, ad_order_id, lock=True)

    async def change(tx: Tx, held: AdOrder) -> AdOrder:
        return await selling.edit_order(tx, held, OrderChange(**given))

    return await edited(request, db, hold, change)


@post(f"{_ONE}/moves", dto=StrictBody[OrderMoveBody], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def move_ad_order(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    ad_order_id: PathId,
    data: JSONBody[OrderMoveBody],
) -> Response[AdOrder]:
    """Submit, approve (as another person), reject, revise, lose or cancel. What is cancelled is billed as delivered."""
    return await once(request, db, selling.move_order, merchant_id, ad_order_id, OrderMove(data.move), data.reason)


@post(f"{_ONE}/accept", dto=StrictBody[OrderAccepted], guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE)
async def accept_ad_order(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    ad_order_id: PathId,
    data: JSONBody[OrderAccepted],
) -> Response[AdOrder]:
    """Order what was quoted. Slots are taken at once; one that somebody else has is refused, naming that booking."""
    check_books(request.user, merchant_id)
    cmd = AcceptOrder(merchant_id=merchant_id, order_id=ad_order_id, **msgspec.structs.asdict(data))
    party = party_of(request.user.merchant_id)

    async def work(tx: Tx) -> AdOrder:
        return _shown(request.user, await selling.accept_order(tx, cmd, party))

    return await once(request, db, work)


@post(f"{_ONE}/make-goods", dto=StrictBody[MakeGoodBody], guards=[needs(OPS)], opt=ONCE)
async def propose_make_good(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    ad_order_id: PathId,
    data: JSONBody[MakeGoodBody],
) -> Response[OrderLine]:
    """Propose to deliver later what a line ended short of."""
    [wanted] = _wanted((data.line,))
    cmd = MakeGood(merchant_id=merchant_id, order_id=ad_order_id, line_no=data.line_no, wanted=wanted)
    return await once(request, db, making_good.propose_make_good, cmd)


@post(f"{_LINE}/approve", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def approve_make_good(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    ad_order_id: PathId,
    line_no: PathLine,
) -> Response[OrderLine]:
    """Approve a make-good, as another person than proposed it; it is delivered in its window."""
    return await once(
        request, db, making_good.decide_make_good, merchant_id, ad_order_id, line_no, approved=True
    )  # fmt: skip


@post(f"{_LINE}/reject", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def reject_make_good(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    ad_order_id: PathId,
    line_no: PathLine,
) -> Response[OrderLine]:
    """Drop a make-good that waits for approval."""
    return await once(
        request, db, making_good.decide_make_good, merchant_id, ad_order_id, line_no, approved=False
    )  # fmt: skip


HANDLERS = [
    list_ad_orders,
    get_ad_order,
    open_ad_order,
    edit_ad_order,
    move_ad_order,
    accept_ad_order,
    propose_make_good,
    approve_make_good,
    reject_make_good,
]
