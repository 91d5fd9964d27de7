"""A file of opening balances: what its lines say, and whether they tie to their control totals. Pure.

CSV with the columns merchant, account, currency, amount: the merchant's own id (empty: the house's books), an account
of the chart, and the balance on the cut-over day as a decimal, debit positive. A line whose merchant is `*` is a
control total: what the lines of that account and currency must sum to.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from billing.ledger.chart import Account
from marketplace.core.errors import Invalid
from marketplace.core.money import MINOR_DIGITS, minor_from_text, text_from_minor

COLUMNS = ("merchant", "account", "currency", "amount")
CONTROL = "*"
OF_MERCHANTS = frozenset(
    {
        Account.MERCHANT_RECEIVABLE,
        Account.PAYABLE,
        Account.RESERVE,
        Account.PAYOUT_IN_TRANSIT,
        Account.DEFERRED_REVENUE,
    }
)
OF_THE_HOUSE = frozenset({Account.BANK, Account.SUSPENSE})
"""What can be brought over: balances that no rows of orders, charges, claims or campaigns have to explain."""

Key = tuple[int, str]
"""An account and a currency."""


class OpeningLine(msgspec.Struct, frozen=True, kw_only=True):
    """A balance; merchant_ref is empty for the house's books."""

    line: int
    merchant_ref: str
    account: int
    currency: str
    amount_minor: int


class Total(msgspec.Struct, frozen=True, kw_only=True):
    account: int
    currency: str
    total_minor: int


Reject = Callable[[int, str], None]
"""Takes a line and what is wrong with it, beginning with its column."""


def read_opening(content: bytes, controls: Mapping[Key, int], reject: Reject) -> list[OpeningLine]:
    """The balances of a file whose accounts tie to the control totals in it or given beside it.

    What is wrong goes to `reject`, all of it. Raises Invalid for a file that is no such CSV at all.
    """
    lines: list[OpeningLine] = []
    totals: dict[Key, int] = {}
    seen: dict[tuple[str, Key], int] = {}
    stated = {key: (0, minor) for key, minor in controls.items()}
    for number, row in _rows(content):
        try:
            read = _line(number, row)
        except ValueError as fault:
            reject(number, str(fault))
            continue
        key = read.account, read.currency
        if (first := seen.setdefault((read.merchant_ref, key), number)) != number:
            reject(number, f"merchant: {read.merchant_ref!r} has that account and currency on line {first} already")
        elif read.merchant_ref == CONTROL:
            if key in controls and controls[key] != read.amount_minor:
                reject(number, f"amount: the control total given beside the file is {_text(controls[key], key)}")
            stated[key] = number, read.amount_minor
        else:
            lines.append(read)
            totals[key] = totals.get(key, 0) + read.amount_minor
    for key in sorted(totals.keys() | stated.keys()):
        if key not in stated:
            reject(1, f"amount: account {key[0]} has no control total in {key[1]}")
        elif totals.get(key, 0) != stated[key][1]:
            said = (
                f"the lines sum to {_text(totals.get(key, 0), key)}, the control total is {_text(stated[key][1], key)}"
            )
            reject(stated[key][0], f"amount: account {key[0]} in {key[1]}: {said}")
    return lines


def totals_of(lines: list[OpeningLine]) -> list[Total]:
    """What the lines sum to by account and currency."""
    sums: dict[Key, int] = {}
    for line in lines:
        sums[line.account, line.currency] = sums.get((line.account, line.currency), 0) + line.amount_minor
    return [
        Total(account=account, currency=currency, total_minor=minor)
        for (account, currency), minor in sorted(sums.items())
    ]


def control_from_text(text: str) -> tuple[Key, int]:
    """A control total as given beside the file: `2000:EUR=-1234.56`. Raises Invalid."""
    name, _, amount = text.partition("=")
    account, _, currency = name.partition(":")
    try:
        return (_account(account), _currency(currency)), minor_from_text(amount, currency)
    except ValueError as fault:
        raise Invalid(f"control: {text!r} is not written ACCOUNT:CURRENCY=AMOUNT: {fault}") from fault


def _rows(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise Invalid(f"the file is not UTF-8: byte {fault.start}") from fault
    if "\x00" in text:
        raise Invalid("the file holds a NUL: it is no text")
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise Invalid(f"line 1: the columns are not {', '.join(COLUMNS)}")
    for row in reader:
        yield reader.line_num, row


def _line(number: int, row: dict[str, Any]) -> OpeningLine:
    if None in row or None in row.values():
        raise ValueError(f"merchant: the line has not {len(COLUMNS)} columns")
    account, currency = _account(row["account"]), _currency(row["currency"])
    ref = row["merchant"]
    if ref != CONTROL and account not in (OF_MERCHANTS if ref else OF_THE_HOUSE):
        whose = "a merchant's" if ref else "the house's"
        raise ValueError(f"account: {account} is not brought over into {whose} books")
    try:
        amount_minor = minor_from_text(row["amount"], currency)
    except ValueError as fault:
        raise ValueError(f"amount: {fault}") from fault
    if amount_minor == 0 and ref != CONTROL:
        raise ValueError("amount: is zero; leave the line out")
    return OpeningLine(line=number, merchant_ref=ref, account=account, currency=currency, amount_minor=amount_minor)


def _account(text: str) -> int:
    known = {str(int(account)): int(account) for account in Account}
    if text not in known:
        raise ValueError(f"account: {text!r} is not in the chart")
    return known[text]


def _currency(text: str) -> str:
    if text not in MINOR_DIGITS:
        raise ValueError(f"currency: {text!r} is not a currency this platform accepts")
    return text


def _text(minor: int, key: Key) -> str:
    return text_from_minor(minor, key[1])
