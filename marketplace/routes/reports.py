"""Reports of finance over the ledger, and the journal in the formats of other programs."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from billing.exports import store as exports
from billing.exports.model import ErpAccount, Extract, JournalFormat
from billing.ledger.chart import Account
from billing.reports import store
from billing.reports.model import LedgerLine, TrialRow
from billing.runs.store import only_entity
from marketplace.core.db import Database, Tx
from marketplace.core.errors import NotFound
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.books.export_journal import SetErpAccounts, export_journal, set_erp_accounts
from marketplace.flows.books.show_report import REPORTS, Report, csv_of, key_of, span_of
from marketplace.routes.fields import EntityId, Label, Reference
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathAccount, QueryCurrency, QueryEntity, QueryId
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.files import CSV, attached, described
from marketplace.web.guards import FINANCE, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

_CHUNK = 2**16
PathReport = Annotated[str, PathParameter(description="The report's name, such as `ageing`.", max_length=40)]
QueryFormat = Annotated[JournalFormat, QueryParameter(name="format", description="How the journal is written.")]


class AccountLedger(msgspec.Struct, frozen=True, kw_only=True):
    """An account over the days, by entity and currency, and a page of its legs, the oldest first."""

    standing: list[TrialRow]
    lines: Page[LedgerLine]


class NewErpAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """number: of the ERP's account that takes what we have on `account`."""

    account: Annotated[int, msgspec.Meta(ge=1000, le=9999)]
    number: Reference
    name: Label = ""
    cost_center: Label = ""
    tax_code: Label = ""


class NewErpAccounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    entity_id: EntityId
    accounts: Annotated[tuple[NewErpAccount, ...], msgspec.Meta(max_length=200)]


class ErpAccounts(msgspec.Struct, frozen=True, kw_only=True):
    accounts: list[ErpAccount]


def _report(report: Report, about: str) -> HTTPRouteHandler:
    """The handler of one report; they differ in their rows only."""
    row_type, read = REPORTS[report]

    async def show(
        request: ActorRequest,
        db: NamedDependency[Database],
        from_on: FromQuery[date | None] = None,
        to_on: FromQuery[date | None] = None,
        entity_id: QueryEntity = None,
        currency: QueryCurrency = None,
        limit: Limit = LIMIT,
        cursor: Cursor = None,
    ) -> Any:
        after = decode_cursor(cursor, tuple[int, str])
        async with db.read(request.user.scope) as tx:
            rows = await read(tx, await span_of(tx, from_on, to_on, entity_id, currency))
        left = sorted((row for row in rows if after is None or key_of(row) > after), key=key_of)
        return page(left[: limit + 1], limit, lambda row: row, key_of)

    show.__doc__ = about
    show.__name__ = f"report_{report.name.lower()}"
    show.__annotations__["return"] = Page[row_type]  # type: ignore[valid-type]  # as another handler writes it by hand
    return get(f"/reports/{report.value}", guards=[needs(FINANCE)])(show)


@get(
    "/reports/{report:str}/rows.csv",
    guards=[needs(FINANCE)],
    responses=described("The rows"),
)
async def report_as_csv(
    request: ActorRequest,
    db: NamedDependency[Database],
    report: PathReport,
    from_on: FromQuery[date | None] = None,
    to_on: FromQuery[date | None] = None,
    entity_id: QueryEntity = None,
    currency: QueryCurrency = None,
) -> Stream:
    """A report whole, as CSV; amounts in minor units."""
    if report not in set(Report):
        raise NotFound(f"there is no report {report[:60]!r}: {', '.join(Report)}")
    _, read = REPORTS[Report(report)]
    async with db.read(request.user.scope) as tx:
        rows = await read(tx, await span_of(tx, from_on, to_on, entity_id, currency))
    return Stream(
        csv_of(Report(report), rows),
        media_type=CSV,
        headers=attached(f"{report}.csv"),
    )


@get("/reports/accounts/{account:int}", guards=[needs(FINANCE)])
async def report_account(
    request: ActorRequest,
    db: NamedDependency[Database],
    account: PathAccount,
    merchant_id: QueryId = None,
    from_on: FromQuery[date | None] = None,
    to_on: FromQuery[date | None] = None,
    entity_id: QueryEntity = None,
    currency: QueryCurrency = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> AccountLedger:
    """The general ledger of an account, the oldest line first; with a merchant, that merchant's account statement."""
    if account not in {int(code) for code in Account}:
        raise NotFound(f"there is no account {account}")
    after = decode_cursor(cursor, tuple[date, int, int, int])
    async with db.read(request.user.scope) as tx:
        span = await span_of(tx, from_on, to_on, entity_id, currency)
        standing = await store.account_standing(tx, span, account, merchant_id)
        lines = await store.ledger_lines(tx, span, account, merchant_id=merchant_id, limit=limit + 1, after=after)
    shown = page(lines, limit, lambda line: line, lambda line: (
        line.effective_on, line.merchant_id, line.entry_no, line.leg_no
    ))  # fmt: skip
    return AccountLedger(standing=standing, lines=shown)


@get(
    "/exports/journal",
    guards=[needs(FINANCE)],
    responses={
        200: ResponseSpec(str, media_type="application/octet-stream", description="The file.", generate_examples=False)
    },
    opt={ALSO: (409,)},
)
async def journal_file(
    db: NamedDependency[Database],
    file_format: QueryFormat = JournalFormat.CSV,
    from_on: FromQuery[date | None] = None,
    to_on: FromQuery[date | None] = None,
    entity_id: QueryEntity = None,
    currency: QueryCurrency = None,
) -> Stream:
    """The journal as a file: of all days, or of those from the first to before the last."""
    extract = Extract(entity_id=entity_id, currency=currency, from_on=from_on, to_on=to_on)
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="marketplace-export-")
    file = Path(folder.name) / f"journal.{file_format.suffix}"
    try:
        await export_journal(db, file_format, file, extract)
    except BaseException:
        folder.cleanup()
        raise
    return Stream(
        _chunks(file, folder),
        media_type="application/octet-stream",
        headers=attached(file.name),
    )


async def _chunks(file: Path, folder: tempfile.TemporaryDirectory[str]) -> AsyncIterator[bytes]:
    """A file that is gone once it has been sent."""
    try:
        with await asyncio.to_thread(file.open, "rb") as opened:
            while chunk := await asyncio.to_thread(opened.read, _CHUNK):
                yield chunk
    finally:
        folder.cleanup()


@get("/erp-accounts", guards=[needs(FINANCE)], opt={ALSO: (404,)})
async def list_erp_accounts(
    request: ActorRequest, db: NamedDependency[Database], entity_id: QueryEntity = None
) -> ErpAccounts:
    """Which accounts of the ERP stand for those of a legal entity."""
    async with db.read(request.user.scope) as tx:
        return ErpAccounts(accounts=await exports.list_erp_accounts(tx, await only_entity(tx, entity_id)))


@post(
    "/erp-accounts",
    dto=StrictBody[NewErpAccounts],
    guards=[needs(FINANCE)],
    status_code=200,
    opt={**ONCE, ALSO: (404,)},
)
async def keep_erp_accounts(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewErpAccounts]
) -> Response[ErpAccounts]:
    """Say which accounts of the ERP stand for those of a legal entity, in the place of what was said before."""

    async def work(tx: Tx) -> ErpAccounts:
        entity_id = await only_entity(tx, data.entity_id)
        accounts = tuple(ErpAccount(entity_id=entity_id, **msgspec.structs.asdict(one)) for one in data.accounts)
        kept = await set_erp_accounts(tx, SetErpAccounts(entity_id=entity_id, accounts=accounts))
        return ErpAccounts(accounts=kept)

    return await once(request, db, work)


HANDLERS = [
    _report(
        Report.TRIAL_BALANCE, "Every account: where it stood before the days, what moved it, where it stands then."
    ),
    _report(Report.AGEING, "What merchants and payers owe at the end of the days, by how long they have."),
    _report(Report.REVENUE, "What the platform has earned, by month and stream."),
    _report(Report.TAKE_RATE, "What the platform keeps of what is sold on it, by month, in parts per million."),
    _report(Report.INCENTIVES, "What incentives have cost, by who bears it."),
    _report(Report.DEFERRED_REVENUE, "In which month what waits as deferred revenue will be earned, as it stands now."),
    _report(Report.CASH_FORECAST, "Where the bank will stand, from the first of the days on, by what is known today."),
    report_as_csv,
    report_account,
    journal_file,
    list_erp_accounts,
    keep_erp_accounts,
]
