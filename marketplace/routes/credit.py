"""Buyers' credit with the platform."""

from datetime import date

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.credit import store
from billing.credit.store import Credit, Grant, Movement
from incentives.grants.model import Voucher
from incentives.grants.vouchers import store as vouchers
from marketplace.core.db import WORKER, Database, Role, Scope
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.refunds import grant_credit as flow
from marketplace.flows.refunds.grant_credit import GrantCredit, Granted
from marketplace.routes.fields import Currency, EntityId, Positive, Reason
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import OPS, SELLING, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE


class NewCredit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Goodwill for a buyer, in minor units, at the platform's cost.

    entity_id: the legal entity that gives it; needed where several trade in the currency. expires_on: the last day on
    which it may be used; by default it does not expire.
    """

    currency: Currency
    amount_minor: Positive
    reason: Reason
    entity_id: EntityId | None = None
    expires_on: date | None = None


class BuyerCredit(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer has by currency, what of it expires, the next first, and what changed it, the newest first."""

    accounts: list[Credit]
    expiring: list[Grant]
    movements: Page[Movement]


@get("/buyers/{buyer_id:int}/credit", guards=[needs(SELLING)])
async def get_credit(
    request: ActorRequest,
    db: NamedDependency[Database],
    buyer_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> BuyerCredit:
    """A buyer's credit; one that never had any has none."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(WORKER) as tx:  # a shop's key has no books of its own to look at
        accounts = await store.accounts(tx, buyer_id)
        expiring = await store.grants(tx, buyer_id)
        rows = await store.movements(tx, buyer_id, limit=limit + 1, before=before)
    movements = page(rows, limit, lambda row: row, lambda row: (row.movement_id,))
    return BuyerCredit(accounts=accounts, expiring=expiring, movements=movements)


@post("/buyers/{buyer_id:int}/credit", dto=StrictBody[NewCredit], guards=[needs(OPS)], opt=ONCE)
async def grant_credit(
    request: ActorRequest, db: NamedDependency[Database], buyer_id: PathId, data: JSONBody[NewCredit]
) -> Response[Granted]:
    """Give a buyer credit."""
    cmd = GrantCredit(buyer_id=buyer_id, **msgspec.structs.asdict(data))
    return await once(request, db, flow.grant_credit, cmd)


@get("/buyers/{buyer_id:int}/vouchers", guards=[needs(SELLING)])
async def list_buyer_vouchers(
    db: NamedDependency[Database], buyer_id: PathId, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Voucher]:
    """A buyer's vouchers for a next order, the newest first: each pays for one order, until it expires."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(Scope(Role.BUYER, buyer_id)) as tx:
        rows = await vouchers.vouchers_of(tx, "buyer", buyer_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.voucher_id,))


HANDLERS = [get_credit, grant_credit, list_buyer_vouchers]
