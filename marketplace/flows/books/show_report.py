"""The reports of finance by name, for whoever shows them: over the API, as CSV, on the command line, on a page."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from billing.ledger.chart import Account
from billing.reports import store
from billing.reports.model import (
    AgedRow,
    CashRow,
    DeferredRow,
    IncentiveRow,
    LedgerLine,
    RevenueRow,
    Span,
    TakeRateRow,
    TrialRow,
)
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.months import first_of_month
from marketplace.flows.books.report_incentives_sql import incentive_cost

_CHUNK = 1_000


class Report(StrEnum):
    """Those that are lists of rows, which can be had as CSV, too."""

    TRIAL_BALANCE = "trial-balance"
    AGEING = "ageing"
    REVENUE = "revenue"
    TAKE_RATE = "take-rate"
    INCENTIVES = "incentives"
    DEFERRED_REVENUE = "deferred-revenue"
    CASH_FORECAST = "cash-forecast"


REPORTS: dict[Report, tuple[type[msgspec.Struct], Callable[[Tx, Span], Awaitable[Sequence[Any]]]]] = {
    Report.TRIAL_BALANCE: (TrialRow, store.trial_balance),
    Report.AGEING: (AgedRow, store.ageing),
    Report.REVENUE: (RevenueRow, store.revenue),
    Report.TAKE_RATE: (TakeRateRow, store.take_rate),
    Report.INCENTIVES: (IncentiveRow, incentive_cost),
    Report.DEFERRED_REVENUE: (DeferredRow, store.deferred),
    Report.CASH_FORECAST: (CashRow, store.cash),
}


async def span_of(
    tx: Tx, from_on: date | None, to_on: date | None, entity_id: int | None, currency: str | None
) -> Span:
    """The days asked for, by default from the first of this month to today, which is the latest that it is anywhere in
    the entities asked for. Raises Invalid.
    """
    today = await tx.scalar(
        """
        SELECT coalesce(max((:now AT TIME ZONE zone)::date), (:now AT TIME ZONE 'UTC')::date) FROM billing.entity
        WHERE CAST(:entity AS integer) IS NULL OR entity_id = :entity
        """,
        now=tx.now,
        entity=entity_id,
    )
    for name, on, last in (("from_on", from_on, date.max), ("to_on", to_on, date.min)):
        if on == last:
            raise Invalid(f"{name}: {on} has no day beyond it", field=name)
    return Span(
        from_on=from_on or first_of_month(min(today, to_on - timedelta(days=1) if to_on else today)),
        to_on=to_on or max(today, from_on or today) + timedelta(days=1),
        entity_id=entity_id,
        currency=currency,
    )


def key_of(row: Any) -> tuple[int, str]:
    """What tells a row of a report apart from the others: everything but its figures."""
    names = [name for name in row.__struct_fields__ if not name.endswith(("_minor", "_ppm", "entity_id"))]
    return row.entity_id, "|".join(str(getattr(row, name)) for name in names)


async def csv_of(report: Report, rows: Sequence[Any]) -> AsyncIterator[bytes]:
    """A report's rows after a header, some at a time."""
    async for piece in csv_rows(REPORTS[report][0], rows):
        yield piece


async def account_lines(tx: Tx, span: Span, account: int, merchant_id: int | None) -> list[LedgerLine]:
    """The general ledger of an account over the days; with a merchant, that merchant's account statement.

    Raises NotFound for an account that is none.
    """
    if account not in {int(code) for code in Account}:
        raise NotFound(f"there is no account {account}")
    found: list[LedgerLine] = []
    after = None
    while lines := await store.ledger_lines(tx, span, account, merchant_id=merchant_id, limit=_CHUNK, after=after):
        found += lines
        after = (lines[-1].effective_on, lines[-1].merchant_id, lines[-1].entry_no, lines[-1].leg_no)
    return found


async def csv_rows(row_type: type[msgspec.Struct], rows: Sequence[Any]) -> AsyncIterator[bytes]:
    """Rows after a header, some at a time."""
    names = row_type.__struct_fields__
    yield _csv_bytes([names])
    for at in range(0, len(rows), _CHUNK):
        yield _csv_bytes([[getattr(row, name) for name in names] for row in rows[at : at + _CHUNK]])


def _csv_bytes(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
