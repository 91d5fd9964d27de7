"""What a statement must prove before anything is made of it. Pure."""

from collections.abc import Iterable, Iterator

import msgspec

from billing.bank_files.model import Line, Statement
from marketplace.core.money import text_from_minor

FLAWS_MAX = 50
"""So many are told of one statement; whoever has more has a wrong file."""


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """A statement, how many lines it has, what the booked ones sum to, and everything about it that does not hold.

    sum_minor: None where the lines are in several currencies.
    """

    statement: Statement
    lines: int
    sum_minor: int | None
    flaws: tuple[str, ...]


def prove(items: Iterable[Line | Statement]) -> Iterator[Proved]:
    """The statements of a file with what is wrong with each; lines are looked at once and not kept."""
    known: set[tuple[object, ...]] = set()
    lines = total = 0
    currencies: set[str] = set()
    flaws: list[str] = []
    for item in items:
        if isinstance(item, Line):
            lines += 1
            currencies.add(item.currency)
            if item.booked:
                total += item.amount_minor
            if len(flaws) < FLAWS_MAX:
                flaws += _wrong_fee(item)
            continue
        single = item.currency or (next(iter(currencies)) if len(currencies) == 1 else None)
        flaws = [*item.flaws, *flaws, *_wrong_balance(item, total), *_other_currencies(item, currencies)]
        identity = _identity(item, lines, total)
        if lines and identity in known:
            flaws.append(f"{_name(item)} is in the file twice")
        known.add(identity)
        yield Proved(
            statement=item,
            lines=lines,
            sum_minor=total if single is not None or not lines else None,
            flaws=tuple(flaws[:FLAWS_MAX]),
        )
        lines = total = 0
        currencies, flaws = set(), []


def _identity(statement: Statement, lines: int, total: int) -> tuple[object, ...]:
    return *msgspec.structs.astuple(statement)[:-1], lines, total


def _name(statement: Statement) -> str:
    named = statement.number or statement.reference
    return f"statement {named} of {statement.account}" if named else f"the statement of {statement.account}"


def _wrong_fee(line: Line) -> Iterator[str]:
    if line.gross_minor is not None and line.gross_minor - (line.fee_minor or 0) != line.amount_minor:
        gross, fee, net = (
            text_from_minor(minor, line.currency)
            for minor in (line.gross_minor, line.fee_minor or 0, line.amount_minor)
        )
        yield f"line {line.position}: gross {gross} less fee {fee} is not net {net} {line.currency}"


def _wrong_balance(statement: Statement, total: int) -> Iterator[str]:
    opening, closing, currency = statement.opening_minor, statement.closing_minor, statement.currency
    if opening is None or closing is None or currency is None or opening + total == closing:
        return
    shown = [text_from_minor(minor, currency) for minor in (opening, total, closing, closing - opening - total)]
    yield (
        f"{_name(statement)}: opening {shown[0]} and lines of {shown[1]} do not make closing {shown[2]};"
        f" {shown[3]} {currency} are missing"
    )


def _other_currencies(statement: Statement, currencies: set[str]) -> Iterator[str]:
    others = sorted(currencies - {statement.currency}) if statement.currency else []
    if others:
        yield f"{_name(statement)}: is in {statement.currency}, but has lines in {', '.join(others)}"
