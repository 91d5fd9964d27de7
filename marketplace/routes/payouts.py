"""What the bank says of payouts, and the lists of what ought to be on its way or come back."""

from datetime import date

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.payouts import store
from billing.payouts.store import NegativeBalance, OwedPayout
from billing.runs.model import Payout
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payouts import pay_merchants
from marketplace.flows.payouts import retry_payout as flow
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, ReturnPayout
from marketplace.flows.payouts.retry_payout import RetryPayout
from marketplace.routes.fields import Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, QueryEntity
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE


class BankPaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """bank_ref: the bank's own name of the movement; on: its day."""

    bank_ref: Reference
    on: date


class CameBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """bank_ref: the movement that brought it back; needed once the bank had paid it."""

    on: date
    reason: Reason
    bank_ref: Reference | None = None


@post(
    "/merchants/{merchant_id:int}/payouts/{payout_id:int}/confirm",
    dto=StrictBody[BankPaid],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def confirm_payout(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    payout_id: PathNo,
    data: JSONBody[BankPaid],
) -> Response[Payout]:
    """The bank has paid a payout. The same again changes nothing."""
    cmd = ConfirmPayout(merchant_id=merchant_id, payout_id=payout_id, **msgspec.structs.asdict(data))
    return await once(request, db, pay_merchants.confirm_payout, cmd)


@post(
    "/merchants/{merchant_id:int}/payouts/{payout_id:int}/return",
    dto=StrictBody[CameBack],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def return_payout(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    payout_id: PathNo,
    data: JSONBody[CameBack],
) -> Response[Payout]:
    """A payout came back, or never left: its amount is owed again, and the next run pays it."""
    cmd = ReturnPayout(merchant_id=merchant_id, payout_id=payout_id, **msgspec.structs.asdict(data))
    return await once(request, db, pay_merchants.return_payout, cmd)


@post("/merchants/{merchant_id:int}/payouts/{payout_id:int}/retry", guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def retry_payout(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, payout_id: PathNo
) -> Response[Payout]:
    """Pay what came back to the merchant's new bank account, by a payout of its own, before the next run does."""
    return await once(request, db, flow.retry_payout, RetryPayout(merchant_id=merchant_id, payout_id=payout_id))


@get("/payouts/owed", guards=[needs(FINANCE)])
async def list_owed(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity_id: QueryEntity = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[OwedPayout]:
    """Who was owed money when the last period closed and gets none: no payout, one that came back, one held.

    With all that each is owed by now, and why: the reasons add up to it.
    """
    after = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_owed(tx, entity_id=entity_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.merchant_id, row.currency))


@get("/balances/negative", guards=[needs(FINANCE)])
async def list_negative(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[NegativeBalance]:
    """Merchants that owe the platform, and for how long: the ageing report."""
    after = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_negative(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.merchant_id, row.currency))


HANDLERS = [confirm_payout, return_payout, retry_payout, list_owed, list_negative]
