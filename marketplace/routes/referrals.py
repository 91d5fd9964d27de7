"""Merchants who bring others: programmes, codes, and who brought whom. A rep sees the referrals of its own leads."""

from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import refer_merchants as referring
from marketplace.flows.acquisition import refer_merchants_sql as sql
from marketplace.flows.acquisition.refer_merchants import ReferralDetail
from marketplace.routes.fields import Id, Label
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId, check_books, seller_of
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, MERCHANT_BOOKS, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE
from supply.leads.referrals import store
from supply.leads.referrals.model import (
    Brought,
    OwnCode,
    Programme,
    ProgrammeTerms,
    Referral,
    ReferralCode,
    ReferralState,
)

_CODE = "^[A-Z0-9][A-Z0-9-]{3,39}$"
CodeText = Annotated[str, msgspec.Meta(pattern=_CODE)]
PathCode = Annotated[str, PathParameter(pattern=_CODE, description="A referral code.")]
ProgrammeName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
InState = Annotated[ReferralState | None, QueryParameter(name="state", description="Only referrals in this state.")]
MerchantId = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class ProgrammeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A programme, or its next version."""

    name: ProgrammeName
    terms: ProgrammeTerms


class CodeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """device: from where the merchant asked for it, as far as known."""

    code: CodeText
    programme: ProgrammeName
    merchant_id: MerchantId
    device: Label = ""


class CodeChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is not active brings nobody any more."""

    active: bool


class ReferralBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A lead that came with a code. device: from where it came, as far as known."""

    code: CodeText
    lead_id: Id
    device: Label = ""


@get("/referral-programmes", guards=[needs(STAFF)])
async def list_programmes(request: ActorRequest, db: NamedDependency[Database]) -> list[Programme]:
    """Every version of every programme."""
    async with db.read(request.user.scope) as tx:
        return await store.list_programmes(tx)


@post("/referral-programmes", dto=StrictBody[ProgrammeBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_programme(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ProgrammeBody]
) -> Response[Programme]:
    """Make a programme; the rewards themselves are promotions that wait for its events."""
    return await once(request, db, referring.make_programme, data.name, data.terms)


@get("/referral-codes", guards=[needs(STAFF)])
async def list_referral_codes(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[ReferralCode]:
    """Codes in their order."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_codes(tx, limit=limit + 1, after=after, merchant_id=merchant_id)
    return page(rows, limit, lambda row: row, lambda row: (row.code,))


@post("/referral-codes", dto=StrictBody[CodeBody], guards=[needs(GROWTH)], opt={**ONCE, ALSO: (404,)})
async def create_code(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[CodeBody]
) -> Response[ReferralCode]:
    """Give a merchant a code to bring others by."""
    return await once(request, db, referring.make_code, data.code, data.programme, data.merchant_id, data.device)


@get("/referral-codes/{code:str}", guards=[needs(STAFF)])
async def get_code(request: ActorRequest, db: NamedDependency[Database], code: PathCode) -> Response[ReferralCode]:
    """One code."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_code(tx, code)
    return tagged(found, found.version)


@patch("/referral-codes/{code:str}", dto=StrictBody[CodeChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_code(
    request: ActorRequest, db: NamedDependency[Database], code: PathCode, data: JSONBody[CodeChanges]
) -> Response[ReferralCode]:
    """Take a code out of use, or into it again."""

    async def change(tx: Tx, _: ReferralCode) -> ReferralCode:
        return await store.set_active(tx, code, data.active)

    return await edited(request, db, lambda tx: store.get_code(tx, code, lock=True), change)


@get("/merchants/{merchant_id:int}/referral-codes", guards=[needs(MERCHANT_BOOKS, STAFF)])
async def list_own_codes(request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId) -> list[OwnCode]:
    """The codes by which a merchant brings others, and what has come of them."""
    check_books(request.user, merchant_id)
    async with db.read(WORKER) as tx:
        return await sql.codes_of(tx, merchant_id)


@get("/merchants/{merchant_id:int}/referrals", guards=[needs(MERCHANT_BOOKS, STAFF)])
async def list_brought(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Brought]:
    """Who came with a merchant's codes, the newest first: not who it is, but what the merchant got for it."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(WORKER) as tx:
        rows = await sql.brought_by(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.referral_id,))


@get("/referrals", guards=[needs(STAFF, SALES)])
async def list_referrals(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: InState = None,
    referrer_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Referral]:
    """Who brought whom, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_referrals(tx, limit=limit + 1, before=before, state=in_state, referrer_id=referrer_id)
    return page(rows, limit, lambda row: row, lambda row: (row.referral_id,))


@post("/referrals", dto=StrictBody[ReferralBody], guards=[needs(GROWTH, SALES)], opt={**ONCE, ALSO: (404,)})
async def create_referral(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[ReferralBody]
) -> Response[Referral]:
    """A lead came with a code."""
    cmd = referring.NewReferral(**msgspec.structs.asdict(data))
    return await once(request, db, referring.refer_lead, cmd, seller_of(request.user))


@get("/referrals/{referral_id:int}", guards=[needs(STAFF)])
async def get_referral(request: ActorRequest, db: NamedDependency[Database], referral_id: PathId) -> ReferralDetail:
    """One referral, and what either side has got for it."""
    async with db.read(request.user.scope) as tx:
        return await referring.read_referral(tx, referral_id)


HANDLERS = [
    list_programmes,
    create_programme,
    list_referral_codes,
    create_code,
    get_code,
    change_code,
    list_referrals,
    create_referral,
    get_referral,
    list_own_codes,
    list_brought,
]
