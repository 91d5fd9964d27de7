"""What merchants dispute of the lines of their books, and what finance says to it."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from billing.line_disputes import store
from billing.line_disputes.model import CaseState, LineDispute, Message, Side
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.books import dispute_line as flow
from marketplace.flows.books.dispute_line import AcceptDispute, CaseKey, DisputeLine
from marketplace.routes.fields import Id, Positive, Reason, Words
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_ALL = "/merchants/{merchant_id:int}/line-disputes"
_ONE = f"{_ALL}/{{line_dispute_id:int}}"

InState = Annotated[CaseState | None, QueryParameter(name="state")]  # Litestar keeps the name `state` for itself


class NewDispute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line, by its entry or by its charge. disputed_minor: by default all that is not disputed of it yet."""

    text: Words
    entry_no: Id | None = None
    charge_id: Id | None = None
    disputed_minor: Positive | None = None


class NewMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    text: Words


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """amount_minor: what of it is given back; the merchant reads the reason."""

    amount_minor: Positive
    reason: Reason


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


@get("/line-disputes", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_line_disputes(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    in_state: InState = None,
    due_by: FromQuery[date | None] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[LineDispute]:
    """Disputes of lines, the newest first, of one merchant or of all that the caller may see."""
    before = decode_cursor(cursor, tuple[int, int])
    own = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_cases(
            tx, merchant_id=own, state=in_state, due_by=due_by, limit=limit + 1, before=before
        )
    return page(rows, limit, lambda row: row, lambda row: (row.line_dispute_id, row.merchant_id))


@post(_ALL, dto=StrictBody[NewDispute], guards=[needs(MERCHANT_BOOKS)], status_code=201, opt=ONCE)
async def dispute_line(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewDispute]
) -> Response[LineDispute]:
    """Say that a line of the books is wrong."""
    check_books(request.user, merchant_id)
    cmd = DisputeLine(merchant_id=merchant_id, **msgspec.structs.asdict(data))
    return await once(request, db, flow.dispute_line, cmd)


@get(_ONE, guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_line_dispute(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, line_dispute_id: PathNo
) -> LineDispute:
    """One case: what is disputed, what was given back and by which entry."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_case(tx, merchant_id, line_dispute_id)


@get(f"{_ONE}/messages", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_line_dispute_messages(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    line_dispute_id: PathNo,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Message]:
    """What the merchant and the house have said to each other, the first message first."""
    check_books(request.user, merchant_id)
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        await store.get_case(tx, merchant_id, line_dispute_id)
        rows = await store.list_messages(tx, merchant_id, line_dispute_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.message_no,))


@post(
    f"{_ONE}/messages",
    dto=StrictBody[NewMessage],
    guards=[needs(FINANCE, MERCHANT_BOOKS)],
    status_code=201,
    opt=ONCE,
)
async def say_to_line_dispute(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    line_dispute_id: PathNo,
    data: JSONBody[NewMessage],
) -> Response[Message]:
    """Write to the other side of a case that is not decided."""
    check_books(request.user, merchant_id)
    side = Side.HOUSE if request.user.merchant_id is None else Side.MERCHANT
    key = CaseKey(merchant_id=merchant_id, line_dispute_id=line_dispute_id)
    return await once(request, db, flow.say, key, side, data.text)


@post(f"{_ONE}/withdraw", guards=[needs(MERCHANT_BOOKS)], status_code=200, opt=ONCE)
async def withdraw_line_dispute(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, line_dispute_id: PathNo
) -> Response[LineDispute]:
    """Dispute it no more."""
    check_books(request.user, merchant_id)
    return await once(request, db, flow.withdraw, CaseKey(merchant_id=merchant_id, line_dispute_id=line_dispute_id))


@post(f"{_ONE}/review", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def review_line_dispute(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, line_dispute_id: PathNo
) -> Response[LineDispute]:
    """Begin to look into it."""
    return await once(request, db, flow.review, CaseKey(merchant_id=merchant_id, line_dispute_id=line_dispute_id))


@post(f"{_ONE}/accept", dto=StrictBody[Acceptance], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def accept_line_dispute(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    line_dispute_id: PathNo,
    data: JSONBody[Acceptance],
) -> Response[LineDispute]:
    """Propose to give back what is right of it. Somebody else approves the journal."""
    cmd = AcceptDispute(merchant_id=merchant_id, line_dispute_id=line_dispute_id, **msgspec.structs.asdict(data))
    return await once(request, db, flow.accept, cmd)


@post(f"{_ONE}/decline", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def decline_line_dispute(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    line_dispute_id: PathNo,
    data: JSONBody[Because],
) -> Response[LineDispute]:
    """Say why nothing is given back."""
    key = CaseKey(merchant_id=merchant_id, line_dispute_id=line_dispute_id)
    return await once(request, db, flow.decline, key, data.reason)


HANDLERS = [
    list_line_disputes,
    dispute_line,
    get_line_dispute,
    list_line_dispute_messages,
    say_to_line_dispute,
    withdraw_line_dispute,
    review_line_dispute,
    accept_line_dispute,
    decline_line_dispute,
]
