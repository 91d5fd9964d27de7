"""The books: entries, balances, accounts and the trial balance."""

from datetime import date

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from billing.ledger import store
from billing.ledger.chart import Account
from billing.ledger.model import AccountLine, Balance, Entry, TrialLine
from marketplace.core.db import Database
from marketplace.core.errors import NotFound
from marketplace.core.paging import LIMIT_MAX, Page, decode_cursor, page
from marketplace.routes.parameters import (
    LIMIT,
    Cursor,
    Limit,
    PathAccount,
    PathId,
    PathNo,
    QueryEntity,
    QueryId,
    QueryNo,
    check_books,
    own_or,
)
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, needs

_CODES = frozenset(int(code) for code in Account)


class ChartLine(msgspec.Struct, frozen=True):
    """An account of the chart. dimension says what the dimension of a leg on it identifies, if anything."""

    code: int
    name: str
    nature: str
    debit_normal: bool
    dimension: str | None


@get("/accounts", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_accounts() -> list[ChartLine]:
    """The chart of accounts."""
    return [
        ChartLine(int(code), code.title, code.nature.name, code.nature.debit_normal, code.dimension) for code in Account
    ]


@get("/accounts/{account:int}/lines", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_account_lines(
    request: ActorRequest,
    db: NamedDependency[Database],
    account: PathAccount,
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[AccountLine]:
    """The lines of an account, the newest day first, of one merchant's books or of all."""
    if account not in _CODES:
        raise NotFound(f"there is no account {account}")
    before = decode_cursor(cursor, tuple[date, int, int])
    merchant, size = own_or(request.user, merchant_id), min(limit, LIMIT_MAX - 1)
    async with db.read(request.user.scope) as tx:
        rows = await store.account_lines(tx, account, merchant_id=merchant, limit=size + 1, before=before)
    return page(rows, size, lambda row: row, lambda row: (row.effective_on, row.merchant_id, row.entry_no))


@get("/trial-balance", guards=[needs(FINANCE)])
async def get_trial_balance(
    request: ActorRequest,
    db: NamedDependency[Database],
    entity_id: QueryEntity = None,
    as_of: FromQuery[date | None] = None,
) -> list[TrialLine]:
    """Debits and credits of every account at the end of a day (now, when none is named); by entity and currency."""
    async with db.read(request.user.scope) as tx:
        return await store.trial_balance(tx, entity_id=entity_id, as_of=as_of)


@get("/merchants/{merchant_id:int}/balances", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_balances(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    as_of: FromQuery[date | None] = None,
    upto_no: QueryNo = None,
) -> list[Balance]:
    """A merchant's balances: now, at the end of a day, after an entry; with both, the day among entries up to it."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await store.balances(tx, merchant_id, as_of=as_of, upto_no=upto_no)


@get("/merchants/{merchant_id:int}/entries", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_entries(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    source_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Entry]:
    """A merchant's journal, the newest entry first; with source_id the entries of that fact only."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    size = min(limit, LIMIT_MAX - 1)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_entries(tx, merchant_id, limit=size + 1, before_no=before, source_id=source_id)
    return page(rows, size, lambda row: row, lambda row: (row.entry_no,))


@get("/merchants/{merchant_id:int}/entries/{entry_no:int}", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_entry(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, entry_no: PathNo
) -> Entry:
    """One journal entry with its legs, debits positive."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        return await store.get_entry(tx, merchant_id, entry_no)


HANDLERS = [list_accounts, list_account_lines, get_trial_balance, get_balances, list_entries, get_entry]
