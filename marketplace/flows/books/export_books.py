"""What finance takes away: statements and settled orders as CSV, the journal as CSV or a Beancount ledger.

Every export is written as a stream to a file beside the target and takes its place when it is complete.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from billing.ledger.chart import Account
from billing.ledger.store import trial_balance
from billing.runs.model import COLUMNS, Period, RunState
from billing.runs.store import find_live_run, only_entity, runs_of_period
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.money import text_from_minor

_FETCH = 5_000


async def export_statements(db: Database, period: Period, output: Path, *, entity_id: int | None = None) -> int:
    """The final statements of a period, one row per merchant and currency; returns the number of rows.

    Raises NotFound when the period has no run, Conflict while it is not final.
    """
    async with db.read(STAFF) as tx:
        run = await find_live_run(tx, await only_entity(tx, entity_id), period)
        if run is None:
            raise NotFound(f"{period.name} has no billing run: `marketplace billing run --period {period.name}`")
        if run.state != RunState.FINALISED:
            raise Conflict(
                f"run {run.run_id} of {period.name} is {run.state}; statements are exported once it is final"
            )
        columns = ", ".join(f"s.{column}" for column in ("opening_minor", *COLUMNS, "closing_minor"))
        query = f"""
            SELECT m.merchant_ref, s.currency, s.orders, {columns}
            FROM billing.statement s JOIN supply.merchant m ON m.merchant_id = s.merchant_id
            WHERE s.run_id = ANY($1) AND s.state = 'final' ORDER BY m.merchant_ref COLLATE "C", s.currency
        """
        runs = [one.run_id for one in await runs_of_period(tx, run)]
        return await _copy_csv(tx, query, (runs,), output)


async def export_orders(db: Database, period: Period, output: Path) -> int:
    """Orders settled in a period, one row per merchant, order and contract; returns the number of rows.

    settled_on is the day the settlement counts in: the local delivery date, or the first open day after a close.
    """
    query = """
        SELECT o.order_ref, m.merchant_ref, c.effective_on AS settled_on, k.name AS contract, c.base_minor,
               c.commission_minor, c.vat_minor
        FROM billing.commission_line c
        JOIN demand.merchant_order o ON o.merchant_id = c.merchant_id AND o.order_id = c.order_id
        JOIN supply.merchant m ON m.merchant_id = c.merchant_id
        JOIN billing.contract k ON k.contract_id = c.contract_id
        WHERE c.kind = 'sale' AND c.effective_on >= $1 AND c.effective_on < $2
        ORDER BY m.merchant_ref COLLATE "C", o.order_ref COLLATE "C", k.name COLLATE "C"
    """
    async with db.read(STAFF) as tx:
        return await _copy_csv(tx, query, (period.from_on, period.to_on), output)


async def export_journal_csv(db: Database, output: Path) -> int:
    """Every leg of every entry; amounts in minor units, debit positive. Returns the number of legs."""
    query = """
        SELECT coalesce(m.merchant_ref, 'house') AS merchant_ref, p.* FROM billing.posting p
        LEFT JOIN supply.merchant m ON m.merchant_id = p.merchant_id
        ORDER BY p.merchant_id, p.entry_no, p.leg_no
    """
    async with db.read(STAFF) as tx:
        return await _copy_csv(tx, query, (), output)


async def _copy_csv(tx: Tx, query: str, arguments: tuple[Any, ...], output: Path) -> int:
    async def write(part: Path) -> int:
        status: str = await tx.raw.copy_from_query(query, *arguments, output=str(part), format="csv", header=True)
        return int(status.removeprefix("COPY "))

    return await _replacing(output, write)


def _check_output(output: Path) -> None:
    """Raise Invalid unless a file can stand there: a device or a folder is not replaced."""
    if not output.parent.is_dir():
        raise Invalid(f"--output: {output.parent} is no folder", field="output")
    if output.exists() and not output.is_file():
        raise Invalid(f"--output: {output} is no ordinary file", field="output")


async def _replacing(output: Path, write: Callable[[Path], Awaitable[int]]) -> int:
    """Let `write` fill a file beside `output`, then put it there; on any failure nothing is left behind."""
    _check_output(output)
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        try:
            count = await write(part)
            part.replace(output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as fault:
        raise Invalid(f"--output: {output} cannot be written: {fault.strerror}", field="output") from fault
    return count


async def export_beancount(db: Database, output: Path) -> int:
    """The whole journal as a Beancount ledger, one transaction per entry; returns their number.

    At each month's end every account is asserted to stand where our own roll-up says it stands, so `bean-check`
    holds the journal against the balances that our screens show.
    """
    async with db.read(STAFF) as tx:

        async def write(part: Path) -> int:
            with part.open("w", encoding="utf-8") as file:
                count = 0
                async for lines, entries in _beancount(tx):
                    file.write(lines)
                    count += entries
            return count

        return await _replacing(output, write)


async def _beancount(tx: Tx) -> AsyncIterator[tuple[str, int]]:
    """Pieces of the file, each with the number of transactions in it; all of one state of the books."""
    span = await tx.row("SELECT min(effective_on) AS first, max(effective_on) AS last FROM billing.entry")
    assert span is not None
    currencies: dict[str, list[str]] = {}
    for line in await trial_balance(tx):
        currencies.setdefault(_account_name(line.entity_id, line.account), []).append(line.currency)
    yield 'option "title" "Marketplace journal"\n', 0
    if span.first is None:
        return
    for name in sorted(currencies):
        yield f"{span.first} open {name} {','.join(currencies[name])}\n", 0
    cursor = tx.raw.cursor(_JOURNAL, prefetch=_FETCH)
    async for row in cursor:
        yield _transaction(row), 1
    month = (span.first.replace(day=1) + timedelta(days=32)).replace(day=1)
    while month <= span.last + timedelta(days=31):
        yield await _month_end(tx, month), 0
        month = (month + timedelta(days=32)).replace(day=1)


_JOURNAL = """
    SELECT e.*, coalesce(m.merchant_ref, 'house') AS merchant_ref FROM billing.entry e
    LEFT JOIN supply.merchant m ON m.merchant_id = e.merchant_id ORDER BY e.effective_on, e.merchant_id, e.entry_no
"""


def _transaction(row: Any) -> str:
    merchant_ref = row["merchant_ref"].replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        f'\n{row["effective_on"]} * "{row["kind"]}" "{merchant_ref} {row["entry_no"]}"',
        f'  merchant: "{merchant_ref}"',
        f"  entry: {row['entry_no']}",
        f'  source: "{row["source_id"]}"',
    ]
    lines += [
        f"  {_account_name(row['entity_id'], account)}  {text_from_minor(amount, row['currency'])} {row['currency']}"
        for account, amount in zip(row["accounts"], row["amounts"], strict=True)
    ]
    return "\n".join(lines) + "\n"


async def _month_end(tx: Tx, first_of_next: date) -> str:
    """Balance directives; Beancount asserts at the beginning of the day, so the end of a month is the next first.

    Without a tolerance of its own (`~ 0`) an assertion would let two last digits pass.
    """
    lines = [
        f"{first_of_next} balance {_account_name(line.entity_id, line.account)}"
        f"  {text_from_minor(line.balance_minor, line.currency)} ~ 0 {line.currency}"
        for line in await trial_balance(tx, as_of=first_of_next - timedelta(days=1))
    ]
    return "\n" + "\n".join(lines) + "\n"


_ROOTS = {"asset": "Assets", "liability": "Liabilities", "equity": "Equity", "revenue": "Income", "expense": "Expenses"}


def _account_name(entity_id: int, code: int) -> str:
    account = Account(code)
    return f"{_ROOTS[account.nature.name]}:E{entity_id}:{code}-{account.title.replace(' ', '-')}"
