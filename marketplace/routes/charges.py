"""What merchants are charged for products, and what becomes of it."""

from datetime import date

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.charges import store
from billing.charges.model import Charge, ChargeMovement
from billing.charges.store import WriteOff
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import dun_merchants as dunning
from marketplace.flows.products.charge_products import PayCharge, pay_charge
from marketplace.flows.products.dun_merchants import ProposeWriteOff
from marketplace.routes.fields import Positive, Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE

_ONE = "/merchants/{merchant_id:int}/charges/{charge_id:int}"
_WRITE_OFF = "/merchants/{merchant_id:int}/write-offs/{write_off_id:int}"


class ChargePayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A transfer that has arrived. bank_ref: the bank's name of it; the same again changes nothing."""

    amount_minor: Positive
    bank_ref: Reference
    on: date


class WriteOffReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


@get("/charges", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_charges(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Charge]:
    """Charges, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    own = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_charges(tx, merchant_id=own, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.charge_id, row.merchant_id))


@get(_ONE, guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_charge(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, charge_id: PathId
) -> Charge:
    """One charge: what is open of it, what was credited, what it has earned."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_charge(tx, merchant_id, charge_id)


@get(f"{_ONE}/movements", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_charge_movements(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    charge_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ChargeMovement]:
    """What happened to a charge, each with its entry, the newest first."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_charge(tx, merchant_id, charge_id)
        rows = await store.list_movements(tx, merchant_id, charge_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.movement_id,))


@post(f"{_ONE}/payments", dto=StrictBody[ChargePayment], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def book_charge_payment(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    charge_id: PathId,
    data: JSONBody[ChargePayment],
) -> Response[ChargeMovement]:
    """A merchant's transfer for a charge is in the bank."""
    cmd = PayCharge(merchant_id=merchant_id, charge_id=charge_id, **msgspec.structs.asdict(data))
    return await once(request, db, pay_charge, cmd)


@post(f"{_ONE}/write-offs", dto=StrictBody[WriteOffReason], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def propose_write_off(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    charge_id: PathId,
    data: JSONBody[WriteOffReason],
) -> Response[WriteOff]:
    """Propose to give up what is open of a charge that is past due. Somebody else has to approve it."""
    cmd = ProposeWriteOff(merchant_id=merchant_id, charge_id=charge_id, reason=data.reason)
    return await once(request, db, dunning.propose_write_off, cmd)


@get("/write-offs", guards=[needs(FINANCE)])
async def list_write_offs(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[WriteOff]:
    """Write-offs of all merchants, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_write_offs(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.write_off_id, row.merchant_id))


@post(f"{_WRITE_OFF}/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_write_off(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, write_off_id: PathId
) -> Response[WriteOff]:
    """Give up what is still open: as another person than the one who proposed it."""
    return await once(request, db, dunning.approve_write_off, merchant_id, write_off_id)


@post(f"{_WRITE_OFF}/refuse", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def refuse_write_off(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, write_off_id: PathId
) -> Response[WriteOff]:
    """The charge stays owed."""
    return await once(request, db, dunning.refuse_write_off, merchant_id, write_off_id)


HANDLERS = [
    list_charges,
    get_charge,
    list_charge_movements,
    book_charge_payment,
    propose_write_off,
    list_write_offs,
    approve_write_off,
    refuse_write_off,
]
