"""Breaks: what does not match, since when and who has it; assigned, talked about, accepted, written off."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from billing.breaks import store
from billing.breaks.model import Break, BreakCounts, BreakKind, BreakState, Limits, Step
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.bank import work_breaks
from marketplace.flows.bank.work_breaks import SayOfBreak
from marketplace.routes.fields import Currency, EntityId, Label, Minor, Note, Reason, Words
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo, QueryCurrency, QueryEntity
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

CONTROL = frozenset({Role.CONTROLLER, Role.ADMIN})

InState = Annotated[BreakState | None, QueryParameter(name="state")]  # Litestar keeps the name `state` for itself
Owner = Annotated[str | None, QueryParameter(max_length=200, description="A login.")]
NotDue = Annotated[bool, QueryParameter(description="With what is not due yet.")]
_ONE = "/breaks/{break_id:int}"
_WORK = ONCE | {ALSO: (409,)}


class Assign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """owner: a login, or empty for nobody."""

    owner: Label


class Say(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """evidence: where what is said can be looked up."""

    words: Words
    evidence: Label = ""


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason
    evidence: Label = ""


class Remark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Note = ""


class NewWriteOffLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Up to how much a role writes off alone, in minor units; above it a second person approves."""

    entity_id: EntityId
    currency: Currency
    accountant_minor: Minor
    controller_minor: Minor


@get("/breaks", guards=[needs(FINANCE)])
async def list_recon_breaks(
    request: ActorRequest,
    db: NamedDependency[Database],
    kind: FromQuery[BreakKind | None] = None,
    in_state: InState = None,
    owner: Owner = None,
    entity_id: QueryEntity = None,
    *,
    not_due: NotDue = False,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Break]:
    """What is due and does not match now, the oldest first; what has ended is asked for by its state."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_breaks(
            tx,
            kind=kind,
            state=in_state,
            owner=owner,
            entity_id=entity_id,
            live=in_state is None,
            due=not not_due and kind is not BreakKind.EXPECTED,
            after=after,
            limit=limit + 1,
        )
    return page(rows, limit, lambda row: row, lambda row: (row.break_id,))


@get("/breaks/counts", guards=[needs(FINANCE)])
async def count_recon_breaks(
    request: ActorRequest, db: NamedDependency[Database], entity_id: QueryEntity = None
) -> BreakCounts:
    """How many breaks are not dealt with: due, overdue, and not due yet."""
    async with db.read(request.user.scope) as tx:
        return await store.count_breaks(tx, entity_id=entity_id)


@get(_ONE, guards=[needs(FINANCE)])
async def get_recon_break(request: ActorRequest, db: NamedDependency[Database], break_id: PathNo) -> Break:
    """One break."""
    async with db.read(request.user.scope) as tx:
        return await store.get_break(tx, break_id)


@get(f"{_ONE}/steps", guards=[needs(FINANCE)])
async def list_break_steps(request: ActorRequest, db: NamedDependency[Database], break_id: PathNo) -> list[Step]:
    """What became of a break, step by step, with comments and evidence."""
    async with db.read(request.user.scope) as tx:
        await store.get_break(tx, break_id)
        return await store.list_steps(tx, break_id)


@post(f"{_ONE}/assign", dto=StrictBody[Assign], guards=[needs(FINANCE)], status_code=200, opt=_WORK)
async def assign_break(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathNo, data: JSONBody[Assign]
) -> Response[Break]:
    """Give a break to somebody."""
    return await once(request, db, work_breaks.assign, break_id, data.owner)


@post(f"{_ONE}/comments", dto=StrictBody[Say], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def comment_break(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathNo, data: JSONBody[Say]
) -> Response[Step]:
    """Say something about a break."""
    return await once(request, db, work_breaks.comment, _said(request, break_id, data.words, data.evidence))


@post(f"{_ONE}/accept", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=_WORK)
async def accept_break(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathNo, data: JSONBody[Because]
) -> Response[Break]:
    """Ask to leave a break as it is, for a reason. Somebody else approves it."""
    return await once(request, db, work_breaks.accept, _said(request, break_id, data.reason, data.evidence))


@post(f"{_ONE}/write-off", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=_WORK)
async def write_off_break(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathNo, data: JSONBody[Because]
) -> Response[Break]:
    """Write a break off: at once within the limit of one's role, else once somebody else approves it."""
    return await once(request, db, work_breaks.write_off, _said(request, break_id, data.reason, data.evidence))


@post(f"{_ONE}/come-back", dto=StrictBody[Because], guards=[needs(FINANCE)], status_code=200, opt=_WORK)
async def take_payout_back(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathNo, data: JSONBody[Because]
) -> Response[Break]:
    """Record that the payout which the break's line returns came back with it: it is owed again, and matched with the
    line by the next pass.
    """
    return await once(request, db, work_breaks.take_payout_back, _said(request, break_id, data.reason, data.evidence))


@post(f"{_ONE}/approve", dto=StrictBody[Remark], guards=[needs(FINANCE)], status_code=200, opt=_WORK)
async def approve_break(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathNo, data: JSONBody[Remark]
) -> Response[Break]:
    """Agree to what somebody else has asked for."""
    return await once(request, db, work_breaks.approve_break, _said(request, break_id, data.reason))


@post(f"{_ONE}/reopen", dto=StrictBody[Remark], guards=[needs(FINANCE)], status_code=200, opt=_WORK)
async def reopen_break(
    request: ActorRequest, db: NamedDependency[Database], break_id: PathNo, data: JSONBody[Remark]
) -> Response[Break]:
    """Do not agree to what was asked for, or no longer accept it."""
    return await once(request, db, work_breaks.reopen_break, _said(request, break_id, data.reason))


def _said(request: ActorRequest, break_id: int, words: str, evidence: str = "") -> SayOfBreak:
    is_controller = bool(request.user.roles & CONTROL)
    return SayOfBreak(break_id=break_id, words=words, evidence=evidence, is_controller=is_controller)


@get("/write-off-limits", guards=[needs(FINANCE)])
async def get_write_off_limits(
    request: ActorRequest, db: NamedDependency[Database], entity_id: QueryEntity = None, currency: QueryCurrency = None
) -> list[Limits]:
    """Up to how much a role writes off alone."""
    async with db.read(request.user.scope) as tx:
        return await store.list_limits(tx, entity_id=entity_id, currency=currency)


@post("/write-off-limits", dto=StrictBody[NewWriteOffLimits], guards=[needs(CONTROL)], status_code=200, opt=ONCE)
async def set_write_off_limits(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewWriteOffLimits]
) -> Response[Limits]:
    """Set up to how much a role writes off alone."""
    limits = Limits(**msgspec.structs.asdict(data))
    return await once(request, db, work_breaks.set_limits, limits)


HANDLERS = [
    list_recon_breaks,
    count_recon_breaks,
    get_recon_break,
    list_break_steps,
    assign_break,
    comment_break,
    accept_break,
    write_off_break,
    take_payout_back,
    approve_break,
    reopen_break,
    get_write_off_limits,
    set_write_off_limits,
]
