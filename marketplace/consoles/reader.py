"""Reads the fields of long forms and remembers what is wrong with each, so that a page says it all at once. Pure."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from marketplace.consoles.deeds import amount, number, text
from marketplace.core.errors import Invalid
from marketplace.core.rates import PPM

T = TypeVar("T")
_LONG = 4_000


class Reader:
    """Reads fields and remembers what is wrong with each. fault texts do without the field's name."""

    def __init__(self, typed: Mapping[str, str], currency: str) -> None:
        self.typed, self.currency = typed, currency
        self.faults: dict[str, str] = {}

    def get(self, name: str, read: Callable[[], T], otherwise: T) -> T:
        """What `read` makes of a field; `otherwise` where nothing was typed, or what cannot be read."""
        if not self.typed.get(name, "").strip():
            return otherwise
        try:
            return read()
        except Invalid as fault:
            self.faults[name] = fault.detail.removeprefix(f"{name}: ")
            return otherwise

    def need(self, name: str) -> None:
        """Note a field that was left empty."""
        if not self.typed.get(name, "").strip():
            self.faults.setdefault(name, "is missing")

    def words(self, name: str, otherwise: str = "") -> str:
        return self.get(name, lambda: text(self.typed, name, most=200), otherwise)

    def money(self, name: str, least: int = 1) -> int | None:
        return self.get(name, lambda: amount(self.typed, name, self.currency, least=least), None)

    def integer(self, name: str, *, least: int = 1, most: int = 10**9) -> int | None:
        return self.get(name, lambda: number(self.typed, name, least=least, most=most), None)

    def percent(self, name: str) -> int | None:
        return self.get(name, lambda: ppm(self.typed[name], name), None)

    def threshold(self, name: str, measure: str) -> int | None:
        return self.money(name) if measure == "amount" else self.integer(name)

    def several(self, name: str) -> list[str]:
        """Values between commas."""
        found = self.get(name, lambda: text(self.typed, name, most=_LONG), "")
        return [each.strip() for each in found.split(",") if each.strip()]

    def pairs(self, name: str, left: Callable[[str], Any], right: Callable[[str], Any]) -> list[tuple[Any, Any]]:
        """Lines `left = right`."""
        found = []
        for line in self.get(name, lambda: text(self.typed, name, most=_LONG), "").splitlines():
            first, equals, second = line.partition("=")
            try:
                if not equals:
                    raise Invalid(f"{line.strip()!r} is not written as: threshold = value")
                found.append((left(first.strip()), right(second.strip())))
            except Invalid as fault:
                self.faults.setdefault(name, fault.detail)
        return found

    def money_of(self, typed: str) -> int:
        return bare(lambda: amount({"it": typed}, "it", self.currency))

    def json(self, name: str) -> Any:
        """JSON of a condition that the form has no field for."""

        def read() -> Any:
            try:
                return msgspec.json.decode(text(self.typed, name, most=_LONG))
            except (msgspec.DecodeError, RecursionError) as fault:
                raise Invalid(f"{name}: is no JSON: {fault}") from fault

        return self.get(name, read, None)


def ppm(typed: str, name: str = "it") -> int:
    """Percent as typed, in parts per million. Raises Invalid."""
    try:
        value = Decimal(typed.strip().removesuffix("%").strip().replace(",", ".")) * (PPM // 100)
    except InvalidOperation as fault:
        raise Invalid(f"{name}: must be a percentage, as 2.5") from fault
    if not value.is_finite() or value != int(value) or not 0 <= value <= PPM:
        raise Invalid(f"{name}: must be from 0 to 100 percent, with four decimals at most")
    return int(value)


def bare(read: Callable[[], T]) -> T:
    try:
        return read()
    except Invalid as fault:
        raise Invalid(fault.detail.removeprefix("it: ")) from fault


def whole(typed: str) -> int:
    return bare(lambda: number({"it": typed}, "it"))
