"""Matching: passes over what is open, groups of what belongs together, and what people match or take back."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from billing.matching import store
from billing.matching.model import Book, Group, Item, ItemKind, Proposal, ResidueKind, Run, Side, Stage, Suggestion
from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.bank import match_by_hand
from marketplace.flows.bank.match_by_hand import ProposeMatch
from marketplace.flows.bank.match_lines import match_lines
from marketplace.routes.fields import Id, Reason
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo, QueryCurrency, QueryEntity, QueryNo
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import CONTROL, FINANCE, needs
from marketplace.web.once import once, once_through
from marketplace.web.openapi import ALSO, ONCE

GROUP_ITEMS_MAX = 500

Ids = Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=GROUP_ITEMS_MAX)]
InState = Annotated[str | None, QueryParameter(name="state", pattern="^(proposed|approved|rejected)$")]


class NewMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Open items of both sides that belong together, and why. They are equal, or apart by what the rules explain, or by
    what residue_kind says, which whoever approves it may write off."""

    theirs: Ids
    ours: Ids
    reason: Reason
    residue_kind: ResidueKind | None = None


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class GroupDetail(msgspec.Struct, frozen=True, kw_only=True):
    group: Group
    items: list[Item]


@post("/match-runs", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def run_matching(request: ActorRequest, db: NamedDependency[Database]) -> Response[Run]:
    """Match all that is open by the rules in force, and name what does not match. A worker does so, too."""

    async def work(tx: Tx) -> Run:
        return await match_lines(db, tx.actor)

    return await once_through(request, db, work)


@get("/match-runs", guards=[needs(FINANCE)])
async def list_match_runs(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Run]:
    """Passes, the newest first, each with what it found by stage."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_runs(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.run_id,))


@get("/match-runs/{match_run_id:int}", guards=[needs(FINANCE)])
async def get_match_run(request: ActorRequest, db: NamedDependency[Database], match_run_id: PathNo) -> Run:
    """One pass."""
    async with db.read(request.user.scope) as tx:
        return await store.get_run(tx, match_run_id)


@get("/match-groups", guards=[needs(FINANCE)])
async def list_match_groups(
    request: ActorRequest,
    db: NamedDependency[Database],
    stage: FromQuery[Stage | None] = None,
    match_run_id: QueryNo = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Group]:
    """Groups by id, the highest first: of one stage, of one pass, or all; those taken back say by which."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_groups(tx, limit=limit + 1, before=before, stage=stage, run_id=match_run_id)
    return page(rows, limit, lambda row: row, lambda row: (row.group_id,))


@get("/match-groups/{match_group_id:int}", guards=[needs(FINANCE)])
async def get_match_group(request: ActorRequest, db: NamedDependency[Database], match_group_id: PathNo) -> GroupDetail:
    """A group with the items of both sides."""
    async with db.read(request.user.scope) as tx:
        group = await store.get_group(tx, match_group_id)
        return GroupDetail(group=group, items=await store.items_of(tx, [*group.theirs, *group.ours]))


@post(
    "/match-groups", dto=StrictBody[NewMatch], guards=[needs(FINANCE)], status_code=201, opt=ONCE | {ALSO: (404, 409)}
)
async def propose_match(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewMatch]
) -> Response[Proposal]:
    """Propose to match items by hand. Somebody else approves it."""
    cmd = ProposeMatch(theirs=data.theirs, ours=data.ours, reason=data.reason, residue_kind=data.residue_kind)
    return await once(request, db, match_by_hand.propose_match, cmd)


@post(
    "/match-groups/{match_group_id:int}/unmatch",
    dto=StrictBody[Why],
    guards=[needs(FINANCE)],
    status_code=201,
    opt=ONCE | {ALSO: (409,)},
)
async def propose_unmatch(
    request: ActorRequest, db: NamedDependency[Database], match_group_id: PathNo, data: JSONBody[Why]
) -> Response[Proposal]:
    """Propose to take a group back, so that its items are open again. Somebody else approves it."""
    return await once(request, db, match_by_hand.propose_unmatch, match_group_id, data.reason)


@get("/match-proposals", guards=[needs(FINANCE)])
async def list_match_proposals(
    request: ActorRequest,
    db: NamedDependency[Database],
    in_state: InState = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Proposal]:
    """What people want matched or taken back, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_proposals(tx, limit=limit + 1, before=before, state=in_state)
    return page(rows, limit, lambda row: row, lambda row: (row.proposal_id,))


@post(
    "/match-proposals/{match_proposal_id:int}/approve",
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE | {ALSO: (409,)},
)
async def approve_match(
    request: ActorRequest, db: NamedDependency[Database], match_proposal_id: PathNo
) -> Response[Proposal]:
    """Do what somebody else has proposed; who comes too late for one of the items is told."""
    is_controller = bool(request.user.roles & CONTROL)
    return await once(request, db, match_by_hand.approve_match, match_proposal_id, is_controller=is_controller)


@post(
    "/match-proposals/{match_proposal_id:int}/reject",
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE | {ALSO: (409,)},
)
async def reject_match(
    request: ActorRequest, db: NamedDependency[Database], match_proposal_id: PathNo
) -> Response[Proposal]:
    """Do not do what was proposed."""
    return await once(request, db, match_by_hand.reject_match, match_proposal_id)


@get("/open-items", guards=[needs(FINANCE)])
async def list_open_items(
    request: ActorRequest,
    db: NamedDependency[Database],
    book: FromQuery[Book | None] = None,
    side: FromQuery[Side | None] = None,
    kind: FromQuery[ItemKind | None] = None,
    entity_id: QueryEntity = None,
    currency: QueryCurrency = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Item]:
    """What is in no group: lines of banks and processors (`theirs`), and what our books expect there (`ours`)."""
    (after,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.open_items(
            tx,
            book=book,
            side=side,
            kind=kind,
            entity_id=entity_id,
            currency=currency,
            after=after,
            limit=limit + 1,
        )
    return page(rows, limit, lambda row: row, lambda row: (row.item_id,))


@get("/open-items/{match_item_id:int}/suggestions", guards=[needs(FINANCE)], opt={ALSO: (409,)})
async def list_suggestions(
    request: ActorRequest, db: NamedDependency[Database], match_item_id: PathNo
) -> list[Suggestion]:
    """What may be the other side of an open line, the likeliest first, with the reasons."""
    async with db.read(request.user.scope) as tx:
        return await match_by_hand.suggest(tx, match_item_id)


HANDLERS = [
    run_matching,
    list_match_runs,
    get_match_run,
    list_match_groups,
    get_match_group,
    propose_match,
    propose_unmatch,
    list_match_proposals,
    approve_match,
    reject_match,
    list_open_items,
    list_suggestions,
]
