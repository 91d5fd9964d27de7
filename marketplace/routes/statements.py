"""Statements, their lines, and payouts."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import date

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream

from billing.runs import store
from billing.runs.model import Payout, Statement
from marketplace.core.db import Database, Scope
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.routes.parameters import (
    LIMIT,
    Cursor,
    Limit,
    PathId,
    PathNo,
    QueryCurrency,
    QueryId,
    QueryNo,
    check_books,
    own_or,
)
from marketplace.routes.statement_queries import StatementLine, list_lines
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.files import CSV, attached, described
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs

_LINES_PER_CHUNK = 2_000


@get("/statements", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_statements(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    run_id: QueryNo = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Statement]:
    """Statements, the newest period first, of a merchant, of a run, or all; reversed ones only when a run is named.

    A merchant's person sees them once they are final.
    """
    after = decode_cursor(cursor, tuple[date, int, int, str])
    merchant = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_statements(
            tx, merchant_id=merchant, run_id=run_id, only_final=_sees_final(request.user), limit=limit + 1, after=after
        )
    return page(rows, limit, lambda row: row, lambda row: (row.from_on, row.run_id, row.merchant_id, row.currency))


@get("/merchants/{merchant_id:int}/statements/{run_id:int}", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_statement(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    run_id: PathNo,
    currency: QueryCurrency = None,
) -> Statement:
    """A merchant's statement of a run: minor units, signed from the merchant's view; in its first currency."""
    return await _statement(request.user, db, merchant_id, run_id, currency)


@get(
    "/merchants/{merchant_id:int}/statements/{run_id:int}/lines.csv",
    guards=[needs(FINANCE, MERCHANT_BOOKS)],
    responses=described("One line per entry"),
)
async def statement_lines(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    run_id: PathNo,
    currency: QueryCurrency = None,
) -> Stream:
    """Every entry of the statement that moves what the merchant is owed; the amounts sum to closing less opening."""
    statement = await _statement(request.user, db, merchant_id, run_id, currency)
    name = f"statement-{statement.period.name}-{merchant_id}-{statement.currency}.csv"
    return Stream(
        _csv_of_lines(db, request.user.scope, statement),
        media_type=CSV,
        headers=attached(name),
    )


async def _statement(actor: Actor, db: Database, merchant_id: int, run_id: int, currency: str | None) -> Statement:
    check_books(actor, merchant_id)
    async with db.read(actor.scope) as tx:
        return await store.get_statement(tx, merchant_id, run_id, currency, only_final=_sees_final(actor))


def _sees_final(actor: Actor) -> bool:
    """A preview is the house's own draft; a merchant is told what is final."""
    return actor.merchant_id is not None


async def _csv_of_lines(db: Database, scope: Scope, statement: Statement) -> AsyncIterator[bytes]:
    """Chunk by chunk, each read in a transaction of its own: final lines do not change between them."""
    yield _csv_bytes([StatementLine.__struct_fields__])
    after = 0
    while True:
        async with db.read(scope) as tx:
            lines = await list_lines(tx, statement, limit=_LINES_PER_CHUNK, after_no=after)
        if lines:
            yield _csv_bytes([tuple(getattr(line, name) for name in line.__struct_fields__) for line in lines])
            after = lines[-1].entry_no
        if len(lines) < _LINES_PER_CHUNK:
            return


def _csv_bytes(rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@get("/payouts", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_payouts(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    run_id: QueryNo = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Payout]:
    """Payout instructions, the newest first, of a merchant, of a run, or all."""
    after = decode_cursor(cursor, tuple[date, int, int])
    merchant = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_payouts(tx, merchant_id=merchant, run_id=run_id, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.instructed_on, row.merchant_id, row.payout_id))


@get("/merchants/{merchant_id:int}/payouts/{payout_id:int}", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_payout(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, payout_id: PathNo
) -> Payout:
    """One payout instruction."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_payout(tx, merchant_id, payout_id)


HANDLERS = [list_statements, get_statement, statement_lines, list_payouts, get_payout]
