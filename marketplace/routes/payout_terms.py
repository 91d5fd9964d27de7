"""On which terms merchants are paid out, whose payouts are held, and what was kept back or carried over."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.payout_terms import store
from billing.payout_terms.dues import store as dues
from billing.payout_terms.model import (
    PPM,
    RESERVE_DAYS_MAX,
    Carried,
    Conditions,
    Due,
    Hold,
    PayoutDays,
    Reserve,
    Terms,
    TermsMade,
)
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payouts import set_payout_terms as flow
from marketplace.flows.payouts.pay_due import PayDue, pay_now
from marketplace.flows.payouts.set_payout_terms import ProposeTerms
from marketplace.routes.fields import Currency, Minor, Reason
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.store import get_merchant


class NewTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """minimum_minor: below it the balance is carried over. reserve_ppm of each payout is kept for reserve_days.

    days: when payouts are due; weekday: that of weekly ones, 1 for Monday to 7 for Sunday.
    """

    currency: Currency
    minimum_minor: Minor = 0
    reserve_ppm: Annotated[int, msgspec.Meta(ge=0, lt=PPM)] = 0
    reserve_days: Annotated[int, msgspec.Meta(ge=0, le=RESERVE_DAYS_MAX)] = 0
    days: PayoutDays = PayoutDays.EVERY_RUN
    weekday: Annotated[int, msgspec.Meta(ge=1, le=7)] | None = None
    reason: Reason


class InCurrency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    currency: Currency


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


@post(
    "/merchants/{merchant_id:int}/payout-terms",
    dto=StrictBody[NewTerms],
    guards=[needs(FINANCE)],
    status_code=201,
    opt=ONCE,
)
async def propose_payout_terms(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewTerms]
) -> Response[TermsMade]:
    """New terms. Those that keep more back hold at once; those that favour the merchant once somebody else approves."""
    conditions = Conditions(**{name: getattr(data, name) for name in Conditions.__struct_fields__})
    cmd = ProposeTerms(merchant_id=merchant_id, currency=data.currency, conditions=conditions, reason=data.reason)
    return await once(request, db, flow.propose_terms, cmd)


@get("/merchants/{merchant_id:int}/payout-terms", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_payout_terms(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Terms]:
    """The versions of a merchant's terms, the newest first; without any, everything is paid."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.list_terms(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.terms_id,))


@post(
    "/merchants/{merchant_id:int}/payout-terms/{terms_id:int}/approve",
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def approve_payout_terms(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, terms_id: PathNo
) -> Response[Terms]:
    """Make proposed terms hold, as another person than who proposed them."""
    return await once(request, db, flow.approve_terms, merchant_id, terms_id)


@post(
    "/merchants/{merchant_id:int}/payout-terms/{terms_id:int}/reject",
    dto=StrictBody[Because],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def reject_payout_terms(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    terms_id: PathNo,
    data: JSONBody[Because],
) -> Response[Terms]:
    """Refuse proposed terms, or take them back."""
    return await once(request, db, flow.reject_terms, merchant_id, terms_id, data.reason)


@post(
    "/merchants/{merchant_id:int}/payout-holds",
    dto=StrictBody[Because],
    guards=[needs(FINANCE)],
    status_code=201,
    opt=ONCE,
)
async def hold_payouts(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[Because]
) -> Response[Hold]:
    """Pay a merchant nothing until somebody else releases its payouts."""
    return await once(request, db, flow.hold_payouts, merchant_id, data.reason)


@post(
    "/merchants/{merchant_id:int}/payout-holds/{hold_id:int}/release",
    dto=StrictBody[Because],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def release_payouts(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    hold_id: PathNo,
    data: JSONBody[Because],
) -> Response[Hold]:
    """Pay a merchant again, as another person than who held its payouts; the next run pays what it is owed."""
    return await once(request, db, flow.release_payouts, merchant_id, hold_id, data.reason)


@get("/merchants/{merchant_id:int}/payout-holds", guards=[needs(FINANCE)])
async def list_payout_holds(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Hold]:
    """The holds on a merchant's payouts, live and released, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.list_holds(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.hold_id,))


@get("/merchants/{merchant_id:int}/payout-reserves", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_payout_reserves(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Reserve]:
    """What was kept of a merchant's payouts and when it is released, the newest payout first."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.list_reserves(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.payout_id,))


@get("/merchants/{merchant_id:int}/carried-payouts", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_carried_payouts(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Carried]:
    """What runs owed a merchant and carried over, and why, the newest run first."""
    check_books(request.user, merchant_id)
    before = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.list_carried(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.run_id, row.currency))


@get("/merchants/{merchant_id:int}/payout-dues", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_payout_dues(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Due]:
    """What final runs left to be paid on a day of the merchant's terms, and what became of it, the newest run first."""
    check_books(request.user, merchant_id)
    before = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await dues.list_dues(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.run_id, row.currency))


@post(
    "/merchants/{merchant_id:int}/payout-dues/{run_id:int}/pay",
    dto=StrictBody[InCurrency],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def pay_due(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    run_id: PathNo,
    data: JSONBody[InCurrency],
) -> Response[Due]:
    """Instruct before its day what a run left to be paid, or what waits to be asked for."""
    return await once(request, db, pay_now, PayDue(merchant_id=merchant_id, run_id=run_id, currency=data.currency))


HANDLERS = [
    propose_payout_terms,
    list_payout_terms,
    approve_payout_terms,
    reject_payout_terms,
    hold_payouts,
    release_payouts,
    list_payout_holds,
    list_payout_reserves,
    list_carried_payouts,
    list_payout_dues,
    pay_due,
]
