"""List what is to be matched: lines of banks and processors, and what our books expect there, each once."""

from datetime import date, timedelta
from typing import Any

import msgspec

from billing.matching import store
from billing.matching.agreements import store as agreements
from billing.matching.calendars import business_days_after
from billing.matching.model import Run
from marketplace.core import blocks
from marketplace.core.db import Tx
from marketplace.flows.bank.book_matches import book_charges
from marketplace.flows.bank.list_items_sql import LIST, NEW, REFRESH, SOURCES

_DAYS_AHEAD = 60


class Listed(msgspec.Struct, frozen=True):
    """How many items are new, and how many groups were made at once."""

    items: int
    groups: int


async def list_items(tx: Tx, run: Run) -> Listed:
    """List what is new and bring what is open level with what it stands for.

    Only accounts that somebody has named are looked at, from the day on that was said. Items that are the only ones
    with their reference and amount are matched with being listed.
    """
    await tx.plan_in_bulk(brings_rows=True)
    await store.lock_pass(tx)
    for statement in REFRESH:
        await tx.execute(statement)
    await tx.execute(NEW)
    dues, listed = await _dues(tx), 0
    first = await blocks.reserve(tx, "match_item", 0)
    for source in SOURCES:
        new = await tx.execute(LIST.format(source=source), {"last": first + listed, **dues})
        listed += new.rowcount
    if listed:
        await blocks.reserve(tx, "match_item", listed)
    groups = await store.keep_new(tx, run) if listed else 0
    if groups:
        await book_charges(tx)
    return Listed(listed, groups)


async def _dues(tx: Tx) -> dict[str, Any]:
    """By when what was booked on a day is expected, for each calendar and lag of the accounts."""
    accounts, holidays = await agreements.list_accounts(tx), await agreements.holidays(tx)
    rows: list[tuple[str, int, date, date]] = []
    for calendar, lag in sorted({(account.calendar, account.lag_days) for account in accounts}):
        first = min(account.from_on for account in accounts if account.calendar == calendar)
        for number in range((tx.now.date() - first).days + _DAYS_AHEAD):
            day = first + timedelta(days=number)
            rows.append((calendar, lag, day, business_days_after(day, lag, holidays.get(calendar, frozenset()))))
    names = ("calendars", "lags", "days", "dues")
    return {name: [row[number] for row in rows] for number, name in enumerate(names)}
