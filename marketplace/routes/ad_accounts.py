"""Prepaid ads: balances, top-ups, refunds, grants, and the VAT on them."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.ads.accounts import store
from billing.ads.model import AdAccount, Grant, Movement, Terms, TopUpSource
from marketplace.core import audit
from marketplace.core.db import Database, Tx
from marketplace.core.money import AMOUNT_MAX, check_currency
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.ads import fund_ads as flow
from marketplace.flows.ads.fund_ads import Funded, ProposeGrant, RefundAds, TopUp
from marketplace.routes.fields import Currency, Reason, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import CONTROL, FINANCE, MERCHANT_BOOKS, OPS, STAFF, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.store import get_merchant

Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]


class FromEarnings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Credit without VAT, which is added; both are taken out of what the merchant is owed."""

    currency: Currency
    amount_minor: Amount


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Money that came in. receipt_ref: the bank's or processor's own; processor: its name, None for the bank.

    amount_minor: the credit, without the VAT that came with it.
    """

    currency: Currency
    amount_minor: Amount
    receipt_ref: Reference
    processor: Reference | None = None


class Refund(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """amount_minor: without VAT; null for all that is paid and not used."""

    currency: Currency
    amount_minor: Amount | None = None
    reason: Reason


class GrantBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ad credit that the platform gives."""

    currency: Currency
    amount_minor: Amount
    reason: Reason


class TermsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The VAT, in ppm, on top-ups from a day on."""

    entity_id: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    currency: Currency
    valid_from: date
    vat_ppm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


@get("/merchants/{merchant_id:int}/ad-accounts", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_ad_accounts(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId
) -> list[AdAccount]:
    """A merchant's prepaid balances, by currency."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        return await store.list_accounts(tx, merchant_id)


@get("/merchants/{merchant_id:int}/ad-movements", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_ad_movements(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Movement]:
    """Top-ups, grants and refunds, the newest first; what was spent is in the charges."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.list_movements(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.movement_id,))


@post(
    "/merchants/{merchant_id:int}/ad-top-ups",
    dto=StrictBody[FromEarnings],
    guards=[needs(Role.MERCHANT_OWNER, FINANCE)],
    opt=ONCE,
)
async def top_up_ads(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[FromEarnings]
) -> Response[Funded]:
    """Prepay ads out of what the merchant has earned."""
    check_books(request.user, merchant_id)
    check_currency(data.currency)
    cmd = TopUp(
        merchant_id=merchant_id,
        currency=data.currency,
        amount_minor=data.amount_minor,
        source=TopUpSource.EARNINGS,
    )
    return await once(request, db, flow.top_up, cmd)


@post("/merchants/{merchant_id:int}/ad-receipts", dto=StrictBody[Receipt], guards=[needs(FINANCE)], opt=ONCE)
async def record_ad_receipt(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[Receipt]
) -> Response[Funded]:
    """Record what a merchant has paid for ads by bank transfer or through a processor, each receipt once.

    amount_minor is without the VAT, which is added by the terms of the day: of 119.00 received at 19 % it is 100.00.
    """
    check_currency(data.currency)
    cmd = TopUp(
        merchant_id=merchant_id,
        currency=data.currency,
        amount_minor=data.amount_minor,
        source=TopUpSource.BANK if data.processor is None else TopUpSource.PROCESSOR,
        receipt_ref=data.receipt_ref,
        processor=data.processor or "",
    )
    return await once(request, db, flow.top_up, cmd)


@post(
    "/merchants/{merchant_id:int}/ad-refunds",
    dto=StrictBody[Refund],
    guards=[needs(Role.MERCHANT_OWNER, FINANCE)],
    opt=ONCE,
)
async def refund_ads(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[Refund]
) -> Response[Funded]:
    """Give back what was paid and not used, with its VAT; the merchant gets it with its next payout."""
    check_books(request.user, merchant_id)
    cmd = RefundAds(merchant_id=merchant_id, currency=data.currency, amount_minor=data.amount_minor, reason=data.reason)
    return await once(request, db, flow.refund_unspent, cmd)


@get("/ad-grants", guards=[needs(STAFF, MERCHANT_BOOKS)])
async def list_ad_grants(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Grant]:
    """Ad credit that was proposed, approved and rejected, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_grants(tx, own_or(request.user, merchant_id), limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.grant_id,))


@post("/merchants/{merchant_id:int}/ad-grants", dto=StrictBody[GrantBody], guards=[needs(OPS)], opt=ONCE)
async def propose_ad_grant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[GrantBody]
) -> Response[Grant]:
    """Propose ad credit for a merchant; another person approves it."""
    check_currency(data.currency)
    cmd = ProposeGrant(
        merchant_id=merchant_id, currency=data.currency, amount_minor=data.amount_minor, reason=data.reason
    )
    return await once(request, db, flow.propose_grant, cmd)


@post("/merchants/{merchant_id:int}/ad-grants/{grant_id:int}/approve", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def approve_ad_grant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, grant_id: PathId
) -> Response[Grant]:
    """Give the credit that somebody else has proposed."""
    return await once(request, db, flow.approve_grant, merchant_id, grant_id)


@post("/merchants/{merchant_id:int}/ad-grants/{grant_id:int}/reject", guards=[needs(OPS)], status_code=200, opt=ONCE)
async def reject_ad_grant(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, grant_id: PathId
) -> Response[Grant]:
    """Do not give it."""
    return await once(request, db, flow.reject_grant, merchant_id, grant_id)


@get("/ad-terms", guards=[needs(STAFF)])
async def list_ad_terms(request: ActorRequest, db: NamedDependency[Database]) -> list[Terms]:
    """The VAT on top-ups, by legal entity, currency and day."""
    async with db.read(request.user.scope) as tx:
        return await store.list_terms(tx)


@post("/ad-terms", dto=StrictBody[TermsBody], guards=[needs(CONTROL)], opt=ONCE)
async def add_ad_terms(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[TermsBody]
) -> Response[Terms]:
    """Set the VAT on top-ups from a day on."""
    check_currency(data.currency)
    terms = Terms(**msgspec.structs.asdict(data))

    async def work(tx: Tx) -> Terms:
        await store.add_terms(tx, terms)
        await audit.record(tx, "ad terms set", f"entity:{terms.entity_id}", currency=terms.currency)
        return terms

    return await once(request, db, work)


HANDLERS = [
    list_ad_accounts,
    list_ad_movements,
    top_up_ads,
    record_ad_receipt,
    refund_ads,
    list_ad_grants,
    propose_ad_grant,
    approve_ad_grant,
    reject_ad_grant,
    list_ad_terms,
    add_ad_terms,
]
