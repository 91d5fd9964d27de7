"""Months of a legal entity: soft-closed, closed under a seal, reopened by two people."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from billing.periods import store
from billing.periods.model import BookPeriod, BreakApproval, Seal, month_named
from billing.periods.seal_sql import BROKEN_SEAL, CHANGED_IN_MONTH
from billing.runs.store import only_entity
from marketplace.core.db import Database
from marketplace.core.errors import NotFound
from marketplace.core.paging import LIMIT_MAX, Page, decode_cursor, page
from marketplace.flows.books import close_period as flow
from marketplace.flows.books.close_period import ApproveBreak, Month, PeriodView
from marketplace.routes.fields import Reason
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo, QueryEntity
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

PathMonth = Annotated[str, PathParameter(pattern=r"^[0-9]{4}-[0-9]{2}$", description="A calendar month, YYYY-MM.")]
CheckName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z-]{0,59}$", description="A proof of the checklist.")]
CONTROL = (Role.CONTROLLER, Role.ADMIN)

_ONE = "/periods/{month:str}"


class WhyReopen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class NewBreak(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """check: the proof that does not hold. reason: why the month may be closed with what it finds now."""

    check: CheckName
    reason: Reason


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a month's entries are what was sealed. changed: those that are not, and what has become of each."""

    seal: Seal
    holds: bool
    changed: list[str]


@get("/periods", guards=[needs(FINANCE)])
async def list_periods(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity_id: QueryEntity = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[BookPeriod]:
    """The months that somebody has moved, the newest first; every other one is open."""
    (before,) = decode_cursor(cursor, tuple[date]) or (None,)
    size = min(limit, LIMIT_MAX - 1)
    async with db.read(request.user.scope) as tx:
        entity = await only_entity(tx, entity_id)
        rows = await store.list_periods(tx, entity, limit=size + 1, before=before)
    return page(rows, size, lambda row: row, lambda row: (row.month_on,))


@get(_ONE, guards=[needs(FINANCE)])
async def get_period(
    request: ActorRequest, db: NamedDependency[Database], month: PathMonth, entity_id: QueryEntity = None
) -> PeriodView:
    """A month with its checklist, every proof run anew, and its seals."""
    async with db.read(request.user.scope) as tx:
        return await flow.read_period(tx, Month(month=month, entity_id=entity_id))


@get(f"{_ONE}/seal", guards=[needs(FINANCE)])
async def verify_seal(
    request: ActorRequest, db: NamedDependency[Database], month: PathMonth, entity_id: QueryEntity = None
) -> Verdict:
    """A closed month's newest seal, held against its entries as they are now. Reads all of them."""
    async with db.read(request.user.scope) as tx:
        entity = await only_entity(tx, entity_id)
        span = month_named(month)
        seal = await store.get_seal(tx, entity, span.from_on)
        if seal is None:
            raise NotFound(f"{month} was never closed")
        await tx.plan_in_bulk()
        of_month = {"entity": entity, "month_on": span.from_on}
        rows = await tx.rows(CHANGED_IN_MONTH, **of_month)
        changed = [f"merchant {row.merchant_id} entry {row.entry_no} {row.how}" for row in rows]
        broken = await tx.rows(BROKEN_SEAL, **of_month)
    return Verdict(seal=seal, holds=not changed and not broken, changed=changed)


@post(f"{_ONE}/soft-close", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def soft_close(
    request: ActorRequest, db: NamedDependency[Database], month: PathMonth, entity_id: QueryEntity = None
) -> Response[BookPeriod]:
    """Close a billed month to all but journals by hand. Somebody else closes it for good."""
    return await once(request, db, flow.soft_close, Month(month=month, entity_id=entity_id))


@post(f"{_ONE}/open", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def open_period(
    request: ActorRequest, db: NamedDependency[Database], month: PathMonth, entity_id: QueryEntity = None
) -> Response[BookPeriod]:
    """Take a soft close back, so that the month's billing run may be reversed."""
    return await once(request, db, flow.open_again, Month(month=month, entity_id=entity_id))


@post(f"{_ONE}/close", guards=[needs(CONTROL)], status_code=200, opt=ONCE)
async def close_period(
    request: ActorRequest, db: NamedDependency[Database], month: PathMonth, entity_id: QueryEntity = None
) -> Response[PeriodView]:
    """Close a month for good, as another person than who prepared it: proved, and sealed."""
    return await once(request, db, flow.close_period, Month(month=month, entity_id=entity_id))


@post(f"{_ONE}/reopening", dto=StrictBody[WhyReopen], guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def ask_reopening(
    request: ActorRequest,
    db: NamedDependency[Database],
    month: PathMonth,
    data: JSONBody[WhyReopen],
    entity_id: QueryEntity = None,
) -> Response[BookPeriod]:
    """Want the newest closed month reopened, and say why. Somebody else reopens it."""
    return await once(request, db, flow.ask_reopening, Month(month=month, entity_id=entity_id), data.reason)


@post(f"{_ONE}/reopen", guards=[needs(CONTROL)], status_code=200, opt=ONCE)
async def reopen_period(
    request: ActorRequest, db: NamedDependency[Database], month: PathMonth, entity_id: QueryEntity = None
) -> Response[BookPeriod]:
    """Reopen a closed month for journals by hand, as another person than who asked; its seal is kept."""
    return await once(request, db, flow.reopen, Month(month=month, entity_id=entity_id))


@post(f"{_ONE}/breaks", dto=StrictBody[NewBreak], guards=[needs(FINANCE)], status_code=201, opt={**ONCE, ALSO: (404,)})
async def name_break(
    request: ActorRequest,
    db: NamedDependency[Database],
    month: PathMonth,
    data: JSONBody[NewBreak],
    entity_id: QueryEntity = None,
) -> Response[BreakApproval]:
    """Say why a month may be closed although a proof does not hold. Somebody else approves it."""
    cmd = ApproveBreak(month=Month(month=month, entity_id=entity_id), check=data.check, reason=data.reason)
    return await once(request, db, flow.ask_break, cmd)


@post(f"{_ONE}/breaks/{{approval_id:int}}/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_period_break(
    request: ActorRequest,
    db: NamedDependency[Database],
    month: PathMonth,
    approval_id: PathNo,
    entity_id: QueryEntity = None,
) -> Response[BreakApproval]:
    """Accept a break, as another person than who named it: for exactly what the proof had found."""
    return await once(request, db, flow.approve_break, Month(month=month, entity_id=entity_id), approval_id)


HANDLERS = [
    list_periods,
    get_period,
    verify_seal,
    soft_close,
    open_period,
    close_period,
    ask_reopening,
    reopen_period,
    name_break,
    approve_period_break,
]
