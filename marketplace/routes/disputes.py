"""Disputes: what buyers take back through their bank, and what merchants say to it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from demand.refunds import store
from demand.refunds.store import Dispute
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.refunds.dispute_order import Evidence, give_evidence
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import MERCHANT_BOOKS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE


class DisputeIs(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


InState = Annotated[DisputeIs | None, QueryParameter(name="state")]  # Litestar keeps the name `state` for itself


class GiveEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the merchant says to it; it takes the place of what was said before."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]


@get("/disputes", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_disputes(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Dispute]:
    """Disputes, the newest first, of one merchant or of all that the caller may see."""
    after = decode_cursor(cursor, tuple[datetime, int, int])
    merchant = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_disputes(tx, merchant_id=merchant, state=in_state, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.opened_at, row.merchant_id, row.dispute_id))


@get("/merchants/{merchant_id:int}/disputes/{dispute_id:int}", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_dispute(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, dispute_id: PathId
) -> Dispute:
    """An order's share of a dispute."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_dispute(tx, merchant_id, dispute_id)


@post(
    "/merchants/{merchant_id:int}/disputes/{dispute_id:int}/evidence",
    dto=StrictBody[GiveEvidence],
    guards=[needs(MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def give_dispute_evidence(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    dispute_id: PathId,
    data: JSONBody[GiveEvidence],
) -> Response[Dispute]:
    """Say something to an open dispute, until its due_on."""
    check_books(request.user, merchant_id)
    said = Evidence(merchant_id=merchant_id, dispute_id=dispute_id, text=data.text)
    return await once(request, db, give_evidence, said)


HANDLERS = [list_disputes, get_dispute, give_dispute_evidence]
