"""What finance takes away: statements and settled orders as CSV; the journal see `export_journal`.

Every export is written as a stream to a file beside the target and takes its place when it is complete.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from billing.runs.model import COLUMNS, Period, RunState
from billing.runs.store import find_live_run, only_entity, runs_of_period
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Conflict, Invalid, NotFound


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
        return await replacing(output, lambda part: copy_csv(tx, query, (runs,), part))


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
        return await replacing(output, lambda part: copy_csv(tx, query, (period.from_on, period.to_on), part))


async def copy_csv(tx: Tx, query: str, arguments: tuple[Any, ...], part: Path) -> int:
    """Have the server write the rows of a query as CSV with a header; returns their number."""
    status: str = await tx.raw.copy_from_query(query, *arguments, output=str(part), format="csv", header=True)
    return int(status.removeprefix("COPY "))


def _check_output(output: Path) -> None:
    """Raise Invalid unless a file can stand there: a device or a folder is not replaced."""
    if not output.parent.is_dir():
        raise Invalid(f"--output: {output.parent} is no folder", field="output")
    if output.exists() and not output.is_file():
        raise Invalid(f"--output: {output} is no ordinary file", field="output")


async def replacing(output: Path, write: Callable[[Path], Awaitable[int]]) -> int:
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
