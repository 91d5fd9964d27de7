"""MT940 and MT942 (SWIFT): statements and interim reports, each from its `:20:` to its end. Pure.

The patterns of single fields are the library's; what a statement is, is decided here, one raw statement at a time,
because the library makes statements of `:61:` and so loses those without lines, and their balances.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, BinaryIO

import msgspec
from mt940 import tags

from billing.bank_files.model import Items, Kind, Line, Statement, Unreadable
from billing.bank_files.text import Numbered, amount, lines, short
from marketplace.core.money import text_from_minor

_FIELD = re.compile(r":([0-9]{2}[A-Z]?|NS):(.*)", re.DOTALL)
_LINE, _BALANCE, _SUM = tags.StatementGLS().re, tags.FinalOpeningBalance().re, tags.SumDebitEntries().re
_FLOOR = re.compile(r"([A-Z]{3})")
_SIGNS = {"C": 1, "D": -1, "RC": -1, "RD": 1, "EC": 1, "ED": -1}
_WRAPPED = 60
"""A line at least so long goes on in the next one without a space."""
_SUBFIELD = re.compile(r"\?([0-9]{2})")
_SEPA = re.compile(r"(EREF|KREF|MREF|CRED|DEBT|SVWZ|ABWA|ABWE|IBAN|BIC)\+")
_SLASHED = re.compile(r"/(EREF|NAME|REMI|IBAN|BIC|ISDT|CSID|MARF|PREF|TRTP|BENM|ORDP|ADDR)/")
_FIELD_CHARS_MAX = 20_000


class _Field(msgspec.Struct):
    number: int
    tag: str
    text: str


def read(stream: BinaryIO) -> Items:
    """The lines and statements of a file. Raises Unreadable naming the line."""
    found = 0
    state: _Open | None = None
    for field in _fields(lines(stream)):
        if field.tag == "20":
            if state is not None:
                yield from state.end()
            found += 1
            state = _Open(field.text.strip())
        elif state is None:
            raise Unreadable(f"line {field.number}: a field :{field.tag}: stands before any :20:")
        elif field.tag == "-":
            yield from state.end()
            state = None
        else:
            yield from state.take(field)
    if state is not None:
        yield from state.end()
    if not found:
        raise Unreadable("the file holds no statement (:20:)")


def _fields(numbered: Iterator[Numbered]) -> Iterator[_Field]:
    """Fields with the lines on which they go on; `-` ends a statement. What stands outside of one is left out."""
    at: _Field | None = None
    inside = False
    last = 0
    for line in numbered:
        matched = _FIELD.match(line.text)
        if matched and (inside or matched[1] == "20"):
            if at:
                yield at
            at, inside = _Field(line.number, matched[1], matched[2].rstrip()), True
        elif inside and (line.text.rstrip() == "-" or line.text.startswith("-}")):
            if at:
                yield at
            yield _Field(line.number, "-", "")
            at, inside = None, False
        elif inside and at:
            at.text += ("\n" if at.tag == "61" or last < _WRAPPED else "\v") + line.text.rstrip()
            if len(at.text) > _FIELD_CHARS_MAX:
                raise Unreadable(f"line {line.number}: the field :{at.tag}: is longer than {_FIELD_CHARS_MAX:,} signs")
        last = len(line.text.rstrip())
    if at:
        yield at


class _Open:
    """A statement as far as it is read."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.account = self.number = self.currency = ""
        self.floor = ""
        """The currency of the amount from which on lines are told (MT942): theirs only where no balance says it."""
        self.opening: tuple[int, date] | None = None
        self.closing: tuple[int, date] | None = None
        self.line: dict[str, Any] | None = None
        self.counted = {"C": [0, 0], "D": [0, 0]}
        self.stated: list[tuple[str, int, int]] = []
        self.first_at = 0

    def take(self, field: _Field) -> Iterator[Line]:
        """Take a field in; yields the line that has become complete with it."""
        self.first_at = self.first_at or field.number
        place = f"line {field.number}"
        if field.tag == "86":
            if self.line is not None and self.closing is None:
                self.line |= _details(place, field.text, self.line)
            return
        if self.line is not None:
            yield Line(**self.line)
            self.line = None
        if field.tag == "61":
            self.line = self._movement(place, field)
        else:
            self._note(place, field)

    def _note(self, place: str, field: _Field) -> None:
        match field.tag:
            case "25":
                self.account = short(place, field.text.strip())
            case "28" | "28C":
                self.number = short(place, field.text.strip())
            case "34F":
                self.floor = self.floor or _match(place, _FLOOR, field)[1]
            case "60F" | "60M":
                self.opening = self._balance(place, field)
            case "62F" | "62M":
                self.closing = self._balance(place, field)
            case "90D" | "90C":
                told = _match(place, _SUM, field)
                minor = amount(f"{place}: :{field.tag}:", told["amount"], told["currency"], comma=True)
                self.stated.append((field.tag, int(told["number"] or 0), minor))

    def _balance(self, place: str, field: _Field) -> tuple[int, date]:
        told = _match(place, _BALANCE, field)
        currency = told["currency"].upper()
        if self.currency and self.currency != currency:
            raise Unreadable(f"{place}: :{field.tag}: is in {currency}, the statement in {self.currency}")
        self.currency = currency
        minor = amount(f"{place}: :{field.tag}:", told["amount"], currency, comma=True)
        return _SIGNS[told["status"].upper()] * minor, _date(place, told["year"], told["month"], told["day"])

    def _movement(self, place: str, field: _Field) -> dict[str, Any]:
        told = _match(place, _LINE, field)
        if not told["id"]:
            raise Unreadable(f"{place}: :61: has no transaction type behind the amount {told['amount']!r}")
        self.currency = self.currency or self.floor
        if not self.currency:
            raise Unreadable(f"{place}: :61: stands before any :60F: or :34F:, which say the currency")
        status = told["status"].upper()
        minor = amount(f"{place}: :61:", told["amount"], self.currency, comma=True)
        side = self.counted["C" if _SIGNS[status] > 0 else "D"]
        side[0] += 1
        side[1] += minor
        value_day = _date(place, told["year"], told["month"], told["day"])
        reference = told["customer_reference"].strip()
        return {
            "position": field.number,
            "day": _entry_day(place, value_day, told["entry_month"], told["entry_day"]),
            "value_day": value_day,
            "amount_minor": _SIGNS[status] * minor,
            "currency": self.currency,
            "bank_ref": (told["bank_reference"] or "").strip(),
            "end_to_end": "" if reference in {"NONREF", "EREF", "KREF+", "EREF+"} else reference,
            "text": short(place, (told["extra_details"] or "").strip()),
            "type_code": told["id"].strip(),
        }

    def end(self) -> Items:
        """The last line, and the statement."""
        if self.line is not None:
            yield Line(**self.line)
        place = f"the statement {self.reference[:40]!r} of line {self.first_at}"
        if not self.account:
            raise Unreadable(f"{place} names no account (:25:)")
        self.currency = self.currency or self.floor
        if not self.currency:
            raise Unreadable(f"{place} names no currency (:60F: or :34F:)")
        interim = bool(self.floor) and (self.opening is None or self.closing is None)
        flaws = [
            f"{place}: :{tag}: says {count} lines of {text_from_minor(minor, self.currency)} {self.currency},"
            f" there are {found} of {text_from_minor(made, self.currency)}"
            for tag, count, minor in self.stated
            for found, made in [self.counted[tag[2]]]
            if (found, made) != (count, minor)
        ]
        if not interim:
            for what, balance in ((":60F:", self.opening), (":62F:", self.closing)):
                if balance is None:
                    flaws.append(f"{place} has no balance {what}")
        yield Statement(
            kind=Kind.INTERIM if interim else Kind.STATEMENT,
            account=self.account,
            currency=self.currency,
            number=self.number,
            reference=short(place, self.reference),
            from_day=self.opening and self.opening[1],
            to_day=self.closing and self.closing[1],
            opening_minor=self.opening and self.opening[0],
            closing_minor=self.closing and self.closing[0],
            flaws=tuple(flaws),
        )


def _match(place: str, pattern: re.Pattern[str], field: _Field) -> re.Match[str]:
    matched = pattern.match(field.text)
    if matched is None:
        raise Unreadable(f"{place}: :{field.tag}:{field.text[:60]!r} is not as this field must be")
    return matched


def _date(place: str, year: str, month: str, day: str) -> date:
    try:
        return date(2000 + int(year), int(month), int(day))
    except ValueError as fault:
        raise Unreadable(f"{place}: {year}{month}{day} is no day") from fault


def _entry_day(place: str, value_day: date, month: str | None, day: str | None) -> date:
    """The entry's day, which has no year: the one next to the value day."""
    if not (month or "").strip() or not (day or "").strip():
        return value_day
    years = (value_day.year, value_day.year - 1, value_day.year + 1)
    found = []
    for year in years:
        try:
            found.append(date(year, int(month or 0), int(day or 0)))
        except ValueError:  # the 29th of February of another year
            continue
    if not found:
        raise Unreadable(f"{place}: the entry's day {month}{day} is no day")
    return min(found, key=lambda one: abs(one - value_day))


def _details(place: str, text: str, line: dict[str, Any]) -> dict[str, Any]:
    """What `:86:` adds to a line: German sub-fields, slashed words as in the Netherlands, or plain text."""
    whole = " ".join(text.replace("\v", "").replace("\n", " ").split(" ")).strip()
    told: dict[str, str] = {}
    if re.match(r"[0-9]{3}\?", whole):
        told = _german(text.replace("\v", "").replace("\n", ""))
    elif words := _SLASHED.split(whole)[1:]:
        pairs = dict(zip(words[::2], words[1::2], strict=True))
        told = {
            "end_to_end": pairs.get("EREF", ""),
            "party": pairs.get("NAME", ""),
            "party_account": pairs.get("IBAN", ""),
            "text": pairs.get("REMI", ""),
        }
    told = {name: short(place, value.strip()) for name, value in told.items() if value.strip()}
    if not told.get("text"):
        told["text"] = short(place, " ".join(filter(None, (line["text"], whole))))
    return told


def _german(text: str) -> dict[str, str]:
    parts = _SUBFIELD.split(text)[1:]
    by_code: dict[str, str] = {}
    for code, value in zip(parts[::2], parts[1::2], strict=True):
        by_code[code] = by_code.get(code, "") + value
    purpose = "".join(by_code.get(str(code), "") for code in (*range(20, 30), *range(60, 64)))
    keyed = _SEPA.split(purpose)
    said = dict(zip(keyed[1::2], keyed[2::2], strict=True))
    return {
        "end_to_end": said.get("EREF", ""),
        "party": by_code.get("32", "") + by_code.get("33", ""),
        "party_account": by_code.get("31", "") or said.get("IBAN", ""),
        "text": said.get("SVWZ", "") or keyed[0] or purpose or by_code.get("00", ""),
    }
