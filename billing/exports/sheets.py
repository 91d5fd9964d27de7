"""The journal as a workbook, a row per leg: written as a stream, on as many sheets as it needs."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from billing.exports.model import JournalEntry
from billing.ledger.chart import Account
from marketplace.core.money import MINOR_DIGITS

ROWS_MAX = 1_048_576
"""What a sheet of Excel holds, with the row of headings."""

HEADINGS = (
    "entity", "merchant", "entry", "day", "occurred at (UTC)", "kind", "source", "currency", "account", "name",
    "dimension", "debit", "credit", "late", "posted by",
)  # fmt: skip


def write_workbook(
    file: Path, *, rows_max: int = ROWS_MAX
) -> tuple[Callable[[Sequence[JournalEntry]], None], Callable[[], None]]:
    """How entries are added to a new workbook, and how it is completed."""
    book = Workbook(write_only=True)
    rows = 0

    def add(entries: Sequence[JournalEntry]) -> None:
        nonlocal rows
        for entry in entries:
            for account, dimension, amount in entry.legs():
                if rows % (rows_max - 1) == 0:
                    number = rows // (rows_max - 1) + 1
                    book.create_sheet("Journal" if number == 1 else f"Journal {number}").append(HEADINGS)
                rows += 1
                sheet = book.worksheets[-1]
                value = Decimal(abs(amount)).scaleb(-MINOR_DIGITS[entry.currency])
                debit, credit = (value, None) if amount > 0 else (None, value)
                sheet.append((
                    entry.entity_id, text_cell(sheet, entry.merchant_ref), entry.entry_no, entry.effective_on,
                    entry.occurred_at.replace(tzinfo=None), entry.kind, str(entry.source_id), entry.currency, account,
                    Account(account).title, str(dimension), debit, credit, entry.prior_period,
                    text_cell(sheet, entry.posted_by),
                ))  # fmt: skip

    def finish() -> None:
        if not book.worksheets:
            book.create_sheet("Journal").append(HEADINGS)
        book.save(file)

    return add, finish


def text_cell(sheet: object, value: str) -> object:
    """Text that somebody gave, never a formula; long numbers are text, too, because Excel keeps fifteen digits."""
    if not value.startswith("="):
        return value
    cell = WriteOnlyCell(sheet, value)
    cell.data_type = "s"
    return cell
