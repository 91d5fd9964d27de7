"""Any table as a statement: which column is what, saved under a name. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any, BinaryIO, Literal

import msgspec

from billing.bank_files.model import Items, Kind, Line, Statement, Unreadable
from billing.bank_files.text import Row, amount, day, lines, rows, short
from billing.bank_files.workbook import is_workbook, sheet_rows
from marketplace.core.errors import Refusals
from marketplace.core.money import MINOR_DIGITS

HEADER_ROWS_MAX = 100

Column = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pattern = Annotated[str, msgspec.Meta(max_length=30, pattern=r"^[%A-Za-z0-9 /:.,\-]*$")]


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the columns of a table are read; a column is named as its header is, empty where there is none.

    The amount is one signed column, or what comes in and what goes out in two. account and currency may be a column's
    or fixed. day_pattern: of `strptime`, empty for ISO 8601. minor: amounts are whole minor units.
    negated: what the table calls positive leaves the account. last: cells of the first column behind the lines, from
    which on nothing is read, such as a total.
    """

    account: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
    currency: Annotated[str, msgspec.Meta(pattern="^([A-Z]{3})?$")] = ""
    delimiter: Annotated[str, msgspec.Meta(pattern="^[,;|\t]$")] = ","
    decimal: Literal["point", "comma"] = "point"
    minor: bool = False
    negated: bool = False
    kind: Literal["statement", "processor"] = "processor"
    day_pattern: Pattern = ""
    last: Annotated[tuple[Column, ...], msgspec.Meta(max_length=10)] = ()
    day: Annotated[Column, msgspec.Meta(min_length=1)]
    value_day: Column = ""
    currency_column: Column = ""
    amount: Column = ""
    paid_in: Column = ""
    paid_out: Column = ""
    gross: Column = ""
    fee: Column = ""
    bank_ref: Column = ""
    end_to_end: Column = ""
    batch_ref: Column = ""
    party: Column = ""
    party_account: Column = ""
    text: Column = ""
    type_code: Column = ""
    balance: Column = ""


class SavedMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a mapping under its name."""

    mapping_id: int
    name: str
    version: int
    mapping: Mapping
    made_by: str
    made_at: datetime


_TEXTS = ("bank_ref", "end_to_end", "batch_ref", "party", "party_account", "text", "type_code")
COLUMNS = (
    "day", "value_day", "currency_column", "amount", "paid_in", "paid_out", "gross", "fee", "balance", *_TEXTS,
)  # fmt: skip


def check_mapping(mapping: Mapping) -> None:
    """Raise Invalid, naming all that is wrong, when a mapping cannot read any table."""
    wrong = Refusals()
    if bool(mapping.amount) == bool(mapping.paid_in and mapping.paid_out):
        wrong.add("/mapping/amount", "amount: name one column for it, or both paid_in and paid_out")
    if bool(mapping.currency) == bool(mapping.currency_column):
        wrong.add("/mapping/currency", "currency: state it, or name the column that does")
    if mapping.currency and mapping.currency not in MINOR_DIGITS:
        wrong.add("/mapping/currency", f"currency: {mapping.currency} is not one this platform accepts")
    if mapping.balance and not mapping.currency:
        wrong.add("/mapping/balance", "balance: can only be followed in one currency")
    wrong.check()


def read_table(stream: BinaryIO, mapping: Mapping) -> Items:
    """The lines of a table and its statement. Raises Unreadable naming line and column."""
    body = sheet_rows(stream) if is_workbook(stream) else rows(lines(stream), mapping.delimiter)
    header = _header(body, mapping)
    currencies: set[str] = set()
    balances: list[tuple[int, int]] = []
    for row in body:
        if row.cells[0] in mapping.last:
            break
        line = _line(row, header, mapping)
        currencies.add(line.currency)
        if mapping.balance:
            place = f"line {row.number}: {mapping.balance}"
            balance = _minor(place, _cell(row, header, mapping.balance), line.currency, mapping)
            balances = [*balances[:1], (line.amount_minor, balance)]
        yield line
    yield Statement(
        kind=Kind(mapping.kind),
        account=mapping.account,
        currency=mapping.currency or (next(iter(currencies)) if len(currencies) == 1 else None),
        opening_minor=balances[0][1] - balances[0][0] if balances else None,
        closing_minor=balances[-1][1] if balances else None,
    )


def _header(body: Iterator[Row], mapping: Mapping) -> dict[str, int]:
    """The columns by name, of the first row that names all of those the mapping wants."""
    wanted = {name for name in (getattr(mapping, field) for field in COLUMNS) if name}
    missing: Sequence[str] = sorted(wanted)
    for count, row in enumerate(body):
        if wanted <= set(row.cells):
            return {name: row.cells.index(name) for name in wanted}
        missing = min(missing, sorted(wanted - set(row.cells)), key=len)
        if count == HEADER_ROWS_MAX:
            break
    raise Unreadable(f"no row among the first {HEADER_ROWS_MAX} names all columns; {', '.join(missing)} are missing")


def _cell(row: Row, header: dict[str, int], name: str) -> str:
    if not name:
        return ""
    if len(row.cells) <= header[name]:
        raise Unreadable(f"line {row.number}: has only {len(row.cells)} fields, {name!r} is missing")
    return row.cells[header[name]]


def _line(row: Row, header: dict[str, int], mapping: Mapping) -> Line:
    place = f"line {row.number}"
    currency = mapping.currency or _cell(row, header, mapping.currency_column).upper()

    def minor(name: str) -> int:
        return _minor(f"{place}: {name}", _cell(row, header, name), currency, mapping) if name else 0

    moved = minor(mapping.amount) if mapping.amount else minor(mapping.paid_in) - abs(minor(mapping.paid_out))
    moved = -moved if mapping.negated else moved
    fee = minor(mapping.fee) if mapping.fee else None
    gross = minor(mapping.gross) if mapping.gross else None
    if gross is None and fee is not None:
        gross = moved + fee
    texts: dict[str, Any] = {
        name: short(f"{place}: {name}", _cell(row, header, getattr(mapping, name))) for name in _TEXTS
    }
    value_day = _cell(row, header, mapping.value_day)
    return Line(
        position=row.number,
        day=_day(place, mapping.day, _cell(row, header, mapping.day), mapping),
        value_day=_day(place, mapping.value_day, value_day, mapping) if value_day else None,
        amount_minor=moved,
        currency=currency,
        gross_minor=gross,
        fee_minor=fee,
        **texts,
    )


def _day(place: str, name: str, text: str, mapping: Mapping) -> date:
    return day(f"{place}: {name}", text, *filter(None, [mapping.day_pattern]))


def _minor(place: str, text: str, currency: str, mapping: Mapping) -> int:
    if not text:
        return 0
    if mapping.minor:
        if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit():
            raise Unreadable(f"{place}: {text[:30]!r} is not in whole minor units")
        return int(text)
    return amount(place, text, currency, comma=mapping.decimal == "comma", grouped=True)
