"""BAI2 (Cash Management Balance Reporting): accounts of groups of a file, with their control totals. Pure.

A record ends with a slash and may go on in records 88; its fields are set apart by commas, but for the text of a
transaction, which is all that is left. Signed are only balances: a transaction's type code says which way it goes.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import BinaryIO

import msgspec

from billing.bank_files.model import Items, Kind, Line, Statement, Unreadable
from billing.bank_files.text import amount, lines, short
from marketplace.core.money import text_from_minor

_CREDITS, _DEBITS = range(100, 400), range(400, 700)
_CUSTOM_CREDITS, _CUSTOM_DEBITS = range(920, 960), range(960, 1000)
_OPENING, _CLOSING = "010", "015"
_RECORD_CHARS_MAX = 50_000
_CODES = {"01", "02", "03", "16", "49", "88", "98", "99"}


class _Record(msgspec.Struct):
    number: int
    code: str
    body: str
    physical: int = 1


class _Level(msgspec.Struct):
    """A file, group or account that is open: what it holds so far, to be compared with what its trailer says."""

    place: str
    control: int = 0
    records: int = 1
    inner: int = 0


class _Account(msgspec.Struct):
    """An account that is open. balances: by type code."""

    account: str
    currency: str
    level: _Level
    balances: dict[str, int]


def read(stream: BinaryIO) -> Items:
    """The lines and statements of a file. Raises Unreadable naming the line."""
    state = _State()
    for record in _records(stream):
        yield from state.take(record)
    if state.stack or not state.ended:
        raise Unreadable("the file ends before its trailer (99): it is cut off")


def _records(stream: BinaryIO) -> Iterator[_Record]:
    """Records with those that go on in them.

    Some files have several records on one line, after their slash; in others a text goes on in a line without a code.
    """
    at: _Record | None = None
    ended = True
    for line in lines(stream):
        for text, slash in _split(line.text):
            code, _, body = text.partition(",")
            if code not in _CODES and (ended or at is None):
                raise Unreadable(f"line {line.number}: {code[:10]!r} is no record code of BAI2")
            ended = slash
            if code not in _CODES and at is not None:
                at.body += " " + text
                continue
            if code == "88":
                if at is None:
                    raise Unreadable(f"line {line.number}: a record 88 goes on nothing")
                at.body += ("," if at.code == "03" else " ") + body
                at.physical += 1
                if len(at.body) > _RECORD_CHARS_MAX:
                    raise Unreadable(f"line {line.number}: a record is longer than {_RECORD_CHARS_MAX:,} characters")
                continue
            if at is not None:
                yield at
            at = _Record(line.number, code, body)
    if at is not None:
        yield at


def _split(text: str) -> Iterator[tuple[str, bool]]:
    """The records of a line, and whether each has ended."""
    left = text.strip()
    while left:
        end = next(
            (at for at in _slashes(left) if not left[at + 1 :].strip() or left[at + 1 :].strip()[:3] in _STARTS), None
        )
        yield (left if end is None else left[:end]).rstrip(), end is not None
        left = "" if end is None else left[end + 1 :].strip()


_STARTS = {f"{code}," for code in _CODES}


def _slashes(text: str) -> Iterator[int]:
    at = text.find("/")
    while at >= 0:
        yield at
        at = text.find("/", at + 1)


class _State:
    """Where in the file we are."""

    def __init__(self) -> None:
        self.stack: list[_Level] = []
        self.ended = False
        self.account: _Account | None = None
        self.currency = "USD"
        self.day: date | None = None
        self.number = ""
        self.flaws: list[str] = []

    def take(self, record: _Record) -> Items:
        """Take a record in; yields a transaction's line, and an account's statement when it ends."""
        place = f"line {record.number}"
        if record.code not in {"01", "99"} and not self.stack:
            raise Unreadable(f"{place}: a record {record.code} stands outside of a file (01)")
        match record.code:
            case "01":
                self.stack = [_Level("the file", records=record.physical)]
            case "02":
                self._group(place, record)
            case "03":
                self._account(place, record)
            case "16":
                yield self._transaction(place, record)
            case "49":
                yield from self._account_ends(place, record)
            case "98" | "99":
                self._level_ends(place, record)

    def _group(self, place: str, record: _Record) -> None:
        fields = _fields(record, 6)
        self.currency = fields[5] or "USD"
        self.day = _day(place, fields[3])
        self.number = fields[3] + fields[4]
        self.stack.append(_Level(f"{place}: the group", records=record.physical))

    def _account(self, place: str, record: _Record) -> None:
        if self.day is None or self.account is not None:
            raise Unreadable(f"{place}: an account (03) stands outside of a group, or in another account")
        fields = _fields(record, 2)
        currency = fields[1] or self.currency
        level = _Level(f"{place}: the account", records=record.physical)
        self.account = _Account(short(place, fields[0]), currency, level, {})
        at = 2
        while at + 1 < len(fields):
            code, text, funds = fields[at], fields[at + 1], fields[at + 3] if at + 3 < len(fields) else ""
            if code and text:
                minor = _minor(place, text, currency)
                level.control += minor
                self.account.balances[code] = minor
            at += 4 + _more_fields(place, funds, fields[at + 4 :])

    def _transaction(self, place: str, record: _Record) -> Line:
        if self.account is None or self.day is None:
            raise Unreadable(f"{place}: a transaction (16) stands outside of an account")
        code, text, funds, rest = _parts(record, 3)
        currency = self.account.currency
        minor = _minor(place, text or "0", currency)
        self.account.level.control += minor
        self.account.level.records += record.physical
        tail = rest.split(",")
        skipped = _more_fields(place, funds, tail)
        value_day = _day(place, tail[0]) if funds == "V" and tail[0] else None
        bank_ref, customer_ref, *words = [*tail[skipped:], "", ""]
        return Line(
            position=record.number,
            day=self.day,
            value_day=value_day,
            amount_minor=_sign(place, code) * minor,
            currency=currency,
            bank_ref=short(place, bank_ref.strip()),
            end_to_end=short(place, customer_ref.strip()),
            text=short(place, " ".join(",".join(words).strip(", ").split())),
            type_code=code,
        )

    def _account_ends(self, place: str, record: _Record) -> Iterator[Statement]:
        account = self.account
        if account is None or len(self.stack) < 2:
            raise Unreadable(f"{place}: an account ends (49) that has not begun")
        account.level.records += record.physical
        self._compare(place, account.level, _fields(record, 2), account.currency, counted=None)
        opening, closing = account.balances.get(_OPENING), account.balances.get(_CLOSING)
        yield Statement(
            kind=Kind.STATEMENT if None not in {opening, closing} else Kind.INTERIM,
            account=account.account,
            currency=account.currency,
            number=self.number,
            from_day=self.day,
            to_day=self.day,
            opening_minor=opening,
            closing_minor=closing,
            flaws=tuple(self.flaws),
        )
        self.flaws.clear()
        self._close(account.level)
        self.account = None

    def _level_ends(self, place: str, record: _Record) -> None:
        if len(self.stack) != (2 if record.code == "98" else 1) or self.account is not None:
            raise Unreadable(f"{place}: a trailer {record.code} stands where nothing of its kind is open")
        level = self.stack.pop()
        level.records += record.physical
        self._compare(place, level, _fields(record, 3), self.currency, counted=level.inner)
        if self.flaws:  # a trailer comes after the statements that it is about
            raise Unreadable("; ".join(self.flaws))
        if self.stack:
            self.stack.append(level)
            self._close(self.stack.pop())
        else:
            self.ended = True

    def _close(self, level: _Level) -> None:
        outer = self.stack[-1]
        outer.control += level.control
        outer.records += level.records
        outer.inner += 1

    def _compare(self, place: str, level: _Level, fields: list[str], currency: str, *, counted: int | None) -> None:
        stated = _minor(place, fields[0] or "0", currency)
        if stated != level.control:
            told, found = text_from_minor(stated, currency), text_from_minor(level.control, currency)
            self.flaws.append(f"{place}: the control total is {told}, the amounts sum to {found}")
        if counted is not None and fields[1].strip() != str(counted):
            self.flaws.append(f"{place}: the trailer counts {fields[1].strip()[:20]}, there are {counted}")
        records = fields[1 if counted is None else 2].strip()
        if records and records.lstrip("0") != str(level.records):
            self.flaws.append(f"{place}: the trailer counts {records[:20]} records, there are {level.records}")


def _fields(record: _Record, at_least: int) -> list[str]:
    fields = [field.strip() for field in record.body.split(",")]
    return fields + [""] * (at_least - len(fields))


def _parts(record: _Record, count: int) -> list[str]:
    parts = record.body.split(",", count)
    return [part.strip() for part in parts] + [""] * (count + 1 - len(parts))


def _more_fields(place: str, funds: str, tail: list[str]) -> int:
    """How many fields more there are by the funds type: availability by days, or a value day and its time."""
    match funds:
        case "S":
            return 3
        case "V":
            return 2
        case "D":
            if not tail or not tail[0].strip().isdigit():
                raise Unreadable(f"{place}: funds type D does not say how many days it distributes over")
            return 1 + 2 * min(int(tail[0]), 1_000)
        case _:
            return 0


def _sign(place: str, code: str) -> int:
    if not code.isascii() or not code.isdigit():
        raise Unreadable(f"{place}: {code[:10]!r} is no type code")
    number = int(code)
    if number in _CREDITS or number in _CUSTOM_CREDITS:
        return 1
    if number in _DEBITS or number in _CUSTOM_DEBITS:
        return -1
    raise Unreadable(f"{place}: the type code {code[:10]} is neither of a credit nor of a debit")


def _minor(place: str, text: str, currency: str) -> int:
    """An amount without a decimal sign: minor units as they are."""
    plain = text.strip()
    sign = -1 if plain.startswith("-") else 1
    digits = plain.lstrip("+-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise Unreadable(f"{place}: {text[:30]!r} is no amount")
    amount(place, "0", currency)
    return sign * int(digits)


def _day(place: str, text: str) -> date:
    try:
        return datetime.strptime(text.strip(), "%y%m%d").date()  # noqa: DTZ007  # a day has no zone
    except ValueError as fault:
        raise Unreadable(f"{place}: {text[:20]!r} is no day (YYMMDD)") from fault
