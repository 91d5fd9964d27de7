"""Journals by hand and goodwill to merchants: proposed, approved by somebody else, reversed."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.journals import store
from billing.journals.model import LEGS_MAX, GoodwillReason, Journal, JournalState
from billing.journals.store import SetLimits
from billing.ledger.model import Leg
from marketplace.core.db import Database
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.books import post_journal as flow
from marketplace.flows.books.post_journal import DecideJournal, ProposeGoodwill, ProposeJournal
from marketplace.routes.fields import Currency, EntityId, Minor, Positive, Reason, Words
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathNo, QueryId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import CONTROL, FINANCE, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_ALL = "/merchants/{merchant_id:int}/journals"
_ONE = f"{_ALL}/{{journal_id:int}}"

InState = Annotated[JournalState | None, QueryParameter(name="state")]  # Litestar keeps the name `state` for itself


class NewLeg(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Minor units, debit positive, credit negative. dimension: of account 1020 its processor, else 0."""

    account: Annotated[int, msgspec.Meta(ge=1000, le=9999)]
    amount_minor: Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    dimension: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


class NewJournal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """effective_on: the day it counts in, in an open period; by default today. evidence: what proves it, in words."""

    currency: Currency
    legs: Annotated[tuple[NewLeg, ...], msgspec.Meta(min_length=2, max_length=LEGS_MAX)]
    reason: Reason
    evidence: Words
    effective_on: date | None = None


class NewGoodwill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the platform gives a merchant, in minor units."""

    currency: Currency
    amount_minor: Positive
    goodwill_reason: GoodwillReason
    reason: Reason
    evidence: Words


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class NewLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """accountant_minor: above it a controller approves. residue_minor: the largest residue of a match."""

    entity_id: EntityId
    currency: Currency
    accountant_minor: Minor
    residue_minor: Minor = 0


class JournalLimits(msgspec.Struct, frozen=True, kw_only=True):
    limits: list[SetLimits]


@get("/journals", guards=[needs(FINANCE)])
async def list_journals(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Journal]:
    """Journals by hand on any books, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    async with db.read(request.user.scope) as tx:
        rows = await store.list_journals(tx, merchant_id=merchant_id, state=in_state, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.journal_id, row.merchant_id))


@get(_ONE, guards=[needs(FINANCE)])
async def get_journal(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, journal_id: PathNo
) -> Journal:
    """One journal, with who made it and who decided on it."""
    async with db.read(request.user.scope) as tx:
        return await store.get_journal(tx, merchant_id, journal_id)


@post(_ALL, dto=StrictBody[NewJournal], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def propose_journal(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewJournal]
) -> Response[Journal]:
    """Propose a journal on a merchant's books or the house's. Somebody else approves it."""
    cmd = ProposeJournal(
        merchant_id=merchant_id,
        currency=data.currency,
        legs=tuple(Leg(leg.account, leg.amount_minor, leg.dimension) for leg in data.legs),
        reason=data.reason,
        evidence=data.evidence,
        effective_on=data.effective_on,
    )
    return await once(request, db, flow.propose_journal, cmd)


@post(
    "/merchants/{merchant_id:int}/goodwill",
    dto=StrictBody[NewGoodwill],
    guards=[needs(FINANCE)],
    status_code=201,
    opt=ONCE,
)
async def propose_goodwill(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewGoodwill]
) -> Response[Journal]:
    """Propose to give a merchant something at the platform's cost. Somebody else approves it."""
    cmd = ProposeGoodwill(merchant_id=merchant_id, **msgspec.structs.asdict(data))
    return await once(request, db, flow.propose_goodwill, cmd)


@post(f"{_ONE}/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_journal(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, journal_id: PathNo
) -> Response[Journal]:
    """Post a journal, as another person than its maker; above the accountants' limit as a controller."""
    return await once(request, db, flow.approve_journal, _decision(request, merchant_id, journal_id))


@post(f"{_ONE}/reject", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def reject_journal(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    journal_id: PathNo,
    data: JSONBody[Because],
) -> Response[Journal]:
    """Refuse what somebody else has proposed."""
    return await once(request, db, flow.reject_journal, _decision(request, merchant_id, journal_id, data.reason))


@post(f"{_ONE}/withdraw", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def withdraw_journal(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    journal_id: PathNo,
    data: JSONBody[Because],
) -> Response[Journal]:
    """Take back what one has proposed oneself."""
    return await once(request, db, flow.withdraw_journal, _decision(request, merchant_id, journal_id, data.reason))


@post(f"{_ONE}/reverse", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def reverse_journal(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    journal_id: PathNo,
    data: JSONBody[Because],
) -> Response[Journal]:
    """Propose the mirror of a posted journal. Somebody else approves it."""
    return await once(request, db, flow.propose_reversal, _decision(request, merchant_id, journal_id, data.reason))


@get("/journal-limits", guards=[needs(FINANCE)])
async def list_journal_limits(request: ActorRequest, db: NamedDependency[Database]) -> JournalLimits:
    """What accountants may approve, by legal entity and currency; without a limit, nothing."""
    async with db.read(request.user.scope) as tx:
        return JournalLimits(limits=list(await store.list_limits(tx)))


@post(
    "/journal-limits", dto=StrictBody[NewLimits], guards=[needs(CONTROL)], status_code=200, opt={**ONCE, ALSO: (404,)}
)
async def set_journal_limits(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewLimits]
) -> Response[SetLimits]:
    """Set what accountants may approve, and what is the residue of a match."""
    return await once(request, db, flow.set_limits, SetLimits(**msgspec.structs.asdict(data)))


def _decision(request: ActorRequest, merchant_id: int, journal_id: int, reason: str = "") -> DecideJournal:
    is_controller = bool(request.user.roles & CONTROL)
    return DecideJournal(merchant_id=merchant_id, journal_id=journal_id, reason=reason, is_controller=is_controller)


HANDLERS = [
    list_journals,
    get_journal,
    propose_journal,
    propose_goodwill,
    approve_journal,
    reject_journal,
    withdraw_journal,
    reverse_journal,
    list_journal_limits,
    set_journal_limits,
]
