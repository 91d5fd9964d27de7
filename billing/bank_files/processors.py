"""Reports of payment processors as CSV: Stripe, Adyen, PayPal. Pure.

Each is a statement of the merchant account at the processor: a line's amount is what it moves there, gross less fee.
What is paid out is a line, too, and names its batch, as do the lines that it is made of where the report says so.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import BinaryIO

from billing.bank_files.model import Items, Kind, Line, Statement, Unreadable
from billing.bank_files.text import Row, amount, day, lines, named, rows, short
from marketplace.core.money import MINOR_DIGITS, text_from_minor

STRIPE = (
    {"balance_transaction_id", "gross", "fee", "net", "currency", "reporting_category"},
    {"id", "amount", "fee", "net", "currency", "created", "type", "source"},
    {"id", "amount", "currency", "created", "balance_transaction_id"},
)
"""The columns of reports, of balance transactions, and of payouts and transfers."""
STRIPE_MEMBERS = {"payout_id", "balance_transaction_id"}
"""Which payout pays a transaction out, which the transactions' own file says, too."""
ADYEN = {
    "Merchant Account",
    "Psp Reference",
    "Type",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Batch Number",
}
_ADYEN_FEES = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")


def read_stripe(stream: BinaryIO) -> Items:
    """Balance transactions, or payouts and transfers, of the API (minor units), or an itemised report (major units): of
    the balance, of payouts, or what each payout is made of.

    A payout is the same line in both files of the API, so that it counts once.
    """
    header, body = _table(stream)
    reads = zip(STRIPE, (_stripe_report, _stripe_export, _stripe_payout), strict=True)
    yield from _whole("stripe", header, body, next(read for columns, read in reads if columns <= set(header)))


def _stripe_payout(place: str, row: Row, cells: dict[str, str]) -> Line:
    currency = cells["currency"].upper()
    paid = _whole_minor(f"{place}: amount", cells["amount"], currency)
    back = _whole_minor(f"{place}: amount_reversed", cells.get("amount_reversed") or "0", currency)
    return Line(
        position=row.number,
        day=day(f"{place}: created", cells["created"]),
        value_day=_optional_day(place, cells, "arrival_date"),
        amount_minor=back - paid,
        currency=currency,
        gross_minor=back - paid,
        fee_minor=0,
        bank_ref=short(place, cells["balance_transaction_id"]),
        end_to_end=short(place, cells["id"]),
        batch_ref=short(place, cells["id"]),
        text=short(place, cells.get("description", "")),
        type_code="payout" if cells["id"].startswith("po_") else "transfer",
        booked=cells.get("status") not in {"failed", "canceled"},
    )


def _stripe_export(place: str, row: Row, cells: dict[str, str]) -> Line:
    currency = cells["currency"].upper()
    amounts = {name: _whole_minor(f"{place}: {name}", cells[name], currency) for name in ("amount", "fee", "net")}
    return Line(
        position=row.number,
        day=day(f"{place}: created", cells["created"]),
        value_day=_optional_day(place, cells, "available_on"),
        amount_minor=amounts["net"],
        currency=currency,
        gross_minor=amounts["amount"],
        fee_minor=amounts["fee"],
        bank_ref=short(place, cells["id"]),
        end_to_end=short(place, cells["source"]),
        batch_ref=short(place, cells.get("payout_id", "")),
        text=short(place, cells.get("description", "")),
        type_code=short(place, cells["type"]),
    )


_STRIPE_DAYS = ("created_utc", "created", "effective_at_utc", "effective_at")


def _stripe_report(place: str, row: Row, cells: dict[str, str]) -> Line:
    currency = cells["currency"].upper()
    amounts = {name: amount(f"{place}: {name}", cells[name], currency) for name in ("gross", "fee", "net")}
    created = next((cells[name] for name in _STRIPE_DAYS if cells.get(name)), "")
    return Line(
        position=row.number,
        day=day(f"{place}: created", created),
        value_day=_optional_day(place, cells, "available_on_utc", "available_on", "payout_expected_arrival_date"),
        amount_minor=amounts["net"],
        currency=currency,
        gross_minor=amounts["gross"],
        fee_minor=amounts["fee"],
        bank_ref=short(place, cells["balance_transaction_id"]),
        end_to_end=short(place, cells.get("source_id") or cells.get("payout_id", "")),
        batch_ref=short(place, cells.get("automatic_payout_id") or cells.get("payout_id", "")),
        text=short(place, cells.get("description", "")),
        type_code=short(place, cells["reporting_category"]),
    )


def read_adyen(stream: BinaryIO) -> Items:
    """The settlement details report of one merchant account; each batch that is paid out in it sums to zero."""
    header, body = _table(stream)
    account = ""
    batches: dict[tuple[str, str], int] = {}
    paid: set[tuple[str, str]] = set()
    for row in body:
        place, cells = f"line {row.number}", named(row, header)
        account = account or cells["Merchant Account"]
        if cells["Merchant Account"] != account:
            raise Unreadable(f"{place}: Merchant Account: a file is of one account; {account[:60]!r} comes before")
        line = _adyen_line(place, row, cells)
        batch = cells["Batch Number"], line.currency
        batches[batch] = batches.get(batch, 0) + line.amount_minor
        if line.type_code == "MerchantPayout":
            paid.add(batch)
        yield line
    flaws = [
        f"batch {number}: its lines and its payout differ by {text_from_minor(left, currency)} {currency}"
        for (number, currency), left in batches.items()
        if left and (number, currency) in paid
    ]
    yield _statement(f"adyen:{account}", {currency for _, currency in batches}, flaws)


def _adyen_line(place: str, row: Row, cells: dict[str, str]) -> Line:
    currency = cells["Net Currency"]

    def minor(name: str) -> int:
        return amount(f"{place}: {name}", cells.get(name) or "0", currency)

    net = minor("Net Credit (NC)") - minor("Net Debit (NC)")
    fee = sum(minor(name) for name in _ADYEN_FEES)
    return Line(
        position=row.number,
        day=day(f"{place}: Creation Date", cells.get("Creation Date", "")),
        amount_minor=net,
        currency=currency,
        gross_minor=net + fee,
        fee_minor=fee,
        bank_ref=short(place, cells.get("Modification Reference") or cells["Psp Reference"]),
        end_to_end=short(place, cells.get("Merchant Reference", "")),
        batch_ref=short(place, cells["Batch Number"]),
        party=short(place, cells.get("Payment Method", "")),
        text=short(place, cells["Psp Reference"]),
        type_code=short(place, cells["Type"]),
    )


_PAYPAL_SIGNS = {"CR": 1, "DR": -1, "": 1}
_SB = ("Transaction Event Code", "Gross Transaction Amount", "Gross Transaction Currency", "Fee Amount")


def read_paypal(stream: BinaryIO) -> Items:
    """The settlement report (STL): a section for each account, and in it a footer for each currency. Minor units.

    Lines of several currencies stand side by side in a section, so it is one statement, whose footers are compared.
    """
    report = _PayPal()
    for row in rows(lines(stream)):
        yield from report.take(f"line {row.number}", row)
    if not report.ended:
        raise Unreadable("the report ends before its footer (FF): it is cut off")


class _PayPal:
    """A report as far as it is read. counted: lines of the section, then of all."""

    def __init__(self) -> None:
        self.header: list[str] = []
        self.account = ""
        self.counted, self.total = 0, 0
        self.sums: dict[str, list[int]] = {}
        self.flaws: list[str] = []
        self.ended = False

    def take(self, place: str, row: Row) -> Items:
        """Take a row in; yields its line, and a section's statement with its last row."""
        match row.cells[0]:
            case "SH":
                self.account = _cell(place, row, 3)
                self.counted, self.sums, self.flaws = 0, {}, []
            case "CH":
                self.header = [" ".join(name.split()) for name in row.cells[1:]]
                _check_columns(place, self.header, _SB)
            case "SB":
                line = _paypal_line(place, Row(row.number, row.cells[1:]), self.header)
                self.counted, self.total = self.counted + 1, self.total + 1
                _add(self.sums, line)
                yield line
            case "SF":
                self.flaws += _paypal_footer(place, row, self.sums)
            case "SC":
                self.flaws += _count(place, row, self.counted)
                yield _statement(f"paypal:{self.account}", set(self.sums), self.flaws)
            case "RC":
                if wrong := _count(place, row, self.total):
                    raise Unreadable(wrong[0])
            case "FF":
                self.ended = True
            case "RH" | "FH" | "FC" | "RF":
                pass
            case other:
                raise Unreadable(f"{place}: {other[:10]!r} is no row type of a settlement report")


def _paypal_line(place: str, row: Row, header: list[str]) -> Line:
    cells = named(row, header)
    currency = cells["Gross Transaction Currency"]
    gross_sign = _PAYPAL_SIGNS.get(cells.get("Transaction Debit or Credit", ""))
    fee_sign = _PAYPAL_SIGNS.get(cells.get("Fee Debit or Credit", ""))
    if gross_sign is None or fee_sign is None:
        raise Unreadable(f"{place}: debit or credit is said by DR and CR alone")
    gross = gross_sign * _whole_minor(f"{place}: gross", cells["Gross Transaction Amount"], currency)
    fee = -fee_sign * _whole_minor(f"{place}: fee", cells["Fee Amount"] or "0", currency)
    completed = cells.get("Transaction Completion Date") or cells.get("Transaction Initiation Date", "")
    return Line(
        position=row.number,
        day=day(place, completed.replace("/", "-")),
        amount_minor=gross - fee,
        currency=currency,
        gross_minor=gross,
        fee_minor=fee,
        bank_ref=short(place, cells.get("Transaction ID", "")),
        end_to_end=short(place, cells.get("Invoice ID", "")),
        batch_ref=short(place, cells.get("Bank Reference ID", "")),
        party_account=short(place, cells.get("Consumer ID", "")),
        text=short(place, cells.get("Transaction Subject") or cells.get("PayPal Reference ID", "")),
        type_code=short(place, cells["Transaction Event Code"]),
    )


def _add(sums: dict[str, list[int]], line: Line) -> None:
    """Gross credits, gross debits, fee credits, fee debits of a currency, as the footer has them."""
    four = sums.setdefault(line.currency, [0, 0, 0, 0])
    gross, fee = line.gross_minor or 0, line.fee_minor or 0
    four[0 if gross >= 0 else 1] += abs(gross)
    four[3 if fee >= 0 else 2] += abs(fee)


def _paypal_footer(place: str, row: Row, sums: dict[str, list[int]]) -> Iterator[str]:
    currency = _cell(place, row, 1)
    stated = [_whole_minor(place, _cell(place, row, at), currency) for at in range(2, 6)]
    found = sums.get(currency, [0, 0, 0, 0])
    names = ("gross credits", "gross debits", "fee credits", "fee debits")
    for name, told, is_so in zip(names, stated, found, strict=True):
        if told != is_so:
            said, made = (text_from_minor(minor, currency) for minor in (told, is_so))
            yield f"{place}: {name} in {currency} are said to be {said}, the lines make {made}"
    if len(row.cells) > 9:
        opening, closing = (
            (-1 if _cell(place, row, at) == "DR" else 1) * _whole_minor(place, _cell(place, row, at + 1), currency)
            for at in (6, 8)
        )
        moved = found[0] - found[1] + found[2] - found[3]
        if opening + moved != closing:
            began, ended, made = (text_from_minor(minor, currency) for minor in (opening, closing, moved))
            yield f"{place}: the balance in {currency} begins with {began} and ends with {ended}, the lines make {made}"


def _count(place: str, row: Row, counted: int) -> list[str]:
    stated = _cell(place, row, 1)
    return [] if stated == str(counted) else [f"{place}: counts {stated[:20]} lines, there are {counted}"]


def _cell(place: str, row: Row, at: int) -> str:
    if len(row.cells) <= at:
        raise Unreadable(f"{place}: has only {len(row.cells)} fields")
    return row.cells[at]


def _table(stream: BinaryIO) -> tuple[list[str], Iterator[Row]]:
    body = rows(lines(stream))
    first = next(body, None)
    if first is None:
        raise Unreadable("the file is empty")
    if len(set(first.cells)) != len(first.cells):
        raise Unreadable("line 1: a column is named twice")
    return first.cells, body


def _check_columns(place: str, header: list[str], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        raise Unreadable(f"{place}: the columns {', '.join(missing)} are missing")


def _whole(
    account: str, header: list[str], body: Iterator[Row], read_line: Callable[[str, Row, dict[str, str]], Line]
) -> Items:
    currencies = set()
    for row in body:
        line = read_line(f"line {row.number}", row, named(row, header))
        currencies.add(line.currency)
        yield line
    yield _statement(account, currencies, [])


def _statement(account: str, currencies: set[str], flaws: list[str]) -> Statement:
    return Statement(
        kind=Kind.PROCESSOR,
        account=short("account", account),
        currency=next(iter(currencies)) if len(currencies) == 1 else None,
        flaws=tuple(flaws),
    )


def _whole_minor(place: str, text: str, currency: str) -> int:
    """An amount that is in minor units already."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise Unreadable(f"{place}: {text[:30]!r} is no amount in minor units")
    if currency not in MINOR_DIGITS:
        raise Unreadable(f"{place}: {currency[:10]!r} is not a currency this platform accepts")
    return int(text)


def _optional_day(place: str, cells: dict[str, str], *names: str) -> date | None:
    text = next((cells[name] for name in names if cells.get(name)), "")
    return day(place, text) if text else None
