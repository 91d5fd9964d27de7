"""Work on hardware at merchants': planned, appointed, done."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import order_work as working
from marketplace.flows.products.order_work import Appoint, FinishWork, PlanWork
from marketplace.routes.fields import Currency, Id, Minor, Name, Ppm, Reason, Serials
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import tagged
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.hardware import store
from supply.products.hardware.model import WorkKind, WorkOrder
from supply.products.model import Means

_PATH = "/merchants/{merchant_id:int}/work-orders"
_ONE = _PATH + "/{work_order_id:int}"


class NewWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Amounts without VAT. provider_id: the partner that does it for cost_minor; without one an own technician does."""

    kind: WorkKind
    serials: Serials
    provider_id: Id | None = None
    technician: Name
    currency: Currency
    price_minor: Minor = 0
    vat_ppm: Ppm = 0
    cost_minor: Minor = 0
    pays_by: Means = Means.NETTING


class Appointment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class WorkDone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """evidence: what shows it: who signed, which photograph, which reading."""

    on: date
    evidence: Reason


@get("/work-orders", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_work_orders(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[WorkOrder]:
    """Work orders, the newest first. What a partner costs is shown to the house alone."""
    before = decode_cursor(cursor, tuple[int, int])
    own = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_work(tx, merchant_id=own, limit=limit + 1, before=before)
    hide = request.user.merchant_id is not None
    return page(rows, limit, lambda row: _shown(row, hide=hide), lambda row: (row.work_order_id, row.merchant_id))


@post(_PATH, dto=StrictBody[NewWork], guards=[needs(OPS)], status_code=201, opt=ONCE)
async def plan_work(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewWork]
) -> Response[WorkOrder]:
    """Plan work on units that the merchant has."""
    return await once(request, db, working.plan_work, PlanWork(merchant_id=merchant_id, **msgspec.structs.asdict(data)))


@get(_ONE, guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_work_order(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, work_order_id: PathId
) -> Response[WorkOrder]:
    """One work order."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await store.get_work(tx, merchant_id, work_order_id)
    return tagged(_shown(found, hide=request.user.merchant_id is not None), found.version)


@post(f"{_ONE}/appoint", dto=StrictBody[Appointment], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def appoint_work(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    work_order_id: PathId,
    data: JSONBody[Appointment],
) -> Response[WorkOrder]:
    """Agree on when it is done, or on another time."""
    return await once(
        request, db, working.appoint_work, Appoint(merchant_id=merchant_id, work_order_id=work_order_id, at=data.at)
    )


@post(f"{_ONE}/finish", dto=StrictBody[WorkDone], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def finish_work(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    work_order_id: PathId,
    data: JSONBody[WorkDone],
) -> Response[WorkOrder]:
    """It is done, with what shows it. An installed unit's warranty begins."""
    cmd = FinishWork(merchant_id=merchant_id, work_order_id=work_order_id, **msgspec.structs.asdict(data))
    return await once(request, db, working.finish_work, cmd)


@post(f"{_ONE}/cancel", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def cancel_work(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, work_order_id: PathId
) -> Response[WorkOrder]:
    """It will not be done."""
    return await once(request, db, working.cancel_work, merchant_id, work_order_id)


def _shown(work: WorkOrder, *, hide: bool) -> WorkOrder:
    return msgspec.structs.replace(work, cost_minor=None) if hide else work


HANDLERS = [list_work_orders, plan_work, get_work_order, appoint_work, finish_work, cancel_work]
