"""The reports of finance on a page: filtered, amounts in their currency, and the same rows as CSV and workbook."""

import io
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from openpyxl import Workbook

from billing.exports.model import JournalFormat
from billing.exports.sheets import text_cell
from billing.reports.model import Span
from marketplace.consoles import ops_queries
from marketplace.consoles.layout import send
from marketplace.consoles.lists import given, given_day
from marketplace.consoles.ops_queries import Entity
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import MINOR_DIGITS
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.flows.books.show_report import REPORTS, Report, key_of, span_of
from marketplace.web.auth import ActorRequest
from marketplace.web.files import attached

LISTED_MAX = 100
ROWS_MAX = 100_000
"""Rows of a workbook; a longer report is narrowed by its days first."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class ReportPage(msgspec.Struct, frozen=True, kw_only=True):
    """A report over the days from `first` to `last`, a page of its rows. query: its filters as an address has them."""

    report: Report
    columns: tuple[str, ...]
    rows: Sequence[Any]
    count_all: int
    first: date
    last: date
    entity_id: int | None
    currency: str
    entities: Sequence[Entity]
    currencies: Sequence[str]
    query: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a report as its form sends them; the API's file counts its last day out."""

    first: str = ""
    last: str = ""
    entity: str = ""
    currency: str = ""

    async def span(self, tx: Tx) -> Span:
        """Raises Invalid."""
        first, last = given_day(self.first, "first"), given_day(self.last, "last")
        if first and last and last < first:
            raise Invalid("last: is before first", pointer="/last")
        if self.currency and self.currency not in MINOR_DIGITS:
            raise Invalid(
                f"currency: {self.currency[:10]!r} is not one that this platform accepts", pointer="/currency"
            )
        entity = given(self.entity, int, "entity")
        return await span_of(tx, first, last + timedelta(days=1) if last else None, entity, self.currency or None)


def asked(first: str, last: str, entity: str, currency: str) -> Asked:
    return Asked(first=first, last=last, entity=entity, currency=currency.strip().upper())


@get("/reports")
async def reports(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """The trial balance of this month, with the way to the other reports."""
    return await show_report(request, db, Report.TRIAL_BALANCE, Asked())


@get("/reports/{report:str}")
async def report_page(
    request: ActorRequest,
    db: NamedDependency[Database],
    report: FromPath[Report],
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
    entity: FromQuery[str] = "",
    currency: FromQuery[str] = "",
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """One report, narrowed by days, legal entity and currency."""
    return await show_report(request, db, report, asked(first, last, entity, currency), after)


async def show_report(
    request: ActorRequest, db: Database, report: Report, wanted: Asked, after: str | None = None
) -> Response[str]:
    key = decode_cursor(after, tuple[int, str])
    row_type, read = REPORTS[report]
    async with db.read(STAFF) as tx:
        span = await wanted.span(tx)
        rows = await read(tx, span)
        entities = await ops_queries.list_entities(tx)
    left = sorted((row for row in rows if key is None or key_of(row) > key), key=key_of)
    shown = left[:LISTED_MAX]
    page = ReportPage(
        report=report,
        columns=tuple(name for name in row_type.__struct_fields__ if name != "entity_id" or len(entities) > 1),
        rows=shown,
        count_all=len(rows),
        first=span.from_on,
        last=span.to_on - timedelta(days=1),
        entity_id=span.entity_id,
        currency=span.currency or "",
        entities=entities,
        currencies=sorted({row.currency for row in rows}),
        query=urlencode({name: value for name, value in msgspec.structs.asdict(wanted).items() if value}),
    )
    more: dict[str, Any] = {
        "reports": list(Report),
        "cursor": encode_cursor(key_of(shown[-1])) if len(left) > LISTED_MAX else None,
        "api_query": urlencode({name: value for name, value in msgspec.structs.asdict(span).items() if value}),
        "formats": [kind for kind in JournalFormat if kind is not JournalFormat.ERP],
    }
    return send(request, "finance/reports.html", page, "reports", **more)


@get("/reports/{report:str}/rows.xlsx")
async def report_workbook(
    db: NamedDependency[Database],
    report: FromPath[Report],
    first: FromQuery[str] = "",
    last: FromQuery[str] = "",
    entity: FromQuery[str] = "",
    currency: FromQuery[str] = "",
) -> Response[bytes]:
    """A report whole, as a workbook; amounts in major units."""
    row_type, read = REPORTS[report]
    async with db.read(STAFF) as tx:
        rows = await read(tx, await asked(first, last, entity, currency).span(tx))
    if len(rows) > ROWS_MAX:
        raise Invalid(f"first: a workbook holds {ROWS_MAX} rows; choose fewer days", pointer="/first")
    return Response(
        workbook_of(report.value, row_type.__struct_fields__, rows),
        media_type=XLSX,
        headers=attached(f"{report.value}.xlsx"),
    )


def workbook_of(title: str, names: Sequence[str], rows: Iterable[Any]) -> bytes:
    """Rows on one sheet under their names. Amounts are exact decimals in major units, rates are fractions."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.append([name.removesuffix("_minor").removesuffix("_ppm") for name in names])
    for row in rows:
        sheet.append([_cell(sheet, name, getattr(row, name), row.currency) for name in names])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(sheet: object, name: str, value: object, currency: str) -> object:
    if isinstance(value, int) and name.endswith("_minor"):
        return Decimal(value).scaleb(-MINOR_DIGITS[currency])
    if isinstance(value, int) and name.endswith("_ppm"):
        return Decimal(value).scaleb(-6)
    if name.endswith("_id"):
        return str(value)  # Excel keeps fifteen digits
    return text_cell(sheet, str(value)) if isinstance(value, str) else value


PAGES = [reports, report_page, report_workbook]
