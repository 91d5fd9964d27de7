"""The journal for other programs: Beancount, hledger, workbook, Parquet, rows of legs, or an ERP's own accounts.

Every format is written from a cursor, a few thousand entries at a time, so memory does not grow with the journal.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path

import msgspec

from billing.exports import plain_text, store
from billing.exports.model import ErpAccount, Extract, JournalEntry, JournalFormat, account_name
from billing.exports.sheets import write_workbook
from billing.ledger.chart import Account
from billing.ledger.model import TrialLine
from billing.ledger.store import trial_balance
from marketplace.core import audit
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import MINOR_DIGITS
from marketplace.core.months import add_months, first_of_month
from marketplace.flows.books.export_books import copy_csv, replacing

ALL = Extract()
Add = Callable[[Sequence[JournalEntry]], None]


class SetErpAccounts(msgspec.Struct, frozen=True, kw_only=True):
    """An entity's whole mapping, which takes the place of the one before."""

    entity_id: int
    accounts: tuple[ErpAccount, ...]


async def export_journal(db: Database, file_format: JournalFormat, output: Path, extract: Extract = ALL) -> int:
    """Write the journal, or a part of it; returns how many entries, or legs where a leg is a row.

    Raises Invalid for a file that cannot be written; Conflict without the extra `parquet` or for accounts that the
    ERP's mapping leaves out.
    """
    async with db.read(STAFF) as tx:
        return await replacing(output, await _writer(tx, file_format, extract))


async def _writer(tx: Tx, file_format: JournalFormat, extract: Extract) -> Callable[[Path], Awaitable[int]]:
    if file_format in {JournalFormat.BEANCOUNT, JournalFormat.HLEDGER}:
        return lambda part: _write_text(tx, extract, part, is_beancount=file_format is JournalFormat.BEANCOUNT)
    if file_format is JournalFormat.CSV:
        return lambda part: copy_csv(tx, store.LEGS, store.bound(extract), part)
    if file_format is JournalFormat.ERP:
        await _check_mapped(tx, extract)
        digits = list(MINOR_DIGITS), list(MINOR_DIGITS.values())
        return lambda part: copy_csv(tx, store.ERP, (*store.bound(extract), *digits), part)
    start = write_workbook if file_format is JournalFormat.XLSX else _parquet()
    return lambda part: _write_rows(tx, extract, *start(part))


def _parquet() -> Callable[[Path], tuple[Add, Callable[[], None]]]:
    try:
        module = import_module("billing.exports.parquet")
    except ModuleNotFoundError as fault:
        raise Conflict(
            "Parquet needs the extra `parquet`: install marketplace-operations[parquet]", missing=fault.name
        ) from fault
    start: Callable[[Path], tuple[Add, Callable[[], None]]] = module.write_parquet
    return start


async def _write_rows(tx: Tx, extract: Extract, add: Add, finish: Callable[[], None]) -> int:
    """In a thread, for a server that has others to serve meanwhile."""
    legs = 0
    async for entries in store.read_entries(tx, extract):
        await asyncio.to_thread(add, entries)
        legs += sum(len(entry.accounts) for entry in entries)
    await asyncio.to_thread(finish)
    return legs


async def _write_text(tx: Tx, extract: Extract, part: Path, *, is_beancount: bool) -> int:
    count = 0
    with part.open("w", encoding="utf-8", newline="\n") as file:
        async for lines, entries in _pieces(tx, extract, is_beancount=is_beancount):
            file.write(lines)
            count += entries
    return count


async def _pieces(tx: Tx, extract: Extract, *, is_beancount: bool) -> AsyncIterator[tuple[str, int]]:
    """Pieces of the file, each with the number of entries in it; all of one state of the books."""
    to_on = extract.to_on or date.max
    span = await tx.row("SELECT min(effective_on) AS first, max(effective_on) AS last FROM billing.entry")
    assert span is not None
    if span.first is None:
        yield (plain_text.beancount_head(None, {}) if is_beancount else plain_text.hledger_head({})), 0
        return
    first = max(span.first, extract.from_on or span.first)
    currencies: dict[str, list[str]] = {}
    for line in await _stands(tx, extract, to_on - timedelta(days=1)):
        currencies.setdefault(account_name(line.entity_id, line.account), []).append(line.currency)
    opened_on = first - timedelta(days=1) if extract.from_on is not None else first
    yield (plain_text.beancount_head(opened_on, currencies) if is_beancount else plain_text.hledger_head(currencies)), 0
    if extract.from_on is not None:
        opening = await _stands(tx, extract, opened_on)
        write = plain_text.beancount_opening if is_beancount else plain_text.hledger_opening
        yield write(opened_on, opening), 0
    one = plain_text.beancount_entry if is_beancount else plain_text.hledger_entry
    async for entries in store.read_entries(tx, extract):
        yield "".join(map(one, entries)), len(entries)
    month = add_months(first_of_month(first), 1)
    while month <= min(add_months(first_of_month(span.last), 1), to_on):
        balances = plain_text.beancount_balances if is_beancount else plain_text.hledger_balances
        yield balances(month, await _stands(tx, extract, month - timedelta(days=1))), 0
        month = add_months(month, 1)


async def _stands(tx: Tx, extract: Extract, as_of: date) -> list[TrialLine]:
    lines = await trial_balance(tx, entity_id=extract.entity_id, as_of=as_of)
    return [line for line in lines if extract.currency in {None, line.currency}]


async def _check_mapped(tx: Tx, extract: Extract) -> None:
    """Raise Conflict naming every account that legs stand on and the mapping does not know."""
    left_out = await store.unmapped_accounts(tx, extract)
    if left_out:
        named = ", ".join(f"{account} of entity {entity_id}" for entity_id, account in left_out)
        raise Conflict(f"the ERP's mapping has no account for {named}", accounts=[one for _, one in left_out])


async def set_erp_accounts(tx: Tx, cmd: SetErpAccounts) -> list[ErpAccount]:
    """Say what an entity's accounts are called in the ERP. Raises Invalid for an account twice, or that is none."""
    known = {int(code) for code in Account}
    codes = [one.account for one in cmd.accounts]
    for number, code in enumerate(codes):
        if code not in known or code in codes[:number]:
            why = "is named twice" if code in known else "is no account of the chart"
            raise Invalid(f"accounts/{number}/account: {code} {why}", pointer=f"/accounts/{number}/account")
    await store.set_erp_accounts(tx, cmd.entity_id, cmd.accounts)
    await audit.record(tx, "ERP accounts set", f"entity:{cmd.entity_id}", accounts=len(cmd.accounts))
    return await store.list_erp_accounts(tx, cmd.entity_id)
