"""Billing runs, from draft to final and back."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from billing.runs import store
from billing.runs.comparison.model import Moved, key_of
from billing.runs.model import Parked, Run, period_named
from marketplace.core.db import Database, Tx
from marketplace.core.paging import LIMIT_MAX, Page, decode_cursor, page
from marketplace.flows.proofs.verify_books import Verified, verify_books
from marketplace.flows.runs import compare_runs, run_billing
from marketplace.flows.runs.run_billing import RunResult, read_result
from marketplace.routes.fields import EntityId, Id
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo, QueryCurrency, QueryId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import CONTROL, FINANCE, needs
from marketplace.web.once import once, once_through
from marketplace.web.openapi import ALSO, ONCE

# Approving is one transaction, that of `once`. Every other step commits bucket by bucket through `db` and resumes
# where it stopped; there that transaction only holds the key and stores the answer. See
# marketplace.flows.runs.run_billing.


WithoutParked = Annotated[bool | None, QueryParameter(description="Leave out what is parked; a child run bills it.")]


class StartRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """period: a calendar month, "YYYY-MM", or its first and last day, "YYYY-MM-DD..YYYY-MM-DD".

    entity_id: needed where there are several legal entities.
    payout_on: the day payouts are booked on; by default the first day after the period.
    """

    period: str
    entity_id: EntityId | None = None
    payout_on: date | None = None


class RunParked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """payout_on: the day payouts are booked on; by default that of the parent run."""

    payout_on: date | None = None


class ApproveRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """batch_id: that of the run as it was looked at; each preview has another one."""

    batch_id: Id


@get("/billing-runs", guards=[needs(FINANCE)])
async def list_runs(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Run]:
    """Runs, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    size = min(limit, LIMIT_MAX - 1)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_runs(tx, limit=size + 1, before_id=before)
    return page(rows, size, lambda run: run, lambda run: (run.run_id,))


@get("/billing-runs/{run_id:int}", guards=[needs(FINANCE)])
async def get_run(request: ActorRequest, db: NamedDependency[Database], run_id: PathNo) -> RunResult:
    """A run and what its statements and payouts come to, by currency."""
    async with db.read(request.user.scope) as tx:
        return await read_result(tx, run_id)


@post(
    "/billing-runs",
    dto=StrictBody[StartRun],
    guards=[needs(FINANCE)],
    status_code=200,
    opt={**ONCE, ALSO: (404,)},
)
async def start_run(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[StartRun]
) -> Response[RunResult]:
    """Draft and preview the run of a month. One that is not approved yet is previewed afresh."""
    period = period_named(data.period)

    async def work(tx: Tx) -> RunResult:
        return await run_billing.run_period(db, tx.actor, period, entity_id=data.entity_id, payout_on=data.payout_on)

    return await once_through(request, db, work)


@post(
    "/billing-runs/{run_id:int}/approve",
    dto=StrictBody[ApproveRun],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def approve_run(
    request: ActorRequest,
    db: NamedDependency[Database],
    run_id: PathNo,
    data: JSONBody[ApproveRun],
    without_parked: WithoutParked = None,
) -> Response[RunResult]:
    """Approve the preview of a run, as another person than its maker; what is parked is left out where that is said."""
    rest = bool(without_parked)
    return await once(request, db, run_billing.approve, run_id, batch_id=data.batch_id, without_parked=rest)


@get("/billing-runs/{run_id:int}/parked", guards=[needs(FINANCE)])
async def list_parked(
    request: ActorRequest, db: NamedDependency[Database], run_id: PathNo, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Parked]:
    """What a run leaves out and why, by merchant; a child run picks it up."""
    after = decode_cursor(cursor, tuple[int, str])
    async with db.read(request.user.scope) as tx:
        await store.get_run(tx, run_id)
        rows = await store.list_parked(tx, run_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.merchant_id, row.currency))


@post(
    "/billing-runs/{run_id:int}/parked",
    dto=StrictBody[RunParked],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def run_parked(
    request: ActorRequest, db: NamedDependency[Database], run_id: PathNo, data: JSONBody[RunParked]
) -> Response[RunResult]:
    """Draft and preview the child of a final run, over exactly the merchants that this one has parked."""

    async def work(tx: Tx) -> RunResult:
        return await run_billing.run_parked(db, tx.actor, run_id, payout_on=data.payout_on)

    return await once_through(request, db, work)


@get("/billing-runs/{run_id:int}/comparison", guards=[needs(FINANCE)])
async def compare_run(
    request: ActorRequest,
    db: NamedDependency[Database],
    run_id: PathNo,
    currency: QueryCurrency = None,
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Moved]:
    """What moved since the period before, by merchant and column: the largest change first, then the largest relative
    one; what earlier runs have carried over or paid out comes last. Minor units of several currencies are ordered as
    they are: name one to compare like with like."""
    after = decode_cursor(cursor, tuple[bool, int, int, int, str, str])
    async with db.read(request.user.scope) as tx:
        found = await compare_runs.compare_run(
            tx, run_id, currency=currency, merchant_id=merchant_id, limit=limit + 1, after=after
        )
    return page(found.moved, limit, lambda row: row, key_of)


@post("/billing-runs/{run_id:int}/finalise", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def finalise_run(request: ActorRequest, db: NamedDependency[Database], run_id: PathNo) -> Response[RunResult]:
    """Make an approved run final: statements, payout instructions, and the period closed."""

    async def work(tx: Tx) -> RunResult:
        return await run_billing.finalise_run(db, tx.actor, run_id)

    return await once_through(request, db, work)


@post("/billing-runs/{run_id:int}/abort", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def abort_run(request: ActorRequest, db: NamedDependency[Database], run_id: PathNo) -> Response[RunResult]:
    """Give up a run that is not final, not even in part; its period can be drafted again."""
    return await once(request, db, run_billing.abort, run_id)


@post(
    "/billing-runs/{run_id:int}/reverse",
    guards=[needs(CONTROL)],
    status_code=200,
    opt=ONCE,
)
async def reverse_run(request: ActorRequest, db: NamedDependency[Database], run_id: PathNo) -> Response[RunResult]:
    """Undo the newest finalised run, as long as no payout of it has left the house."""

    async def work(tx: Tx) -> RunResult:
        return await run_billing.reverse_run(db, tx.actor, run_id)

    return await once_through(request, db, work)


@get("/proofs", guards=[needs(FINANCE)])
async def prove_books(db: NamedDependency[Database]) -> Verified:
    """Every invariant of the books, proved anew over the stored rows. Reads all of them."""
    return await verify_books(db)


HANDLERS = [
    list_runs,
    get_run,
    start_run,
    approve_run,
    list_parked,
    run_parked,
    compare_run,
    finalise_run,
    abort_run,
    reverse_run,
    prove_books,
]
