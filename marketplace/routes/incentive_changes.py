"""Changes of what was approved: another end, more budget; proposed by one person, approved by another."""

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from incentives.budgets.model import Owner
from incentives.changes import store
from incentives.changes.model import Change, ChangeState, Edit
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.promotions import change_incentives as flow
from marketplace.flows.promotions.change_incentives import ProposeChange
from marketplace.routes.budgets import OfOwner
from marketplace.routes.fields import Id, Reason
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, QueryId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import OPS, STAFF, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE


class NewChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which campaign or promotion what is to change, and why."""

    owner: Owner
    owner_id: Id
    edit: Edit
    reason: Reason


@get("/incentive-changes", guards=[needs(STAFF)])
async def list_incentive_changes(
    request: ActorRequest,
    db: NamedDependency[Database],
    owner: OfOwner = None,
    owner_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Change]:
    """Changes, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_changes(tx, owner=owner, owner_id=owner_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.change_id,))


@post("/incentive-changes", dto=StrictBody[NewChange], guards=[needs(OPS)], opt={**ONCE, ALSO: (404,)})
async def propose_incentive_change(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewChange]
) -> Response[Change]:
    """Propose another end, or more budget, for what was approved."""
    return await once(request, db, flow.propose_change, ProposeChange(**msgspec.structs.asdict(data)))


@post(
    "/incentive-changes/{change_id:int}/approve",
    guards=[needs(Role.APPROVER, Role.ADMIN)],
    status_code=200,
    opt=ONCE,
)
async def approve_incentive_change(
    request: ActorRequest, db: NamedDependency[Database], change_id: PathId
) -> Response[Change]:
    """Make a change that somebody else has proposed."""
    return await once(request, db, flow.decide_change, change_id, ChangeState.APPROVED)


@post(
    "/incentive-changes/{change_id:int}/reject",
    guards=[needs(Role.APPROVER, Role.ADMIN)],
    status_code=200,
    opt=ONCE,
)
async def reject_incentive_change(
    request: ActorRequest, db: NamedDependency[Database], change_id: PathId
) -> Response[Change]:
    """Refuse a change that is proposed."""
    return await once(request, db, flow.decide_change, change_id, ChangeState.REJECTED)


HANDLERS = [
    list_incentive_changes,
    propose_incentive_change,
    approve_incentive_change,
    reject_incentive_change,
]
