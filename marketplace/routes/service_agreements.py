"""Managed services: agreements with merchants, and their months."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.products import bill_services as billing
from marketplace.flows.products.bill_services import EndAgreement, ProposeRetainer, ProposeShare
from marketplace.routes.fields import Currency, Days, Name, Positive, Ppm
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.routes.subscriptions import MeansAgreed
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import tagged
from marketplace.web.guards import MERCHANT_BOOKS, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.products.services import store
from supply.products.services.model import Agreement, ServiceMonth

_PATH = "/merchants/{merchant_id:int}/service-agreements"
_ONE = _PATH + "/{agreement_id:int}"


class NewRetainer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fixed amount a month without VAT, paid first. From the first of a month to the first of another."""

    name: Name
    currency: Currency
    retainer_minor: Positive
    vat_ppm: Ppm
    due_days: Days = 14
    starts_on: date
    ends_on: date | None = None


class NewShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A share of turnover above the average month of [baseline_from, baseline_to), which is measured now."""

    name: Name
    currency: Currency
    share_ppm: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    vat_ppm: Ppm
    due_days: Days = 14
    baseline_from: date
    baseline_to: date
    starts_on: date
    ends_on: date | None = None


class AgreementEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first day of the month that is not served any more."""

    ends_on: date


@get("/service-agreements", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_service_agreements(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Agreement]:
    """Service agreements, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    own = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_agreements(tx, merchant_id=own, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.agreement_id, row.merchant_id))


@post(f"{_PATH}/retainers", dto=StrictBody[NewRetainer], guards=[needs(OPS)], status_code=201, opt=ONCE)
async def propose_retainer(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewRetainer]
) -> Response[Agreement]:
    """Propose a service for a fixed amount a month."""
    cmd = ProposeRetainer(merchant_id=merchant_id, **msgspec.structs.asdict(data))
    return await once(request, db, billing.propose_retainer, cmd)


@post(f"{_PATH}/shares", dto=StrictBody[NewShare], guards=[needs(OPS)], status_code=201, opt=ONCE)
async def propose_share(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewShare]
) -> Response[Agreement]:
    """Propose a service for a share of what the merchant turns over above what it does now."""
    cmd = ProposeShare(merchant_id=merchant_id, **msgspec.structs.asdict(data))
    return await once(request, db, billing.propose_share, cmd)


@get(_ONE, guards=[needs(STAFF, MERCHANT_BOOKS)])
async def get_service_agreement(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, agreement_id: PathId
) -> Response[Agreement]:
    """One agreement, with the baseline that is frozen in it."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        found = await store.get_agreement(tx, merchant_id, agreement_id)
    return tagged(found, found.version)


@get(f"{_ONE}/months", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_service_months(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    agreement_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ServiceMonth]:
    """The closed months of a share, the newest first: what was turned over, what it costs, what was restated."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[date]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_agreement(tx, merchant_id, agreement_id)
        rows = await store.list_months(tx, merchant_id, agreement_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.month,))


@post(
    f"{_ONE}/accept",
    dto=StrictBody[MeansAgreed],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def accept_service_agreement(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    agreement_id: PathId,
    data: JSONBody[MeansAgreed],
) -> Response[Agreement]:
    """The merchant agrees, and says how it pays."""
    check_books(request.user, merchant_id)
    return await once(request, db, billing.accept_agreement, merchant_id, agreement_id, data.pays_by)


@post(f"{_ONE}/decline", guards=[needs(OPS, MERCHANT_BOOKS)], status_code=200, opt=ONCE)
async def decline_service_agreement(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, agreement_id: PathId
) -> Response[Agreement]:
    """The merchant does not want it."""
    check_books(request.user, merchant_id)
    return await once(request, db, billing.decline_agreement, merchant_id, agreement_id)


@post(
    f"{_ONE}/end",
    dto=StrictBody[AgreementEnd],
    guards=[needs(OPS, MERCHANT_BOOKS)],
    status_code=200,
    opt=ONCE,
)
async def end_service_agreement(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    agreement_id: PathId,
    data: JSONBody[AgreementEnd],
) -> Response[Agreement]:
    """Set the month with which it ends: one that has not begun."""
    check_books(request.user, merchant_id)
    cmd = EndAgreement(merchant_id=merchant_id, agreement_id=agreement_id, ends_on=data.ends_on)
    return await once(request, db, billing.end_agreement, cmd)


HANDLERS = [
    list_service_agreements,
    propose_retainer,
    propose_share,
    get_service_agreement,
    list_service_months,
    accept_service_agreement,
    decline_service_agreement,
    end_service_agreement,
]
